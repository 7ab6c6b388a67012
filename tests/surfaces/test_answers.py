"""What the gateway answers itself: complete, uncacheable, honest about the reason and silent about anything else."""

import json
from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.authorization import Reverification
from gateway.core.cookies import SetCookie, removal
from gateway.core.loop_causes import Finding, LoopCause
from gateway.core.reasons import TABLE, Reason, meaning
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.requirement import Requirement
from gateway.core.verdict import State, Verdict
from gateway.surfaces.answers import (
    RETRY_AFTER_S,
    Answer,
    challenge,
    json_answer,
    redirect,
    refusal,
    status_headers,
    unexpected,
)

URL = PublicUrl("https", "app.example.test", "/page", "q=secret")
PERSON = RequestFacts("GET", URL, headers={"sec-fetch-dest": "document", "accept": "text/html"})
PROGRAM = RequestFacts("GET", URL, headers={"accept": "*/*"})
COOKIE = SetCookie("__session", "", 0)


def headers_of(answer: Answer) -> httpx.Headers:
    return httpx.Headers(list(answer.headers))


def problem_of(answer: Answer) -> dict[str, object]:
    return json.loads(answer.body)


@pytest.mark.parametrize("facts", [PERSON, PROGRAM, None], ids=["person", "program", "unreadable"])
@pytest.mark.parametrize("reason", sorted(TABLE))
def test_every_reason_makes_a_complete_answer_for_everybody(reason, facts):
    answer = refusal(facts, reason)
    headers = headers_of(answer)
    assert answer.status == meaning(reason).status
    assert headers["cache-control"] == "no-store"
    assert headers["content-length"] == str(len(answer.body))
    assert headers["x-clerk-auth-status"] == "signed-out"
    assert headers["x-clerk-auth-reason"] == reason
    assert headers["vary"] == "Accept, Authorization, Cookie"
    assert ("www-authenticate" in headers) == (answer.status == 401 or bool(meaning(reason).challenge))
    assert ("retry-after" in headers) == (answer.status == 503)
    assert len(headers.raw) == len({name for name, _ in headers.raw})
    if facts is PERSON:
        assert headers["content-type"].startswith("text/html")
        assert "content-security-policy" in headers
        assert reason.encode() in answer.body
    else:
        assert headers["content-type"] == "application/problem+json"
        document = problem_of(answer)
        assert (document["status"], document["reason"]) == (answer.status, reason)
        assert document["title"]
        assert document["detail"] == meaning(reason).text


def test_a_reason_that_nobody_knows_is_a_401():
    assert refusal(PROGRAM, "something-new").status == 401


def test_head_is_answered_like_get_without_the_body():
    head = RequestFacts("HEAD", URL, headers=PROGRAM.headers)
    for reason in (Reason.SESSION_TOKEN_MISSING, Reason.JWK_REMOTE_DNS):
        get = refusal(PROGRAM, reason)
        answer = refusal(head, reason)
        assert (answer.status, answer.headers, answer.body) == (get.status, get.headers, b"")


def test_the_message_and_the_cookies_of_the_verdict_go_along():
    verdict = Verdict(State.SIGNED_OUT, "token-expired", "it expired 10 s ago", cookies=(COOKIE,))
    headers = headers_of(refusal(PROGRAM, verdict.reason, verdict=verdict))
    assert headers["x-clerk-auth-message"] == "it expired 10 s ago"
    assert headers["set-cookie"] == COOKIE.header().decode()


def test_further_headers_go_along():
    assert headers_of(refusal(PROGRAM, Reason.METHOD_NOT_ALLOWED, headers=[(b"allow", b"GET")]))["allow"] == "GET"


@pytest.mark.parametrize(("asked_s", "said_s"), [(0, RETRY_AFTER_S), (30, 30)])
def test_a_503_says_when_to_come_back(asked_s, said_s):
    verdict = Verdict(State.UNKNOWN, Reason.SECRET_KEY_INVALID, retry_after_s=asked_s)
    answer = refusal(PROGRAM, verdict.reason, verdict=verdict)
    assert headers_of(answer)["retry-after"] == str(said_s)
    assert headers_of(answer)["x-clerk-auth-status"] == "unknown"


