"""One side's open WebSocket over a transport: messages in and out, back-pressure, and how it ends.

What comes is either asked for, message by message, or handed to a sink as it comes, so that no task has to wake for it.
Decided here is what goes with a transport: when reading stops, how long a closing handshake may take, and how much is
held for somebody who reads nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple, Protocol, cast

from websockets.protocol import Protocol as Rules
from websockets.protocol import Side, State

from gateway.core.sockets import LOST, NO_CODE
from gateway.websocket.frames import Frames, Message

CLOSE_S = 2.0
"""Seconds that the other side has to answer a close frame, and to take it."""

_WINDOW_BYTES = 65_536
_WINDOW_MESSAGES = 64
_MAX_ANSWER_BYTES = 1_048_576


class By(Enum):
    """Who ended a WebSocket."""

    PEER = auto()  # by a close frame
    FAULT = auto()  # the peer's, who broke a rule and was told so
    LOSS = auto()  # of the connection, without a close frame
    US = auto()


class Closed(NamedTuple):
    """How a WebSocket ended.

    Attributes:
        by: who ended it.
        code: as received, or as sent where the peer did not end it; 1005 for none, 1006 for a connection that was lost.
        text: the reason that came or went along.
    """

    by: By
    code: int
    text: str = ""


class Sink(Protocol):
    """Takes what comes from one side of a WebSocket."""

    def take(self, data: bytes, is_text: bool) -> None:
        """Take a message."""
        ...

    def go_on(self) -> None:
        """Note that enough was read of what was written: more can be."""
        ...

    def end(self, closed: Closed) -> None:
        """Note the end; nothing comes after it."""
        ...


class Channel(asyncio.Protocol):
    """One side of a WebSocket.

    Args:
        rules: the protocol of the library.
        loop: of the caller.
        on_lost: called once, when the connection is gone.

    Attributes:
        heard: counts what comes, so that silence can be told.
        closed: how it ended; None while it is open.
        is_lost: the connection is gone.
        is_write_paused: the other side takes less than it is sent.
    """

    def __init__(self, rules: Rules, loop: asyncio.AbstractEventLoop, on_lost: Callable[[], None]) -> None:
        self._rules = rules
        self._frames = Frames(rules)
        self._loop = loop
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._messages: deque[Message] = deque()
        self._held = 0
        self._sink: Sink | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._answer_bytes = 0
        self._is_read_paused = self._is_turn_due = False
        self.is_lost = self.is_write_paused = False
        self.heard = 0
        self.closed: Closed | None = None

    # ── asyncio.Protocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what the other side sends."""
        self.heard += 1
        messages = self._frames.feed(data)
        if self._sink is not None:
            for message in messages:
                if self.closed is None:
                    self._sink.take(*message)
        else:
            self._hold(messages)
        if self._frames.was_asked:
            self._check_state()
            self._flush()
        if self._frames.rest:
            self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        """Read what is left when others had theirs: thousands of tiny frames at once would keep them waiting."""
        if not self._is_turn_due and self._transport is not None:
            self._is_turn_due = True
            self._transport.pause_reading()
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._is_turn_due = False
        if not self._is_read_paused and not self.is_lost:
            self.data_received(b"")
            self._read_on()

    def _read_on(self) -> None:
        """Read what comes, unless what came is not read yet."""
        is_held_up = self._is_read_paused or bool(self._frames.rest)
        if not is_held_up and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        """Let the transport close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - part of asyncio.Protocol
        """Tell whoever waits."""
        self.is_lost = True
        self._end(Closed(By.LOSS, LOST))
        if self._closing is not None:
            self._closing.cancel()
        self.resume_writing()
        self._on_lost()

    def pause_writing(self) -> None:
        """The other side reads more slowly than it is sent."""
        self.is_write_paused = True

    def resume_writing(self) -> None:
        """The other side has caught up, or will never."""
        self.is_write_paused = False
        self._answer_bytes = 0
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)
        if self._sink is not None:
            self._sink.go_on()

    # ── messages ──

    def attach(self, sink: Sink) -> None:
        """Hand everything over as it comes, from now on, and first what has come by now."""
        self._sink = sink
        while self._messages:
            sink.take(*self._messages.popleft())
        self._held = 0
        self.resume()
        if self.closed is not None:
            sink.end(self.closed)

    async def receive(self) -> Message | None:
        """Return the next message, or None when there is none any more; see :attr:`closed`."""
        while not self._messages:
            if self.closed is not None:
                return None
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._messages.popleft()
        self._held -= len(message[0])
        if self._is_read_paused and not self._is_full():
            self.resume()
        return message

    def write(self, data: bytes, is_text: bool) -> None:
        """Send a message; one that has gone takes everything. See :attr:`is_write_paused`."""
        if self.closed is None and self._transport is not None:
            self._transport.write(self._frames.frame(data, is_text))

    async def send(self, data: bytes, *, is_text: bool) -> None:
        """Send a message, waiting while the other side is slow."""
        self.write(data, is_text)
        while self.is_write_paused and not self.is_lost:
            if self._drained is None:
                self._drained = self._loop.create_future()
            # Several may wait for the same; one that gives up must not take it from the others.
            await asyncio.shield(self._drained)

    def pause(self) -> None:
        """Read no further."""
        if not self._is_read_paused and self._transport is not None and self.closed is None:
            self._is_read_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._is_read_paused and self._transport is not None:
            self._is_read_paused = False
            if self._frames.rest:
                self._wait_for_turn()
            self._read_on()

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self.closed is None:
            self._rules.send_ping(b"")
            self._flush()

    def close(self, code: int, text: str) -> None:
        """Begin to close, which ends by itself within :data:`CLOSE_S`.

        Args:
            code: :data:`~gateway.core.sockets.NO_CODE` for none.
            text: the reason.
        """
        if self.is_lost or self._transport is None:
            return
        if self._rules.state is State.OPEN:
            self._rules.send_close(None if code == NO_CODE else code, "" if code == NO_CODE else text)
            self._flush()
        self._end(Closed(By.US, code, text))
        self.resume()
        self._give_up_later()

    def leave(self) -> None:
        """Let go when everything is written, without waiting for an answer."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Let go at once."""
        if self._transport is not None:
            self._transport.abort()

    # ── inside ──

    def _hold(self, messages: list[Message]) -> None:
        """Keep messages until somebody asks for them; no more are read while there are many."""
        if self.closed is not None:
            return
        self._messages += messages
        self._held += sum(len(data) for data, _ in messages)
        if self._is_full():
            self.pause()
        self._wake()

    def _is_full(self) -> bool:
        return self._held > _WINDOW_BYTES or len(self._messages) > _WINDOW_MESSAGES

    def _check_state(self) -> None:
        """See whether it is over by what has come."""
        rules = self._rules
        if rules.state is State.OPEN or rules.state is State.CONNECTING:
            return
        if rules.close_rcvd is not None and rules.parser_exc is None:
            self._end(Closed(By.PEER, rules.close_rcvd.code, rules.close_rcvd.reason))
        elif rules.close_sent is not None:
            self._end(Closed(By.FAULT, rules.close_sent.code, rules.close_sent.reason))
        self._give_up_later()

    def _give_up_later(self) -> None:
        if self._closing is None and self._transport is not None and not self.is_lost:
            self._closing = self._loop.call_later(CLOSE_S, self._transport.abort)

    def _flush(self) -> None:
        """Write what the library has to say."""
        transport = self._transport
        if transport is None or self.is_lost:
            return
        for data in self._rules.data_to_send():
            if data:
                transport.write(data)
                self._answer_bytes += len(data) if self.is_write_paused else 0
            elif self._rules.side is Side.SERVER:
                self._leave(transport)
        # Pings that are answered, and answers that are never read, would fill the memory.
        if self._answer_bytes > _MAX_ANSWER_BYTES:
            transport.abort()

    def _leave(self, transport: asyncio.Transport) -> None:
        """End the connection, as is the server's part (section 7.1.1)."""
        if self.closed is not None and self.closed.by is By.FAULT:
            # The peer may be sending still, and a connection that is closed with something unread takes the close
            # frame back. What comes is dropped, until the peer has read why.
            transport.write_eof()
            self.resume()
        else:
            transport.close()

    def _end(self, closed: Closed) -> None:
        if self.closed is None:
            self.closed = closed
            if self._sink is not None:
                self._sink.end(closed)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
