"""The decision where a route takes tokens of machines."""

from itertools import product

import pytest

from gateway.core.machine import type_in
from gateway.core.machine_claims import EXPIRED, MachineClaims, Refusal
from gateway.core.reasons import Reason
from gateway.core.token_class import ANY, CATEGORY_IGNORE, CATEGORY_SESSION, SESSION_ONLY, TokenType
from gateway.core.trace import Mark, Recording
from gateway.core.verdict import How, MachineAnswer, NeedKey, NeedMachine, State, Verdict
from tests.core.minting import (
    APP,
    FETCH,
    ISSUER,
    M2M,
    NOW,
    PAGE,
    TEMPLATE,
    UAT,
    Remembered,
    Script,
    expired,
    judge,
    m2m_jwt,
    mint,
    oauth_jwt,
    request,
    rules,
    signed_in,
)

SESSION, API_KEY, M2M_TOKEN, OAUTH = (
    TokenType.SESSION_TOKEN,
    TokenType.API_KEY,
    TokenType.M2M_TOKEN,
    TokenType.OAUTH_TOKEN,
)
KEY_CLAIMS = MachineClaims(type=API_KEY, id="id_1", subject="user_1")


def answer(outcome: MachineClaims | Refusal = KEY_CLAIMS, *, is_cached: bool = False) -> Script:
    return Script(machine=MachineAnswer(outcome, is_cached))


def decided(token: str | None, *accepts: TokenType, script: Script | None = None, **more: object) -> Verdict:
    facts = request(bearer=token, headers=more.pop("headers", FETCH))
    return judge(facts, script=script or answer(), accepts=accepts or ANY, **more)


# Which token is whose


TOKENS = {
    "session": (mint(), SESSION),
    "api key": ("ak_1", API_KEY),
    "opaque m2m": ("mt_1", M2M_TOKEN),
    "m2m jwt": (m2m_jwt(), M2M_TOKEN),
    "opaque oauth": ("oat_1", OAUTH),
    "oauth jwt": (oauth_jwt(), OAUTH),
}


@pytest.mark.parametrize(("name", "kind"), list(product(TOKENS, TokenType)))
def test_a_token_is_accepted_where_its_type_is_and_nowhere_else(name, kind):
    token, own = TOKENS[name]
    verdict = decided(token, kind)
    if kind is own:
        assert verdict.state is State.SIGNED_IN
        assert verdict.token.reveal() == token
        assert (verdict.claims is None) == (verdict.machine is not None) == (own is not SESSION)
    else:
        reason = Reason.TOKEN_TYPE_MISMATCH
        if kind is SESSION and "_" in token[:4]:
            reason = Reason.TOKEN_INVALID  # with an opaque token the session's own shape is at fault
        assert (verdict.state, verdict.reason) == (State.SIGNED_OUT, reason)
        assert verdict.claims is verdict.machine is None


@pytest.mark.parametrize(("origin", "state"), [(APP, State.SIGNED_IN), ("https://other.test", State.SIGNED_OUT)])
@pytest.mark.parametrize("made", [m2m_jwt, oauth_jwt])
def test_what_a_proxy_under_a_path_issued_counts_on_its_own_origin(made, origin, state):
    facts = request(bearer=made(iss=f"{origin}/__clerk"), headers=FETCH)
    assert judge(facts, rules(proxy_path="/__clerk"), answer(), accepts=ANY).state is state


@pytest.mark.parametrize("name", TOKENS)
def test_any_takes_all_of_them(name):
    assert decided(TOKENS[name][0], *ANY).state is State.SIGNED_IN


@pytest.mark.parametrize("name", TOKENS)
def test_without_any_type_nothing_is_taken(name):
    verdict = judge(request(bearer=TOKENS[name][0]), accepts=())
    assert (verdict.state, verdict.reason) == (State.SIGNED_OUT, Reason.TOKEN_TYPE_MISMATCH)


