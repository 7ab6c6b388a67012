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
from tests.upstream.upstream_kit import Client, Script, Taken, Upstream, answers, get, post, until, upstream

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


async def test_a_websocket_gets_the_server_whose_turn_it_is():
    async with balanced(settings(NOBODY, "http://127.0.0.1:7", failures=1)) as through:
        assert {through.pool() for _ in range(2)} == set(through.pools)
        for server in through._servers.balance.servers:
            through._servers.failed(server, "x")
        with pytest.raises(UpstreamError) as caught:
            through.pool()
        assert caught.value.reason == Reason.UPSTREAM_UNAVAILABLE
