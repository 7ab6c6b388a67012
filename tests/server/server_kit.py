"""The server around an application of the test's, and clients with raw sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from gateway.server.listener import Limits
from gateway.server.serving import serving

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = [(b"content-length", b"2")]
# longer than any test waits: what is not tested does not come in between
PATIENT = Limits(head_s=100, keep_alive_s=100, stuck_s=100, linger_s=100)
_DEADLINE_S = 60


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    is_whole: bool

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value


class Wire:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, is_head: bool = False) -> Answer:
        """Read one answer; it is not whole when the connection ended within its body."""
        async with asyncio.timeout(_DEADLINE_S):
            status_line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
            status, fields = int(status_line.split(" ")[1]), dict(headers)
            if is_head or status in {100, 204, 304}:
                return Answer(status, headers, b"", is_whole=True)
            body = b""
            try:
                if fields.get("transfer-encoding") == "chunked":
                    while size := int(await self.reader.readuntil(b"\r\n"), 16):
                        body += (await self.reader.readexactly(size + 2))[:-2]
                    await self.reader.readexactly(2)
                else:
                    body = await self.reader.readexactly(int(fields.get("content-length", 0)))
            except asyncio.IncompleteReadError as error:
                return Answer(status, headers, body + error.partial, is_whole=False)
            return Answer(status, headers, body, is_whole=True)

    async def is_closed(self) -> bool:
        async with asyncio.timeout(_DEADLINE_S):
            return await self.reader.read(1) == b""

    async def rest(self) -> bytes:
        """Everything that comes until the connection ends, in good order or not."""
        found = b""
        async with asyncio.timeout(_DEADLINE_S):
            with suppress(ConnectionError):
                while piece := await self.reader.read(65_536):
                    found += piece
        return found


class Served:
    """A running server.

    Attributes:
        ends: how each request of the application ended: what it returned or raised.
        stop: begins its end.
        stopped: it has ended.
    """

    def __init__(self, listening: socket.socket) -> None:
        self.address = listening.getsockname()
        self.family = listening.family
        self.ends: asyncio.Queue[object] = asyncio.Queue()
        self.stop, self.stopped = asyncio.Event(), asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def wire(self, data: bytes = b"") -> Wire:
        if self.family == socket.AF_UNIX:
            reader, writer = await asyncio.open_unix_connection(self.address)
        else:
            reader, writer = await asyncio.open_connection(*self.address[:2])
        self._writers.append(writer)
        writer.write(data)
        return Wire(reader, writer)

    async def ask(self, data: bytes = GET, *, is_head: bool = False) -> Answer:
        return await (await self.wire(data)).answer(is_head=is_head)

    def leave(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def served(
    talk: Callable,
    *,
    limits: Limits = PATIENT,
    drain_s: float = 5.0,
    listening: socket.socket | None = None,
) -> AsyncIterator[Served]:
    """Serve an application that says nothing of the lifespan."""
    listening = listening or socket.create_server(("127.0.0.1", 0))
    found, is_ready = Served(listening), asyncio.Event()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        try:
            found.ends.put_nowait(await talk(scope, receive, send))
        except BaseException as error:
            found.ends.put_nowait(error)
            raise

    async def run():
        async with serving(app, [listening], limits=limits, drain_s=drain_s):
            is_ready.set()
            await found.stop.wait()
        found.stopped.set()

    async with asyncio.timeout(_DEADLINE_S):
        running = asyncio.create_task(run())
        await is_ready.wait()
        try:
            yield found
        finally:
            found.leave()
            found.stop.set()
            await running


class Transport(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_paused = self.is_closed = self.is_aborted = False

    def get_extra_info(self, name, default=None):
        return {"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)}.get(name, default)

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def get_write_buffer_size(self):
        return 0

    def write(self, data):
        self.written += data

    def write_eof(self):
        self.is_closed = True

    def pause_reading(self):
        self.is_paused = True

    def resume_reading(self):
        self.is_paused = False

    def is_closing(self):
        return self.is_closed

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_aborted = True


async def body_of(receive) -> tuple[bytes, str]:
    """A request's body, and the type of the message that ended it."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    return body, message["type"]


def answering(body: bytes = b"ok", status: int = 200, headers=()) -> Callable:
    """An application that answers whole, and looks at no body."""

    async def talk(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return talk


async def echo(scope, receive, send):
    """Answer with the target and the request's body."""
    body, kind = await body_of(receive)
    await answering(scope["raw_path"] + b"|" + body)(scope, receive, send)
    return kind
