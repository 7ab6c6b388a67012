"""The connections to one upstream: opened as needed, kept for a while, bounded in number.

The last one used is taken first, so that the others grow old and go. One timer looks after all of them: it ends what
waits too long, and what nobody uses.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from gateway.core.reasons import Reason
from gateway.core.window import Window
from gateway.errors import UpstreamError
from gateway.upstream.connection import SLOW_S, Connection
from gateway.upstream.dial import dial
from gateway.upstream.origin import Limits, Origin

_Protocol = TypeVar("_Protocol", bound=asyncio.Protocol)


class Pool:
    """Connections to one upstream.

    Args:
        origin: where it is.
        limits: how many and how long.
        tls: for an upstream that speaks TLS; by default the system's trust.

    Attributes:
        in_use: connections that carry an exchange, or are being opened for one.
    """

    def __init__(self, origin: Origin, limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.origin = origin
        self.limits = limits or Limits()
        self._idle: deque[Connection] = deque()
        self._used: set[Connection] = set()
        self._tls = tls or origin.tls_context()
        self._window = Window()
        self._is_closed = False
        self._timer: asyncio.TimerHandle | None = None
        self.in_use = 0

    @property
    def idle(self) -> int:
        """How many connections wait for work."""
        return len(self._idle)

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """Return a connection, opened if there is none; give it back with :meth:`release`.

        Args:
            fresh: do not take a kept one.

        Raises:
            UpstreamError: when there are too many, or none can be opened.
        """
        if not fresh and (kept := self.take()) is not None:
            return kept
        self._refuse_more()
        if self._idle and self.in_use + self.idle >= self.limits.connections:
            self._idle.popleft().abort()
        self.in_use += 1
        self._window.share(self.in_use)
        try:
            connection = await self._open()
        except BaseException:
            self.in_use -= 1
            raise
        self._used.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(pause_s(self.limits), self._sweep)
        return connection

    def take(self) -> Connection | None:
        """Return a kept connection, or None where there is none; give it back with :meth:`release`."""
        if not self._idle:
            return None
        connection = self._idle.pop()
        if connection.time_s() - connection.idle_since_s >= self.limits.keep_alive_s:
            connection.abort()  # the sweep is late
            return None
        self.in_use += 1
        self._used.add(connection)
        return connection

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()

        def make() -> Connection:
            return Connection(self.limits, loop, self._forget, self._window)

        return await dial(self.origin, self._tls, self.limits.connect_s, make)

    async def open(self, make: Callable[[], _Protocol]) -> _Protocol:
        """Open a connection for something other than exchanges; it counts until :meth:`leave`.

        Args:
            make: makes its protocol.

        Raises:
            UpstreamError: when there are too many, or none can be opened.
        """
        self._refuse_more()
        self.in_use += 1
        try:
            return await dial(self.origin, self._tls, self.limits.connect_s, make)
        except BaseException:
            self.in_use -= 1
            raise

    def leave(self) -> None:
        """Count one connection of :meth:`open` less."""
        self.in_use -= 1

    def _refuse_more(self) -> None:
        if self.in_use >= self.limits.connections:
            detail = f"{self.in_use} connections to {self.origin.text} are in use, no more are allowed"
            raise UpstreamError(Reason.UPSTREAM_OVERLOADED, detail)

    def release(self, connection: Connection) -> None:
        """Take a connection back: kept if its exchange ended well, closed otherwise."""
        self.in_use -= 1
        self._used.discard(connection)
        if not connection.finish():
            return
        if self._is_closed:
            connection.abort()
            return
        connection.idle_since_s = connection.time_s()
        self._idle.append(connection)

    def _sweep(self) -> None:
        """End what waits too long and what is idle too long, and come again while there is anything."""
        loop, self._timer = asyncio.get_running_loop(), None
        self._window.share(self.in_use)
        now_s = loop.time()
        for connection in tuple(self._used):
            connection.check(now_s)
        while self._idle and now_s - self._idle[0].idle_since_s >= self.limits.keep_alive_s:
            self._idle.popleft().abort()
        if self._used or self._idle:
            self._timer = loop.call_later(pause_s(self.limits), self._sweep)

    def _forget(self, connection: Connection) -> None:
        """Let go of a connection that its upstream closed while it was idle."""
        with suppress(ValueError):
            self._idle.remove(connection)

    async def close(self) -> None:
        """Close the idle connections, and those in use when their exchanges end."""
        self._is_closed = True
        while self._idle:
            self._idle.popleft().abort()


def pause_s(limits: Limits) -> float:
    """Return the seconds between two looks at the time: by so much a time-out may come late."""
    least_s = min(limits.first_byte_s, limits.idle_s, limits.total_s or limits.idle_s, limits.keep_alive_s or 1.0)
    return min(SLOW_S, least_s / 4)
