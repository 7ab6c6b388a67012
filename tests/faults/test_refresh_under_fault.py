"""Refreshes when the API, or the client, is at fault: through the whole engine, over real sockets."""

import asyncio
import json
import time

import pytest

from gateway.authenticator.breaker import FAILURES, LONGEST_PAUSE_S
from gateway.authenticator.refreshing import SESSION_OVER, SHARED_S
from gateway.authenticator.refusals import FREE_OF_CLIENT
from gateway.core.reasons import Reason
from gateway.core.verdict import How, State
from tests.authenticator.engine_kit import NAMES, NOW, directives, expired, mint
from tests.faults.bad_server import Behave, be_silent, hang_up, speak_otherwise
from tests.faults.fault_kit import (
    HTML,
    HUGE,
    FaultyApi,
    browser,
    drip,
    refused,
    status_of,
    stop_short,
    whole,
    with_kid,
    world_of,
)

TAIL = "session-token-expired-refresh-"
PATIENT_MS = 60_000


def cookies(*values: str) -> Behave:
    return whole({"object": "cookies", "cookies": list(values)})


def other(token: str) -> Behave:
    return cookies(*directives(token))


# Many at once


async def test_a_thousand_requests_with_one_expired_token_make_one_call_and_get_the_same_cookies():
    header = browser(expired())
    async with world_of(budget_ms=PATIENT_MS) as world:
        asking = [
            world.ask(cookies=header, method=("GET", "POST", "PUT", "DELETE")[number % 4]) for number in range(1000)
        ]
        admissions = await asyncio.gather(*asking)
        assert {status_of(admission) for admission in admissions} == {0}
        assert len({admission.verdict.cookies for admission in admissions}) == 1
        assert world.api.calls["/refresh"] == 1
        world.advance(SHARED_S - 1)
        late = await world.ask(cookies=header)
        assert (late.verdict.how, late.verdict.cookies) == (How.REFRESH, admissions[0].verdict.cookies)
        assert world.api.calls["/refresh"] == 1


async def test_a_thousand_requests_with_one_token_that_cannot_be_traded_make_one_call():
    header = browser(expired())
    async with world_of(budget_ms=PATIENT_MS) as world:
        world.api.behaviour["/refresh"] = refused("session_refresh_expired_session_token_consumed")
        admissions = await asyncio.gather(*(world.ask(cookies=header, method="POST") for _ in range(1000)))
        assert {status_of(admission) for admission in admissions} == {401}
        assert world.api.calls["/refresh"] == 1


async def test_many_sessions_at_once_are_refreshed_with_no_more_calls_at_a_time_than_allowed():
    most = running = 0
    answer = whole({"object": "cookies", "cookies": []})

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        await answer(reader, writer)

    headers = [browser(expired(sid=f"sess_{number}")) for number in range(200)]
    async with world_of(budget_ms=PATIENT_MS, max_concurrent=7) as world:
        world.api.behaviour["/refresh"] = count
        await asyncio.gather(*(world.ask(cookies=header) for header in headers))
        assert world.api.calls["/refresh"] == 200
        assert most <= 7


# An API that is at fault

FAULTS = {
    "dead": (hang_up, "fetch-error"),
    "stops short": (stop_short, "fetch-error"),
    "no HTTP": (speak_otherwise, "fetch-error"),
    "silent": (be_silent, "timeout"),
    "dripping": (drip, "timeout"),
    "HTML": (HTML, "unexpected-sdk-error"),
    "10 MiB": (HUGE, "unexpected-sdk-error"),
    "nothing": (whole(b"", "204 No Content"), "unexpected-bapi-error"),
    "broken JSON": (whole(b'{"cookies": ['), "fetch-error"),
    "no cookies": (cookies(), "unexpected-sdk-error"),
    "cookies: {}": (whole({"object": "cookies", "cookies": {}}), "unexpected-sdk-error"),
    "a number among cookies": (whole({"object": "cookies", "cookies": [1]}), "unexpected-sdk-error"),
    "a token": (whole({"object": "token", "jwt": mint()}), "unexpected-sdk-error"),
    "500": (whole({}, "500 Internal Server Error"), "unexpected-bapi-error"),
    "503 with a list": (refused("service_unavailable", "503 Service Unavailable"), "service_unavailable"),
    "a code that is no word": (refused("\u00e9 <script>"), "unexpected-bapi-error"),
    "another session": (other(mint(sid="sess_2")), "session-mismatch"),
    "another user": (other(mint(sub="user_2")), "session-mismatch"),
    "another key": (other(mint("key_2")), "invalid-session-token"),
    "a forged token": (other(mint("key_2", header={"kid": "key_1"})), "invalid-session-token"),
    "another class": (other(mint(header={"cat": "cl_B7d4PD222AAA"})), "invalid-session-token"),
    "another issuer": (other(mint(iss="https://clerk.evil.test")), "invalid-session-token"),
    "an expired token": (other(expired()), "invalid-session-token"),
    "no session cookie": (cookies("theme=dark; Path=/"), None),
    "a cookie for all hosts": (cookies(f"{NAMES.session}={mint()}; Domain=evil.test"), None),
    "a line end": (cookies(f"{NAMES.session}={mint()}\r\nSet-Cookie: evil=1"), None),
}


