"""The decision, driven by a script: every row, every way to renew, every way back from a handshake."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.core.cookie_rows import COOKIE_ROWS
from gateway.core.cookies import (
    CLIENT_UAT,
    DEV_BROWSER,
    HANDSHAKE,
    HANDSHAKE_NONCE,
    REDIRECT_COUNT,
    SESSION,
    CookieNames,
)
from gateway.core.instance import InstanceKind
from gateway.core.reasons import Reason
from gateway.core.renewal import REFRESH_HEADERS
from gateway.core.request import RequestFacts
from gateway.core.resolution import DEVELOPMENT_SKEW_S
from gateway.core.secret import Secret
from gateway.core.tokens import Expectations
from gateway.core.verdict import How, NeedKey, NeedPayload, NeedRefresh, State, Verdict
from tests.core.minting import (
    APP,
    DEV_NAMES,
    DEVELOPMENT,
    FETCH,
    ISSUER,
    M2M,
    NAMES,
    NEW_STATE,
    NOW,
    PAGE,
    PRODUCTION,
    TEMPLATE,
    UAT,
    Remembered,
    Script,
    cookie_values,
    directives,
    expired,
    handshake_token,
    judge,
    known_keys,
    mint,
    request,
    returned,
    rules,
    sign,
    signed_in,
)

GOOD, EXPIRED = mint(), expired()
FRESH = mint(jti="fresh")
SECOND = int(NOW)
OTHER_HOST = "https://clerk.other.test"
PREFIX = "session-token-expired-refresh-"


def names_of(kind: InstanceKind) -> CookieNames:
    return DEV_NAMES if kind is DEVELOPMENT else NAMES


def outcome(verdict: Verdict) -> tuple[State, str]:
    return verdict.state, verdict.reason


SIGNED_IN = (State.SIGNED_IN, "")


def signed_out(reason: str) -> tuple[State, str]:
    return State.SIGNED_OUT, reason


def query_of(verdict: Verdict) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(verdict.location).query, keep_blank_values=True)


# The rows.


def in_development(**more: str) -> dict[str, str]:
    return signed_in(GOOD, DEV_NAMES, dev_browser="dvb_1") | more


ROW_CASES = [
    pytest.param(DEVELOPMENT, in_development(), "__clerk_db_jwt=dvb_2", 3, id="4: the URL brings a dev browser"),
    pytest.param(DEVELOPMENT, in_development(), "__clerk_db_jwt=", 3, id="4: even an empty one"),
    pytest.param(DEVELOPMENT, signed_in(GOOD, DEV_NAMES), "", 4, id="5: no dev browser beside a good session"),
    pytest.param(DEVELOPMENT, {}, "", 4, id="5: nothing at all"),
    pytest.param(DEVELOPMENT, {DEV_BROWSER: "dvb_1"}, "", 5, id="6: nobody, in development"),
    pytest.param(PRODUCTION, {}, "", 5, id="6: nobody"),
    pytest.param(PRODUCTION, {}, "__clerk_db_jwt=dvb_2", 5, id="6: production does not sync dev browsers"),
    pytest.param(PRODUCTION, {CLIENT_UAT: "0"}, "", 5, id="6: a client that signed out"),
    pytest.param(PRODUCTION, {NAMES.refresh: "rt_1"}, "", 5, id="6: a refresh cookie alone is nobody"),
    pytest.param(PRODUCTION, {SESSION: GOOD}, "", 6, id="7: a session without a client"),
    pytest.param(PRODUCTION, {SESSION: GOOD, CLIENT_UAT: "0"}, "", 6, id="7: a session and a client that signed out"),
    pytest.param(PRODUCTION, {SESSION: GOOD, CLIENT_UAT: "abc"}, "", 6, id="7: a session and a client that is junk"),
    pytest.param(PRODUCTION, {CLIENT_UAT: UAT}, "", 7, id="8: a client without a session"),
    pytest.param(PRODUCTION, {NAMES.client_uat: UAT}, "", 7, id="8: a suffixed client without a session"),
    pytest.param(PRODUCTION, {CLIENT_UAT: "-1"}, "", 7, id="8: a negative time is a client"),
    pytest.param(
        PRODUCTION, {SESSION: (GOOD, mint(sid="sess_2")), CLIENT_UAT: UAT}, "", 8, id="8: cookies of two sessions"
    ),
    pytest.param(PRODUCTION, {SESSION: "junk", CLIENT_UAT: UAT}, "", 9, id="9: junk"),
    pytest.param(PRODUCTION, {SESSION: f"{GOOD}=", CLIENT_UAT: UAT}, "", 9, id="9: another spelling of a good token"),
    pytest.param(PRODUCTION, {SESSION: "a.b.c.d.e", CLIENT_UAT: UAT}, "", 9, id="9: an encrypted token"),
    pytest.param(PRODUCTION, signed_in(mint(header={"cat": TEMPLATE})), "", 10, id="10: a template token"),
    pytest.param(PRODUCTION, signed_in(mint(header={"cat": M2M})), "", 10, id="10: a machine token"),
    pytest.param(PRODUCTION, signed_in(mint(header={"typ": "at+jwt"})), "", 10, id="10: an OAuth token"),
    pytest.param(PRODUCTION, signed_in(mint(sub="mch_1")), "", 10, id="10: a machine's subject"),
    pytest.param(PRODUCTION, signed_in(GOOD) | {NAMES.client_uat: str(SECOND - 4)}, "", 11, id="11: older than client"),
    pytest.param(
        PRODUCTION,
        signed_in(mint("key_2")) | {NAMES.client_uat: "1900000000"},
        "",
        11,
        id="11: before any verification",
    ),
    pytest.param(
        PRODUCTION,
        signed_in(EXPIRED, refresh="rt_1") | {NAMES.client_uat: str(SECOND)},
        "",
        11,
        id="11: before any refresh",
    ),
]


@pytest.mark.parametrize("headers", [PAGE, FETCH], ids=["page", "fetch"])
@pytest.mark.parametrize(("kind", "cookies", "query", "index"), ROW_CASES)
def test_a_row_decides(kind: InstanceKind, cookies: dict, query: str, index: int, headers: dict):
    row, script = COOKIE_ROWS[index], Script()
    verdict = judge(request(cookies, query=query, headers=headers), rules(kind), script)
    is_sent = row.renews and headers is PAGE
    assert outcome(verdict) == (State.HANDSHAKE if is_sent else State.SIGNED_OUT, row.reason)
    assert bool(verdict.location) is is_sent
    assert script.needs == []


def test_every_row_has_a_case_and_stands_in_the_order_of_the_specification():
    assert {case.values[3] for case in ROW_CASES} == set(range(3, len(COOKIE_ROWS)))  # the others: test_satellites
    assert [row.step for row in COOKIE_ROWS] == [2, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11]
    assert all(row.when for row in COOKIE_ROWS)


@pytest.mark.parametrize(
    ("kind", "cookies"),
    [
        pytest.param(PRODUCTION, signed_in(GOOD), id="suffixed"),
        pytest.param(PRODUCTION, {SESSION: GOOD, CLIENT_UAT: UAT}, id="plain"),
        pytest.param(PRODUCTION, signed_in(GOOD) | {SESSION: "x.y.z"[:0]}, id="empty plain"),
        pytest.param(PRODUCTION, signed_in(GOOD) | {SESSION: mint(iss=OTHER_HOST)}, id="beside a foreign one"),
        pytest.param(PRODUCTION, signed_in(GOOD) | {SESSION: mint(iss=7)}, id="beside one of an odd issuer"),
        pytest.param(PRODUCTION, {SESSION: ("junk", GOOD), CLIENT_UAT: UAT}, id="beside junk of its name"),
        pytest.param(PRODUCTION, signed_in(GOOD) | {NAMES.client_uat: str(SECOND - 5)}, id="as old as its client"),
        pytest.param(PRODUCTION, signed_in(GOOD) | {NAMES.client_uat: "-1"}, id="a negative client"),
        pytest.param(PRODUCTION, signed_in(mint(iat=...)), id="no time of issue is not older"),
        pytest.param(DEVELOPMENT, in_development(), id="development"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_good_session_is_signed_in(kind: InstanceKind, cookies: dict, method: str):
    script = Script()
    verdict = judge(request(cookies, method=method, headers=FETCH), rules(kind), script)
    assert outcome(verdict) == SIGNED_IN
    assert verdict.claims is not None
    assert (verdict.claims.user_id, verdict.how, verdict.cookies, verdict.location) == (
        "user_1",
        How.SIGNATURE,
        (),
        "",
    )
    assert script.needs == [NeedKey("key_1")]


def test_two_sessions_are_cleared():
    verdict = judge(request({SESSION: (GOOD, mint(sid="sess_2")), CLIENT_UAT: UAT}))
    assert cookie_values(verdict) == {SESSION: "", NAMES.session: ""}
    assert all(cookie.max_age_s == 0 and cookie.secure for cookie in verdict.cookies)


def test_of_one_session_the_newest_cookie_is_believed():
    newer = mint(iat=SECOND - 1)
    verdict = judge(request(signed_in(GOOD) | {NAMES.session: (GOOD, newer)}))
    assert verdict.token.reveal() == newer


def test_the_dev_browser_is_at_hand_for_signing_in():
    verdict = judge(request({DEV_BROWSER: "dvb_1"}), rules(DEVELOPMENT))
    assert verdict.dev_browser.reveal() == "dvb_1"


# The token.

TOKEN_CASES = [
    pytest.param("", Reason.TOKEN_INVALID, id="empty"),
    pytest.param("junk", Reason.TOKEN_INVALID, id="junk"),
    pytest.param("sk_test_x", Reason.TOKEN_INVALID, id="another kind of secret"),
    pytest.param("mt_0123", Reason.TOKEN_INVALID, id="an opaque machine token"),
    pytest.param(mint(header={"crit": ["x"]}), Reason.TOKEN_INVALID, id="crit"),
    pytest.param(mint(header={"cat": TEMPLATE}), Reason.TOKEN_TYPE_MISMATCH, id="a template token"),
    pytest.param(mint(sub="mch_1"), Reason.TOKEN_TYPE_MISMATCH, id="a machine"),
    pytest.param(mint("key_2"), Reason.JWK_KID_MISMATCH, id="an unknown key"),
    pytest.param(mint(header={"kid": ...}), Reason.JWK_KID_MISMATCH, id="no key id"),
    pytest.param(
        mint("key_2", header={"typ": "x", "alg": "none"}), Reason.JWK_KID_MISMATCH, id="the key comes before type"
    ),
    pytest.param(mint(header={"typ": "x", "alg": "none"}), Reason.TOKEN_INVALID, id="the type before the algorithm"),
    pytest.param(mint(header={"alg": "none"}), Reason.TOKEN_INVALID_ALGORITHM, id="alg none"),
    pytest.param(mint(header={"alg": "HS256"}), Reason.TOKEN_INVALID_ALGORITHM, id="HS256"),
    pytest.param(mint(algorithm="RS512"), Reason.TOKEN_VERIFICATION_FAILED, id="not the algorithm of its key"),
    pytest.param(
        mint("key_2", header={"kid": "key_1"}, exp=1), Reason.TOKEN_INVALID_SIGNATURE, id="the signature before claims"
    ),
    pytest.param(mint(sub=...), Reason.TOKEN_VERIFICATION_FAILED, id="no subject"),
    pytest.param(mint(exp="soon"), Reason.TOKEN_VERIFICATION_FAILED, id="no time"),
    pytest.param(mint(iss=OTHER_HOST), Reason.TOKEN_INVALID_ISSUER, id="another instance"),
]


@pytest.mark.parametrize(("token", "reason"), TOKEN_CASES)
@pytest.mark.parametrize("headers", [PAGE, FETCH], ids=["page", "fetch"])
def test_a_bad_bearer_token_is_signed_out_whatever_the_cookies_say(token: str, reason: Reason, headers: dict):
    verdict = judge(request(signed_in(GOOD, refresh="rt_1"), bearer=token, headers=headers))
    assert outcome(verdict) == signed_out(reason)
    assert (verdict.claims, verdict.cookies, verdict.location) == (None, (), "")
    assert reason is Reason.TOKEN_INVALID or len(verdict.message) > 10
    assert not token or token not in verdict.message


@pytest.mark.parametrize(("token", "reason"), TOKEN_CASES[1:])
def test_a_bad_session_cookie_is_signed_out_and_not_renewed(token: str, reason: Reason):
    cookies = {NAMES.session: token, NAMES.client_uat: UAT, NAMES.refresh: "rt_1"}
    verdict = judge(request(cookies))
    assert outcome(verdict) == signed_out(reason)
    assert verdict.claims is None


def test_a_good_bearer_token_needs_no_cookie_and_no_dev_browser():
    script = Script()
    verdict = judge(request(bearer=GOOD, headers=FETCH, method="DELETE"), rules(DEVELOPMENT), script)
    assert (outcome(verdict), verdict.token) == (SIGNED_IN, Secret(GOOD))
    assert script.needs == [NeedKey("key_1")]


def test_a_bearer_token_beats_cookies_and_handshakes():
    bob = mint(sub="user_2", sid="sess_2")
    script = Script(payload=directives(GOOD))
    verdict = judge(request(signed_in(GOOD), query="__clerk_handshake_nonce=n", bearer=bob), None, script)
    assert verdict.claims is not None
    assert (verdict.claims.user_id, script.asked) == ("user_2", [NeedKey])


def test_authorized_parties_are_asked_for():
    strict = rules(expected=Expectations(frozenset({ISSUER}), frozenset({APP}), 5.0))
    assert outcome(judge(request(bearer=GOOD), strict)) == SIGNED_IN
    for azp in (..., "https://evil.test"):
        verdict = judge(request(bearer=mint(azp=azp)), strict)
        assert outcome(verdict) == signed_out(Reason.TOKEN_INVALID_AUTHORIZED_PARTIES)


def test_a_remembered_token_asks_for_nothing():
    script = Script()
    verdict = judge(request(signed_in(GOOD)), None, script, verified=Remembered(GOOD))
    assert (outcome(verdict), verdict.how, script.needs) == (SIGNED_IN, How.CACHE, [])


@pytest.mark.parametrize(
    ("token", "now_s", "reason"),
    [
        (GOOD, SECOND + 59.9, ""),
        (GOOD, SECOND + 60.0, f"{PREFIX}non-eligible-no-refresh-cookie"),
        (GOOD, SECOND - 20.1, Reason.SESSION_TOKEN_NBF),
        (mint(nbf=...), SECOND - 10.1, Reason.SESSION_TOKEN_IAT_IN_THE_FUTURE),
    ],
)
@pytest.mark.parametrize("verified", [Remembered(), Remembered(GOOD, mint(nbf=...))], ids=["new", "remembered"])
def test_times_are_checked_even_when_a_token_is_remembered(token: str, now_s: float, reason: str, verified: Remembered):
    assert judge(request(bearer=token), verified=verified, now_s=now_s).reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nbf": SECOND + 60}, Reason.SESSION_TOKEN_NBF),
        ({"iat": SECOND + 60}, Reason.SESSION_TOKEN_IAT_IN_THE_FUTURE),
    ],
)
@pytest.mark.parametrize("carrier", ["cookie", "bearer"])
def test_a_token_of_the_future_is_renewed_where_a_browser_can(changes: dict, reason: Reason, carrier: str):
    token = mint(**changes)
    for headers, state in ((PAGE, State.HANDSHAKE), (FETCH, State.SIGNED_OUT)):
        cookies, bearer = (signed_in(token), None) if carrier == "cookie" else ({}, token)
        verdict = judge(request(cookies, bearer=bearer, headers=headers))
        assert outcome(verdict) == (state, reason)
        assert verdict.message


@pytest.mark.parametrize("carrier", ["cookie", "bearer", "remembered"])
def test_a_pending_session_is_not_signed_in(carrier: str):
    token = mint(sts="pending")
    facts = request(bearer=token) if carrier == "bearer" else request(signed_in(token))
    verdict = judge(facts, verified=Remembered(*[token] if carrier == "remembered" else []))
    assert outcome(verdict) == signed_out(Reason.SESSION_PENDING)
    assert (verdict.claims, verdict.location, bool(verdict.token)) == (None, "", False)


# The handshake that is asked for.


def test_the_way_to_the_handshake():
    cookies = signed_in(EXPIRED) | {REDIRECT_COUNT: "1"}
    verdict = judge(request(cookies, query="q=%20a&__clerk_db_jwt=old"))
    target = urlsplit(verdict.location)
    assert f"{target.scheme}://{target.netloc}{target.path}" == f"{ISSUER}/v1/client/handshake"
    assert query_of(verdict) == [
        ("redirect_url", f"https://app.example.test/page?q=%20a&__gateway_state=2.{NEW_STATE}"),
        ("__clerk_api_version", "2026-05-12"),
        ("suffixed_cookies", "true"),
        ("__clerk_hs_reason", f"{PREFIX}non-eligible-no-refresh-cookie"),
        ("format", "nonce"),
        ("__session", EXPIRED),
    ]
    counter, state = verdict.cookies
    assert (counter.name, counter.value, counter.max_age_s) == (REDIRECT_COUNT, "2", 2)
    assert (state.name, state.value, state.max_age_s) == ("__Host-gateway_state", NEW_STATE, 600)
    assert counter.http_only
    assert counter.secure
    assert verdict.claims is None


def test_development_takes_the_dev_browser_along():
    verdict = judge(request({DEV_BROWSER: "dvb_1", CLIENT_UAT: UAT}), rules(DEVELOPMENT))
    assert query_of(verdict)[2:] == [
        ("suffixed_cookies", "false"),
        ("__clerk_hs_reason", "client-uat-but-no-session-token"),
        ("format", "nonce"),
        ("__clerk_db_jwt", "dvb_1"),
    ]


def test_without_a_dev_browser_there_is_none_to_take():
    assert "__clerk_db_jwt" not in dict(query_of(judge(request(), rules(DEVELOPMENT))))


def test_production_does_not_take_a_dev_browser_along():
    assert "__clerk_db_jwt" not in dict(query_of(judge(request({DEV_BROWSER: "dvb_1", CLIENT_UAT: UAT}))))


def test_without_a_secret_key_the_handshake_brings_a_token():
    assert dict(query_of(judge(request({CLIENT_UAT: UAT}), rules(has_api=False))))["format"] == "token"


@pytest.mark.parametrize("kind", InstanceKind)
def test_an_expired_bearer_token_goes_to_the_handshake_itself_and_not_the_cookie_s(kind: InstanceKind):
    names = names_of(kind)
    cookies = signed_in(GOOD, names) | {names.dev_browser: "dvb_1"}
    query = dict(query_of(judge(request(cookies, bearer=EXPIRED), rules(kind))))
    assert (query["__session"], query["suffixed_cookies"]) == (EXPIRED, "true")
    assert query.get("__clerk_db_jwt") == ("dvb_1" if kind is DEVELOPMENT else None)


@pytest.mark.parametrize(
    ("count", "is_loop"), [("", False), ("2", False), ("3", True), ("4", True), ("99999", True), ("junk", False)]
)
def test_three_handshakes_in_a_row_are_a_loop(count: str, is_loop: bool):
    verdict = judge(request({CLIENT_UAT: UAT, REDIRECT_COUNT: count}))
    assert verdict.reason == Reason.CLIENT_UAT_BUT_NO_SESSION_TOKEN
    assert verdict.is_loop is is_loop
    assert verdict.state is (State.SIGNED_OUT if is_loop else State.HANDSHAKE)
    assert bool(verdict.location or verdict.cookies) is not is_loop


@pytest.mark.parametrize(
    ("method", "headers"),
    [("HEAD", PAGE), ("POST", PAGE), ("GET", FETCH), ("GET", {"sec-fetch-dest": "frame"}), ("GET", {})],
)
def test_who_cannot_follow_a_handshake_is_signed_out_for_the_same_reason(method: str, headers: dict):
    verdict = judge(request({CLIENT_UAT: UAT}, method=method, headers=headers))
    assert outcome(verdict) == signed_out(Reason.CLIENT_UAT_BUT_NO_SESSION_TOKEN)
    assert not verdict.is_loop


def test_cookies_over_http_are_not_secure():
    facts = request({CLIENT_UAT: UAT})
    url = type(facts.url)("http", "127.0.0.1:8000")
    counter, state = judge(RequestFacts("GET", url, cookies=facts.cookies, headers=PAGE)).cookies
    assert state.name == "__gateway_state"
    assert not any(cookie.secure for cookie in (counter, state))


# The refresh.


def stale(token: str = EXPIRED, **more: str) -> dict[str, str]:
    return signed_in(token, refresh="rt_1") | more


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("headers", [PAGE, FETCH], ids=["page", "fetch"])
def test_an_expired_session_is_refreshed(method: str, headers: dict):
    script = Script(refresh=directives(FRESH))
    verdict = judge(request(stale(), method=method, headers=headers), None, script)
    assert (outcome(verdict), verdict.how, verdict.location) == (SIGNED_IN, How.REFRESH, "")
    assert verdict.token == Secret(FRESH)
    assert cookie_values(verdict) == {NAMES.client_uat: UAT, NAMES.session: FRESH}
    assert all(cookie.secure for cookie in verdict.cookies)
    assert script.asked == [NeedKey, NeedRefresh, NeedKey]


def test_a_loop_counter_does_not_keep_from_refreshing():
    assert outcome(judge(request(stale(**{REDIRECT_COUNT: "9"})), None, Script(refresh=directives(FRESH)))) == SIGNED_IN


@pytest.mark.parametrize("carrier", ["cookie", "bearer"])
def test_what_a_refresh_is_asked_with(carrier: str):
    headers = PAGE | {"user-agent": "Browser/1", "origin": APP, "referer": "https://a.test", "accept-language": "de"}
    mine = expired(sid="sess_9")
    cookies, bearer = (stale(mine), None) if carrier == "cookie" else (stale(), mine)
    script = Script()
    judge(request(cookies, headers=headers, bearer=bearer), None, script)
    (need,) = [need for need in script.needs if isinstance(need, NeedRefresh)]
    assert need == NeedRefresh(
        session_id="sess_9",
        expired_token=Secret(mine),
        refresh_token=Secret("rt_1"),
        request_origin=APP,
        request_headers={"accept-language": "de", "origin": APP, "user-agent": "Browser/1"},
        client="192.0.2.7",
        suffixed_cookies=True,
    )


def test_no_credential_is_among_the_headers_of_a_refresh():
    assert not {"cookie", "authorization", "proxy-authorization"} & set(REFRESH_HEADERS)


def test_plain_cookies_are_refreshed_as_plain_ones():
    script = Script()
    judge(request({SESSION: EXPIRED, CLIENT_UAT: UAT, NAMES.refresh: "rt_1"}), None, script)
    (need,) = [need for need in script.needs if isinstance(need, NeedRefresh)]
    assert not need.suffixed_cookies


def test_a_remembered_token_that_has_expired_is_refreshed():
    script = Script(refresh=directives(FRESH))
    verdict = judge(request(stale()), None, script, verified=Remembered(EXPIRED, FRESH))
    assert (outcome(verdict), script.asked) == (SIGNED_IN, [NeedRefresh])


@pytest.mark.parametrize(
    ("cookies", "changes", "tail"),
    [
        pytest.param(signed_in(EXPIRED), {}, "non-eligible-no-refresh-cookie", id="no refresh cookie"),
        pytest.param(
            signed_in(EXPIRED) | {"__refresh": "rt_1"}, {}, "non-eligible-no-refresh-cookie", id="only a plain one"
        ),
        pytest.param(
            stale(**{NAMES.refresh: "rt\0"}), {}, "non-eligible-no-refresh-cookie", id="a NUL, which databases fail of"
        ),
        pytest.param(stale(**{NAMES.refresh: "rt 1"}), {}, "non-eligible-no-refresh-cookie", id="a blank"),
        pytest.param(stale(**{NAMES.refresh: "\u20ac"}), {}, "non-eligible-no-refresh-cookie", id="no ASCII"),
        pytest.param(
            stale(**{NAMES.refresh: "r" * 4097}), {}, "non-eligible-no-refresh-cookie", id="more than a cookie holds"
        ),
        pytest.param(stale(), {"refresh_methods": frozenset({"POST"})}, "non-eligible-non-get", id="not this method"),
        pytest.param(stale(), {"refresh_methods": frozenset()}, "non-eligible-non-get", id="no method"),
        pytest.param(stale(), {"has_refresh": False}, "not-configured", id="not configured"),
        pytest.param(stale(expired(sid=...)), {}, "expired-session-token-missing-sid-claim", id="no session id"),
        pytest.param(stale(expired(sid="")), {}, "expired-session-token-missing-sid-claim", id="an empty session id"),
    ],
)
@pytest.mark.parametrize("headers", [PAGE, FETCH], ids=["page", "fetch"])
def test_what_cannot_be_refreshed_is_not_tried(cookies: dict, changes: dict, tail: str, headers: dict):
    script = Script(refresh=directives(FRESH))
    verdict = judge(request(cookies, headers=headers), rules(**changes), script)
    assert outcome(verdict) == (State.HANDSHAKE if headers is PAGE else State.SIGNED_OUT, f"{PREFIX}{tail}")
    assert script.asked == [NeedKey]


def test_a_method_that_may_be_refreshed_is():
    only_get = rules(refresh_methods=frozenset({"GET"}))
    assert outcome(judge(request(stale()), only_get, Script(refresh=directives(FRESH)))) == SIGNED_IN


PLAIN_ONLY = (f"__session={FRESH}",)


@pytest.mark.parametrize(
    ("answer", "tail"),
    [
        pytest.param("fetch-error", "fetch-error", id="the API was not reached"),
        pytest.param("session_refresh_expired_session_token_consumed", ..., id="the API refused"),
        pytest.param("Bad code\r\n", "unexpected-bapi-error", id="the API's code is no code"),
        pytest.param((), "invalid-session-token", id="no cookies"),
        pytest.param(None, "invalid-session-token", id="no answer"),
        pytest.param(("__client_uat=5",), "invalid-session-token", id="no session"),
        pytest.param(directives(""), "invalid-session-token", id="a session that is emptied"),
        pytest.param(directives("junk"), "invalid-session-token", id="junk"),
        pytest.param(directives(EXPIRED), "invalid-session-token", id="expired again"),
        pytest.param(directives(mint("key_2")), "invalid-session-token", id="signed by an unknown key"),
        pytest.param(directives(mint("key_2", header={"kid": "key_1"})), "invalid-session-token", id="badly signed"),
        pytest.param(directives(mint(header={"cat": TEMPLATE})), "invalid-session-token", id="a template token"),
        pytest.param(directives(mint(sub="mch_1")), "invalid-session-token", id="a machine"),
        pytest.param(directives(mint(iss=OTHER_HOST)), "invalid-session-token", id="another instance"),
        pytest.param(directives(mint(sid="sess_2")), "session-mismatch", id="another session"),
        pytest.param(directives(mint(sub="user_2")), "session-mismatch", id="another user"),
        pytest.param((*directives(FRESH), "evil=1"), "unexpected-sdk-error", id="a cookie that is not ours"),
        pytest.param((f"{NAMES.session}={FRESH}\r\nX: 1",), "unexpected-sdk-error", id="a line break"),
        pytest.param((f"{NAMES.session}={FRESH}",) * 17, "unexpected-sdk-error", id="too many cookies"),
        pytest.param((f"{NAMES.session}=" + "x" * 4100,), "unexpected-sdk-error", id="too large a cookie"),
    ],
)
@pytest.mark.parametrize("headers", [PAGE, FETCH], ids=["page", "fetch"])
def test_a_refresh_that_fails_signs_nobody_in_and_sets_nothing_of_it(answer: object, tail: object, headers: dict):
    verdict = judge(request(stale(), headers=headers), None, Script(refresh=answer))
    assert outcome(verdict) == (
        State.HANDSHAKE if headers is PAGE else State.SIGNED_OUT,
        f"{PREFIX}{answer if tail is ... else tail}",
    )
    assert set(cookie_values(verdict)) <= {REDIRECT_COUNT, "__Host-gateway_state"}
    assert verdict.claims is None


def test_a_refreshed_session_may_be_pending():
    verdict = judge(request(stale()), None, Script(refresh=directives(mint(sts="pending"))))
    assert outcome(verdict) == signed_out(Reason.SESSION_PENDING)
    assert NAMES.session in cookie_values(verdict)


def test_a_refresh_may_set_plain_cookies():
    verdict = judge(request(stale()), None, Script(refresh=PLAIN_ONLY))
    assert (outcome(verdict), cookie_values(verdict)) == (SIGNED_IN, {SESSION: FRESH})


def test_a_bearer_token_is_refreshed_to_its_own_session_and_not_the_cookie_s():
    """In the reference a token of one user could come back as another's (quirk Q1)."""
    bob = expired(sid="sess_2", sub="user_2")
    verdict = judge(request(stale(), bearer=bob, headers=FETCH), None, Script(refresh=directives(FRESH)))
    assert outcome(verdict) == signed_out(f"{PREFIX}session-mismatch")


