"""Pieces of bodies that pass at once: from what was read on one connection into the socket of the other.

Most pieces of a long body find a reader that takes them. Those need no task, no copy and no place to be held in.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Protocol

Take = Callable[[memoryview], bool]
"""Takes a piece of a body, whose bytes are gone when it returns; or false, and nothing of it was taken."""

TURN_PIECES = 8
"""Pass in a row; then other connections have their turn."""


class Direct(Protocol):
    """A client's exchange, where pieces of bodies can pass without ASGI."""

    def take(self, data: memoryview) -> bool:
        """Take a piece of the answer's body (:data:`Take`); never its end."""
        ...

    def divert(self, take: Take | None) -> None:
        """Have pieces of the request's body taken while somebody waits for them; never its end.

        Args:
            take: where they go; what it does not take is received as ever. None: nowhere any more.
        """
        ...


def write_at_once(transport: asyncio.Transport, data: memoryview) -> bool:
    """Write where nothing waits to be written, without a copy of what the system takes; otherwise do nothing.

    Args:
        transport: in plain text; with TLS its socket would be the wrong place.
        data: is not needed any more afterwards.

    Returns:
        Whether it was written, or what the system has no room for is written as soon as it has.
    """
    if transport.is_closing() or transport.get_write_buffer_size():
        return False
    try:
        sent = os.write(transport.get_extra_info("socket").fileno(), data)
    except OSError:
        return False  # there is no room, or nobody to read it: the transport finds out
    if sent < len(data):
        transport.write(bytes(data[sent:]))
    return True
