"""Breaking the connection that a request came by, under the server's hands.

ASGI has no message for it: Granian and uvicorn answer an application that gives up with 500, and a connection that ends
too early is closed in good order. So the socket is looked up among the descriptors of this process by the address of
its peer. Whatever server runs in this process, and whatever language it is written in, its sockets are there.
"""

import os
import socket
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Linux, and macOS and the BSDs
_DESCRIPTORS = (Path("/proc/self/fd"), Path("/dev/fd"))
# SO_LINGER on, 0 seconds: closing drops what was not sent, and sends RST (socket(7); RFC 9293 section 3.6, ABORT)
_ABORT = struct.pack("ii", 1, 0)


def reset(client: Sequence[object] | None) -> None:
    """Have the connection torn down: the peer gets RST, as from a process that died or a firewall.

    Args:
        client: address and port of the peer, as in the ASGI scope.

    Raises:
        ConnectionResetError: this process has no such connection, as where a test calls the application itself.
    """
    with _connection(client) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        # nothing is sent by this; the server reads an end, and closes
        connection.shutdown(socket.SHUT_RD)


def close(client: Sequence[object] | None) -> None:
    """Have the connection closed in good order: the peer gets FIN, after what was sent.

    Args:
        client: address and port of the peer, as in the ASGI scope.

    Raises:
        ConnectionResetError: this process has no such connection.
    """
    with _connection(client) as connection:
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def _connection(client: Sequence[object] | None) -> Iterator[socket.socket]:
    for candidate in _sockets() if client else ():
        with candidate:
            if _peer(candidate) == tuple(map(str, client or ())):
                yield candidate
                return
    raise ConnectionResetError("a rule of the control port broke off this request")


def _sockets() -> Iterator[socket.socket]:
    """A duplicate of every socket of this process; whoever takes one closes it."""
    listing = next(path for path in _DESCRIPTORS if path.exists())
    for name in os.listdir(listing):  # noqa: PTH208 - the names are numbers, not paths
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                yield socket.socket(fileno=os.dup(int(name)))
        except OSError:  # closed in between
            continue


def _peer(candidate: socket.socket) -> tuple[str, str] | None:
    try:
        name = candidate.getpeername()
    except OSError:
        return None
    return (str(name[0]), str(name[1])) if isinstance(name, tuple) and len(name) >= 2 else None
