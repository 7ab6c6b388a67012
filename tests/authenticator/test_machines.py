"""What is known of opaque machine tokens: one call for all, a short memory, and a bound on calls for inventions."""

import asyncio
import gc
from contextlib import suppress

import pytest

from gateway.authenticator.breaker import FAILURES, LONGEST_PAUSE_S
from gateway.authenticator.machines import MAX_CALLS, MAX_ENTRIES, Machines
from gateway.core.machine_claims import EXPIRED, REVOKED, MachineClaims, MachineRecord, Refusal
from gateway.core.reasons import Reason
from gateway.core.secret import Secret
from gateway.core.settings_model import MachineSettings
from gateway.core.token_class import TokenType
from gateway.core.verdict import NeedMachine
from gateway.errors import ApiErrorItem, ApiFailed, ApiRefused, ApiUnreachable, MachinesUnavailable
from gateway.sessions.wire import BadArgument
from tests.authenticator.engine_kit import NOW, Clock, settle

API_KEY = TokenType.API_KEY


def need(token: str = "ak_1", kind: TokenType = API_KEY) -> NeedMachine:
    return NeedMachine(kind, Secret(token))


def record(**changes: object) -> MachineRecord:
    flags = {name: changes.pop(name) for name in ("is_revoked", "is_expired") if name in changes}
    return MachineRecord(MachineClaims(**{"type": API_KEY, "id": "id_1", "subject": "user_1", **changes}), **flags)


class Known:
    """The API as a script: what it knows by token, or an exception; waits for ``gate`` when there is one."""

    def __init__(self, *good: str, gate: asyncio.Event | None = None) -> None:
        self.answers: dict[str, MachineRecord | Exception] = dict.fromkeys(good, record())
        self.otherwise: MachineRecord | Exception = ApiRefused(404, [ApiErrorItem("resource_not_found", "no")])
        self.gate = gate
        self.calls: list[tuple[TokenType, str]] = []
        self.at_once = self.most_at_once = 0

    async def verify(self, kind: TokenType, token: str) -> MachineRecord:
        self.calls.append((kind, token))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            answer = self.answers.get(token, self.otherwise)
            if isinstance(answer, Exception):
                raise answer
            return answer
        finally:
            self.at_once -= 1


class Setting:
    """Machines with their surroundings; the two clocks are one."""

    def __init__(self, *good: str, gate: asyncio.Event | None = None, **limits: float) -> None:
        self.clock = Clock()
        self.api = Known(*good, gate=gate)
        settings = MachineSettings(**{"budget_ms": 60_000, **limits})
        self.machines = Machines(self.api, settings, self.clock, self.clock, lambda: 1.0)

    async def outcome(self, token: str = "ak_1", kind: TokenType = API_KEY) -> object:
        return (await self.machines.answer(need(token, kind))).outcome

    async def attempt(self, token: str = "ak_1") -> str:
        """The reason why a token is of no use, or why nothing is known of it."""
        try:
            outcome = await self.outcome(token)
        except MachinesUnavailable as error:
            return error.reason
        return outcome.reason if isinstance(outcome, Refusal) else ""

    async def unknown(self, token: str = "ak_1") -> MachinesUnavailable:
        with pytest.raises(MachinesUnavailable) as caught:
            await self.machines.answer(need(token))
        return caught.value


# Memory


async def test_a_good_answer_counts_for_its_seconds():
    setting = Setting("ak_1", cache_s=30)
    answers = [await setting.machines.answer(need()) for _ in range(3)]
    assert [answer.is_cached for answer in answers] == [False, True, True]
    assert {answer.outcome for answer in answers} == {answers[0].outcome}
    setting.clock.advance(29.9)
    assert (await setting.machines.answer(need())).is_cached
    setting.clock.advance(0.2)
    assert not (await setting.machines.answer(need())).is_cached
    assert len(setting.api.calls) == 2


async def test_a_bad_answer_counts_for_its_own_seconds():
    setting = Setting(cache_s=300, negative_cache_s=10)
    outcomes = [await setting.outcome() for _ in range(3)]
    assert [outcome.reason for outcome in outcomes] == [Reason.TOKEN_INVALID] * 3
    setting.api.answers["ak_1"] = record()
    setting.clock.advance(9)
    assert (await setting.outcome()).reason is Reason.TOKEN_INVALID
    setting.clock.advance(2)
    assert isinstance(await setting.outcome(), MachineClaims)
    assert len(setting.api.calls) == 2


