"""WebSockets through the proxy as it ships: the real server between clients and upstreams, official and raw ones."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.assemble import proxy_app
from gateway.core.reasons import Reason
from gateway.core.requirement import Requirement
from gateway.core.settings_model import MachineSettings, RouteSettings, WebSocketSettings
from gateway.core.token_class import ANY
from gateway.upstream.origin import Limits
from tests.authenticator.engine_kit import NAMES, Clock, directives, expired, jwks, mint
from tests.surfaces.proxy_kit import BEARER, HOST, listening, settings_for
from tests.surfaces.surfaces_kit import Pages
from tests.surfaces.test_machines import document
from tests.upstream.upstream_kit import Script, answers, upstream
from tests.upstream.websocket_kit import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    accepted,
    accepting,
    closing,
    echo,
    frame,
    header,
    read_frame,
    saying,
)

TOKEN = mint()
SIGNED_IN = {"Authorization": f"Bearer {TOKEN}"}
NOBODY: dict[str, str] = {}
COOKIES = f"{NAMES.session}={TOKEN}; {NAMES.client_uat}=1700000000; other=1"
LIMITS = Limits(connect_s=5, first_byte_s=1.0, idle_s=0.3, connections=64)
DEFAULTS = WebSocketSettings(max_message_bytes=10_000)


class Api:
    """The Backend API: keys, refreshes, sessions and machines' tokens in the state that a test wants."""

    def __init__(self) -> None:
        self.transport = httpx.MockTransport(self._answer)
        self.status = "active"
        self.code = 200
        self.asked = self.refreshed = self.verified = 0
        self.machine: dict[str, object] = {}

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/jwks"):
            return httpx.Response(200, json=jwks("key_1"))
        if request.url.path.endswith("/refresh"):
            self.refreshed += 1
            return httpx.Response(200, json={"object": "cookies", "cookies": list(directives(mint()))})
        if request.url.path.endswith("/verify"):
            self.verified += 1
            return httpx.Response(self.code, json=document(**self.machine))
        self.asked += 1
        session = {"object": "session", "id": "sess_1", "user_id": "user_1", "client_id": "c", "status": self.status}
        times = dict.fromkeys(("last_active_at", "expire_at", "abandon_at", "created_at", "updated_at"), 1)
        return httpx.Response(self.code, json=session | times)


class World:
    def __init__(self, port: int, origin: str, app, api: Api, journal: Pages, clock: Clock) -> None:
        self.port, self.origin, self.app, self.api, self.journal = port, origin, app, api, journal
        self.clock = clock
        self.sockets = app._sockets
        (self.pool,) = {destination.pool for destination in app._openings._destinations.values()}
        self._writers: list[asyncio.StreamWriter] = []

    def connect(self, path: str = "/ws", headers: dict[str, str] | None = None, **more: object) -> connect:
        more.setdefault("compression", None)
        headers = SIGNED_IN if headers is None else headers
        return connect(
            f"ws://app.example.test{path}",
            host="127.0.0.1",
            port=self.port,
            additional_headers=headers,
            proxy=None,
            **more,
        )

    async def raw(self, *more: bytes, path: bytes = b"/ws") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open by hand."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        writer.write(b"GET %b HTTP/1.1\r\n" % path + HOST + BEARER + UPGRADE + b"".join(more) + b"\r\n")
        return reader, writer

    async def refused(self, path: str = "/ws", headers: dict[str, str] | None = None, **more: object):
        with pytest.raises(InvalidStatus) as caught:
            await self.connect(path, headers, **more)
        return caught.value.response

    async def empty(self) -> None:
        async with asyncio.timeout(10):
            while self.pool.in_use or self.sockets.open:  # noqa: ASYNC110 - they end on their own
                await asyncio.sleep(0.002)
        assert len(self.sockets._lifelines) == 0

    async def entry(self):
        async with asyncio.timeout(5):
            while not self.journal.entries:  # noqa: ASYNC110
                await asyncio.sleep(0.002)
        return self.journal.entries[-1]


