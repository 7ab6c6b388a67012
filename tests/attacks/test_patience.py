"""Clients that are slow, before ``gateway serve`` with little patience: what each is told; nobody waits forever."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.attacks.attack_kit import Recorded, Target, UpstreamHandler
from tests.attacks.doors import proxy_door

SETTINGS = "head_timeout_s = 0.5\nkeep_alive_s = 1"
ROUTES = """
[[routes]]
path = "/slow"
access = "public"
idle_timeout_s = 0.5
loosens = true
upstream = "UPSTREAM"
"""
HOST = b"Host: app.example.test\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /slow HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LATE = b"x-clerk-auth-reason: request-timeout"
PIECES = 512


class Poll(UpstreamHandler):
    """Answers when it is told to, or more than anybody reads."""

    turn = threading.Semaphore(0)

    def answer(self, request: Recorded) -> bool:
        """Answer."""
        if request.path == "/health/poll":
            self.turn.acquire(timeout=30)
        elif request.path == "/health/events":
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            for number in range(3):
                self.wfile.write(b"9\r\ndata: %d\n\n\r\n" % number)
                self.turn.acquire(timeout=30)
            self.wfile.write(b"0\r\n\r\n")
            return True
        elif request.path == "/slow/large":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (PIECES * 65536))
            for _ in range(PIECES):
                self.wfile.write(bytes(65536))
            return True
        return super().answer(request)

    def handle(self) -> None:
        """Serve, and do not mind a gateway that goes."""
        with suppress(ConnectionError, ValueError):
            super().handle()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with proxy_door(tmp_path_factory.mktemp("patience"), SETTINGS, ROUTES, Poll) as target:
        yield target


def until_closed(target: Target, start: bytes, drip: bytes = b"") -> bytes:
    """Send a start, then bytes one by one, and return what comes until the gateway closes."""
    answer, place, deadline = b"", 0, time.monotonic() + 20
    with socket.create_connection(("127.0.0.1", target.port), 5) as connection:
        connection.sendall(start)
        connection.settimeout(0.05)
        while time.monotonic() < deadline:
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                if drip:
                    connection.sendall(drip[place % len(drip) :][:1])
                    place += 1
            except ConnectionError:
                return answer
            else:
                if not piece:
                    return answer
                answer += piece
    raise AssertionError(f"it is open still: {answer!r}")


def statuses(answer: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)


@pytest.mark.parametrize(
    ("start", "drip", "expected"),
    [
        (b"", b"", []),
        (b"", b"\r\n", []),
        (b"GET /health HT", b"", [b"408"]),
        (b"GET /health HTTP/1.1\r\n" + HOST, b"X: a\r\n", [b"408"]),
        (GET, b"", [b"200"]),
        (GET, b"\r\n", [b"200"]),
        (GET + b"GET", b"", [b"200", b"408"]),
        (GET + b"GET /health HTTP/1.1\r\n", b"X: a\r\n", [b"200", b"408"]),
    ],
    ids=[
        "nothing",
        "empty lines",
        "part of a head",
        "a head that drips",
        "idle after a request",
        "empty lines after a request",
        "part of the next head",
        "a next head that drips",
    ],
)
def test_whoever_does_not_come_to_an_end_of_a_head_is_told_and_closed(
    hasty: Target, start: bytes, drip: bytes, expected: list[bytes]
) -> None:
    answer = until_closed(hasty, start, drip)
    assert statuses(answer) == expected
    assert (LATE in answer) == (b"408" in expected)


@pytest.mark.parametrize(
    ("start", "drip"),
    [
        (POST + b"Content-Length: 10\r\n\r\n", b""),
        (POST + b"Content-Length: 10\r\n\r\nabc", b""),
        (POST + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", b""),
        (CHUNKED, b""),
        (CHUNKED + b"5\r\nab", b""),
        (CHUNKED + b"5;", b"extension"),
        (CHUNKED + b"2\r\nab\r\n0\r\n", b"X: trailer\r\n"),
        (CHUNKED, b"0"),
    ],
    ids=[
        "no body",
        "part of a body",
        "no body though it was told to go on",
        "no chunk",
        "part of a chunk",
        "an extension that drips",
        "trailers that drip",
        "a size that drips",
    ],
)
def test_whoever_does_not_come_to_an_end_of_a_body_is_told_and_closed(hasty: Target, start: bytes, drip: bytes) -> None:
    answer = until_closed(hasty, start, drip)
    assert [status for status in statuses(answer) if status != b"100"] == [b"408"]
    assert LATE in answer
    assert hasty.get("/health").status == 200


def test_a_body_that_drips_goes_on_while_it_does(hasty: Target) -> None:
    start = POST + b"Connection: close\r\nContent-Length: 20\r\n\r\n"
    assert statuses(until_closed(hasty, start, b"drop by drop, twenty")) == [b"200"]
    assert hasty.upstream.requests[-1].body == b"drop by drop, twenty"


def test_a_client_that_reads_nothing_is_cut_and_gets_no_whole_answer(hasty: Target) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), 20) as connection:
        connection.sendall(b"GET /slow/large HTTP/1.1\r\n" + HOST + b"\r\n")
        hasty.log.wait_for("GET +/slow/large.*the client went away")
        got = 0
        try:
            while piece := connection.recv(65536):
                got += len(piece)
        except ConnectionError:
            pass
    assert got < PIECES * 65536
    assert hasty.get("/health").status == 200


def until_time_has_passed(target: Target) -> None:
    """Wait until a connection that does nothing has been closed: longer than any patience with heads and idle ones."""
    until_closed(target, GET)
    until_closed(target, GET)


def test_a_long_poll_is_no_idle_connection(hasty: Target) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), 20) as connection:
        connection.sendall(b"GET /health/poll HTTP/1.1\r\n" + HOST + b"\r\n" + GET)
        until_time_has_passed(hasty)
        Poll.turn.release()
        answer = b""
        while len(statuses(answer)) < 2 and (piece := connection.recv(65536)):
            answer += piece
    assert statuses(answer) == [b"200", b"200"]


def test_events_come_one_by_one_however_long_they_take(hasty: Target) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), 20) as connection:
        connection.sendall(b"GET /health/events HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        answer = b""
        for number in range(3):
            while b"data: %d\n\n" % number not in answer:
                answer += connection.recv(65536)
            assert b"data: %d" % (number + 1) not in answer
            until_time_has_passed(hasty)
            Poll.turn.release()
        while piece := connection.recv(65536):
            answer += piece
    assert answer.endswith(b"0\r\n\r\n")
