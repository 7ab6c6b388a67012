"""What holds of every decision, whatever is sent and whatever is answered."""

import re
from itertools import product
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cookies import (
    CLIENT_UAT,
    DEV_BROWSER,
    HANDSHAKE,
    HANDSHAKE_NONCE,
    REDIRECT_COUNT,
    SESSION,
    STATE,
    STATE_OVER_HTTPS,
)
from gateway.core.instance import InstanceKind
from gateway.core.policy import Redirect, SignIn, act
from gateway.core.reasons import TABLE
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.satellites import Primary, Satellite
from gateway.core.settings_model import Access, OnSignedOut, RouteSettings
from gateway.core.verdict import How, NeedPayload, State, Verdict
from tests.core import minting
from tests.core.minting import (
    DEV_NAMES,
    DEVELOPMENT,
    FETCH,
    ISSUER,
    M2M,
    NAMES,
    NOW,
    PAGE,
    TEMPLATE,
    UAT,
    Remembered,
    Script,
    directives,
    expired,
    handshake_token,
    judge,
    mint,
    request,
    rules,
)

GOOD, FRESH, BOB = mint(), mint(jti="fresh"), mint(sub="user_2", sid="sess_2")
EXPIRED = expired()
TRUSTWORTHY = frozenset({GOOD, FRESH, BOB})
WORTHLESS = (
    "junk",
    f"{GOOD}=",
    GOOD[:-4],
    mint("key_2"),
    mint("key_2", header={"kid": "key_1"}),
    mint(header={"alg": "none"}),
    mint(header={"cat": TEMPLATE}),
    mint(header={"cat": M2M}),
    mint(sub="mch_1"),
    mint(iss="https://clerk.other.test"),
    mint(nbf=int(NOW) + 60),
    mint(exp=None),
    mint("key_2", iat=10**400),
    mint(sts="pending"),
    expired(sid=...),
)
TOKEN = st.sampled_from([*sorted(TRUSTWORTHY), *[EXPIRED] * 4, *WORTHLESS]) | st.just(GOOD) | st.text(max_size=8)
BROUGHT = [
    directives(token, names) for token in (*TRUSTWORTHY, EXPIRED, *WORTHLESS, "") for names in (NAMES, DEV_NAMES)
]
TUPLES = st.sampled_from([*BROUGHT, *[directives(GOOD)] * 9, ("evil=1",), ()]) | st.lists(
    st.text(max_size=8), max_size=2
).map(tuple)
HANDSHAKES = st.sampled_from([handshake_token(list(brought)) for brought in BROUGHT]) | TOKEN
TIME = st.sampled_from([UAT, UAT, UAT, "0", str(int(NOW)), "1900000000", "-1", "x"]) | st.text(max_size=4)
TEXT = st.sampled_from(["dvb_1", "rt_1", "n0nce", "0", "2", "3", "99999"]) | st.text(max_size=4)


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values.filter(bool), min_size=1, max_size=2, unique=True).map(tuple)


COOKIES = st.fixed_dictionaries(
    {},
    optional={
        **{name: several(TOKEN) for name in (SESSION, NAMES.session, DEV_NAMES.session)},
        **{name: several(TIME) for name in (CLIENT_UAT, NAMES.client_uat, DEV_NAMES.client_uat)},
        **{name: several(TEXT) for name in (NAMES.refresh, DEV_NAMES.refresh, HANDSHAKE_NONCE, REDIRECT_COUNT)},
        **{name: several(TEXT) for name in (DEV_BROWSER, NAMES.dev_browser, DEV_NAMES.dev_browser)},
        HANDSHAKE: several(HANDSHAKES),
        **{name: several(st.just(minting.STATE) | TEXT) for name in (STATE, STATE_OVER_HTTPS)},
    },
)
SATELLITE, EVIL, IN = "https://satellite.test", "https://evil.test", "https://in.example.test/in"
ADDRESSES = (
    f"{SATELLITE}/a?b=c#d",
    SATELLITE,
    "https://satellite.test:443@evil.test/",
    "https://satellite.test\\@evil.test/",
    "https://satellite.test.evil.test",
    "//satellite.test",
    "javascript:alert(1)//https://satellite.test/",
    f"{EVIL}/",
    "https:evil.test",
    "https://satellite.test\t.evil.test/",
)
RETURN = st.sampled_from(
    [f"__gateway_state=1.{minting.STATE}", f"__gateway_state=3.{minting.NEW_STATE}", "__gateway_state=1.x"]
)
QUERY = st.one_of(
    st.just(""),
    st.sampled_from(["__clerk_db_jwt=d", "__clerk_db_jwt", "__clerk_handshake_nonce=n&a=1", "%5f%5Fclerk_db_jwt=x"]),
    HANDSHAKES.map(lambda token: f"__clerk_handshake={token}"),
    st.sampled_from(["__clerk_synced=false", "__clerk_synced=true&a=1", "__clerk_synced"]),
    (st.sampled_from(ADDRESSES) | st.text(max_size=20)).map(lambda to: f"__clerk_redirect_url={quote(to, safe='')}"),
    st.text(st.characters(codec="latin-1"), max_size=20),
)
QUERY = st.lists(QUERY | RETURN, max_size=3).map("&".join) | st.tuples(QUERY, RETURN).map("&".join)
HEADERS = st.sampled_from([PAGE, PAGE, FETCH, {}, {"sec-fetch-dest": "iframe"}, {"accept": "text/html"}])
ANY_FACTS = st.builds(
    lambda method, scheme, query, bearer, cookies, headers: RequestFacts(
        method, PublicUrl(scheme, "app.example.test", "/page", query), bearer, cookies, headers, "192.0.2.7"
    ),
    st.sampled_from(["GET", "GET", "GET", "POST", "HEAD", "get"]),
    st.sampled_from(["https", "http"]),
    QUERY,
    st.sampled_from([*[None] * 20, *sorted(TRUSTWORTHY), EXPIRED, *WORTHLESS]),
    COOKIES,
    HEADERS,
)


