"""The cookies of a refresh reach the browser on the very answer to the request that was refreshed, whatever that is."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.core.requirement import Requirement
from gateway.core.settings_model import RouteSettings
from gateway.surfaces.middleware import GateMiddleware
from tests.authenticator.engine_kit import NAMES, Api, directives, expired, mint
from tests.surfaces.proxy_kit import HOST, Answer, World, proxied
from tests.surfaces.surfaces_kit import Wire, gate_of, middleware_of, scope_of, websocket_scope
from tests.upstream.upstream_kit import Script, Upstream, answers, until

COOKIES = f"{NAMES.session}={expired()}; {NAMES.client_uat}=1700000000; {NAMES.refresh}=rt_1; theme=dark"
HEAD = b"HTTP/1.1 200 OK\r\n"


async def refreshed(world: World, method: bytes = b"GET", target: bytes = b"/", body: bytes = b"") -> Answer:
    head = b"%b %b HTTP/1.1\r\n" % (method, target) + HOST + b"Cookie: " + COOKIES.encode() + b"\r\n"
    head += b"content-length: %d\r\n" % len(body) if body else b""
    return await world.raw(head + b"\r\n" + body, is_head=method == b"HEAD")


def has_new_cookies(values: list[str]) -> bool:
    names = [value.partition("=")[0] for value in values]
    return {NAMES.session, NAMES.refresh} <= set(names) and len(names) == len(set(names))


async def never(served: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


UPSTREAMS: dict[str, tuple[Script, int, bytes]] = {
    "an answer": (answers(HEAD + b"content-length: 2\r\n\r\nok"), 200, b"ok"),
    "an error of its own": (answers(b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno"), 500, b"no"),
    "a redirect": (answers(b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"), 302, b""),
    "no content": (answers(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, b""),
    "not modified": (answers(b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n"), 304, b""),
    "a stream": (
        answers(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n", b"1\r\nb\r\n", b"0\r\n\r\n"),
        200,
        b"ab",
    ),
    "early hints": (
        answers(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", HEAD + b"content-length: 2\r\n\r\nok"),
        200,
        b"ok",
    ),
    "session cookies of its own": (
        answers(HEAD + f"set-cookie: {NAMES.session}=evil\r\ncontent-length: 0\r\n\r\n".encode()),
        200,
        b"",
    ),
}


@pytest.mark.parametrize(("script", "status", "body"), UPSTREAMS.values(), ids=UPSTREAMS)
async def test_behind_the_proxy_with_whatever_the_upstream_answers(script, status, body):
    async with proxied(script) as world:
        answer = await refreshed(world)
        assert (answer.status, answer.body, answer.is_whole) == (status, body, True)
        assert has_new_cookies(answer.all("set-cookie"))
        assert "evil" not in "".join(answer.all("set-cookie"))
        assert answer["cache-control"] == "no-store"
        assert world.got(b"x-session-user-id") == [b"user_1"]
        assert world.got(b"cookie") == [b"theme=dark"]
        await until(lambda: world.journal.entries)
        assert world.journal.entry.how == "refresh"


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"])
async def test_behind_the_proxy_for_every_method_and_the_body_arrives(method):
    body = b"" if method in {b"GET", b"HEAD", b"OPTIONS"} else b"a form"
    async with proxied() as world:
        answer = await refreshed(world, method, body=body)
        assert answer.status == 200
        assert has_new_cookies(answer.all("set-cookie"))
        assert world.line.split(b" ")[0] == method
        assert (world.got(b"content-length") or [b"0"]) == [str(len(body)).encode()]


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (never, 504),
        (answers(b"", then_close=True), 502),
        (answers(b"SSH-2.0-x\r\n", then_close=True), 502),
        (answers(HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nok"), 502),
    ],
    ids=["silent", "closed", "no HTTP", "two lengths"],
)
async def test_behind_the_proxy_when_the_upstream_fails(script, status):
    async with proxied(script) as world:
        answer = await refreshed(world)
        assert answer.status == status
        assert has_new_cookies(answer.all("set-cookie"))


async def test_behind_the_proxy_when_the_stream_breaks_off():
    async with proxied(answers(HEAD + b"content-length: 100\r\n\r\nbegun", then_close=True)) as world:
        answer = await refreshed(world)
        assert (answer.status, answer.body, answer.is_whole) == (200, b"begun", False)
        assert has_new_cookies(answer.all("set-cookie"))


async def test_behind_the_proxy_when_the_session_may_not_pass_and_on_the_gateways_own_pages():
    async with proxied() as world:
        for target, status in ((b"/admin", 403), (b"/.gateway/whoami", 200)):
            answer = await refreshed(world, target=target)
            assert answer.status == status
            assert has_new_cookies(answer.all("set-cookie"))
        assert world.served.requests == []


# In an application


def middleware(app: Callable[..., Awaitable[None]], *routes: RouteSettings) -> GateMiddleware:
    return middleware_of(app, gate_of(*routes, api=Api(directives(mint()))))


async def streaming(scope: object, receive: object, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"a", b"b"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def accepting(scope: object, receive: object, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
    await send({"type": "websocket.accept"})


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_in_an_application_that_streams(method):
    wire = Wire()
    await middleware(streaming)(scope_of("/", ("cookie", COOKIES), method=method), wire.receive, wire.send)
    assert (wire.status, wire.body) == (200, b"ab")
    assert has_new_cookies(wire.headers.get_list("set-cookie"))


async def test_in_an_application_that_accepts_a_websocket():
    wire = Wire()
    await middleware(accepting)(websocket_scope("/", ("cookie", COOKIES)), wire.receive, wire.send)
    assert has_new_cookies(wire.headers.get_list("set-cookie"))


async def test_in_an_application_that_the_session_may_not_reach():
    wire = Wire()
    only_admins = RouteSettings(require=Requirement(role="org:admin"))
    await middleware(streaming, only_admins)(scope_of("/", ("cookie", COOKIES)), wire.receive, wire.send)
    assert wire.status == 403
    assert has_new_cookies(wire.headers.get_list("set-cookie"))
