"""What serves the requests that a listener accepts: an ASGI application, or one that can do without ASGI."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.reasons import Reason, meaning
from gateway.core.request import Header
from gateway.server.exchange import PLAIN, Exchange
from gateway.server.websocket import WebSocket

Refusal = tuple[int, Iterable[Header], bytes]
"""Status, headers, body."""


class Handler(Protocol):
    """What serves the requests."""

    def begin(self, exchange: Exchange | WebSocket) -> None:
        """Serve one request; answers at once, or later, or in a task."""
        ...

    def refuse(self, reason: Reason, client: str) -> Refusal:
        """Return the answer to what is no request, or one too many.

        Args:
            reason: why.
            client: the address it comes from.
        """
        ...


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
        return meant.status, [*PLAIN, (b"x-clerk-auth-reason", reason.encode())], meant.text.encode()
