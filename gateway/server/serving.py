"""One process that serves: an application, a listener, and what happens between their start and their end."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.reasons import Reason, meaning
from gateway.server.exchange import Exchange
from gateway.server.lifespan import Lifespan
from gateway.server.listener import Handler, Limits, Listener, Refusal
from gateway.server.websocket import WebSocket

_PLAIN = (b"content-type", b"text/plain; charset=utf-8")


@runtime_checkable
class DirectApplication(Handler, Protocol):
    """An ASGI application that serves requests without ASGI where that is faster."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        ...


class AsgiHandler:
    """Serves requests by an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def begin(self, exchange: Exchange | WebSocket) -> None:
        """Serve one request."""
        exchange.run(self._app)

    def refuse(self, reason: Reason, client: str) -> Refusal:  # noqa: ARG002 - a handler's signature
        """Return the answer to what is no request, or one too many."""
        meant = meaning(reason)
        return meant.status, [_PLAIN, (b"x-clerk-auth-reason", reason.encode())], meant.text.encode()


@asynccontextmanager
async def serving(
    app: ASGIApp, sockets: Sequence[socket.socket], *, limits: Limits | None = None, drain_s: float
) -> AsyncIterator[None]:
    """Serve an application while the context lasts.

    Args:
        app: the application; a :class:`DirectApplication` is asked as one.
        sockets: bound; they are closed at the end.
        limits: what clients may take.
        drain_s: seconds that requests in hand get at the end.

    Raises:
        StartError: the application does not start, or does not stop well.
    """
    lifespan = Lifespan(app)
    try:
        await lifespan.start()
    except BaseException:
        for each in sockets:
            each.close()
        raise
    handler: Handler = app if isinstance(app, DirectApplication) else AsgiHandler(app)
    listener = Listener(handler, limits)
    try:
        for each in sockets:
            await listener.listen(each)
        yield
    finally:
        await listener.close(drain_s)
        await lifespan.stop()