# The handshake that comes back.

NONCE = "__clerk_handshake_nonce=n0nce"
CLEAN = "https://app.example.test/page"


def dev(cookies: dict[str, str] | None = None) -> dict[str, str]:
    return {DEV_BROWSER: "dvb_1"} | (cookies or {})


@pytest.mark.parametrize("kind", InstanceKind)
@pytest.mark.parametrize("place", ["query", "cookie"])
@pytest.mark.parametrize("form", ["nonce", "token"])
def test_a_handshake_brings_a_session(kind: InstanceKind, place: str, form: str):
    names = names_of(kind)
    brought = directives(FRESH, names)
    name, value = (HANDSHAKE_NONCE, "n0nce") if form == "nonce" else (HANDSHAKE, handshake_token(list(brought)))
    script = Script(payload=brought)
    facts = returned({name: value}, query="a=1") if place == "cookie" else returned(query=f"a=1&{name}={value}")
    verdict = judge(facts, rules(kind), script)
    assert (outcome(verdict), verdict.how, verdict.token) == (SIGNED_IN, How.HANDSHAKE, Secret(FRESH))
    assert verdict.location == f"{CLEAN}?a=1"
    removed = {name: ""} if place == "cookie" else {}
    expected = {names.client_uat: UAT, names.session: FRESH, REDIRECT_COUNT: "1"} | removed
    assert cookie_values(verdict) == expected
    first = NeedPayload(Secret("n0nce")) if form == "nonce" else NeedKey("key_1")
    assert script.needs == [first, NeedKey("key_1")]


