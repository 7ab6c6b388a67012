"""One refresh call for each expired token, and the tail of the reason for each way in which it fails."""

import asyncio
from dataclasses import replace

import pytest

from gateway.authenticator.breaker import FAILURES, FIRST_PAUSE_S
from gateway.authenticator.refreshing import REFUSED_S, SESSION_OVER, SHARED_S, Refreshing
from gateway.authenticator.refusals import FREE_OF_CLIENT
from gateway.core.reasons import RefreshFailure
from gateway.core.secret import Secret
from gateway.core.settings_model import RefreshSettings
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


def budget(milliseconds: int, **settings: int) -> RefreshSettings:
    return RefreshSettings(budget_ms=milliseconds, **settings)


def refused(code: str) -> ApiRefused:
    return ApiRefused(401, [ApiErrorItem(code, "no")])


async def test_the_call_carries_what_the_decision_asked_for():
    api = Api(COOKIES)
    assert await Refreshing(api, budget(1000)).answer(NEED) == COOKIES
    assert api.refreshes == [NEED]


async def test_two_hundred_parallel_requests_make_one_call_and_get_one_answer():
    api = Api(COOKIES, gate=asyncio.Event())
    refreshing = Refreshing(api, budget(60_000))
    waiting = [asyncio.create_task(refreshing.answer(NEED)) for _ in range(200)]
    await settle()
    api.gate.set()
    assert set(await asyncio.gather(*waiting)) == {COOKIES}
    assert len(api.refreshes) == 1


async def test_late_arrivals_share_the_answer_for_some_seconds_and_no_longer():
    clock, api = Clock(), Api(COOKIES)
    refreshing = Refreshing(api, budget(1000), clock)
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
    refreshing = Refreshing(api, budget(1000))
    await refreshing.answer(NEED)
    await refreshing.answer(other)
    assert len(api.refreshes) == 2


async def test_a_failure_is_not_kept_for_late_arrivals():
    api = Api(ApiUnreachable("connect", "refused"))
    refreshing = Refreshing(api, budget(1000))
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
    assert await Refreshing(Api(error), budget(1000)).answer(NEED) == tail


async def test_an_api_that_does_not_answer_within_the_budget_is_a_timeout():
    api = Api(COOKIES, gate=asyncio.Event())
    assert await Refreshing(api, budget(1)).answer(NEED) == RefreshFailure.TIMEOUT


