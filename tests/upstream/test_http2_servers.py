"""HTTP/2 to real servers: Hypercorn and nginx, in plain text and by TLS."""

import asyncio
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from gateway.adapters.upstream_tls import tls_context
from gateway.core.reasons import Reason
from gateway.core.settings_model import HealthSettings, RouteSettings, ServerOfUpstream, UpstreamSettings
from gateway.errors import UpstreamError
from gateway.upstream.balanced import check
from gateway.upstream.upstreams import Upstreams
from tests.e2e.processes import free_port
from tests.upstream.http2_kit import PATIENT, ask2, http2_to
from tests.upstream.upstream_kit import Client, Taken, answers, get, post, until, upstream

MIB = 1024 * 1024
NGINX = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
needs_nginx = pytest.mark.skipif(NGINX is None and "CI" not in os.environ, reason="nginx is not installed")


async def application(scope, receive, send) -> None:
    """Answers with what it was asked: the version, how long the body was, and whose request it is."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["http_version"]})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    large = scope["path"] == "/large"
    headers = [(b"x-version", scope["http_version"].encode()), (b"x-size", b"%d" % size)]
    headers += [(b"x-told", value) for name, value in scope["headers"] if name == b"x-session-user-id"]
    headers += [(b"x-host", value) for name, value in scope["headers"] if name == b"host"]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(64 if large else 0):
        await send({"type": "http.response.body", "body": bytes(MIB // 16), "more_body": True})
    await send({"type": "http.response.body", "body": b"end"})


@asynccontextmanager
async def hypercorn(certificate: str = "") -> AsyncIterator[str]:
    config = Config()
    port = free_port()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = None
    if certificate:
        config.certfile = config.keyfile = certificate
    stop = asyncio.Event()
    task = asyncio.create_task(serve(application, config, shutdown_trigger=stop.wait))
    await until_listening(port, task.done)
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        stop.set()
        await task


_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 40; client_max_body_size 16m;
  server {{
    listen 127.0.0.1:{port} http2 {ssl};
    listen unix:{folder}/socket http2;
    {pair}
    root {folder};
    location / {{ }}
    location /version {{ add_header X-Version $server_protocol; return 200 "$http_x_session_user_id"; }}
  }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, certificate: str = "") -> AsyncIterator[str]:
    port = free_port()
    pair = f"ssl_certificate {certificate}; ssl_certificate_key {certificate};" if certificate else ""
    text = _NGINX.format(folder=folder, port=port, pair=pair, ssl="ssl" if certificate else "")
    (folder / "nginx.conf").write_text(text)
    (folder / "large").write_bytes(bytes(4 * MIB))
    command = ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = await asyncio.create_subprocess_exec(str(NGINX), *command)
    try:
        await until_listening(port, lambda: process.returncode is not None)
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def until_listening(port: int, is_over) -> None:
    async with asyncio.timeout(10):
        while not is_over():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    raise AssertionError("the server did not start")


def trusting(certificate: str) -> ssl.SSLContext | None:
    return tls_context(RouteSettings(upstream="https://127.0.0.1", tls_ca_file=certificate, http="2"))


@pytest.mark.parametrize("by_tls", [False, True])
async def test_hypercorn_is_asked_in_http2_and_bodies_pass_both_ways(by_tls, certificate):
    context = trusting(certificate) if by_tls else None
    async with hypercorn(certificate if by_tls else "") as origin, http2_to(origin, PATIENT, context) as pool:
        found = await asyncio.gather(*(ask2(pool) for _ in range(50)))
        assert {dict(taken.headers)[b"x-version"] for taken in found} == {b"2"}
        large = await ask2(pool, get(b"/large"))
        assert len(large.body_) == 4 * MIB + 3
        sent = await ask2(pool, post(None), Client(*[bytes(MIB // 16)] * 64))
        assert dict(sent.headers)[b"x-size"] == b"%d" % (4 * MIB)
        assert pool.open == 1


@needs_nginx
@pytest.mark.parametrize("by_tls", [False, True])
async def test_nginx_is_asked_in_http2_and_its_goaways_cost_nobody_anything(by_tls, certificate, tmp_path):
    """It takes forty requests for each connection, and says so while others are on their way."""
    context = trusting(certificate) if by_tls else None
    async with nginx(tmp_path, certificate if by_tls else "") as origin, http2_to(origin, PATIENT, context) as pool:
        found = await asyncio.gather(*(ask2(pool, get(b"/version")) for _ in range(60)))
        assert {dict(taken.headers)[b"x-version"] for taken in found} == {b"HTTP/2.0"}
        for _ in range(80):
            assert (await ask2(pool, get(b"/version"))).status == 200
        assert len((await ask2(pool, get(b"/large"))).body_) == 4 * MIB
        assert (await ask2(pool, get(b"/large", method="HEAD"))).body_ == b""
        assert (await ask2(pool, post(None, b"/version"), Client(*[bytes(MIB)] * 3))).status == 200


@needs_nginx
async def test_client_that_leaves_nginx_within_an_answer_leaves_the_connection_to_others(tmp_path):
    class Gone(Taken):
        async def body(self, data, *, more):
            raise OSError

    async with nginx(tmp_path) as origin, http2_to(origin) as pool:
        for _ in range(5):
            with pytest.raises(Exception, match="went away"):
                await pool.forward(get(b"/large"), Client().receive, Gone())
        assert (await ask2(pool, get(b"/version"))).status == 200
        assert pool.open == 1


async def test_server_that_offers_no_http2_is_told_apart(tls, certificate):
    async def closes(reader, writer):
        writer.close()

    server = await asyncio.start_server(closes, "127.0.0.1", 0, ssl=tls)
    origin = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, http2_to(origin, PATIENT, trusting(certificate)) as pool:
        with pytest.raises(UpstreamError) as caught:
            await ask2(pool)
        assert caught.value.reason == Reason.UPSTREAM_PROTOCOL_ERROR
        assert "ALPN" in caught.value.detail


async def test_health_is_asked_in_the_version_of_the_route():
    health = HealthSettings(path="/version", timeout_s=10)
    async with hypercorn() as origin, http2_to(origin) as pool:
        assert await check(pool, health) == ""
        assert await check(pool, health) == ""
        assert pool.open == 1
    async with upstream(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as served, http2_to(served.origin) as pool:
        assert await check(pool, health) == Reason.UPSTREAM_PROTOCOL_ERROR


async def test_server_that_cannot_be_reached_leaves_its_requests_to_another():
    async with hypercorn() as origin:
        servers = (ServerOfUpstream(url="http://127.0.0.1:9"), ServerOfUpstream(url=origin))
        upstreams = Upstreams([UpstreamSettings(name="api", servers=servers)], lambda: 0.0, tls_context)
        _, carrier = upstreams.of(RouteSettings(upstream="api", http="2"))
        assert carrier is not None
        assert carrier.origins == ("http://127.0.0.1:9", origin)
        for _ in range(4):
            taken = Taken()
            await carrier.forward(post(3), Client(b"abc").receive, taken)
            assert (dict(taken.headers)[b"x-version"], dict(taken.headers)[b"x-size"]) == (b"2", b"3")
        await upstreams.close()


@needs_nginx
async def test_unix_socket_is_asked_in_http2(tmp_path):
    async with nginx(tmp_path) as _, http2_to(f"unix:{tmp_path}/socket") as pool:
        taken = await ask2(pool, get(b"/version"))
        assert dict(taken.headers)[b"x-version"] == b"HTTP/2.0"


async def test_route_says_the_version_and_shares_connections_with_its_like(certificate):
    async with hypercorn(certificate) as origin:
        upstreams = Upstreams([], lambda: 0.0, tls_context)
        route = RouteSettings(upstream=origin, tls_ca_file=certificate, http="2")
        sockets, carrier = upstreams.of(route)
        assert carrier is not None
        assert upstreams.of(replace(route, path="/other"))[1] is carrier
        assert upstreams.of(replace(route, http="1.1")) == (sockets, None)
        assert carrier.sockets is sockets
        for way, version in ((carrier.forward, b"2"), (upstreams.of(route)[1].forward, b"2")):
            taken = Taken()
            await way(get(), Client().receive, taken)
            assert dict(taken.headers)[b"x-version"] == version
        await upstreams.close()
        await until(lambda: not carrier.in_use)
