"""The two ways of an open WebSocket: what the client says goes to the upstream, what that says goes to the client.

Each way waits for its reader, so no more than a window is held of either. What ends one side ends the other, with the
same code where there is one. Time is looked at by one timer, since a time-out for each message would cost as much as
the message.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, Protocol

from starlette.types import Message, Receive, Send

from gateway.core.reasons import Reason
from gateway.core.settings_model import WebSocketSettings
from gateway.core.sockets import GOING_AWAY, NO_CODE, NORMAL, PROTOCOL_ERROR, TOO_BIG, UPSTREAM_FAILED, End, relayed

_log = logging.getLogger(__name__)

CLOSE_S = 2.0
"""Seconds that a client has to take a close frame."""

STUCK_S = 60.0
"""Seconds in which a client or upstream has to take one message."""

STOPPED = End(GOING_AWAY, GOING_AWAY, "gateway stops")
_FAULT = End(UPSTREAM_FAILED, UPSTREAM_FAILED, "internal error", Reason.UNEXPECTED_ERROR)
_TOO_BIG = End(
    TOO_BIG, GOING_AWAY, "message too large", Reason.WEBSOCKET_MESSAGE_TOO_LARGE, "the client's message is too large"
)
_IDLE = End(GOING_AWAY, GOING_AWAY, "idle", Reason.WEBSOCKET_IDLE)
_SLOW_CLIENT = End(NORMAL, GOING_AWAY, "client too slow", Reason.WEBSOCKET_CLIENT_TOO_SLOW)
_SLOW_UPSTREAM = End(
    UPSTREAM_FAILED, GOING_AWAY, "upstream too slow", Reason.UPSTREAM_TIMEOUT, f"it took no message in {STUCK_S:g} s"
)
_SILENT = End(UPSTREAM_FAILED, GOING_AWAY, "upstream lost", Reason.UPSTREAM_TIMEOUT, "it did not answer a ping")
_GONE = End(NO_CODE, GOING_AWAY, detail="the client went away")


class Socket(Protocol):
    """The upstream's end, as the bridge sees it."""

    heard: int
    end: End | None

    async def receive(self) -> str | bytes | None:
        """Return the next message, or None at the end."""
        ...

    async def send(self, data: bytes, *, is_text: bool) -> None:
        """Send a message; returns when more can be taken."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life."""
        ...

    def close(self, code: int, text: str) -> None:
        """Begin to close; does not wait."""
        ...


class Counts(NamedTuple):
    """How far an open WebSocket has come.

    Attributes:
        up_begun, up_done: messages of the client; unequal while the upstream keeps one waiting.
        down_begun, down_done: messages of the upstream; unequal while the client keeps one waiting.
        heard: pieces of anything that came from the upstream.
    """

    up_begun: int = 0
    up_done: int = 0
    down_begun: int = 0
    down_done: int = 0
    heard: int = 0


class Pulse:
    """Judges from time to time whether both ends are alive.

    Args:
        settings: times.
        stuck_s: seconds in which either end has to take one message.
        now_s: seconds; only differences count.
    """

    def __init__(self, settings: WebSocketSettings, stuck_s: float, now_s: float) -> None:
        self._settings = settings
        self._stuck_s = stuck_s
        self._last = Counts()
        self._message_s = self._up_s = self._down_s = self._heard_s = now_s
        self._is_asked = False

    @property
    def pause_s(self) -> float:
        """Seconds from one look to the next; by so much an end may come late."""
        return min(self._settings.ping_s, self._settings.idle_s / 4, self._stuck_s / 4)

    def judge(self, counts: Counts, now_s: float) -> End | None:
        """Return why it has to end now, or None."""
        last, self._last = self._last, counts
        self._note(last, counts, now_s)
        if counts.down_begun != counts.down_done and now_s - self._down_s >= self._stuck_s:
            return _SLOW_CLIENT
        if counts.up_begun != counts.up_done and now_s - self._up_s >= self._stuck_s:
            return _SLOW_UPSTREAM
        if now_s - self._message_s >= self._settings.idle_s:
            return _IDLE
        return _SILENT if self._is_asked and now_s - self._heard_s >= 2 * self._settings.ping_s else None

    def _note(self, last: Counts, counts: Counts, now_s: float) -> None:
        is_down_moving = counts.down_done != last.down_done
        is_up_moving = counts.up_done != last.up_done
        if is_down_moving or counts.down_begun == counts.down_done:
            self._down_s = now_s
        if is_up_moving or counts.up_begun == counts.up_done:
            self._up_s = now_s
        if is_down_moving or is_up_moving:
            self._message_s = now_s
        # While the client keeps a message waiting, nothing may be read of the upstream.
        if counts.heard != last.heard or counts.down_begun != counts.down_done:
            self._heard_s, self._is_asked = now_s, False

    def wants_ping(self, now_s: float) -> bool:
        """Return whether the upstream has been silent for so long that it is asked; once for each silence."""
        if self._is_asked or now_s - self._heard_s < self._settings.ping_s:
            return False
        self._is_asked = True
        return True