@pytest.mark.parametrize("accepts", [(SESSION, API_KEY), ANY], ids=["list", "any"])
@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (mint(header={"cat": TEMPLATE}), Reason.TOKEN_TYPE_MISMATCH),
        (mint(header={"cat": M2M}), Reason.TOKEN_TYPE_MISMATCH),
        (mint(header={"cat": None}), Reason.TOKEN_TYPE_MISMATCH),
        (oauth_jwt(header={"typ": "AT+JWT"}), Reason.TOKEN_TYPE_MISMATCH),
        ("garbage", Reason.TOKEN_INVALID),
        ("", Reason.TOKEN_INVALID),
        (mint("key_forged", header={"kid": "key_1"}), Reason.TOKEN_INVALID_SIGNATURE),
    ],
    ids=["template", "m2m category of a user", "null category", "typ in capitals", "garbage", "empty", "forged"],
)
def test_what_is_no_machines_token_is_judged_as_a_session(accepts, token, reason):
    verdict = decided(token, *accepts)
    assert (verdict.state, verdict.reason) == (State.SIGNED_OUT, reason)


@pytest.mark.parametrize("token", [mint(), mint(header={"cat": TEMPLATE}), "garbage", "", "a.b.c", "sk_live_1"])
def test_where_machines_alone_count_everything_else_is_of_another_type(token):
    verdict = decided(token, API_KEY, M2M_TOKEN)
    assert (verdict.state, verdict.reason) == (State.SIGNED_OUT, Reason.TOKEN_TYPE_MISMATCH)


def test_a_session_that_is_remembered_is_not_read_again():
    token = mint()
    verdict = decided(token, SESSION, API_KEY, verified=Remembered(token))
    assert (verdict.state, verdict.how) == (State.SIGNED_IN, How.CACHE)


def test_a_session_that_is_remembered_is_no_machine():
    token = mint()
    verdict = decided(token, API_KEY, verified=Remembered(token))
    assert verdict.reason is Reason.TOKEN_TYPE_MISMATCH


# No token in the header


@pytest.mark.parametrize("accepts", [(API_KEY,), (M2M_TOKEN,), (OAUTH,), (API_KEY, OAUTH)])
@pytest.mark.parametrize("headers", [FETCH, PAGE], ids=["fetched", "a page"])
def test_cookies_are_nothing_where_machines_alone_count(accepts, headers):
    facts = request(signed_in(mint()), headers=headers)
    verdict = judge(facts, accepts=accepts)
    assert (verdict.state, verdict.reason) == (State.SIGNED_OUT, Reason.NO_TOKEN_IN_HEADER)
    assert not verdict.location


def test_cookies_count_where_sessions_do():
    assert judge(request(signed_in(mint())), accepts=(API_KEY, SESSION)).state is State.SIGNED_IN


@pytest.mark.parametrize("token", [m2m_jwt(), oauth_jwt(), "ak_1"])
def test_a_machines_token_in_a_cookie_is_none(token):
    verdict = judge(request(signed_in(token)), accepts=ANY)
    assert verdict.state is State.SIGNED_OUT
    assert verdict.reason in {Reason.TOKEN_TYPE_MISMATCH, Reason.TOKEN_INVALID}


def test_nobody_is_nobody_where_both_count():
    verdict = judge(request(), accepts=ANY)
    assert verdict.reason is Reason.SESSION_TOKEN_AND_UAT_MISSING


def test_a_browser_may_still_be_renewed_where_both_count():
    verdict = judge(request({"__client_uat": UAT}), accepts=ANY)
    assert verdict.state is State.HANDSHAKE


def test_an_expired_session_is_still_renewed_where_both_count():
    verdict = judge(request(bearer=expired()), accepts=ANY)
    assert verdict.state is State.HANDSHAKE


# Opaque tokens