@pytest.mark.parametrize("good", [("ak_1",), ()], ids=["good", "bad"])
async def test_without_a_memory_each_request_asks(good):
    setting = Setting(*good, cache_s=0, negative_cache_s=0)
    for _ in range(3):
        await setting.outcome()
    assert (len(setting.api.calls), len(setting.machines)) == (3, 0)


async def test_a_good_answer_ends_with_its_token():
    setting = Setting(cache_s=30)
    setting.api.answers["ak_1"] = record(expires_at_s=NOW + 5)
    assert isinstance(await setting.outcome(), MachineClaims)
    setting.clock.advance(4)
    assert (await setting.machines.answer(need())).is_cached
    setting.clock.advance(2)
    assert await setting.outcome() == EXPIRED
    assert len(setting.api.calls) == 2


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [({"is_revoked": True}, REVOKED), ({"is_expired": True}, EXPIRED)],
    ids=["revoked", "expired"],
)
async def test_what_the_api_says_against_a_token_is_a_bad_answer(changes, refusal):
    setting = Setting(cache_s=300, negative_cache_s=1)
    setting.api.answers["ak_1"] = record(**changes)
    assert await setting.outcome() == refusal
    setting.clock.advance(1.5)
    await setting.outcome()
    assert len(setting.api.calls) == 2


async def test_a_token_that_was_revoked_counts_until_the_good_answer_is_forgotten():
    setting = Setting("ak_1", cache_s=30)
    await setting.outcome()
    setting.api.answers["ak_1"] = record(is_revoked=True)
    assert isinstance(await setting.outcome(), MachineClaims)
    setting.clock.advance(31)
    assert await setting.outcome() == REVOKED


async def test_the_kind_is_a_part_of_the_question():
    setting = Setting("ak_1")
    await setting.outcome("ak_1", API_KEY)
    await setting.outcome("ak_1", TokenType.OAUTH_TOKEN)
    assert setting.api.calls == [(API_KEY, "ak_1"), (TokenType.OAUTH_TOKEN, "ak_1")]


async def test_two_instances_share_nothing():
    one, other = Setting("ak_1"), Setting()
    assert isinstance(await one.outcome(), MachineClaims)
    assert (await other.outcome()).reason is Reason.TOKEN_INVALID


async def test_no_token_is_kept_in_memory():
    setting = Setting("ak_secret_good")
    await setting.outcome("ak_secret_good")
    await setting.outcome("ak_secret_bad")
    found = [text for text in _texts_in(vars(setting.machines), skip=setting.api) if "ak_secret" in text]
    assert found == []


def _texts_in(root: object, skip: object) -> list[str]:
    """Every text that can be reached from an object's data."""
    seen, queue, texts = {id(skip)}, [root], []
    while queue:
        item = queue.pop()
        if id(item) in seen or isinstance(item, type) or callable(item):
            continue
        seen.add(id(item))
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, bytes):
            texts.append(item.decode("latin-1"))
        else:
            queue.extend(gc.get_referents(item))
    return texts


# One call for all


async def test_a_thousand_parallel_requests_with_one_token_make_one_call():
    setting = Setting("ak_1", gate=asyncio.Event())
    waiting = [asyncio.create_task(setting.outcome()) for _ in range(1000)]
    await settle()
    setting.api.gate.set()
    outcomes = await asyncio.gather(*waiting)
    assert len({id(outcome) for outcome in outcomes}) == 1
    assert len(setting.api.calls) == 1


async def test_a_client_that_leaves_takes_nobodys_answer_with_it():
    setting = Setting("ak_1", gate=asyncio.Event())
    leaving, staying = (asyncio.create_task(setting.outcome()) for _ in range(2))
    await settle()
    leaving.cancel()
    await settle()
    setting.api.gate.set()
    assert isinstance(await staying, MachineClaims)
    assert len(setting.api.calls) == 1


