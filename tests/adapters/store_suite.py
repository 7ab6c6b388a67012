"""What every store that workers and hosts share has to do; each store's own tests run these over it.

A test module defines the fixture ``stage`` and inherits from :class:`StoreSuite`. Time is moved by the stage: a store
with a clock of its own is given leases that are short, and asked until they are over.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import pytest

from gateway.ports import AnswerStore, Claim

KEY = b"\x00key\xff\r\n"
LEASE_S = 30.0
OURS = Claim(is_ours=True)
THEIRS = Claim(is_ours=False)


def answered(answer: bytes) -> Claim:
    return Claim(is_ours=False, answer=answer)


class Stage(Protocol):
    """A place that several stores share, as workers or hosts do.

    Attributes:
        short_s: seconds of a lease that :meth:`pass_short` outlasts.
    """

    short_s: float

    def open(self) -> AnswerStore:
        """Return one more store over the same place; it is closed by the stage."""
        ...

    async def pass_short(self) -> None:
        """Let so much time pass that a short lease is over."""
        ...


@dataclass
class _Row:
    holder: bytes
    answer: bytes | None
    until_s: float


class MemoryStore:
    """The store as a dictionary, for tests of those who use one.

    Args:
        rows: what several stores share.
        clock: seconds.
    """

    def __init__(self, rows: dict[bytes, _Row], clock: "Clock") -> None:
        self.rows = rows
        self.clock = clock
        self.is_closed = False

    async def claim(self, key: bytes, holder: bytes, lease_s: float) -> Claim:
        row = self._row(key)
        if row is not None:
            return Claim(is_ours=False, answer=row.answer)
        self.rows[key] = _Row(holder, None, self.clock() + lease_s)
        return OURS

    async def settle(self, key: bytes, holder: bytes, answer: bytes, keep_s: float) -> None:
        if self._is_held(key, holder):
            self.rows[key] = _Row(holder, answer, self.clock() + keep_s)

    async def release(self, key: bytes, holder: bytes) -> None:
        if self._is_held(key, holder):
            del self.rows[key]

    async def close(self) -> None:
        self.is_closed = True

    def _row(self, key: bytes) -> _Row | None:
        row = self.rows.get(key)
        return row if row is not None and row.until_s > self.clock() else None

    def _is_held(self, key: bytes, holder: bytes) -> bool:
        row = self._row(key)
        return row is not None and row.holder == holder and row.answer is None


class Clock(Protocol):
    """Seconds."""

    def __call__(self) -> float: ...


class StoreSuite:
    """The tests."""

    async def test_one_has_the_work_until_it_is_settled(self, stage: Stage):
        store, other = stage.open(), stage.open()
        assert await store.claim(KEY, b"first", LEASE_S) == OURS
        assert await other.claim(KEY, b"second", LEASE_S) == THEIRS
        assert await other.claim(b"other", b"second", LEASE_S) == OURS
        await store.settle(KEY, b"first", b"answer", LEASE_S)
        assert await other.claim(KEY, b"second", LEASE_S) == answered(b"answer")
        assert await store.claim(KEY, b"first", LEASE_S) == answered(b"answer")

    async def test_a_second_claim_of_the_holder_is_a_claim_like_others(self, stage: Stage):
        store = stage.open()
        assert await store.claim(KEY, b"first", LEASE_S) == OURS
        assert await store.claim(KEY, b"first", LEASE_S) == THEIRS

    async def test_work_that_was_released_is_anybodys(self, stage: Stage):
        store, other = stage.open(), stage.open()
        await store.claim(KEY, b"first", LEASE_S)
        await store.release(KEY, b"first")
        assert await other.claim(KEY, b"second", LEASE_S) == OURS

    @pytest.mark.parametrize("holder", [b"second", b"", b"firs", b"first\x00", b"Lfirst"])
    async def test_who_does_not_hold_the_lease_changes_nothing(self, stage: Stage, holder: bytes):
        store, other = stage.open(), stage.open()
        await store.claim(KEY, b"first", LEASE_S)
        await other.release(KEY, holder)
        await other.settle(KEY, holder, b"forged", LEASE_S)
        assert await other.claim(KEY, b"third", LEASE_S) == THEIRS
        await store.settle(KEY, b"first", b"answer", LEASE_S)
        await store.release(KEY, b"first")
        await store.settle(KEY, b"first", b"second answer", LEASE_S)
        assert await other.claim(KEY, b"third", LEASE_S) == answered(b"answer")

    async def test_nobody_settles_or_releases_what_was_never_claimed(self, stage: Stage):
        store = stage.open()
        await store.release(KEY, b"first")
        await store.settle(KEY, b"first", b"answer", LEASE_S)
        assert await store.claim(KEY, b"first", LEASE_S) == OURS

    async def test_a_lease_ends_and_its_holder_can_do_nothing_after(self, stage: Stage):
        store, other = stage.open(), stage.open()
        await store.claim(KEY, b"first", stage.short_s)
        await stage.pass_short()
        assert await other.claim(KEY, b"second", LEASE_S) == OURS
        await store.settle(KEY, b"first", b"too late", LEASE_S)
        await store.release(KEY, b"first")
        assert await store.claim(KEY, b"third", LEASE_S) == THEIRS

    async def test_work_whose_lease_ended_is_not_settled_even_if_nobody_else_took_it(self, stage: Stage):
        store = stage.open()
        await store.claim(KEY, b"first", stage.short_s)
        await stage.pass_short()
        await store.settle(KEY, b"first", b"too late", LEASE_S)
        assert await store.claim(KEY, b"second", LEASE_S) == OURS

    async def test_an_answer_is_forgotten_in_time_and_not_before(self, stage: Stage):
        store = stage.open()
        for key, keep_s in ((b"short", stage.short_s), (b"long", LEASE_S)):
            await store.claim(key, b"first", LEASE_S)
            await store.settle(key, b"first", b"answer", keep_s)
        await stage.pass_short()
        assert await store.claim(b"short", b"second", LEASE_S) == OURS
        assert await store.claim(b"long", b"second", LEASE_S) == answered(b"answer")

    @pytest.mark.parametrize("answer", [b"", bytes(range(256)) * 4, b"\r\n$5\r\n", b"\xff" * 64 * 1024])
    async def test_answers_come_back_byte_for_byte(self, stage: Stage, answer: bytes):
        store, other = stage.open(), stage.open()
        await store.claim(KEY, bytes(range(256)), LEASE_S)
        await store.settle(KEY, bytes(range(256)), answer, LEASE_S)
        assert await other.claim(KEY, b"second", LEASE_S) == answered(answer)

    async def test_of_a_hundred_at_once_one_has_the_work(self, stage: Stage):
        stores = [stage.open() for _ in range(4)]
        claims = await asyncio.gather(
            *(stores[turn % 4].claim(KEY, str(turn).encode(), LEASE_S) for turn in range(100))
        )
        assert sorted(claims, key=lambda claim: claim.is_ours) == [THEIRS] * 99 + [OURS]
        winner = claims.index(OURS)
        await stores[winner % 4].settle(KEY, str(winner).encode(), b"answer", LEASE_S)
        found = await asyncio.gather(*(store.claim(KEY, b"late", LEASE_S) for store in stores for _ in range(25)))
        assert found == [answered(b"answer")] * 100

    async def test_closing_twice_is_closing_once(self, stage: Stage):
        store = stage.open()
        await store.claim(KEY, b"first", LEASE_S)
        await store.close()
        await store.close()
