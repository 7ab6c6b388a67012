"""One request and its answer as a stream of a connection that others use too (RFC 9113 section 5).

What the client has not taken is not acknowledged, so the upstream sends no more than a window of it; what the upstream
has no window for is not asked of the client.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.core.reasons import Reason
from gateway.errors import UpstreamError
from gateway.passing import Take
from gateway.upstream.connection import SLOW_S, ConnectionLostError, timed_out
from gateway.upstream.http2.messages import Incoming
from gateway.upstream.origin import Limits


class UnprocessedError(ConnectionLostError):
    """The upstream says that it has done nothing for the request: it may be repeated, whatever its method."""

    def __init__(self) -> None:
        super().__init__(is_untouched=True)


class Link(Protocol):
    """The connection, as its streams see it."""

    def write(self, number: int, data: memoryview) -> int:
        """Send as much of this as there is room for, and return how much that was."""
        ...

    def end(self, number: int) -> None:
        """Say that the request is whole."""
        ...

    def reset(self, number: int) -> None:
        """Say that the exchange is of no interest any more."""
        ...

    def acknowledge(self, number: int, size: int) -> None:
        """Let the upstream send so many bytes more."""
        ...


class Stream:
    """An exchange that has begun.

    Args:
        link: its connection.
        number: of the stream.
        incoming: what becomes of the answer.
        limits: time-outs.
        is_request_sent: the request has no body.

    Attributes:
        number: of the stream.
        incoming: what has become of the answer.
        is_closed: nothing more can be sent.
        on_slow: told once when it has taken longer than :data:`~gateway.upstream.connection.SLOW_S`.
    """

    def __init__(self, link: Link, number: int, incoming: Incoming, limits: Limits, *, is_request_sent: bool) -> None:
        self.number = number
        self.incoming = incoming
        self.is_closed = False
        self.on_slow: Callable[[], None] | None = None
        self._link = link
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._is_request_sent = is_request_sent
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._begun_s = self._written_s = self._waiting_s = self._loop.time()
        self._patience_s = 0.0

    # ── the request ──

    @property
    def is_request_sent(self) -> bool:
        """The request is out; to say so ends it."""
        return self._is_request_sent

    @is_request_sent.setter
    def is_request_sent(self, value: bool) -> None:
        if value and not self._is_request_sent and not self.is_closed:
            self._link.end(self.number)
            self._written_s = self._loop.time()
        self._is_request_sent = value

    def send_at_once(self, data: memoryview) -> bool:  # noqa: ARG002 - it would have to go into frames
        """Leave every piece to :meth:`send`."""
        return False

    async def send(self, data: bytes) -> None:
        """Send a piece of the body, waiting while the upstream has no room, which may be for ``idle_s``."""
        rest = memoryview(data)
        self._written_s = self._loop.time()
        while rest and not self.is_closed:
            if sent := self._link.write(self.number, rest):
                rest = rest[sent:]
                self._written_s = self._loop.time()
                continue
            self._room = self._loop.create_future()
            try:
                await self._room
            finally:
                self._room = None

    async def send_chunk(self, data: bytes) -> None:
        """Send a piece of the body; frames tell its end (RFC 9113 section 8.1)."""
        await self.send(data)

    def resume(self) -> None:
        """Go on sending: there may be room again."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # ── the answer ──

    def heard(self) -> None:
        """Something of the answer has come, or its end."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait_head(self) -> Incoming:
        """Wait until status and headers are there, and return the answer that has them.

        Raises:
            ConnectionLostError, UpstreamError: when they do not come, or the answer is broken already.
        """
        incoming = self.incoming
        if not incoming.has_head:
            await self._wait(self._limits.first_byte_s)
        if self._error is not None and not incoming.is_complete:
            raise self._error
        return incoming

    async def read(self, take: Take | None = None) -> bytes:  # noqa: ARG002 - what comes is held in any case
        """Return what there is of the body; empty when it is complete.

        Raises:
            UpstreamError: when the rest does not come.
        """
        incoming = self.incoming
        if not incoming.is_ready:
            await self._wait(self._limits.idle_s)
        if not incoming.is_ready and self._error is not None:
            if isinstance(self._error, ConnectionLostError):
                raise UpstreamError(Reason.UPSTREAM_TRUNCATED, "it broke off within its answer")
            raise self._error
        data = incoming.take()
        self._link.acknowledge(self.number, len(data))
        return data

    @property
    def is_drained(self) -> bool:
        """Whether the answer is complete and nothing of it is left to read."""
        return self.incoming.is_complete and not self.incoming.chunks

    async def _wait(self, patience_s: float) -> None:
        if self._error is not None:
            return
        self._waiter = self._loop.create_future()
        self._patience_s = patience_s
        self._waiting_s = self._loop.time()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # ── its end ──

    def finish(self) -> None:
        """End the exchange, whole or not."""
        if not (self.incoming.is_complete and self._is_request_sent):
            self.abort()
        self.is_closed = True
        self._link.acknowledge(self.number, len(self.incoming.take()))
        self._error = None  # its traceback holds this, and whatever the exchange held

    def fail(self, error: Exception) -> None:
        """Tell the upstream that nobody wants its answer, and whoever waits, why."""
        if not self.is_closed:
            self._link.reset(self.number)
        self.close(error)

    def abort(self) -> None:
        """End it; whoever waits is told."""
        self.fail(ConnectionLostError(is_untouched=False))

    def close(self, error: Exception) -> None:
        """The upstream has ended it, or the connection is gone; an answer that is whole stands."""
        self.is_closed = True
        if self._error is None:
            self._error = error
        self.resume()
        self.heard()

    def check(self, now_s: float) -> None:
        """Fail when the upstream has run out of time, which counts from the request's last byte.

        Args:
            now_s: loop time.
        """
        limits = self._limits
        if self._room is not None and now_s - self._written_s >= limits.idle_s:
            self.fail(timed_out(f"it took no byte of the request within {limits.idle_s:g} s"))
        waits = self._waiter is not None and self._is_request_sent
        if waits and now_s - max(self._waiting_s, self._written_s) >= self._patience_s:
            self.fail(timed_out(f"no byte from it within {self._patience_s:g} s"))
        if limits.total_s and now_s - self._begun_s >= limits.total_s:
            self.fail(timed_out(f"the exchange was not over within {limits.total_s:g} s"))
        if self.on_slow is not None and now_s - self._begun_s >= SLOW_S:
            on_slow, self.on_slow = self.on_slow, None
            on_slow()
