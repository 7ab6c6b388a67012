"""WebSockets over raw sockets on both sides of a gateway: a client that keeps to no rule, an upstream that echoes."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from tests.attacks.attack_kit import Recorded, Reply, Target, Upstream, UpstreamHandler
from tests.upstream.websocket_kit import CLOSE, KEY, TEXT, accepting, frame

OPENING = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY.decode()),
)
CUT = 1006
"""What stands for an end without a close frame (RFC 6455 section 7.1.5)."""

Frame = tuple[int, bytes]


class Readable(Protocol):
    """Something to read bytes from."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, or what is left."""
        ...


def read_frame(source: Readable) -> Frame | None:
    """Read one frame and return its opcode and data, unmasked; None at the end."""
    head = source.read(2)
    if len(head) < 2:
        return None
    size = head[1] & 0x7F
    if size > 125:
        size = int.from_bytes(source.read(2 if size == 126 else 8), "big")
    mask = source.read(4) if head[1] & 0x80 else bytes(4)
    return head[0] & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(source.read(size)))


@dataclass
class Heard:
    """What an upstream was told over its WebSockets.

    Attributes:
        frames: of all of them, in their order.
        ends: set once a WebSocket has ended there.
    """

    frames: list[Frame] = field(default_factory=list)
    ends: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> bytes:
        """All that was said to the application, without pings and closes."""
        return b"".join(data for opcode, data in self.frames if opcode < CLOSE)


HEARD: dict[str, Heard] = {}
"""By path, so that tests do not hear each other."""


class Echo(UpstreamHandler):
    """Accepts WebSockets and says everything back."""

    def answer(self, request: Recorded) -> bool:
        """Accept, echo, and leave."""
        assert isinstance(self.server, Upstream)
        if request.values("upgrade") != ["websocket"]:
            return super().answer(request)
        head = "\r\n".join([request.line, *(f"{name}: {value}" for name, value in request.headers)])
        self.wfile.write(accepting(head.encode("latin-1")))
        heard = HEARD.setdefault(request.path, Heard())
        try:
            while (read := read_frame(self.rfile)) is not None:
                heard.frames.append(read)
                self.wfile.write(frame(*read))
                if read[0] == CLOSE:
                    break
        except OSError:
            pass
        heard.ends.set()
        return False


class WebSocket:
    """A client's end of an open WebSocket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._source = connection.makefile("rb")

    def send(self, data: bytes) -> bool:
        """Send bytes as they are; return whether the other side still took them."""
        try:
            self._connection.sendall(data)
        except OSError:
            return False
        return True

    def head(self) -> bytes:
        """Read the answer to the opening request."""
        lines = []
        while (line := self._source.readline()) not in (b"\r\n", b""):
            lines.append(line)
        return b"".join(lines)

    def read(self) -> Frame | None:
        """Read a frame; None when the connection has ended."""
        try:
            return read_frame(self._source)
        except ConnectionError:
            return None

    def echoes(self, text: bytes) -> bool:
        """Say something and return whether it comes back."""
        return self.send(frame(TEXT, text, masked=True)) and self.read() == (TEXT, text)

    def end(self) -> int:
        """Read to the end and return the code that it was closed with."""
        code = CUT
        while (read := self.read()) is not None:
            if read[0] == CLOSE:
                code = struct.unpack(">H", read[1][:2])[0] if read[1] else 1005
        return code


def asking(path: str, *headers: tuple[str, str], host: str = "app.example.test") -> bytes:
    """The bytes that ask for a WebSocket."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in (*OPENING, *headers))]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@contextmanager
def opened(target: Target, path: str, *headers: tuple[str, str]) -> Iterator[WebSocket]:
    """An open WebSocket; waited for no longer than ten seconds at a time."""
    with socket.create_connection(("127.0.0.1", target.port), 10) as connection:
        wire = WebSocket(connection)
        wire.send(asking(path, *headers))
        head = wire.head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield wire


def refused(target: Target, path: str, *headers: tuple[str, str]) -> Reply:
    """Ask for a WebSocket that is not to be had, and return the answer."""
    return target.get(path, *OPENING, *headers)