async def test_a_failure_reaches_everybody_who_waits_and_is_not_kept():
    setting = Setting(gate=asyncio.Event())
    setting.api.otherwise = ApiUnreachable("connect", "refused")
    waiting = [asyncio.create_task(setting.unknown()) for _ in range(5)]
    await settle()
    setting.api.gate.set()
    errors = await asyncio.gather(*waiting)
    assert {error.reason for error in errors} == {Reason.MACHINE_API_UNREACHABLE}
    assert len({id(error) for error in errors}) == 5
    setting.api.answers["ak_1"] = record()
    assert isinstance(await setting.outcome(), MachineClaims)


async def test_a_failure_that_nobody_waits_for_any_more_leaves_no_trace():
    setting = Setting(gate=asyncio.Event())
    setting.api.otherwise = ApiUnreachable("connect", "refused")
    task = asyncio.create_task(setting.outcome())
    await settle()
    task.cancel()
    setting.api.gate.set()
    await settle()
    gc.collect()
    assert setting.machines._running == {}


async def test_a_fault_of_ours_is_raised_and_not_kept():
    setting = Setting()
    setting.api.otherwise = RuntimeError("a fault")
    with pytest.raises(RuntimeError):
        await setting.outcome()
    setting.api.answers["ak_1"] = record()
    assert isinstance(await setting.outcome(), MachineClaims)


async def test_only_so_many_calls_run_at_once():
    tokens = [f"ak_{number}" for number in range(3 * MAX_CALLS)]
    setting = Setting(*tokens, gate=asyncio.Event(), new_tokens_per_s=1000)
    waiting = [asyncio.create_task(setting.outcome(token)) for token in tokens]
    await settle()
    assert len(setting.api.calls) == MAX_CALLS
    setting.api.gate.set()
    await asyncio.gather(*waiting)
    assert (len(setting.api.calls), setting.api.most_at_once) == (len(tokens), MAX_CALLS)


async def test_who_waits_for_a_free_place_waits_no_longer_than_the_budget():
    setting = Setting("ak_1", budget_ms=5)
    for _ in range(MAX_CALLS):
        await setting.machines._slots.acquire()
    assert (await setting.unknown()).reason == Reason.MACHINE_API_TIMEOUT
    assert setting.api.calls == []


async def test_closing_ends_what_runs():
    setting = Setting("ak_1", gate=asyncio.Event())
    asking = asyncio.create_task(setting.outcome())
    await settle()
    await setting.machines.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


# Tokens that nobody has seen


async def test_ten_thousand_inventions_cost_no_more_calls_than_the_bucket_holds():
    setting = Setting(new_tokens_per_s=10)
    reasons = [await setting.attempt(f"ak_{number}") for number in range(10_000)]
    assert 1 <= (await setting.unknown("ak_last")).retry_after_s <= 10
    assert reasons[:100] == [Reason.TOKEN_INVALID] * 100
    assert set(reasons[100:]) == {Reason.MACHINE_VERIFICATION_LIMITED}
    assert (len(setting.api.calls), len(setting.machines)) == (100, 100)


async def test_one_address_that_invents_tokens_leaves_half_of_the_bound_to_others():
    setting = Setting(*(f"ak_good{number}" for number in range(50)), new_tokens_per_s=10)
    for number in range(1000):
        with suppress(MachinesUnavailable):
            await setting.machines.answer(need(f"ak_{number}"), f"2001:db8::{number:x}")
    assert len(setting.api.calls) == 50
    with pytest.raises(MachinesUnavailable, match="5 new tokens a second from one address"):
        await setting.machines.answer(need("ak_another"), "2001:db8::1")
    for number in range(50):
        answer = await setting.machines.answer(need(f"ak_good{number}"), "192.0.2.1")
        assert isinstance(answer.outcome, MachineClaims)


async def test_good_tokens_of_one_address_may_use_all_of_the_bound():
    setting = Setting(*(f"ak_{number}" for number in range(100)), new_tokens_per_s=10)
    for number in range(100):
        assert isinstance((await setting.machines.answer(need(f"ak_{number}"), "192.0.2.1")).outcome, MachineClaims)
    with pytest.raises(MachinesUnavailable, match="10 new tokens a second"):
        await setting.machines.answer(need("ak_another"), "192.0.2.1")
    setting.clock.advance(0.2)
    assert isinstance((await setting.machines.answer(need("ak_another"), "192.0.2.1")).outcome, Refusal)