@pytest.mark.parametrize(("token", "kind"), [("ak_1", API_KEY), ("mt_1", M2M_TOKEN), ("oat_1", OAUTH)])
@pytest.mark.parametrize(("is_cached", "how"), [(False, How.API), (True, How.CACHE)])
def test_an_opaque_token_is_asked_about_by_its_kind(token, kind, is_cached, how):
    script = answer(is_cached=is_cached)
    verdict = decided(token, script=script)
    assert (verdict.state, verdict.machine, verdict.how) == (State.SIGNED_IN, KEY_CLAIMS, how)
    (need,) = script.needs
    assert isinstance(need, NeedMachine)
    assert (need.kind, need.token.reveal()) == (kind, token)
    assert token not in repr(verdict) + repr(need)


@pytest.mark.parametrize("headers", [FETCH, PAGE], ids=["fetched", "a page"])
def test_what_is_refused_is_signed_out_and_sent_nowhere(headers):
    verdict = decided("ak_1", script=answer(Refusal(Reason.TOKEN_INVALID, "unknown")), headers=headers)
    assert verdict == Verdict(State.SIGNED_OUT, Reason.TOKEN_INVALID, "unknown")


def test_an_answer_that_has_expired_meanwhile_is_none():
    claims = MachineClaims(type=API_KEY, id="", subject="user_1", expires_at_s=NOW)
    verdict = decided("ak_1", script=answer(claims, is_cached=True))
    assert verdict == Verdict(State.SIGNED_OUT, EXPIRED.reason, EXPIRED.message)
    assert decided("ak_1", script=answer(claims, is_cached=True), now_s=NOW - 1).state is State.SIGNED_IN


@pytest.mark.parametrize("token", ["ak_ä", "mt_a.b.c", "oat_" + "x" * 2000])
def test_nobody_is_asked_about_what_can_be_no_token(token):
    script = answer()
    verdict = decided(token, script=script)
    assert (verdict.reason, script.needs) == (Reason.TOKEN_INVALID, [])


def test_without_an_answer_it_is_refused():
    verdict = decided("ak_1", script=Script(machine=None))
    assert (verdict.state, verdict.reason) == (State.SIGNED_OUT, Reason.TOKEN_VERIFICATION_FAILED)


# JWTs


@pytest.mark.parametrize("headers", [FETCH, PAGE], ids=["fetched", "a page"])
@pytest.mark.parametrize(
    "token",
    [
        m2m_jwt(exp=int(NOW) - 60),
        m2m_jwt(nbf=int(NOW) + 60),
        m2m_jwt(iat=int(NOW) + 60),
        m2m_jwt(exp=...),
        m2m_jwt(exp="never"),
        m2m_jwt("key_forged", header={"kid": "key_1"}),
        m2m_jwt("key_forged"),
        m2m_jwt(header={"typ": "at+jwt"}),
        m2m_jwt(header={"alg": "none"}),
        m2m_jwt(header={"alg": "HS256"}),
        m2m_jwt(iss="https://clerk.other.test"),
        oauth_jwt(exp=int(NOW) - 60),
        oauth_jwt("key_forged", header={"kid": "key_1"}),
        oauth_jwt(iss="https://clerk.other.test"),
        oauth_jwt(iss=7),
        oauth_jwt(sub=...),
        oauth_jwt(sub=""),
    ],
)
def test_a_jwt_that_does_not_hold_is_signed_out_and_sent_nowhere(token, headers):
    verdict = decided(token, headers=headers)
    assert (verdict.state, verdict.reason, verdict.machine) == (
        State.SIGNED_OUT,
        Reason.TOKEN_VERIFICATION_FAILED,
        None,
    )
    assert verdict.message
    assert not verdict.location


