"""A WebSocket to an upstream (RFC 6455), over the protocol of the library ``websockets``.

Here is the opening, and what an upstream that fails is called; what comes then is in :mod:`gateway.websocket`. No
extension is offered, so nothing is ever compressed.
"""

import asyncio
from collections.abc import Callable

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.core.sockets import NO_CODE, TOO_BIG, UPSTREAM_FAILED, End, relayed
from gateway.errors import UpstreamError
from gateway.upstream.incoming import broken
from gateway.upstream.pool import Pool
from gateway.websocket.channel import By, Channel, Closed

# Never dialled: only the library's own request line would be made of it.
_URI = parse_uri("ws://upstream/")

MakeHead = Callable[[list[Header]], bytes]
"""Makes the head of the opening request with the headers of the opening handshake."""


class Refused(Exception):
    """The upstream did not accept the WebSocket, and answered with something else."""

    def __init__(self, status: int, headers: tuple[Header, ...], body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


class UpstreamWebSocket(Channel):
    """One end of a WebSocket; made by :func:`connect`.

    Args:
        protocol: of the library.
        loop: of the caller.
        on_lost: called once, when the connection is gone.
    """

    def __init__(self, protocol: ClientProtocol, loop: asyncio.AbstractEventLoop, on_lost: Callable[[], None]) -> None:
        super().__init__(protocol, loop, on_lost)
        self._protocol = protocol
        self._opened: asyncio.Future[None] = loop.create_future()

    # ── asyncio.Protocol ──

    def data_received(self, data: bytes) -> None:
        """Take what the upstream sends."""
        super().data_received(data)
        if not self._opened.done() and (
            self._protocol.state is not State.CONNECTING or self._protocol.handshake_exc is not None
        ):
            self._opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._protocol.receive_eof()
        super().connection_lost(exc)
        if not self._opened.done():
            self._opened.set_result(None)

    # ── opening ──

    async def open(self, head: bytes, first_byte_s: float) -> None:
        """Send the opening request and wait for the answer.

        Args:
            head: of the request, with the library's key.
            first_byte_s: seconds that the answer may take.

        Raises:
            Refused: the upstream answered, and did not accept.
            UpstreamError: it did not answer as it should.
        """
        if self._transport is not None:
            self._transport.write(head)
        try:
            async with asyncio.timeout(first_byte_s):
                await self._opened
        except TimeoutError:
            raise UpstreamError(Reason.UPSTREAM_TIMEOUT, f"no answer within {first_byte_s:g} s") from None
        fault = self._protocol.handshake_exc
        if isinstance(fault, InvalidStatus) and fault.response.status_code >= 200:
            raise _refused(fault.response)
        if self.is_lost and self._protocol.state is not State.OPEN and not isinstance(fault, InvalidStatus):
            raise UpstreamError(Reason.UPSTREAM_TRUNCATED, "it broke off before its answer was there")
        if fault is not None:
            raise broken(f"it did not accept as RFC 6455 asks ({type(fault).__name__})")

    @property
    def subprotocol(self) -> str | None:
        """What the upstream has chosen of what was offered."""
        return self._protocol.subprotocol


def end_by_upstream(closed: Closed) -> End:
    """Return how both sides end when the upstream's has ended."""
    match closed.by:
        case By.FAULT if closed.code == TOO_BIG:
            detail = "the upstream sent a message that is too large"
            return End(TOO_BIG, TOO_BIG, "message too large", Reason.WEBSOCKET_MESSAGE_TOO_LARGE, detail)
        case By.FAULT:
            detail = f"it broke the rules of RFC 6455 (close code {closed.code})"
            return End(UPSTREAM_FAILED, closed.code, "upstream failed", Reason.UPSTREAM_PROTOCOL_ERROR, detail)
        case By.LOSS:
            return End(UPSTREAM_FAILED, NO_CODE, "upstream lost", Reason.UPSTREAM_TRUNCATED, "it broke off")
    return relayed(closed.code, closed.text)


def _refused(response: Response) -> Refused:
    headers = tuple(
        (name.lower().encode("ascii"), value.encode("latin-1")) for name, value in response.headers.raw_items()
    )
    return Refused(response.status_code, headers, bytes(response.body))


async def connect(
    pool: Pool, make_head: MakeHead, offered: tuple[str, ...], max_message_bytes: int
) -> UpstreamWebSocket:
    """Open a WebSocket to an upstream.

    Args:
        pool: whose connections are counted.
        make_head: makes the request's head.
        offered: sub-protocols for the upstream to choose from.
        max_message_bytes: how large a message may be.

    Raises:
        Refused: the upstream answered, and did not accept.
        UpstreamError: it cannot be reached, or did not answer as it should.
    """
    subprotocols = [Subprotocol(name) for name in offered] or None
    protocol = ClientProtocol(_URI, subprotocols=subprotocols, max_size=max_message_bytes)
    headers = [
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-key", protocol.key.encode("ascii")),
        (b"sec-websocket-version", b"13"),
    ]
    if offered:
        headers.append((b"sec-websocket-protocol", ", ".join(offered).encode("ascii")))
    head = make_head(headers)
    loop = asyncio.get_running_loop()
    socket = await pool.open(lambda: UpstreamWebSocket(protocol, loop, pool.leave))
    try:
        await socket.open(head, pool.limits.first_byte_s)
    except BaseException:
        socket.abort()
        raise
    return socket
