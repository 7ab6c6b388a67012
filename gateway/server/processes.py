"""Several worker processes: started together, replaced when one is lost, stopped together."""

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

_log = logging.getLogger(__name__)

_RESPAWN_PAUSE_S = 0.5
_KILL_AFTER_S = 5.0

Work = Callable[[socket.socket, Callable[[], None], int], int]
"""Serves on a socket until it is told to stop; calls its second argument once it does; the third is readable once the
parent has gone. Returns the exit code."""


class Workers:
    """The worker processes of one gateway.

    Each has a listening socket of its own on the same address (SO_REUSEPORT). This process keeps them open until
    the end begins, so what comes for a worker that was lost waits for the one in its place.

    Args:
        work: what each one does.
        sockets: bound, one for each worker; closed at the end.
        drain_s: seconds that a worker may take to stop.
        on_ready: called once all of them serve.
    """

    def __init__(
        self, work: Work, sockets: Sequence[socket.socket], drain_s: float, on_ready: Callable[[], None]
    ) -> None:
        # Workers inherit the sockets and the work, which is no module-level function.
        self._context = multiprocessing.get_context("fork")
        self._work = work
        self._sockets = sockets
        self._drain_s = drain_s
        self._on_ready = on_ready
        self._running: dict[int, BaseProcess] = {}
        self._starting: dict[Connection, int] = {}
        self._parent_gone, self._alive = os.pipe()
        self._wake, self._waker = socket.socketpair()
        self._is_stopping = self._is_ready = False

    def run(self) -> bool:
        """Run them until SIGTERM or SIGINT; return whether it was that what ended them."""
        for end in (self._wake, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note_stop)
        try:
            for index in range(len(self._sockets)):
                self._start(index)
            while not self._is_stopping and self._look():
                pass
            return self._is_stopping
        finally:
            self._stop()

    def _note_stop(self, *_: object) -> None:
        self._is_stopping = True

    def _start(self, index: int) -> None:
        ready, told = self._context.Pipe(duplex=False)
        process = self._context.Process(target=self._serve, args=(index, told), name=f"gateway worker {index}")
        process.start()
        told.close()
        self._running[index] = process
        self._starting[ready] = index

    def _serve(self, index: int, told: Connection) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        os.close(self._alive)
        for other, each in enumerate(self._sockets):
            if other != index:
                each.close()  # kept open, it would take connections that nobody accepts once its own worker stops
        raise SystemExit(self._work(self._sockets[index], lambda: told.send(True), self._parent_gone))

    def _look(self) -> bool:
        """Wait for something to happen; return whether to go on."""
        by_sentinel = {process.sentinel: index for index, process in self._running.items()}
        for happened in wait([*by_sentinel, *self._starting, self._wake]):
            if isinstance(happened, Connection):
                if _is_told(happened):
                    self._forget_start(self._starting[happened])
            elif isinstance(happened, int):
                index = by_sentinel[happened]
                lost = self._running.pop(index)
                lost.join()  # it has ended, and says how once it is waited for
                self._forget_start(index)
                if not self._is_ready:
                    return False  # one that cannot even start would be started over and over
                _log.error(
                    "worker %d ended by itself (exit code %s); another one takes its place", index, lost.exitcode
                )
                time.sleep(_RESPAWN_PAUSE_S)
                if not self._is_stopping:
                    self._start(index)
        if not self._is_ready and not self._starting and not self._is_stopping:
            self._is_ready = True
            self._on_ready()
        return True

    def _forget_start(self, index: int) -> None:
        for ready in [ready for ready, starting in self._starting.items() if starting == index]:
            del self._starting[ready]
            ready.close()

    def _stop(self) -> None:
        signal.set_wakeup_fd(-1)
        for each in self._sockets:
            each.close()
        for process in self._running.values():
            process.terminate()
        until_s = time.monotonic() + self._drain_s + _KILL_AFTER_S
        for process in self._running.values():
            process.join(max(until_s - time.monotonic(), 0))
            if process.is_alive():
                process.kill()
                process.join()
        for index in set(self._starting.values()):
            self._forget_start(index)
        for end in (self._wake, self._waker):
            end.close()
        for descriptor in (self._parent_gone, self._alive):
            os.close(descriptor)


def _is_told(ready: Connection) -> bool:
    """Whether a worker has said that it serves; one that ended before leaves nothing but an end."""
    try:
        return bool(ready.recv())
    except EOFError:
        return False
