"""The upstream's end of a WebSocket: openings, frames and ends, good and bad, over raw sockets."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gateway.core.reasons import Reason
from gateway.errors import UpstreamError
from gateway.upstream.forward import Outgoing
from gateway.upstream.websocket import Refused, connect, end_by_upstream
from gateway.websocket import channel
from tests.upstream.upstream_kit import TINY, answers, pool_to, upstream
from tests.upstream.websocket_kit import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    accepted,
    accepting,
    closing,
    echo,
    frame,
    header,
    read_frame,
    saying,
)

LIMIT = 1000
PATIENT = replace(TINY, connect_s=5, first_byte_s=5)


def head(headers):
    return Outgoing("GET", b"/ws?a=1", [(b"host", b"app.example.test"), *headers], 0).head()


async def until_given_back(pool):
    async with asyncio.timeout(5):
        while pool.in_use:  # noqa: ASYNC110 - the connection ends on its own
            await asyncio.sleep(0.001)


@asynccontextmanager
async def opened(script, offered=(), limit=LIMIT):
    async with upstream(script) as served, pool_to(served, PATIENT) as pool:
        socket = await connect(pool, head, offered, limit)
        try:
            yield socket, served
        finally:
            socket.abort()
            await until_given_back(pool)


async def refused(script, offered=(), limits=PATIENT):
    async with upstream(script) as served, pool_to(served, limits) as pool:
        with pytest.raises((UpstreamError, Refused)) as caught:
            await connect(pool, head, offered, LIMIT)
        await until_given_back(pool)
        return caught.value


async def messages(socket):
    found = []
    async with asyncio.timeout(5):
        while (message := await socket.receive()) is not None:
            found.append(said(message))
    return found


def said(message):
    data, is_text = message
    return data.decode() if is_text else data


# ── opening ──


async def test_the_opening_request_is_the_librarys_with_our_headers():
    async with opened(accepted(echo, b"sec-websocket-protocol: b"), ("a", "b")) as (socket, served):
        (request,) = served.requests
        assert request.startswith(b"GET /ws?a=1 HTTP/1.1\r\nhost: app.example.test\r\n")
        assert header(request, b"upgrade") == b"websocket"
        assert header(request, b"sec-websocket-version") == b"13"
        assert header(request, b"sec-websocket-protocol") == b"a, b"
        assert header(request, b"sec-websocket-extensions") == b""
        assert socket.subprotocol == "b"


async def test_another_answer_is_given_back_whole():
    script = answers(b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\ncontent-length: 4\r\n\r\nnope")
    answer = await refused(script)
    assert (answer.status, answer.body) == (403, b"nope")
    assert (b"x-why", b"because") in answer.headers


BAD_ANSWERS = [
    (b"HTTP/1.1 103 Early\r\n\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
    (
        accepting(b"").replace(b"Accept: ", b"Accept: AAAA"),
        Reason.UPSTREAM_PROTOCOL_ERROR,
    ),
    (b"HTTP/1.0 200 OK\r\n\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
    (b"SSH-2.0-OpenSSH\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
    (b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 20_000 + b"\r\n\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
    (b"HTTP/1.1 200 OK\r\n" + b"x: 1\r\n" * 1000 + b"\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
    (b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
]


@pytest.mark.parametrize(("answer", "reason"), BAD_ANSWERS)
async def test_an_answer_that_is_none_is_told_so(answer, reason):
    error = await refused(answers(answer))
    assert error.reason == reason


@pytest.mark.parametrize(
    "line",
    [b"sec-websocket-protocol: c", b"sec-websocket-extensions: permessage-deflate", b"sec-websocket-protocol: a, b"],
)
async def test_nothing_may_be_chosen_that_was_not_offered(line):
    error = await refused(accepted(echo, line), ("a", "b"))
    assert error.reason == Reason.UPSTREAM_PROTOCOL_ERROR


async def test_a_silent_upstream_runs_into_the_time_out():
    async def silent(served, reader, writer):
        await reader.read()

    assert (await refused(silent, limits=TINY)).reason == Reason.UPSTREAM_TIMEOUT


async def test_one_that_breaks_off_is_told_so():
    async def leaving(served, reader, writer):
        await served.request(reader)

    assert (await refused(leaving)).reason == Reason.UPSTREAM_TRUNCATED


async def test_one_that_is_not_there_is_told_so():
    async with pool_to("http://127.0.0.1:1") as pool:
        with pytest.raises(UpstreamError) as caught:
            await connect(pool, head, (), LIMIT)
    assert caught.value.reason == Reason.UPSTREAM_UNREACHABLE


async def test_connections_are_counted_with_those_of_requests():
    async with upstream(accepted(echo)) as served, pool_to(served, PATIENT) as pool:
        sockets = [await connect(pool, head, (), LIMIT) for _ in range(TINY.connections)]
        with pytest.raises(UpstreamError) as caught:
            await connect(pool, head, (), LIMIT)
        assert caught.value.reason == Reason.UPSTREAM_OVERLOADED
        for socket in sockets:
            socket.close(1000, "")
        await until_given_back(pool)


# ── messages ──


async def test_messages_go_both_ways():
    async with opened(accepted(echo)) as (socket, _):
        await socket.send("é".encode(), is_text=True)
        await socket.send(b"\xff\x00", is_text=False)
        await socket.send(b"", is_text=True)
        async with asyncio.timeout(5):
            assert [said(await socket.receive()) for _ in range(3)] == ["é", b"\xff\x00", ""]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([frame(TEXT, b"a", fin=False), frame(CONT, b"b", fin=False), frame(CONT, b"c")], ["abc"]),
        ([frame(TEXT, b"\xc3", fin=False), frame(CONT, b"\xa9")], ["é"]),
        ([frame(BINARY, b"", fin=False), frame(CONT)], [b""]),
        ([frame(TEXT, b"a", fin=False), frame(PING, b"p"), frame(CONT, b"b")], ["ab"]),
        ([frame(PONG, b"unasked"), frame(TEXT, b"a")], ["a"]),
        ([frame(TEXT, b"x" * LIMIT)], ["x" * LIMIT]),
        ([frame(TEXT, b"x" * 125), frame(TEXT, b"x" * 126)], ["x" * 125, "x" * 126]),
    ],
)
async def test_good_frames_make_messages(frames, expected):
    async with opened(saying(*frames, closing(1000, "done"))) as (socket, _):
        assert await messages(socket) == expected
        end = end_by_upstream(socket.closed)
        assert (end.to_client, end.text, end.reason) == (1000, "done", "")


@pytest.mark.parametrize(
    ("frames", "to_client", "told"),
    [
        ([frame(TEXT, b"a", masked=True)], 1011, 1002),
        ([frame(TEXT, b"a", reserved=0x40)], 1011, 1002),
        ([frame(3)], 1011, 1002),
        ([frame(11)], 1011, 1002),
        ([frame(CONT, b"a")], 1011, 1002),
        ([frame(TEXT, b"a", fin=False), frame(TEXT, b"b")], 1011, 1002),
        ([frame(PING, fin=False)], 1011, 1002),
        ([frame(PING, b"x" * 126)], 1011, 1002),
        ([frame(CLOSE, b"\x03")], 1011, 1002),
        ([closing(1005)], 1011, 1002),
        ([closing(999)], 1011, 1002),
        ([frame(CLOSE, b"\x03\xe8\xff")], 1011, 1007),
        ([frame(TEXT, b"\xff")], 1011, 1007),
        ([frame(TEXT, b"\xed\xa0\x80")], 1011, 1007),
        ([frame(TEXT, b"\xc3", fin=False), frame(CONT, b"\x28")], 1011, 1007),
        ([frame(TEXT, b"x" * (LIMIT + 1))], 1009, 1009),
        ([frame(TEXT, b"x" * LIMIT, fin=False), frame(CONT, b"x")], 1009, 1009),
        ([b"\x82\x7f\x00\x00\x00\x00\x40\x00\x00\x00"], 1009, 1009),
    ],
)
async def test_bad_frames_end_it_with_the_right_code(frames, to_client, told):
    async with opened(saying(*frames)) as (socket, served):
        assert await messages(socket) == []
        end = end_by_upstream(socket.closed)
        assert end.to_client == to_client
        assert end.reason in {Reason.UPSTREAM_PROTOCOL_ERROR, Reason.WEBSOCKET_MESSAGE_TOO_LARGE}
        async with asyncio.timeout(5):
            while not hasattr(served, "said"):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert served.said[0] == 0x80 | CLOSE
        mask, data = served.said[2:6], served.said[6:8]
        assert int.from_bytes(bytes(a ^ b for a, b in zip(data, mask, strict=False)), "big") == told


@pytest.mark.parametrize(("last", "code"), [(closing(4001, "x"), 4001), (frame(CLOSE), 1005), (closing(1001), 1001)])
async def test_what_the_upstream_closes_with_is_passed_on(last, code):
    async with opened(saying(frame(TEXT, b"a"), last, frame(TEXT, b"after the end"))) as (socket, _):
        assert await messages(socket) == ["a"]
        assert end_by_upstream(socket.closed).to_client == code


async def test_an_upstream_that_goes_away_is_1011():
    async def talk(served, reader, writer):
        writer.write(frame(TEXT, b"a") + frame(TEXT, b"bcd")[:3])

    async with opened(accepted(talk)) as (socket, _):
        assert await messages(socket) == ["a"]
        end = end_by_upstream(socket.closed)
        assert (end.to_client, end.reason) == (1011, Reason.UPSTREAM_TRUNCATED)
        await socket.send(b"into the void", is_text=True)
        socket.ping()
        socket.close(1000, "")


async def test_pings_are_answered_and_sent():
    got = []

    async def talk(served, reader, writer):
        writer.write(frame(PING, b"are you there"))
        got.extend([await read_frame(reader), await read_frame(reader)])
        writer.write(closing(1000))
        await reader.read()

    async with opened(accepted(talk)) as (socket, _):
        socket.ping()
        assert await messages(socket) == []
        assert sorted(got) == [(PING, b""), (PONG, b"are you there")]
        assert socket.heard


@pytest.mark.parametrize(("code", "data"), [(1000, b"\x03\xe8bye"), (4401, b"\x11\x31bye"), (1005, b"")])
async def test_our_close_carries_the_code(code, data):
    got = []

    async def talk(served, reader, writer):
        got.append(await read_frame(reader))
        writer.write(frame(CLOSE, data))

    async with opened(accepted(talk)) as (socket, served):
        socket.close(code, "bye")
        socket.close(1011, "only the first counts")
        async with asyncio.timeout(5):
            await served.is_left.wait()
        assert got == [(CLOSE, data)]
        assert await messages(socket) == []


async def test_an_upstream_that_answers_no_close_is_left():
    async def talk(served, reader, writer):
        await reader.read()

    async with opened(accepted(talk)) as (socket, served):
        socket.close(1000, "")
        async with asyncio.timeout(5):
            await served.is_left.wait()


# ── back-pressure ──


async def test_no_more_is_read_than_a_window_while_nobody_takes_it():
    sent = 0

    async def flood(served, reader, writer):
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=0)
        while True:
            writer.write(frame(BINARY, bytes(LIMIT)))
            sent += 1
            await writer.drain()

    async with opened(accepted(flood)) as (socket, _):
        before = -1
        async with asyncio.timeout(10):
            while sent != before:
                before = sent
                await asyncio.sleep(0.1)
        assert socket._held <= channel._WINDOW_BYTES + 262_144
        async with asyncio.timeout(10):
            for _ in range(before + 1000):
                assert said(await socket.receive()) == bytes(LIMIT)


async def test_a_slow_upstream_keeps_the_sender_waiting():
    is_open = asyncio.Event()

    async def talk(served, reader, writer):
        await is_open.wait()
        while await reader.read(65_536):
            pass

    async with opened(accepted(talk), limit=1 << 20) as (socket, _):

        async def pour():
            for _ in range(64):
                await socket.send(bytes(1 << 20), is_text=False)

        task = asyncio.ensure_future(pour())
        done, _ = await asyncio.wait([task], timeout=0.3)
        assert not done
        is_open.set()
        async with asyncio.timeout(20):
            await task


async def test_an_upstream_that_pings_and_reads_nothing_is_cut():
    async def talk(served, reader, writer):
        while True:
            writer.write(frame(PING, bytes(125)) * 100)
            await writer.drain()

    async with opened(accepted(talk)) as (socket, _):
        async with asyncio.timeout(20):
            assert await socket.receive() is None
        assert socket.is_lost


async def test_many_come_and_go_and_none_stays():
    async with upstream(accepted(echo)) as served, pool_to(served, PATIENT) as pool:
        for number in range(300):
            socket = await connect(pool, head, (), LIMIT)
            await socket.send(b"%d" % number, is_text=True)
            assert said(await socket.receive()) == str(number)
            if number % 2:
                socket.close(1000, "")
            else:
                socket.abort()
            await until_given_back(pool)
        assert served.connections == 300


def test_the_kit_accepts_as_the_standard_says():
    answer = accepting(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert header(answer, b"sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
