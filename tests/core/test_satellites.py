"""Satellite domains: when they sync, where browsers are sent, and whom a primary answers."""

from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from gateway.core.cookie_rows import COOKIE_ROWS, rows_for
from gateway.core.cookies import CLIENT_UAT, DEV_BROWSER, REDIRECT_COUNT, SESSION, STATE_OVER_HTTPS
from gateway.core.instance import InstanceKind
from gateway.core.policy import Pass, Redirect, SignIn, act
from gateway.core.reasons import Reason
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.satellites import NOTES, Primary, Satellite, Sync, asks_primary
from gateway.core.settings_model import Access, OnSignedOut, RouteSettings
from gateway.core.tokens import Expectations
from gateway.core.verdict import How, State, Verdict
from tests.core.minting import (
    APP,
    DEV_NAMES,
    DEVELOPMENT,
    FETCH,
    HOST,
    ISSUER,
    NAMES,
    NEW_STATE,
    PAGE,
    PRODUCTION,
    UAT,
    Remembered,
    Script,
    cookie_values,
    directives,
    expired,
    judge,
    mint,
    request,
    returned,
    rules,
    signed_in,
)

IN = "https://primary.test/sign-in?a=b#c"
SATELLITE = "https://satellite.test"
OWN_HOST = "clerk.satellite.test"
GOOD, FRESH = mint(), mint(jti="fresh")


def on_satellite(kind: InstanceKind = PRODUCTION, *, unasked: bool = True, **changes: object):
    primary = IN if kind is DEVELOPMENT else ""
    return rules(kind, role=Satellite(unasked, primary), **changes)


def on_primary(*origins: str, **changes: object):
    return rules(DEVELOPMENT, role=Primary(frozenset(origins or (SATELLITE,))), **changes)


def outcome(verdict: Verdict) -> tuple[State, str]:
    return verdict.state, verdict.reason


NEEDS = (State.HANDSHAKE, Reason.SATELLITE_NEEDS_SYNCING)
NOBODY = (State.SIGNED_OUT, Reason.SESSION_TOKEN_AND_UAT_MISSING)


# A satellite.


@pytest.mark.parametrize("kind", InstanceKind)
@pytest.mark.parametrize(
    ("unasked", "cookies", "query", "expected"),
    [
        pytest.param(True, {}, "", NEEDS, id="nothing is brought"),
        pytest.param(True, {CLIENT_UAT: "0"}, "", NEEDS, id="a client that signed out"),
        pytest.param(True, {DEV_BROWSER: "dvb_1"}, "", NEEDS, id="a dev browser is no session"),
        pytest.param(True, {}, "__clerk_synced=false", NEEDS, id="asked, with nothing"),
        pytest.param(True, {}, "__clerk_synced=x", NEEDS, id="an odd word is none"),
        pytest.param(True, {}, "__clerk_synced=", NEEDS, id="an empty one is none"),
        pytest.param(False, {}, "", NOBODY, id="nothing, and nobody asked"),
        pytest.param(False, {}, "__clerk_synced=x", NOBODY, id="an odd word asks for nothing"),
        pytest.param(False, {}, "__clerk_synced=false", NEEDS, id="nothing, and asked"),
        pytest.param(False, {CLIENT_UAT: UAT}, "__clerk_synced=false", NEEDS, id="a client, and asked"),
        pytest.param(False, {SESSION: GOOD, CLIENT_UAT: UAT}, "__clerk_synced=false", NEEDS, id="a session, and asked"),
        pytest.param(True, {}, "__clerk_synced=false&__clerk_synced=true", NEEDS, id="the first one counts"),
    ],
)
def test_a_satellite_syncs(kind: InstanceKind, unasked: bool, cookies: dict, query: str, expected: tuple):
    script = Script()
    verdict = judge(request(cookies, query=query), on_satellite(kind, unasked=unasked), script)
    assert (outcome(verdict), script.needs) == (expected, [])


