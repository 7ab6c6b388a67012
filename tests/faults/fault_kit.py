"""A whole engine in front of an API on a real socket that answers as badly as a test wants, and clocks to turn."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
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
from tests.faults.bad_server import Asked, BadServer, Behave, answer
from tests.surfaces.surfaces_kit import scope_of

SECRET_KEY = "sk_live_donotprintmedonotprintme"
FOREVER = int(NOW) + 1_000_000


def whole(document: object, status: str = "200 OK", kind: str = "application/json", *headers: str) -> Behave:
    """Answer once, and keep the connection."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return answer(status, f"Content-Type: {kind}", *headers, body=body)


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


HTML = whole(b"<html>Down for maintenance</html>", "200 OK", "text/html")
HUGE = whole(b'{"keys": [' + b" " * (10 * 1024 * 1024) + b"]}")


class FaultyApi(BadServer):
    """An API on a socket; what it does with a path is what a test put there.

    Attributes:
        behaviour: by the end of the path.
        calls: requests, by the end of the path.
        gate: if there is one, no request is answered before it is set.
        body: of the last one.
    """

    def __init__(self) -> None:
        super().__init__(self._of)
        self.behaviour: dict[str, Behave] = {
            "/jwks": whole(jwks("key_1")),
            "/jwks.json": whole(jwks("key_1")),
            "/refresh": whole({"object": "cookies", "cookies": list(directives(mint()))}),
        }
        self.calls: Counter[str] = Counter()
        self.gate: asyncio.Event | None = None
        self.body = b""

    async def _of(self, asked: Asked) -> Behave:
        path = asked.target.partition("?")[0]
        end = next(end for end in self.behaviour if path.endswith(end))
        self.body = asked.body
        self.calls[end] += 1
        if self.gate is not None:
            await self.gate.wait()
        return self.behaviour[end]


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
        api_url=api.origin,
        proxy_url=api.origin,
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
