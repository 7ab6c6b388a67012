"""A request's body as it comes in: where it ends, how much of it is held (RFC 9112 sections 6 and 7). No network."""

import httptools

from gateway.core.header_names import MAX_HEAD_BYTES
from gateway.core.window import few
from gateway.passing import Take

# The parser decodes the chunks of a message that it believes to have seen the head of. With "close" it refuses
# whatever follows the last chunk.
_HEAD = b"POST / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"

_LARGE_BYTES = 16_384
"""A piece as large as this is passed on by itself: joined with the next one, it would be copied once more."""


class Body:
    """A body that is being received.

    Attributes:
        is_complete: all of it has come.
        is_broken: it is not framed as it should be, or the client went away within it.
        held: bytes that nobody has taken.
    """

    __slots__ = ("_chunks", "held", "is_broken", "is_complete")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self.held = 0
        self.is_complete = self.is_broken = False

    def feed(self, data: memoryview) -> int:
        """Take bytes; return how many of them were the body's."""
        raise NotImplementedError

    def pass_by(self, data: memoryview, take: Take) -> bool:  # noqa: ARG002 - for those whose length is known
        """Have a piece taken that is the body's, and neither its end nor behind a piece that is held."""
        return False

    def take(self) -> bytes:
        """Return what there is, and hold it no longer."""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self.held = 0
        return data

    def next_piece(self) -> bytes:
        """Return what is passed on next, and hold it no longer: a large piece alone, otherwise all there is."""
        if len(self._chunks) < 2 or len(self._chunks[0]) < _LARGE_BYTES:
            return self.take()
        data = self._chunks.pop(0)
        self.held -= len(data)
        return data

    def _hold(self, data: bytes) -> None:
        self._chunks.append(data)
        self.held += len(data)


class SizedBody(Body):
    """A body of known length.

    Args:
        length: in bytes, more than 0.
    """

    __slots__ = ("missing",)

    def __init__(self, length: int) -> None:
        super().__init__()
        self.missing = length

    def feed(self, data: memoryview) -> int:
        """Take bytes; return how many of them were the body's."""
        size = min(len(data), self.missing)
        self._hold(bytes(data[:size]))
        self._chunks = few(self._chunks)
        self.missing -= size
        self.is_complete = not self.missing
        return size

    def pass_by(self, data: memoryview, take: Take) -> bool:
        """Have a piece taken that is the body's, and neither its end nor behind a piece that is held."""
        size = len(data)
        if self.held or size >= self.missing or not take(data):
            return False
        self.missing -= size
        return True


class ChunkedBody(Body):
    """A body in chunks; their extensions and the trailers are dropped.

    Attributes:
        has_surplus: something follows it in the same bytes; where it begins is not known, so the connection has to end.
    """

    __slots__ = ("_barren_bytes", "_parser", "has_surplus")

    def __init__(self) -> None:
        super().__init__()
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._parser.feed_data(_HEAD)
        self._barren_bytes = 0
        self.has_surplus = False

    def feed(self, data: memoryview) -> int:
        """Take bytes; all of them are the body's, or in the way behind it."""
        held = self.held
        if self._parser is None:
            return len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self.is_complete:
                self.has_surplus = True
            else:
                self.is_broken = True
        self._chunks = few(self._chunks)
        # Endless trailers or extensions: the parser counts neither.
        self._barren_bytes = self._barren_bytes + len(data) if self.held == held else 0
        if self._barren_bytes > MAX_HEAD_BYTES and not self.is_complete:
            self.is_broken = True
        if self.is_complete or self.is_broken:
            self._parser = None  # the two hold each other, until the collector comes by, which is late
        return len(data)

    # ── httptools callbacks ──

    def on_body(self, data: bytes) -> None:
        """Hold a piece."""
        self._hold(data)

    def on_message_complete(self) -> None:
        """End it."""
        self.is_complete = True
