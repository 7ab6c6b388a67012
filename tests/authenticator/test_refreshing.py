"""One refresh call for each expired token, and the tail of the reason for each way in which it fails."""

import asyncio
from dataclasses import replace

import pytest

from gateway.authenticator.refreshing import SHARED_S, Refreshing
from gateway.core.reasons import RefreshFailure
from gateway.core.secret import Secret
from gateway.core.verdict import NeedRefresh
from gateway.errors import ApiErrorItem, ApiFailed, ApiRefused, ApiUnreachable
from gateway.sessions.wire import BadArgument
from tests.authenticator.engine_kit import Api, Clock, settle

NEED = NeedRefresh(
    session_id="sess_1",
    expired_token=Secret("expired"),
    refresh_token=Secret("rt_1"),
    request_origin="https://app.example.test",
    request_headers={"user-agent": "Browser/1"},
    client="192.0.2.1",
    suffixed_cookies=True,
)
COOKIES = ("__session=new",)


def refused(code: str) -> ApiRefused:
    return ApiRefused(401, [ApiErrorItem(code, "no")])


async def test_the_call_carries_what_the_decision_asked_for():
    api = Api(COOKIES)
    assert await Refreshing(api, 1000).answer(NEED) == COOKIES
    assert api.refreshes == [
        {
            "session_id": "sess_1",
            "expired_token": "expired",
            "refresh_token": "rt_1",
            "request_origin": "https://app.example.test",
            "request_headers": {"user-agent": ["Browser/1"]},
            "suffixed_cookies": True,
        }
    ]


async def test_two_hundred_parallel_requests_make_one_call_and_get_one_answer():
    api = Api(COOKIES, gate=asyncio.Event())
    refreshing = Refreshing(api, 60_000)
    waiting = [asyncio.create_task(refreshing.answer(NEED)) for _ in range(200)]
    await settle()
    api.gate.set()
    assert set(await asyncio.gather(*waiting)) == {COOKIES}
    assert len(api.refreshes) == 1


async def test_late_arrivals_share_the_answer_for_some_seconds_and_no_longer():
    clock, api = Clock(), Api(COOKIES)
    refreshing = Refreshing(api, 1000, timer=clock)
    await refreshing.answer(NEED)
    clock.advance(SHARED_S - 1)
    assert await refreshing.answer(NEED) == COOKIES
    assert len(api.refreshes) == 1
    clock.advance(2)
    await refreshing.answer(NEED)
    assert len(api.refreshes) == 2


@pytest.mark.parametrize(
    "other",
    [
        replace(NEED, refresh_token=Secret("rt_of_somebody_else")),
        replace(NEED, expired_token=Secret("another")),
        replace(NEED, request_origin="https://other.example.test"),
    ],
    ids=["refresh token", "expired token", "origin"],
)
async def test_an_answer_is_shared_only_where_both_tokens_and_the_origin_agree(other):
    api = Api(COOKIES)
    refreshing = Refreshing(api, 1000)
    await refreshing.answer(NEED)
    await refreshing.answer(other)
    assert len(api.refreshes) == 2


async def test_a_failure_is_not_kept_for_late_arrivals():
    api = Api(ApiUnreachable("connect", "refused"))
    refreshing = Refreshing(api, 1000)
    assert await refreshing.answer(NEED) == RefreshFailure.FETCH_ERROR
    api.answer = COOKIES
    assert await refreshing.answer(NEED) == COOKIES


@pytest.mark.parametrize(
    ("error", "tail"),
    [
        (refused("session_refresh_inactive_session"), "session_refresh_inactive_session"),
        (refused("unexpected_error"), RefreshFailure.FETCH_ERROR),
        (ApiFailed(500, "no JSON"), RefreshFailure.UNEXPECTED_BAPI_ERROR),
        (ApiUnreachable("timeout", "slow"), RefreshFailure.TIMEOUT),
        (TimeoutError(), RefreshFailure.TIMEOUT),
        (ApiUnreachable("connect", "refused"), RefreshFailure.FETCH_ERROR),
        (ApiUnreachable("dns", "unknown"), RefreshFailure.FETCH_ERROR),
        (BadArgument("session_id holds a '..' path segment"), RefreshFailure.UNEXPECTED_SDK_ERROR),
    ],
    ids=repr,
)
async def test_each_failure_has_its_own_tail(error, tail):
    assert await Refreshing(Api(error), 1000).answer(NEED) == tail


async def test_an_api_that_does_not_answer_within_the_budget_is_a_timeout():
    api = Api(COOKIES, gate=asyncio.Event())
    assert await Refreshing(api, budget_ms=1).answer(NEED) == RefreshFailure.TIMEOUT


async def test_a_client_that_leaves_does_not_lose_the_answer_for_the_others():
    api = Api(COOKIES, gate=asyncio.Event())
    refreshing = Refreshing(api, 60_000)
    leaving = asyncio.create_task(refreshing.answer(NEED))
    staying = asyncio.create_task(refreshing.answer(NEED))
    await settle()
    leaving.cancel()
    await settle()
    api.gate.set()
    assert await staying == COOKIES
    assert len(api.refreshes) == 1
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_a_fault_of_ours_reaches_everybody_who_waits_and_is_not_kept():
    api = Api(RuntimeError("a fault"))
    refreshing = Refreshing(api, 1000)
    results = await asyncio.gather(*(refreshing.answer(NEED) for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["a fault"] * 3
    api.answer = COOKIES
    assert await refreshing.answer(NEED) == COOKIES


async def test_closing_waits_for_a_running_trade_so_that_no_token_is_lost():
    api = Api(COOKIES, gate=asyncio.Event())
    refreshing = Refreshing(api, 60_000)
    asking = asyncio.create_task(refreshing.answer(NEED))
    await settle()
    closing = asyncio.create_task(refreshing.close())
    await settle()
    assert not closing.done()
    api.gate.set()
    await closing
    assert await asking == COOKIES