def opened(query: str, cookies: dict[str, tuple[str, ...]]) -> RequestFacts:
    return RequestFacts("GET", PublicUrl("https", "app.example.test", "/page", query), None, cookies, PAGE)


# What chance alone hardly ever makes: a page that a handshake comes back to, one that a satellite's browser asks, and
# an expired session with what it is refreshed by.
COMING_BACK = st.builds(
    lambda query, cookies: opened(
        f"__gateway_state=1.{minting.STATE}&{query}", cookies | {STATE_OVER_HTTPS: (minting.STATE,)}
    ),
    st.just("__clerk_handshake_nonce=n") | HANDSHAKES.map(lambda token: f"__clerk_handshake={token}") | QUERY,
    COOKIES,
)
ASKING = st.builds(
    lambda to, cookies: opened(f"__clerk_redirect_url={quote(to, safe='')}", cookies),
    st.sampled_from(ADDRESSES),
    COOKIES.map(lambda cookies: {**cookies, DEV_BROWSER: ("dvb_1",)}),
)
EXPIRING = st.builds(
    lambda names, query: opened(
        query,
        {names.session: (EXPIRED,), names.client_uat: (UAT,), names.refresh: ("rt_1",), names.dev_browser: ("dvb_1",)},
    ),
    st.sampled_from([NAMES, DEV_NAMES]),
    st.just("") | QUERY,
)
FACTS = st.one_of(ANY_FACTS, ANY_FACTS, COMING_BACK, ASKING, EXPIRING)
ROLES = st.sampled_from(
    [None, None, Primary(frozenset({SATELLITE})), Satellite(), Satellite(syncs_unasked=True), Satellite(True, IN)]
)
RULES = st.builds(
    rules,
    st.sampled_from(InstanceKind),
    role=ROLES,
    proxy_path=st.sampled_from(["", "", "/__clerk"]),
    has_api=st.booleans(),
    has_refresh=st.sampled_from([True, True, False]),
    refresh_methods=st.sampled_from([None, None, frozenset(), frozenset({"GET"})]),
)
REFRESH = TUPLES | st.text(max_size=8) | st.none()


def may_be_believed(verdict: Verdict, kind: InstanceKind) -> bool:
    """Good tokens only; a developer's clock may be wrong after a handshake."""
    token = verdict.token.reveal()
    return token in TRUSTWORTHY or (kind is DEVELOPMENT and verdict.how is How.HANDSHAKE and is_out_of_time(token))


def is_out_of_time(token: str) -> bool:
    return token in {EXPIRED, mint(nbf=int(NOW) + 60), expired(sid=...)}


@given(FACTS, RULES, REFRESH, TUPLES | st.none(), st.sampled_from([Remembered(), Remembered(GOOD, EXPIRED)]))
def test_every_request_comes_to_a_verdict_and_only_good_tokens_are_believed(facts, under, refresh, payload, verified):
    script = Script(refresh=refresh, payload=payload)
    verdict = judge(facts, under, script, verified=verified)
    assert len(script.needs) <= 5
    if verdict.state is State.SIGNED_IN:
        assert may_be_believed(verdict, under.kind)
        assert verdict.claims is not None
        assert verdict.reason == ""
    else:
        assert (verdict.claims, bool(verdict.token)) == (None, False)
        assert verdict.reason in TABLE or re.fullmatch("session-token-expired-refresh-[a-z0-9_-]+", verdict.reason)
    assert (verdict.state is State.HANDSHAKE) is (bool(verdict.location) and verdict.how is not How.HANDSHAKE)


@given(FACTS, RULES, REFRESH, TUPLES | st.none())
def test_what_a_verdict_sets_and_where_it_sends_is_clean(facts, under, refresh, payload):
    verdict = judge(facts, under, Script(refresh=refresh, payload=payload))
    ours = under.names.settable | {REDIRECT_COUNT, HANDSHAKE, HANDSHAKE_NONCE, STATE, STATE_OVER_HTTPS}
    for cookie in verdict.cookies:
        assert cookie.name in ours
        assert re.fullmatch(rb"[ -~]+", cookie.header())
        assert cookie.secure or facts.url.scheme == "http"
        assert cookie.name != REDIRECT_COUNT or verdict.location
    if verdict.location:
        assert facts.method == "GET"
        assert facts.is_navigation
        assert re.fullmatch(r"https?://[!-~]+", verdict.location)