@pytest.mark.parametrize(
    "token",
    [
        m2m_jwt(header={"cat": CATEGORY_SESSION}),
        m2m_jwt(header={"cat": TEMPLATE}),
        m2m_jwt(header={"cat": CATEGORY_IGNORE}),
        m2m_jwt(header={"cat": None}),
        m2m_jwt(header={"cat": [M2M]}),
        oauth_jwt(header={"cat": CATEGORY_SESSION}),
        oauth_jwt(header={"cat": TEMPLATE}),
        oauth_jwt(header={"cat": M2M}),
    ],
)
def test_a_jwt_of_another_classes_category_is_refused_before_its_key_is_looked_for(token):
    script = answer()
    verdict = decided(token, script=script)
    assert (verdict.reason, script.needs) == (Reason.TOKEN_INVALID, [])


@pytest.mark.parametrize(
    "token",
    [
        m2m_jwt(header={"cat": ...}),
        m2m_jwt(header={"typ": ...}),
        m2m_jwt(iss=...),
        m2m_jwt(nbf=...),
        m2m_jwt(exp=int(NOW) - 4),
        oauth_jwt(header={"typ": "application/at+jwt"}),
        oauth_jwt(header={"cat": CATEGORY_IGNORE}),
        oauth_jwt(header={"cat": ["unheard of"]}),
        oauth_jwt(iss=...),
    ],
)
def test_a_jwt_that_holds_is_accepted_without_a_call(token):
    script = answer()
    verdict = decided(token, script=script)
    assert (verdict.state, verdict.how, script.asked) == (State.SIGNED_IN, How.SIGNATURE, [NeedKey])


def test_a_machine_has_no_authorized_party():
    under = rules()
    expected = type(under.expected)(frozenset({ISSUER}), frozenset({"https://app.example.test"}), 5.0)
    verdict = judge(request(bearer=m2m_jwt()), rules(expected=expected), accepts=ANY)
    assert verdict.state is State.SIGNED_IN


def test_the_claims_are_those_of_the_token():
    m2m, oauth = decided(m2m_jwt()).machine, decided(oauth_jwt()).machine
    assert (m2m.machine_id, m2m.id, m2m.scopes, m2m.user_id) == ("mch_1", "mt_1", ("mch_2", "mch_3"), "")
    assert (oauth.user_id, oauth.client_id, oauth.scopes) == ("user_1", "client_1", ("read", "write"))


# Withholding and telling


@pytest.mark.parametrize(
    ("token", "kind"),
    [*TOKENS.values(), ("garbage", SESSION), (mint(header={"cat": TEMPLATE}), SESSION)],
    ids=[*TOKENS, "garbage", "template"],
)
def test_whose_token_a_text_is_by_its_own_word(token, kind):
    assert type_in(token) is (None if kind is SESSION else kind)


@pytest.mark.parametrize(
    ("token", "accepts", "last"),
    [
        ("ak_1", (M2M_TOKEN,), ("class", Mark.NO)),
        ("garbage", (M2M_TOKEN,), ("class", Mark.NO)),
        ("ak_ä", ANY, ("shape", Mark.NO)),
        ("ak_1", ANY, ("api", Mark.OK)),
        (m2m_jwt(header={"cat": TEMPLATE}), ANY, ("category", Mark.NO)),
        (m2m_jwt(exp=1), ANY, ("exp", Mark.NO)),
        (oauth_jwt(sub=""), ANY, ("subject", Mark.NO)),
    ],
)
def test_what_was_looked_at_is_noted_and_no_token_in_it(token, accepts, last):
    trace = Recording()
    decided(token, *accepts, trace=trace)
    assert (trace.steps[-1].what, trace.steps[-1].mark) == last
    assert not any(token in step.detail for step in trace.steps)


def test_what_the_api_said_is_noted():
    trace = Recording()
    decided("ak_1", script=answer(Refusal(Reason.TOKEN_INVALID, "unknown")), trace=trace)
    assert [(step.what, step.mark) for step in trace.steps[-2:]] == [("api", Mark.ASKED), ("api", Mark.NO)]


def test_sessions_alone_are_the_default():
    assert SESSION_ONLY == (SESSION,)
    assert judge(request(bearer="ak_1")).reason is Reason.TOKEN_INVALID