def test_a_nonce_beats_a_token_and_the_query_beats_the_cookie():
    script = Script(payload=directives(FRESH))
    token = handshake_token(list(directives(GOOD)))
    verdict = judge(returned({HANDSHAKE_NONCE: "other", HANDSHAKE: token}, query=NONCE), None, script)
    assert verdict.token == Secret(FRESH)
    assert script.needs[0] == NeedPayload(Secret("n0nce"))
    removed = {cookie.name for cookie in verdict.cookies if cookie.max_age_s == 0}
    assert removed == {HANDSHAKE, HANDSHAKE_NONCE}


def test_an_empty_parameter_leaves_the_cookie():
    script = Script(payload=directives(FRESH))
    judge(returned({HANDSHAKE_NONCE: "n0nce"}, query="__clerk_handshake_nonce="), None, script)
    assert script.needs[0] == NeedPayload(Secret("n0nce"))


def test_without_a_secret_key_a_nonce_cannot_be_looked_up_but_a_token_can_be_read():
    script = Script(payload=directives(GOOD))
    cookies = {HANDSHAKE_NONCE: "n0nce", HANDSHAKE: handshake_token(list(directives(FRESH)))}
    verdict = judge(returned(cookies), rules(has_api=False), script)
    assert verdict.token == Secret(FRESH)
    nothing = judge(returned({HANDSHAKE_NONCE: "n0nce"}), rules(has_api=False), script)
    assert outcome(nothing) == signed_out(Reason.SESSION_TOKEN_AND_UAT_MISSING)
    assert NeedPayload not in script.asked