@pytest.mark.parametrize(("fault", "tail"), FAULTS.values(), ids=FAULTS)
async def test_a_faulty_api_signs_nobody_in_as_somebody_else_and_has_its_own_tail(fault, tail):
    budget_ms = 100 if tail == "timeout" else PATIENT_MS
    async with world_of(budget_ms=budget_ms) as world:
        world.api.behaviour["/refresh"] = fault
        assert (await world.ask(mint())).verdict.state is State.SIGNED_IN  # the keys are at hand
        admission = await world.ask(cookies=browser(expired()), method="POST")
        if tail is None:
            assert {cookie.name for cookie in admission.verdict.cookies} <= {NAMES.session}
            assert "evil" not in repr(admission.answer) + "".join(map(repr, admission.verdict.cookies))
        else:
            assert (status_of(admission), admission.verdict.reason) == (401, TAIL + tail)
            assert admission.verdict.claims is None
        assert world.api.calls["/refresh"] == 1


async def test_a_redirect_with_the_users_tokens_is_not_followed():
    elsewhere = FaultyApi()
    await elsewhere.start()
    async with world_of() as world:
        away = f"Location: {elsewhere.origin}/v1/sessions/sess_1/refresh"
        for status in ("307 Temporary Redirect", "302 Found"):
            world.api.behaviour["/refresh"] = whole(b"", status, "text/plain", away)
            admission = await world.ask(cookies=browser(expired(jti=status)), method="POST")
            assert admission.verdict.reason == TAIL + "unexpected-bapi-error"
    assert elsewhere.calls == {}
    await elsewhere.stop()


async def test_a_slow_api_costs_no_request_more_than_the_budget():
    async with world_of(budget_ms=100, max_concurrent=2) as world:
        assert status_of(await world.ask(mint())) == 0
        world.api.behaviour["/refresh"] = drip
        headers = [browser(expired(sid=f"sess_{number}")) for number in range(40)]
        started_s = time.monotonic()
        admissions = await asyncio.gather(*(world.ask(cookies=header, method="POST") for header in headers))
        assert time.monotonic() - started_s < 5
        assert {admission.verdict.reason for admission in admissions} <= {TAIL + "timeout", TAIL + "api-unavailable"}


async def test_a_dead_api_is_left_alone_and_found_again(caplog):
    headers = iter([browser(expired(sid="sess_1", jti=str(number))) for number in range(200)])
    async with world_of() as world:
        assert status_of(await world.ask(mint())) == 0
        world.api.behaviour["/refresh"], good = hang_up, world.api.behaviour["/refresh"]
        reasons = [(await world.ask(cookies=next(headers), method="POST")).verdict.reason for _ in range(100)]
        assert reasons == [TAIL + "fetch-error"] * FAILURES + [TAIL + "api-unavailable"] * (100 - FAILURES)
        assert world.api.calls["/refresh"] == FAILURES
        # A token that has not expired is not touched.
        assert status_of(await world.ask(mint())) == 0
        world.api.behaviour["/refresh"] = good
        world.advance(LONGEST_PAUSE_S)
        assert (await world.ask(cookies=next(headers), method="POST")).verdict.how is How.REFRESH
        said = [record.getMessage() for record in caplog.records if "Sessions API" in record.getMessage()]
        assert len(said) == 2


