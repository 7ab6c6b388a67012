"""The task that empties the outbox while the authority runs.

It wakes when something is recorded in this process, and looks once a second for what became due, what another process
recorded and whether the clock was moved. Each endpoint has a lane of its own, so a slow one delays nobody else. In a
lane messages about one session go one after the other, and up to eight sessions at once; one that failed comes later,
so the order is an attempt and no promise.

Stamps and waits follow the authority's clock. A message is sent at least once: whoever dies between sending and noting
it leaves it to the next, and the receiver knows it again by its id.
"""

import asyncio
import logging
import math
import random
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import groupby

from gateway.authority.identifiers import new_id
from gateway.authority.webhooks.endpoints import Endpoint
from gateway.authority.webhooks.outbox import Claim, Outbox
from gateway.authority.webhooks.schedule import next_wait_ms
from gateway.authority.webhooks.sending import Outcome, Sender

_log = logging.getLogger("gateway.authority.webhooks")

_LOOK_EVERY_S = 1.0
_TIDY_EVERY_S = 60.0
_AT_ONCE = 8
_DRAIN_S = 2.0
# within the lease, and longer than the database refuses to wait after it met a lock
_NOTE_ATTEMPTS, _NOTE_PAUSE_S = 4, 1.1


class Courier:
    """Delivers what is in an outbox.

    Args:
        outbox: the messages.
        clock: returns Unix seconds.
        sender: sends them; closed with the courier.
        roll: random numbers from 0 to 1, to spread the attempts.
    """

    def __init__(
        self,
        outbox: Outbox,
        clock: Callable[[], float],
        sender: Sender | None = None,
        roll: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._sender = sender or Sender()
        self._roll = roll
        self._lease = new_id("lease")
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._is_stopping = False

    async def run(self) -> None:
        """Deliver until :meth:`stop`."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            # Any thread may record. It does so before its commit, but whoever looks waits for the transaction to end.
            loop.call_soon_threadsafe(self._woken.set)

        self._outbox.listen(wake)
        tidied_at_s = -math.inf
        try:
            while not self._is_stopping:
                self._woken.clear()
                with _going_on():
                    if loop.time() - tidied_at_s >= _TIDY_EVERY_S:
                        tidied_at_s = loop.time()
                        self._outbox.tidy(self._now_ms())
                    self._open_lanes()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        await self._woken.wait()
        finally:
            self._outbox.listen(None)

    async def stop(self) -> None:
        """Give what is being sent two seconds, and give the rest back to whoever comes next."""
        self._is_stopping = True
        self._woken.set()
        lanes = list(self._lanes.values())
        if lanes:
            await asyncio.wait(lanes, timeout=_DRAIN_S)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        with suppress(sqlite3.Error):
            self._outbox.release(self._lease, self._now_ms())
        await self._sender.aclose()

    async def deliver_due(self) -> None:
        """Make one attempt at everything that is due, and return when all are over."""
        self._open_lanes()
        if self._lanes:
            await asyncio.wait(list(self._lanes.values()))

    def _open_lanes(self) -> None:
        for endpoint in self._outbox.due_endpoints(self._now_ms()):
            if endpoint.id not in self._lanes:
                self._lanes[endpoint.id] = asyncio.create_task(self._serve(endpoint))

    async def _serve(self, endpoint: Endpoint) -> None:
        try:
            with _going_on():
                while not self._is_stopping:
                    claims = self._outbox.claim(endpoint.id, self._lease, self._now_ms(), _AT_ONCE)
                    if not claims:
                        return
                    by_subject = sorted(claims, key=lambda claim: claim.subject)  # stable: keeps the order of each
                    groups = [list(group) for _, group in groupby(by_subject, lambda claim: claim.subject)]
                    await asyncio.gather(*(self._in_order(endpoint, group) for group in groups))
        finally:
            del self._lanes[endpoint.id]

    async def _in_order(self, endpoint: Endpoint, claims: list[Claim]) -> None:
        with _going_on():
            for claim in claims:
                # somebody else may have it by now, or the endpoint may be gone
                if not self._is_stopping and self._outbox.renew(claim, self._now_ms()):
                    outcome = await self._sender.send(endpoint, claim, self._now_ms() // 1000)
                    await self._note_surely(endpoint, claim, outcome)

    async def _note_surely(self, endpoint: Endpoint, claim: Claim, outcome: Outcome) -> None:
        """Note what became of it; a file that is locked for a moment shall not make it come again."""
        for _ in range(_NOTE_ATTEMPTS - 1):
            try:
                self._note(endpoint, claim, outcome)
            except sqlite3.OperationalError:
                await asyncio.sleep(_NOTE_PAUSE_S)
            else:
                return
        self._note(endpoint, claim, outcome)

    def _note(self, endpoint: Endpoint, claim: Claim, outcome: Outcome) -> None:
        now_ms = self._now_ms()
        if outcome.is_delivered:
            self._outbox.delivered(claim, outcome.text, now_ms)
            return
        wait_ms = next_wait_ms(claim.attempts + 1, self._roll(), outcome.retry_after_s)
        if outcome.is_gone or wait_ms is None:
            self._outbox.give_up(claim, outcome.text, now_ms)
            _log.warning("webhook %s for %s is given up: %s", claim.message_id, endpoint.label, outcome.text)
        else:
            self._outbox.put_off(claim, outcome.text, now_ms, now_ms + wait_ms)
            wait_s = wait_ms // 1000
            _log.info("webhook %s for %s: %s; again in %d s", claim.message_id, endpoint.label, outcome.text, wait_s)
        if outcome.is_gone:
            self._outbox.endpoints.disable(endpoint.id, "it answered 410 Gone")
            _log.warning("webhook endpoint %s is disabled: it answered 410 Gone", endpoint.label)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


@contextmanager
def _going_on() -> Iterator[None]:
    """Whatever fails, the courier looks again in a second; what it had taken is due again when the lease is over."""
    try:
        yield
    except sqlite3.Error as error:
        _log.error("the database failed, webhooks wait: %s", error)
    except Exception:
        _log.exception("a fault of ours, webhooks wait")


@asynccontextmanager
async def delivering(courier: Courier) -> AsyncIterator[None]:
    """Deliver while the block runs."""
    running = asyncio.create_task(courier.run())
    try:
        yield
    finally:
        await courier.stop()
        await running