@asynccontextmanager
async def world_before(
    origin: str, settings: WebSocketSettings = DEFAULTS, *, stuck_s: float = 60, has_key: bool = True
) -> AsyncIterator[World]:
    api, journal, clock = Api(), Pages(), Clock()
    machines = MachineSettings(cache_s=0.01, negative_cache_s=0.01)
    wanted = replace(settings_for(origin), websocket=settings, machines=machines)
    route = RouteSettings(path="/token", upstream=origin, websocket_token_protocol="bearer")
    stripped = replace(route, path="/stripped", strip_prefix="/stripped")
    any_ = replace(route, path="/any", accepts=ANY)
    scoped = replace(any_, path="/scoped", require=Requirement(scopes=("read",)))
    added = tuple(replace(each, host="app.example.test") for each in (route, stripped, any_, scoped))
    wanted = replace(wanted, routes=(*added, *wanted.routes))
    app = proxy_app(wanted, journal, clock, api.transport)
    app._sockets._stuck_s = stuck_s
    if not has_key:
        app._sockets._sessions = None
    for destination in app._openings._destinations.values():
        destination.pool.limits = LIMITS
    async with listening(app) as port:
        world = World(port, origin, app, api, journal, clock)
        try:
            yield world
            await world.empty()
        finally:
            for writer in world._writers:
                writer.close()


@asynccontextmanager
async def world(script: Script, settings: WebSocketSettings = DEFAULTS, **more: object) -> AsyncIterator[World]:
    async with upstream(script) as served, world_before(served.origin, settings, **more) as found:
        found.served = served
        yield found


@asynccontextmanager
async def official(**more: object) -> AsyncIterator[World]:
    """The official library as the upstream; tells what it was asked with, then echoes."""

    async def talk(socket: ServerConnection) -> None:
        headers = [[name.lower(), value] for name, value in socket.request.headers.raw_items()]
        await socket.send(json.dumps({"path": socket.request.path, "headers": headers}))
        async for message in socket:
            if message == "close":
                await socket.close(4001, "as you wish")
            else:
                await socket.send(message)

    def choose(_: ServerConnection, offered: list[str]) -> str | None:
        return "app.v1" if "app.v1" in offered else None

    async with serve(talk, "127.0.0.1", 0, select_subprotocol=choose, max_size=1 << 20) as server:
        port = server.sockets[0].getsockname()[1]
        async with world_before(f"http://127.0.0.1:{port}", **more) as found:
            yield found


async def ended(socket) -> tuple[int, str]:
    """Read to the end and return code and reason; 1006 where there was no close frame."""
    async with asyncio.timeout(10):
        async for _ in _until_closed(socket):
            pass
    return (socket.close_code, socket.close_reason)


async def _until_closed(socket) -> AsyncIterator[str | bytes]:
    with suppress(ConnectionClosed):
        while True:
            yield await socket.recv()


# ── the whole way ──


async def test_messages_and_identity_go_through():
    async with (
        official() as found,
        found.connect("/ws/x?a=1", SIGNED_IN | {"Cookie": COOKIES, "X-Session-Id": "forged"}) as socket,
    ):
        asked = json.loads(await socket.recv())
        headers = asked["headers"]
        assert asked["path"] == "/ws/x?a=1"
        assert ["x-session-id", "sess_1"] in headers
        assert [value for name, value in headers if name == "cookie"] == ["other=1"]
        assert "forged" not in str(asked)
        assert TOKEN not in str(asked)
        assert [value for name, value in headers if name == "x-forwarded-host"] == ["app.example.test"]
        assert sum(name == "sec-websocket-key" for name, _ in headers) == 1
        for message in ("é", b"\xff\x00", "", "x" * 10_000):
            await socket.send(message)
            assert await socket.recv() == message


async def test_no_compression_is_negotiated():
    async with official() as found, found.connect(compression="deflate") as socket:
        assert "permessage-deflate" not in await socket.recv()
        assert "sec-websocket-extensions" not in socket.response.headers


