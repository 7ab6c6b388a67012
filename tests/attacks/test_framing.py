"""Requests that a server and what stands in front of it would cut differently (RFC 9112 section 11.2)."""

import re
import socket
from functools import partial

import pytest

from tests.attacks.attack_kit import STRANGER, Target, browser, expired_token, token
from tests.faults.upstream_faults import is_whole

START = b"POST /health HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        START + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        START + b"Content-Length: +2\r\n\r\nab",
        START + b"Content-Length: 0x2\r\n\r\nab",
        START + b"Content-Length: 2, 2\r\n\r\nab",
        START + b"Content-Length: 2 \x0b\r\n\r\nab",
        START + b"Content-Length: -1\r\n\r\nab",
        START + b"Content-Length: 99999999999999999999999\r\n\r\nab",
        START + b"X: b\r\n c\r\n\r\n",
        START + b"X: b\rc\r\n\r\n",
        START + b"X: b\x00c\r\n\r\n",
        START + b"X : b\r\n\r\n",
        START + b": b\r\n\r\n",
        START + b"X\r\n\r\n",
        b"GET /health HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
        b"GET /health  HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /health HTTP/1.1 x\r\nHost: a\r\n\r\n",
        b"GET /health HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET /health\r\nHost: a\r\n\r\n",
        b"GE T /health HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /health HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_request_with_two_readings_is_refused_and_nothing_behind_it_is_read(proxy: Target, request_: bytes) -> None:
    before = proxy.count
    answer = proxy.raw(request_ + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert proxy.arrived(before) == []


@pytest.mark.parametrize(
    "body", [b"0x2\r\nab\r\n0\r\n\r\n", b"f" * 17 + b"\r\nab", b"-1\r\n\r\n", b"2\r\nabX\r\n0\r\n\r\n"]
)
def test_broken_chunks_are_never_a_whole_request(target: Target, body: bytes) -> None:
    before = target.count
    answer = target.raw(CHUNKED + body + SMUGGLED)
    assert not answer.startswith(b"HTTP/1.1 2")
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert not [request for request in target.arrived(before) if request.path == "/admin"]


def test_where_length_and_chunks_disagree_neither_is_believed(target: Target) -> None:
    before = target.count
    start = START.replace(b"/health", b"/health?both")  # what broke off before may still be on its way
    both = b"Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    answer = target.raw(start + both + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert [each.line for each in target.arrived(before) if "both" in each.line or each.path == "/admin"] == []


def test_trailers_and_chunk_extensions_do_not_go_on(target: Target) -> None:
    target.raw(CHUNKED + b"2;ext=user_evil\r\nab\r\n0\r\nX-Session-User-Id: user_evil\r\n\r\n")
    arrived = target.upstream.requests[-1]
    assert arrived.body == b"ab"
    assert b"user_evil" not in target.upstream.seen
    assert arrived.values("content-length") == []


def test_each_request_of_a_pipeline_is_judged_alone(target: Target) -> None:
    one = "GET {} HTTP/1.1\r\nHost: app.example.test\r\n{}\r\n"
    session = f"Authorization: Bearer {token()}\r\n"
    pipeline = [one.format("/health", ""), one.format("/", ""), one.format("/", session), one.format("/", "")]
    last = one.format("/health", "Connection: close\r\n")
    answer = target.raw("".join([*pipeline, last]).encode())
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answer)
    assert statuses == [b"200", b"401", b"200", b"401", b"200"]


def test_a_body_behind_another_request_may_come_later(target: Target) -> None:
    first = "GET /health HTTP/1.1\r\nHost: app.example.test\r\n\r\n"
    second = "POST /health HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
    with target._connected(STRANGER) as connection:
        connection.settimeout(10)
        connection.sendall((first + second).encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"later")
        assert b"HTTP/1.1 200" in received(connection)
    assert target.upstream.requests[-1].body == b"later"


def received(connection: socket.socket) -> bytes:
    """Return all that comes until the gateway closes."""
    return b"".join(iter(partial(connection.recv, 65536), b""))


