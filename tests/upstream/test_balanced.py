"""Several real servers as one upstream: who is asked, what happens when one is down, and when it is asked again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from gateway.core.reasons import Reason
from gateway.core.settings_model import (
    EjectionSettings,
    HealthSettings,
    RouteSettings,
    ServerOfUpstream,
    UpstreamSettings,
)
from gateway.errors import UpstreamError
from gateway.upstream.balanced import Balanced, check
from gateway.upstream.forward import ClientGoneError, Outgoing
from gateway.upstream.origin import Limits, Origin
from gateway.upstream.pool import Pool
from gateway.upstream.upstreams import Upstreams
from gateway.upstream.websocket import Refused, UpstreamWebSocket
from tests.upstream.upstream_kit import Client, Script, Taken, Upstream, answers, get, post, until, upstream
from tests.upstream.websocket_kit import accepted, echo

NOBODY = "http://127.0.0.1:9"
ROUTE = RouteSettings(upstream="api", connect_timeout_s=1, first_byte_timeout_s=0.2, idle_timeout_s=0.2)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def named(text: bytes, status: bytes = b"200 OK") -> Script:
    return answers(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text))


def settings(*urls: str, failures: int = 2, **more: object) -> UpstreamSettings:
    servers = tuple(ServerOfUpstream(url=url) for url in urls)
    return UpstreamSettings(name="api", servers=servers, ejection=EjectionSettings(failures=failures), **more)


@asynccontextmanager
async def balanced(upstream_settings: UpstreamSettings, clock: Clock | None = None) -> AsyncIterator[Balanced]:
    """A route's connections to several servers; at the end no connection is in use."""
    upstreams = Upstreams([upstream_settings], clock or Clock(), lambda route: None)
    _, found = upstreams.of(ROUTE)
    assert found is not None
    upstreams.start()
    try:
        yield found
        assert [pool.in_use for pool in found.pools] == [0] * len(found.pools)
    finally:
        await upstreams.close()


@asynccontextmanager
async def servers(*scripts: Script) -> AsyncIterator[list[Upstream]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(upstream(script)) for script in scripts]


async def ask(through: Balanced, request: Outgoing | None = None, client: Client | None = None) -> bytes:
    taken = Taken()
    await through.forward(request or get(), (client or Client()).receive, taken)
    assert taken.is_whole
    return bytes(taken.body_)


async def refused(through: Balanced, request: Outgoing | None = None) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await ask(through, request)
    return caught.value


async def test_servers_take_turns():
    async with servers(named(b"a"), named(b"b")) as (a, b), balanced(settings(a.origin, b.origin)) as through:
        assert [await ask(through) for _ in range(4)] == [b"a", b"b", b"a", b"b"]


async def test_a_request_that_did_not_reach_its_server_goes_to_another_whatever_its_method():
    async with servers(named(b"b")) as (b,), balanced(settings(NOBODY, b.origin)) as through:
        for _ in range(6):
            assert await ask(through, post(3), Client(b"abc")) == b"b"
        assert b.connections == 1
        assert through._servers.balance.servers[0].failures == 2, "after two failures it is left alone"


async def test_when_no_server_can_be_reached_the_last_failure_is_told_and_then_the_breaker_opens():
    clock = Clock()
    async with balanced(settings(NOBODY, "http://127.0.0.1:7"), clock) as through:
        for _ in range(2):
            assert (await refused(through)).reason == Reason.UPSTREAM_UNREACHABLE
        error = await refused(through)
        assert (error.reason, error.retry_after_s) == (Reason.UPSTREAM_UNAVAILABLE, 10)
        assert "api: of 2 servers 0 fail their health checks and 2 failed" in error.detail
        clock.now += 10
        assert (await refused(through)).reason == Reason.UPSTREAM_UNREACHABLE


@pytest.mark.parametrize("status", [b"502 No", b"503 No", b"504 No"])
async def test_a_server_that_says_it_cannot_is_left_alone_and_its_answers_are_passed_on(status):
    async with servers(named(b"a", status), named(b"b")) as (a, b), balanced(settings(a.origin, b.origin)) as through:
        got = [await ask(through) for _ in range(8)]
        assert (got.count(b"a"), got.count(b"b")) == (2, 6)


