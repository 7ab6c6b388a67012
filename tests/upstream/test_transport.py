"""httpx over the gateway's connections: as its own transport, with our time-outs and judgement."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from gateway.upstream.transport import UpstreamTransport
from tests.upstream.test_forward import closing_after_one, silent
from tests.upstream.upstream_kit import HELLO, TINY, answers, until, upstream

PATIENT = replace(TINY, first_byte_s=10, idle_s=10)


@asynccontextmanager
async def client_to(script, limits=PATIENT):
    async with upstream(script) as served:
        transport = UpstreamTransport(limits)
        async with httpx.AsyncClient(transport=transport, base_url=served.origin, timeout=5) as client:
            yield client, served, transport
            assert all(pool.in_use == 0 for pool in transport._pools.values())


async def test_requests_share_a_connection_and_answers_are_read():
    async with client_to(answers(HELLO)) as (client, served, _):
        for _ in range(3):
            answer = await client.get("/a", params={"b": "c"})
            assert (answer.status_code, answer.text, answer.http_version) == (200, "hello", "HTTP/1.1")
        assert served.connections == 1
        assert served.requests[0].startswith(b"GET /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:")


async def test_bodies_are_sent_with_and_without_a_length():
    got = []

    async def script(served, reader, writer):
        while True:
            got.append(await served.body(reader, await served.request(reader)))
            writer.write(HELLO)

    async def pieces():
        yield b"abc"
        yield b"def"

    async with client_to(script) as (client, served, _):
        assert (await client.post("/", content=b"abcdef")).text == "hello"
        assert (await client.post("/", content=pieces())).text == "hello"
        assert (await client.post("/")).text == "hello"
        assert got == [b"abcdef", b"abcdef", b""]
        assert served.connections == 1


async def test_answers_stream_and_what_is_not_read_costs_the_connection():
    parts = (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc", b"def")
    async with client_to(answers(*parts)) as (client, served, transport):
        async with client.stream("GET", "/") as answer:
            assert b"".join([piece async for piece in answer.aiter_raw()]) == b"abcdef"
        async with client.stream("GET", "/") as answer:
            assert answer.status_code == 200
        (pool,) = transport._pools.values()
        assert (pool.in_use, pool.idle, served.connections) == (0, 0, 1)


async def test_stale_connection_is_replaced_for_what_may_be_repeated():
    async with client_to(closing_after_one()) as (client, served, _):
        await client.get("/")
        assert (await client.get("/")).text == "hello"
        assert served.connections == 2
    async with client_to(closing_after_one()) as (client, served, _):
        await client.get("/")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/", content=b"abc")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (silent, httpx.ReadTimeout),
        (answers(b"nonsense\r\n\r\n", then_close=True), httpx.RemoteProtocolError),
        (answers(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhell", then_close=True), httpx.RemoteProtocolError),
    ],
)
async def test_what_goes_wrong_is_an_error_of_httpx(script, error):
    async with client_to(script, TINY) as (client, _, _):
        with pytest.raises(error):
            await client.get("/")


async def test_the_clients_own_time_out_holds():
    async with client_to(silent) as (client, _, _):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/", timeout=0.05)


async def test_what_cannot_be_reached_is_an_error_of_httpx():
    async with httpx.AsyncClient(transport=UpstreamTransport(TINY)) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")
        with pytest.raises(httpx.UnsupportedProtocol):
            await client.get("ftp://127.0.0.1/")


async def test_more_requests_than_connections_are_refused():
    async with client_to(silent, replace(PATIENT, connections=1)) as (client, served, _):
        first = asyncio.create_task(client.get("/"))
        await until(lambda: served.requests)
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
