"""How much is read at once from a connection, and held for a reader who may not take it.

All that is read passes through one buffer. A piece of it that a slow reader does not take has to be held; so the more
connections there are, the smaller are the pieces, and all of them together stay within a bound.
"""

MOST_BYTES = 65_536
"""Read at once where few connections are in use."""

LEAST_BYTES = 4_096
"""Read at once however many there are."""

TOGETHER_BYTES = 1024 * 1024
"""What one piece of each connection may come to."""

MANY_PIECES = 64
"""Beyond that, pieces that nobody takes are held as one: each takes dozens of bytes beside its own, maybe one."""


def few(pieces: list[bytes]) -> list[bytes]:
    """Return the pieces that are held, as one where there are many."""
    return pieces if len(pieces) <= MANY_PIECES else [b"".join(pieces)]


class Window:
    """A buffer that all connections of one event loop read through; nothing stays in it.

    Attributes:
        view: where the next bytes go.
    """

    __slots__ = ("_whole", "view")

    def __init__(self) -> None:
        self._whole = memoryview(bytearray(MOST_BYTES))
        self.view = self._whole

    def share(self, connections: int) -> None:
        """Set the size of pieces by the number of connections in use."""
        size = max(LEAST_BYTES, min(MOST_BYTES, TOGETHER_BYTES // max(connections, 1)))
        if size != len(self.view):
            self.view = self._whole[:size]