@pytest.mark.parametrize(
    ("reason", "header"),
    [
        (Reason.SESSION_TOKEN_MISSING, 'Bearer realm="gateway"'),
        (
            Reason.TOKEN_INVALID_SIGNATURE,
            'Bearer realm="gateway", error="invalid_token", error_description="token-invalid-signature"',
        ),
        (
            "session-token-expired-refresh-timeout",
            'Bearer realm="gateway", error="invalid_token", error_description="session-token-expired-refresh-timeout"',
        ),
    ],
)
def test_a_challenge_names_the_fault_only_where_a_token_was_sent(reason, header):
    assert challenge(reason) == (b"www-authenticate", header.encode())


IN = Verdict(State.SIGNED_IN, cookies=(COOKIE,))


@pytest.mark.parametrize(
    ("asked", "config"),
    [
        ("strict_mfa", "strict_mfa"),
        (Reverification("second_factor", 10), {"level": "second_factor", "afterMinutes": 10}),
    ],
)
def test_a_missing_reverification_is_told_as_clerks_front_end_reads_it(asked, config):
    requirement = Requirement(role="org:admin", reverification=asked)
    answer = refusal(PROGRAM, Reason.REVERIFICATION_REQUIRED, verdict=IN, requirement=requirement)
    headers = headers_of(answer)
    assert answer.status == 403
    assert headers["content-type"] == "application/json"
    assert problem_of(answer) == {
        "clerk_error": {
            "type": "forbidden",
            "reason": "reverification-error",
            "metadata": {"reverification": config},
        }
    }
    assert headers["x-clerk-auth-status"] == "signed-in"
    assert headers["x-clerk-auth-reason"] == "reverification-required"
    assert headers["www-authenticate"].startswith('Bearer realm="gateway", error="insufficient_user_authentication"')
    assert headers["set-cookie"] == COOKIE.header().decode()


def test_a_person_gets_a_page_for_it():
    requirement = Requirement(reverification="strict")
    answer = refusal(PERSON, Reason.REVERIFICATION_REQUIRED, verdict=IN, requirement=requirement)
    assert answer.status == 403
    assert b"Confirm your identity" in answer.body
    assert b"clerk_error" not in answer.body


def test_a_403_page_offers_to_try_again_and_not_to_sign_in():
    answer = refusal(PERSON, Reason.MISSING_ROLE, verdict=IN, sign_in="https://accounts.test/in")
    page = answer.body.decode()
    assert "Switch to another organization" in page
    assert 'href="/page"' in page
    assert "accounts.test" not in page


def test_a_token_with_too_few_scopes_is_told_which():
    requirement = Requirement(scopes=("read", "write"))
    answer = refusal(PROGRAM, Reason.MISSING_SCOPE, verdict=IN, requirement=requirement)
    assert headers_of(answer)["www-authenticate"] == (
        'Bearer realm="gateway", error="insufficient_scope", error_description="missing-scope", scope="read write"'
    )


@given(st.text(st.characters(), max_size=80), st.text(st.characters(), max_size=80))
def test_status_headers_never_hold_what_a_header_may_not(reason, message):
    for name, value in status_headers(State.SIGNED_OUT, reason, message):
        assert value.isascii()
        if name == b"x-clerk-auth-message":
            assert value.decode().isprintable()


# Pages


def test_a_401_page_offers_to_sign_in_and_holds_nothing_of_the_query():
    page = refusal(PERSON, Reason.SESSION_TOKEN_MISSING, sign_in="https://accounts.test/in?a=1&b=2").body.decode()
    assert "https://accounts.test/in?a=1&amp;b=2" in page
    assert "secret" not in page
    assert "Try again" not in page


def test_a_5xx_page_offers_to_try_again_only_where_that_is_safe():
    path = PublicUrl("https", "app.example.test", "/page")
    again = RequestFacts("GET", path, headers=PERSON.headers)
    assert 'href="/page"' in refusal(again, Reason.JWK_REMOTE_DNS).body.decode()
    post = RequestFacts("POST", path, headers=PERSON.headers)
    assert "Try again" not in refusal(post, Reason.JWK_REMOTE_DNS).body.decode()


def test_who_opens_an_address_for_machines_is_not_told_to_sign_in():
    page = refusal(PERSON, Reason.NO_TOKEN_IN_HEADER).body.decode()
    title = problem_of(refusal(PROGRAM, Reason.NO_TOKEN_IN_HEADER))["title"]
    assert title == "This is for programs"
    assert f'<h1 dir="auto">{title}</h1>' in page
    assert "not signed in" not in page


