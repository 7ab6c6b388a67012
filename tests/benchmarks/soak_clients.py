"""What clients of the soak do: each a coroutine that does its part once and says what came of it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from tests.benchmarks.world import APP, World, cookie_header
from tests.faults.upstream_faults import FAULTS, LEAVINGS, ask, leave, path_of

KNOWN = 200
"""Sessions whose tokens come again and again; every other token is new."""

UPLOAD = 300_000  # bytes

EXPECTED = {
    "several on one connection: 200",
    "new session: 200",
    "page: 200",
    "expired page: 307",
    "forged: 401",
    "upload: 200",
    "websocket: echoed",
    "websocket left: left",
    *(f"{'slow' if fault.is_slow else 'quick'} fault: {name}: {fault.status}" for name, fault in FAULTS.items()),
    # An upstream that closes just as it is asked again has nothing repeated that is not idempotent (RFC 9110, 9.2.2).
    *(f"quick fault: {name}: 502" for name, fault in FAULTS.items() if fault.in_upload),
    *(f"left: {name}" for name in LEAVINGS),
}
"""All that may come of it."""

_HEAD = (
    "{method} /page HTTP/1.1\r\nHost: app.bench.test\r\nAccept: text/html\r\nSec-Fetch-Dest: document\r\n{lines}\r\n"
)
_QUICK = sorted(name for name, fault in FAULTS.items() if not fault.is_slow)
_SLOW = sorted(name for name, fault in FAULTS.items() if fault.is_slow)


async def echo(socket: ServerConnection) -> None:
    """Serve a WebSocket of the upstream."""
    with suppress(ConnectionClosed):
        async for message in socket:
            await socket.send(message)


def echo_server() -> serve:
    """Return the upstream of WebSockets, to be entered."""
    return serve(echo, "127.0.0.1", 0, compression=None)


class Clients:
    """All that can be done to the gateway.

    Args:
        port: of the gateway.
        world: signs the tokens.
        seed: of the choice, so that each run is of the same load.
    """

    def __init__(self, port: int, world: World, seed: int) -> None:
        self._port, self._world = port, world
        self._choose = random.Random(seed)
        self._known = [world.token(number) for number in range(KNOWN)]
        self._new = count(KNOWN)
        self._acts: Mapping[Callable[[], Awaitable[str]], float] = {
            self.several_on_one_connection: 0.25,
            self.new_session: 0.1,
            self.page: 0.1,
            self.expired_page: 0.03,
            self.forged: 0.05,
            self.upload: 0.05,
            self.websocket: 0.04,
            self.websocket_left: 0.03,
            self.quick_fault: 0.2,
            self.slow_fault: 0.01,
            self.left: 0.14,
        }

    async def act(self) -> str:
        """Do something, and say what it was and what came of it."""
        (chosen,) = self._choose.choices(list(self._acts), self._acts.values())
        return f"{chosen.__name__.replace('_', ' ')}: {await chosen()}"

    async def several_on_one_connection(self) -> str:
        """Five requests of a script."""
        requests = [self._request(f"Authorization: Bearer {self._choose.choice(self._known)}\r\n") for _ in range(5)]
        return await self._ask(*requests)

    async def new_session(self) -> str:
        """A token that nobody has seen."""
        return await self._ask(self._request(f"Authorization: Bearer {self._world.token(next(self._new))}\r\n"))

    async def page(self) -> str:
        """A browser that is signed in."""
        return await self._ask(self._request(f"Cookie: {cookie_header(self._choose.choice(self._known)).decode()}\r\n"))

    async def expired_page(self) -> str:
        """A browser whose token has expired; nobody answers its refresh, so it is sent to the handshake."""
        old = World(self._world.private, self._world.now_s - 7200).token(next(self._new))
        return await self._ask(self._request(f"Cookie: {cookie_header(old).decode()}\r\n"))

    async def forged(self) -> str:
        """A token that nobody signed."""
        token = self._world.token(next(self._new), signed=False)
        return await self._ask(self._request(f"Authorization: Bearer {token}\r\n"))

    async def upload(self) -> str:
        """A body of some size."""
        lines = f"Authorization: Bearer {self._known[0]}\r\nContent-Length: {UPLOAD}\r\n"
        return await self._ask(self._request(lines, "POST") + bytes(UPLOAD))

    async def websocket(self) -> str:
        """A conversation that ends as it should."""
        async with self._connect() as socket:
            for length in (1, 128, 70_000):
                await socket.send(bytes(length))
                if await socket.recv() != bytes(length):
                    return "another message"
        return "echoed"

    async def websocket_left(self) -> str:
        """A conversation whose client vanishes."""
        async with self._connect() as socket:
            await socket.send("hello")
            socket.transport.abort()
        return "left"

    async def quick_fault(self) -> str:
        """An upstream that fails."""
        return await self._fault(self._choose.choice(_QUICK))

    async def slow_fault(self) -> str:
        """An upstream that keeps one waiting."""
        return await self._fault(self._choose.choice(_SLOW))

    async def left(self) -> str:
        """A client that vanishes."""
        name = self._choose.choice(sorted(LEAVINGS))
        await leave(self._port, name)
        return name

    async def _fault(self, name: str) -> str:
        answer = await ask(self._port, path_of(name))
        return f"{name}: {answer[9:12].decode() or 'closed'}"

    def _connect(self) -> connect:
        headers = {"Authorization": f"Bearer {self._known[0]}"}
        return connect(
            f"ws://app.bench.test:{self._port}/socket",
            host="127.0.0.1",
            origin=Origin(APP),
            additional_headers=headers,
            compression=None,
            proxy=None,
        )

    def _request(self, lines: str, method: str = "GET") -> bytes:
        return _HEAD.format(method=method, lines=lines).encode()

    async def _ask(self, *requests: bytes) -> str:
        """Send requests on one connection, and return their statuses."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        seen = set[str]()
        try:
            for request in requests:
                writer.write(request)
                async with asyncio.timeout(30):
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                    await reader.readexactly(int(length or b"0"))
                seen.add(head[9:12].decode())
        finally:
            writer.close()
        return ", ".join(sorted(seen))
