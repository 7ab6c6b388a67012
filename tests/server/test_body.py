"""Where a body ends, however its bytes are cut."""

import tracemalloc
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.header_names import MAX_HEAD_BYTES
from gateway.server.body import Body, ChunkedBody, SizedBody


def cut(data, places):
    """Cut bytes into pieces at some of their places."""
    ends = [*sorted({place % len(data) for place in places} - {0}), len(data)] if data else []
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def chunked(pieces, extension=b"", trailers=b""):
    return b"".join(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) for piece in pieces) + b"0\r\n%b\r\n" % trailers


def fed(body: Body, pieces) -> bytes:
    return b"".join(body.take() for piece in pieces if body.feed(memoryview(piece)) or True)


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=20), st.lists(st.integers(0, 1000)))
@example(b"a", b"", [])
def test_a_sized_body_takes_what_is_its_own(data, more, places):
    body = SizedBody(len(data))
    taken = []
    for piece in cut(data + more, places):
        taken.append(piece[body.feed(memoryview(piece)) :]) if not body.is_complete else taken.append(piece)
    assert body.is_complete
    assert (body.held, body.missing, body.is_broken) == (len(data), 0, False)
    assert body.take() == data
    assert b"".join(taken) == more
    assert (body.held, body.take()) == (0, b"")


PIECES = st.lists(st.binary(min_size=1, max_size=50), max_size=6)


@given(
    PIECES,
    st.sampled_from([b"", b";a", b';a="b"']),
    st.sampled_from([b"", b"X-Sum: 1\r\n"]),
    st.lists(st.integers(0, 1000)),
)
@example([b"abc"], b"", b"", list(range(20)))
def test_a_chunked_body_is_the_same_however_it_is_cut(pieces, extension, trailers, places):
    body = ChunkedBody()
    assert fed(body, cut(chunked(pieces, extension, trailers), places)) == b"".join(pieces)
    assert (body.is_complete, body.is_broken, body.has_surplus, body.held) == (True, False, False, 0)


@given(PIECES, st.integers(0, 1000))
def test_without_its_end_it_is_not_complete(pieces, place):
    data = chunked(pieces)
    body = ChunkedBody()
    body.feed(memoryview(data[: place % len(data)]))
    assert (body.is_complete, body.is_broken) == (False, False)


def test_what_follows_in_the_same_bytes_is_a_surplus():
    body = ChunkedBody()
    data = chunked([b"abc"]) + b"GET / HTTP/1.1\r\n\r\n"
    assert body.feed(memoryview(data)) == len(data)
    assert (body.is_complete, body.has_surplus, body.is_broken, body.take()) == (True, True, False, b"abc")
    assert body.feed(memoryview(b"more")) == 4
    assert body.held == 0


@pytest.mark.parametrize(
    "data",
    [
        b"X\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabcX",
        b"3\r\nabc\n0\r\n\r\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"11111111111111111\r\n",
        b"\r\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
    ],
)
def test_odd_chunks_break_it(data):
    for pieces in ([data], [data[index : index + 1] for index in range(len(data))]):
        body = ChunkedBody()
        fed(body, pieces)
        assert (body.is_broken, body.is_complete) == (True, False)


@pytest.mark.parametrize("begin", [b"0\r\n", b"1;"])
def test_endless_trailers_and_extensions_break_it(begin):
    body = ChunkedBody()
    body.feed(memoryview(begin))
    line = b"x" * 1000 if begin.endswith(b";") else b"x: y\r\n" * 200
    for _ in range(MAX_HEAD_BYTES // len(line) + 2):
        body.feed(memoryview(line))
    assert (body.is_broken, body.is_complete, body.held) == (True, False, 0)


def test_a_long_body_is_not_endless():
    body, chunk = ChunkedBody(), b"400\r\n" + b"x" * 1024 + b"\r\n"
    for _ in range(2 * MAX_HEAD_BYTES // len(chunk)):
        body.feed(memoryview(chunk))
        body.take()
    body.feed(memoryview(b"0\r\n\r\n"))
    assert (body.is_broken, body.is_complete) == (False, True)


def test_pieces_are_held_until_they_are_taken():
    body = SizedBody(10)
    for piece in (b"ab", b"cd"):
        body.feed(memoryview(piece))
    assert (body.held, body.take(), body.held, body.missing) == (4, b"abcd", 0, 6)


@pytest.mark.parametrize(
    ("make", "piece"),
    [(ChunkedBody, b"2\r\nab\r\n" * 500), (partial(SizedBody, 100_000), b"ab")],
    ids=["chunks", "sized"],
)
def test_many_small_pieces_take_little_more_than_their_bytes(make, piece):
    tracemalloc.start()
    try:
        body = make()
        while body.held < 50_000:
            body.feed(memoryview(piece))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 2 * body.held
    assert body.take() == b"ab" * 25_000


def test_a_kind_of_body_says_itself_what_is_its_own():
    with pytest.raises(NotImplementedError):
        Body().feed(memoryview(b""))


def test_a_large_piece_is_passed_on_alone_and_small_ones_together():
    large, small = b"x" * 16_384, b"y" * 100
    body = SizedBody(2 * len(large) + 2 * len(small))
    for piece in (large, large, small, small):
        body.feed(memoryview(piece))
    assert [(len(body.next_piece()), body.held) for _ in range(4)] == [
        (16_384, 16_584),
        (16_384, 200),
        (200, 0),
        (0, 0),
    ]


def test_pieces_are_passed_by_but_for_the_last():
    body, taken = SizedBody(9), []

    def take(data):
        taken.append(bytes(data))
        return True

    assert body.pass_by(memoryview(b"ab"), take)
    assert not body.pass_by(memoryview(b"cd"), lambda data: False)
    body.feed(memoryview(b"cd"))
    assert not body.pass_by(memoryview(b"ef"), take)  # what is held is to go first
    assert body.take() == b"cd"
    assert not body.pass_by(memoryview(b"efghi"), take)
    assert not body.pass_by(memoryview(b"efghi+"), take)
    assert (taken, body.missing, body.is_complete) == ([b"ab"], 5, False)


def test_chunks_are_not_passed_by():
    assert not ChunkedBody().pass_by(memoryview(b"2\r\nab\r\n"), lambda data: True)