@pytest.mark.parametrize("unasked", [True, False])
@pytest.mark.parametrize(
    ("method", "headers", "cookies", "query"),
    [
        pytest.param("GET", PAGE, {}, "__clerk_synced=true", id="it was done"),
        pytest.param("GET", PAGE, {}, "__clerk_synced=true&__clerk_synced=false", id="it was done, says the first"),
        pytest.param("GET", FETCH, {}, "__clerk_synced=false", id="a script's request"),
        pytest.param("GET", {"sec-fetch-dest": "iframe"}, {}, "__clerk_synced=false", id="a frame"),
        pytest.param("GET", {"accept": "text/html"}, {}, "__clerk_synced=false", id="an old browser"),
        pytest.param("POST", PAGE, {}, "__clerk_synced=false", id="a form"),
        pytest.param("HEAD", PAGE, {}, "__clerk_synced=false", id="HEAD"),
        pytest.param("GET", PAGE, {CLIENT_UAT: UAT}, "", id="a client"),
        pytest.param("GET", PAGE, {SESSION: GOOD}, "", id="a session"),
        pytest.param("GET", PAGE, signed_in(GOOD), "", id="both"),
    ],
)
def test_a_satellite_does_not_sync(unasked: bool, method: str, headers: dict, cookies: dict, query: str):
    facts = request(cookies, method=method, headers=headers, query=query)
    verdict, elsewhere = judge(facts, on_satellite(unasked=unasked)), judge(facts)
    assert verdict.reason != Reason.SATELLITE_NEEDS_SYNCING
    assert outcome(verdict) == outcome(elsewhere)


def test_in_production_the_satellite_s_own_frontend_api_is_asked():
    under = on_satellite(handshake_base=f"https://{OWN_HOST}", frontend_api=OWN_HOST)
    verdict = judge(request(query="a=%20b&__clerk_synced=false"), under)
    parts = urlsplit(verdict.location)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"https://{OWN_HOST}/v1/client/handshake"
    assert parse_qsl(parts.query) == [
        ("redirect_url", f"{APP}/page?a=%20b&__clerk_synced=false&__gateway_state=1.{NEW_STATE}"),
        ("__clerk_api_version", "2026-05-12"),
        ("suffixed_cookies", "false"),
        ("__clerk_hs_reason", "satellite-needs-syncing"),
        ("format", "nonce"),
    ]
    assert cookie_values(verdict) == {REDIRECT_COUNT: "1", STATE_OVER_HTTPS: NEW_STATE}


def test_in_development_the_primary_is_asked():
    verdict = judge(request(query="a=%20b&__clerk_db_jwt=old"), on_satellite(DEVELOPMENT))
    back = "https%3A%2F%2Fapp.example.test%2Fpage%3Fa%3D%2520b"
    assert verdict.location == f"https://primary.test/sign-in?a=b&__clerk_redirect_url={back}#c"
    assert cookie_values(verdict) == {REDIRECT_COUNT: "1"}


@pytest.mark.parametrize("kind", InstanceKind)
@pytest.mark.parametrize(("count", "is_loop"), [("2", False), ("3", True), ("4", True)])
def test_a_sync_that_goes_in_circles_is_stopped(kind: InstanceKind, count: str, is_loop: bool):
    verdict = judge(request({REDIRECT_COUNT: count}), on_satellite(kind))
    assert (verdict.loop is not None, bool(verdict.location), verdict.reason) == (
        is_loop,
        not is_loop,
        Reason.SATELLITE_NEEDS_SYNCING,
    )


def test_a_sign_in_page_of_its_own_is_no_primary():
    under = rules(DEVELOPMENT, role=Satellite(True, f"{APP}:443/sign-in"))
    verdict = judge(request(), under)
    assert verdict.reason == Reason.DEV_BROWSER_MISSING
    assert verdict.message == NOTES[Sync.OWN_SIGN_IN]


def test_an_odd_sign_in_page_is_of_no_origin():
    under = rules(DEVELOPMENT, role=Satellite(True, "https://bad host/sign-in"))
    assert judge(request(), under).reason == Reason.SATELLITE_NEEDS_SYNCING


def test_a_satellite_s_session_is_refreshed_and_renewed_like_any_other():
    cookies = signed_in(expired(), refresh="rt_1")
    assert judge(request(cookies), on_satellite(), Script(refresh=directives(FRESH))).how is How.REFRESH
    assert judge(request(cookies), on_satellite()).state is State.HANDSHAKE


def test_a_bearer_token_is_not_synced():
    assert judge(request(bearer=GOOD, query="__clerk_synced=false"), on_satellite()).state is State.SIGNED_IN
    verdict = judge(request(bearer=expired()), on_satellite(DEVELOPMENT))
    assert verdict.location.startswith(f"{ISSUER}/v1/client/handshake?")


# A satellite, after the handshake.

NONCE = "__clerk_handshake_nonce=n"


