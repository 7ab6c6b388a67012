"""WebSocket frames and openings as bytes, good and bad, for scripts on either side."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable

from tests.upstream.upstream_kit import Script, Upstream

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n"
)

Talk = Callable[[Upstream, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, masked: bool = False, reserved: int = 0) -> bytes:
    """One frame; a mask of zeros is a mask."""
    size, bit = len(data), 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | reserved | opcode])
    if size < 126:
        head += bytes([bit | size])
    elif size < 65_536:
        head += bytes([bit | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + size.to_bytes(8, "big")
    return head + (bytes(4) if masked else b"") + data


def closing(code: int, text: str = "", *, masked: bool = False) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + text.encode(), masked=masked)


def header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(name + b":"):
            return line.partition(b":")[2].strip()
    return b""


def accepting(head: bytes, *more: bytes) -> bytes:
    """The answer that accepts this opening request."""
    digest = hashlib.sha1(header(head, b"sec-websocket-key") + _GUID).digest()
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
        *more,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one frame and return its opcode and data, unmasked."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4) if second & 0x80 else bytes(4)
    data = await reader.readexactly(size)
    return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))


def accepted(talk: Talk, *more: bytes) -> Script:
    """An upstream that accepts, then talks."""

    async def script(served: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await served.request(reader)
        writer.write(accepting(head, *more))
        await talk(served, reader, writer)

    return script


def saying(*frames: bytes) -> Script:
    """An upstream that accepts, says these frames and stays."""

    async def talk(served: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(frames))
        served.said = await reader.read(65_536)  # type: ignore[attr-defined]
        await reader.read()

    return accepted(talk)


async def echo(served: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything back, and close as it is closed."""
    while True:
        opcode, data = await read_frame(reader)
        writer.write(frame(opcode, data))
        if opcode == CLOSE:
            return