@pytest.mark.parametrize("status", [b"200 OK", b"404 No", b"500 No"])
async def test_other_answers_are_the_applications_business(status):
    async with servers(named(b"a", status), named(b"b")) as (a, b), balanced(settings(a.origin, b.origin)) as through:
        got = [await ask(through) for _ in range(8)]
        assert got.count(b"a") == 4


async def test_a_request_that_reached_a_server_is_never_sent_to_another():
    async def hangs_up(served, reader, writer):
        await served.request(reader)

    async with servers(hangs_up, named(b"b")) as (a, b), balanced(settings(a.origin, b.origin)) as through:
        assert (await refused(through)).reason == Reason.UPSTREAM_TRUNCATED
        assert (len(a.requests), len(b.requests)) == (1, 0)
        assert await ask(through) == b"b"


async def test_a_server_that_is_silent_counts_as_failing():
    async def silent(served, reader, writer):
        await served.request(reader)
        await asyncio.Event().wait()

    async with servers(silent, named(b"b")) as (a, b), balanced(settings(a.origin, b.origin, failures=1)) as through:
        assert (await refused(through)).reason == Reason.UPSTREAM_TIMEOUT
        assert [await ask(through) for _ in range(3)] == [b"b"] * 3


async def test_a_client_that_goes_away_or_breaks_the_rules_is_no_fault_of_the_server():
    async def silent(served, reader, writer):
        await served.request(reader)
        await asyncio.Event().wait()

    async with servers(silent) as (a,), balanced(settings(a.origin, failures=1)) as through:
        client = Client()
        client.gone.set()
        with pytest.raises(ClientGoneError):
            await ask(through, post(None), client)
        with pytest.raises(UpstreamError) as caught:
            await ask(through, post(2), Client(b"abc"))
        assert caught.value.reason == Reason.REQUEST_FRAMING_INVALID
        assert through._servers.balance.servers[0].failures == 0
        assert not through._servers.balance.servers[0].is_on_trial


async def test_a_server_comes_back_when_a_trial_went_well():
    clock = Clock()
    async with servers(named(b"a"), named(b"b")) as (a, b), balanced(settings(a.origin, b.origin), clock) as through:
        first = through._servers.balance.servers[0]
        through._servers.failed(first, "x")
        through._servers.failed(first, "x")
        assert [await ask(through) for _ in range(3)] == [b"b"] * 3
        clock.now += 10
        assert {await ask(through) for _ in range(4)} == {b"a", b"b"}
        assert first.failures == 0


async def test_a_busy_server_hands_over_to_another_and_is_not_blamed():
    async with servers(named(b"a"), named(b"b")) as (a, b), balanced(settings(a.origin, b.origin)) as through:
        through.pools[0].limits = replace(through.pools[0].limits, connections=0)
        assert [await ask(through) for _ in range(4)] == [b"b"] * 4
        through.pools[1].limits = replace(through.pools[1].limits, connections=0)
        await through.pools[1].close()
        assert (await refused(through, post(None))).reason == Reason.UPSTREAM_OVERLOADED
        assert [server.failures for server in through._servers.balance.servers] == [0, 0]


async def test_routes_share_what_is_known_and_connections_that_they_bound_alike():
    upstreams = Upstreams([settings(NOBODY)], Clock(), lambda route: None)
    (_, one), (_, two), (_, other) = (upstreams.of(route) for route in (ROUTE, ROUTE, replace(ROUTE, idle_timeout_s=9)))
    assert one is not None
    assert two is not None
    assert other is not None
    assert one.pools == two.pools
    assert one.pools != other.pools
    assert one._servers is other._servers
    pool, none = upstreams.of(replace(ROUTE, upstream=NOBODY))
    assert (pool is one.pools[0], none) == (True, None)
    await upstreams.close()


# ── health checks ──

HEALTH = HealthSettings(path="/healthz?x", interval_s=0.05, timeout_s=0.2, healthy=1, unhealthy=1)