async def test_a_client_that_leaves_does_not_lose_the_answer_for_the_others():
    api = Api(COOKIES, gate=asyncio.Event())
    refreshing = Refreshing(api, budget(60_000))
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
    refreshing = Refreshing(api, budget(1000))
    results = await asyncio.gather(*(refreshing.answer(NEED) for _ in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["a fault"] * 3
    api.answer = COOKIES
    assert await refreshing.answer(NEED) == COOKIES


async def test_closing_waits_for_a_running_trade_so_that_no_token_is_lost():
    api = Api(COOKIES, gate=asyncio.Event())
    refreshing = Refreshing(api, budget(60_000))
    asking = asyncio.create_task(refreshing.answer(NEED))
    await settle()
    closing = asyncio.create_task(refreshing.close())
    await settle()
    assert not closing.done()
    api.gate.set()
    await closing
    assert await asking == COOKIES


# Refusals


async def test_late_arrivals_get_the_same_refusal_for_a_short_time():
    clock, api = Clock(), Api(refused("refresh_token_not_found"))
    refreshing = Refreshing(api, budget(1000), clock)
    for _ in range(20):
        assert await refreshing.answer(NEED) == "refresh_token_not_found"
    assert len(api.refreshes) == 1
    clock.advance(REFUSED_S + 1)
    await refreshing.answer(NEED)
    assert len(api.refreshes) == 2


async def test_a_session_that_is_refused_again_and_again_is_asked_for_ever_less_often():
    clock, api = Clock(), Api(refused("session_refresh_inactive_session"))
    refreshing = Refreshing(api, budget(1000), clock)
    tails = set()
    for _ in range(600):
        tails.add(await refreshing.answer(NEED))
        clock.advance(1)
    assert tails == {"session_refresh_inactive_session", RefreshFailure.BACKED_OFF}
    assert len(api.refreshes) < 600 / 20


async def test_inventing_refresh_tokens_is_held_back_by_the_address():
    clock, api = Clock(), Api(refused("refresh_token_not_found"))
    refreshing = Refreshing(api, budget(1000), clock)
    for number in range(2000):
        await refreshing.answer(replace(NEED, refresh_token=Secret(f"invented {number}")))
        clock.advance(0.01)
    assert len(api.refreshes) < FREE_OF_CLIENT + 10


async def test_inventing_them_all_at_once_gains_nothing():
    api = Api(refused("refresh_token_not_found"), gate=asyncio.Event())
    refreshing = Refreshing(api, budget(60_000, max_concurrent=8), Clock())
    needs = [replace(NEED, refresh_token=Secret(f"invented {number}")) for number in range(1000)]
    waiting = [asyncio.create_task(refreshing.answer(need)) for need in needs]
    await settle()
    api.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"refresh_token_not_found", RefreshFailure.BACKED_OFF}
    assert len(api.refreshes) < FREE_OF_CLIENT + 10


async def test_a_stranger_with_the_expired_token_does_not_keep_its_owner_from_refreshing():
    clock, api = Clock(), Api(refused("refresh_token_not_found"))
    refreshing = Refreshing(api, budget(1000), clock)
    for number in range(500):
        await refreshing.answer(replace(NEED, client="203.0.113.9", refresh_token=Secret(f"invented {number}")))
    api.answer = COOKIES
    assert await refreshing.answer(NEED) == COOKIES


async def test_a_browser_that_was_refreshed_before_goes_on_beside_a_stranger_at_the_same_address():
    clock, api = Clock(), Api((f"__refresh_{'s' * 8}=rt_2; Path=/; HttpOnly", "__session=new"))
    refreshing = Refreshing(api, budget(1000), clock)
    await refreshing.answer(NEED)
    good, api.answer = api.answer, refused("refresh_token_not_found")
    for number in range(500):
        await refreshing.answer(replace(NEED, refresh_token=Secret(f"invented {number}")))
        clock.advance(0.01)
    api.answer = good
    later = replace(NEED, expired_token=Secret("the next"), refresh_token=Secret("rt_2"))
    assert await refreshing.answer(later) == good
    assert await refreshing.answer(replace(later, session_id="sess_2")) == good  # shared: the same tokens
    stranger = replace(later, session_id="sess_2", expired_token=Secret("another"))
    assert await refreshing.answer(stranger) == RefreshFailure.BACKED_OFF


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503])
async def test_what_is_not_the_clients_fault_is_neither_kept_nor_counted(status):
    api = Api(ApiRefused(status, [ApiErrorItem("any", "")]))
    refreshing = Refreshing(api, budget(1000), Clock())
    for _ in range(4):
        assert await refreshing.answer(NEED) == "any"
    assert len(api.refreshes) == 4


@pytest.mark.parametrize("code", ["clerk_key_invalid", "authentication_invalid"])
async def test_a_wrong_secret_key_is_blamed_on_nobody_who_asks(code):
    api = Api(refused(code))
    refreshing = Refreshing(api, budget(1000), Clock())
    for number in range(FREE_OF_CLIENT + 10):
        assert await refreshing.answer(replace(NEED, refresh_token=Secret(f"rt_{number}"))) == code


# The end of a session


@pytest.mark.parametrize("code", sorted(SESSION_OVER))
async def test_a_session_that_the_api_says_is_over_is_reported(code):
    ended: list[str] = []
    await Refreshing(Api(refused(code)), budget(1000), on_session_end=ended.append).answer(NEED)
    assert ended == ["sess_1"]


@pytest.mark.parametrize(
    "error",
    [
        refused("refresh_token_not_found"),
        refused("session_refresh_expired_session_token_consumed"),
        refused("refresh_sid_mismatch"),
        ApiFailed(401, "no list"),
        ApiRefused(500, [ApiErrorItem("session_refresh_inactive_session", "")]),
        ApiUnreachable("connect", "refused"),
    ],
    ids=repr,
)
async def test_what_does_not_speak_of_the_session_ends_none(error):
    ended: list[str] = []
    await Refreshing(Api(error), budget(1000), on_session_end=ended.append).answer(NEED)
    assert ended == []


