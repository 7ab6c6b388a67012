"""Upstreams that fail and clients that vanish, each at one stage: for tests by the hundred, and for the soak."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from gateway.core.reasons import Reason

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
_EARLY = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig"
_EARLY_AND_GOES = _EARLY.replace(b"content-", b"connection: close\r\ncontent-")
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


async def _drip_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_CHUNKED)
    for byte in b"a body byte by byte":
        writer.write(b"1\r\n%c\r\n" % byte)
        await writer.drain()
        await asyncio.sleep(0.005)
    writer.write(b"0\r\n\r\n")


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await writer.drain()
    await reader.read()


@dataclass(frozen=True)
class Fault:
    """What an upstream does, and what becomes of it.

    Attributes:
        reply: does it.
        status: that the client gets.
        reason: that the access log tells; empty for none.
        stays: the upstream keeps the connection; otherwise it closes.
        in_upload: it comes while the client still sends.
    """

    reply: Reply
    status: int = 502
    reason: str = Reason.UPSTREAM_PROTOCOL_ERROR
    stays: bool = False
    in_upload: bool = False

    @property
    def is_slow(self) -> bool:
        """Whether only a time-out of the route ends it."""
        return self.status == 504


_LOST, _LATE = Reason.UPSTREAM_TRUNCATED, Reason.UPSTREAM_TIMEOUT
_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
_TWO_LENGTHS = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc"
_TRAILERS = _CHUNKED + b"2\r\nok\r\n0\r\nx-session-id: evil\r\nset-cookie: a=b\r\n\r\n"

FAULTS: Mapping[str, Fault] = {
    "ok": Fault(_bytes(OK), 200, "", stays=True),
    "dies before its headers": Fault(_bytes(b""), 502, _LOST),
    "dies within its headers": Fault(_bytes(b"HTTP/1.1 200 OK\r\ncontent-len"), 502, _LOST),
    "dies within its body": Fault(_body_and_death, 200, _LOST),
    "dies within its chunks": Fault(_bytes(_CHUNKED + b"5\r\nab"), 200, _LOST),
    "says more than it sends": Fault(_bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nab"), 200, _LOST),
    "sends more than it says": Fault(_bytes(OK + b"more"), 200, ""),
    "answers twice": Fault(_bytes(OK + OK), 200, ""),
    "says two lengths": Fault(_bytes(_TWO_LENGTHS)),
    "breaks its chunks": Fault(_bytes(_CHUNKED + b"zz\r\nab\r\n")),
    "floods interim answers": Fault(_bytes(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000)),
    "floods headers": Fault(_bytes(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000)),
    "switches protocols": Fault(_bytes(_SWITCH)),
    "is no server": Fault(_bytes(b"junk\r\n\r\n")),
    "drips its headers": Fault(_drip, 504, _LATE),
    "says nothing": Fault(_silence, 504, _LATE),
    "sends much": Fault(_large, 200, ""),
    "drips its body": Fault(_drip_body, 200, "", stays=True),
    "sends trailers": Fault(_bytes(_TRAILERS), 200, "", stays=True),
    "says 100 and 103 first": Fault(_bytes(_INTERIM + OK), 200, "", stays=True),
    "answers early and stays": Fault(_bytes(_EARLY), 413, "", stays=True, in_upload=True),
    "answers early and goes": Fault(_bytes(_EARLY_AND_GOES), 413, "", in_upload=True),
    "does not take the body and dies": Fault(_bytes(b""), 502, _LOST, in_upload=True),
}
"""By what the upstream does."""


def path_of(name: str) -> str:
    return "/public/" + name.replace(" ", "-")


_BY_PATH = {path_of(name).encode(): fault for name, fault in FAULTS.items()}


async def _at_once(_: bytes) -> None:
    pass


async def serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait: Callable[[bytes], Awaitable[None]] = _at_once
) -> None:
    """Serve one connection of an upstream that fails as the path of each request says.

    Args:
        reader, writer: the connection.
        wait: returns when a request for this path may be answered.
    """
    with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].partition(b"?")[0]
            await wait(path)
            fault = _BY_PATH.get(path, FAULTS["ok"])
            await fault.reply(reader, writer)
            await writer.drain()
            if not fault.stays:
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


def is_whole(answer: bytes) -> bool:
    """Return whether an answer of a stated length is there."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *([0-9]+)\r?$", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


_PART = b"POST %b HTTP/1.1\r\n" + _HOST + b"Connection: close\r\nContent-Length: 100000\r\n\r\n" + bytes(5000)


async def ask(port: int, path: str) -> bytes:
    """Send a request, or a part of an upload where the fault comes within one, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    is_upload = _BY_PATH.get(path.encode(), FAULTS["ok"]).in_upload
    if is_upload:
        writer.write(_PART % path.encode())
    else:
        writer.write(f"GET {path} HTTP/1.1\r\n".encode() + _HOST + b"Connection: close\r\n\r\n")
    answer = b""
    with suppress(ConnectionError):
        while piece := await asyncio.wait_for(reader.read(65536), 20):
            answer += piece
            if is_upload and is_whole(answer):
                break
    writer.close()
    return answer
