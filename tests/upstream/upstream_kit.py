"""An upstream that does exactly what a test's script says, a client that asks through a pool, and its sink."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.upstream.forward import Outgoing, forward
from gateway.upstream.origin import Limits, Origin
from gateway.upstream.pool import Pool

TINY = Limits(connect_s=0.5, first_byte_s=0.15, idle_s=0.15, keep_alive_s=15.0, connections=4, header_bytes=4096)
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"

Script = Callable[["Upstream", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """Runs a script for every connection and keeps what it saw."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections = 0
        self.requests: list[bytes] = []
        self.is_left = asyncio.Event()
        self.origin = ""
        self._tasks: set[asyncio.Task] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request's head."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        return head

    async def body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        """Read the request's body by its framing."""
        if b"transfer-encoding: chunked" in head:
            parts = []
            while size := int(await reader.readline(), 16):
                parts.append(await reader.readexactly(size))
                assert await reader.readexactly(2) == b"\r\n"
            assert await reader.readline() == b"\r\n"
            return b"".join(parts)
        lengths = [line for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
        return await reader.readexactly(int(lengths[0].partition(b" ")[2])) if lengths else b""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._script(self, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            # Only the end of the test cancels; asyncio.streams would log it as a fault.
            pass
        finally:
            self.is_left.set()
            self._tasks.discard(task)
            writer.close()

    async def close(self) -> None:
        """End every script, even one that waits."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            if writer.transport is not None and not writer.transport.is_closing():
                writer.transport.abort()


@asynccontextmanager
async def upstream(
    script: Script, *, tls: ssl.SSLContext | None = None, path: str = "", port: int = 0
) -> AsyncIterator[Upstream]:
    """Serve a script on a port, by default a free one, or on a Unix socket."""
    served = Upstream(script)
    if path:
        server = await asyncio.start_unix_server(served.connected, path)
        served.origin = f"unix:{path}"
    else:
        server = await asyncio.start_server(served.connected, "127.0.0.1", port, ssl=tls)
        scheme = "https" if tls else "http"
        served.origin = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        await served.close()
        await server.wait_closed()


@asynccontextmanager
async def pool_to(served: Upstream | str, limits: Limits = TINY) -> AsyncIterator[Pool]:
    """A pool that must be empty of work at the end, whatever happened."""
    pool = Pool(Origin.parse(served if isinstance(served, str) else served.origin), limits)
    try:
        yield pool
        assert pool.in_use == 0
    finally:
        await pool.close()
        assert pool.idle == 0


@dataclass
class Taken:
    """A sink that keeps the answer."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body_: bytearray = field(default_factory=bytearray)
    is_whole: bool = False
    direct: None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        assert not self.status
        self.status, self.headers = status, headers
        self.begun.set()

    async def body(self, data: bytes, *, more: bool) -> None:
        assert not self.is_whole
        self.body_ += data
        self.is_whole = not more


class Client:
    """What a server tells of a client: the pieces of its body, then silence until it goes."""

    def __init__(self, *pieces: bytes) -> None:
        self._messages: list[dict] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        self._messages.append({"type": "http.request", "body": b"", "more_body": False})
        self.gone = asyncio.Event()
        self.asked = 0

    async def receive(self) -> dict:
        self.asked += 1
        if self._messages:
            return self._messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}


def get(target: bytes = b"/", method: str = "GET") -> Outgoing:
    return Outgoing(method, target, [(b"host", b"app.example.com")], 0)


def post(length: int | None, target: bytes = b"/") -> Outgoing:
    return Outgoing("POST", target, [(b"host", b"app.example.com")], length)


async def ask(pool: Pool, request: Outgoing | None = None, client: Client | None = None) -> Taken:
    """Forward one request and return what came of it."""
    taken = Taken()
    await forward(pool, request or get(), (client or Client()).receive, taken)
    return taken


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another task of this loop brings about."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for belongs to several owners, none with an event
            await asyncio.sleep(0.001)


async def silent(served: "Upstream", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A script that takes a request and says nothing."""
    await served.request(reader)
    await reader.read()


def answers(*parts: bytes, then_close: bool = False) -> Script:
    """A script that answers every request with these bytes, each part written alone."""

    async def script(served: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await served.request(reader)
            await served.body(reader, head)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if then_close:
                return

    return script