def test_a_path_cannot_write_into_a_page():
    path = PublicUrl("https", "app.example.test", "/'onmouseover='x();//")
    evil = RequestFacts("GET", path, headers=PERSON.headers)
    page = refusal(evil, Reason.JWK_REMOTE_DNS, sign_in="javascript:alert(1)").body.decode()
    assert "'onmouseover='" not in page
    assert "javascript:" not in page


def test_a_stopped_loop_names_its_cause_to_person_operator_and_program():
    known = (("This clock", "about 600 s behind the clock that issues tokens"), ("Setting", "instance.clock_skew_s"))
    loop = Finding(LoopCause.CLOCK_DIFFERENCE, known)
    verdict = Verdict(State.SIGNED_OUT, Reason.SESSION_TOKEN_IAT_IN_THE_FUTURE, loop=loop)
    page = refusal(PERSON, verdict.reason, verdict=verdict, sign_in="https://accounts.test/").body.decode()
    for shown in ("We could not renew your session", "A clock of this site is wrong", "the loop was stopped"):
        assert shown in page
    for shown in ("clock-difference", "about 600 s behind", "instance.clock_skew_s", "(NTP)"):
        assert shown in page
    assert ">Try again<" in page
    assert "accounts.test" not in page
    problem = problem_of(refusal(PROGRAM, verdict.reason, verdict=verdict))
    assert (problem["reason"], problem["cause"]) == ("session-token-iat-in-the-future", "clock-difference")
    assert "cause" not in problem_of(refusal(PROGRAM, verdict.reason, verdict=replace(verdict, loop=None)))


@pytest.mark.parametrize("cause", LoopCause)
def test_every_cause_of_a_loop_has_a_page(cause: LoopCause):
    verdict = Verdict(State.SIGNED_OUT, Reason.DEV_BROWSER_MISSING, loop=Finding(cause, (("<b>", "<i>"),)))
    page = refusal(PERSON, verdict.reason, verdict=verdict).body.decode()
    assert cause in page
    assert "<b><" not in page
    assert "&lt;i&gt;" in page


def test_a_fault_of_ours_says_nothing_of_its_cause():
    for facts in (PERSON, PROGRAM, None):
        answer = unexpected(facts)
        assert answer.status == 500
        assert b"Traceback" not in answer.body
    assert problem_of(unexpected(None))["reason"] == "unexpected-error"


# Redirects


def test_a_redirect_is_a_307_that_nobody_keeps():
    verdict = Verdict(State.HANDSHAKE, "dev-browser-missing", "why", cookies=(removal("__session", secure=True),))
    answer = redirect("https://clerk.test/v1/client/handshake?a=%20", verdict)
    headers = headers_of(answer)
    assert (answer.status, answer.body) == (307, b"")
    assert headers["location"] == "https://clerk.test/v1/client/handshake?a=%20"
    assert headers["cache-control"] == "no-store"
    assert headers["content-length"] == "0"
    assert headers["x-clerk-auth-status"] == "handshake"
    assert headers["x-clerk-auth-message"] == "why"
    assert "Secure" in headers["set-cookie"]


def test_a_signed_in_redirect_carries_no_status():
    assert "x-clerk-auth-status" not in headers_of(redirect("https://app.test/", Verdict(State.SIGNED_IN)))


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        ("https://a.test/?q=%C3%A9&x=[1]'\"", "https://a.test/?q=%C3%A9&x=[1]'\""),
        ("https://a.test/?q=\xe9\xff", "https://a.test/?q=%E9%FF"),
        ("https://a.test/?q=\r\nset-cookie: a=1", "https://a.test/?q=%0D%0Aset-cookie:%20a=1"),
    ],
)
def test_a_location_keeps_its_bytes_and_escapes_what_no_url_may_hold(location, sent):
    assert headers_of(redirect(location, Verdict(State.SIGNED_IN)))["location"] == sent


@given(st.text(st.characters(), max_size=100))
def test_any_location_is_one_line_of_visible_ascii(location):
    value = dict(redirect(location, Verdict(State.SIGNED_IN)).headers)[b"location"]
    assert all(0x21 <= byte < 0x7F for byte in value)


# JSON


def test_a_json_answer_is_not_kept_and_takes_further_headers():
    answer = json_answer(200, {"a": "é"}, [(b"x-more", b"1")])
    headers = headers_of(answer)
    assert (headers["content-type"], headers["cache-control"], headers["x-more"]) == (
        "application/json",
        "no-store",
        "1",
    )
    assert headers["content-length"] == str(len(answer.body))
    assert json.loads(answer.body) == {"a": "é"}
