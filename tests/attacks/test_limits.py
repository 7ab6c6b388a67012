"""Clients that are slow, idle or many, against ``gateway serve``: bounded in time and memory, and others are served."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.attacks.attack_kit import Authority, Target, Upstream, config_of
from tests.e2e.processes import Command, free_port
from tests.faults.shipped import measured

MIB = 1024 * 1024
MANY = 400
START = b"HTTP/1.1\r\nHost: a\r\n"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (8 * MIB) + bytes(8 * MIB)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, int]]:
    """A gateway of its own, so that nobody else's memory is measured; and its process."""
    authority, upstream, port = Authority(), Upstream(), free_port()
    config = tmp_path_factory.mktemp("limits") / "config.toml"
    config.write_text(config_of(authority, upstream.url, port, "max_requests = 1000"))
    config.chmod(0o600)
    with Command("serve", "--config", str(config)) as gateway:
        gateway.wait_for("listens on")
        yield Target(port, upstream, authority, gateway), gateway.process.pid
    for server in (authority, upstream):
        server.shutdown()
        server.server_close()


def resident_mib(pid: int) -> float:
    return measured(pid)[0]


@contextmanager
def crowd(port: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Many connections that send the same and then nothing."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 10)) for _ in range(MANY)]
        for connection in found:
            connection.sendall(sent)
        yield found


@pytest.mark.parametrize(
    ("sent", "kib_each"),
    [
        (b"", 32),
        (b"GET /health " + START + b"X-Slow: ", 32),
        (b"GET /health " + START + b"\r\n", 64),
        (b"GET /health " + START + b"X: " + b"a" * 60_000, 256),
        (b"POST /health " + START + b"Content-Length: 1000000\r\n\r\nab", 128),
        (b"POST /health " + START + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\nab", 128),
    ],
    ids=[
        "nothing",
        "part of a head",
        "a request, then idle",
        "a large part of a head",
        "part of a body",
        "part of a chunk",
    ],
)
def test_a_crowd_of_slow_clients_costs_little_and_others_are_served(
    alone: tuple[Target, int], sent: bytes, kib_each: int
) -> None:
    target, pid = alone
    target.get("/health")
    before = resident_mib(pid)
    with crowd(target.port, sent):
        started = time.monotonic()
        assert target.get("/health").status == 200
        assert time.monotonic() - started < 2
        assert target.get("/.gateway/healthz").status == 200
        assert resident_mib(pid) - before < MANY * kib_each / 1024 + 8


def test_clients_that_read_nothing_hold_a_window_each_and_no_more(alone: tuple[Target, int]) -> None:
    target, pid = alone
    target.upstream.answers["/health/large"] = LARGE
    target.get("/health")
    before = resident_mib(pid)
    with ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", target.port), 10))
            connection.sendall(b"GET /health/large " + START + b"\r\n")
            assert connection.recv(100)
        assert target.get("/health").status == 200
        assert resident_mib(pid) - before < 20 * 2 + 8
