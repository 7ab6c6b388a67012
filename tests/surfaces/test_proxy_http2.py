"""The proxy as it ships before an upstream that it speaks HTTP/2 to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame, RstStreamFrame
from websockets.asyncio.client import connect

from gateway.assemble import proxy_app
from gateway.core.reasons import Reason
from gateway.core.settings_model import Access, HealthSettings, RouteSettings, ServerOfUpstream, UpstreamSettings
from tests.authenticator.engine_kit import Clock, mint
from tests.surfaces.proxy_kit import BEARER, HOST, Answer, Api, Wire, listening, settings_for
from tests.surfaces.surfaces_kit import Pages
from tests.upstream.http2_kit import Peer, each, upstream2
from tests.upstream.test_http2_servers import hypercorn
from tests.upstream.upstream_kit import until

TOKEN = mint()


@asynccontextmanager
async def proxied(*, named: bool) -> AsyncIterator[tuple[int, Pages]]:
    """A proxy before Hypercorn, which is named by its address or as the one server of an upstream."""
    async with hypercorn() as origin:
        servers = (ServerOfUpstream(url=origin),)
        api = UpstreamSettings(name="api", servers=servers, health=HealthSettings(interval_s=0.05))
        routes = (
            RouteSettings(path="/", upstream="api" if named else origin, http="2", host="app.example.test"),
            RouteSettings(path="/open", upstream=origin, http="2", access=Access.PUBLIC, host="app.example.test"),
        )
        journal = Pages()
        settings = replace(settings_for(origin), routes=routes, upstreams=(api,))
        async with listening(proxy_app(settings, journal, Clock(), Api().transport)) as port:
            yield port, journal


async def ask(port: int, head: bytes, body: bytes = b"") -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=8 * 1024 * 1024)
    writer.write(head + HOST + BEARER + b"\r\n" + body)
    try:
        return await Wire(reader, writer).answer()
    finally:
        writer.close()


@pytest.mark.parametrize("named", [False, True])
async def test_requests_are_forwarded_in_http2_with_the_identity(named):
    async with proxied(named=named) as (port, journal):
        found = await ask(port, b"GET /a HTTP/1.1\r\nX-Session-User-Id: forged\r\n")
        assert (found.status, found["x-version"], found["x-host"]) == (200, "2", "app.example.test")
        assert found.all("x-told") == ["user_1"]
        found = await ask(port, b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n")
        assert found["x-size"] == "3"
        found = await ask(port, b"POST /open HTTP/1.1\r\nContent-Length: 5\r\n", b"hello")
        assert (found["x-size"], found.all("x-told")) == ("5", [])
        large = await ask(port, b"GET /large HTTP/1.1\r\n")
        assert (len(large.body), large.is_whole) == (4 * 1024 * 1024 + 3, True)
        await until(lambda: len(journal.entries) == 4)


def _splits(peer: Peer, number: int) -> None:
    peer.head(number, (b"x-a", b"1\r\nset-cookie: __session=evil"))


def _dies(peer: Peer, number: int) -> None:
    peer.h2.send_headers(number, [(b":status", b"200"), (b"content-length", b"9")])
    peer.h2.send_data(number, b"abc")
    peer.h2.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
    peer.flush()


@pytest.mark.parametrize(
    ("act", "status", "reason"),
    [
        (lambda peer, number: None, 504, Reason.UPSTREAM_TIMEOUT),
        (lambda peer, number: peer.frame(RstStreamFrame(number, 2)), 502, Reason.UPSTREAM_TRUNCATED),
        (lambda peer, number: peer.frame(GoAwayFrame(0, last_stream_id=0)), 502, Reason.UPSTREAM_TRUNCATED),
        (lambda peer, number: peer.writer.close(), 502, Reason.UPSTREAM_TRUNCATED),
        (lambda peer, number: peer.writer.write(b"x" * 20), 502, Reason.UPSTREAM_PROTOCOL_ERROR),
        (_splits, 502, Reason.UPSTREAM_PROTOCOL_ERROR),
        (_dies, 502, Reason.UPSTREAM_TRUNCATED),
    ],
)
async def test_upstream_that_fails_is_told_with_status_and_reason(act, status, reason):
    journal = Pages()
    async with upstream2(each(act)) as served:
        route = RouteSettings(path="/", upstream=served.origin, http="2", first_byte_timeout_s=0.5)
        settings = replace(settings_for(served.origin), routes=(route,))
        app = proxy_app(settings, journal, Clock(), Api().transport)
        async with listening(app) as port:
            found = await ask(port, b"GET /a HTTP/1.1\r\n")
            await until(lambda: journal.entries)
            carrier = app._openings._destinations["/"].carrier
            assert carrier.in_use == 0
    assert (found.status, found.is_whole) == (status, True)
    assert journal.entry.reason == reason
    assert found.all("set-cookie") == []


@pytest.mark.parametrize("named", [False, True])
async def test_websockets_go_to_the_same_upstream_in_http11(named):
    async with proxied(named=named) as (port, _):
        headers, uri = {"Authorization": f"Bearer {TOKEN}"}, "ws://app.example.test/"
        async with connect(uri, host="127.0.0.1", port=port, additional_headers=headers) as socket:
            assert await socket.recv() == "1.1"