async def test_the_origin_is_passed_on():
    async with official() as found:
        headers = {"Cookie": COOKIES, "Origin": "http://app.example.test"}
        async with found.connect(headers=headers) as socket:
            assert ["origin", "http://app.example.test"] in json.loads(await socket.recv())["headers"]


async def test_pings_of_the_client_are_answered():
    async with official() as found, found.connect() as socket:
        async with asyncio.timeout(5):
            await (await socket.ping())


async def test_many_messages_at_once_keep_their_order():
    async with official() as found, found.connect() as socket:
        await socket.recv()

        async def pour():
            for number in range(2000):
                await socket.send(str(number))

        task = asyncio.ensure_future(pour())
        async with asyncio.timeout(20):
            assert [await socket.recv() for _ in range(2000)] == [str(number) for number in range(2000)]
            await task


# ── sub-protocols and tokens among them ──


@pytest.mark.parametrize(
    ("path", "offered", "forwarded", "chosen"),
    [
        ("/ws", ["app.v1", "app.v2"], "app.v1, app.v2", "app.v1"),
        ("/ws", ["app.v2"], "app.v2", None),
        ("/token", ["bearer", TOKEN, "app.v1"], "app.v1", "app.v1"),
        ("/token", ["app.v1", "bearer", TOKEN], "app.v1", "app.v1"),
        ("/token", ["bearer", TOKEN], None, "bearer"),
        ("/public", ["bearer", "x.y.z"], "bearer, x.y.z", None),
    ],
)
async def test_the_upstream_chooses_among_what_was_offered_to_it(path, offered, forwarded, chosen):
    headers = NOBODY if path == "/token" else None
    async with official() as found, found.connect(path, headers, subprotocols=offered) as socket:
        asked = json.loads(await socket.recv())
        given = [value for name, value in asked["headers"] if name == "sec-websocket-protocol"]
        assert given == ([forwarded] if forwarded else [])
        assert socket.subprotocol == chosen
        if path == "/token":
            assert ["x-session-id", "sess_1"] in asked["headers"]
            assert TOKEN not in str(asked)


async def test_a_token_among_sub_protocols_counts_only_where_the_route_says_so():
    async with official() as found:
        answer = await found.refused("/ws", NOBODY, subprotocols=["bearer", TOKEN])
        assert answer.status_code == 401
        bad = NOBODY
        assert (await found.refused("/token", bad, subprotocols=["bearer"])).status_code == 401
        assert (await found.refused("/token", bad, subprotocols=["bearer", TOKEN[:-2] + "xx"])).status_code == 401
        assert (await found.refused("/token", None, subprotocols=["bearer", TOKEN])).status_code == 401  # two tokens
        assert TOKEN not in repr(found.journal.entries)


# ── refused before anything is accepted ──


async def test_who_may_not_gets_the_answer_of_a_request():
    async with official() as found:
        answer = await found.refused(headers=NOBODY)
        assert (answer.status_code, json.loads(answer.body)["reason"]) == (401, "session-token-and-uat-missing")
        foreign = {"Cookie": COOKIES, "Origin": "https://evil.example"}
        answer = await found.refused(headers=foreign)
        assert (answer.status_code, json.loads(answer.body)["reason"]) == (403, Reason.WEBSOCKET_ORIGIN_REFUSED)
        answer = await found.refused("/admin")
        assert (answer.status_code, json.loads(answer.body)["reason"]) == (403, Reason.MISSING_ROLE)
        answer = await found.refused("/%2Egateway/health")
        assert answer.status_code in {400, 404}
        assert [entry.status for entry in found.journal.entries][:3] == [401, 403, 403]


