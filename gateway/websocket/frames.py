"""Messages made of frames and frames made of messages (RFC 6455 section 5). No network.

The library ``websockets`` reads frames, answers pings and closes, and refuses what breaks the rules. A short message
that came whole, which nearly all are, is read here without it, since that costs a fraction. Whatever is not such a
message goes to the library, which reads on from there.
"""

import secrets
from collections.abc import Iterator, Sequence
from struct import Struct

from websockets.frames import Frame, Opcode
from websockets.protocol import Event, Protocol, Side, State

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - where the library was not compiled
    from websockets.utils import apply_mask

_TEXT, _BINARY = 0x81, 0x82  # one frame, the first and the last of its message
_SHORT = frozenset({_TEXT, _BINARY})
_MASKED = 0x80
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_LONG = 126
_MEDIUM, _LARGE = Struct("!BBH").pack, Struct("!BBQ").pack


_MASKS_BYTES = 4096
_TURN_FRAMES = 512
"""Frames that are read in one turn: an empty one takes six bytes, so a piece of what comes may hold thousands."""

_LIBRARY_BYTES = 8192
"""Given to the library at once, which reads all that it is given."""

Message = tuple[bytes, bool]
"""The data of a message, and whether it is text: then it is UTF-8, and stays bytes, since it is passed on as such."""


def _masks() -> Iterator[bytes]:
    """Return masks that nobody can foresee (section 5.3); the system is asked for many at once."""
    while True:
        fresh = secrets.token_bytes(_MASKS_BYTES)
        for at in range(0, _MASKS_BYTES, 4):
            yield fresh[at : at + 4]


_next_mask = _masks().__next__


class Frames:
    """Reads and makes the frames of one WebSocket.

    Args:
        protocol: of the library, with the opening behind it or before it; nothing may be compressed.

    Attributes:
        was_asked: the library has read something of what came last, so it may have an answer or another state.
        rest: what came and was not read, since others have to have their turn; see :meth:`feed`.
    """

    __slots__ = (
        "_is_between",
        "_is_masked",
        "_is_text",
        "_mask_bit",
        "_max_bytes",
        "_partial",
        "_peer_bit",
        "_protocol",
        "rest",
        "was_asked",
    )

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._is_masked = protocol.side is Side.SERVER  # clients mask (section 5.1)
        self._mask_bit, self._peer_bit = (0, _MASKED) if self._is_masked else (_MASKED, 0)
        self._max_bytes = protocol.max_message_size or 0
        self._partial = bytearray()
        self._is_text = False
        self._is_between = protocol.state is State.OPEN
        self.was_asked = False
        self.rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes; return the messages that are whole with them.

        Of very many only the first ones: what is left is in :attr:`rest`, and is read with what is fed next, or b"".
        """
        if self.rest:
            data, self.rest = self.rest + data, b""
        at = 0
        found: list[Message] = []
        if self._is_between:
            while len(found) < _TURN_FRAMES and (short := self._short(data, at)) is not None:
                payload, is_text, at = short
                found.append((payload, is_text))
        self.was_asked = at < len(data) and len(found) < _TURN_FRAMES
        if self.was_asked:
            at = self._ask(data, at, found)
        self.rest = data[at:]
        return found

    def _ask(self, data: bytes, at: int, found: list[Message]) -> int:
        """Have the library read on; return how far it came."""
        protocol, count = self._protocol, 0
        while at < len(data) and count < _TURN_FRAMES:
            end = at + _LIBRARY_BYTES
            protocol.receive_data(data[at:end])
            events = protocol.events_received()
            self._join(events, found)
            count, at = count + len(events), end
        is_open = protocol.state is State.OPEN
        self._is_between = is_open and not protocol.reader.buffer and protocol.current_size is None
        return at

    def frame(self, data: bytes, is_text: bool) -> bytes:
        """Return a message as one frame."""
        kind, size, bit = _TEXT if is_text else _BINARY, len(data), self._mask_bit
        if size < _LONG:
            head = bytes((kind, bit | size))
        elif size <= 0xFFFF:
            head = _MEDIUM(kind, bit | _LONG, size)
        else:
            head = _LARGE(kind, bit | 127, size)
        if not bit:
            return head + data
        mask = _next_mask()
        return head + mask + apply_mask(data, mask)

    def _short(self, data: bytes, at: int) -> tuple[bytes, bool, int] | None:
        """Return the message that begins there and where it ends; None where the library has to say what it is."""
        if len(data) - at < 2:
            return None
        kind, size, begin = data[at], data[at + 1] ^ self._peer_bit, at + 2
        if kind not in _SHORT or size > _LONG:
            return None
        if size == _LONG:
            size, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
        if self._is_masked:
            begin += 4
        end = begin + size
        if end > len(data) or size > self._max_bytes:
            return None
        payload = data[begin:end]
        if self._is_masked:
            payload = apply_mask(payload, data[begin - 4 : begin])
        if kind == _BINARY:
            return payload, False, end
        return (payload, True, end) if _is_utf8(payload) else None

    def _join(self, events: Sequence[Event], found: list[Message]) -> None:
        """Add the messages that these frames end."""
        for frame in events:
            if not isinstance(frame, Frame) or frame.opcode not in _DATA:
                continue
            if frame.opcode is not Opcode.CONT:
                self._is_text = frame.opcode is Opcode.TEXT
            # Not a list of pieces: many small ones would take many times their bytes.
            self._partial += frame.data
            if not frame.fin:
                continue
            data = bytes(self._partial)
            self._partial.clear()
            if self._is_text and not _is_utf8(data):
                self._protocol.fail(1007, "not UTF-8")
                return
            found.append((data, self._is_text))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
