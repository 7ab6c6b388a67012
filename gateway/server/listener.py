"""The connections of one worker: how many there may be, how long each may wait, and how they end.

Every connection that waits for something is in one of four queues, each with one patience: so the first in a queue is
the first to go, and one timer looks at the fronts, however many connections there are.
"""

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from gateway.core.reasons import Reason
from gateway.core.window import Window
from gateway.server.accepting import Acceptor
from gateway.server.answer import date_line
from gateway.server.connection import ClientConnection
from gateway.server.exchange import Exchange
from gateway.server.handler import Handler, Refusal
from gateway.server.websocket import WebSocket

_log = logging.getLogger(__name__)

_SWEEP_S = 0.5
_MAX_LINGERING = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may take.

    Attributes:
        head_s: seconds for a request's head from its first byte, and from the connection's beginning to that.
        keep_alive_s: seconds between two requests.
        stuck_s: seconds in which a client has to take something of its answer.
        linger_s: seconds that a client which was refused may go on sending, unheard.
        connections: at once; more are refused.
        connections_per_address: at once; 0 for no bound.
    """

    head_s: float = 10.0
    keep_alive_s: float = 75.0
    stuck_s: float = 60.0
    linger_s: float = 2.0
    connections: int = 10_000
    connections_per_address: int = 0


class Listener:
    """Accepts connections and looks after them.

    Args:
        handler: serves the requests.
        limits: what clients may take.

    Attributes:
        loop: that it runs in.
        window: what is read goes through it.
        is_stopping: no connection is used for another request.
        date: the line that names the time, made anew whenever times are looked at.
    """

    def __init__(self, handler: Handler, limits: Limits | None = None) -> None:
        self._handler = handler
        self._limits = limits or Limits()
        self.loop = asyncio.get_running_loop()
        self.window = Window()
        self.is_stopping = False
        self._connections: set[ClientConnection] = set()
        self._refused: set[ClientConnection] = set()  # of them; they do not count
        self._per_address: Counter[str] = Counter()
        self._reading: dict[ClientConnection, float] = {}
        self._idle: dict[ClientConnection, float] = {}
        self._slow: dict[ClientConnection, float] = {}
        self._lingering: dict[ClientConnection, float] = {}
        self._acceptors: list[Acceptor] = []
        self.date = date_line(time.time())
        self._timer: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()

    def listen(self, listening: socket.socket) -> None:
        """Accept connections from a bound socket."""
        make: Callable[[], asyncio.BaseProtocol] = lambda: ClientConnection(self)  # noqa: E731
        self._acceptors.append(Acceptor(listening, make))
        if self._timer is None:
            self._sweep()

    async def close(self, drain_s: float) -> None:
        """Take no connection and no request any more, and cut what is not over in time.

        Args:
            drain_s: seconds that requests in hand get.
        """
        self.is_stopping = True
        for acceptor in self._acceptors:
            acceptor.close()
        for connection in tuple(self._connections):
            if connection.is_idle:
                connection.close()
        if self._connections:
            self._gone.clear()
            try:
                async with asyncio.timeout(drain_s):
                    await self._gone.wait()
            except TimeoutError:
                _log.warning("%d requests were cut, since they were not over in time", len(self._connections))
        for connection in tuple(self._connections):
            connection.stop()
        if self._timer is not None:
            self._timer.cancel()

    def begin(self, exchange: Exchange | WebSocket) -> None:
        """Have a request served; a fault in that is answered, too."""
        try:
            self._handler.begin(exchange)
        except Exception:
            _log.exception("beginning to serve a request failed")
            exchange.respond(*self._handler.refuse(Reason.UNEXPECTED_ERROR, ""))

    def refusal(self, reason: Reason, client: str) -> Refusal:
        """Return the answer to what is no request, or one too many."""
        return self._handler.refuse(reason, client)

    # ── what connections say of themselves ──

    def take(self, connection: ClientConnection) -> bool:
        """Count a connection where there is room for it; return whether there is."""
        limits, address = self._limits, connection.address
        self._connections.add(connection)
        self.window.share(len(self._connections))
        most = limits.connections_per_address if address else 0
        held = len(self._connections) - len(self._refused)
        if held > limits.connections or (most and self._per_address[address] >= most):
            self._refused.add(connection)
            return False
        self._per_address[address] += 1
        self.note_reading(connection)
        return True

    def forget(self, connection: ClientConnection) -> None:
        """Count a connection no more."""
        self._connections.discard(connection)
        address = connection.address
        if connection in self._refused:
            self._refused.discard(connection)
        elif self._per_address[address] > 1:
            self._per_address[address] -= 1
        else:
            del self._per_address[address]
        for queue in (self._reading, self._idle, self._slow, self._lingering):
            queue.pop(connection, None)
        if not self._connections:
            self._gone.set()

    def note_reading(self, connection: ClientConnection) -> None:
        """A head has begun to come, or the rest of a body that nobody wants."""
        self._idle.pop(connection, None)
        self._reading.pop(connection, None)  # the time for it begins anew, at the end of the queue
        self._reading[connection] = self.loop.time()

    def note_busy(self, connection: ClientConnection) -> None:
        """A request is in hand."""
        if self._idle.pop(connection, None) is None:
            self._reading.pop(connection, None)

    def note_idle(self, connection: ClientConnection) -> None:
        """A request is over."""
        self._idle[connection] = self.loop.time()

    def note_slow(self, connection: ClientConnection) -> None:
        """A client does not take its answer as it comes."""
        self._slow.pop(connection, None)  # as in the queue of those that are read from
        self._slow[connection] = self.loop.time()

    def note_caught_up(self, connection: ClientConnection) -> None:
        """It has taken most of it."""
        self._slow.pop(connection, None)

    def note_lingering(self, connection: ClientConnection) -> bool:
        """A client was refused, and may be sending still; return whether that can be waited for."""
        if len(self._lingering) >= _MAX_LINGERING:
            return False
        self._lingering[connection] = self.loop.time()
        return True

    def _sweep(self) -> None:
        """End what has waited too long."""
        self._timer = self.loop.call_later(_SWEEP_S, self._sweep)  # first, so that no fault is the end of it
        limits, now_s = self._limits, self.loop.time()
        self.date = date_line(time.time())
        for connection in _over(self._reading, now_s - limits.head_s):
            if connection.has_begun:
                connection.refuse(Reason.REQUEST_TIMEOUT)
            else:
                connection.close()
        for connection in _over(self._idle, now_s - limits.keep_alive_s):
            connection.close()
        for connection in _over(self._slow, now_s - limits.stuck_s):
            if connection.is_idle:
                connection.abort()
            else:
                self._slow[connection] = now_s  # whoever answers has a patience of its own
        for connection in _over(self._lingering, now_s - limits.linger_s):
            connection.abort()


def _over(queue: dict[ClientConnection, float], until_s: float) -> Iterator[ClientConnection]:
    """Take those out of a queue that have been in it since then or longer, each when its turn comes.

    One whose end fails leaves the others where they are, for the next look.
    """
    found = list(takewhile(lambda each: each[1] <= until_s, queue.items()))
    for connection, _ in found:
        if queue.pop(connection, None) is not None:
            yield connection
