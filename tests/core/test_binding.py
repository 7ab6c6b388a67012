"""A handshake's answer is for the browser that asked; a browser without cookies is not sent in circles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import binding
from gateway.core.cookies import HANDSHAKE_NONCE, REDIRECT_COUNT, STATE, STATE_OVER_HTTPS
from gateway.core.organization_sync import OrganizationPatterns, Pattern
from gateway.core.reasons import Reason
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.verdict import How, NeedPayload, State
from tests.core import minting
from tests.core.minting import FETCH, NEW_STATE, PAGE, UAT, Script, directives, judge, mint, request, rules, signed_in

MINE, THEIRS = minting.STATE, "t" * 43
GOOD, FRESH = mint(), mint(jti="fresh")
NONCE = "__clerk_handshake_nonce=n0nce"


def over(scheme: str, cookies: dict[str, str], query: str = "") -> RequestFacts:
    url = PublicUrl(scheme, "app.example.test", "/page", query)
    return RequestFacts("GET", url, cookies={name: (value,) for name, value in cookies.items()}, headers=PAGE)


@pytest.mark.parametrize(
    ("cookie", "query", "is_bound"),
    [
        pytest.param(MINE, f"__gateway_state=1.{MINE}", True, id="they agree"),
        pytest.param(MINE, f"a=1&__gateway_state=3.{MINE}&b=2", True, id="whatever the count and the neighbours"),
        pytest.param(MINE, f"__gateway_state=1%2E{MINE}", True, id="an escaped letter is the letter"),
        pytest.param(MINE, "", False, id="a cookie without a state in the address"),
        pytest.param("", f"__gateway_state=1.{MINE}", False, id="a state without a cookie"),
        pytest.param("", "", False, id="neither"),
        pytest.param(THEIRS, f"__gateway_state=1.{MINE}", False, id="another's"),
        pytest.param(MINE, f"__gateway_state={MINE}", False, id="no count"),
        pytest.param(MINE, f"__gateway_state=1.{MINE[:-1]}", False, id="shorter"),
        pytest.param(MINE, f"__gateway_state=1.{MINE}x", False, id="longer"),
        pytest.param(MINE, f"__gateway_state=1.{MINE}&__gateway_state=1.{MINE}", False, id="twice"),
        pytest.param(MINE, f"__gateway_state=1.{THEIRS}&__gateway_state=1.{MINE}", False, id="behind another's"),
        pytest.param((MINE, THEIRS), f"__gateway_state=1.{MINE}", False, id="two cookies"),
        pytest.param((THEIRS, MINE), f"__gateway_state=1.{MINE}", False, id="two cookies, the other way"),
        pytest.param("short", "__gateway_state=1.short", False, id="too short for a secret"),
        pytest.param("x" * 65, f"__gateway_state=1.{'x' * 65}", False, id="too long"),
        pytest.param("x" * 4000, f"__gateway_state=1.{'x' * 4000}", False, id="far too long"),
        pytest.param("é" * 43, f"__gateway_state=1.{'%C3%A9' * 43}", False, id="not ASCII"),
        pytest.param("a b" * 15, f"__gateway_state=1.{'a+b' * 15}", False, id="blanks"),
        pytest.param(MINE, f"__gateway_state=1.{MINE}%00", False, id="a control character"),
        pytest.param(MINE, f"__gateway_state=1.{MINE}%0A", False, id="a line end"),
        pytest.param(MINE, f"__gateway_state=-1.{MINE}", False, id="a negative count"),
        pytest.param(MINE, f"__gateway_state=1000.{MINE}", False, id="a count of four digits"),
    ],
)
def test_an_address_and_a_browser_belong_together(cookie: str | tuple[str, ...], query: str, is_bound: bool):
    facts = request({STATE_OVER_HTTPS: cookie}, query=query)
    assert binding.is_bound(facts) is is_bound
    script = Script(payload=directives(FRESH))
    facts = request({STATE_OVER_HTTPS: cookie}, query="&".join(filter(None, [NONCE, query])))
    verdict = judge(facts, None, script)
    assert (verdict.how is How.HANDSHAKE, NeedPayload in script.asked) == (is_bound, is_bound)
    if not is_bound:
        assert verdict.reason == Reason.SESSION_TOKEN_AND_UAT_MISSING
        assert "was not taken" in verdict.message
        assert verdict.cookies == ()


@given(st.text(max_size=70), st.text(max_size=70))
def test_any_state_can_be_read(cookie: str, sent: str):
    facts = request({STATE_OVER_HTTPS: cookie}, query=f"__gateway_state={sent}")
    assert binding.is_bound(facts) in (True, False)
    assert binding.attempts(facts) >= 0


def test_the_cookie_is_this_host_s_alone_over_https():
    (counter, state) = judge(over("https", {"__client_uat": UAT})).cookies
    assert state.header() == (
        f"__Host-gateway_state={NEW_STATE}; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax".encode()
    )
    assert counter.name == REDIRECT_COUNT


def test_the_cookie_has_a_plain_name_over_http():
    (_, state) = judge(over("http", {"__client_uat": UAT})).cookies
    assert state.header() == f"__gateway_state={NEW_STATE}; Path=/; Max-Age=600; HttpOnly; SameSite=Lax".encode()


@pytest.mark.parametrize(("scheme", "name"), [("https", STATE), ("http", STATE_OVER_HTTPS)])
def test_a_cookie_of_the_other_scheme_s_name_counts_for_nothing(scheme: str, name: str):
    assert not binding.is_bound(over(scheme, {name: MINE}, f"__gateway_state=1.{MINE}"))


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [
        pytest.param(MINE, MINE, id="tabs share it"),
        pytest.param("", NEW_STATE, id="none"),
        pytest.param("junk", NEW_STATE, id="junk"),
        pytest.param((MINE, THEIRS), NEW_STATE, id="two"),
        pytest.param("x" * 65, NEW_STATE, id="too long"),
    ],
)
def test_a_state_that_the_browser_holds_is_used_again(cookie: str | tuple[str, ...], expected: str):
    verdict = judge(request({"__client_uat": UAT, STATE_OVER_HTTPS: cookie}))
    assert minting.cookie_values(verdict)[STATE_OVER_HTTPS] == expected
    assert f"__gateway_state%3D1.{expected}" in verdict.location


def test_the_state_of_the_address_before_is_not_kept():
    verdict = judge(request({"__client_uat": UAT, STATE_OVER_HTTPS: MINE}, query=f"a=1&__gateway_state=1.{THEIRS}"))
    assert verdict.location.count("__gateway_state") == 1
    assert f"a%3D1%26__gateway_state%3D1.{MINE}" in verdict.location


def test_another_s_answer_leaves_a_session_as_it_is():
    facts = request(signed_in(GOOD) | {STATE_OVER_HTTPS: MINE}, query=f"{NONCE}&__gateway_state=1.{THEIRS}")
    verdict = judge(facts, None, Script(payload=directives(mint(sub="mallory", sid="sess_9"))))
    assert (verdict.state, verdict.token.reveal(), verdict.cookies) == (State.SIGNED_IN, GOOD, ())


def test_another_s_answer_begins_the_handshake_anew_where_one_is_due():
    facts = request({"__client_uat": UAT}, query=f"{NONCE}&__gateway_state=1.{THEIRS}")
    verdict = judge(facts, None, Script(payload=directives(FRESH)))
    assert (verdict.state, verdict.reason) == (State.HANDSHAKE, Reason.CLIENT_UAT_BUT_NO_SESSION_TOKEN)
    assert "n0nce" not in verdict.location
    assert THEIRS not in verdict.location


@pytest.mark.parametrize(("method", "headers"), [("POST", PAGE), ("GET", FETCH), ("GET", {"sec-fetch-dest": "iframe"})])
def test_a_form_a_script_and_a_frame_take_nothing_even_with_the_state(method: str, headers: dict[str, str]):
    script = Script(payload=directives(FRESH))
    verdict = judge(minting.returned(query=NONCE, method=method, headers=headers), None, script)
    assert (verdict.how, script.needs) == (How.NOTHING, [])


def follow_without_cookies(count: int) -> list[tuple[State, bool]]:
    """What a browser meets that keeps no cookie and follows every redirect."""
    query, met = NONCE, []
    for number in range(count):
        verdict = judge(
            request({"__client_uat": UAT}, query=query),
            rules(new_state=lambda number=number: f"{number}" * 43),
            Script(payload=directives(FRESH)),
        )
        met.append((verdict.state, verdict.loop is not None))
        if verdict.state is not State.HANDSHAKE:
            break
        query = f"{NONCE}&__gateway_state={number + 1}.{str(number) * 43}"
        assert f"__gateway_state%3D{number + 1}.{str(number) * 43}" in verdict.location
    return met


def test_a_browser_without_cookies_is_stopped_after_three_handshakes():
    assert follow_without_cookies(9) == [(State.HANDSHAKE, False)] * 3 + [(State.SIGNED_OUT, True)]


def test_from_where_it_was_stopped_a_browser_that_keeps_cookies_again_may_go_on():
    query = f"__gateway_state=3.{THEIRS}"
    stopped = judge(request({"__client_uat": UAT}, query=query))
    assert stopped.loop is not None
    assert minting.cookie_values(stopped) == {STATE_OVER_HTTPS: NEW_STATE}
    again = judge(request({"__client_uat": UAT, STATE_OVER_HTTPS: NEW_STATE}, query=query))
    assert again.state is State.HANDSHAKE
    assert minting.cookie_values(again)[REDIRECT_COUNT] == "1"


@pytest.mark.parametrize(
    ("cookies", "query", "count"),
    [
        ({}, "", 0),
        ({REDIRECT_COUNT: "2"}, "", 2),
        ({REDIRECT_COUNT: "2"}, f"__gateway_state=1.{MINE}", 2),
        ({}, f"__gateway_state=2.{MINE}", 2),
        ({}, f"__gateway_state=999.{MINE}", 3),
        ({}, "__gateway_state=2.x", 0),
        ({STATE_OVER_HTTPS: "junk"}, f"__gateway_state=3.{MINE}", 0),
        ({STATE_OVER_HTTPS: MINE, REDIRECT_COUNT: "1"}, f"__gateway_state=3.{MINE}", 1),
    ],
)
def test_handshakes_are_counted_by_the_cookie_or_else_by_the_address(cookies: dict[str, str], query: str, count: int):
    assert binding.attempts(request(cookies, query=query)) == count


# The clean address.


@pytest.mark.parametrize(("sent", "kept"), [("", "1"), ("1", "1"), ("2", "2"), ("7", "7")])
def test_the_counter_goes_along_to_the_clean_address(sent: str, kept: str):
    """However long the handshake took: the next page has the same Referer, which must not begin another."""
    facts = minting.returned({REDIRECT_COUNT: sent}, query=NONCE)
    verdict = judge(facts, None, Script(payload=directives(FRESH)))
    assert minting.cookie_values(verdict)[REDIRECT_COUNT] == kept


def test_an_organization_that_a_handshake_did_not_bring_is_not_asked_for_again():
    patterns = OrganizationPatterns(personal=(Pattern.parse("/page"),))
    verdict = judge(
        minting.returned(query=NONCE), rules(organizations=patterns), Script(payload=directives(mint(o={"id": "o_1"})))
    )
    assert (verdict.state, minting.cookie_values(verdict)[REDIRECT_COUNT]) == (State.SIGNED_IN, "3")


def test_the_state_crosses_to_nobody():
    assert {STATE, STATE_OVER_HTTPS} <= minting.NAMES.private
    assert not {STATE, STATE_OVER_HTTPS} & minting.NAMES.settable
    assert {STATE, STATE_OVER_HTTPS, HANDSHAKE_NONCE} <= minting.NAMES.read


def test_the_parameter_goes_on_unchanged_where_nothing_was_taken():
    """The application sees it as it sees any parameter; it is worth nothing without the cookie."""
    verdict = judge(request(signed_in(GOOD), query=f"__gateway_state=1.{MINE}"))
    assert (verdict.state, verdict.location) == (State.SIGNED_IN, "")