PRIMARIES = st.builds(rules, st.just(DEVELOPMENT), role=st.just(Primary(frozenset({SATELLITE}))))
SENT = st.one_of(
    st.tuples(FACTS, RULES, TUPLES | st.none()),
    st.tuples(ASKING, PRIMARIES, st.none()),
    st.tuples(COMING_BACK, RULES, st.sampled_from(BROUGHT)),
)


@given(SENT, REFRESH, st.sampled_from(Access), st.sampled_from(OnSignedOut))
def test_no_redirect_leaves_the_places_of_the_instance(sent, refresh, access, on_signed_out):
    facts, under, payload = sent
    verdict = judge(facts, under, Script(refresh=refresh, payload=payload))
    sign_in = SignIn(IN, under.kind, isinstance(under.role, Satellite))
    action = act(verdict, facts, RouteSettings(access=access, on_signed_out=on_signed_out), sign_in)
    places = {ISSUER, facts.url.origin, "https://in.example.test"}
    if isinstance(under.role, Primary) and under.kind is DEVELOPMENT:
        places.add(SATELLITE)
    for location in (verdict.location, action.location if isinstance(action, Redirect) else ""):
        parts = urlsplit(location)
        assert not location or f"{parts.scheme}://{parts.netloc}" in places
        if location.startswith(SATELLITE):
            assert verdict.reason == "primary-responds-to-syncing"


@given(SENT)
def test_an_answer_is_taken_from_the_browser_that_asked_for_it_alone(sent):
    facts, under, brought = sent
    script = Script(payload=brought)
    verdict = judge(facts, under, script)
    if verdict.how is How.HANDSHAKE or NeedPayload in script.asked:
        name = STATE_OVER_HTTPS if facts.url.scheme == "https" else STATE
        assert facts.cookies[name] == (minting.STATE,)
        assert f"__gateway_state=1.{minting.STATE}" in facts.url.query


@given(FACTS, RULES, REFRESH, TUPLES | st.none())
def test_without_keys_nobody_is_signed_in(facts, under, refresh, payload):
    verdict = judge(facts, under, Script(keys={}, refresh=refresh, payload=payload))
    assert verdict.state is not State.SIGNED_IN


@given(FACTS, RULES, TUPLES)
def test_the_answer_of_the_api_alone_signs_nobody_in(facts, under, brought):
    """Taking a good answer away never turns a no into a yes."""
    with_answer = judge(facts, under, Script(refresh=brought))
    without = judge(facts, under, Script(refresh="fetch-error"))
    if with_answer.state is not State.SIGNED_IN:
        assert without.state is not State.SIGNED_IN


ONE_FAMILY = (SESSION, CLIENT_UAT, DEV_BROWSER, REDIRECT_COUNT)


@given(
    st.fixed_dictionaries(
        {},
        optional={SESSION: TOKEN.filter(bool), CLIENT_UAT: TIME, DEV_BROWSER: TEXT, REDIRECT_COUNT: TEXT}
        | {names.refresh: TEXT for names in (NAMES, DEV_NAMES)},
    ),
    st.sets(st.sampled_from([*ONE_FAMILY, NAMES.refresh, DEV_NAMES.refresh])),
    RULES,
    HEADERS,
    REFRESH,
)
def test_no_cookie_taken_away_turns_a_no_into_a_yes(cookies, removed, under, headers, refresh):
    """Of one family of cookies; a foreign cookie that hides ours is another matter (section 3)."""
    before = judge(request(cookies, headers=headers), under, Script(refresh=refresh))
    fewer = {name: value for name, value in cookies.items() if name not in removed}
    after = judge(request(fewer, headers=headers), under, Script(refresh=refresh))
    if after.state is State.SIGNED_IN:
        assert before.state is State.SIGNED_IN
        assert before.claims == after.claims


@pytest.mark.parametrize("kind", InstanceKind)
def test_every_mix_of_the_eight_cookies_is_decided_without_believing_a_bad_token(kind: InstanceKind):
    names = DEV_NAMES if kind is DEVELOPMENT else NAMES
    tokens = ("", GOOD, EXPIRED, mint("key_2"), mint(iss="https://clerk.other.test"), "junk")
    times = ("", "0", UAT, "1900000000")
    for plain, suffixed, plain_uat, suffixed_uat, dev_browser in product(tokens, tokens, times, times, ("", "dvb_1")):
        cookies = {
            SESSION: plain,
            names.session: suffixed,
            CLIENT_UAT: plain_uat,
            names.client_uat: suffixed_uat,
            DEV_BROWSER: dev_browser,
            names.dev_browser: dev_browser,
        }
        verdict = judge(request(cookies), rules(kind))
        if verdict.state is State.SIGNED_IN:
            assert verdict.token.reveal() == GOOD
            assert UAT in (plain_uat, suffixed_uat)
            assert dev_browser or kind is not DEVELOPMENT
        else:
            assert verdict.claims is None
