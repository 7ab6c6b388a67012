"""Cutting a client's connection that the server cannot be told to let go of.

A client that reads nothing keeps whoever writes to it waiting, and ASGI has no word for giving up: the server's close
waits behind the same full socket. So the socket is found among the process's own by its two addresses, and reset.
"""

import asyncio
import os
import socket
import stat
import struct
from contextlib import suppress

from starlette.types import Scope

PAUSE_S = 1.0
"""Seconds between two looks through the open files: many clients at once cost one look."""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: what was not read is given up

Ends = tuple[str, int, int]


class Severing:
    """Resets connections of clients, some at a time.

    Args:
        folder: where the system lists the process's open files.
    """

    def __init__(self, folder: str = "/dev/fd") -> None:
        self._folder = folder
        self._wanted: set[Ends] = set()

    def add(self, scope: Scope) -> None:
        """Have the connection of this scope cut within :data:`PAUSE_S`."""
        ends = _ends(scope)
        if ends is None:
            return
        if not self._wanted:
            asyncio.get_running_loop().call_later(PAUSE_S, self._look)
        self._wanted.add(ends)

    def _look(self) -> None:
        wanted, self._wanted = self._wanted, set()
        with suppress(OSError):
            for name in os.listdir(self._folder):  # noqa: PTH208 - names of descriptors, not paths
                with suppress(OSError, ValueError):
                    _reset(int(name), wanted)


def _ends(scope: Scope) -> Ends | None:
    client, server = scope.get("client"), scope.get("server")
    if not client or not server or not server[1]:
        return None  # a Unix socket, or a server that does not say
    return str(client[0]), int(client[1]), int(server[1])


def _reset(descriptor: int, wanted: set[Ends]) -> None:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return
    with socket.socket(fileno=os.dup(descriptor)) as found:
        if found.family not in {socket.AF_INET, socket.AF_INET6} or found.type != socket.SOCK_STREAM:
            return
        peer, own = found.getpeername(), found.getsockname()
        if (peer[0], peer[1], own[1]) in wanted:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            found.shutdown(socket.SHUT_RDWR)