@pytest.mark.parametrize("value", [b"\x80\xff", b"a b", b"a,,b", b"a,a"])
async def test_an_odd_offer_is_400_and_the_server_lives(value):
    async with official() as found:
        reader, _ = await found.raw(b"Sec-WebSocket-Protocol: " + value + b"\r\n")
        assert (await reader.readuntil(b"\r\n")).split()[1] == b"400"
        async with found.connect() as socket:
            await socket.recv()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 404 Not Found\r\nx-why: because\r\nset-cookie: __session=evil\r\ncontent-length: 2\r\n\r\nno", 404),
        (b"HTTP/1.1 426 Upgrade\r\nx-why: because\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 426),
        (b"HTTP/1.1 200 OK\r\nx-why: because\r\nconnection: close\r\n\r\nno", 200),
    ],
)
async def test_what_the_upstream_answers_instead_is_passed_on(answer, status):
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(answer)

    async with world(script) as found:
        got = await found.refused()
        assert (got.status_code, got.body, got.headers["x-why"]) == (status, b"no", "because")
        assert got.headers["cache-control"] == "private"
        assert "set-cookie" not in got.headers
        assert (await found.entry()).status == status


async def test_an_upstream_that_fails_is_told_with_its_reason():
    async def silent(served, reader, writer):
        await reader.read()

    async def leaving(served, reader, writer):
        await served.request(reader)

    for script, status, reason in (
        (silent, 504, Reason.UPSTREAM_TIMEOUT),
        (leaving, 502, Reason.UPSTREAM_TRUNCATED),
        (answers(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), 502, Reason.UPSTREAM_PROTOCOL_ERROR),
    ):
        async with world(script) as found:
            answer = await found.refused()
            assert (answer.status_code, json.loads(answer.body)["reason"]) == (status, reason)
            assert (await found.entry()).reason == reason
    async with world_before("http://127.0.0.1:1") as found:
        answer = await found.refused()
        assert (answer.status_code, json.loads(answer.body)["reason"]) == (502, Reason.UPSTREAM_UNREACHABLE)


async def test_a_client_that_leaves_while_the_upstream_is_asked_is_forgotten():
    asked, answer = asyncio.Event(), asyncio.Event()

    async def script(served, reader, writer):
        head = await served.request(reader)
        asked.set()
        await answer.wait()
        writer.write(accepting(head))
        await reader.read()

    async with world(script) as found:
        begun, begin = [], found.app.begin
        found.app.begin = lambda socket: begun.append(socket) or begin(socket)
        _, writer = await found.raw()
        await asked.wait()
        writer.transport.abort()
        async with asyncio.timeout(5):
            while not begun[0].is_over:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        answer.set()
        assert (await found.entry()).detail == "the client went away"
        await found.served.is_left.wait()


async def test_no_more_are_open_than_the_settings_say():
    async with official(settings=replace(DEFAULTS, max_open=1)) as found:
        async with found.connect():
            answer = await found.refused()
            assert (answer.status_code, json.loads(answer.body)["reason"]) == (503, Reason.WEBSOCKET_LIMIT_REACHED)
            assert "retry-after" in answer.headers
        await found.empty()
        async with found.connect() as socket:
            await socket.recv()


EXPIRED = f"{NAMES.session}={expired()}; {NAMES.client_uat}=1700000000; {NAMES.refresh}=rt_1"


async def test_an_expired_token_is_refreshed_and_the_cookies_come_with_the_acceptance():
    async with official() as found:
        async with found.connect(headers={"Cookie": EXPIRED}) as socket:
            assert ["x-session-id", "sess_1"] in json.loads(await socket.recv())["headers"]
            cookies = socket.response.headers.get_all("set-cookie")
            assert len(cookies) > 1
            assert any(cookie.startswith(f"{NAMES.session}=") for cookie in cookies)
        assert found.api.refreshed == 1


async def test_the_cookies_of_a_refresh_come_with_the_upstreams_refusal_too():
    async with world(answers(b"HTTP/1.1 403 No\r\ncache-control: public\r\ncontent-length: 0\r\n\r\n")) as found:
        answer = await found.refused(headers={"Cookie": EXPIRED})
        assert answer.status_code == 403
        assert any(cookie.startswith(f"{NAMES.session}=") for cookie in answer.headers.get_all("set-cookie"))
        assert "no-store" in answer.headers["cache-control"]