@pytest.mark.parametrize("kind", InstanceKind)
@pytest.mark.parametrize("brought", [("__client_uat=0",), ("__session=", "__client_uat=0")])
def test_a_handshake_can_say_that_nobody_is_signed_in(kind: InstanceKind, brought: tuple[str, ...]):
    names = names_of(kind)
    verdict = judge(returned(dev(signed_in(GOOD, names)), query=NONCE), rules(kind), Script(payload=brought))
    assert outcome(verdict) == signed_out(Reason.SESSION_TOKEN_MISSING)
    assert (verdict.location, verdict.how) == (CLEAN, How.HANDSHAKE)
    assert cookie_values(verdict)["__client_uat"] == "0"


def test_a_handshake_can_bring_a_pending_session():
    verdict = judge(returned(query=NONCE), None, Script(payload=directives(mint(sts="pending"))))
    assert (outcome(verdict), verdict.location) == (signed_out(Reason.SESSION_PENDING), CLEAN)
    assert NAMES.session in cookie_values(verdict)


USELESS_PAYLOADS = [
    pytest.param(None, id="unknown"),
    pytest.param((), id="empty"),
    pytest.param("fetch-error", id="an answer of another kind"),
    pytest.param(("evil=1", f"{NAMES.session}={FRESH}"), id="a cookie that is not ours"),
    pytest.param((f"{NAMES.session}={FRESH}; Path=/\r\nX: 1", "x"), id="a line break"),
    pytest.param(("__session",), id="a session without a value"),
    pytest.param((f"__session={FRESH}",) * 200, id="200 cookies"),
    pytest.param(directives("junk"), id="junk for a session"),
    pytest.param(directives(mint("key_2")), id="an unknown key's session"),
    pytest.param(directives(mint(header={"cat": TEMPLATE})), id="a template token for a session"),
    pytest.param(directives(mint(sub="mch_1")), id="a machine's session"),
    pytest.param(directives(mint(iss=OTHER_HOST)), id="another instance's session"),
]