class Bridge:
    """One open WebSocket.

    Args:
        receive, send: the client's end, which has been accepted.
        upstream: the other end.
        settings: sizes and times.
        stuck_s: seconds in which either end has to take one message.

    Attributes:
        is_stuck: the client took no close frame either.
    """

    def __init__(
        self, receive: Receive, send: Send, upstream: Socket, settings: WebSocketSettings, stuck_s: float = STUCK_S
    ) -> None:
        self._receive = receive
        self._send = send
        self._upstream = upstream
        self._max_bytes = settings.max_message_bytes
        self._loop = asyncio.get_running_loop()
        self._pulse = Pulse(settings, stuck_s, self._loop.time())
        self._over: asyncio.Future[End] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._up_begun = self._up_done = self._down_begun = self._down_done = 0
        self.is_stuck = False

    def cut(self, end: End) -> None:
        """End it; the first end counts."""
        if not self._over.done():
            self._over.set_result(end)

    async def run(self) -> End:
        """Carry messages until it ends, close both sides, and return how it ended."""
        tasks = [asyncio.ensure_future(self._guarded(way)) for way in (self._from_client, self._from_upstream)]
        self._timer = self._loop.call_later(self._pulse.pause_s, self._beat)
        end = STOPPED
        try:
            end = await self._over
        finally:
            self._timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._upstream.close(end.to_upstream, end.text)
        await self._close_client(end)
        return end

    async def _guarded(self, way: Callable[[], Awaitable[None]]) -> None:
        try:
            await way()
        except Exception:
            _log.exception("carrying a WebSocket's messages failed")
            self.cut(_FAULT)

    async def _from_client(self) -> None:
        receive, upstream = self._receive, self._upstream
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.cut(_said_by_client(message))
                return
            text = message.get("text")
            data = message["bytes"] if text is None else text.encode()
            if len(data) > self._max_bytes:
                self.cut(_TOO_BIG)
                return
            self._up_begun += 1
            await upstream.send(data, is_text=text is not None)
            self._up_done += 1

    async def _from_upstream(self) -> None:
        send, upstream = self._send, self._upstream
        while (message := await upstream.receive()) is not None:
            self._down_begun += 1
            try:
                await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})
            except (OSError, RuntimeError):
                self.cut(_GONE)  # what servers raise for a client that has gone
                return
            self._down_done += 1
        self.cut(upstream.end or _FAULT)

    def _beat(self) -> None:
        now_s = self._loop.time()
        counts = Counts(self._up_begun, self._up_done, self._down_begun, self._down_done, self._upstream.heard)
        end = self._pulse.judge(counts, now_s)
        if end is not None:
            self.cut(end)
        elif self._pulse.wants_ping(now_s):
            self._upstream.ping()
        self._timer = self._loop.call_later(self._pulse.pause_s, self._beat)

    async def _close_client(self, end: End) -> None:
        """Tell the client; the server answers a close by itself, and knows no close without a code."""
        code = NORMAL if end.to_client == NO_CODE else end.to_client
        try:
            async with asyncio.timeout(CLOSE_S):
                with suppress(OSError, RuntimeError):
                    await self._send({"type": "websocket.close", "code": code, "reason": end.text})
        except TimeoutError:
            self.is_stuck = True


def _said_by_client(message: Message) -> End:
    """Return the end that the client began.

    A server may tell neither a lost connection nor a broken frame from a close without a code. To one who only closed,
    or is gone, what is said here does not matter: so the one who broke the rules is told.
    """
    code = message.get("code", NO_CODE)
    end = relayed(code, message.get("reason") or "")
    return end if code != NO_CODE else end._replace(to_client=PROTOCOL_ERROR)
