"""An upstream in HTTP/2 that does exactly what a test's script says, and a pool to it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame

from gateway.upstream.forward import Outgoing
from gateway.upstream.http2.pool import Http2Pool
from gateway.upstream.origin import Limits, Origin
from gateway.upstream.pool import Pool
from tests.upstream.upstream_kit import TINY, Client, Taken, get

PATIENT = replace(TINY, connect_s=10, first_byte_s=10, idle_s=10)
Headers = list[tuple[bytes, bytes]]


class Peer:
    """The upstream's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, streams: int | None) -> None:
        self.reader, self.writer = reader, writer
        config = H2Configuration(
            client_side=False, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = H2Connection(config)
        if streams is not None:
            self.h2.local_settings = Settings(False, {SettingCodes.MAX_CONCURRENT_STREAMS: streams})
        self.events: list[Event] = []
        self.bodies: dict[int, bytes] = {}
        self.heads: dict[int, Headers] = {}
        self.acknowledges = True
        self.is_gone = asyncio.Event()
        self._is_new = asyncio.Event()

    async def greet(self) -> None:
        self.h2.initiate_connection()
        self.flush()

    async def read(self) -> None:
        """Take what comes until the other end goes."""
        with suppress(ConnectionError):
            while data := await self.reader.read(65536):
                for event in self.h2.receive_data(data):
                    self._note(event)
                self.flush()
        self.is_gone.set()
        self._is_new.set()

    def _note(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self.heads[event.stream_id] = [(bytes(name), bytes(value)) for name, value in event.headers]
            self.bodies[event.stream_id] = b""
        if isinstance(event, DataReceived):
            self.bodies[event.stream_id] += event.data
            if self.acknowledges:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.events.append(event)
        self._is_new.set()

    async def wait(self, *kinds: type[Event]) -> Event:
        """Return the next event of these kinds and forget it and those before it.

        Raises:
            ConnectionError: the other end is gone.
        """
        async with asyncio.timeout(5):
            while True:
                while self.events:
                    event = self.events.pop(0)
                    if isinstance(event, kinds):
                        return event
                if self.is_gone.is_set():
                    raise ConnectionError
                self._is_new.clear()
                await self._is_new.wait()

    async def request(self) -> int:
        """Return the number of the next request that is whole."""
        return (await self.wait(StreamEnded)).stream_id

    async def opening(self) -> int:
        """Return the number of the next request that begins."""
        return (await self.wait(RequestReceived)).stream_id

    async def reset(self) -> StreamReset:
        event = await self.wait(StreamReset)
        assert isinstance(event, StreamReset)
        return event

    def head(self, number: int, *headers: tuple[bytes, bytes], status: bytes = b"200", end: bool = False) -> None:
        self.h2.send_headers(number, [(b":status", status), *headers], end_stream=end)
        self.flush()

    def data(self, number: int, data: bytes = b"", *, end: bool = False, pad: int | None = None) -> None:
        self.h2.send_data(number, data, end_stream=end, pad_length=pad)
        self.flush()

    def answer(self, number: int, body: bytes = b"hello", *headers: tuple[bytes, bytes]) -> None:
        self.head(number, (b"content-length", b"%d" % len(body)), *headers)
        self.data(number, body, end=True)

    def frame(self, frame: Frame) -> None:
        """Send a frame past the library."""
        self.writer.write(frame.serialize())

    def flush(self) -> None:
        if (data := self.h2.data_to_send()) and not self.writer.is_closing():
            self.writer.write(data)

    async def gone(self) -> None:
        """Wait until the other end is gone."""
        await asyncio.wait_for(self.is_gone.wait(), 5)


Script = Callable[[Peer], Awaitable[None]]


class Served:
    """The upstream: where it is, and its connections."""

    def __init__(self) -> None:
        self.origin = ""
        self.peers: list[Peer] = []


@asynccontextmanager
async def upstream2(
    script: Script, *, tls: ssl.SSLContext | None = None, streams: int | None = None
) -> AsyncIterator[Served]:
    """Serve a script on a free port: what it does on each connection.

    Args:
        script: the connection stays open when it returns, and closes when it raises :class:`ConnectionError`.
        tls: None for plain text.
        streams: how many are allowed at once.
    """
    served = Served()
    tasks: set[asyncio.Task] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        peer = Peer(reader, writer, streams)
        served.peers.append(peer)
        reading = asyncio.create_task(peer.read())
        tasks.add(reading)
        try:
            await peer.greet()
            await script(peer)
            await reading
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    served.origin = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for peer in served.peers:
            peer.writer.transport.abort()
        await server.wait_closed()


@asynccontextmanager
async def http2_to(
    served: Served | str, limits: Limits = PATIENT, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Http2Pool]:
    """A pool that must be empty of work at the end, whatever happened."""
    origin = Origin.parse(served if isinstance(served, str) else served.origin)
    pool = Http2Pool(origin, limits, tls, Pool(origin, limits, tls))
    try:
        yield pool
        assert pool.in_use == 0
    finally:
        await pool.close()
        assert pool.open == 0


async def ask2(pool: Http2Pool, request: Outgoing | None = None, client: Client | None = None) -> Taken:
    """Forward one request and return what came of it."""
    taken = Taken()
    await pool.forward(request or get(), (client or Client()).receive, taken)
    return taken


def each(act: Callable[[Peer, int], None]) -> Script:
    """A script that does this for every request that is whole."""

    async def script(peer: Peer) -> None:
        while True:
            act(peer, await peer.request())

    return script
