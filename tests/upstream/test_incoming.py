"""The answer as bytes: cut anywhere, lied about, or followed by something."""

from itertools import pairwise
from sys import getsizeof

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reasons import Reason
from gateway.errors import UpstreamError
from gateway.upstream.incoming import Incoming

LIMIT = 2048
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
OPEN_END = b"HTTP/1.1 200 OK\r\n\r\nhello"


def fed(data: bytes, *, is_head: bool = False, step: int = 0) -> Incoming:
    incoming = Incoming(is_head=is_head, header_bytes=LIMIT)
    for start in range(0, len(data), step or len(data)):
        incoming.feed(data[start : start + (step or len(data))])
    return incoming


def refused(data: bytes, *, is_head: bool = False, step: int = 0) -> str:
    with pytest.raises(UpstreamError) as caught:
        fed(data, is_head=is_head, step=step)
    assert caught.value.reason == Reason.UPSTREAM_PROTOCOL_ERROR
    return caught.value.detail


WHOLE = [
    (HELLO, 200, b"hello", True),
    (CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", 200, b"hello", True),
    (CHUNKED + b"5\r\nhello\r\n0\r\nX-Session-User-Id: mallory\r\n\r\n", 200, b"hello", True),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO, 200, b"hello", True),
    (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + HELLO, 200, b"hello", True),
    (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 E\r\nx-session-id: m\r\n\r\n" + HELLO, 200, b"hello", True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, b"", True),
    (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi", 200, b"hi", False),
    (b"HTTP/1.1 500 \r\ncontent-length: 0\r\n\r\n", 500, b"", True),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200, b"", True),
    # A body may come where there is none; it would be taken for the answer to whoever asks next.
    (b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", 204, b"", True),
    (b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", 204, b"", False),
    (b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n", 204, b"", False),
    (b"HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n", 304, b"", False),
    # HTTP/1.0 has no chunks, and nobody makes chunks twice (RFC 9112 section 6.1).
    (CHUNKED[:-2] + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n", 200, b"", False),
    (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 200, b"", False),
    (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
]


@pytest.mark.parametrize(("data", "status", "body", "may_reuse"), WHOLE)
def test_whole_answer_is_read_to_its_end_and_no_further(data, status, body, may_reuse):
    answer = fed(data)
    assert (answer.status, answer.take(), answer.is_complete) == (status, body, True)
    assert answer.may_reuse is may_reuse
    assert not [name for name, _ in answer.headers if name.startswith(b"x-session") or name == b"link"]


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 200), max_size=6))
def test_answer_does_not_depend_on_how_its_bytes_are_cut(row, cuts):
    data, status, body, may_reuse = row
    answer, taken = Incoming(is_head=False, header_bytes=LIMIT), b""
    borders = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, end in pairwise(borders):
        if start < end:
            answer.feed(data[start:end])
            taken += answer.take()
    assert (answer.status, taken, answer.is_complete, answer.may_reuse) == (status, body, True, may_reuse)


@pytest.mark.parametrize(
    "surplus",
    [
        b"x",
        b"\r\nmore",
        HELLO,
        b"HTTP/1.1 500 No\r\ncontent-length: 4\r\nset-cookie: a=b\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_what_follows_an_answer_is_not_part_of_it_and_costs_the_connection(surplus):
    answer = fed(HELLO + surplus)
    assert (answer.status, answer.headers) == (200, [(b"content-length", b"5")])
    assert (answer.take(), answer.is_complete, answer.may_reuse) == (b"hello", True, False)


@pytest.mark.parametrize(
    ("data", "may_reuse"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", False),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n\r\n", False),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", True),
    ],
)
def test_answer_to_head_ends_with_its_headers(data, may_reuse):
    answer = fed(data, is_head=True)
    assert (answer.status in {200, 304}, answer.take(), answer.is_complete) == (True, b"", True)
    assert answer.may_reuse is may_reuse


def test_body_after_204_is_not_taken_and_its_length_not_believed():
    answer = fed(b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\nx-a: 1\r\n\r\nhello")
    assert (answer.headers, answer.take(), answer.may_reuse) == ([(b"x-a", b"1")], b"", False)


def test_many_small_pieces_take_little_more_than_their_bytes():
    answer = fed(CHUNKED + b"2\r\nab\r\n" * 20_000, step=4000)
    assert sum(map(getsizeof, answer.chunks)) < 2 * answer.held
    assert answer.take() == b"ab" * 20_000


def test_only_a_body_without_framing_is_ended_by_the_connection():
    for data, is_whole in (
        (OPEN_END, True),
        (HELLO[:-1], False),
        (CHUNKED + b"5\r\nhello\r\n", False),
        (b"HTT", False),
    ):
        answer = fed(data)
        answer.end()
        assert answer.is_complete is is_whole
    assert not fed(OPEN_END).may_reuse


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked \t\r\n\r\n0\r\n\r\n",  # the parser sees no chunks in it
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\nx: y\n\n",
        b"HTTP/1.1 200 OK\r\nx : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx y: z\r\n\r\n",
        b"HTTP/1.1 099 No\r\n\r\n",
        b"HTTP/3.0 200 OK\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"fffffffffffffffff\r\n",
        CHUNKED + b"2\r\nhelloX",
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n" + HELLO,
    ],
)
def test_answer_that_is_not_well_formed_is_refused(data):
    refused(data)


def test_headers_are_bounded_however_they_come():
    flood = b"".join(b"x-%d: 1\r\n" % number for number in range(LIMIT))
    assert "exceed" in refused(b"HTTP/1.1 200 OK\r\n" + flood + b"\r\n")
    assert "exceed" in refused(b"HTTP/1.1 200 " + b"K" * LIMIT)
    assert "exceed" in refused(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * LIMIT)
    assert "exceed" in refused(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 100)
    assert "exceed" in refused(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
    assert "exceed" in refused(CHUNKED + b"0\r\n" + flood + b"\r\n")


def test_headers_that_are_many_and_short_are_bounded_by_what_they_take():
    few, many = (b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * count + b"\r\n" for count in (LIMIT // 32, LIMIT // 32 + 1))
    answer = Incoming(is_head=True, header_bytes=LIMIT)
    answer.feed(few)
    assert answer.is_complete
    for step in (1, len(many)):
        assert "exceed" in refused(many, step=step)


def test_errors_do_not_repeat_what_the_upstream_sent():
    assert "s3cret" not in refused(b"s3cret\r\n\r\n")
    assert "s3cret" not in refused(b"HTTP/1.1 200 OK\r\ntransfer-encoding: s3cret\r\n\r\n")


@pytest.mark.parametrize(
    "start", [b"0\r\nX-Trailer: ", b"5;extension="], ids=["an endless trailer", "an endless chunk extension"]
)
def test_what_never_becomes_a_body_is_bounded(start):
    answer = Incoming(is_head=False, header_bytes=1000)
    answer.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n" + start)
    answer.feed(b"a" * 900)
    with pytest.raises(UpstreamError) as caught:
        answer.feed(b"a" * 900)
    assert caught.value.reason == Reason.UPSTREAM_PROTOCOL_ERROR


# ── bodies whose length is known, beyond the piece that their head came with ──

SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"


def test_pieces_are_passed_by_but_for_the_last():
    incoming, taken = fed(SIZED + b"ab"), []

    def take(data):
        taken.append(bytes(data))
        return True

    assert not incoming.pass_by(memoryview(b"cd"), take)  # what came with the head is to go first
    assert incoming.take() == b"ab"
    assert incoming.pass_by(memoryview(b"cd"), take)
    assert not incoming.pass_by(memoryview(b"ef"), lambda data: False)
    incoming.feed(memoryview(b"ef"))
    assert incoming.take() == b"ef"
    assert not incoming.pass_by(memoryview(b"ghi"), take)
    assert not incoming.pass_by(memoryview(b"ghi+"), take)
    assert (taken, incoming.is_complete) == ([b"cd"], False)
    incoming.feed(b"ghi")
    assert (incoming.take(), incoming.is_complete, incoming.may_reuse) == (b"ghi", True, True)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n\r\n", CHUNKED + b"9\r\n"])
def test_what_has_no_known_length_is_not_passed_by(start):
    incoming = fed(start)
    assert not incoming.pass_by(memoryview(b"ab"), lambda data: True)


def test_what_follows_a_long_body_costs_the_connection():
    incoming = fed(SIZED + b"ab")
    incoming.feed(b"cd")
    incoming.feed(memoryview(b"efghi" + HELLO))
    assert (incoming.take(), incoming.is_complete, incoming.may_reuse) == (b"abcdefghi", True, False)


def test_a_long_body_that_ends_too_early_is_not_whole():
    incoming = fed(SIZED + b"ab")
    incoming.feed(b"cd")
    incoming.end()
    assert not incoming.is_complete
