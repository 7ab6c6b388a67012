"""The two ways of an open WebSocket: what the client says goes to the upstream, what that says goes to the client.

A message is passed on as it comes, without a task that would have to wake for it. Each way waits for its reader, so no
more than a window is held of either. What ends one side ends the other, with the same code where there is one. Time is
looked at by one timer, since a time-out for each message would cost as much as the message.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from gateway.core.reasons import Reason
from gateway.core.settings_model import WebSocketSettings
from gateway.core.sockets import GOING_AWAY, NO_CODE, NORMAL, TOO_BIG, UPSTREAM_FAILED, End, relayed
from gateway.upstream.websocket import end_by_upstream
from gateway.websocket.channel import By, Channel, Closed

_log = logging.getLogger(__name__)

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


class Way:
    """One of the two ways: what comes from one side goes to the other.

    Args:
        source, target: the sides.
        end: called with how the source ended.
        fail: called when passing a message on failed.

    Attributes:
        begun, done: messages; unequal while the target keeps one waiting.
    """

    def __init__(
        self, source: Channel, target: Channel, end: Callable[[Closed], None], fail: Callable[[], None]
    ) -> None:
        self._source = source
        self._target = target
        self._end = end
        self._fail = fail
        self._back: Way | None = None
        self.begun = self.done = 0

    def pair(self, back: "Way") -> None:
        """Begin; the other way goes on when the source takes more again."""
        self._back = back
        self._source.attach(self)

    def proceed(self) -> None:
        """Pass more on, the target takes it."""
        self.done = self.begun
        self._source.resume()

    # ── websocket.channel.Sink ──

    def take(self, data: bytes, is_text: bool) -> None:
        """Pass a message on, and read no more while the target is slow."""
        self.begun += 1
        target = self._target
        try:
            target.write(data, is_text)
        except Exception:
            _log.exception("carrying a WebSocket's messages failed")
            self._fail()
            return
        if target.is_write_paused:
            self._source.pause()
        else:
            self.done = self.begun

    def go_on(self) -> None:
        """Let the other way go on."""
        if self._back is not None:
            self._back.proceed()

    def end(self, closed: Closed) -> None:
        """Tell how the source ended."""
        self._end(closed)


class Bridge:
    """One open WebSocket.

    Args:
        client: its end, which has been accepted.
        upstream: the other end.
        settings: times.
        stuck_s: seconds in which either end has to take one message.
    """

    def __init__(
        self, client: Channel, upstream: Channel, settings: WebSocketSettings, stuck_s: float = STUCK_S
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._loop = asyncio.get_running_loop()
        self._pulse = Pulse(settings, stuck_s, self._loop.time())
        self._over: asyncio.Future[End] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._up = Way(client, upstream, lambda closed: self.cut(end_by_client(closed)), self._fail)
        self._down = Way(upstream, client, lambda closed: self.cut(end_by_upstream(closed)), self._fail)

    def cut(self, end: End) -> None:
        """End it; the first end counts."""
        if not self._over.done():
            self._over.set_result(end)

    async def run(self) -> End:
        """Carry messages until it ends, close both sides, and return how it ended."""
        self._timer = self._loop.call_later(self._pulse.pause_s, self._beat)
        self._up.pair(self._down)
        self._down.pair(self._up)
        end = STOPPED
        try:
            end = await self._over
        finally:
            self._timer.cancel()
            self._upstream.close(end.to_upstream, end.text)
            self._client.close(end.to_client, end.text)
        return end

    def _fail(self) -> None:
        self.cut(_FAULT)

    def _beat(self) -> None:
        now_s, up, down = self._loop.time(), self._up, self._down
        end = self._pulse.judge(Counts(up.begun, up.done, down.begun, down.done, self._upstream.heard), now_s)
        if end is not None:
            self.cut(end)
        elif self._pulse.wants_ping(now_s):
            self._upstream.ping()
        self._timer = self._loop.call_later(self._pulse.pause_s, self._beat)


def end_by_client(closed: Closed) -> End:
    """Return how both sides end when the client's has ended."""
    match closed.by:
        case By.FAULT if closed.code == TOO_BIG:
            return _TOO_BIG
        case By.FAULT:
            return End(
                closed.code, NO_CODE, detail=f"the client broke the rules of RFC 6455 (close code {closed.code})"
            )
        case By.LOSS:
            return _GONE
    return relayed(closed.code, closed.text)