@pytest.mark.parametrize("payload", USELESS_PAYLOADS)
@pytest.mark.parametrize("kind", InstanceKind)
def test_a_useless_nonce_changes_nothing(payload: object, kind: InstanceKind):
    names = names_of(kind)
    good = judge(returned(dev(signed_in(GOOD, names)) | {names.dev_browser: "d"}, query=NONCE), rules(kind),
                 Script(payload=payload))  # fmt: skip
    nobody = judge(returned(dev(), query=NONCE), rules(kind), Script(payload=payload))
    assert outcome(good) == SIGNED_IN
    assert (good.cookies, good.location, good.token) == ((), "", Secret(GOOD))
    assert outcome(nobody) == signed_out(Reason.SESSION_TOKEN_AND_UAT_MISSING)
    assert nobody.cookies == ()


HS_HEADER = b'{"alg":"RS256","kid":"key_1"}'
LIST = list(directives(FRESH))


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("junk", id="junk"),
        pytest.param(handshake_token(LIST, kid="key_2"), id="an unknown key"),
        pytest.param(handshake_token(LIST, kid="key_any") + "A", id="a spoilt signature"),
        pytest.param(sign(HS_HEADER, json.dumps({"handshake": LIST}).encode(), key="key_2"), id="badly signed"),
        pytest.param(handshake_token(LIST, alg="none"), id="no algorithm"),
        pytest.param(handshake_token(LIST, typ="handshake"), id="another type"),
        pytest.param(handshake_token(LIST, cat=TEMPLATE), id="a template token that holds directives"),
        pytest.param(handshake_token(LIST, cat=M2M), id="a machine token"),
        pytest.param(handshake_token(LIST, cat=None), id="a category of null"),
        pytest.param(handshake_token("x"), id="no list"),
        pytest.param(handshake_token(None), id="null"),
        pytest.param(handshake_token([]), id="an empty list"),
        pytest.param(handshake_token([*LIST, 7]), id="a list with something else"),
        pytest.param(GOOD, id="a session token"),
        pytest.param(handshake_token(["evil=1"]), id="a cookie that is not ours"),
    ],
)
@pytest.mark.parametrize("place", ["query", "cookie"])
@pytest.mark.parametrize("kind", InstanceKind)
def test_a_useless_handshake_token_changes_nothing(token: str, place: str, kind: InstanceKind):
    names = names_of(kind)
    cookies = dev(signed_in(GOOD, names)) | {names.dev_browser: "d"}
    facts = (
        returned(cookies | {HANDSHAKE: token})
        if place == "cookie"
        else returned(cookies, query=f"__clerk_handshake={token}")
    )
    verdict = judge(facts, rules(kind))
    assert (outcome(verdict), verdict.token, verdict.cookies) == (SIGNED_IN, Secret(GOOD), ())


