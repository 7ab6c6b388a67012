"""One refresh call per expired token, over all worker processes and hosts that share a store.

Inside one process :mod:`gateway.authenticator.refreshing` does that; several would still ask once each, the API would
refuse all but the first, and people would be signed out. So whoever is first claims the work in the store, makes the
call and leaves the answer there, sealed; the others wait for it. A call that was sent is finished and its answer left
even when nobody waits any more, since the token is spent. Who dies over it loses the claim after a while, and the next
one asks. Without the store all is as it was: each process asks the API itself.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, NamedTuple, TypeVar

from gateway.authenticator.refreshing import REFUSED_S, SHARED_S, is_refusal
from gateway.authenticator.sealed_answers import Answer, Seal
from gateway.core.digest import digest
from gateway.core.verdict import NeedRefresh
from gateway.errors import ApiRefused, AskedElsewhere, StoreUnavailable
from gateway.ports import AnswerStore, Claim, Clock, SessionsApi

_log = logging.getLogger(__name__)

T = TypeVar("T")

LEASE_MARGIN_S = 1.0
"""The lease is so much longer than a call may take: time to leave the answer, and no more for others to wait."""

RETRY_S = 1.0
"""So long a store that failed is not asked: one that hangs must not cost every refresh its time-out."""

MAX_ANSWER_BYTES = 32 * 1024
"""An answer is a few cookies of at most 4 KiB each; a larger one is for the caller alone."""

PATIENCE = 0.9
"""The share of its time for which a call waits for somebody else's. Less than all: then it ends before the caller's own
time does, which would be taken for a failure of the API. Those who died over their calls must not look like that."""

_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.1
_PAUSE_GROWTH = 1.5


class _Work(NamedTuple):
    """One refresh as the store knows it.

    Attributes:
        key: names it; a digest of all that makes up its answer.
        holder: names this caller.
        seal: of its answer.
    """

    key: bytes
    holder: bytes
    seal: Seal


class SharedRefreshes:
    """Implements :class:`gateway.ports.SessionsApi` over another one, so that refreshes are shared.

    Args:
        api: makes the calls.
        store: what is shared; closed with this.
        budget_s: seconds that one call may take.
        timer: seconds; only differences count.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        api: SessionsApi,
        store: AnswerStore,
        budget_s: float,
        *,
        timer: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._api = api
        self._store = store
        self._budget_s = budget_s
        self._lease_s = budget_s + LEASE_MARGIN_S
        self._timer = timer
        self._sleep = sleep
        self._is_down = False
        self._retry_at_s = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    async def refresh_cookies(self, need: NeedRefresh) -> tuple[str, ...]:
        """Trade an expired token, or return what somebody else got for it.

        A caller who is cancelled leaves no claim behind.

        Raises:
            AskedElsewhere: somebody else asks, and had no answer for nearly as long as a call may take.
            SessionsApiError: when the API refuses, fails or cannot be reached.
        """
        if self._timer() < self._retry_at_s:
            return await self._api.refresh_cookies(need)
        work, until_s = _work(need), self._timer() + PATIENCE * self._budget_s
        for pause_s in _pauses():
            claim = await self._claim(work)
            # A claim that failed may have reached the store all the same, so its answer is left there too.
            if claim is None or claim.is_ours:
                return await self._call(need, work)
            if claim.answer is not None:
                return await self._taken(need, work.seal.open(claim.answer))
            if self._timer() + pause_s > until_s:
                break
            await self._sleep(pause_s)
        raise AskedElsewhere

    async def handshake_payload(self, nonce: str) -> tuple[str, ...]:
        """Return the directives behind a handshake nonce, which one browser brings once."""
        return await self._api.handshake_payload(nonce)

    async def close(self) -> None:
        """Finish calls that were sent, so that no traded token is lost, and close the store."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.close()

    async def _taken(self, need: NeedRefresh, answer: Answer | None) -> tuple[str, ...]:
        if answer is None:
            return await self._api.refresh_cookies(need)
        if isinstance(answer, ApiRefused):
            raise answer
        return answer

    async def _call(self, need: NeedRefresh, work: _Work) -> tuple[str, ...]:
        """Ask the API; goes on when the caller leaves, and bounded then too."""
        calling = asyncio.create_task(self._bounded(need))
        self._spawn(self._leave(calling, work))
        # The caller does not wait until the answer lies in the store.
        return await asyncio.shield(calling)

    async def _bounded(self, need: NeedRefresh) -> tuple[str, ...]:
        async with asyncio.timeout(self._budget_s):
            return await self._api.refresh_cookies(need)

    async def _leave(self, calling: asyncio.Task[tuple[str, ...]], work: _Work) -> None:
        """Leave for the others what the API says of the tokens; let them try where it said nothing."""
        await asyncio.wait([calling])
        error = calling.exception()
        if error is None:
            sealed, keep_s = work.seal.close(calling.result()), SHARED_S
        elif isinstance(error, ApiRefused) and is_refusal(error):
            sealed, keep_s = work.seal.close(error), REFUSED_S
        else:
            sealed, keep_s = b"", 0
        if 0 < len(sealed) <= MAX_ANSWER_BYTES:
            await self._asked(self._store.settle(work.key, work.holder, sealed, keep_s))
        else:
            await self._asked(self._store.release(work.key, work.holder))

    async def _claim(self, work: _Work) -> Claim | None:
        """Return what became of the claim, or None where the store failed."""
        claiming = asyncio.create_task(self._asked(self._store.claim(work.key, work.holder, self._lease_s)))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            self._spawn(self._give_back(claiming, work))
            raise

    async def _give_back(self, claiming: asyncio.Task[Claim | None], work: _Work) -> None:
        await asyncio.wait([claiming])
        await self._asked(self._store.release(work.key, work.holder))

    async def _asked(self, asking: Awaitable[T]) -> T | None:
        """Return what the store says, or None where it fails; a change is logged."""
        try:
            said = await asking
        except StoreUnavailable as error:
            self._retry_at_s = self._timer() + RETRY_S
            if not self._is_down:
                _log.warning("refresh.store: %s; until it is back each process refreshes alone", error.detail)
            self._is_down = True
            return None
        if self._is_down:
            _log.warning("refresh.store is back; refreshes are shared again")
        self._is_down = False
        return said

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _work(need: NeedRefresh) -> _Work:
    expired, refresh = need.expired_token.reveal(), need.refresh_token.reveal()
    key = digest(need.session_id, expired, refresh, need.request_origin, str(need.suffixed_cookies))
    return _Work(key, secrets.token_bytes(16), Seal(need, key))


def _pauses() -> Iterator[float]:
    """Yield how long to wait for somebody else, each time a little longer (seconds)."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(_LONGEST_PAUSE_S, pause_s * _PAUSE_GROWTH)