@pytest.mark.parametrize(
    ("query", "brought", "location"),
    [
        pytest.param("", directives(FRESH), "", id="signed in"),
        pytest.param("__clerk_synced=false&a=1", directives(FRESH), "?__clerk_synced=true&a=1", id="as asked"),
        pytest.param("a=1&__clerk_synced=true", directives(FRESH), "?a=1&__clerk_synced=true", id="once more"),
        pytest.param("", ("__client_uat=0",), "?__clerk_synced=true", id="signed out"),
        pytest.param("a=1", directives(mint(sts="pending")), "?a=1&__clerk_synced=true", id="pending"),
        pytest.param(
            "__clerk_synced=false&b&__clerk_synced=false",
            ("__client_uat=0",),
            "?__clerk_synced=true&b",
            id="signed out, as asked",
        ),
    ],
)
def test_a_sync_that_was_done_does_not_begin_again(query: str, brought: tuple[str, ...], location: str):
    facts = returned(query="&".join(filter(None, [query, NONCE])))
    verdict = judge(facts, on_satellite(), Script(payload=brought))
    assert (verdict.how, verdict.location) == (How.HANDSHAKE, f"{APP}/page{location}")
    session = {name: value for name, value in cookie_values(verdict).items() if value and name != STATE_OVER_HTTPS}
    again = judge(request(session, query=location.removeprefix("?")), on_satellite())
    assert again.reason != Reason.SATELLITE_NEEDS_SYNCING


def test_an_answer_comes_before_a_sync():
    facts = returned(query=f"__clerk_synced=false&{NONCE}")
    assert judge(facts, on_satellite(), Script(payload=directives(FRESH))).state is State.SIGNED_IN
    assert outcome(judge(facts, on_satellite(), Script())) == NEEDS


# Whose tokens a satellite believes.


def own(token_host: str) -> str:
    return mint(iss=f"https://{token_host}")


@pytest.mark.parametrize(
    ("cookies", "bearer", "expected"),
    [
        pytest.param({SESSION: own(OWN_HOST), CLIENT_UAT: UAT}, None, True, id="its own, in a plain cookie"),
        pytest.param(signed_in(own(OWN_HOST)), None, True, id="its own, in a suffixed cookie"),
        pytest.param(signed_in(own(HOST)), None, True, id="the primary's, in a suffixed cookie"),
        pytest.param({}, own(HOST), True, id="the primary's, in a header"),
        pytest.param({SESSION: own(HOST), CLIENT_UAT: UAT}, None, False, id="the primary's, in a plain cookie"),
        pytest.param(signed_in(own("clerk.other.test")), None, False, id="another's, in a suffixed cookie"),
        pytest.param({}, own("clerk.other.test"), False, id="another's, in a header"),
        pytest.param({}, own("clerk.satellite.test.evil.test"), False, id="a longer name"),
    ],
)
def test_whose_tokens_a_satellite_believes(cookies: dict, bearer: str | None, expected: bool):
    expectations = Expectations(frozenset({ISSUER, f"https://{OWN_HOST}"}), frozenset(), 5.0)
    under = on_satellite(unasked=False, frontend_api=OWN_HOST, expected=expectations)
    verdict = judge(request(cookies, bearer=bearer, headers=FETCH), under)
    assert (verdict.state is State.SIGNED_IN) is expected


# A primary.


def asking(address: str, cookies: dict | None = None, **more: object) -> RequestFacts:
    return request(cookies or {}, query=f"__clerk_redirect_url={address}", **more)


ANSWERS = (State.HANDSHAKE, Reason.PRIMARY_RESPONDS_TO_SYNCING)
ENCODED = "https%3A%2F%2Fsatellite.test%2Fa%3Fb%3D%2520c%26__clerk_synced%3Dfalse%26d%3D1%26__clerk_synced%3Dx%23e"


def test_a_primary_sends_the_browser_back_with_its_dev_browser():
    cookies = signed_in(GOOD, DEV_NAMES, dev_browser="dvb 1")
    verdict = judge(asking(ENCODED, cookies), on_primary())
    assert outcome(verdict) == ANSWERS
    assert verdict.location == f"{SATELLITE}/a?b=%20c&__clerk_synced=true&d=1&__clerk_db_jwt=dvb+1#e"
    assert cookie_values(verdict) == {REDIRECT_COUNT: "1"}


def test_a_primary_without_a_dev_browser_answers_all_the_same():
    verdict = judge(asking("https://satellite.test"), on_primary())
    assert (outcome(verdict), verdict.location) == (ANSWERS, f"{SATELLITE}?__clerk_synced=true")


