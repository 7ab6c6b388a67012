"""One request forwarded and its answer streamed back, over ASGI's ``receive`` and a :class:`Sink`.

Nothing is buffered beyond the stated windows. A client that goes away ends the upstream's work: with a request body the
task that pumps it notices; without one, watching starts only when an answer comes in pieces or takes longer than
:data:`~gateway.upstream.connection.SLOW_S`. Most answers come whole and at once: they pay nothing for all that.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from starlette.types import Message, Receive

from gateway.core.header_names import hides_break
from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.errors import UpstreamError
from gateway.passing import Direct
from gateway.upstream.connection import Connection, ConnectionLostError
from gateway.upstream.exchange import Exchange, Sink
from gateway.upstream.pool import Pool

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Idempotent methods (RFC 9110 section 9.2.2)."""

WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_END: Final = (b"", b"")


class ClientGoneError(Exception):
    """The client went away; there is nobody to answer.

    Attributes:
        is_unfinished: its request was not whole. Servers say the same of a body that is not framed as it should be,
            and that client may still be there.
    """

    def __init__(self, *, is_unfinished: bool = False) -> None:
        self.is_unfinished = is_unfinished
        super().__init__("the client went away")


@dataclass(init=False, slots=True)
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

    def __init__(self, method: str, target: bytes, headers: list[Header], length: int | None) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.length = length

    def head(self) -> bytes:
        """Return the head in HTTP/1.1 (RFC 9112 section 3).

        Raises:
            UpstreamError: when a line break hides in it.
        """
        lines = [b"%b %b HTTP/1.1" % (self.method.encode("ascii"), self.target)]
        lines += [name + b": " + value for name, value in self.headers]
        if self.length is None:
            lines.append(b"transfer-encoding: chunked")
        elif self.length or self.method in WITH_BODY:
            lines.append(b"content-length: %d" % self.length)
        if hides_break(lines):
            # Servers refuse such requests; should one let it through, it must not become a second request.
            raise UpstreamError(Reason.REQUEST_FRAMING_INVALID, "a line break or NUL inside of the request's head")
        lines += _END
        return b"\r\n".join(lines)


async def forward(pool: Pool, request: Outgoing, receive: Receive, sink: Sink, begun: Connection | None = None) -> None:
    """Forward a request and stream its answer.

    Args:
        pool: connections to the upstream.
        request: as it goes there.
        receive: brings its body, and the news that the client has gone.
        sink: takes the answer.
        begun: a connection of the pool on which the request, which has no body, went out already.

    Raises:
        UpstreamError: when there is no answer, or it broke off; the sink may have been started by then.
        ClientGoneError: when the client went away meanwhile, or reads nothing of its answer.
    """
    head = request.head()
    may_repeat = request.length == 0 and request.method in REPEATABLE
    for fresh in (False, True):
        connection = begun or await pool.acquire(fresh=fresh)
        is_kept = begun is not None or connection.exchanges > 0
        try:
            if begun is None:
                connection.begin(head, is_head=request.method == "HEAD")
            begun = None
            await exchange(connection, request, receive, sink, pool.limits.idle_s)
        except ConnectionLostError as lost:
            # The upstream may close a kept connection just as we use it: nothing was answered then, so ask once more.
            if not (may_repeat and is_kept and lost.is_untouched):
                raise UpstreamError(Reason.UPSTREAM_TRUNCATED, "it broke off before its answer was there") from None
        except OSError:
            # The sink's: the client has gone (ASGI, "send" after a disconnect) or took nothing for too long.
            raise ClientGoneError from None
        else:
            return
        finally:
            pool.release(connection)


async def exchange(connection: Exchange, request: Outgoing, receive: Receive, sink: Sink, idle_s: float) -> None:
    """Carry an exchange that has begun to its end: the body of the request one way, the answer the other.

    Args:
        connection: the exchange.
        request: what was asked.
        receive: the client's end.
        sink: where the answer goes.
        idle_s: seconds in which the client has to send or take a piece.

    Raises:
        ConnectionLostError, UpstreamError: when there is no answer, or it broke off.
        ClientGoneError: when the client went away meanwhile.
        OSError: the sink's, for a client that has gone or takes nothing.
    """
    direct = sink.direct
    companion = Companion(connection, request.length, receive, idle_s, direct)
    companion.start()
    take = None
    try:
        answer = await connection.wait_head()
        await sink.start(answer.status, answer.headers)
        while True:
            data = await connection.read(take)
            if connection.is_drained:
                await sink.body(data, more=False)
                return
            # The server may swallow what it is given for a client that has gone: look out for that from now on.
            companion.watch()
            if direct is not None:
                take = direct.take
            async with asyncio.timeout(idle_s):
                await sink.body(data, more=True)
    except (ConnectionLostError, UpstreamError):
        if companion.is_client_gone:
            raise ClientGoneError(is_unfinished=not connection.is_request_sent) from None
        raise
    finally:
        companion.stop()


