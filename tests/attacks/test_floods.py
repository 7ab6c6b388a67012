"""Clients that send too much of something, against ``gateway serve``: what they are told; others are served."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gateway.core.reasons import Reason
from tests.attacks.attack_kit import TRUSTED, Reply, Target
from tests.attacks.doors import proxy_door
from tests.faults.shipped import measured

ROOM, ROOM_EACH = 40, 10
HOST = b"Host: app.example.test\r\n"
START = b"GET /health HTTP/1.1\r\n" + HOST
CHUNKED = b"POST /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = START + b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway with room for few connections."""
    room = f"max_connections = {ROOM}\nmax_connections_per_address = {ROOM_EACH}"
    with proxy_door(tmp_path_factory.mktemp("floods"), room) as target:
        yield target


def answered(target: Target, data: bytes) -> bytes:
    """Send all, however much of it is taken, and return what comes until the gateway closes."""
    return target.raw(data, 20)


@pytest.mark.parametrize(
    "head",
    [
        START + b"a:\r\n" * 20_000 + b"\r\n",
        START + b"x: y\r\n" * 300 + b"\r\n",
        START + b"x: " + b"y" * 1_000_000 + b"\r\n\r\n",
        START + b"x: " + b"y" * 1_000_000,
        START + b"x" * 1_000_000 + b": y\r\n\r\n",
        b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /" + b"x" * 1_000_000,
        b"G" * 1_000_000,
    ],
    ids=["tiny headers", "headers", "a value", "an endless value", "a name", "a target", "an endless target", "no end"],
)
def test_a_head_that_is_too_large_is_431_and_the_end(proxy: Target, head: bytes) -> None:
    before = proxy.count
    # Closed with bytes unread, the system may take an answer back on its way (RFC 9112 section 9.6).
    replies = [Reply.parse(answered(proxy, head)) for _ in range(3)]
    assert {(reply.status, reply.header("x-clerk-auth-reason")) for reply in replies if reply.raw} == {
        (431, Reason.REQUEST_HEADERS_TOO_LARGE)
    }
    assert proxy.arrived(before) == []
    assert proxy.get("/health").status == 200


@pytest.mark.parametrize("count", [1000, 8000])
def test_each_of_very_many_requests_in_one_piece_is_answered_in_its_turn(proxy: Target, count: int) -> None:
    health = b"GET /.gateway/healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    refused = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    answer = answered(proxy, (health + refused) * (count // 2) + LAST)
    assert re.findall(rb"HTTP/1\.1 (\d{3}) ", answer) == [b"200", b"401"] * (count // 2) + [b"200"]


def test_whoever_sends_requests_and_reads_no_answer_is_read_no_further(proxy: Target) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        connection.settimeout(1)
        sent, piece = 0, (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 1000
        try:
            while sent < 200 * 1024 * 1024:
                sent += connection.send(piece)
        except TimeoutError:
            pass
        assert sent < 100 * 1024 * 1024
        assert proxy.get("/health").status == 200


def test_whoever_asks_one_by_one_and_reads_no_answer_is_read_no_further(proxy: Target) -> None:
    proxy.upstream.answers["/health/large"] = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        before, asked = proxy.count, 0
        while proxy.count - before == asked and asked < 2000:
            connection.sendall(b"GET /health/large HTTP/1.1\r\n" + HOST + b"\r\n")
            asked += 1
            proxy_has_asked(proxy, before + asked)
    assert asked < 500  # 30 MB: what the system holds of it, and a window
    assert proxy.get("/health").status == 200


def proxy_has_asked(proxy: Target, count: int) -> None:
    """Wait until the upstream was asked so often, or seems not to be."""
    until_s = time.monotonic() + 1
    while proxy.count < count and time.monotonic() < until_s:
        time.sleep(0.001)


@pytest.mark.parametrize(
    "body",
    [
        b"5;" + b"x" * 500_000,
        b"5;" + b"x" * 500_000 + b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
        b"5\r\nhello\r\n0\r\nx: " + b"y" * 500_000,
        b"0" * 500_000,
    ],
    ids=["an endless extension", "a large extension", "trailers", "an endless trailer", "an endless size"],
)
def test_what_is_no_body_is_bounded_within_one(proxy: Target, body: bytes) -> None:
    before = [request.body for request in proxy.upstream.requests].count(b"hello")
    replies = [Reply.parse(answered(proxy, CHUNKED + body)) for _ in range(3)]
    assert {(reply.status, reply.header("x-clerk-auth-reason")) for reply in replies if reply.raw} == {
        (400, Reason.REQUEST_FRAMING_INVALID)
    }
    assert [request.body for request in proxy.upstream.requests].count(b"hello") == before
    assert proxy.get("/health").status == 200


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"0000001;a=b\r\nx\r\n"], ids=["plain", "with extensions"])
def test_a_body_in_chunks_of_one_byte_arrives_whole(proxy: Target, chunk: bytes) -> None:
    assert Reply.parse(answered(proxy, CHUNKED + chunk * 50_000 + b"0\r\n\r\n")).status == 200
    assert proxy.upstream.requests[-1].body == b"x" * 50_000


def test_connections_beyond_the_bound_are_503_and_those_that_are_there_go_on(small: Target) -> None:
    with ExitStack() as stack:
        sources = [f"127.0.0.{number}" for number in range(11, 11 + ROOM // ROOM_EACH)]
        held = [stack.enter_context(small._connected(source)) for source in sources for _ in range(ROOM_EACH)]
        for connection in held:
            connection.sendall(START + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        for _ in range(3):
            assert overloaded(Reply.parse(small.raw(START + b"\r\n", source=TRUSTED)))
        held[0].sendall(b"GET /.gateway/healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert held[0].recv(65536).startswith(b"HTTP/1.1 200")
        held[1].close()
        assert any(small.get("/health", source=TRUSTED).status == 200 for _ in range(50))
    assert any(small.get("/health").status == 200 for _ in range(50))


def test_one_address_takes_no_more_than_its_share(small: Target) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(small._connected("127.0.0.9")) for _ in range(ROOM_EACH)]
        for connection in held:
            connection.sendall(START + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert overloaded(Reply.parse(small.raw(START + b"\r\n", source="127.0.0.9")))
        assert small.get("/health", source=TRUSTED).status == 200
    assert any(small.get("/health", source="127.0.0.9").status == 200 for _ in range(50))


def overloaded(reply: Reply) -> bool:
    is_told = reply.status == 503 and reply.header("x-clerk-auth-reason") == Reason.GATEWAY_OVERLOADED
    return is_told and int(reply.header("retry-after")) > 0


def test_a_flood_of_connections_costs_no_memory_in_the_end(small: Target) -> None:
    pid = small.log.process.pid  # type: ignore[attr-defined]
    before = 0.0
    for turn in range(4):
        for _ in range(500):
            with small._connected("127.0.0.9") as connection:
                connection.sendall(START)
        before = before if turn else measured(pid)[0]
    assert any(small.get("/health").status == 200 for _ in range(50))
    assert measured(pid)[0] - before < 8
