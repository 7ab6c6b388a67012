"""Where the Frontend API is, and what is its own: for a primary, a satellite, and behind a proxy."""

import pytest

from gateway.core.frontend_api import base_url, issuers, known_pages, own_host, proxy_path, role
from gateway.core.referrers import KnownPages
from gateway.core.satellites import Primary, Satellite
from gateway.core.settings_model import InstanceSettings
from tests.core.minting import DEVELOPMENT, HOST, ISSUER, KEYS, PRODUCTION

SATELLITE = {"is_satellite": True, "domain": "satellite.test"}
PROXY = "https://app.example.test/__clerk"


def instance(kind=PRODUCTION, **changes: object) -> InstanceSettings:
    return InstanceSettings(publishable_key=KEYS[kind], **changes)


@pytest.mark.parametrize(
    ("settings", "host", "base", "path"),
    [
        pytest.param(instance(), HOST, ISSUER, "", id="the publishable key's"),
        pytest.param(instance(**SATELLITE), "clerk.satellite.test", "https://clerk.satellite.test", "", id="satellite"),
        pytest.param(instance(DEVELOPMENT, **SATELLITE), HOST, ISSUER, "", id="a satellite in development"),
        pytest.param(instance(domain="satellite.test"), HOST, ISSUER, "", id="a domain alone makes no satellite"),
        pytest.param(instance(proxy_url=f"{PROXY}/"), HOST, PROXY, "", id="a proxy"),
        pytest.param(instance(proxy_url="/__clerk"), HOST, ISSUER, "/__clerk", id="a proxy under a path"),
        pytest.param(instance(proxy_url=PROXY, **SATELLITE), "clerk.satellite.test", PROXY, "", id="satellite, proxy"),
        pytest.param(instance(is_satellite=True, proxy_url=PROXY), HOST, PROXY, "", id="a satellite by proxy alone"),
    ],
)
def test_where_the_frontend_api_is(settings: InstanceSettings, host: str, base: str, path: str):
    assert (own_host(settings), base_url(settings), proxy_path(settings)) == (host, base, path)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (instance(), {ISSUER}),
        (instance(proxy_url=f"{PROXY}/"), {ISSUER, PROXY}),
        (instance(proxy_url="/__clerk"), {ISSUER}),
        (instance(**SATELLITE), {ISSUER, "https://clerk.satellite.test"}),
        (instance(DEVELOPMENT, **SATELLITE), {ISSUER}),
        (instance(proxy_url=PROXY, **SATELLITE), {ISSUER, "https://clerk.satellite.test", PROXY}),
    ],
)
def test_tokens_of_the_frontend_apis_and_of_the_proxy_are_ours_and_no_others(settings, expected):
    assert issuers(settings) == expected


def test_pages_of_the_instance_are_known_to_a_primary():
    assert known_pages(instance()) == KnownPages(HOST, "https://accounts.example.test")
    assert known_pages(instance(DEVELOPMENT)) == KnownPages(HOST, "https://accounts.example.test", has_hosted=True)
    assert known_pages(instance(proxy_url=PROXY)) == KnownPages("app.example.test")
    assert known_pages(instance(proxy_url="/__clerk")) == KnownPages("")


def test_a_satellite_does_not_ask_where_people_come_from():
    assert known_pages(instance(**SATELLITE)) is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (instance(satellite_origins=("https://satellite.test",)), None),
        (instance(DEVELOPMENT), Primary()),
        (instance(DEVELOPMENT, satellite_origins=("https://s.test",)), Primary(frozenset({"https://s.test"}))),
        (instance(**SATELLITE, sign_in_url="https://in.test"), Satellite()),
        (instance(**SATELLITE, satellite_auto_sync=True), Satellite(syncs_unasked=True)),
        (instance(DEVELOPMENT, **SATELLITE, sign_in_url="https://in.test"), Satellite(primary="https://in.test")),
    ],
)
def test_what_a_site_is_among_the_domains_of_its_instance(settings: InstanceSettings, expected: object):
    assert role(settings) == expected