class Companion:
    """What goes on beside the answer: the request's body is pumped, and the client is watched."""

    __slots__ = (
        "_asked_s",
        "_connection",
        "_direct",
        "_idle_s",
        "_is_over",
        "_length",
        "_loop",
        "_receive",
        "_remaining",
        "_task",
        "_timer",
        "is_client_gone",
    )

    def __init__(
        self, connection: Exchange, length: int | None, receive: Receive, idle_s: float, direct: Direct | None = None
    ) -> None:
        self._connection = connection
        self._direct = direct if length else None
        self._length = length
        self._remaining = length or 0
        self._receive = receive
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked_s = 0.0
        self._is_over = False
        self.is_client_gone = False

    def start(self) -> None:
        if self._length == 0:
            self._connection.is_request_sent = True
            self._connection.on_slow = self.watch
        else:
            self.watch()
            if self._direct is not None:
                self._direct.divert(self._take)

    def watch(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._pump())
            if not self._connection.is_request_sent:
                self._timer = self._loop.call_later(self._idle_s, self._look)

    async def _pump(self) -> None:
        try:
            while not self._connection.is_closed:
                self._asked_s = self._loop.time()
                message = await self._receive()
                self._asked_s = 0.0
                if self._is_over and message["type"] == "http.request":
                    # Some servers repeat the end of the body for ever, and say nothing of the client.
                    return
                await self._pass(message)
        except Exception as error:
            # Whoever waits for the answer gets to know; otherwise the fault of the server would look like a time-out.
            self._connection.fail(error)

    def _take(self, data: memoryview) -> bool:
        if not self._connection.send_at_once(data):
            return False
        self._remaining -= len(data)
        self._asked_s = self._loop.time()
        return True

    def _look(self) -> None:
        """End a request whose client sends nothing of it; one timer for all pieces, since one for each would cost."""
        if self._connection.is_request_sent:
            return
        since_s = self._asked_s or self._loop.time()
        if self._loop.time() - since_s >= self._idle_s:
            detail = f"the client sent nothing of its request within {self._idle_s:g} s"
            self._connection.fail(UpstreamError(Reason.REQUEST_TIMEOUT, detail))
        else:
            self._timer = self._loop.call_at(since_s + self._idle_s, self._look)

    async def _pass(self, message: Message) -> None:
        if message["type"] != "http.request":
            self.is_client_gone = True
            self._connection.abort()
            return
        data, is_last = message.get("body", b""), not message.get("more_body", False)
        if self._length is None:
            if data:
                await self._connection.send_chunk(data)
            if is_last:
                await self._connection.send_chunk(b"")
        else:
            self._remaining -= len(data)
            if self._remaining < 0 or (is_last and self._remaining):
                # What is too much would be the upstream's next request; what is too little, it would wait for.
                detail = "the request's body is not as long as its content-length says"
                raise UpstreamError(Reason.REQUEST_FRAMING_INVALID, detail)
            if data:
                await self._connection.send(data)
        self._is_over = is_last
        if is_last or (self._length is not None and not self._remaining):
            self._connection.is_request_sent = True

    def stop(self) -> asyncio.Task[None] | None:
        """End it at once; what it still was waiting for is cancelled, before whatever begins after this has its turn.

        Returns:
            The task that is being cancelled, for whoever has to see its end; None where there was none.
        """
        if not self._connection.is_request_sent:
            # An early answer: what is left of the body would be read as the next request (RFC 9112 section 9.6).
            self._connection.abort()
        if self._timer is not None:
            self._timer.cancel()
        if self._direct is not None:
            self._direct.divert(None)
        task, self._task = self._task, None  # it holds this in turn
        if task is not None:
            task.cancel()
        return task
