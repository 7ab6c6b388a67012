"""Whether what lets a WebSocket live still holds: asked from time to time, once for all that rest on the same session.

A WebSocket was let in by a token that lives a minute, and stays for hours; nothing on it brings another token. So the
source is asked: the API about a session, the decision itself about a machine's token. What ended is cut with 4401.
Where it cannot be learnt, nothing is held against anybody for a stated time; then the WebSocket is cut with 1013, and
the next try is judged by what it brings.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable

from gateway.core.reasons import Reason
from gateway.core.settings_model import WebSocketSettings
from gateway.core.sockets import SESSION_OVER, TRY_AGAIN, End
from gateway.errors import GatewayError
from gateway.ports import Clock

_log = logging.getLogger(__name__)

ASK_S = 5.0
"""Seconds that one answer may take."""

MAX_ASKED = 16
"""Questions that are asked at the same time."""

ENDED = End(SESSION_OVER, SESSION_OVER, "session ended", Reason.SESSION_ENDED)
UNKNOWN = End(
    TRY_AGAIN,
    TRY_AGAIN,
    "session unknown",
    Reason.WEBSOCKET_SESSION_UNKNOWN,
    "it was not learnt in time whether the session lives",
)

Ask = Callable[[], Awaitable[bool | None]]
"""Answers whether it lives; None where that cannot be said now."""

Cut = Callable[[End], None]


class _Line:
    """What rests on one session.

    Attributes:
        holders: how to cut each, and since when it is let in.
        known_s: when the session was last known to live.
        task: that asks.
    """

    __slots__ = ("holders", "known_s", "task")

    def __init__(self) -> None:
        self.holders: dict[object, tuple[Cut, float]] = {}
        self.known_s = float("-inf")
        self.task: asyncio.Task[None] | None = None

    def cut(self, end: End, since_s: float = float("inf")) -> None:
        """Cut those that were let in, and not confirmed since, up to that time."""
        for holder, (cut, let_in_s) in tuple(self.holders.items()):
            if max(let_in_s, self.known_s) <= since_s or end is ENDED:
                self.holders.pop(holder)
                cut(end)

    @property
    def oldest_s(self) -> float:
        """The earliest time of which something is known about a holder."""
        return max(self.known_s, min(since_s for _, since_s in self.holders.values()))


class Lifelines:
    """Holds what is open, by what it rests on.

    Args:
        settings: how often to ask, and how long to go on without an answer.
        timer: seconds; only differences count.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        settings: WebSocketSettings,
        timer: Clock = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._timer = timer
        self._sleep = sleep
        self._lines: dict[Hashable, _Line] = {}
        self._slots = asyncio.Semaphore(MAX_ASKED)

    def __len__(self) -> int:
        return len(self._lines)

    def hold(self, name: Hashable, ask: Ask | None, cut: Cut) -> Callable[[], None]:
        """Look after one connection, and return what ends that.

        Args:
            name: what it rests on; those of one name are asked about together.
            ask: the source; None where there is none to ask.
            cut: called once, should it have to end.
        """
        if not self._settings.recheck_s:
            return lambda: None
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line()
        holder = object()
        line.holders[holder] = (cut, self._timer())
        if line.task is None:
            line.task = asyncio.ensure_future(self._watch(name, line, ask))

        def release() -> None:
            line.holders.pop(holder, None)
            if not line.holders:
                self._drop(name, line)

        return release

    def _drop(self, name: Hashable, line: _Line) -> None:
        if self._lines.get(name) is line:
            del self._lines[name]
        if line.task is not None and line.task is not asyncio.current_task():
            line.task.cancel()

    async def _watch(self, name: Hashable, line: _Line, ask: Ask | None) -> None:
        settings = self._settings
        while line.holders:
            left_s = line.oldest_s + settings.unchecked_s - self._timer()
            await self._sleep(max(0.0, left_s) if ask is None else settings.recheck_s)
            asked_s = self._timer()
            lives = await self._answer(ask) if ask is not None else None
            if lives:
                line.known_s = asked_s
            elif lives is None:
                line.cut(UNKNOWN, self._timer() - settings.unchecked_s)
            else:
                line.cut(ENDED)
        self._drop(name, line)

    async def _answer(self, ask: Ask) -> bool | None:
        try:
            async with self._slots, asyncio.timeout(ASK_S):
                return await ask()
        except (GatewayError, TimeoutError) as error:
            _log.info(
                "whether a session lives could not be learnt: %s",
                repr(error) if isinstance(error, TimeoutError) else error,
            )
            return None
        except Exception:
            _log.exception("asking whether a session lives failed")
            return None

    async def close(self) -> None:
        """Stop asking."""
        tasks = [line.task for line in self._lines.values() if line.task is not None]
        self._lines.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
