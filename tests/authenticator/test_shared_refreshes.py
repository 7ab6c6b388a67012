"""One call for each expired token over several processes, what lies in the store, and a store that fails."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.authenticator.breaker import FAILURES
from gateway.authenticator.refreshing import REFUSED_S, SHARED_S, Refreshing
from gateway.authenticator.sealed_answers import Seal
from gateway.authenticator.shared_refreshes import (
    LEASE_MARGIN_S,
    MAX_ANSWER_BYTES,
    PATIENCE,
    RETRY_S,
    SharedRefreshes,
)
from gateway.core.secret import Secret
from gateway.core.settings_model import RefreshSettings
from gateway.core.verdict import NeedRefresh
from gateway.errors import ApiErrorItem, ApiFailed, ApiRefused, ApiUnreachable, AskedElsewhere, StoreUnavailable
from gateway.ports import Claim
from tests.adapters.store_suite import MemoryStore
from tests.authenticator.engine_kit import Api, Clock, settle

NEED = NeedRefresh(
    session_id="sess_1",
    expired_token=Secret("the-expired-token"),
    refresh_token=Secret("the-refresh-token"),
    request_origin="https://app.example.test",
    request_headers={"user-agent": "Browser/1"},
    client="192.0.2.1",
    suffixed_cookies=True,
)
COOKIES = ("__session=new; Path=/", "__client_uat=1; Path=/")
BUDGET_S = 2.0
LEASE_S = BUDGET_S + LEASE_MARGIN_S
REFUSED = ApiRefused(
    401,
    [
        ApiErrorItem("session_refresh_expired_token", "no", "no, because", (("param", "x"), ("more", [1]))),
        ApiErrorItem("second", "no"),
    ],
    "trace_1",
)


class Store(MemoryStore):
    """One for each process over the same rows; a test can have it fail, or hold a claim back."""

    error: Exception | None = None
    gate: asyncio.Event | None = None

    async def claim(self, key: bytes, holder: bytes, lease_s: float) -> Claim:
        self._fail()
        found = await super().claim(key, holder, lease_s)
        if self.gate is not None:
            await self.gate.wait()
            self._fail()
        return found

    async def settle(self, key: bytes, holder: bytes, answer: bytes, keep_s: float) -> None:
        self._fail()
        await super().settle(key, holder, answer, keep_s)

    async def release(self, key: bytes, holder: bytes) -> None:
        self._fail()
        await super().release(key, holder)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


class World:
    """Several processes, the API and the store that they share; time passes when somebody waits for somebody else."""

    def __init__(self) -> None:
        self.clock, self.rows, self.pauses = Clock(), {}, []
        self.api = Api(COOKIES)
        self.made: list[SharedRefreshes] = []

    def process(self, api: Api | None = None, budget_s: float = BUDGET_S) -> SharedRefreshes:
        made = SharedRefreshes(
            api or self.api, Store(self.rows, self.clock), budget_s, timer=self.clock, sleep=self._sleep
        )
        self.made.append(made)
        return made

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    if made.api.gate is not None:
        made.api.gate.set()
    for process in made.made:
        await process.close()


async def test_the_first_makes_the_call_and_the_others_get_its_answer(world: World):
    world.api.gate = asyncio.Event()
    processes = [world.process() for _ in range(4)]
    waiting = [asyncio.create_task(process.refresh_cookies(NEED)) for process in processes]
    await settle()
    world.api.gate.set()
    assert await asyncio.gather(*waiting) == [COOKIES] * 4
    assert world.api.refreshes == [NEED]


async def test_the_pauses_grow_up_to_a_bound(world: World):
    world.api.gate = asyncio.Event()
    first = asyncio.create_task(world.process().refresh_cookies(NEED))
    await settle()
    second = asyncio.create_task(world.process().refresh_cookies(NEED))
    await settle(50)
    world.api.gate.set()
    assert await first == await second == COOKIES
    assert world.pauses == sorted(world.pauses)
    assert (world.pauses[0], max(world.pauses)) == (0.01, 0.1)


async def test_late_arrivals_get_the_answer_for_some_seconds_and_no_longer(world: World):
    one, other = world.process(), world.process()
    await one.refresh_cookies(NEED)
    await settle()
    world.clock.advance(SHARED_S - 1)
    assert await other.refresh_cookies(NEED) == COOKIES
    assert len(world.api.refreshes) == 1
    world.clock.advance(1)
    await other.refresh_cookies(NEED)
    assert len(world.api.refreshes) == 2


@pytest.mark.parametrize(
    "other",
    [
        replace(NEED, session_id="sess_2"),
        replace(NEED, expired_token=Secret("another")),
        replace(NEED, refresh_token=Secret("another")),
        replace(NEED, request_origin="https://other.example.test"),
        replace(NEED, suffixed_cookies=False),
        replace(NEED, expired_token=Secret("the-expired-tokenthe"), refresh_token=Secret("-refresh-token")),
    ],
    ids=["session", "expired token", "refresh token", "origin", "cookies", "border"],
)
async def test_an_answer_is_shared_only_where_all_agrees_that_makes_it_up(world: World, other: NeedRefresh):
    await world.process().refresh_cookies(NEED)
    await settle()
    await world.process().refresh_cookies(other)
    assert len(world.api.refreshes) == 2


async def test_a_refusal_is_raised_for_everybody_for_some_seconds(world: World):
    world.api.answer = REFUSED
    for _ in range(3):
        with pytest.raises(ApiRefused) as caught:
            await world.process().refresh_cookies(NEED)
        await settle()
        assert (caught.value.status, caught.value.errors, caught.value.trace_id) == (401, REFUSED.errors, "trace_1")
        assert str(caught.value) == str(REFUSED)
    assert len(world.api.refreshes) == 1
    world.clock.advance(REFUSED_S)
    world.api.answer = COOKIES
    assert await world.process().refresh_cookies(NEED) == COOKIES


@pytest.mark.parametrize(
    "error",
    [
        ApiUnreachable("connect", "refused"),
        ApiFailed(500, "no JSON"),
        ApiRefused(500, [ApiErrorItem("internal", "no")]),
        ApiRefused(429, [ApiErrorItem("too_many_requests", "no")], retry_after_s=3.0),
        ApiRefused(401, [ApiErrorItem("clerk_key_invalid", "no")]),
        TimeoutError(),
        RuntimeError("a fault"),
    ],
    ids=repr,
)
async def test_what_says_nothing_of_the_tokens_lets_the_next_one_try_at_once(world: World, error: Exception):
    world.api.answer = error
    with pytest.raises(type(error)):
        await world.process().refresh_cookies(NEED)
    await settle()
    assert world.rows == {}
    world.api.answer = COOKIES
    assert await world.process().refresh_cookies(NEED) == COOKIES


async def test_those_who_wait_go_on_when_the_call_fails(world: World):
    world.api.gate, well = asyncio.Event(), Api(COOKIES)
    first = asyncio.create_task(world.process().refresh_cookies(NEED))
    await settle()
    second = asyncio.create_task(world.process(well).refresh_cookies(NEED))
    await settle()
    world.api.answer = ApiUnreachable("connect", "refused")
    world.api.gate.set()
    assert await second == COOKIES
    with pytest.raises(ApiUnreachable):
        await first


async def test_an_answer_that_does_not_come_in_time_ends_the_claim(world: World):
    world.api.gate = asyncio.Event()
    with pytest.raises(TimeoutError):
        await world.process(budget_s=0.01).refresh_cookies(NEED)
    await settle()
    assert world.rows == {}


async def die_over_it(world: World) -> None:
    """Claim the work of NEED, and do nothing more."""
    elsewhere = World()
    await elsewhere.process().refresh_cookies(NEED)
    assert (await Store(world.rows, world.clock).claim(next(iter(elsewhere.rows)), b"dead", LEASE_S)).is_ours


async def test_who_dies_over_it_loses_the_claim_after_the_lease(world: World):
    await die_over_it(world)
    started_s, process = world.clock(), world.process()
    with pytest.raises(AskedElsewhere):
        await process.refresh_cookies(NEED)
    assert PATIENCE * BUDGET_S - 0.1 <= world.clock() - started_s <= PATIENCE * BUDGET_S
    assert await process.refresh_cookies(NEED) == COOKIES
    assert LEASE_S <= world.clock() - started_s < LEASE_S + 0.2
    assert world.api.refreshes == [NEED]


async def test_those_who_died_are_not_taken_for_an_api_that_is_down(world: World):
    process = Refreshing(world.process(), timer=world.clock)
    for _ in range(FAILURES):
        await die_over_it(world)
        assert await process.answer(NEED) == "timeout"
        world.rows.clear()
    assert await process.answer(NEED) == COOKIES


async def test_a_late_answer_of_one_that_lost_the_claim_changes_nothing(world: World):
    slow, quick = Api(("__session=late",), gate=asyncio.Event()), Api(COOKIES)
    late = asyncio.create_task(world.process(slow).refresh_cookies(NEED))
    await settle()
    world.clock.advance(LEASE_S)
    assert await world.process(quick).refresh_cookies(NEED) == COOKIES
    slow.gate.set()
    assert await late == ("__session=late",)
    await settle()
    assert await world.process().refresh_cookies(NEED) == COOKIES


# Callers who leave


async def test_a_call_that_was_sent_is_finished_and_shared_when_its_caller_is_gone(world: World):
    world.api.gate = asyncio.Event()
    caller = asyncio.create_task(world.process().refresh_cookies(NEED))
    await settle()
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    waiting = asyncio.create_task(world.process().refresh_cookies(NEED))
    await settle()
    world.api.gate.set()
    assert await waiting == COOKIES
    assert len(world.api.refreshes) == 1


async def test_who_waits_and_leaves_leaves_nothing_behind(world: World):
    world.api.gate = asyncio.Event()
    first = asyncio.create_task(world.process().refresh_cookies(NEED))
    await settle()
    second = asyncio.create_task(world.process().refresh_cookies(NEED))
    await settle()
    second.cancel()
    await asyncio.wait([second])
    await settle()
    world.api.gate.set()
    assert await first == COOKIES
    assert await world.process().refresh_cookies(NEED) == COOKIES
    assert len(world.api.refreshes) == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_who_leaves_while_the_store_is_asked_gives_the_claim_back(world: World, *, fails: bool):
    process = world.process()
    process._store.gate = asyncio.Event()
    caller = asyncio.create_task(process.refresh_cookies(NEED))
    await settle()
    assert len(world.rows) == 1
    caller.cancel()
    await asyncio.wait([caller])
    process._store.error = StoreUnavailable("down") if fails else None
    process._store.gate.set()
    await settle()
    assert len(world.rows) == (1 if fails else 0)
    assert world.api.refreshes == []


async def test_closing_waits_for_calls_that_were_sent_and_closes_the_store(world: World):
    world.api.gate = asyncio.Event()
    process = world.process()
    caller = asyncio.create_task(process.refresh_cookies(NEED))
    await settle()
    caller.cancel()
    closing = asyncio.create_task(process.close())
    await settle()
    assert not closing.done()
    assert not process._store.is_closed
    world.api.gate.set()
    await closing
    assert process._store.is_closed
    assert await world.process().refresh_cookies(NEED) == COOKIES
    assert len(world.api.refreshes) == 1


async def test_the_answer_of_a_caller_who_ran_out_of_time_is_there_for_the_next_request(world: World):
    world.api.gate = asyncio.Event()
    one = Refreshing(world.process(), RefreshSettings(budget_ms=50))
    assert await one.answer(NEED) == "timeout"
    world.api.gate.set()
    await settle()
    assert await one.answer(NEED) == COOKIES
    assert len(world.api.refreshes) == 1


async def test_two_hundred_requests_over_four_processes_make_one_call(world: World):
    world.api.gate = asyncio.Event()
    processes = [Refreshing(world.process(), timer=world.clock) for _ in range(4)]
    waiting = [asyncio.create_task(processes[turn % 4].answer(NEED)) for turn in range(200)]
    await settle()
    world.api.gate.set()
    assert set(await asyncio.gather(*waiting)) == {COOKIES}
    assert len(world.api.refreshes) == 1


# What lies in the store


async def test_the_store_never_sees_a_token_or_a_cookie(world: World):
    await world.process().refresh_cookies(NEED)
    await settle()
    (key, row), *_ = world.rows.items()
    for secret in (b"the-expired-token", b"the-refresh-token", b"sess_1", b"__session", b"new"):
        assert secret not in key + row.holder + row.answer


@pytest.mark.parametrize("spoil", [lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]), lambda _: b"", lambda _: b"x"])
async def test_an_answer_that_does_not_open_counts_as_none(world: World, spoil):
    await world.process().refresh_cookies(NEED)
    await settle()
    for row in world.rows.values():
        row.answer = spoil(row.answer)
    world.api.answer = ("__session=of_our_own",)
    assert await world.process().refresh_cookies(NEED) == ("__session=of_our_own",)


def test_an_answer_opens_for_both_tokens_in_its_place_alone():
    sealed = Seal(NEED, b"place").close(COOKIES)
    assert Seal(NEED, b"place").open(sealed) == COOKIES
    assert Seal(replace(NEED, request_headers={}, client=""), b"place").open(sealed) == COOKIES
    assert Seal(NEED, b"elsewhere").open(sealed) is None
    for other in (
        replace(NEED, expired_token=Secret("another")),
        replace(NEED, refresh_token=Secret("another")),
        replace(NEED, expired_token=Secret("the-expired-tokent"), refresh_token=Secret("he-refresh-token")),
    ):
        assert Seal(other, b"place").open(sealed) is None


def test_no_two_seals_of_one_answer_are_the_same():
    seal = Seal(NEED, b"place")
    assert seal.close(COOKIES) != seal.close(COOKIES)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b"7", b'{"cookies": 7}', b'{"status": 401, "errors": []}', b'{"status": 1, "errors": [1]}'],
)
def test_what_another_version_sealed_counts_as_none(text: bytes):
    seal = Seal(NEED, b"place")
    assert seal.open(bytes(12) + seal._cipher.encrypt(bytes(12), text, b"place")) is None


async def test_an_answer_beyond_the_bound_is_for_its_caller_alone(world: World):
    world.api.answer = ("x" * MAX_ANSWER_BYTES,)
    assert await world.process().refresh_cookies(NEED) == world.api.answer
    await settle()
    assert world.rows == {}


# A store that fails


async def test_without_the_store_each_asks_the_api_and_that_is_said_once(
    world: World, caplog: pytest.LogCaptureFixture
):
    process = world.process()
    process._store.error = StoreUnavailable("redis://r:6379/0 cannot be reached")
    for _ in range(3):
        assert await process.refresh_cookies(NEED) == COOKIES
        await settle()
        world.clock.advance(RETRY_S)
    assert len(world.api.refreshes) == 3
    process._store.error = None
    for _ in range(2):
        assert await process.refresh_cookies(NEED) == COOKIES
        await settle()
    assert len(world.api.refreshes) == 4
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (
            logging.WARNING,
            "refresh.store: redis://r:6379/0 cannot be reached; until it is back each process refreshes alone",
        ),
        (logging.WARNING, "refresh.store is back; refreshes are shared again"),
    ]


async def test_a_store_that_failed_is_not_asked_for_a_moment(world: World):
    process = world.process()
    process._store.error = StoreUnavailable("down")
    await process.refresh_cookies(NEED)
    await settle()
    process._store.error = None
    await process.refresh_cookies(NEED)
    assert world.rows == {}
    world.clock.advance(RETRY_S)
    await process.refresh_cookies(NEED)
    assert len(world.rows) == 1


async def test_the_answer_is_left_too_where_the_claim_arrived_but_its_answer_did_not(world: World):
    process = world.process()
    process._store.gate = asyncio.Event()
    caller = asyncio.create_task(process.refresh_cookies(NEED))
    await settle()
    process._store.error = StoreUnavailable("did not answer in time")
    process._store.gate.set()
    world.api.gate = asyncio.Event()
    await settle()
    process._store.error = None
    world.api.gate.set()
    assert await caller == COOKIES
    await settle()
    assert await world.process().refresh_cookies(NEED) == COOKIES
    assert len(world.api.refreshes) == 1


async def test_a_store_that_fails_in_the_middle_does_not_lose_the_answer(world: World):
    world.api.gate = asyncio.Event()
    process = world.process()
    caller = asyncio.create_task(process.refresh_cookies(NEED))
    await settle()
    process._store.error = StoreUnavailable("down")
    world.api.gate.set()
    assert await caller == COOKIES


async def test_handshake_payloads_pass_through(world: World):
    assert await world.process().handshake_payload("nonce_1") == COOKIES
    assert world.api.nonces == ["nonce_1"]
    assert world.rows == {}