# Clients that are at fault


async def test_a_token_that_this_instance_did_not_sign_asks_for_no_refresh():
    async with world_of() as world:
        for number in range(20):
            forged = with_kid("key_1", expired(sid=f"sess_{number}"))
            assert status_of(await world.ask(cookies=browser(forged), method="POST")) == 401
        assert world.api.calls["/refresh"] == 0


async def test_ten_thousand_invented_refresh_tokens_cost_a_bounded_number_of_calls_and_lock_out_nobody_else():
    leaked = expired()
    async with world_of() as world:
        world.api.behaviour["/refresh"], good = refused("refresh_token_not_found"), world.api.behaviour["/refresh"]
        backed_off = 0
        for number in range(1000):
            header = browser(leaked, f"invented_{number}")
            batch = await asyncio.gather(*(world.ask(cookies=header, method="POST") for _ in range(10)))
            backed_off += sum(admission.verdict.reason == TAIL + "backed-off" for admission in batch)
        assert world.api.calls["/refresh"] <= FREE_OF_CLIENT + 10
        assert backed_off > 9000
        world.api.behaviour["/refresh"] = good
        owner = await world.ask(cookies=browser(leaked), method="POST", client=("198.51.100.7", 4711))
        assert (owner.verdict.state, owner.verdict.how) == (State.SIGNED_IN, How.REFRESH)


# The end of a session


@pytest.mark.parametrize("code", sorted(SESSION_OVER))
async def test_a_session_that_is_over_takes_its_other_tokens_along(code):
    live, newer = mint(), mint(iat=int(NOW) + 30, nbf=int(NOW) + 20, exp=int(NOW) + 300)
    stranger = mint(sid="sess_2", sub="user_2")
    async with world_of() as world:
        for token in (live, stranger):
            assert status_of(await world.ask(token)) == 0
        world.api.behaviour["/refresh"] = refused(code)
        await world.ask(cookies=browser(expired()), method="POST")
        admission = await world.ask(live)
        assert (status_of(admission), admission.verdict.reason) == (401, Reason.SESSION_ENDED)
        assert status_of(await world.ask(stranger)) == 0
        world.advance(35)
        assert status_of(await world.ask(newer)) == 0  # it lives again


@pytest.mark.parametrize(
    "behave",
    [
        refused("refresh_token_not_found"),
        refused("session_refresh_expired_session_token_consumed"),
        refused("refresh_request_origin_azp_mismatch"),
        refused("session_refresh_inactive_session", "502 Bad Gateway"),
        hang_up,
        HTML,
    ],
    ids=["refresh token", "consumed", "origin", "not the API", "dead", "HTML"],
)
async def test_a_strangers_garbage_or_a_fault_ends_no_session(behave):
    live = mint()
    async with world_of() as world:
        assert status_of(await world.ask(live)) == 0
        world.api.behaviour["/refresh"] = behave
        await world.ask(cookies=browser(expired(), "garbage"), method="POST")
        assert status_of(await world.ask(live)) == 0


# What is sent


async def test_the_api_gets_an_allow_list_of_headers_and_no_cookie():
    sent: list[dict[str, object]] = []
    api_answer = other(mint())

    async with world_of() as world:

        async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sent.append(json.loads(world.api.body))
            await api_answer(reader, writer)

        world.api.behaviour["/refresh"] = record
        headers = [
            (b"host", b"app.example.test"),
            (b"cookie", f"{browser(expired())}; theme=dark".encode()),
            (b"user-agent", b"Browser/1"),
            (b"accept-language", b"de"),
            (b"x-api-key", b"private"),
            (b"x-forwarded-for", b"203.0.113.9"),
            (b"authorization", b"Basic cHJpdmF0ZQ=="),
        ]
        admission = await world.ask(headers=headers, method="PATCH")
    assert admission.verdict.how is How.REFRESH
    (body,) = sent
    assert body.pop("expired_token") == expired()
    assert body == {
        "format": "cookie",
        "refresh_token": "rt_1",
        "request_origin": "https://app.example.test",
        "request_headers": {"accept-language": ["de"], "user-agent": ["Browser/1"]},
    }