async def test_headers_that_come_twice_are_passed_on_and_cookies_of_ours_are_not():
    async def script(served, reader, writer):
        await served.request(reader)
        cookies = b"set-cookie: a=1\r\nset-cookie: b=2\r\nset-cookie: __session=evil\r\n"
        writer.write(
            b"HTTP/1.1 403 No\r\n"
            + cookies
            + b"vary: a\r\nvary: b\r\nx-request-id: theirs\r\ncontent-length: 0\r\n\r\n"
        )

    async with world(script) as found:
        answer = await found.refused()
        assert ", ".join(answer.headers.get_all("vary")) == "a, b, Cookie, Authorization"
        assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]


async def test_a_redirect_of_the_upstream_is_passed_on():
    async with world(answers(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 2\r\n\r\nno")) as found:
        reader, _ = await found.raw()
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split()[1] == b"302"
        assert header(head, b"location") == b"/elsewhere"


async def test_a_redirect_of_an_upstream_behind_another_prefix_is_translated_back():
    script = answers(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")
    async with world(script) as found:
        reader, _ = await found.raw(path=b"/stripped/ws")
        head = await reader.readuntil(b"\r\n\r\n")
        assert header(head, b"location") == b"/stripped/elsewhere"
        assert found.served.requests[0].startswith(b"GET /ws ")


@pytest.mark.parametrize("upgrade", [b"h2c", b"foo", b"websocket2"])
async def test_other_upgrades_are_not_forwarded(upgrade):
    async with world(answers(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        writer.write(
            b"GET /ws HTTP/1.1\r\n"
            + HOST
            + BEARER
            + b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
            b"Upgrade: " + upgrade + b"\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n")).split()[1] == b"200"
        assert header(found.served.requests[0], b"upgrade") == b""
        assert header(found.served.requests[0], b"connection") == b""
        writer.close()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (UPGRADE.replace(b"13", b"8"), 426),
        (UPGRADE.replace(b"Sec-WebSocket-Key", b"X-Key"), 400),
    ],
)
async def test_an_opening_that_is_none_is_refused(lines, status):
    async with world(accepted(echo)) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        writer.write(b"GET /ws HTTP/1.1\r\n" + HOST + BEARER + lines + b"\r\n")
        assert int((await reader.readuntil(b"\r\n")).split()[1]) == status
        assert found.served.requests == []
        writer.close()


# ── ends ──


async def test_the_upstreams_end_is_the_clients():
    async with official() as found, found.connect() as socket:
        await socket.send("close")
        assert await ended(socket) == (4001, "as you wish")


@pytest.mark.parametrize(("code", "told"), [(1000, b"\x03\xe8bye"), (4321, b"\x10\xe1bye"), (None, b"")])
async def test_the_clients_end_is_the_upstreams(code, told):
    got = asyncio.get_running_loop().create_future()

    async def talk(served, reader, writer):
        opcode, data = await read_frame(reader)
        writer.write(frame(opcode, data))
        got.set_result((opcode, data))

    async with world(accepted(talk)) as found:
        reader, writer = await found.raw()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(CLOSE, masked=True) if code is None else closing(code, "bye", masked=True))
        assert await got == (CLOSE, told)
        assert (await found.entry()).status == 101


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(TEXT, b"a"), 1002),
        (frame(TEXT, b"a", masked=True, reserved=0x40), 1002),
        (frame(3, masked=True), 1002),
        (frame(CONT, b"a", masked=True), 1002),
        (frame(PING, fin=False, masked=True), 1002),
        (frame(PING, b"x" * 126, masked=True), 1002),
        (frame(TEXT, b"\xff", masked=True), 1007),
        (frame(TEXT, b"a", fin=False, masked=True) + frame(TEXT, b"b", masked=True), 1002),
        (b"\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00" + bytes(4), 1009),
        (closing(999, masked=True), 1002),
        (closing(1005, masked=True), 1002),
        (frame(BINARY, bytes(10_001), masked=True), 1009),
        (frame(BINARY, bytes(9_000), fin=False, masked=True) + frame(CONT, bytes(9_000), masked=True), 1009),
    ],
)
async def test_a_client_that_breaks_the_rules_is_told_and_the_upstream_is_closed(bad, code):
    async with world(accepted(echo)) as found:
        reader, writer = await found.raw()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(bad)
        async with asyncio.timeout(5):
            opcode, data = await read_frame(reader)
            assert opcode == CLOSE
            assert int.from_bytes(data[:2], "big") == code
            await found.served.is_left.wait()