async def test_a_server_that_fails_its_checks_gets_nothing_until_it_passes_them_again(caplog):
    state = {"status": b"500 No"}

    async def script(served, reader, writer):
        while True:
            head = await served.request(reader)
            text = b"HTTP/1.1 %b\r\ncontent-length: 1\r\n\r\na" % (
                state["status"] if b"/healthz" in head else b"200 OK"
            )
            writer.write(text)

    async with servers(script, named(b"b")) as (a, b):
        async with balanced(settings(a.origin, b.origin, health=HEALTH)) as through:
            first = through._servers.balance.servers[0]
            await until(lambda: not first.is_well)
            assert [await ask(through) for _ in range(3)] == [b"b"] * 3
            state["status"] = b"302 Found"
            await until(lambda: first.is_well)
            assert {await ask(through) for _ in range(4)} == {b"a", b"b"}
        assert a.requests[0].startswith(b"GET /healthz?x HTTP/1.1\r\nhost: 127.0.0.1:")
    assert "fails its health checks (status 500)" in caplog.text
    assert "passes its health checks again" in caplog.text


async def silent(served, reader, writer):
    await asyncio.Event().wait()


async def endless(served, reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (named(b""), ""),
        (named(b"x", b"399 Odd"), ""),
        (named(b"x", b"404 No"), "status 404"),
        (answers(b"what?\r\n\r\n"), "upstream-protocol-error"),
        (silent, "within 0.2 s"),
        (endless, "within 0.2 s"),
    ],
    ids=["200", "399", "404", "no HTTP", "silent", "endless"],
)
async def test_a_check_wants_a_whole_answer_in_time(script, problem):
    limits = Limits(connect_s=1, first_byte_s=5, idle_s=5)
    async with servers(script) as (a,):
        pool = Pool(Origin.parse(a.origin), limits)
        found = await check(pool, HEALTH)
        assert problem in found
        assert bool(problem) is bool(found)
        await until(lambda: pool.in_use == 0)
        await pool.close()


async def test_a_check_of_nobody_says_so():
    pool = Pool(Origin.parse(NOBODY), Limits())
    assert await check(pool, HEALTH) == Reason.UPSTREAM_UNREACHABLE


# ── under load ──


async def test_a_server_dies_under_load_and_comes_back_and_no_request_is_lost():
    """Those that were sent to the dead one on kept connections are repeated, the others never reached it."""
    clock = Clock()
    async with servers(named(b"b"), named(b"c")) as (b, c):
        async with upstream(named(b"a")) as a:
            address = a.origin
            through_context = balanced(settings(address, b.origin, c.origin), clock)
            through = await through_context.__aenter__()
            got = await asyncio.gather(*(ask(through) for _ in range(60)))
            assert set(got) == {b"a", b"b", b"c"}
            running = [asyncio.create_task(ask(through)) for _ in range(60)]
        got = await asyncio.gather(*running, *(ask(through) for _ in range(60)))
        assert set(got) >= {b"b", b"c"}
        assert [await ask(through) for _ in range(10)].count(b"a") == 0
        async with upstream(named(b"a")) as again:
            through.pools[0].origin = Origin.parse(again.origin)
            clock.now += 400
            assert b"a" in {await ask(through) for _ in range(6)}
            await through_context.__aexit__(None, None, None)


# ── WebSockets ──


def head(headers: list[tuple[bytes, bytes]]) -> bytes:
    return Outgoing("GET", b"/ws", [(b"host", b"app.example.com"), *headers], 0).head()


async def open_socket(through: Balanced) -> UpstreamWebSocket:
    return await through.connect(head, (), 1000)


async def until_free(through: Balanced) -> None:
    await until(lambda: not any(pool.in_use for pool in through.pools))


def failures(through: Balanced) -> list[int]:
    return [server.failures for server in through._servers.balance.servers]


async def test_websockets_take_turns_with_requests():
    async def both(served, reader, writer):
        await (accepted(echo) if served.connections == 2 else named(b"a"))(served, reader, writer)

    async with servers(both, both) as (a, b), balanced(settings(a.origin, b.origin)) as through:
        assert [await ask(through), await ask(through)] == [b"a", b"a"]
        for _ in range(2):
            (await open_socket(through)).abort()
        assert (a.connections, b.connections) == (2, 2)
        await until_free(through)


async def test_a_websocket_goes_to_another_server_when_one_cannot_be_reached():
    async with servers(accepted(echo)) as (b,), balanced(settings(NOBODY, b.origin)) as through:
        for _ in range(6):
            socket = await open_socket(through)
            await socket.send(b"hello", is_text=True)
            assert "hello" in repr(await socket.receive())
            socket.abort()
        assert (b.connections, failures(through)) == (6, [2, 0]), "after two failures it is left alone"
        await until_free(through)


