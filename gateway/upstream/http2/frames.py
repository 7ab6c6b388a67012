"""Bytes cut into frames (RFC 9113 section 4.1), since the library is given one at a time; and what GOAWAY says.

The library forgets what it read before a frame that is at fault, and takes GOAWAY for the end of everything. To us it
means that no new request may begin while those in hand go on (RFC 9113 section 6.8).
"""

from collections.abc import Iterator
from typing import NamedTuple

from gateway.upstream.incoming import broken

_HEAD_BYTES = 9
_MOST_BYTES = 16_384  # SETTINGS_MAX_FRAME_SIZE, which we leave as it is
_GOAWAY = 7
_GOAWAY_BYTES = 8
_STREAM_BITS = 0x7FFF_FFFF


class Farewell(NamedTuple):
    """What an upstream says that takes no more requests.

    Attributes:
        last: number of the last stream that it has done anything for.
        code: why.
    """

    last: int
    code: int


class Frames:
    """Cuts."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes and yield the frames that are whole; fewer bytes than one frame are kept.

        Raises:
            UpstreamError: when a frame is longer than we allow, as the first bytes of HTTP/1.1 look.
        """
        held = self._held
        held += data
        while len(held) >= _HEAD_BYTES:
            length = int.from_bytes(held[:3])
            if length > _MOST_BYTES:
                raise broken("it does not speak HTTP/2: a frame is too large")
            end = _HEAD_BYTES + length
            if len(held) < end:
                return
            frame = bytes(held[:end])
            del held[:end]
            yield frame


def farewell(frame: bytes) -> Farewell | None:
    """Return what a GOAWAY says, or None for any other frame and for one that is not in order."""
    if frame[3] != _GOAWAY or len(frame) < _HEAD_BYTES + _GOAWAY_BYTES or int.from_bytes(frame[5:9]) & _STREAM_BITS:
        return None
    return Farewell(int.from_bytes(frame[9:13]) & _STREAM_BITS, int.from_bytes(frame[13:17]))