@pytest.mark.parametrize(
    ("sent", "location"),
    [
        ("HTTPS://satellite.test/", ""),
        ("https://SATELLITE.test/x", f"{SATELLITE}/x"),
        ("https://satellite.test:443/x", f"{SATELLITE}/x"),
        ("https://satellite.test./x", f"{SATELLITE}/x"),
        ("https://satellite.test/x", f"{SATELLITE}/x"),
        ("http://satellite.test/x", ""),
        ("https://satellite.test:8443/x", ""),
        ("https://sub.satellite.test/x", ""),
        ("https://satellite.test.evil.test/x", ""),
        ("https://evil.test/satellite.test", ""),
        ("//satellite.test", ""),
        ("/\\satellite.test", ""),
        ("https:satellite.test", ""),
        ("https:/satellite.test", ""),
        ("https://satellite.test%40evil.test/", ""),
        ("https://evil.test%40satellite.test/", ""),
        ("https://evil.test%23%40satellite.test/", ""),
        ("https://satellite.test%5C%40evil.test/", ""),
        ("https://satellite.test%5C.evil.test/", ""),
        ("https://satellite.test/%5C%5Cevil.test", ""),
        ("https://satellite.test%09.evil.test/", ""),
        ("https://satellite.test/%0D%0AX: 1", ""),
        ("https://satellite.test%00.evil.test/", ""),
        ("https://s%C3%A4tellite.test/", ""),
        ("https://[::1]/", ""),
        ("https:///", ""),
        ("javascript:alert(1)", ""),
        ("javascript://satellite.test/%250Aalert(1)", ""),
        ("data:text/html,x", ""),
        ("relative", ""),
        (f"https://satellite.test/{'x' * 2048}", ""),
    ],
)
def test_a_primary_answers_its_satellites_alone(sent: str, location: str):
    cookies = signed_in(GOOD, DEV_NAMES, dev_browser="dvb_1")
    verdict = judge(asking(sent, cookies), on_primary())
    if location:
        assert (outcome(verdict), verdict.location) == (
            ANSWERS,
            f"{location}?__clerk_db_jwt=dvb_1&__clerk_synced=true",
        )
    else:
        # It hides no session, and nobody is sent anywhere.
        assert (outcome(verdict), verdict.location) == ((State.SIGNED_IN, ""), "")
        assert verdict.message == NOTES[Sync.NOT_LISTED]
        assert "evil" not in verdict.message


def test_without_a_list_nobody_is_answered():
    verdict = judge(asking(SATELLITE), rules(DEVELOPMENT, role=Primary()))
    assert (verdict.reason, verdict.message) == (Reason.DEV_BROWSER_MISSING, NOTES[Sync.NOT_LISTED])


@pytest.mark.parametrize(
    "under",
    [
        pytest.param(rules(PRODUCTION), id="production"),
        pytest.param(on_satellite(DEVELOPMENT, unasked=False), id="a satellite"),
        pytest.param(on_satellite(PRODUCTION, unasked=False), id="a satellite in production"),
        pytest.param(rules(PRODUCTION, role=Primary(frozenset({SATELLITE}))), id="production, whatever its role"),
    ],
)
def test_nobody_else_answers(under):
    assert judge(asking(SATELLITE), under).reason != Reason.PRIMARY_RESPONDS_TO_SYNCING


@pytest.mark.parametrize(
    ("role", "facts", "asks"),
    [
        (Primary(frozenset({SATELLITE})), asking(SATELLITE), True),
        (Primary(frozenset({SATELLITE})), asking("https://evil.test"), False),
        (Primary(frozenset({SATELLITE})), asking(SATELLITE, bearer=GOOD), False),
        (Primary(frozenset({SATELLITE})), request(), False),
        (Satellite(), asking(SATELLITE), False),
        (None, asking(SATELLITE), False),
    ],
)
def test_whom_a_public_page_is_decided_for(role: Primary | Satellite | None, facts: RequestFacts, asks: bool):
    assert asks_primary(facts, role) is asks


@pytest.mark.parametrize(("method", "headers"), [("POST", PAGE), ("GET", FETCH), ("HEAD", PAGE)])
def test_who_cannot_follow_is_not_answered(method: str, headers: dict):
    verdict = judge(asking(SATELLITE, method=method, headers=headers), on_primary())
    assert outcome(verdict) == (State.SIGNED_OUT, Reason.PRIMARY_RESPONDS_TO_SYNCING)


def test_answers_that_go_in_circles_are_stopped():
    verdict = judge(asking(SATELLITE, {REDIRECT_COUNT: "3"}), on_primary())
    assert (verdict.state, verdict.loop is not None, verdict.location) == (State.SIGNED_OUT, True, "")