# The API is down, or slow


@pytest.mark.parametrize(
    "error", [ApiUnreachable("connect", "refused"), ApiFailed(502, "HTML"), ApiUnreachable("timeout", "slow")], ids=repr
)
async def test_while_the_api_is_down_no_call_is_made_but_one_try_after_each_pause(error, caplog):
    clock, api = Clock(), Api(error)
    refreshing = Refreshing(api, budget(1000), clock, chance=lambda: 1.0)
    for _ in range(FAILURES):
        await refreshing.answer(NEED)
    for _ in range(50):
        assert await refreshing.answer(NEED) == RefreshFailure.API_UNAVAILABLE
    assert len(api.refreshes) == FAILURES
    clock.advance(FIRST_PAUSE_S)
    await refreshing.answer(NEED)
    assert await refreshing.answer(NEED) == RefreshFailure.API_UNAVAILABLE
    assert len(api.refreshes) == FAILURES + 1
    clock.advance(2 * FIRST_PAUSE_S)
    api.answer = COOKIES
    assert await refreshing.answer(NEED) == COOKIES
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


async def test_strangers_who_are_refused_do_not_open_the_breaker():
    clock, api = Clock(), Api(refused("refresh_token_not_found"))
    refreshing = Refreshing(api, budget(1000), clock)
    for number in range(FAILURES * 4):
        await refreshing.answer(replace(NEED, refresh_token=Secret(f"invented {number}")))
    api.answer = COOKIES
    assert await refreshing.answer(NEED) == COOKIES


async def test_no_more_calls_run_at_once_than_the_settings_allow():
    api = Api(COOKIES, gate=asyncio.Event())
    refreshing = Refreshing(api, budget(60_000, max_concurrent=3))
    needs = [replace(NEED, expired_token=Secret(f"expired {number}")) for number in range(20)]
    waiting = [asyncio.create_task(refreshing.answer(need)) for need in needs]
    await settle()
    assert len(api.refreshes) == 3
    api.gate.set()
    assert set(await asyncio.gather(*waiting)) == {COOKIES}
    assert len(api.refreshes) == 20


async def test_waiting_for_a_turn_counts_against_the_budget_and_not_against_the_api():
    api = Api(COOKIES, gate=asyncio.Event())
    refreshing = Refreshing(api, budget(20, max_concurrent=1))
    needs = [replace(NEED, expired_token=Secret(f"expired {number}")) for number in range(30)]
    answers = await asyncio.gather(*(refreshing.answer(need) for need in needs))
    assert set(answers) == {RefreshFailure.TIMEOUT}
    assert len(api.refreshes) < FAILURES
    api.gate.set()
    assert await refreshing.answer(NEED) == COOKIES


async def test_calls_that_waited_are_not_made_once_the_breaker_has_opened():
    api = Api(ApiUnreachable("connect", "refused"), gate=asyncio.Event())
    refreshing = Refreshing(api, budget(60_000, max_concurrent=FAILURES), Clock())
    needs = [replace(NEED, expired_token=Secret(f"expired {number}")) for number in range(50)]
    waiting = [asyncio.create_task(refreshing.answer(need)) for need in needs]
    await settle()
    api.gate.set()
    assert set(await asyncio.gather(*waiting)) == {RefreshFailure.FETCH_ERROR, RefreshFailure.API_UNAVAILABLE}
    assert len(api.refreshes) < 2 * FAILURES


async def test_nothing_that_is_remembered_holds_a_token():
    api = Api(COOKIES)
    refreshing = Refreshing(api, budget(1000), Clock())
    await refreshing.answer(NEED)
    api.answer = refused("refresh_token_not_found")
    await refreshing.answer(replace(NEED, refresh_token=Secret("rt_other")))
    assert all(isinstance(key, bytes) for key in (*refreshing._done, *refreshing._refused))
    assert all(isinstance(key, bytes) for key in (*refreshing._refusals._good, *refreshing._refusals._pairs._counts))
