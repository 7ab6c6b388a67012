"""One request forwarded and its answer streamed back, over ASGI's ``receive`` and a :class:`Sink`.

Nothing is buffered beyond the stated windows. A client that goes away ends the upstream's work: with a request body the
task that pumps it notices; without one, watching starts only when an answer takes longer than :data:`WATCH_AFTER_S`,
so that quick answers pay nothing for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.errors import UpstreamError
from gateway.upstream.connection import Connection, ConnectionLostError
from gateway.upstream.pool import Pool

WATCH_AFTER_S = 0.25
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Idempotent methods (RFC 9110 section 9.2.2)."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGoneError(Exception):
    """The client went away; there is nobody to answer."""


class Sink(Protocol):
    """Where an answer goes."""

    async def start(self, status: int, headers: list[Header]) -> None:
        """Take status and headers."""
        ...

    async def body(self, data: bytes, *, more: bool) -> None:
        """Take a piece of the body; returns when more can be taken."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it goes to the upstream.

    Attributes:
        method: as received.
        target: path and query, exactly as they go on the wire.
        headers: complete but for framing; without ``content-length`` and ``transfer-encoding``.
        length: of the body in bytes; None when it is not known, 0 for none.
    """

    method: str
    target: bytes
    headers: list[Header]
    length: int | None

    def head(self) -> bytes:
        """Return the head in HTTP/1.1 (RFC 9112 section 3)."""
        lines = [b"%b %b HTTP/1.1" % (self.method.encode("ascii"), self.target)]
        lines += [b"%b: %b" % header for header in self.headers]
        if self.length is None:
            lines.append(b"transfer-encoding: chunked")
        elif self.length or self.method in {"POST", "PUT", "PATCH"}:
            lines.append(b"content-length: %d" % self.length)
        return b"\r\n".join(lines) + b"\r\n\r\n"


async def forward(pool: Pool, request: Outgoing, receive: Receive, sink: Sink) -> None:
    """Forward a request and stream its answer.

    Raises:
        UpstreamError: when there is no answer, or it broke off; the sink may have been started by then.
        ClientGoneError: when the client went away meanwhile.
    """
    may_repeat = request.length == 0 and request.method in REPEATABLE
    connection = await pool.acquire()
    try:
        is_kept = connection.exchanges > 0
        try:
            await _exchange(connection, request, receive, sink)
        except ConnectionLostError as lost:
            if not (lost.is_untouched and is_kept and may_repeat):
                raise UpstreamError(Reason.UPSTREAM_TRUNCATED, "it closed the connection before answering") from None
            # The upstream had closed a kept connection just as we used it: nothing was answered, ask again.
            pool.release(connection)
            connection = await pool.acquire(fresh=True)
            try:
                await _exchange(connection, request, receive, sink)
            except ConnectionLostError:
                raise UpstreamError(Reason.UPSTREAM_TRUNCATED, "it closed the connection before answering") from None
    finally:
        pool.release(connection)


async def _exchange(connection: Connection, request: Outgoing, receive: Receive, sink: Sink) -> None:
    companion = _Companion(connection, request, receive)
    connection.begin(request.head(), is_head=request.method == "HEAD")
    companion.start()
    try:
        await connection.wait_head()
        await sink.start(connection.status, connection.headers)
        while True:
            data = await connection.read()
            is_last = connection.is_drained
            await sink.body(data, more=not is_last)
            if is_last:
                return
    except (ConnectionLostError, UpstreamError):
        if companion.is_client_gone:
            raise ClientGoneError from None
        raise
    finally:
        await companion.stop()


class _Companion:
    """What goes on beside the answer: the request's body is pumped, and the client is watched."""

    def __init__(self, connection: Connection, request: Outgoing, receive: Receive) -> None:
        self._connection = connection
        self._length = request.length
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_client_gone = False

    def start(self) -> None:
        if self._length == 0:
            self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._run)
        else:
            self._run()

    def _run(self) -> None:
        self._task = asyncio.create_task(self._pump())

    async def _pump(self) -> None:
        is_chunked, remaining = self._length is None, self._length or 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                self.is_client_gone = True
                self._connection.abort()
                return
            data = message.get("body", b"")
            remaining -= len(data)
            if data and self._length != 0:
                await self._connection.send(b"%x\r\n%b\r\n" % (len(data), data) if is_chunked else data)
            if not message.get("more_body", False):
                if is_chunked:
                    await self._connection.send(b"0\r\n\r\n")
                elif remaining:
                    # The client sent less or more than it said: the upstream must not wait or read on.
                    self._connection.abort()
                    return
                is_chunked, remaining, self._length = False, 0, 0

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is None:
            return
        is_body_unsent = self._length != 0 and not self._task.done()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if is_body_unsent:
            # An early answer: what is left of the body would be read as the next request (RFC 9112 section 9.6).
            self._connection.abort()
