"""Settings of satellites that do not agree are faults at load, never an error at a request."""

import pytest

from gateway.core.settings import parse
from gateway.errors import ConfigurationError
from tests.core.minting import DEVELOPMENT, KEYS, PRODUCTION

IN = "https://primary.test/sign-in"


def document(kind=PRODUCTION, hosts: tuple[str, ...] = (), **instance: object) -> dict[str, object]:
    live = "live" if kind is PRODUCTION else "test"
    keys = {"publishable_key": KEYS[kind].value, "secret_key": f"sk_{live}_x", "authorized_parties": ["https://s.test"]}
    return {"instance": {**keys, **instance}, "server": {"allowed_hosts": list(hosts or ["s.test"])}}


def faults(**given: object) -> list[str]:
    try:
        parse(document(**given), needs_upstream=False)
    except ConfigurationError as error:
        return [f"{fault.setting}: {fault.problem}" for fault in error.faults]
    return []


def warnings(**given: object) -> list[str]:
    return [fault.setting for fault in parse(document(**given), needs_upstream=False).warnings]


@pytest.mark.parametrize(
    "given",
    [
        {"domain": "s.test"},
        {"proxy_url": "https://s.test/__clerk"},
        {"proxy_url": "/__clerk"},
        {"domain": "s.test", "sign_in_url": IN, "satellite_auto_sync": True},
        {"kind": DEVELOPMENT, "domain": "s.test", "sign_in_url": IN},
        {"domain": "s.test", "sign_in_url": "https://s.test:8443/sign-in"},
        {"domain": "s.test", "sign_in_url": IN, "hosts": ("s.test", "*.primary.test")},
    ],
)
def test_a_satellite_is_good(given: dict[str, object]):
    assert faults(is_satellite=True, **given) == []
    assert warnings(is_satellite=True, **given) == []


@pytest.mark.parametrize(
    ("given", "setting", "said"),
    [
        pytest.param({}, "instance.domain", "and so is proxy_url", id="neither domain nor proxy"),
        pytest.param(
            {"kind": DEVELOPMENT, "domain": "s.test"}, "instance.sign_in_url", "is missing", id="no sign-in page"
        ),
        pytest.param({"domain": "example.test"}, "instance.domain", "of the primary", id="the primary's domain"),
        pytest.param(
            {"domain": "s.test", "sign_in_url": "https://s.test/sign-in"},
            "instance.sign_in_url",
            "on the satellite itself",
            id="its own sign-in page",
        ),
    ],
)
def test_a_satellite_that_cannot_sync_is_a_fault(given: dict[str, object], setting: str, said: str):
    (fault,) = faults(is_satellite=True, **given)
    assert fault.startswith(f"{setting}: ")
    assert said in fault


def test_what_is_faulty_is_not_missing_too():
    assert [fault.partition(":")[0] for fault in faults(is_satellite=True, domain="https://s.test")] == [
        "instance.domain"
    ]
    only_faulty = faults(is_satellite=True, kind=DEVELOPMENT, domain="s.test", sign_in_url="/in", publishable_key="x")
    assert sorted(fault.partition(":")[0] for fault in only_faulty) == [
        "instance.publishable_key",
        "instance.sign_in_url",
    ]


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"domain": "s.test"}, "instance.domain"),
        ({"satellite_auto_sync": True}, "instance.satellite_auto_sync"),
        ({"satellite_origins": ["https://s.test"]}, "instance.satellite_origins"),
        (
            {"is_satellite": True, "domain": "s.test", "satellite_origins": ["https://s.test"]},
            "instance.satellite_origins",
        ),
    ],
)
def test_what_counts_for_nothing_is_said(given: dict[str, object], setting: str):
    assert warnings(**given) == [setting]


def test_satellites_are_answered_by_the_primary_of_a_development_instance():
    assert warnings(kind=DEVELOPMENT, satellite_origins=["https://s.test"]) == []
