"""Coming from another site: which pages are the instance's own, and when it matters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reasons import Reason
from gateway.core.referrers import KnownPages, comes_from_elsewhere
from gateway.core.verdict import State
from tests.core.minting import HOST, PAGE, Remembered, judge, mint, request, rules, signed_in

OWN = KnownPages(HOST, "https://accounts.example.test")
DEVELOPMENT = KnownPages(HOST, "https://accounts.example.test", has_hosted=True)


def coming_from(referer: str) -> dict[str, str]:
    return PAGE | {"referer": referer}


@pytest.mark.parametrize(
    "referer",
    [
        "https://www.other.test/page",
        "http://app.example.test/",
        "https://app.example.test:8443/",
        "https://accounts.example.test:8443/",
        "https://accounts.example.test.evil.example/",
        "https://clerk.example.test@evil.example/",
        "https://happy-cat-1.accounts.dev/",
        "about:blank",
        "android-app://com.example/",
    ],
)
def test_other_sites_are_elsewhere(referer: str) -> None:
    assert comes_from_elsewhere(request(headers=coming_from(referer)), OWN)


@pytest.mark.parametrize(
    "referer",
    [
        "",
        "https://app.example.test/before",
        "HTTPS://APP.EXAMPLE.TEST:443/before",
        "https://clerk.example.test/v1/client",
        "http://clerk.example.test:9999/",
        "https://accounts.example.test/sign-in",
        "no url",
        "https:///no-host",
        "https://[::1/",
    ],
)
def test_own_pages_and_junk_are_not(referer: str) -> None:
    assert not comes_from_elsewhere(request(headers=coming_from(referer)), OWN)


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("happy-cat-1.accounts.dev", True),
        ("happy-cat-1.clerk.accounts.dev", False),
        ("accounts.happy.cat-1.lcl.dev", True),
        ("happy.cat-1.lcl.dev", False),
        ("accounts.evil.example", False),
    ],
)
def test_hosted_pages_are_a_development_instances_own(host: str, is_own: bool) -> None:
    assert comes_from_elsewhere(request(headers=coming_from(f"https://{host}/")), DEVELOPMENT) is not is_own


def test_only_opened_pages_count_and_only_the_first_time() -> None:
    headers = coming_from("https://www.other.test/")

    assert not comes_from_elsewhere(request(headers=headers, method="POST"), OWN)
    assert not comes_from_elsewhere(request(headers=headers | {"sec-fetch-dest": "iframe"}), OWN)
    assert not comes_from_elsewhere(request({"__clerk_redirect_count": "1"}, headers=headers), OWN)


@pytest.mark.parametrize("remembered", [True, False])
def test_signed_in_visitor_from_elsewhere_asks_the_frontend_api_once(remembered: bool) -> None:
    token = mint()
    verified = Remembered(token) if remembered else Remembered()
    facts = request(signed_in(token), headers=coming_from("https://www.other.test/"))

    verdict = judge(facts, rules(known_pages=OWN), verified=verified)

    assert (verdict.state, verdict.reason) == (State.HANDSHAKE, Reason.PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC)
    assert judge(facts, rules(), verified=verified).state is State.SIGNED_IN


def test_bearer_token_from_elsewhere_is_signed_in() -> None:
    facts = request(bearer=mint(), headers=coming_from("https://www.other.test/"))

    assert judge(facts, rules(known_pages=OWN)).state is State.SIGNED_IN


URL = st.text(max_size=30) | st.text("htps:/@[]#?\\.%0a1 \t", max_size=30).map(lambda text: f"https://{text}")


@given(URL, st.sampled_from([OWN, DEVELOPMENT]))
def test_any_referer_can_be_read(referer: str, known: KnownPages) -> None:
    assert comes_from_elsewhere(request(headers=coming_from(referer)), known) in {True, False}


@given(st.text(max_size=20), st.sampled_from(["/", "\\", "@", "#", "?", ".", ":8443/", "%2f@", ":443@"]))
def test_no_decoration_makes_another_site_an_own_page(text: str, mark: str) -> None:
    """As a browser reads it: whatever stands in front of ``@`` or behind ``/`` is no host (WHATWG URL section 4.4)."""
    for own in (HOST, "accounts.example.test", "app.example.test"):
        referer = f"https://evil.example/{mark}{own}{text}"
        assert comes_from_elsewhere(request(headers=coming_from(referer)), OWN)


@pytest.mark.parametrize(
    ("referer", "is_elsewhere"),
    [
        ("https://app.example.test:8443/__clerk/v1/client", False),
        ("http://app.example.test/", False),
        ("https://clerk.example.test/v1/client", True),
        ("https://app.example.test.evil.example/", True),
        ("about:blank", True),
    ],
)
def test_a_frontend_api_under_a_path_is_on_the_site_s_own_host(referer: str, is_elsewhere: bool) -> None:
    assert comes_from_elsewhere(request(headers=coming_from(referer)), KnownPages("")) is is_elsewhere