async def test_fragments_and_pings_of_the_client_make_one_message():
    async with world(accepted(echo)) as found:
        reader, writer = await found.raw()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(TEXT, b"a", fin=False, masked=True) + frame(PING, b"p", masked=True))
        writer.write(frame(CONT, b"", fin=False, masked=True) + frame(CONT, b"b", masked=True))
        got = [await read_frame(reader), await read_frame(reader)]
        assert sorted(got) == [(TEXT, b"ab"), (PONG, b"p")]
        writer.write(closing(1000, masked=True))


async def test_frames_that_come_before_the_answer_are_not_lost():
    async with world(accepted(echo)) as found:
        reader, writer = await found.raw()
        writer.write(frame(TEXT, b"early", masked=True))
        await reader.readuntil(b"\r\n\r\n")
        assert await read_frame(reader) == (TEXT, b"early")
        writer.write(closing(1000, masked=True))


@pytest.mark.parametrize(
    ("said", "code"),
    [(frame(TEXT, b"\xff"), 1011), (frame(3), 1011), (frame(TEXT, b"x" * 10_001), 1009), (closing(1012, "x"), 1012)],
)
async def test_an_upstream_that_breaks_the_rules_ends_the_clients_side(said, code):
    async with world(saying(said)) as found, found.connect() as socket:
        assert (await ended(socket))[0] == code


async def test_an_upstream_that_vanishes_is_1011():
    async def talk(served, reader, writer):
        await read_frame(reader)
        writer.transport.abort()

    async with world(accepted(talk)) as found, found.connect() as socket:
        await socket.send("now")
        assert (await ended(socket))[0] == 1011
        assert (await found.entry()).reason == Reason.UPSTREAM_TRUNCATED


async def test_a_client_that_vanishes_closes_the_upstream():
    async with world(accepted(echo)) as found:
        reader, writer = await found.raw()
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        async with asyncio.timeout(5):
            await found.served.is_left.wait()


async def test_a_client_that_reads_nothing_is_cut():
    async def talk(served, reader, writer):
        while True:
            writer.write(frame(BINARY, bytes(9_000)))
            await writer.drain()

    async with world(accepted(talk), stuck_s=0.3) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port, limit=1024)
        writer.write(b"GET /ws HTTP/1.1\r\n" + HOST + BEARER + UPGRADE + b"\r\n")
        entry = await found.entry()
        assert entry.reason == Reason.WEBSOCKET_CLIENT_TOO_SLOW
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                while await reader.read(65_536):
                    pass
        writer.close()


async def test_nothing_said_for_too_long_is_1001():
    async with world(saying(), replace(DEFAULTS, idle_s=0.2)) as found, found.connect() as socket:
        assert await ended(socket) == (1001, "idle")
        assert (await found.entry()).reason == Reason.WEBSOCKET_IDLE


async def test_an_upstream_that_answers_no_ping_is_1011():
    async with world(saying(), replace(DEFAULTS, ping_s=0.1)) as found, found.connect() as socket:
        assert await ended(socket) == (1011, "upstream lost")


# ── sessions that end ──


RECHECKED = replace(DEFAULTS, recheck_s=0.1, unchecked_s=0.5)


