"""The connections to one upstream that speaks HTTP/2: as few as carry the work, bounded in number."""

import asyncio
import ssl

from starlette.types import Receive

from gateway.core.reasons import Reason
from gateway.errors import UpstreamError
from gateway.upstream.connection import ConnectionLostError
from gateway.upstream.dial import dial
from gateway.upstream.exchange import Sink
from gateway.upstream.forward import REPEATABLE, ClientGoneError, Outgoing, exchange
from gateway.upstream.http2.connection import Http2Connection
from gateway.upstream.http2.messages import head_of
from gateway.upstream.http2.stream import UnprocessedError
from gateway.upstream.origin import Limits, Origin
from gateway.upstream.pool import Pool, pause_s
from gateway.upstream.websocket import MakeHead, UpstreamWebSocket, connect


class Http2Pool:
    """Connections to one upstream.

    Args:
        origin: where it is.
        limits: how many and how long.
        tls: for an upstream that speaks TLS; it must offer ``h2`` (ALPN).
        sockets: connections in HTTP/1.1 to the same upstream, for WebSockets; closed by whoever made them.

    Attributes:
        origin, limits, sockets: as given.
    """

    def __init__(self, origin: Origin, limits: Limits, tls: ssl.SSLContext | None, sockets: Pool) -> None:
        self.origin = origin
        self.limits = limits
        self._tls = tls
        self._scheme = b"https" if origin.is_tls else b"http"
        self.sockets = sockets
        self._connections: list[Http2Connection] = []
        self._opening: asyncio.Task[None] | None = None
        self._opened = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def in_use(self) -> int:
        """How many exchanges and WebSockets are in hand."""
        return sum(len(connection.streams) for connection in self._connections) + self.sockets.in_use

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    @property
    def origins(self) -> tuple[str, ...]:
        """Where it leads."""
        return (self.origin.text,)

    async def connect(self, make_head: MakeHead, offered: tuple[str, ...], max_message_bytes: int) -> UpstreamWebSocket:
        """Open a WebSocket, which is done in HTTP/1.1 (RFC 6455), as :func:`gateway.upstream.websocket.connect` does.

        Raises:
            Refused: the upstream answered, and did not accept.
            UpstreamError: it cannot be reached, or did not answer as it should.
        """
        return await connect(self.sockets, make_head, offered, max_message_bytes)

    async def forward(self, request: Outgoing, receive: Receive, sink: Sink) -> None:
        """Forward a request and stream its answer, as :func:`gateway.upstream.forward.forward` does in HTTP/1.1.

        A request without a body is sent once more where the upstream says that it did nothing for it, and where a kept
        connection ended untouched as far as its method may be repeated.

        Raises:
            UpstreamError: when there is no answer, or it broke off; the sink may have been started by then.
            ClientGoneError: when the client went away meanwhile, or reads nothing of its answer.
        """
        headers = head_of(request, self._scheme)
        is_whole = request.length == 0
        newer_than = 0
        for is_last in (False, True):
            connection = await self._acquire(newer_than)
            is_kept = connection.exchanges > 0
            stream = connection.begin(headers, is_head=request.method == "HEAD", is_whole=is_whole)
            try:
                await exchange(stream, request, receive, sink, self.limits.idle_s)
            except ConnectionLostError as lost:
                is_unprocessed = isinstance(lost, UnprocessedError)
                is_stale = is_kept and lost.is_untouched and request.method in REPEATABLE
                if is_last or not is_whole or not (is_unprocessed or is_stale):
                    raise UpstreamError(Reason.UPSTREAM_TRUNCATED, "it broke off before its answer was there") from None
                newer_than = 0 if is_unprocessed else connection.number
            except OSError:
                # The sink's: the client has gone (ASGI, "send" after a disconnect) or took nothing for too long.
                raise ClientGoneError from None
            else:
                return
            finally:
                connection.finish(stream)
                if self._is_closed and not connection.streams:
                    connection.close()

    async def _acquire(self, newer_than: int) -> Http2Connection:
        """Return a connection with room for a request, opened if there is none.

        Args:
            newer_than: number of the connection that turned out to be stale, as others of its age may be.

        Raises:
            UpstreamError: when there are too many, or none can be opened.
        """
        while True:
            for connection in self._connections:
                if connection.number > newer_than and connection.has_room():
                    return connection
            if self._opening is None:
                self._refuse_more()
                self._opening = asyncio.create_task(self._open())
                self._opening.add_done_callback(_retrieve)
            # All that wait share the one, and its failure; who goes away leaves it to the others.
            await asyncio.shield(self._opening)

    def _refuse_more(self) -> None:
        if len(self._connections) >= self.limits.connections:
            detail = f"{len(self._connections)} connections to {self.origin.text} are full, no more are allowed"
            raise UpstreamError(Reason.UPSTREAM_OVERLOADED, detail)

    async def _open(self) -> None:
        self._opened += 1
        connect_s = self.limits.connect_s
        connection: Http2Connection | None = None

        def make() -> Http2Connection:
            return Http2Connection(self.limits, self._forget, self._opened)

        try:
            async with asyncio.timeout(connect_s):
                connection = await dial(self.origin, self._tls, connect_s, make)
                await connection.opened
            if not connection.allowed:
                raise UpstreamError(Reason.UPSTREAM_OVERLOADED, f"{self.origin.text} allows no requests")
        except TimeoutError:
            detail = f"no HTTP/2 from {self.origin.text} within {connect_s:g} s"
            raise UpstreamError(Reason.UPSTREAM_CONNECT_TIMEOUT, detail) from None
        else:
            self._connections.append(connection)
            connection = None
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(pause_s(self.limits), self._sweep)
        finally:
            self._opening = None
            if connection is not None:
                connection.close()

    def _sweep(self) -> None:
        """End what waits too long and what is idle too long, and come again while there is anything."""
        loop, self._timer = asyncio.get_running_loop(), None
        now_s = loop.time()
        for connection in tuple(self._connections):
            connection.check(now_s)
            if not connection.streams and (self._is_closed or self._is_idle(connection, now_s)):
                connection.close()
        if self._connections:
            self._timer = loop.call_later(pause_s(self.limits), self._sweep)

    def _is_idle(self, connection: Http2Connection, now_s: float) -> bool:
        return now_s - connection.idle_since_s >= self.limits.keep_alive_s

    def _forget(self, connection: Http2Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)

    async def close(self) -> None:
        """Close the connections that carry nothing, and the others when their exchanges end."""
        self._is_closed = True
        if self._opening is not None:
            self._opening.cancel()
        for connection in tuple(self._connections):
            if not connection.streams:
                connection.close()


def _retrieve(task: asyncio.Task[None]) -> None:
    """Take note of a failure that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
