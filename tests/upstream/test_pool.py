"""How many connections there are, and which ones; TLS and Unix sockets."""

import asyncio
import gc
import ssl
from contextlib import suppress
from dataclasses import replace

import pytest

from gateway.adapters.upstream_tls import tls_context
from gateway.core.reasons import Reason
from gateway.core.settings_model import RouteSettings
from gateway.core.window import LEAST_BYTES, MOST_BYTES, Window
from gateway.errors import UpstreamError
from gateway.upstream.connection import Connection
from gateway.upstream.incoming import Incoming
from gateway.upstream.origin import Limits, Origin
from gateway.upstream.pool import Pool
from tests.upstream.upstream_kit import HELLO, TINY, answers, ask, pool_to, until, upstream

PATIENT = replace(TINY, first_byte_s=10, idle_s=10)


async def test_connections_beyond_the_limit_are_refused_and_said():
    async def script(served, reader, writer):
        while True:
            await served.request(reader)
            await go.wait()
            writer.write(HELLO)

    go = asyncio.Event()
    async with upstream(script) as served, pool_to(served, PATIENT) as pool:
        tasks = [asyncio.create_task(ask(pool)) for _ in range(4)]
        await until(lambda: len(served.requests) == 4)
        with pytest.raises(UpstreamError) as caught:
            await ask(pool)
        assert caught.value.reason == Reason.UPSTREAM_OVERLOADED
        go.set()
        await asyncio.gather(*tasks)
        assert (pool.in_use, pool.idle) == (0, 4)
        assert (await ask(pool)).body_ == b"hello"


async def test_fresh_connection_makes_room_among_the_idle_ones():
    async with upstream(answers(HELLO)) as served, pool_to(served, replace(PATIENT, connections=2)) as pool:
        first, second = await pool.acquire(), await pool.acquire()
        for connection in (first, second):
            connection.begin(b"GET / HTTP/1.1\r\n\r\n", is_head=False)
            await connection.wait_head()
            assert await connection.read() == b"hello"
            pool.release(connection)
        assert (pool.in_use, pool.idle) == (0, 2)
        third = await pool.acquire(fresh=True)
        assert third not in {first, second}
        assert (pool.in_use, pool.idle, first.is_closed, second.is_closed) == (1, 1, True, False)
        pool.release(third)


async def test_idle_connection_that_the_upstream_closes_leaves_at_once():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(HELLO)
        await go.wait()

    go = asyncio.Event()
    async with upstream(script) as served, pool_to(served, PATIENT) as pool:
        await asyncio.gather(*(ask(pool) for _ in range(4)))
        assert pool.idle == 4
        go.set()
        await until(lambda: pool.idle == 0)


async def test_idle_connections_go_when_they_are_old_though_no_request_comes():
    async with upstream(answers(HELLO)) as served, pool_to(served, replace(PATIENT, keep_alive_s=0.05)) as pool:
        await ask(pool)
        first = pool._idle[0]
        await until(lambda: pool.idle == 0)
        assert first.is_closed
        assert (await ask(pool)).body_ == b"hello"
        assert len(served.requests) == 2


async def test_idle_connection_that_speaks_leaves_at_once():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(HELLO)
        await go.wait()
        writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    go = asyncio.Event()
    async with upstream(script) as served, pool_to(served, PATIENT) as pool:
        await ask(pool)
        go.set()
        await until(lambda: pool.idle == 0)
        assert (await ask(pool)).status == 200


async def test_old_connections_go_when_others_come_and_the_last_used_is_taken_first():
    async with upstream(answers(HELLO)) as served, pool_to(served, replace(PATIENT, keep_alive_s=0.05)) as pool:
        await asyncio.gather(*(ask(pool) for _ in range(4)))
        assert pool.idle == 4
        newest = pool._idle[-1]
        connection = await pool.acquire()
        assert connection is newest
        await asyncio.sleep(0.06)
        pool.release(connection)
        # Nothing was exchanged, so this one is not kept either.
        await ask(pool)
        assert pool.idle == 1
        assert served.connections == 5


async def test_cancelled_acquire_holds_nothing():
    async with upstream(answers(HELLO)) as served, pool_to(served, PATIENT) as pool:
        for steps in range(6):
            task = asyncio.create_task(pool.acquire())
            for _ in range(steps):
                await asyncio.sleep(0)
            if task.done():
                pool.release(task.result())
                continue
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert pool.in_use == 0


async def test_closed_pool_keeps_nothing():
    async def script(served, reader, writer):
        await served.request(reader)
        await go.wait()
        writer.write(HELLO)
        await reader.read()

    go = asyncio.Event()
    async with upstream(script) as served, pool_to(served, PATIENT) as pool:
        task = asyncio.create_task(ask(pool))
        await until(lambda: served.requests)
        await pool.close()
        go.set()
        assert (await task).body_ == b"hello"
        assert (pool.in_use, pool.idle) == (0, 0)
        await asyncio.wait_for(served.is_left.wait(), 5)


async def test_connection_without_an_exchange_has_nothing_to_read():
    async with upstream(answers(HELLO)) as served, pool_to(served, PATIENT) as pool:
        connection = await pool.acquire()
        with pytest.raises(RuntimeError, match="no exchange"):
            await connection.read()
        pool.release(connection)
        assert connection.is_closed