def test_a_handshake_token_does_not_expire_and_has_no_issuer():
    token = sign(HS_HEADER, json.dumps({"handshake": LIST, "exp": 1, "iss": "x"}).encode())
    assert judge(returned({HANDSHAKE: token})).token == Secret(FRESH)


@pytest.mark.parametrize(
    ("method", "headers", "more", "is_taken"),
    [
        pytest.param("GET", PAGE, {}, True, id="a page"),
        pytest.param("GET", {"sec-fetch-dest": "iframe"}, {REDIRECT_COUNT: "1"}, True, id="a frame that was sent"),
        pytest.param("GET", {"sec-fetch-dest": "iframe"}, {}, False, id="a frame out of the blue"),
        pytest.param("GET", FETCH, {REDIRECT_COUNT: "1"}, False, id="a script"),
        pytest.param("POST", PAGE, {}, False, id="a form"),
        pytest.param("HEAD", PAGE, {}, False, id="HEAD"),
    ],
)
@pytest.mark.parametrize("place", ["query", "cookie"])
def test_where_an_answer_is_taken(method: str, headers: dict, more: dict, is_taken: bool, place: str):
    script = Script(payload=directives(FRESH))
    cookies = more | ({HANDSHAKE_NONCE: "n0nce"} if place == "cookie" else {})
    verdict = judge(
        returned(cookies, query=NONCE if place == "query" else "", method=method, headers=headers), None, script
    )
    assert (NeedPayload in script.asked) is is_taken
    assert (verdict.state is State.SIGNED_IN) is is_taken


