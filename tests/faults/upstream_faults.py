"""Upstreams that fail and clients that vanish, each at one stage: for tests by the hundred, and for the soak."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_LARGE = 4 * 1024 * 1024

Reply = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def _bytes(data: bytes) -> Reply:
    async def reply(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return reply


async def _body_and_death(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab")
    await writer.drain()


async def _large(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % _LARGE)
    for _ in range(_LARGE // 65536):
        writer.write(bytes(65536))
        await writer.drain()


async def _drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"x-slow: 1\r\n" * 100:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.02)


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    await reader.read()


REPLIES: Mapping[str, Reply] = {
    "ok": _bytes(OK),
    "dies before its headers": _bytes(b""),
    "dies within its headers": _bytes(b"HTTP/1.1 200 OK\r\ncontent-len"),
    "dies within its body": _body_and_death,
    "dies within its chunks": _bytes(_CHUNKED + b"5\r\nab"),
    "says more than it sends": _bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nab"),
    "sends more than it says": _bytes(OK + b"more"),
    "answers twice": _bytes(OK + OK),
    "says two lengths": _bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc"),
    "breaks its chunks": _bytes(_CHUNKED + b"zz\r\nab\r\n"),
    "floods interim answers": _bytes(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000),
    "floods headers": _bytes(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000),
    "switches protocols": _bytes(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    "is no server": _bytes(b"junk\r\n\r\n"),
    "drips its headers": _drip,
    "says nothing": _silence,
    "sends much": _large,
}
"""By what the upstream does; all but ``ok`` close behind it."""


def path_of(name: str) -> str:
    return "/public/" + name.replace(" ", "-")


_BY_PATH = {path_of(name).encode(): reply for name, reply in REPLIES.items()}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection of an upstream that fails as the path of each request says."""
    with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].partition(b"?")[0]
            await _BY_PATH.get(path, REPLIES["ok"])(reader, writer)
            await writer.drain()
            if path in _BY_PATH and path != path_of("ok").encode():
                break
            lines = [line for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
            if lines:
                await reader.readexactly(int(lines[0].partition(b" ")[2]))
    writer.close()


_HOST = b"Host: app.example.test\r\n"
LEAVINGS: Mapping[str, tuple[bytes, int]] = {
    "before its request": (b"", 0),
    "within its headers": (b"GET /public/ok HTTP/1.1\r\nHost: a", 0),
    "before its body": (b"POST /public/ok HTTP/1.1\r\n" + _HOST + b"Content-Length: 10\r\n\r\n", 0),
    "within its body": (b"POST /public/ok HTTP/1.1\r\n" + _HOST + b"Content-Length: 10\r\n\r\nabc", 0),
    "within a chunk": (b"POST /public/ok HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", 0),
    "before the answer": (b"GET /public/says-nothing HTTP/1.1\r\n" + _HOST + b"\r\n", 0),
    "within the answer": (b"GET /public/sends-much HTTP/1.1\r\n" + _HOST + b"\r\n", 1000),
    "behind a broken chunk": (
        b"POST /public/ok HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        12,
    ),
}
"""By where the client goes: what it sends, and how much of the answer it waits for."""


async def leave(port: int, name: str) -> None:
    """Connect, send, perhaps read a little, and go without a word."""
    sent, wanted = LEAVINGS[name]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        writer.write(sent)
        await writer.drain()
        await asyncio.wait_for(reader.readexactly(wanted), 10)
    writer.transport.abort()


async def ask(port: int, path: str) -> bytes:
    """Send a request and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\n".encode() + _HOST + b"Connection: close\r\n\r\n")
    answer = b""
    with suppress(ConnectionError):
        while piece := await asyncio.wait_for(reader.read(65536), 20):
            answer += piece
    writer.close()
    return answer