async def test_the_more_connections_there_are_the_less_waits_to_be_written_on_each():
    class Bounded(asyncio.Transport):
        def set_write_buffer_limits(self, high=None, low=None):
            self.high = high

    window = Window()
    for connections, most in ((1, MOST_BYTES), (1000, LEAST_BYTES)):
        window.share(connections)
        transport = Bounded()
        Connection(Limits(), asyncio.get_running_loop(), lambda gone: None, window).connection_made(transport)
        assert transport.high == most


async def test_unix_socket_is_served(tmp_path):
    async with upstream(answers(HELLO), path=str(tmp_path / "s")) as served, pool_to(served) as pool:
        assert (await ask(pool)).body_ == b"hello"
        assert (await ask(pool)).body_ == b"hello"
        assert served.connections == 1


async def test_unix_socket_that_is_not_there_is_unreachable(tmp_path):
    async with pool_to(f"unix:{tmp_path / 'none'}") as pool:
        with pytest.raises(UpstreamError) as caught:
            await ask(pool)
        assert caught.value.reason == Reason.UPSTREAM_UNREACHABLE


async def test_tls_upstream_that_nobody_vouches_for_is_refused(tls):
    async with upstream(answers(HELLO), tls=tls) as served, pool_to(served, PATIENT) as pool:
        with pytest.raises(UpstreamError) as caught:
            await ask(pool)
        assert caught.value.reason == Reason.UPSTREAM_TLS
        assert not served.requests


async def test_tls_upstream_that_is_trusted_is_served(tls, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    async with upstream(answers(HELLO), tls=tls) as served, pool_to(served, PATIENT) as pool:
        for _ in range(3):
            assert (await ask(pool)).body_ == b"hello"
        assert served.connections == 1


async def test_plain_text_where_tls_was_expected_is_refused():
    async def script(served, reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with upstream(script) as served, pool_to(served.origin.replace("http:", "https:")) as pool:
        with pytest.raises(UpstreamError) as caught:
            await ask(pool)
        assert caught.value.reason == Reason.UPSTREAM_TLS


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://up:81", Origin("http://up:81", "up", 81)),
        ("http://up", Origin("http://up", "up", 80)),
        ("https://up", Origin("https://up", "up", 443, is_tls=True)),
        ("https://[::1]:8443", Origin("https://[::1]:8443", "::1", 8443, is_tls=True)),
        ("unix:/run/up.sock", Origin("unix:/run/up.sock", path="/run/up.sock")),
    ],
)
def test_origins_are_read(text, origin):
    assert Origin.parse(text) == origin
    assert (origin.tls_context() is not None) is origin.is_tls


@pytest.mark.parametrize("text", ["ftp://up", "up:80", "http://", ""])
def test_what_is_no_origin_is_refused(text):
    with pytest.raises(ValueError, match="an upstream is"):
        Origin.parse(text)


def test_pool_has_limits_of_its_own():
    assert Pool(Origin.parse("http://up")).limits == Limits()


def test_limits_are_what_a_route_says():
    route = RouteSettings(
        connect_timeout_s=1,
        first_byte_timeout_s=2,
        idle_timeout_s=3,
        total_timeout_s=4,
        keep_alive_s=5,
        max_connections=6,
    )
    assert Limits.of(route) == Limits(1, 2, 3, 4, 5, 6)
    assert Limits.of(RouteSettings()) == Limits()


async def test_upstream_that_asks_for_a_certificate_gets_ours(tls, certificate):
    tls.load_verify_locations(certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    async with upstream(answers(HELLO), tls=tls) as served:
        trusting = RouteSettings(upstream=served.origin, tls_ca_file=certificate)
        for route, answers_ in ((trusting, False), (replace(trusting, tls_certificate_file=certificate), True)):
            pool = Pool(Origin.parse(served.origin), PATIENT, tls_context(route))
            if answers_:
                assert (await ask(pool)).body_ == b"hello"
            else:
                with pytest.raises(UpstreamError):
                    await ask(pool)
            await pool.close()


async def test_certificate_has_to_bear_the_name_that_is_set(tls, certificate):
    async with upstream(answers(HELLO), tls=tls) as served:
        context = tls_context(RouteSettings(upstream=served.origin, tls_ca_file=certificate))
        pool = Pool(replace(Origin.parse(served.origin), name="other.internal"), PATIENT, context)
        with pytest.raises(UpstreamError) as caught:
            await ask(pool)
        assert caught.value.reason == Reason.UPSTREAM_TLS
        await pool.close()


@pytest.mark.parametrize(
    "answer",
    [
        HELLO,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
    ids=["good", "too many headers", "too short", "broken", "nothing"],
)
async def test_nothing_of_an_exchange_waits_for_the_garbage_collector(answer):
    """It comes late, and meanwhile a bad upstream's answers would fill the memory."""
    async with upstream(answers(answer, then_close=answer != HELLO)) as served, pool_to(served) as pool:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                with suppress(UpstreamError):
                    await ask(pool)
            await until(lambda: not pool.in_use)
            await asyncio.sleep(0)
            left = [type(found) for found in gc.get_objects() if isinstance(found, Incoming | Connection)]
            assert left.count(Incoming) == 0
            assert left.count(Connection) == pool.idle
        finally:
            gc.enable()