@pytest.mark.parametrize(
    ("kind", "off_s", "is_signed_in"),
    [
        pytest.param(DEVELOPMENT, DEVELOPMENT_SKEW_S - 100, True, id="a developer's clock is slow by a day"),
        pytest.param(DEVELOPMENT, 100 - DEVELOPMENT_SKEW_S, True, id="a developer's clock is fast by a day"),
        pytest.param(DEVELOPMENT, DEVELOPMENT_SKEW_S + 100, False, id="by more than a day"),
        pytest.param(DEVELOPMENT, -100 - DEVELOPMENT_SKEW_S, False, id="by more than a day, the other way"),
        pytest.param(PRODUCTION, 100, False, id="production's clock is right"),
        pytest.param(PRODUCTION, -100, False, id="production's clock is right, the other way"),
    ],
)
def test_after_a_handshake_a_developer_s_clock_may_be_wrong(kind: InstanceKind, off_s: float, is_signed_in: bool):
    when = SECOND + int(off_s)
    token = mint(iat=when, nbf=when - 10, exp=when + 60)
    verdict = judge(returned(dev(), query=NONCE), rules(kind), Script(payload=directives(token, names_of(kind))))
    assert (verdict.state is State.SIGNED_IN) is is_signed_in


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (directives(mint(iss="https://elsewhere.test")), "was refused: token-invalid-issuer"),
        (("evil=1",), "cookies were refused"),
        ((), "nothing that can be used"),
    ],
    ids=["another instance's session", "another's cookie", "nothing"],
)
def test_a_handshake_s_answer_that_is_of_no_use_is_told_to_the_operator(payload: tuple[str, ...], said: str):
    verdict = judge(returned(query=NONCE), None, Script(payload=payload))
    assert verdict.reason == Reason.SESSION_TOKEN_AND_UAT_MISSING
    assert said in verdict.message
    assert judge(returned(), None, Script()).message == ""


def test_keys_that_are_no_keys_are_none():
    assert outcome(judge(returned(bearer=GOOD), None, Script(keys={"key_1": "not a key"}))) == signed_out(
        Reason.JWK_KID_MISMATCH
    )


def test_a_pinned_key_verifies_whatever_the_key_id():
    pinned = known_keys()["key_1"]

    class Pinned(Script):
        def answer(self, need: object) -> object:
            return pinned

    assert outcome(judge(returned(bearer=mint(header={"kid": ...})), None, Pinned())) == SIGNED_IN
