"""One connection to an upstream, one exchange at a time (RFC 9112).

The parser is httptools (llhttp). A connection may be used again only after an answer that was complete, well framed
and not followed by anything (RFC 9112 section 9.3); whatever else happens, it is closed.
"""

import asyncio
from collections import deque
from typing import cast

import httptools

from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.errors import UpstreamError
from gateway.upstream.origin import Limits


class ConnectionLostError(Exception):
    """The connection ended; was anything of the answer there?

    Attributes:
        is_untouched: not one byte of the answer had come, so the request may be repeated on another connection.
    """

    def __init__(self, *, is_untouched: bool) -> None:
        self.is_untouched = is_untouched
        super().__init__("the connection ended")


class Connection(asyncio.Protocol):
    """An open connection.

    Args:
        limits: sizes of headers and of the window.
        loop: of the caller.
    """

    def __init__(self, limits: Limits, loop: asyncio.AbstractEventLoop) -> None:
        self._limits = limits
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_write_paused = False
        self.exchanges = 0
        self.idle_since_s = 0.0
        self.is_closed = False
        self._reset(is_head=False)

    def _reset(self, *, is_head: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._is_head_request = is_head
        self._in_exchange = False
        self._error: Exception | None = None
        self._received = 0
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._is_read_paused = False
        self._has_head = self._is_complete = self._is_framed = self._may_reuse = False
        self.status = 0
        self.headers: list[Header] = []

    # ── asyncio.Protocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; anything outside of an exchange makes the connection useless."""
        if not self._in_exchange or self._is_complete:
            self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(UpstreamError(Reason.UPSTREAM_PROTOCOL_ERROR, "it switched protocols without being asked"))
        except httptools.HttpParserError as error:
            self._fail(
                UpstreamError(Reason.UPSTREAM_PROTOCOL_ERROR, f"it does not speak HTTP/1.1 ({type(error).__name__})")
            )
        if not self._has_head and self._received > self._limits.header_bytes:
            detail = f"its headers exceed {self._limits.header_bytes} bytes"
            self._fail(UpstreamError(Reason.UPSTREAM_PROTOCOL_ERROR, detail))
        self._wake()

    def eof_received(self) -> bool:
        """Let the transport close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End the body that only the end of the connection delimits; everything else is broken off."""
        self.is_closed = True
        if self._in_exchange and not self._is_complete:
            if self._has_head and not self._is_framed and exc is None and self._error is None:
                self._is_complete = True
            elif self._error is None:
                self._error = ConnectionLostError(is_untouched=self._received == 0)
        self._resume_writer()
        self._wake()

    def pause_writing(self) -> None:
        """The upstream reads more slowly than the client sends."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        self._is_write_paused = False
        self._resume_writer()

    # ── httptools callbacks ──

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; what comes after the body are trailers, which are dropped."""
        if not self._has_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take the head, unless it is that of an interim answer (RFC 9110 section 15.2)."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            return
        self.status = status
        names = {name for name, _ in self.headers}
        self._is_framed = b"content-length" in names or b"transfer-encoding" in names
        self._has_head = True
        if self._is_head_request:
            # The parser cannot know that an answer to HEAD has no body.
            self._is_complete = True
            self._may_reuse = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Hold a piece of the body; stop reading when the client is slower."""
        if self._is_head_request:
            self._fail(UpstreamError(Reason.UPSTREAM_PROTOCOL_ERROR, "it sent a body in answer to HEAD"))
            return
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > self._limits.window_bytes and not self._is_read_paused and self._transport:
            self._is_read_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The answer is whole; an interim one is forgotten."""
        if not self._has_head:
            self.headers.clear()
            return
        if not self._is_complete:
            self._is_complete = True
            self._may_reuse = self._parser.should_keep_alive()

    # ── one exchange ──

    def begin(self, head: bytes, *, is_head: bool) -> None:
        """Write a request's head and wait for nothing."""
        self._reset(is_head=is_head)
        self._in_exchange = True
        self.exchanges += 1
        self._write(head)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self.is_closed:
            self._transport.write(data)

    async def send(self, data: bytes) -> None:
        """Write a piece of the request's body, waiting while the upstream is slow."""
        self._write(data)
        if self._is_write_paused and not self.is_closed:
            self._drained = self._loop.create_future()
            await self._drained

    async def wait_head(self) -> None:
        """Wait until status and headers are there.

        Raises:
            ConnectionLostError, UpstreamError: when they do not come.
        """
        while not self._has_head:
            await self._wait(self._limits.first_byte_s)

    async def read(self) -> bytes:
        """Return what there is of the body; empty when it is complete.

        Raises:
            UpstreamError: when the rest does not come.
        """
        while not self._chunks:
            if self._is_complete:
                return b""
            try:
                await self._wait(self._limits.idle_s)
            except ConnectionLostError:
                raise UpstreamError(Reason.UPSTREAM_TRUNCATED, "it broke off within its answer") from None
        return self._take()

    def _take(self) -> bytes:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._is_read_paused and self._transport and not self.is_closed:
            self._is_read_paused = False
            self._transport.resume_reading()
        return data

    @property
    def is_drained(self) -> bool:
        """Whether the answer is complete and nothing of it is left to read."""
        return self._is_complete and not self._chunks

    def finish(self) -> bool:
        """End the exchange; return whether the connection can be used again."""
        is_whole = self._is_complete and not self._chunks and self._error is None
        self._in_exchange = False
        if is_whole and self._may_reuse and not self.is_closed:
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Close at once; whoever waits is told."""
        if self._transport is not None and not self.is_closed:
            self._transport.abort()
        self.is_closed = True
        if self._in_exchange and self._error is None and not self._is_complete:
            self._error = ConnectionLostError(is_untouched=False)
        self._resume_writer()
        self._wake()

    async def _wait(self, timeout_s: float) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(timeout_s, self._time_out, timeout_s)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
        if self._error is not None and not self._chunks and not self._is_complete:
            raise self._error

    def _time_out(self, timeout_s: float) -> None:
        self._fail(UpstreamError(Reason.UPSTREAM_TIMEOUT, f"no byte from it within {timeout_s:g} s"))
        self._wake()

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
