"""A WebSocket to an upstream (RFC 6455), over the protocol of the library ``websockets``.

The library reads and makes frames, answers pings and closes, and refuses what breaks the rules. Decided here is what
goes with our transport: when reading stops, how long a closing handshake may take, and what an upstream that fails is
called. No extension is offered, so nothing is ever compressed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
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

CLOSE_S = 2.0
"""Seconds that an upstream has to answer a close frame."""

_WINDOW_BYTES = 262_144
_WINDOW_MESSAGES = 64
_SURPLUS_BYTES = 1_048_576
# Never dialled: only the library's own request line would be made of it.
_URI = parse_uri("ws://upstream/")

Message = str | bytes

MakeHead = Callable[[list[Header]], bytes]
"""Makes the head of the opening request with the headers of the opening handshake."""


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    """The upstream did not accept the WebSocket, and answered with something else."""

    status: int
    headers: tuple[Header, ...]
    body: bytes


class UpstreamWebSocket(asyncio.Protocol):
    """One end of a WebSocket; made by :func:`connect`.

    Args:
        protocol: of the library.
        loop: of the caller.
        on_lost: called once, when the connection is gone.

    Attributes:
        subprotocol: what the upstream has chosen, or None.
        heard: counts what comes, so that silence can be told.
        end: how it ended; None while it is open.
    """

    def __init__(self, protocol: ClientProtocol, loop: asyncio.AbstractEventLoop, on_lost: Callable[[], None]) -> None:
        self._protocol = protocol
        self._loop = loop
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._opened: asyncio.Future[None] = loop.create_future()
        self._messages: deque[Message] = deque()
        self._parts: list[bytes] = []
        self._is_text = False
        self._held = 0
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._is_read_paused = False
        self.is_lost = False
        self.heard = 0
        self.end: End | None = None

    # ── asyncio.Protocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what the upstream sends."""
        protocol = self._protocol
        self.heard += 1
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        if protocol.state is not State.OPEN or not self._opened.done():
            # Frames may come in one piece with the answer that accepts.
            self._check_state()
        self._flush()
        if not self._is_read_paused and self._transport and self._is_full():
            self._is_read_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Let the transport close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - part of asyncio.Protocol
        """Tell whoever waits."""
        self.is_lost = True
        self._protocol.receive_eof()
        self._end(End(UPSTREAM_FAILED, NO_CODE, "upstream lost", Reason.UPSTREAM_TRUNCATED, "it broke off"))
        if not self._opened.done():
            self._opened.set_result(None)
        if self._closing is not None:
            self._closing.cancel()
        self.resume_writing()
        self._on_lost()

    def pause_writing(self) -> None:
        """The upstream reads more slowly than the client sends."""
        if self._drained is None:
            self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

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

    # ── messages ──

    async def receive(self) -> Message | None:
        """Return the next message, or None when there is none any more; see :attr:`end`."""
        while not self._messages:
            if self.end is not None:
                return None
            self._waiter = self._loop.create_future()
            await self._waiter
        message = self._messages.popleft()
        self._held -= len(message)
        if self._is_read_paused and self._transport and not self._is_full() and not self.is_lost:
            self._is_read_paused = False
            self._transport.resume_reading()
        return message

    async def send(self, data: bytes, *, is_text: bool) -> None:
        """Send a message, waiting while the upstream is slow; one that is gone takes everything."""
        if self.end is not None:
            return
        if is_text:
            self._protocol.send_text(data)
        else:
            self._protocol.send_binary(data)
        self._flush()
        if self._drained is not None:
            await self._drained

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self.end is None:
            self._protocol.send_ping(b"")
            self._flush()

    def close(self, code: int, text: str) -> None:
        """Begin to close, which ends by itself within :data:`CLOSE_S`.

        Args:
            code: :data:`~gateway.core.sockets.NO_CODE` for none.
            text: the reason.
        """
        if self.is_lost or self._transport is None:
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(None if code == NO_CODE else code, "" if code == NO_CODE else text)
            self._flush()
        self._end(End(NO_CODE, code, text))
        if self._is_read_paused:
            self._is_read_paused = False
            self._transport.resume_reading()
        if self._closing is None:
            self._closing = self._loop.call_later(CLOSE_S, self._transport.abort)

    def abort(self) -> None:
        """Let go at once."""
        if self._transport is not None:
            self._transport.abort()

    # ── inside ──

    def _take(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
            self._is_text = opcode is Opcode.TEXT
        elif opcode is not Opcode.CONT:
            return
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if self.end is not None:
            return
        message: Message = data
        if self._is_text:
            try:
                message = data.decode()
            except UnicodeDecodeError:
                self._protocol.fail(1007, "not UTF-8")
                return
        self._messages.append(message)
        self._held += len(message)
        self._wake()

    def _is_full(self) -> bool:
        return self._held > _WINDOW_BYTES or len(self._messages) > _WINDOW_MESSAGES

    def _check_state(self) -> None:
        """See whether the opening or the WebSocket is over."""
        protocol = self._protocol
        if not self._opened.done():
            if protocol.state is State.CONNECTING and protocol.handshake_exc is None:
                return
            self._opened.set_result(None)
        if protocol.state is State.OPEN or protocol.handshake_exc is not None:
            return
        if protocol.close_rcvd is not None:
            self._end(relayed(protocol.close_rcvd.code, protocol.close_rcvd.reason))
        elif protocol.close_sent is not None:
            self._end(_failed(protocol.close_sent.code))
        if self._closing is None and self._transport is not None:
            self._closing = self._loop.call_later(CLOSE_S, self._transport.abort)

    def _flush(self) -> None:
        transport = self._transport
        if transport is None or self.is_lost:
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
        # Pings that are answered and never read would fill the memory.
        if self._drained is not None and transport.get_write_buffer_size() > self._most_unsent:
            transport.abort()

    @property
    def _most_unsent(self) -> int:
        return (self._protocol.max_message_size or 0) + _SURPLUS_BYTES

    def _end(self, end: End) -> None:
        if self.end is None:
            self.end = end
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _failed(code: int) -> End:
    """Return the end of a WebSocket whose upstream broke the rules."""
    if code == TOO_BIG:
        detail = "the upstream sent a message that is too large"
        return End(TOO_BIG, code, "message too large", Reason.WEBSOCKET_MESSAGE_TOO_LARGE, detail)
    detail = f"it broke the rules of RFC 6455 (close code {code})"
    return End(UPSTREAM_FAILED, code, "upstream failed", Reason.UPSTREAM_PROTOCOL_ERROR, detail)


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