def test_an_empty_address_asks_for_nothing():
    verdict = judge(asking("", signed_in(GOOD, DEV_NAMES, dev_browser="d")), on_primary())
    assert (verdict.state, verdict.message) == (State.SIGNED_IN, "")


@pytest.mark.parametrize("access", Access)
@pytest.mark.parametrize("on_signed_out", OnSignedOut)
def test_an_answer_goes_out_whatever_the_route_says(access: Access, on_signed_out: OnSignedOut):
    facts = asking(SATELLITE)
    verdict = judge(facts, on_primary())
    action = act(verdict, facts, RouteSettings(access=access, on_signed_out=on_signed_out), SignIn(IN, DEVELOPMENT))
    assert action == Redirect(f"{SATELLITE}?__clerk_synced=true")


# The table.


def test_rows_are_for_the_places_that_they_name():
    for kind in InstanceKind:
        for satellite in (True, False):
            for row in rows_for(kind, satellite=satellite):
                assert kind is DEVELOPMENT or not row.development
                assert row.satellite in (None, satellite)
    every = [*rows_for(DEVELOPMENT, satellite=True), *rows_for(DEVELOPMENT, satellite=False)]
    assert set(map(id, every)) == set(map(id, COOKIE_ROWS))


@pytest.mark.parametrize("index", range(3))
def test_the_first_rows_are_of_satellites(index: int):
    facts = {
        0: (request(), on_satellite(unasked=False)),
        1: (request(), on_satellite()),
        2: (asking(SATELLITE), on_primary()),
    }[index]
    assert judge(*facts).reason == COOKIE_ROWS[index].reason


# The sign-in page.


@pytest.mark.parametrize(
    ("address", "is_satellite", "query", "back"),
    [
        pytest.param("https://in.test/in", True, "b=1", "?b=1&__clerk_synced=false", id="a satellite"),
        pytest.param("https://in.test/in", True, "__clerk_synced=true&b", "?__clerk_synced=false&b", id="once more"),
        pytest.param("https://app.example.test/in", True, "b=1", "?b=1", id="its own page"),
        pytest.param("https://in.test/in", False, "b=1", "?b=1", id="no satellite"),
    ],
)
def test_a_satellite_asks_to_be_synced_after_a_sign_in(address: str, is_satellite: bool, query: str, back: str):
    sign_in = SignIn(address, PRODUCTION, is_satellite)
    target = sign_in.location(PublicUrl("https", "app.example.test", "/a", query), "")
    assert parse_qs(urlsplit(target).query) == {"redirect_url": [f"https://app.example.test/a{back}"]}


def test_a_satellite_s_own_answer_passes_like_any_session():
    verdict = judge(request(signed_in(GOOD)), on_satellite())
    assert act(verdict, request(), RouteSettings(), SignIn(IN, PRODUCTION, True)) == Pass()


# The Frontend API under a path of the own origin.

UNDER_PATH = {"proxy_path": "/__clerk"}


def at(host: str, cookies: dict | None = None, bearer: str | None = None, headers: dict = PAGE) -> RequestFacts:
    several = {name: (value,) for name, value in (cookies or {}).items()}
    return RequestFacts("GET", PublicUrl("https", host, "/page"), bearer, several, headers)


def test_a_handshake_goes_to_the_path_of_the_origin_that_was_asked():
    for host in ("a.test", "b.test:8443"):
        verdict = judge(at(host, {CLIENT_UAT: UAT}), rules(**UNDER_PATH))
        assert verdict.location.startswith(f"https://{host}/__clerk/v1/client/handshake?redirect_url=https%3A")


@pytest.mark.parametrize(
    ("host", "issuer", "is_own"),
    [
        ("a.test", "https://a.test/__clerk", True),
        ("a.test", ISSUER, True),
        ("b.test", "https://a.test/__clerk", False),
        ("a.test", "https://a.test", False),
        ("a.test", "https://a.test/__clerk/", False),
        ("a.test", "http://a.test/__clerk", False),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_proxy_under_a_path_is_an_issuer_on_its_own_origin(host: str, issuer: str, is_own: bool, is_known: bool):
    token = mint(iss=issuer)
    verified = Remembered(*[token] if is_known else [])
    verdict = judge(at(host, bearer=token, headers=FETCH), rules(**UNDER_PATH), verified=verified)
    assert outcome(verdict) == ((State.SIGNED_IN, "") if is_own else (State.SIGNED_OUT, Reason.TOKEN_INVALID_ISSUER))


def test_names_of_cookies_are_the_instance_s_on_every_domain():
    assert on_satellite().names == NAMES