@pytest.mark.parametrize("status", ["revoked", "ended", "removed", "expired", "replaced", "abandoned", "pending"])
async def test_a_session_that_ends_closes_all_its_websockets(status):
    async with official(settings=RECHECKED) as found, found.connect() as one, found.connect() as other:
        found.api.status = status
        assert await ended(one) == (4401, "session ended")
        assert await ended(other) == (4401, "session ended")
        assert (await found.entry()).reason == Reason.SESSION_ENDED
        assert (await found.refused()).status_code == 401  # its token counts no more


async def test_a_session_that_is_not_there_has_ended():
    async with official(settings=RECHECKED) as found, found.connect() as socket:
        found.api.code = 404
        assert await ended(socket) == (4401, "session ended")


async def test_one_call_for_all_websockets_of_a_session():
    async with official(settings=RECHECKED) as found:
        sockets = [await found.connect() for _ in range(10)]
        async with asyncio.timeout(5):
            while found.api.asked < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert len(found.sockets._lifelines) == 1
        for socket in sockets:
            await socket.send("still here")
            assert await socket.recv()
            await socket.close()


async def test_an_api_that_is_down_is_no_end_of_the_session():
    async with official(settings=RECHECKED) as found, found.connect() as socket:
        found.api.code = 503
        assert await ended(socket) == (1013, "session unknown")
        assert (await found.entry()).reason == Reason.WEBSOCKET_SESSION_UNKNOWN
        assert found.api.asked > 2
        async with found.connect() as again:
            await again.recv()


async def test_without_a_secret_key_it_ends_with_try_again():
    async with (
        official(settings=replace(RECHECKED, unchecked_s=0.2), has_key=False) as found,
        found.connect() as socket,
    ):
        assert await ended(socket) == (1013, "session unknown")
        assert found.api.asked == 0


async def test_who_is_nobody_has_no_session_to_end():
    async with official(settings=replace(RECHECKED, unchecked_s=0.1)) as found:
        for path in ("/public", "/optional"):
            async with found.connect(path, NOBODY) as socket:
                await socket.recv()
                assert len(found.sockets._lifelines) == 0


# ── many ──


async def test_many_come_and_go_and_none_stays():
    async with world(accepted(echo)) as found:
        before = len(asyncio.all_tasks())

        async def visit(number: int) -> None:
            reader, writer = await found.raw()
            await reader.readuntil(b"\r\n\r\n")
            writer.write(frame(TEXT, b"%d" % number, masked=True))
            assert await read_frame(reader) == (TEXT, b"%d" % number)
            match number % 3:
                case 0:
                    writer.write(closing(1000, masked=True))
                case 1:
                    writer.transport.abort()
                case 2:
                    writer.write(frame(3, masked=True))

        for batch in range(15):
            await asyncio.gather(*(visit(20 * batch + number) for number in range(20)))
        await found.empty()
        await found.served.close()
        assert len(asyncio.all_tasks()) <= before + 5


# ── event streams ──


async def test_an_event_stream_flows_piece_by_piece():
    turn = asyncio.Event()

    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(5):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await turn.wait()
            turn.clear()
        writer.write(b"0\r\n\r\n")

    async with world(script) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        writer.write(b"GET /events HTTP/1.1\r\n" + HOST + BEARER + b"accept: text/event-stream\r\n\r\n")
        async with asyncio.timeout(5):
            await reader.readuntil(b"\r\n\r\n")
            for number in range(5):
                assert await reader.readuntil(b"\n\n\r\n") == b"9\r\ndata: %d\n\n\r\n" % number
                turn.set()
        writer.close()


async def test_a_reader_of_events_that_leaves_ends_the_upstreams_work():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        await reader.read()

    async with world(script) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        writer.write(b"GET /events HTTP/1.1\r\n" + HOST + BEARER + b"\r\n")
        async with asyncio.timeout(5):
            await reader.readuntil(b"data: 1\n\n")
            writer.transport.abort()
            await found.served.is_left.wait()


def test_the_kit_is_a_websocket():
    assert len(base64.b64decode(header(UPGRADE, b"sec-websocket-key"))) == 16
    assert websockets.__version__
