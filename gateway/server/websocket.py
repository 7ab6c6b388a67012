"""A client's WebSocket as an application sees it (ASGI, "WebSocket"), from its opening to its end.

The opening is judged before the application hears of it (RFC 6455 section 4.2.1). Until it is accepted, the connection
is that of a request, and can be answered like one; then its transport goes to a :class:`Channel`.
"""

import asyncio
import base64
import binascii
import logging
from collections.abc import Iterable
from typing import Protocol

from starlette.types import ASGIApp, Message, Scope
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.core.sockets import GOING_AWAY, LOST, NORMAL, UPSTREAM_FAILED
from gateway.server.answer import AnswerHead
from gateway.server.errors import ClientGoneError
from gateway.server.exchange import PLAIN
from gateway.server.head import BadRequestError, Head
from gateway.websocket.channel import Channel

_log = logging.getLogger(__name__)

EXTENSION = "gateway.websocket"
"""Where a scope's extensions hold its :class:`WebSocket`."""

_MAX_MESSAGE_BYTES = 16_777_216
_VERSION = b"13"
# Said by the server alone.
_OURS = frozenset({b"connection", b"upgrade", b"content-length", b"transfer-encoding"})


class Line(Protocol):
    """The connection, as a WebSocket sees it."""

    def write(self, data: bytes) -> None:
        """Write without waiting."""
        ...

    def head_of(self, status: int, headers: Iterable[Header], size: int | None) -> AnswerHead:
        """Return the head of an answer to the request in hand."""
        ...

    def finish(self, *, keeps_alive: bool) -> None:
        """Close when everything is written."""
        ...

    def switch(self, channel: Channel, headers: Iterable[Header]) -> bytes:
        """Accept, and hand the transport over; returns what the client has sent by then."""
        ...

    def lose(self) -> None:
        """Note that the connection which was handed over has gone."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


def accepts(head: Head) -> str:
    """Judge an opening request; return what its acceptance says in ``Sec-WebSocket-Accept``.

    Raises:
        BadRequestError: it opens no WebSocket, or one of another version.
    """
    versions = [value for name, value in head.headers if name == b"sec-websocket-version"]
    keys = [value for name, value in head.headers if name == b"sec-websocket-key"]
    if head.method != "GET" or head.version != "1.1" or len(keys) != 1 or len(versions) != 1:
        raise BadRequestError(Reason.WEBSOCKET_OPENING_INVALID)
    if versions[0] != _VERSION:
        raise BadRequestError(Reason.WEBSOCKET_VERSION_UNSUPPORTED)
    try:
        is_key = len(base64.b64decode(keys[0], validate=True)) == 16
    except binascii.Error:
        is_key = False
    if not is_key:
        raise BadRequestError(Reason.WEBSOCKET_OPENING_INVALID)
    return accept_key(keys[0].decode("ascii"))


class WebSocket:
    """A WebSocket that a client asks for.

    Args:
        line: the connection.
        scope: the request, as a scope of HTTP.
        accept: as :func:`accepts` returned it.

    Attributes:
        scope: the request (ASGI, "WebSocket connection scope").
        max_message_bytes: how large a message of the client may be; to be set before it is accepted.
        channel: the open WebSocket; None before it is accepted.
        is_over: it was refused, or the client went away before it was accepted.
    """

    __slots__ = (
        "_accept",
        "_is_connect_told",
        "_line",
        "_refusal",
        "_task",
        "_waiter",
        "channel",
        "is_over",
        "max_message_bytes",
        "scope",
    )

    def __init__(self, line: Line, scope: Scope, accept: str) -> None:
        self._line = line
        self._accept = accept
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._refusal: tuple[int, Iterable[Header], list[bytes]] | None = None
        self._is_connect_told = self.is_over = False
        self.max_message_bytes = _MAX_MESSAGE_BYTES
        self.channel: Channel | None = None
        offered = b",".join(value for name, value in scope["headers"] if name == b"sec-websocket-protocol")
        self.scope = {
            **scope,
            "type": "websocket",
            "scheme": "ws",
            "subprotocols": [part for part in (name.strip() for name in offered.decode("latin-1").split(",")) if part],
            "extensions": {"websocket.http.response": {}, EXTENSION: self},
        }

    def respond(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        """Refuse with an answer; does nothing once it is accepted or over."""
        if self.is_over or self.channel is not None:
            return
        head = self._line.head_of(status, headers, len(body))
        self._line.write(head.data + body if head.length else head.data)
        self._finish()
        self._line.finish(keeps_alive=False)

    def run(self, app: ASGIApp) -> asyncio.Task[None]:
        """Serve it by an application, in a task."""
        self._task = asyncio.get_running_loop().create_task(self._run(app))
        return self._task

    async def _run(self, app: ASGIApp) -> None:
        code = NORMAL
        try:
            await app(self.scope, self.receive, self.send)
        except ClientGoneError:
            pass
        except Exception:
            _log.exception("an application failed")
            code = UPSTREAM_FAILED
        if self.channel is not None:
            self.channel.close(code, "")
        else:
            self.respond(500, PLAIN, b"Internal Server Error")

    # ── ASGI ──

    async def receive(self) -> Message:
        """Return the client's wish to connect, then its messages, then its end."""
        if not self._is_connect_told:
            self._is_connect_told = True
            return {"type": "websocket.connect"}
        while self.channel is None and not self.is_over:
            self._waiter = self._waiter or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiter)
        channel = self.channel
        if channel is None:
            return {"type": "websocket.disconnect", "code": LOST, "reason": ""}
        message = await channel.receive()
        if message is not None:
            data, is_text = message
            return {"type": "websocket.receive", **({"text": data.decode()} if is_text else {"bytes": data})}
        closed = channel.closed
        return {
            "type": "websocket.disconnect",
            "code": closed.code if closed is not None else LOST,
            "reason": closed.text if closed is not None else "",
        }

    async def send(self, message: Message) -> None:
        """Take what the application says; returns when more can be taken.

        Raises:
            ClientGoneError: there is nobody to tell.
            RuntimeError: it is not what comes next.
        """
        kind, channel = message["type"], self.channel
        if channel is not None:
            if channel.closed is not None:
                raise ClientGoneError("the WebSocket has ended")
            if kind == "websocket.send":
                text = message.get("text")
                data = message["bytes"] if text is None else text.encode()
                await channel.send(data, is_text=text is not None)
                return
            if kind == "websocket.close":
                channel.close(message.get("code", NORMAL), message.get("reason") or "")
                return
        elif self.is_over:
            raise ClientGoneError("the WebSocket has ended")
        elif self._answer(message):
            return
        raise RuntimeError(f"{kind} is not what comes next")

    def _answer(self, message: Message) -> bool:
        """Take what is said before it is accepted; return whether it may be said."""
        kind, refusal = message["type"], self._refusal
        if kind == "websocket.http.response.body" and refusal is not None:
            refusal[2].append(message.get("body", b""))
            if not message.get("more_body", False):
                self.respond(refusal[0], refusal[1], b"".join(refusal[2]))
        elif refusal is not None:
            return False
        elif kind == "websocket.accept":
            self.accept(message.get("subprotocol"), message.get("headers", ()))
        elif kind == "websocket.close":
            self.respond(403, PLAIN, b"Forbidden")
        elif kind == "websocket.http.response.start":
            self._refusal = message["status"], message.get("headers", ()), []
        else:
            return False
        return True

    def accept(self, subprotocol: str | None, headers: Iterable[Header]) -> Channel:
        """Accept it; return the open WebSocket.

        Args:
            subprotocol: of those that were offered; None for none.
            headers: for the client, names in lower case; those of the opening itself are left out.

        Raises:
            ClientGoneError: there is nobody to tell.
        """
        if self.is_over:
            raise ClientGoneError("the client went away")
        said = [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-accept", self._accept.encode()),
        ]
        if subprotocol is not None:
            said.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
        said += [pair for pair in headers if pair[0] not in _OURS and not pair[0].startswith(b"sec-websocket-")]
        rules = ServerProtocol(state=State.OPEN, max_size=self.max_message_bytes)
        channel = Channel(rules, asyncio.get_running_loop(), self._line.lose)
        early = self._line.switch(channel, said)
        self.channel = channel
        if early:
            channel.data_received(early)
        self._wake()
        return channel

    # ── the connection's word ──

    def wake(self) -> None:
        """Nothing waits for a body."""

    def lose(self) -> None:
        """The client has gone."""
        if self.channel is None:
            self._finish()

    def stop(self) -> None:
        """End it, since the server ends."""
        if self._task is not None:
            self._task.cancel()
        if self.channel is None or self.channel.is_write_paused:
            self._line.abort()
        else:
            self.channel.close(GOING_AWAY, "")
            self.channel.leave()

    def _finish(self) -> None:
        self.is_over = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
