"""What a decision tells of itself: each step in order, nothing else decided, and nothing secret told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cookie_rows import rows_for
from gateway.core.cookies import CLIENT_UAT, DEV_BROWSER, HANDSHAKE, HANDSHAKE_NONCE, REDIRECT_COUNT, SESSION
from gateway.core.instance import InstanceKind
from gateway.core.organization_sync import OrganizationPatterns, Pattern
from gateway.core.referrers import KnownPages
from gateway.core.request import RequestFacts
from gateway.core.tokens import Expectations
from gateway.core.trace import MIN_MASKED, Mark, Recording, Step
from gateway.core.verdict import State
from tests.core.minting import (
    APP,
    DEV_NAMES,
    DEVELOPMENT,
    FETCH,
    HOST,
    ISSUER,
    M2M,
    NAMES,
    NOW,
    PAGE,
    PRODUCTION,
    UAT,
    Remembered,
    Script,
    directives,
    expired,
    handshake_token,
    judge,
    mint,
    request,
    returned,
    rules,
    signed_in,
)
from tests.core.test_decision_properties import FACTS, REFRESH, RULES, TUPLES

GOOD, EXPIRED, FRESH = mint(), expired(), mint(jti="fresh")
SECOND = int(NOW)
TRUSTED = Expectations(frozenset({ISSUER}), frozenset({APP}), 5.0)


def told(facts: RequestFacts, kind: InstanceKind = PRODUCTION, script: Script | None = None, **changes: object):
    """The steps of a decision."""
    trace = Recording()
    judge(facts, rules(kind, **changes), script, trace=trace)
    return trace.steps


def marks(steps: tuple[Step, ...]) -> list[tuple[str, Mark]]:
    return [(step.what, step.mark) for step in steps if step.what != "row"]


def detail(steps: tuple[Step, ...], what: str) -> str:
    """The last thing told about this."""
    return [step.detail for step in steps if step.what == what][-1]


OF_A_TOKEN = ("shape", "class", "key", "type", "algorithm", "signature", "sub", "azp", "issuer", "exp", "nbf", "iat")


def test_a_good_bearer_token_is_told_check_by_check():
    steps = told(request(bearer=GOOD), expected=TRUSTED)
    assert marks(steps) == [
        ("token", Mark.CHOSEN),
        ("cookies", Mark.SKIPPED),
        *[(what, Mark.OK) for what in OF_A_TOKEN],
        ("session", Mark.OK),
    ]
    assert detail(steps, "key") == "kid key_1"
    assert detail(steps, "azp") == APP
    assert detail(steps, "exp") == "54 s ahead"
    assert detail(steps, "iat") == "6 s ago"
    assert detail(steps, "session") == "sess_1 of user_1, personal account"


def test_a_check_that_is_not_made_is_told_as_such():
    steps = told(request(bearer=GOOD))
    assert ("azp", Mark.SKIPPED) in marks(steps)
    assert detail(steps, "azp") == f"{APP}; instance.authorized_parties is empty"


@pytest.mark.parametrize(
    ("token", "what", "message"),
    [
        pytest.param("junk", "shape", "it does not have three parts", id="shape"),
        pytest.param(mint(header={"cat": M2M}), "class", "it is not a session token", id="class"),
        pytest.param(mint("key_2"), "key", "no key of this instance has its kid", id="key"),
        pytest.param(mint(header={"typ": "x"}), "type", "its typ is not JWT", id="type"),
        pytest.param(mint(header={"alg": "none"}), "algorithm", "its algorithm is not RS256", id="algorithm"),
        pytest.param(
            mint(algorithm="RS512"), "algorithm", "its algorithm is not the one of its key", id="the key's algorithm"
        ),
        pytest.param(mint("key_2", header={"kid": "key_1"}), "signature", "its signature", id="signature"),
        pytest.param(mint(sub=None), "sub", "its sub is not a text", id="sub"),
        pytest.param(mint(azp="https://evil.test"), "azp", "instance.authorized_parties", id="azp"),
        pytest.param(mint(iss="https://clerk.other.test"), "issuer", "another instance", id="issuer"),
        pytest.param(mint(exp=None), "exp", "its exp is not a time", id="no exp"),
        pytest.param(mint(exp=SECOND + 0.5), "exp", "whole number", id="a broken exp"),
        pytest.param(mint(exp=SECOND - 60), "exp", "it expired 60 s ago", id="exp"),
        pytest.param(mint(nbf=SECOND + 60), "nbf", "it becomes active in 60 s", id="nbf"),
        pytest.param(mint(iat=SECOND + 60), "iat", "it was issued 60 s in the future", id="iat"),
    ],
)
def test_the_check_that_does_not_hold_is_named_and_those_before_it_hold(token: str, what: str, message: str):
    steps = [step for step in told(request(bearer=token, headers=FETCH), expected=TRUSTED) if step.what in OF_A_TOKEN]
    assert [step.what for step in steps] == list(OF_A_TOKEN[: OF_A_TOKEN.index(what) + 1])
    assert {step.mark for step in steps[:-1]} <= {Mark.OK}
    assert steps[-1].mark is Mark.NO
    assert message in steps[-1].detail


def test_each_row_is_told_until_one_applies():
    for index, cookies, kind in [
        (2, {}, DEVELOPMENT),
        (0, {}, PRODUCTION),
        (1, {SESSION: GOOD}, PRODUCTION),
    ]:
        rows = [step for step in told(request(cookies), kind) if step.what == "row"]
        table = rows_for(kind, satellite=False)
        assert [row.mark for row in rows] == [Mark.SKIPPED] * index + [Mark.CHOSEN]
        assert rows[-1].detail == f"{table[index].when}: {table[index].reason}"
    rows = [step for step in told(request(signed_in(GOOD))) if step.what == "row"]
    table = rows_for(PRODUCTION, satellite=False)
    assert [(row.mark, row.detail) for row in rows] == [(Mark.SKIPPED, row.when) for row in table]


def test_the_family_of_cookies_is_told_with_the_rule_that_chose_it():
    plain = told(request({SESSION: (GOOD, EXPIRED), CLIENT_UAT: UAT}))
    assert detail(plain, "cookies") == "__session x2, __client_uat"
    assert detail(plain, "family") == "plain cookies (rule 3: there are no suffixed cookies)"
    assert detail(plain, "session cookie").startswith("__session, #")
    assert detail(plain, "client") == "__client_uat: changed 1000 s ago"
    suffixed = told(request(signed_in(GOOD)))
    assert detail(suffixed, "family").startswith("suffixed cookies (rule 8: ")
    assert detail(suffixed, "session cookie").startswith(f"{NAMES.session}, #")
    nobody = told(request())
    assert detail(nobody, "cookies") == "none of this instance"
    assert detail(nobody, "session cookie") == "no __session"
    assert detail(nobody, "client") == "no active client in __client_uat"


@pytest.mark.parametrize(
    ("cookies", "query", "expected"),
    [
        pytest.param({}, "", "none in __clerk_db_jwt", id="none"),
        pytest.param({DEV_BROWSER: "dvb_1"}, "", "__clerk_db_jwt, #", id="plain"),
        pytest.param(signed_in(GOOD, DEV_NAMES, dev_browser="dvb_1"), "", f"{DEV_NAMES.dev_browser}, #", id="suffixed"),
        pytest.param({}, "__clerk_db_jwt=dvb_1", "the URL, #", id="in the URL"),
    ],
)
def test_the_dev_browser_is_told_by_its_place(cookies: dict, query: str, expected: str):
    assert detail(told(request(cookies, query=query), DEVELOPMENT), "dev browser").startswith(expected)


def test_a_refresh_is_told_with_its_outcome():
    browser = request(signed_in(EXPIRED, refresh="rt_1"))
    good = told(browser, script=Script(refresh=directives(FRESH)))
    assert ("refresh", Mark.OK) in marks(good)
    assert detail(good, "refresh") == "it brought a new token"
    refused = told(browser, script=Script(refresh="session_refresh_inactive_session"))
    assert detail(refused, "refresh") == "session_refresh_inactive_session"
    assert "its cookies are refused" in detail(told(browser, script=Script(refresh=("evil=1",))), "refresh")
    other = told(browser, script=Script(refresh=directives(mint(sid="sess_2"))))
    assert detail(other, "refresh") == "it brought another session"
    assert told(browser, script=Script(refresh=directives("junk")))[-2].detail == "it does not have three parts"


def test_a_handshake_is_told_or_why_there_is_none():
    waiting = signed_in(GOOD) | {NAMES.client_uat: str(SECOND)}
    chosen = told(request(waiting | {REDIRECT_COUNT: "1"}))
    assert detail(chosen, "handshake") == "for session-token-iat-before-client-uat; number 2 of 3 in a row"
    assert detail(chosen, "handshakes") == "1 within the last seconds"
    assert "a loop" in detail(told(request(waiting | {REDIRECT_COUNT: "3"})), "handshake")
    assert detail(told(request(waiting, method="POST")), "handshake").endswith("its method is POST")
    assert "Sec-Fetch-Dest is empty" in detail(told(request(waiting, headers=FETCH)), "handshake")
    assert "no Sec-Fetch-Dest" in detail(told(request(waiting, headers={})), "handshake")


def test_the_answer_of_a_handshake_is_told():
    nonce = returned({HANDSHAKE_NONCE: "nonce_1"})
    assert "nothing that can be used" in detail(told(nonce), "handshake answer")
    assert "was not taken" in detail(told(request({HANDSHAKE_NONCE: "nonce_1"})), "handshake answer")
    good = told(nonce, script=Script(payload=directives(FRESH)))
    assert ("handshake answer", Mark.CHOSEN) in marks(good)
    assert NAMES.session in detail(good, "handshake answer")
    assert "cookies were refused" in detail(told(nonce, script=Script(payload=("evil=1",))), "handshake answer")
    refused = told(nonce, script=Script(payload=directives(mint("key_2"))))
    assert detail(refused, "handshake answer").endswith("no key of this instance has its kid")
    token = told(returned(query=f"__clerk_handshake={handshake_token(list(directives(FRESH)))}"))
    assert ("handshake answer", Mark.OK) in marks(token)
    foreign = told(returned({HANDSHAKE: mint("key_2")}))
    assert ("key", Mark.NO) in marks(foreign)


def test_what_a_good_session_has_to_follow_is_told():
    patterns = OrganizationPatterns((Pattern.parse("/page"), Pattern.parse("/:slug")), (Pattern.parse("/page"),))
    organized = mint(o={"id": "org_1", "slg": "acme"})
    known = KnownPages(HOST)
    page = request(signed_in(organized), headers=PAGE | {"referer": "https://elsewhere.test/"})
    assert ("referrer", Mark.NO) in marks(told(page, known_pages=known))
    page = request(signed_in(organized))
    assert ("referrer", Mark.OK) in marks(told(page, known_pages=known))
    assert ("referrer", Mark.SKIPPED) in marks(told(page))
    assert ("organization", Mark.SKIPPED) in marks(told(page))
    personal = OrganizationPatterns(personal=patterns.personal)
    steps = told(page, organizations=personal)
    assert ("organization", Mark.NO) in marks(steps)
    assert detail(steps, "organization") == "the path is for the personal account; active: organization org_1"
    ours = OrganizationPatterns((Pattern.parse("/:slug"),))
    assert ("organization", Mark.OK) in marks(
        told(request(signed_in(mint(o={"id": "1", "slg": "page"}))), organizations=ours)
    )


@given(FACTS, RULES, REFRESH, TUPLES | st.none(), st.sampled_from([Remembered(), Remembered(GOOD, EXPIRED)]))
def test_taking_notes_changes_no_verdict_and_tells_no_secret(facts, under, refresh, payload, verified):
    trace = Recording()
    verdict = judge(facts, under, Script(refresh=refresh, payload=payload), verified=verified, trace=trace)
    assert verdict == judge(facts, under, Script(refresh=refresh, payload=payload), verified=verified)
    everything = "\n".join(f"{step.what} {step.mark} {step.detail}" for step in trace.steps)
    values = [facts.bearer or "", *(value for several in facts.cookies.values() for value in several)]
    for secret in values + [cookie.value for cookie in verdict.cookies]:
        assert len(secret) < MIN_MASKED or secret not in everything
    if verdict.state is State.SIGNED_IN:
        assert any(step.mark is Mark.OK for step in trace.steps)
