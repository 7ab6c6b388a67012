"""The way to a server or several, whatever version of HTTP they are spoken to in."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from starlette.types import Receive

from gateway.upstream.exchange import Sink
from gateway.upstream.forward import Outgoing, forward
from gateway.upstream.http2.pool import Http2Pool
from gateway.upstream.pool import Pool
from gateway.upstream.websocket import MakeHead, UpstreamWebSocket

Forward = Callable[[Outgoing, Receive, Sink], Awaitable[None]]
"""Forwards a request and streams its answer, as :func:`gateway.upstream.forward.forward` does."""

AnyPool = Pool | Http2Pool
"""The connections to one server."""


class Carrier(Protocol):
    """A way that is more than one server's connections in HTTP/1.1."""

    @property
    def origins(self) -> tuple[str, ...]:
        """Where it leads."""
        ...

    async def forward(self, request: Outgoing, receive: Receive, sink: Sink) -> None:
        """Forward a request and stream its answer.

        Raises:
            UpstreamError: when there is no answer, or it broke off; the sink may have been started by then.
            ClientGoneError: when the client went away meanwhile, or reads nothing of its answer.
        """
        ...

    async def connect(self, make_head: MakeHead, offered: tuple[str, ...], max_message_bytes: int) -> UpstreamWebSocket:
        """Open a WebSocket, as :func:`gateway.upstream.websocket.connect` does.

        Raises:
            Refused: a server answered, and did not accept.
            UpstreamError: none can be reached, or one did not answer as it should.
        """
        ...


def forward_of(pool: AnyPool) -> Forward:
    """Return what forwards a request over these connections."""
    return pool.forward if isinstance(pool, Http2Pool) else partial(forward, pool)


def sockets_of(pool: AnyPool) -> Pool:
    """Return the connections for WebSockets to the same server."""
    return pool.sockets if isinstance(pool, Http2Pool) else pool