async def test_memory_is_bounded_however_many_tokens_come():
    setting = Setting(new_tokens_per_s=1000)
    for number in range(MAX_ENTRIES + 500):
        setting.clock.advance(0.001)
        await setting.outcome(f"ak_{number}")
    assert len(setting.machines) <= MAX_ENTRIES


async def test_good_tokens_go_on_while_inventions_are_refused():
    setting = Setting("ak_good", new_tokens_per_s=1, cache_s=1)
    await setting.outcome("ak_good")
    limited = 0
    for number in range(100):
        setting.clock.advance(0.1)
        assert isinstance(await setting.outcome("ak_good"), MachineClaims)
        limited += await setting.attempt(f"ak_{number}") == Reason.MACHINE_VERIFICATION_LIMITED
    assert limited >= 80


async def test_a_token_that_went_bad_is_a_stranger_again():
    setting = Setting("ak_1", new_tokens_per_s=0.1, cache_s=0, negative_cache_s=0)
    assert isinstance(await setting.outcome(), MachineClaims)
    assert isinstance(await setting.outcome(), MachineClaims)
    setting.api.answers["ak_1"] = record(is_revoked=True)
    assert await setting.outcome() == REVOKED
    assert (await setting.unknown()).reason == Reason.MACHINE_VERIFICATION_LIMITED


async def test_who_joins_a_running_call_takes_nothing_from_the_bucket():
    setting = Setting("ak_1", gate=asyncio.Event(), new_tokens_per_s=0.1)
    waiting = [asyncio.create_task(setting.outcome()) for _ in range(10)]
    await settle()
    setting.api.gate.set()
    assert all(isinstance(outcome, MachineClaims) for outcome in await asyncio.gather(*waiting))


# What a failed call says


def refused(status: int, retry_after_s: float | None = None) -> ApiRefused:
    return ApiRefused(status, [ApiErrorItem("code", "ak_1 is wrong")], retry_after_s=retry_after_s)


@pytest.mark.parametrize("status", [400, 404, 410, 422])
@pytest.mark.parametrize("kind", [ApiRefused, ApiFailed])
async def test_a_token_that_the_api_does_not_know_is_invalid(status, kind):
    setting = Setting()
    setting.api.otherwise = refused(status) if kind is ApiRefused else ApiFailed(status, "no list")
    outcome = await setting.outcome()
    assert outcome.reason is Reason.TOKEN_INVALID
    assert "ak_1" not in outcome.message


@pytest.mark.parametrize(
    ("error", "reason", "retry_after_s"),
    [
        (refused(401), Reason.SECRET_KEY_INVALID, 30),
        (ApiFailed(401, "no list"), Reason.SECRET_KEY_INVALID, 30),
        (refused(403), Reason.MACHINE_API_FAILED, 5),
        (refused(429, 7), Reason.MACHINE_API_FAILED, 7),
        (refused(429, 0.2), Reason.MACHINE_API_FAILED, 1),
        (refused(429, 1e9), Reason.MACHINE_API_FAILED, 60),
        (refused(500), Reason.MACHINE_API_FAILED, 5),
        (ApiFailed(503, "no list", retry_after_s=3), Reason.MACHINE_API_FAILED, 3),
        (ApiFailed(307, "redirects"), Reason.MACHINE_API_FAILED, 5),
        (ApiFailed(200, "other shape"), Reason.MACHINE_API_FAILED, 5),
        (ApiFailed(204, "no body"), Reason.MACHINE_API_FAILED, 5),
        (ApiUnreachable("timeout", "slow"), Reason.MACHINE_API_TIMEOUT, 5),
        (ApiUnreachable("protocol", "cut"), Reason.MACHINE_API_FAILED, 5),
        (ApiUnreachable("connect", "refused"), Reason.MACHINE_API_UNREACHABLE, 5),
        (ApiUnreachable("dns", "unknown"), Reason.MACHINE_API_UNREACHABLE, 5),
        (ApiUnreachable("tls", "old"), Reason.MACHINE_API_UNREACHABLE, 5),
        (BadArgument("no key"), Reason.MACHINE_API_FAILED, 5),
    ],
    ids=repr,
)
async def test_a_call_that_failed_says_nothing_about_the_token(error, reason, retry_after_s):
    setting = Setting()
    setting.api.otherwise = error
    found = await setting.unknown()
    assert (found.reason, found.retry_after_s) == (reason, retry_after_s)
    assert "ak_1" not in str(found)
    assert len(setting.machines) == 0


