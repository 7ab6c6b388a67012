"""The way to one client: writing that waits for it, reading that pauses, and an end at once."""

import asyncio
import socket
import struct
from collections.abc import Callable

from gateway.passing import write_at_once

WINDOW_BYTES = 65_536
"""Held of a body, or unsent of an answer, before whoever sends has to wait."""

# On, 0 seconds: closing drops what was not sent, and sends RST (socket(7)).
_NO_LINGER = struct.pack("ii", 1, 0)


def _write_nothing(data: bytes) -> None:
    """There is no transport yet."""


class ClientLine(asyncio.BufferedProtocol):
    """One client's transport, and what there is to do with it whatever it is used for.

    Attributes:
        address: the client's; empty on a Unix socket.
        is_write_paused: the client takes its answer more slowly than it comes.
        write: writes without waiting.
    """

    __slots__ = ("_drained", "_is_ending", "_is_read_paused", "_transport", "address", "is_write_paused", "write")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_read_paused = self._is_ending = self.is_write_paused = False
        self.address = ""
        self.write: Callable[[bytes], None] = _write_nothing

    def write_at_once(self, data: memoryview) -> bool:
        """Write where nothing waits to be written (:func:`gateway.passing.write_at_once`)."""
        return self._transport is not None and not self._is_ending and write_at_once(self._transport, data)

    async def drained(self) -> None:
        """Wait until the client has taken enough of what was written."""
        if not self.is_write_paused or self._is_ending:
            return
        self._drained = asyncio.get_running_loop().create_future()
        try:
            await self._drained
        finally:
            self._drained = None

    def abort(self) -> None:
        """Close at once."""
        self._is_ending = True
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Close at once with RST (RFC 9293 section 3.6, ABORT)."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.abort()

    def _pause(self) -> None:
        if not self._is_read_paused and self._transport is not None:
            self._is_read_paused = True
            self._transport.pause_reading()

    def _unpause(self) -> None:
        if self._is_read_paused and self._transport is not None and not self._transport.is_closing():
            self._is_read_paused = False
            self._transport.resume_reading()

    def _release_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