def test_what_is_behind_a_body_that_was_refused_is_cut_where_it_ends(proxy: Target) -> None:
    before, count = proxy.count, 3000
    get = "GET /health/{} HTTP/1.1\r\nHost: app.example.test\r\n{}\r\n"
    requests = [get.format(number, "") for number in range(count)] + [get.format("last", "Connection: close\r\n")]
    with proxy._connected(STRANGER) as connection:
        connection.settimeout(20)
        connection.sendall(b"POST / HTTP/1.1\r\nHost: app.example.test\r\nContent-Length: 50\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
        # It would be another user's request, were it read where a piece of what comes begins.
        connection.sendall(SMUGGLED.ljust(50) + "".join(requests).encode())
        assert received(connection).count(b"HTTP/1.1 200") == count + 1
    assert [each.path for each in proxy.arrived(before)] == [f"/health/{number}" for number in (*range(count), "last")]


@pytest.mark.parametrize("expected", ["y 100-continue", "100-continue"])
def test_a_body_that_may_be_kept_back_is_no_room_for_a_request(target: Target, expected: str) -> None:
    before = target.count
    head = f"POST /p HTTP/1.1\r\nHost: app.example.test\r\nExpect: {expected}\r\nContent-Length: 5\r\n\r\n"
    answer = target.raw(head.encode(), suffices=is_whole)
    assert b"connection: close" in answer
    assert target.arrived(before) == []


def test_a_refused_upload_is_not_waited_for(target: Target) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n"
    )
    answer = target.raw(head)
    assert answer.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("upgrade", "arrivals"),
    [("h2c", 1), ("foo", 1), ("TLS/1.2", 1), ("websocket, h2c", 0)],  # the last one has no Sec-WebSocket-Key
)
def test_no_upgrade_goes_on(proxy: Target, upgrade: str, arrivals: int) -> None:
    before = len(proxy.upstream.requests)
    lines = ["GET /health HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings, close", f"Upgrade: {upgrade}"]
    answer = proxy.raw("\r\n".join([*lines, "HTTP2-Settings: AAMAAABk", "", ""]).encode(), 1)
    assert answer[9:12] == (b"200" if arrivals else b"400")
    arrived = proxy.upstream.requests[before:]
    assert len(arrived) == arrivals
    for request in arrived:
        assert [request.values(name) for name in ("upgrade", "http2-settings", "connection")] == [[], [], []]


@pytest.mark.parametrize("protocol", [b"\x80\xff", b"bearer, x", b"a" * 5000])
def test_a_websocket_that_nobody_accepts_is_answered_and_the_worker_lives(target: Target, protocol: bytes) -> None:
    head = (
        b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    )
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + protocol + b"\r\n\r\n"
    answer = target.raw(head + key, 1)
    # The proxy passes on what the upstream says instead of 101.
    assert answer[9:12] in {b"200", b"400", b"403"}
    assert target.get("/health").status == 200


def answered(target: Target, request: bytes) -> bytes:
    """Return the answer to a request that the server does not read to its end.

    It closes with bytes unread, and then the system may throw the answer away on its way (RFC 9112 section 9.6).
    """
    return next(filter(None, (target.raw(request) for _ in range(10))), b"")


@pytest.mark.parametrize("headers", [b"X: " + b"a" * 500_000, b"X: a\r\n" * 400 + b"X: a"], ids=["large", "many"])
def test_too_many_header_bytes_are_refused_before_any_work(target: Target, headers: bytes) -> None:
    calls = len(target.authority.calls)
    # Either would cost a call of the authority, were it read.
    for worthy in (token("mallory", header={"kid": "unknown"}), expired_token()):
        cookies = "; ".join(f"{name}={value}" for name, value in browser(worthy, refresh="rt_unread").items())
        head = f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: {cookies}\r\n".encode()
        assert answered(target, head + headers + b"\r\n\r\n").startswith(b"HTTP/1.1 431")
    answer = answered(target, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431")
    assert target.authority.calls[calls:] == []


def test_http2_is_not_spoken_behind_our_back(target: Target) -> None:
    assert not target.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9).startswith(b"\x00")
