"""A whole engine in front of an API on a real socket that answers as badly as a test wants, and clocks to turn."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx

from gateway.adapters.jwks import DEFAULTS
from gateway.assemble import Engine, build
from gateway.core.secret import Secret
from gateway.core.settings_model import InstanceSettings, KeysSettings, RefreshSettings, Settings
from gateway.surfaces.gate import Admission
from gateway.surfaces.status import Status
from tests.authenticator.engine_kit import KEY, NAMES, NOW, Clock, directives, jwks, mint
from tests.surfaces.surfaces_kit import scope_of

SECRET_KEY = "sk_live_donotprintmedonotprintme"
FOREVER = int(NOW) + 1_000_000

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def whole(document: object, status: str = "200 OK", kind: str = "application/json", *headers: str) -> Behave:
    """Answer once, and keep the connection."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return behave


async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.close()


async def be_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await reader.read()


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """No single read is slow, and the whole never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.005)


async def stop_short(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promise more than comes."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"keys": [')
    await writer.drain()
    writer.close()


async def speak_otherwise(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be no web server."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()
    writer.close()


HTML = whole(b"<html>Down for maintenance</html>", "200 OK", "text/html")
HUGE = whole(b'{"keys": [' + b" " * (10 * 1024 * 1024) + b"]}")


class FaultyApi:
    """An API on a socket; what it does with a path is what a test put there.

    Attributes:
        behaviour: by the end of the path.
        calls: requests, by the end of the path.
        body: of the last one.
    """

    def __init__(self) -> None:
        self.behaviour: dict[str, Behave] = {
            "/jwks": whole(jwks("key_1")),
            "/jwks.json": whole(jwks("key_1")),
            "/refresh": whole({"object": "cookies", "cookies": list(directives(mint()))}),
        }
        self.calls: Counter[str] = Counter()
        self.gate: asyncio.Event | None = None
        self.url = ""
        self.body = b""
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Be dead: the port is closed, and so is every connection."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                end = next(end for end in self.behaviour if end in head.split(" ")[1])
                end = "/jwks.json" if "/jwks.json" in head else end
                length = next(
                    (line[15:] for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0
                )
                self.body = await reader.readexactly(int(length))
                self.calls[end] += 1
                if self.gate is not None:
                    await self.gate.wait()
                await self.behaviour[end](reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the last when the test ends; Python 3.11 makes a fault of a handler that was cancelled
        finally:
            writer.close()


class World:
    """The engine, the API behind it, and the two clocks."""

    def __init__(self, api: FaultyApi, settings: Settings) -> None:
        self.api = api
        self.settings = settings
        self.clock = Clock()
        self.timer = Clock(50_000.0)
        self.engine = self._build()

    def _build(self) -> Engine:
        transport = httpx.AsyncHTTPTransport(trust_env=False)
        return build(self.settings, self.clock, transport, self.timer)

    async def restart(self) -> None:
        """Stop this gateway and start another; its monotonic clock begins anywhere."""
        await self.engine.close()
        self.timer = Clock(9.0)
        self.engine = self._build()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.timer.advance(seconds)

    async def ask(self, token: str = "", *, cookies: str = "", method: str = "GET", **changes: object) -> Admission:
        headers = [("authorization", f"Bearer {token}")] if token else []
        headers += [("cookie", cookies)] if cookies else []
        return await self.engine.gate.admit(scope_of("/page", *headers, method=method, **changes))

    async def settled(self) -> None:
        """Wait until no load of the keys is under way."""
        running = self.engine.keys._running
        if running is not None:
            await running

    async def readyz(self) -> tuple[int, dict[str, Any]]:
        status = Status(self.engine.gate, self.engine.keys.warm)
        admission = await status.admit(scope_of("/.gateway/readyz"), b"/.gateway/readyz")
        assert admission.answer is not None
        return admission.answer.status, json.loads(admission.answer.body)["keys"]


@asynccontextmanager
async def world_of(*, secret_key: bool = True, keys: KeysSettings = DEFAULTS, **refresh: int) -> AsyncIterator[World]:
    """A gateway of a production instance whose APIs are one faulty server."""
    api = FaultyApi()
    await api.start()
    instance = InstanceSettings(
        publishable_key=KEY,
        secret_key=Secret(SECRET_KEY) if secret_key else None,
        api_url=api.url,
        proxy_url=api.url,
    )
    world = World(api, Settings(instance=instance, keys=keys, refresh=RefreshSettings(**refresh)))
    try:
        yield world
    finally:
        if api.gate is not None:
            api.gate.set()
        await world.engine.close()
        await api.stop()


def status_of(admission: Admission) -> int:
    """The status that was answered, or 0 when the request passed."""
    return admission.answer.status if admission.answer is not None else 0


def at_once(deciding: Coroutine[Any, Any, Admission]) -> Admission:
    """Return what comes of a request that is decided without waiting for anything."""
    try:
        deciding.send(None)
    except StopIteration as end:
        return end.value
    deciding.close()
    raise AssertionError("it waited")


def with_kid(kid: str, token: str) -> str:
    """A token's payload and signature behind another key id; nothing is signed."""
    header = {"alg": "RS256", "kid": kid, "typ": "JWT", "cat": "cl_B7d4PD111AAA"}
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return ".".join([encoded, *token.split(".")[1:]])


def browser(token: str, refresh: str = "rt_1") -> str:
    """The ``Cookie`` header of a signed-in browser."""
    return f"{NAMES.session}={token}; {NAMES.client_uat}=1700000000; {NAMES.refresh}={refresh}"


def refused(code: str, status: str = "401 Unauthorized") -> Behave:
    """The API's own way to say no."""
    return whole({"errors": [{"code": code, "message": "no", "long_message": "no"}]}, status)
