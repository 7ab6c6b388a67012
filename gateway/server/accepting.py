"""Taking connections from a listening socket: many at a time.

The server of uvloop takes one in each turn of the loop. A turn serves whatever else is ready, so with a thousand busy
clients the next one waited seconds for its connection to be seen, while those before it were served again and again.
"""

import asyncio
import logging
import resource
import socket
from collections.abc import Callable

_log = logging.getLogger(__name__)

_BACKLOG = 2048
_AT_ONCE = 256  # then whoever has a connection has a turn
_PAUSE_S = 0.25


class Acceptor:
    """Takes the connections of one listening socket until it is closed.

    Args:
        listening: bound; belongs to the acceptor from here on.
        make: makes the protocol of a connection.
    """

    def __init__(self, listening: socket.socket, make: Callable[[], asyncio.BaseProtocol]) -> None:
        self._listening = listening
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._taken: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        listening.listen(_BACKLOG)
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Take none any more, and close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connected, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue  # the client has gone meanwhile
            except OSError:
                self._pause()
                return
            connected.setblocking(False)
            task = self._loop.create_task(self._serve(connected))
            self._taken.add(task)
            task.add_done_callback(self._taken.discard)

    async def _serve(self, connected: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connected)
        except Exception:
            _log.exception("taking a connection failed")
            connected.close()

    def _pause(self) -> None:
        """Leave the socket alone for a while: no descriptors are left, and it would be ready again at once."""
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        fix = "raise that limit, or lower server.max_connections"
        _log.warning("connections wait: none can be taken with a limit of %d open files; %s", most, fix, exc_info=True)
        self._loop.remove_reader(self._listening)
        self._timer = self._loop.call_later(_PAUSE_S, self._loop.add_reader, self._listening, self._accept)