async def test_when_no_server_can_be_reached_websockets_open_the_breaker_too():
    clock = Clock()
    async with balanced(settings(NOBODY, "http://127.0.0.1:7"), clock) as through:
        for reason in (Reason.UPSTREAM_UNREACHABLE,) * 2 + (Reason.UPSTREAM_UNAVAILABLE,):
            with pytest.raises(UpstreamError) as caught:
                await open_socket(through)
            assert caught.value.reason == reason
        assert caught.value.retry_after_s == 10
        assert (await refused(through)).reason == Reason.UPSTREAM_UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "counted"), [(b"502 No", 1), (b"503 No", 1), (b"504 No", 1), (b"404 No", 0), (b"200 OK", 0)]
)
async def test_a_server_that_answers_an_opening_is_judged_by_its_status(status, counted):
    async with (
        servers(named(b"a", status), accepted(echo)) as (a, b),
        balanced(settings(a.origin, b.origin, failures=9)) as through,
    ):
        with pytest.raises(Refused) as caught:
            await open_socket(through)
        assert caught.value.body == b"a"
        assert (failures(through), b.connections) == ([counted, 0], 0), "it was answered: nobody else is asked"
        await until_free(through)


@pytest.mark.parametrize("script", [answers(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), silent])
async def test_a_server_that_spoils_an_opening_is_counted_and_nobody_else_gets_it(script):
    async with servers(script, accepted(echo)) as (a, b), balanced(settings(a.origin, b.origin)) as through:
        with pytest.raises(UpstreamError) as caught:
            await open_socket(through)
        assert caught.value.reason in {Reason.UPSTREAM_PROTOCOL_ERROR, Reason.UPSTREAM_TIMEOUT}
        assert (failures(through), b.connections) == ([1, 0], 0)
        await until_free(through)


async def test_an_opening_that_went_well_brings_a_server_back_and_its_end_takes_nothing_away():
    clock = Clock()
    async with servers(accepted(echo)) as (a,), balanced(settings(a.origin, failures=1), clock) as through:
        (server,) = through._servers.balance.servers
        through._servers.failed(server, "x")
        clock.now += 10
        socket = await open_socket(through)
        assert (server.failures, server.is_on_trial) == (0, False)
        await a.close()
        assert await socket.receive() is None
        assert server.failures == 0
        await until_free(through)


async def test_an_opening_whose_client_went_away_is_no_fault_of_the_server():
    async with servers(silent) as (a,), balanced(settings(a.origin, failures=1)) as through:
        (server,) = through._servers.balance.servers
        task = asyncio.create_task(open_socket(through))
        await until(lambda: a.connections)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (server.failures, server.is_on_trial) == (0, False)
        await until_free(through)


async def test_an_open_websocket_is_a_connection_among_those_that_are_counted():
    async with (
        servers(accepted(echo), accepted(echo)) as (a, b),
        balanced(settings(a.origin, b.origin, balance="least_connections")) as through,
    ):
        sockets = {0: [], 1: []}
        for _ in range(4):
            before = a.connections
            socket = await open_socket(through)
            sockets[0 if a.connections > before else 1].append(socket)
        assert [pool.in_use for pool in through.pools] == [2, 2]
        for socket in sockets[0]:
            socket.abort()
        await until(lambda: through.pools[0].in_use == 0)
        more = [await open_socket(through) for _ in range(2)]
        assert [pool.in_use for pool in through.pools] == [2, 2]
        assert (a.connections, b.connections) == (4, 2)
        for socket in (*sockets[1], *more):
            socket.abort()
        await until_free(through)


async def test_a_server_with_no_connection_left_hands_a_websocket_over():
    async with servers(accepted(echo), accepted(echo)) as (a, b), balanced(settings(a.origin, b.origin)) as through:
        through.pools[0].limits = replace(through.pools[0].limits, connections=0)
        sockets = [await open_socket(through) for _ in range(3)]
        assert (a.connections, b.connections, failures(through)) == (0, 3, [0, 0])
        for socket in sockets:
            socket.abort()
        await until_free(through)