async def test_an_api_that_does_not_answer_within_the_budget_is_a_timeout():
    setting = Setting("ak_1", gate=asyncio.Event(), budget_ms=1)
    assert (await setting.unknown()).reason == Reason.MACHINE_API_TIMEOUT


# An API that is down


DOWN = [
    ApiUnreachable("connect", "refused"),
    ApiUnreachable("timeout", "slow"),
    ApiFailed(502, "no list"),
    ApiRefused(503, [ApiErrorItem("service_unavailable", "no")]),
    ApiRefused(429, [ApiErrorItem("too_many_requests", "no")], retry_after_s=7),
]


@pytest.mark.parametrize("error", DOWN, ids=repr)
async def test_an_api_that_is_down_is_left_alone_but_for_one_try_after_each_pause(error):
    setting = Setting("ak_good", new_tokens_per_s=1000, cache_s=0)
    await setting.outcome("ak_good")
    setting.api.answers["ak_good"] = error
    found = [await setting.attempt("ak_good") for _ in range(100)]
    assert len(setting.api.calls) == 1 + FAILURES
    assert len(set(found)) == 1
    setting.clock.advance(1)
    assert [await setting.attempt("ak_good") for _ in range(10)] == found[:10]
    assert len(setting.api.calls) == 2 + FAILURES
    setting.api.answers["ak_good"] = record()
    setting.clock.advance(2)
    assert [await setting.attempt("ak_good") for _ in range(10)] == [""] * 10


async def test_what_is_remembered_counts_while_the_api_is_down():
    setting = Setting("ak_good", new_tokens_per_s=1000, cache_s=300)
    await setting.outcome("ak_good")
    setting.api.otherwise = ApiUnreachable("connect", "refused")
    for number in range(20):
        assert await setting.attempt(f"ak_{number}") == Reason.MACHINE_API_UNREACHABLE
    assert isinstance(await setting.outcome("ak_good"), MachineClaims)


@pytest.mark.parametrize(
    "error",
    [
        ApiRefused(404, [ApiErrorItem("resource_not_found", "no")]),
        ApiRefused(401, [ApiErrorItem("clerk_key_invalid", "no")]),
        ApiRefused(500, [ApiErrorItem("internal_clerk_error", "no")]),
        ApiFailed(200, "other shape"),
        BadArgument("no key"),
    ],
    ids=repr,
)
async def test_tokens_that_somebody_made_up_stop_nobody_else(error):
    setting = Setting("ak_good", new_tokens_per_s=1000, cache_s=0)
    await setting.outcome("ak_good")
    setting.api.otherwise = error
    for number in range(5 * FAILURES):
        await setting.attempt(f"ak_{number}")
    assert isinstance(await setting.outcome("ak_good"), MachineClaims)


async def test_who_waits_for_a_free_place_finds_the_api_down_without_a_call():
    tokens = [f"ak_{number}" for number in range(MAX_CALLS + 50)]
    setting = Setting(gate=asyncio.Event(), new_tokens_per_s=1000)
    setting.api.otherwise = ApiUnreachable("connect", "refused")
    waiting = [asyncio.create_task(setting.attempt(token)) for token in tokens]
    await settle()
    setting.api.gate.set()
    assert set(await asyncio.gather(*waiting)) == {Reason.MACHINE_API_UNREACHABLE}
    assert len(setting.api.calls) < len(tokens)


async def test_a_pause_never_grows_beyond_its_bound():
    setting = Setting(new_tokens_per_s=1000)
    setting.api.otherwise = ApiUnreachable("connect", "refused")
    for _ in range(50):
        await setting.attempt()
        setting.clock.advance(LONGEST_PAUSE_S)
    setting.api.otherwise = record()
    assert await setting.attempt() == ""
