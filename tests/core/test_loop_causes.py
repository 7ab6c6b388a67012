"""Why a loop was stopped: each cause by its traces, the surest first, and never a guess where there are none."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cookies import (
    CLIENT_UAT,
    HANDSHAKE,
    HANDSHAKE_NONCE,
    MAX_BYTES,
    REDIRECT_COUNT,
    SESSION,
    STATE_OVER_HTTPS,
)
from gateway.core.instance import InstanceKind
from gateway.core.loop_causes import WORDS, Finding, LoopCause
from gateway.core.loop_judges import LARGE_HEAD_BYTES, LoopFacts, Unused, Use, find_cause
from gateway.core.reasons import Reason, expired_reason
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.tokens import Expectations
from gateway.core.verdict import State, Verdict
from tests.core.minting import (
    APP,
    DEV_NAMES,
    DEVELOPMENT,
    HOST,
    ISSUER,
    NAMES,
    NOW,
    PAGE,
    PRODUCTION,
    UAT,
    Script,
    directives,
    handshake_token,
    judge,
    mint,
    request,
    returned,
    rules,
    signed_in,
)
from tests.core.test_decision_properties import FACTS, REFRESH, RULES, TUPLES

SECOND = int(NOW)
FOREIGN = "https://clerk.other.test"
HTTP = PublicUrl("http", "app.example.test")
BASE = LoopFacts(
    kind=InstanceKind.DEVELOPMENT,
    frontend_api=HOST,
    issuers=frozenset({ISSUER}),
    url=PublicUrl("https", "app.example.test"),
    reason=Reason.CLIENT_UAT_BUT_NO_SESSION_TOKEN,
)
EXPIRED = expired_reason("non-eligible-no-refresh-cookie")


def refused(reason: Reason, **more: object) -> Unused:
    return Unused(Use.TOKEN, "refused", reason, **more)


@pytest.mark.parametrize(
    ("changes", "cause", "known"),
    [
        pytest.param(
            {"reason": Reason.SESSION_TOKEN_IAT_IN_THE_FUTURE, "issued_ago_s": -600.0},
            LoopCause.CLOCK_DIFFERENCE,
            "about 600 s behind",
            id="the token at hand is of the future",
        ),
        pytest.param(
            {"reason": Reason.SESSION_TOKEN_NBF, "issued_ago_s": -60.0},
            LoopCause.CLOCK_DIFFERENCE,
            "about 60 s behind",
            id="the token at hand is not active yet",
        ),
        pytest.param(
            {"unused": refused(Reason.TOKEN_IAT_IN_THE_FUTURE, issued_ago_s=-3600.0), "issued_ago_s": 7.0},
            LoopCause.CLOCK_DIFFERENCE,
            "about 3600 s behind",
            id="the token that was brought is of the future",
        ),
        pytest.param(
            {"unused": refused(Reason.TOKEN_EXPIRED, issued_ago_s=3600.0)},
            LoopCause.CLOCK_DIFFERENCE,
            "about 3600 s ahead of",
            id="the token that was brought has expired",
        ),
        pytest.param(
            {"reason": EXPIRED, "has_session": True, "issued_ago_s": 7200.0, "issuer": ISSUER},
            LoopCause.CLOCK_DIFFERENCE,
            "about 7200 s ahead of",
            id="the token at hand expired as soon as it came",
        ),
        pytest.param(
            {"unused": refused(Reason.JWK_KID_MISMATCH, issuer=FOREIGN)},
            LoopCause.OTHER_INSTANCE,
            FOREIGN,
            id="no key of ours signed it",
        ),
        pytest.param(
            {"unused": refused(Reason.TOKEN_INVALID_ISSUER)}, LoopCause.OTHER_INSTANCE, "not told", id="no issuer"
        ),
        pytest.param({"issuer": FOREIGN}, LoopCause.OTHER_INSTANCE, FOREIGN, id="the token at hand is another's"),
        pytest.param(
            {"unused": refused(Reason.TOKEN_INVALID_AUTHORIZED_PARTIES)},
            LoopCause.AUTHORIZED_PARTIES,
            "https://app.example.test",
            id="it is for another origin",
        ),
        pytest.param(
            {"unused": Unused(Use.OVERSIZED, "__session is larger")},
            LoopCause.OVERSIZED_COOKIE,
            "__session is larger",
            id="a cookie that browsers would drop",
        ),
        pytest.param(
            {"several": ("__client_uat", "__session")},
            LoopCause.DUPLICATE_COOKIES,
            "__client_uat, __session",
            id="cookies of one name",
        ),
        pytest.param(
            {"url": HTTP, "forwarded_proto": "HTTPS, http"},
            LoopCause.PROXY_NOT_TRUSTED,
            "server.trusted_proxies",
            id="the proxy is not believed",
        ),
        pytest.param(
            {"url": HTTP, "kind": PRODUCTION}, LoopCause.SECURE_OVER_HTTP, "http://app.example.test", id="http"
        ),
        pytest.param(
            {"url": HTTP, "kind": PRODUCTION, "keeps_cookies": False},
            LoopCause.COOKIES_BLOCKED,
            "http://app.example.test",
            id="http, and not even our own cookies",
        ),
        pytest.param({"keeps_cookies": False}, LoopCause.COOKIES_BLOCKED, "did not come back", id="no cookies"),
        pytest.param(
            {"unused": Unused(Use.UNBOUND, "other browser")}, LoopCause.COOKIES_BLOCKED, "differ", id="other cookies"
        ),
        pytest.param({"kind": PRODUCTION}, LoopCause.COOKIE_DOMAIN, HOST, id="no answer came back"),
        pytest.param(
            {"unused": Unused(Use.COOKIES, "a cookie of a name that is not this instance's")},
            LoopCause.ANSWER_REFUSED,
            "a cookie of a name",
            id="the answer was refused",
        ),
        pytest.param(
            {"unused": Unused(Use.EMPTY, "nothing"), "url": HTTP, "kind": PRODUCTION},
            LoopCause.ANSWER_REFUSED,
            "nothing",
            id="the answer was empty, by http after all",
        ),
        pytest.param(
            {"head_bytes": LARGE_HEAD_BYTES + 1}, LoopCause.OVERSIZED_COOKIE, "16385 bytes", id="a very large header"
        ),
        pytest.param({}, LoopCause.UNKNOWN, "", id="nothing speaks for anything"),
        pytest.param({"url": HTTP}, LoopCause.UNKNOWN, "", id="development may use http"),
        pytest.param({"url": HTTP, "forwarded_proto": "http"}, LoopCause.UNKNOWN, "", id="the proxy says http too"),
        pytest.param({"forwarded_proto": "https"}, LoopCause.UNKNOWN, "", id="the proxy is believed"),
        pytest.param({"reason": EXPIRED}, LoopCause.UNKNOWN, "", id="expired without a session"),
        pytest.param({"issuer": ISSUER, "has_session": True}, LoopCause.UNKNOWN, "", id="a good token"),
        pytest.param({"kind": PRODUCTION, "has_session": True}, LoopCause.UNKNOWN, "", id="there is a session"),
    ],
)
def test_a_cause_is_found_by_its_traces(changes: dict, cause: LoopCause, known: str):
    found = find_cause(replace(BASE, **changes))
    assert found.cause is cause
    assert known in " ".join(value for _, value in found.facts)
    assert bool(found.facts) is (cause is not LoopCause.UNKNOWN)


def test_every_cause_has_words_for_the_person_and_for_the_operator():
    assert set(WORDS) == set(LoopCause)
    for words in WORDS.values():
        assert words.person.endswith(".")
        assert words.operator.endswith(".")
        assert words.operator.isascii()
    settings = {LoopCause.COOKIES_BLOCKED, LoopCause.ANSWER_REFUSED}
    for cause in set(LoopCause) - settings - {LoopCause.OVERSIZED_COOKIE, LoopCause.DUPLICATE_COOKIES}:
        assert any(f"{section}." in WORDS[cause].operator for section in ("instance", "server"))


def test_what_a_token_says_is_escaped_and_cut():
    (_, (_, issuer), *_) = find_cause(replace(BASE, issuer="https://evil.test/\x1b[31m" + "x" * 500)).facts
    assert "\x1b" not in issuer
    assert len(issuer) < 200


# Within the decision.

LOOP = {REDIRECT_COUNT: "3"}


def stopped(facts: RequestFacts, kind: InstanceKind = PRODUCTION, script: Script | None = None, **changes) -> Finding:
    verdict = judge(facts, rules(kind, **changes), script)
    assert (verdict.state, verdict.is_loop) == (State.SIGNED_OUT, True)
    return verdict.loop


def test_a_loop_in_the_decision_names_a_wrong_clock():
    ahead = mint(iat=SECOND + 600, nbf=SECOND - 10)
    found = stopped(request(signed_in(ahead, DEV_NAMES, dev_browser="dvb_1") | LOOP), DEVELOPMENT)
    assert found.cause is LoopCause.CLOCK_DIFFERENCE
    assert found.facts[0][1].startswith("about 600 s behind")
    brought = returned({CLIENT_UAT: UAT, HANDSHAKE_NONCE: "n0nce"} | LOOP)
    found = stopped(brought, script=Script(payload=directives(mint(exp=SECOND - 3600, iat=SECOND - 3660, nbf=0))))
    assert found.facts[0][1].startswith("about 3660 s ahead")


def test_a_loop_in_the_decision_names_another_instance():
    brought = returned({CLIENT_UAT: UAT, HANDSHAKE_NONCE: "n0nce"} | LOOP)
    foreign = mint("key_2", iss=FOREIGN)
    assert stopped(brought, script=Script(payload=directives(foreign))).cause is LoopCause.OTHER_INSTANCE
    token = returned({CLIENT_UAT: UAT, HANDSHAKE: mint("key_2")} | LOOP)
    assert stopped(token, has_api=False).cause is LoopCause.OTHER_INSTANCE
    junk = returned({CLIENT_UAT: UAT, HANDSHAKE: "junk"} | LOOP)
    assert stopped(junk, has_api=False).cause is LoopCause.ANSWER_REFUSED
    listless = returned({CLIENT_UAT: UAT, HANDSHAKE: handshake_token("no list")} | LOOP)
    assert stopped(listless, has_api=False).cause is LoopCause.ANSWER_REFUSED


def test_a_loop_in_the_decision_names_the_authorized_parties():
    brought = returned({CLIENT_UAT: UAT, HANDSHAKE_NONCE: "n0nce"} | LOOP)
    expected = Expectations(frozenset({ISSUER}), frozenset({"https://other.test"}), 5.0)
    found = stopped(brought, script=Script(payload=directives(mint())), expected=expected)
    assert found == Finding(
        LoopCause.AUTHORIZED_PARTIES, (("This origin", APP), ("Setting", "instance.authorized_parties"))
    )


def test_a_loop_in_the_decision_names_cookies():
    twice = request({SESSION: mint(), CLIENT_UAT: ("9", "1900000000")[::-1]} | LOOP)
    assert stopped(twice).cause is LoopCause.DUPLICATE_COOKIES
    brought = returned({CLIENT_UAT: UAT, HANDSHAKE_NONCE: "n0nce"} | LOOP)
    large = Script(payload=(f"{NAMES.session}={'x' * MAX_BYTES}",))
    assert stopped(brought, script=large).cause is LoopCause.OVERSIZED_COOKIE
    foreign = Script(payload=("evil=1",))
    assert stopped(brought, script=foreign).cause is LoopCause.ANSWER_REFUSED
    assert stopped(brought).cause is LoopCause.ANSWER_REFUSED
    another_s = request({CLIENT_UAT: UAT, HANDSHAKE_NONCE: "n0nce"} | LOOP)
    assert stopped(another_s).cause is LoopCause.COOKIES_BLOCKED
    without_cookies = returned({STATE_OVER_HTTPS: ""}, query="a=1")
    without_cookies = replace(
        without_cookies, url=replace(without_cookies.url, query=without_cookies.url.query.replace("1.s", "3.s"))
    )
    assert stopped(without_cookies, DEVELOPMENT).cause is LoopCause.COOKIES_BLOCKED
    assert stopped(request({CLIENT_UAT: UAT} | LOOP)).cause is LoopCause.COOKIE_DOMAIN


def test_a_loop_in_the_decision_names_http():
    cookies = {CLIENT_UAT: (UAT,), REDIRECT_COUNT: ("3",)}
    plain = RequestFacts("GET", HTTP, cookies=cookies, headers=PAGE)
    assert stopped(plain).cause is LoopCause.SECURE_OVER_HTTP
    forwarded = replace(plain, headers=PAGE | {"x-forwarded-proto": "https"})
    assert stopped(forwarded).cause is LoopCause.PROXY_NOT_TRUSTED


def test_a_loop_with_a_bearer_token_is_judged_by_that_token():
    found = stopped(request(LOOP, bearer=mint(exp=SECOND - 60, iat=SECOND - 120, nbf=0)))
    assert found.facts[0] == ("This clock", "about 120 s ahead of the clock that issues tokens")


def test_the_message_of_an_answer_that_could_not_be_used_stays():
    verdict = judge(returned({CLIENT_UAT: UAT, HANDSHAKE_NONCE: "n0nce"} | LOOP), rules(), Script(payload=("evil=1",)))
    assert verdict.message.startswith("the handshake's cookies were refused")


@given(FACTS, RULES, REFRESH, TUPLES | st.none())
def test_every_loop_has_a_cause_and_it_tells_no_secret(facts, under, refresh, payload):
    looping = replace(facts, cookies={**facts.cookies, REDIRECT_COUNT: ("3",)})
    verdict: Verdict = judge(looping, under, Script(refresh=refresh, payload=payload))
    if verdict.loop is None:
        return
    told = " ".join(value for _, value in verdict.loop.facts)
    values = [facts.bearer or "", *(value for several in facts.cookies.values() for value in several)]
    assert not any(len(value) > 11 and value in told for value in values)
