"""The proxy as it ships: on the real server, with raw sockets before it and a scripted upstream behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx

from gateway.assemble import proxy_app
from gateway.cli.serving import reserve, serve_embedded
from gateway.core.requirement import Requirement
from gateway.core.secret import Secret
from gateway.core.settings_model import Access, Address, InstanceSettings, OnSignedOut, RouteSettings, Settings
from gateway.surfaces.proxy import Proxy
from gateway.upstream.origin import Limits
from gateway.upstream.pool import Pool
from tests.authenticator.engine_kit import KEY, Clock, directives, jwks, mint
from tests.server.server_kit import Answer, Wire
from tests.surfaces.surfaces_kit import Pages
from tests.upstream.upstream_kit import Script, Upstream, answers, upstream

HOST = b"Host: app.example.test\r\n"
BEARER = b"Authorization: Bearer " + mint().encode() + b"\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LIMITS = Limits(connect_s=1, first_byte_s=0.3, idle_s=0.3, connections=8)


@asynccontextmanager
async def listening(app: object) -> AsyncIterator[int]:
    """Serve an application on a free port, with the limits that are shipped."""
    listen = reserve(Address("127.0.0.1", 0))
    stop, is_ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serve_embedded([(app, listen)], is_ready.set, stop))
    try:
        async with asyncio.timeout(10):
            await is_ready.wait()
        yield listen.port
    finally:
        stop.set()
        await task


class Api:
    """The Backend API, as far as the gateway asks: keys, and a refresh that gives a good token."""

    def __init__(self) -> None:
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/jwks"):
            return httpx.Response(200, json=jwks("key_1"))
        return httpx.Response(200, json={"object": "cookies", "cookies": list(directives(mint()))})


ROUTES = (
    RouteSettings(path="/", on_signed_out=OnSignedOut.UNAUTHORIZED),
    RouteSettings(path="/public", access=Access.PUBLIC),
    RouteSettings(path="/optional", access=Access.OPTIONAL),
    RouteSettings(path="/kept", access=Access.OPTIONAL, keep_credentials=True),
    RouteSettings(path="/admin", require=Requirement(role="org:admin", reverification="strict")),
    RouteSettings(path="/form", access=Access.PUBLIC, methods=("POST", "PUT")),
)


def settings_for(origin: str) -> Settings:
    routes = tuple(replace(route, upstream=origin) for route in ROUTES if route.path != "/form")
    instance = InstanceSettings(publishable_key=KEY, secret_key=Secret("sk_live_donotprintmedonotprintme"))
    only_form = RouteSettings(path="/form", methods=("POST", "PUT"), access=Access.PUBLIC, upstream=origin)
    outer = tuple(replace(route, host="app.example.test") for route in routes)
    return Settings(instance=instance, routes=(*outer, replace(only_form, host="form.example.test")))


def proxy_to(origin: str, journal: Pages | None = None, limits: Limits = LIMITS) -> tuple[Proxy, Pool]:
    """A proxy with short time-outs, and its pool."""
    app = proxy_app(settings_for(origin), journal or Pages(), Clock(), Api().transport)
    (pool,) = {destination.pool for destination in app._openings._destinations.values()}
    pool.limits = limits
    return app, pool


class World:
    """A proxy between clients and one upstream."""

    def __init__(self, port: int, served: Upstream, pool: Pool, journal: Pages, proxy: Proxy) -> None:
        self.port = port
        self.proxy = proxy
        self.served = served
        self.pool = pool
        self.journal = journal
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> Wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1024 * 1024)
        self._writers.append(writer)
        return Wire(reader, writer)

    async def ask(self, target: bytes = b"/", *headers: bytes, method: bytes = b"GET", body: bytes = b"") -> Answer:
        """Send one request on a connection of its own, signed in, and read the answer."""
        length = b"content-length: %d\r\n" % len(body) if body else b""
        return await self.raw(
            b"%b %b HTTP/1.1\r\n" % (method, target) + HOST + BEARER + b"".join(headers) + length + b"\r\n" + body,
            is_head=method == b"HEAD",
        )

    async def raw(self, data: bytes, *, is_head: bool = False) -> Answer:
        wire = await self.connect()
        wire.send(data)
        return await wire.answer(is_head=is_head)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    @property
    def received(self) -> list[tuple[bytes, bytes]]:
        """The headers of the last request that reached the upstream."""
        lines = self.served.requests[-1].split(b"\r\n")[1:-2]
        return [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]

    def got(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.received if key == name]

    @property
    def line(self) -> bytes:
        return self.served.requests[-1].split(b"\r\n")[0]


@asynccontextmanager
async def proxied(script: Script | None = None, limits: Limits = LIMITS) -> AsyncIterator[World]:
    """A whole world; at its end no connection to the upstream is in use."""
    journal = Pages()
    async with upstream(script or answers(OK)) as served:
        app, pool = proxy_to(served.origin, journal, limits)
        async with listening(app) as port:
            world = World(port, served, pool, journal, app)
            try:
                yield world
                async with asyncio.timeout(5):
                    while pool.in_use:  # noqa: ASYNC110 - the last answer may overtake the end of its exchange
                        await asyncio.sleep(0.001)
            finally:
                world.close()
        assert pool.idle == 0
