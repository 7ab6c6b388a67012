"""One connection to an upstream, one exchange at a time (RFC 9112).

A connection may be used again only after an answer that was complete, well framed and not followed by anything
(RFC 9112 section 9.3); whatever else happens, it is closed.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from gateway.core.reasons import Reason
from gateway.core.window import Window
from gateway.errors import UpstreamError
from gateway.passing import TURN_PIECES, Take, write_at_once
from gateway.upstream.incoming import Incoming
from gateway.upstream.origin import Limits

SLOW_S = 0.25
"""Seconds after which an exchange is no quick one any more."""


class ConnectionLostError(Exception):
    """The connection ended; was anything of the answer there?

    Attributes:
        is_untouched: not one byte of the answer had come, so the request may be repeated on another connection.
    """

    def __init__(self, *, is_untouched: bool) -> None:
        self.is_untouched = is_untouched
        super().__init__("the connection ended")


def timed_out(detail: str) -> UpstreamError:
    """Return the error of an upstream that is too slow."""
    return UpstreamError(Reason.UPSTREAM_TIMEOUT, detail)


class Connection(asyncio.BufferedProtocol):
    """An open connection.

    Args:
        limits: sizes of headers and of the window, and time-outs.
        loop: of the caller.
        window: what is read goes through it; all connections of a loop may share one.
        forget: told when the connection ends outside of an exchange.

    Attributes:
        time_s: tells loop time.
        exchanges: begun so far.
        idle_since_s: loop time of the last exchange's end.
        is_closed: useless.
        is_request_sent: the request is out; from then on the upstream's time is counted.
        on_slow: told once when the exchange has taken longer than :data:`SLOW_S`.
    """

    def __init__(
        self,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        forget: Callable[["Connection"], None],
        window: Window,
    ) -> None:
        self._limits = limits
        self._loop = loop
        self.time_s = loop.time
        self._forget = forget
        self._window = window
        self._transport: asyncio.Transport | None = None
        self._incoming: Incoming | None = None
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._take: Take | None = None
        self._watcher: Callable[[], None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_write_paused = self._is_read_paused = self._is_plain = False
        self._begun_s = self._waiting_s = self._patience_s = self._written_s = 0.0
        self._passed = 0
        self.exchanges = 0
        self.idle_since_s = 0.0
        self.is_closed = False
        self.is_request_sent = False
        self.on_slow: Callable[[], None] | None = None

    # ── asyncio.BufferedProtocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(len(self._window.view))
        self._is_plain = transport.get_extra_info("sslcontext") is None

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return where the next bytes go."""
        return self._window.view

    def buffer_updated(self, nbytes: int) -> None:
        """Feed the answer; bytes that nobody asked for make the connection useless."""
        incoming = self._incoming
        if incoming is None or incoming.is_complete:
            self.abort()
            return
        if self._take is not None and incoming.pass_by(self._window.view[:nbytes], self._take):
            self._waiting_s = self.time_s()
            self._give_way()
            return
        had_head = incoming.has_head
        try:
            incoming.feed(self._window.view[:nbytes])
        except UpstreamError as error:
            self.fail(error)
            return
        if (
            incoming.held > min(self._limits.window_bytes, len(self._window.view))
            and not self._is_read_paused
            and self._transport
        ):
            self._is_read_paused = True
            self._transport.pause_reading()
        # Only progress wakes: an upstream that drips headers, interim answers or trailers runs into the time-out.
        if incoming.is_ready or incoming.has_head is not had_head:
            self._wake()

    def _give_way(self) -> None:
        """Let others have their turn when many pieces have passed: the transport reads on while there is anything."""
        self._passed = (self._passed + 1) % TURN_PIECES
        if not self._passed and self._transport is not None and not self._is_read_paused:
            self._is_read_paused = True
            self._transport.pause_reading()
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._is_read_paused and self._transport is not None and not self.is_closed:
            self._is_read_paused = False
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        """Let the transport close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End the body that only the end of the connection delimits; everything else is broken off."""
        if self._incoming is not None and exc is None and self._error is None:
            self._incoming.end()
        is_untouched = self._incoming is not None and not self._incoming.received
        self._close(ConnectionLostError(is_untouched=is_untouched))

    def pause_writing(self) -> None:
        """The upstream reads more slowly than the client sends."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        self._is_write_paused = False
        self._resume_writer()

    # ── one exchange ──

    def begin(self, head: bytes, *, is_head: bool) -> None:
        """Write a request's head and wait for nothing."""
        self._incoming = Incoming(is_head=is_head, header_bytes=self._limits.header_bytes)
        self.is_request_sent = False
        self.on_slow = None
        self.exchanges += 1
        self._begun_s = self._written_s = self.time_s()
        if self._transport is None or self.is_closed:
            self._error = ConnectionLostError(is_untouched=True)
        else:
            self._transport.write(head)

    async def send(self, data: bytes) -> None:
        """Write a piece of the request's body, waiting while the upstream is slow, which it may be for ``idle_s``."""
        if self._transport is None or self.is_closed:
            return
        self._written_s = self.time_s()
        self._transport.write(data)
        if not self._is_write_paused or self.is_closed:
            return
        self._drained = self._loop.create_future()
        try:
            await self._drained
        finally:
            self._drained = None

    def send_at_once(self, data: memoryview) -> bool:
        """Write a piece of the request's body (:data:`gateway.passing.Take`)."""
        if self._transport is None or not self._is_plain or not write_at_once(self._transport, data):
            return False
        self._written_s = self.time_s()
        return True

    async def send_chunk(self, data: bytes) -> None:
        """Write a piece of a body whose length is not known (RFC 9112 section 7.1); an empty one ends it."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have a function called once: when the answer or its head is there, or takes long, or none will come.

        That is for requests without a body. Most answers come whole and at once, and can be passed on without a task;
        everything else is left to :meth:`wait_head`.
        """
        self.is_request_sent = True
        self._watcher = self.on_slow = watcher
        self._patience_s = self._limits.first_byte_s
        self._waiting_s = self._begun_s
        if self._error is not None:
            self._loop.call_soon(self._wake)

    def answer_at_once(self) -> Incoming | None:
        """Return the answer if all of it is there; to be asked when the function of :meth:`watch` is called."""
        incoming = self._incoming
        return incoming if incoming is not None and incoming.is_complete else None

    async def wait_head(self) -> Incoming:
        """Wait until status and headers are there, and return the answer that has them.

        Raises:
            ConnectionLostError, UpstreamError: when they do not come, or the answer is broken already.
        """
        incoming = self._begun()
        if not incoming.has_head:
            await self._wait(self._limits.first_byte_s)
        if self._error is not None and not incoming.is_complete:
            raise self._error
        return incoming

    async def read(self, take: Take | None = None) -> bytes:
        """Return what there is of the body; empty when it is complete.

        Args:
            take: offered the pieces that come meanwhile; what it takes is not returned.

        Raises:
            UpstreamError: when the rest does not come.
        """
        incoming = self._begun()
        if not incoming.is_ready:
            self._take = take
            try:
                await self._wait(self._limits.idle_s)
            finally:
                self._take = None
        if not incoming.is_ready and self._error is not None:
            if isinstance(self._error, ConnectionLostError):
                raise UpstreamError(Reason.UPSTREAM_TRUNCATED, "it broke off within its answer")
            raise self._error
        data = incoming.take()
        self._read_on()
        return data

    @property
    def is_drained(self) -> bool:
        """Whether the answer is complete and nothing of it is left to read."""
        incoming = self._begun()
        return incoming.is_complete and not incoming.chunks

    def _begun(self) -> Incoming:
        if self._incoming is None:
            raise RuntimeError("no exchange has begun on this connection")
        return self._incoming

    def finish(self) -> bool:
        """End the exchange; return whether the connection can be used again."""
        incoming, self._incoming = self._incoming, None
        self.on_slow = self._watcher = None
        if incoming is not None:
            incoming.let_go()
            if incoming.may_reuse and not incoming.chunks and not self.is_closed:
                return True
        self.abort()
        self._error = None  # its traceback holds this connection, and whatever the exchange held
        return False

    def fail(self, error: Exception) -> None:
        """Close at once, with this error for whoever waits."""
        self._close(error)
        if self._transport is not None:
            self._transport.abort()

    def abort(self) -> None:
        """Close at once; whoever waits is told."""
        self.fail(ConnectionLostError(is_untouched=False))

    def _close(self, error: Exception) -> None:
        self.is_closed = True
        if self._error is None:
            self._error = error
        if self._incoming is None:
            self._forget(self)
        self._resume_writer()
        self._wake()

    async def _wait(self, patience_s: float) -> None:
        if self._error is not None:
            return
        self._waiter = self._loop.create_future()
        self._patience_s = patience_s
        self._waiting_s = self.time_s()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def check(self, now_s: float) -> None:
        """Fail when the upstream has run out of time; called every now and then while an exchange goes on.

        A timer of its own for each wait would cost more than all else that is done for an exchange. The upstream's time
        counts from the request's last byte.

        Args:
            now_s: loop time.
        """
        if self._drained is not None and now_s - self._written_s >= self._limits.idle_s:
            self.fail(timed_out(f"it took no byte of the request within {self._limits.idle_s:g} s"))
        waits = (self._waiter is not None or self._watcher is not None) and self.is_request_sent
        if waits and now_s - max(self._waiting_s, self._written_s) >= self._patience_s:
            self.fail(timed_out(f"no byte from it within {self._patience_s:g} s"))
        total_s = self._limits.total_s
        if total_s and now_s - self._begun_s >= total_s:
            self.fail(timed_out(f"the exchange was not over within {total_s:g} s"))
        if self.on_slow is not None and now_s - self._begun_s >= SLOW_S:
            on_slow, self.on_slow = self.on_slow, None
            self._watcher = None
            on_slow()

    def _wake(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            self.on_slow = None
            watcher()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
