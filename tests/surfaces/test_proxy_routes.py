"""What routes make of a request on its way to the upstream, over sockets."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gateway.assemble import proxy_app
from gateway.core.settings_model import Access, CorsSettings, RouteSettings
from tests.authenticator.engine_kit import Clock
from tests.surfaces.proxy_kit import BEARER, OK, Api, World, listening, settings_for
from tests.surfaces.surfaces_kit import Pages
from tests.upstream.upstream_kit import Script, answers, upstream


@asynccontextmanager
async def routed(*routes: RouteSettings, script: Script | None = None) -> AsyncIterator[World]:
    """A proxy with these routes to one upstream."""
    journal = Pages()
    async with upstream(script or answers(OK)) as served:
        settings = settings_for(served.origin)
        settings = replace(settings, routes=tuple(replace(route, upstream=served.origin) for route in routes))
        app = proxy_app(settings, journal, Clock(), Api().transport)
        async with listening(app) as port:
            world = World(port, served, next(iter(app._openings._destinations.values())).pool, journal, app)
            try:
                yield world
            finally:
                world.close()


def reason(answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["reason"]


@pytest.mark.parametrize(
    ("target", "line", "prefix"),
    [
        (b"/api", b"GET / HTTP/1.1", [b"/api"]),
        (b"/api/", b"GET / HTTP/1.1", [b"/api"]),
        (b"/api?x=/admin", b"GET /?x=/admin HTTP/1.1", [b"/api"]),
        (b"//api///x%7e?y", b"GET /x~?y HTTP/1.1", [b"/api"]),
        (b"/old/a/b", b"GET /new/b HTTP/1.1", [b"/old/a"]),
        (b"/x", b"GET /x HTTP/1.1", []),
    ],
)
async def test_a_prefix_is_taken_away_or_replaced_and_said(target, line, prefix):
    routes = (
        RouteSettings(),
        RouteSettings(path="/api", strip_prefix="/api"),
        RouteSettings(path="/old/a", replace_prefix="/new"),
    )
    async with routed(*routes) as world:
        answer = await world.ask(target, b"X-Forwarded-Prefix: /evil\r\n", b"X_Forwarded_Prefix: /evil\r\n")
        assert answer.status == 200
        assert world.line == line
        assert [value for name, value in world.received if b"prefix" in name] == prefix


@pytest.mark.parametrize(
    "target", [b"/api../admin", b"/api/../admin", b"/api%2e%2e/admin", b"/api/..%2fadmin", b"/api/%2e%2e;/admin"]
)
async def test_no_spelling_leads_through_a_stripped_prefix_to_what_is_guarded(target):
    open_ = RouteSettings(path="/api", strip_prefix="/api", access=Access.PUBLIC)
    async with routed(RouteSettings(path="/admin"), open_) as world:
        answer = await world.raw(b"GET %b HTTP/1.1\r\nHost: app.example.test\r\n\r\n" % target)
        assert answer.status in {400, 401, 404}
        assert world.served.requests == []


ADDRESSES = (
    b"HTTP/1.1 302 Found\r\nlocation: %b\r\nset-cookie: a=1; Path=/\r\n"
    b"set-cookie: __session=evil; Path=/\r\ncontent-length: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    ("target", "said", "location", "cookie"),
    [
        (b"/api/x", b"/login", "/api/login", "a=1; Path=/api"),
        (b"/api", b"http://app.example.test/login", "http://app.example.test/api/login", "a=1; Path=/api"),
        (b"/old/x", b"/new/login", "/old/login", "a=1; Path=/old"),
        (b"/own/x", b"{origin}/own/y?a=1", "http://app.example.test/own/y?a=1", "a=1; Path=/"),
        (b"/kept/x", b"/login", "/login", "a=1; Path=/"),
        (b"/plain/x", b"{origin}/login", "{origin}/login", "a=1; Path=/"),
        (b"/api/x", b"https://elsewhere.example/login", "https://elsewhere.example/login", "a=1; Path=/api"),
        (b"/new/x", b"/v2//evil.example", "/v2//evil.example", "a=1; Path=/new"),
    ],
)
async def test_addresses_in_answers_are_translated_back(target, said, location, cookie):
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(ADDRESSES % said.replace(b"{origin}", served.origin.encode()))

    routes = (
        RouteSettings(path="/plain"),
        RouteSettings(path="/api", strip_prefix="/api"),
        RouteSettings(path="/kept", strip_prefix="/kept", rewrite_answers=False),
        RouteSettings(path="/old", replace_prefix="/new"),
        RouteSettings(path="/own", host_header="upstream"),
        RouteSettings(path="/new", replace_prefix="/v2/new"),
    )
    async with routed(*routes, script=script) as world:
        answer = await world.ask(target)
        assert answer["location"] == location.replace("{origin}", world.served.origin)
        assert answer.all("set-cookie") == [cookie]


async def test_the_upstream_is_asked_under_the_name_that_the_route_says():
    routes = (
        RouteSettings(path="/kept"),
        RouteSettings(path="/own", host_header="upstream"),
        RouteSettings(path="/named", host_header="app.internal:81"),
    )
    async with routed(*routes) as world:
        own = world.served.origin.removeprefix("http://").encode()
        for target, host in ((b"/kept", b"app.example.test"), (b"/own", own), (b"/named", b"app.internal:81")):
            await world.ask(target)
            assert world.got(b"host") == [host]
            assert world.got(b"x-forwarded-host") == [b"app.example.test"]


async def test_a_route_adds_headers_of_its_own_and_keeps_to_itself_who_it_is():
    routes = (
        RouteSettings(path="/a", headers=(("X-Tenant", "acme"),)),
        RouteSettings(path="/b", identity=False),
        RouteSettings(path="/c", identity=False, access=Access.PUBLIC),
    )
    async with routed(*routes) as world:
        forged = (b"X-Tenant: evil\r\n", b"X_TENANT: evil\r\n", b"X-Session-User-Id: evil\r\n")
        await world.ask(b"/a", *forged)
        assert [value for name, value in world.received if b"tenant" in name] == [b"acme"]
        assert world.got(b"x-session-user-id") == [b"user_1"]
        for target in (b"/b", b"/c"):
            await world.ask(target, *forged)
            assert world.got(b"x-tenant") == [b"evil"]
            assert [name for name, _ in world.received if name.startswith(b"x-session")] == []


async def test_an_exact_route_opens_its_path_alone():
    async with routed(RouteSettings(), RouteSettings(path="/a", exact=True, access=Access.PUBLIC)) as world:
        for target, status in ((b"/a", 200), (b"/a?x", 200), (b"/a/", 401), (b"/a/b", 401), (b"/A", 401)):
            answer = await world.raw(b"GET %b HTTP/1.1\r\nHost: app.example.test\r\n\r\n" % target)
            assert answer.status == status


# ── pages of other origins ──

PAGE = b"Origin: https://app.example.com\r\n"
EVIL = b"Origin: https://evil.example\r\n"
CORS = CorsSettings(origins=("https://app.example.com",), credentials=True, expose=("X-Total",))


def preflight(target: bytes, origin: bytes, method: bytes) -> bytes:
    asks = b"Access-Control-Request-Method: %b\r\nAccess-Control-Request-Headers: authorization\r\n" % method
    return b"OPTIONS %b HTTP/1.1\r\nHost: app.example.test\r\n" % target + origin + asks + b"\r\n"


async def test_a_preflight_is_answered_without_a_session_and_without_the_upstream():
    async with routed(RouteSettings(path="/api", methods=("GET", "PUT"), cors=CORS), RouteSettings(path="/x")) as world:
        answer = await world.raw(preflight(b"/api/1", PAGE, b"PUT"))
        assert (answer.status, answer.body) == (204, b"")
        assert answer["access-control-allow-origin"] == "https://app.example.com"
        assert answer["access-control-allow-methods"] == "GET, PUT"
        assert answer["access-control-allow-credentials"] == "true"
        assert answer["access-control-max-age"] == "600"
        refused = await world.raw(preflight(b"/api/1", EVIL, b"PUT"))
        assert reason(refused) == (403, "cors-origin-refused")
        assert refused.all("access-control-allow-origin") == []
        assert "Origin" in refused.all("vary")
        assert world.served.requests == []
        for target, method, status in ((b"/api/1", b"DELETE", 405), (b"/x", b"GET", 401), (b"/no", b"GET", 404)):
            other = await world.raw(preflight(target, PAGE, method))
            assert (other.status, other.all("access-control-allow-origin")) == (status, [])
        half = await world.raw(b"OPTIONS /x HTTP/1.1\r\nHost: app.example.test\r\n" + PAGE + b"\r\n")
        assert half.status == 401


async def test_a_route_for_preflights_gives_them_to_its_upstream():
    routes = (
        RouteSettings(path="/api", cors=CORS),
        RouteSettings(path="/api", methods=("OPTIONS",), access=Access.PUBLIC),
        RouteSettings(path="/ours", cors=CORS, methods=("GET", "OPTIONS")),
    )
    async with routed(*routes) as world:
        answer = await world.raw(preflight(b"/api/1", EVIL, b"PUT"))
        assert (answer.status, world.line) == (200, b"OPTIONS /api/1 HTTP/1.1")
        assert world.got(b"access-control-request-method") == [b"PUT"]
        assert (await world.raw(preflight(b"/ours", PAGE, b"GET"))).status == 204
        assert len(world.served.requests) == 1


async def test_every_answer_can_be_read_by_scripts_of_allowed_origins_alone():
    async with routed(RouteSettings(cors=CORS), RouteSettings(path="/a", max_body_bytes=1, cors=CORS)) as world:
        requests = [
            (b"GET / HTTP/1.1\r\n", b"", 401),
            (b"GET / HTTP/1.1\r\n", BEARER, 200),
            (b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n", b"", 413),
        ]
        for line, more, status in requests:
            answer = await world.raw(line + b"Host: app.example.test\r\n" + PAGE + more + b"\r\n")
            assert answer.status == status
            assert answer["access-control-allow-origin"] == "https://app.example.com"
            assert answer["access-control-allow-credentials"] == "true"
            assert answer["access-control-expose-headers"] == "X-Total"
            assert "Origin" in answer.all("vary")
            for origin in (EVIL, b""):
                other = await world.raw(line + b"Host: app.example.test\r\n" + origin + more + b"\r\n")
                assert other.status == status
                assert other.all("access-control-allow-origin") == []
                assert "Origin" in other.all("vary")


async def test_a_failing_upstream_can_be_read_too():
    async with routed(RouteSettings(cors=CORS), script=answers(b"what?\r\n\r\n")) as world:
        answer = await world.ask(b"/", PAGE)
        assert answer.status == 502
        assert answer["access-control-allow-origin"] == "https://app.example.com"


async def test_what_the_upstream_says_of_cors_counts_where_the_route_says_nothing():
    said = (
        b"HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\naccess-control-max-age: 1\r\ncontent-length: 0\r\n\r\n"
    )
    async with routed(RouteSettings(cors=CORS), RouteSettings(path="/own"), script=answers(said)) as world:
        answer = await world.ask(b"/", PAGE)
        assert answer["access-control-allow-origin"] == "https://app.example.com"
        assert answer.all("access-control-max-age") == []
        assert (await world.ask(b"/", EVIL)).all("access-control-allow-origin") == []
        assert (await world.ask(b"/own", EVIL))["access-control-allow-origin"] == "*"


# ── sizes ──


async def test_a_body_that_says_it_is_too_long_is_refused_before_anybody_is_asked():
    async with routed(RouteSettings(max_body_bytes=4)) as world:
        assert (await world.ask(method=b"POST", body=b"1234")).status == 200
        reached = len(world.served.requests)
        start = b"POST / HTTP/1.1\r\nHost: app.example.test\r\nContent-Length: "
        for length in (b"5", b"999999999999999999"):
            assert reason(await world.raw(start + length + b"\r\n\r\n")) == (413, "request-body-too-large")
        assert len(world.served.requests) == reached


async def test_a_body_that_says_nothing_is_counted_and_cut():
    async with routed(RouteSettings(max_body_bytes=4)) as world:
        start = b"POST / HTTP/1.1\r\nHost: app.example.test\r\n" + BEARER + b"Transfer-Encoding: chunked\r\n\r\n"
        assert (await world.raw(start + b"4\r\n1234\r\n0\r\n\r\n")).status == 200
        answer = await world.raw(start + b"4\r\n1234\r\n1\r\n5\r\n0\r\n\r\n")
        assert reason(answer) == (413, "request-body-too-large")
        assert world.journal.entries[-1].reason == "request-body-too-large"


async def test_headers_beyond_the_routes_bound_are_refused():
    async with routed(RouteSettings(), RouteSettings(path="/small", max_header_bytes=2000)) as world:
        big = b"X-Big: " + b"x" * 2000 + b"\r\n"
        assert (await world.ask(b"/", big)).status == 200
        assert reason(await world.ask(b"/small", big)) == (431, "request-headers-too-large")
        assert (await world.ask(b"/small")).status == 200
