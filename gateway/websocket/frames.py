"""Messages made of frames and frames made of messages (RFC 6455 section 5). No network.

The library ``websockets`` reads frames, answers pings and closes, and refuses what breaks the rules. A short message
that came whole, which nearly all are, is read here without it, since that costs a fraction. Whatever is not such a
message goes to the library, which reads on from there.
"""

import secrets
from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from websockets.frames import Frame, Opcode
from websockets.protocol import Event, Protocol, Side, State

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - where the library was not compiled
    from websockets.utils import apply_mask

_TEXT, _BINARY = 0x81, 0x82  # one frame, the first and the last of its message
_MASKED = 0x80
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_LONG = 126
_MEDIUM, _LARGE = Struct("!BBH").pack, Struct("!BBQ").pack


class Message(NamedTuple):
    """A message as it came: text is known to be UTF-8, and stays bytes, since it is passed on as such."""

    data: bytes
    is_text: bool


class Frames:
    """Reads and makes the frames of one WebSocket.

    Args:
        protocol: of the library, with the opening behind it or before it; nothing may be compressed.

    Attributes:
        was_asked: the library has read something of what came last, so it may have an answer or another state.
    """

    __slots__ = ("_is_masked", "_is_text", "_mask_bit", "_max_bytes", "_partial", "_protocol", "was_asked")

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._is_masked = protocol.side is Side.SERVER  # clients mask (section 5.1)
        self._mask_bit = 0 if self._is_masked else _MASKED
        self._max_bytes = protocol.max_message_size or 0
        self._partial = bytearray()
        self._is_text = False
        self.was_asked = False

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes; return the messages that are whole with them."""
        protocol, at = self._protocol, 0
        found: list[Message] = []
        if not protocol.reader.buffer and protocol.current_size is None and protocol.state is State.OPEN:
            while (short := self._short(data, at)) is not None:
                message, at = short
                found.append(message)
        self.was_asked = at < len(data)
        if self.was_asked:
            protocol.receive_data(data[at:] if at else data)
            self._join(protocol.events_received(), found)
        return found

    def frame(self, data: bytes, *, is_text: bool) -> bytes:
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
        mask = secrets.token_bytes(4)
        return head + mask + apply_mask(data, mask)

    def _short(self, data: bytes, at: int) -> tuple[Message, int] | None:
        """Return the message that begins there and where it ends; None where the library has to say what it is."""
        if len(data) - at < 2 or ((kind := data[at]) != _TEXT and kind != _BINARY):
            return None
        size, begin = data[at + 1], at + 2
        if self._is_masked:
            size -= _MASKED
        if size == _LONG:
            size, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
        elif not 0 <= size < _LONG:
            return None
        mask = b""
        if self._is_masked:
            mask, begin = data[begin : begin + 4], begin + 4
        end = begin + size
        if end > len(data) or size > self._max_bytes:
            return None
        payload = apply_mask(data[begin:end], mask) if mask else data[begin:end]
        if kind == _TEXT and not _is_utf8(payload):
            return None
        return Message(payload, kind == _TEXT), end

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
            found.append(Message(data, self._is_text))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
