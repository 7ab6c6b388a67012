"""The requests of one connection, one after the other."""

import asyncio
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.header_names import MAX_HEAD_BYTES
from gateway.core.reasons import Reason
from gateway.core.window import LEAST_BYTES, MOST_BYTES
from gateway.server.connection import ClientConnection
from gateway.server.listener import Limits, Listener
from gateway.server.serving import AsgiHandler
from tests.server.server_kit import GET, PATIENT, Transport, answering, body_of, echo, served

POST = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
MUCH = 4_000_000
"""More than what the system and this server hold of a body or an answer."""


def get(path: str, more: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (path.encode(), more)


async def refused(world, data: bytes) -> tuple[int, str]:
    """Send what is refused; return status and reason, having seen that the connection ends."""
    wire = await world.wire(data)
    answer = await wire.answer()
    assert answer["connection"] == "close"
    assert await wire.is_closed()
    return answer.status, answer["x-clerk-auth-reason"]


# ── heads ──


async def test_requests_follow_each_other():
    async with served(echo) as world:
        wire = await world.wire()
        for number in range(3):
            wire.send(get(f"/{number}"))
            assert (await wire.answer()).body == b"/%d|" % number


async def test_a_head_may_come_byte_by_byte():
    async with served(echo) as world:
        wire = await world.wire()
        wire.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in get("/a") + POST % 2 + b"bc":
            wire.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await wire.answer()).body == b"/a|"
        assert (await wire.answer()).body == b"/up|bc"


async def test_empty_lines_before_a_request_are_passed_over():
    async with served(echo) as world:
        wire = await world.wire(b"\r\n")
        wire.send(b"\r\n\r\n" + get("/a"))
        assert (await wire.answer()).body == b"/a|"


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\nX : y\r\n\r\n", 400, Reason.REQUEST_FRAMING_INVALID),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400, Reason.REQUEST_FRAMING_INVALID),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES, 431, Reason.REQUEST_HEADERS_TOO_LARGE),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n", 431, Reason.REQUEST_HEADERS_TOO_LARGE),
        (b"FROB / HTTP/1.1\r\n\r\n", 405, Reason.METHOD_NOT_ALLOWED),
    ],
)
async def test_what_is_no_request_is_refused_with_its_reason(data, status, reason):
    async with served(echo) as world:
        assert await refused(world, data) == (status, reason)


async def test_a_request_behind_one_that_is_refused_is_not_served():
    async with served(echo) as world:
        wire = await world.wire(get("/a") + b"GET / HTTP/1.1\r\nX : y\r\n\r\n" + get("/b"))
        assert (await wire.answer()).body == b"/a|"
        assert (await wire.answer()).status == 400
        assert await wire.is_closed()
        assert world.ends.qsize() == 1


async def test_connection_close_is_kept_to():
    async with served(echo) as world:
        wire = await world.wire(get("/a", b"Connection: close\r\n"))
        answer = await wire.answer()
        assert (answer.body, answer["connection"]) == (b"/a|", "close")
        assert await wire.is_closed()


async def test_the_end_of_a_silent_client_is_the_end():
    async with served(echo) as world:
        wire = await world.wire()
        wire.writer.write_eof()
        assert await wire.is_closed()


# ── pipelining ──


async def test_a_flood_in_one_segment_is_answered_in_order():
    async with served(echo) as world:
        wire = await world.wire(b"".join(get(f"/{number}") for number in range(200)))
        for number in range(200):
            assert (await wire.answer()).body == b"/%d|" % number


async def test_bodies_and_requests_behind_them_are_told_apart():
    requests = POST % 3 + b"abc" + get("/b") + POST % 1 + b"d" + POST % 0 + get("/e")
    async with served(echo) as world:
        wire = await world.wire(requests)
        bodies = [(await wire.answer()).body for _ in range(5)]
        assert bodies == [b"/up|abc", b"/b|", b"/up|d", b"/up|", b"/e|"]


async def test_what_comes_while_a_request_is_in_hand_waits():
    go_on = asyncio.Event()

    async def talk(scope, receive, send):
        if scope["path"] == "/1":
            await go_on.wait()
        await echo(scope, receive, send)

    async with served(talk) as world:
        wire = await world.wire(get("/1"))
        wire.send(get("/2"))
        other = await world.wire(get("/3"))
        assert (await other.answer()).body == b"/3|"
        wire.send(get("/4"))
        go_on.set()
        assert [(await wire.answer()).body for _ in range(3)] == [b"/1|", b"/2|", b"/4|"]


async def test_a_client_that_takes_no_answer_is_not_read_from_and_goes_on_when_it_does():
    begun = []

    async def talk(scope, receive, send):
        begun.append(scope["path"])
        await answering(b"x" * 1_000_000)(scope, receive, send)

    count = 40
    async with served(talk) as world:
        wire = await world.wire(b"".join(get(f"/{number}") for number in range(count)))
        other = await world.wire(get("/other"))
        assert len((await other.answer()).body) == 1_000_000
        assert len(begun) < count  # it does not pile up answers
        for _ in range(count):
            answer = await wire.answer()
            assert len(answer.body) == 1_000_000
    assert begun[:2] == ["/0", "/other"] or begun[0] == "/0"
    assert [path for path in begun if path != "/other"] == [f"/{number}" for number in range(count)]


async def test_a_client_that_takes_no_answer_and_asks_one_by_one_is_not_read_from_either():
    async with served(answering(b"x" * 60_000)) as world:
        wire = await world.wire(GET)
        await world.ends.get()
        wire.writer.transport.pause_reading()
        count, is_answered = 1, True
        while is_answered and count < 1000:
            wire.send(GET)
            count += 1
            try:
                async with asyncio.timeout(0.5):
                    await world.ends.get()
            except TimeoutError:
                is_answered = False
        assert not is_answered
        wire.writer.transport.resume_reading()
        for _ in range(count):
            assert len((await wire.answer()).body) == 60_000


async def test_the_body_of_a_request_that_came_behind_another_may_come_later():
    async with served(echo) as world:
        wire = await world.wire(get("/a") + POST % 3)
        assert (await wire.answer()).body == b"/a|"
        wire.send(b"abc")
        assert (await wire.answer()).body == b"/up|abc"


async def test_a_client_that_goes_is_noticed_also_while_its_second_request_is_in_hand():
    begun = asyncio.Event()

    async def talk(scope, receive, send):
        if scope["path"] == "/a":
            await answering()(scope, receive, send)
            return "answered"
        begun.set()
        await receive()
        return (await receive())["type"]

    async with served(talk) as world:
        wire = await world.wire(get("/a") + get("/b"))
        assert (await wire.answer()).body == b"ok"
        await begun.wait()
        wire.writer.transport.abort()
        assert [await world.ends.get() for _ in range(2)] == ["answered", "http.disconnect"]


async def test_chunks_with_something_behind_them_in_one_piece_end_the_connection():
    async with served(echo) as world:
        wire = await world.wire(CHUNKED + b"1\r\na\r\n0\r\n\r\n" + get("/b"))
        answer = await wire.answer()
        assert (answer.body, answer["connection"]) == (b"/up|a", "close")
        assert await wire.is_closed()
        assert world.ends.qsize() == 1


# ── bodies that nobody wants ──


@pytest.mark.parametrize("size", [1, 60_000])
async def test_little_that_is_unread_is_read_for_the_next_request(size):
    async with served(answering(b"first")) as world:
        wire = await world.wire(POST % size)
        assert (await wire.answer()).body == b"first"
        wire.send(b"x" * (size - 1))
        wire.send(b"x" + GET)
        answer = await wire.answer()
        assert (answer.body, answer.all("connection")) == (b"first", [])


async def test_what_comes_behind_a_body_that_nobody_wants_is_read_in_its_order():
    async def talk(scope, receive, send):
        await answering(scope["raw_path"])(scope, receive, send)

    count = 3000
    async with served(talk) as world:
        wire = await world.wire(POST % 1000)
        assert (await wire.answer()).body == b"/up"
        # More than is read at once: the server finds it all there.
        wire.send(b"x" * 1000 + b"".join(get(f"/{number}") for number in range(count)))
        for number in range(count):
            assert (await wire.answer()).body == b"/%d" % number


@pytest.mark.parametrize("expected", [b"100-continue", b"y 100-continue", b"x"])
async def test_a_body_that_may_be_kept_back_is_not_waited_for(expected):
    async with served(answering(b"no", 417)) as world:
        wire = await world.wire(POST[:-2] % 30 + b"Expect: " + expected + b"\r\n\r\n")
        answer = await wire.answer()
        assert (answer.status, answer["connection"]) == (417, "close")
        wire.send(GET)
        assert await wire.rest() == b""


async def test_much_that_is_unread_ends_the_connection_behind_the_answer():
    async with served(answering(b"no", 413)) as world:
        wire = await world.wire(POST % MUCH + b"x" * MUCH)
        answer = await wire.answer()  # which is not lost, though the client sends on
        assert (answer.status, answer.body, answer["connection"]) == (413, b"no", "close")
        assert await wire.is_closed()


async def test_chunks_that_are_unread_end_the_connection():
    async with served(answering()) as world:
        wire = await world.wire(CHUNKED + b"3\r\nabc\r\n")
        assert (await wire.answer())["connection"] == "close"
        assert await wire.is_closed()


async def test_a_body_that_breaks_off_behind_its_answer_s_head_ends_the_connection():
    async def talk(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        kind = (await body_of(receive))[1]
        await send({"type": "http.response.body", "body": kind.encode()})

    async with served(talk) as world:
        wire = await world.wire(POST % 3 + b"a")
        assert b"connection: close" not in await wire.reader.readuntil(b"1\r\na\r\n")
        wire.writer.write_eof()
        assert (await wire.rest()).endswith(b"http.disconnect\r\n0\r\n\r\n")


# ── back-pressure ──


async def test_a_body_that_is_not_taken_is_not_read():
    go_on = asyncio.Event()

    async def talk(scope, receive, send):
        await go_on.wait()
        sizes = []
        while (message := await receive())["more_body"]:
            sizes.append(len(message["body"]))
        sizes.append(len(message["body"]))
        await answering(b"%d %d" % (sum(sizes), max(sizes)))(scope, receive, send)

    async with served(talk) as world:
        wire = await world.wire(POST % MUCH)
        wire.writer.transport.set_write_buffer_limits(0)
        wire.send(b"x" * MUCH)
        other = await world.wire(get("/"))
        go_on.set()
        total, most = map(int, (await wire.answer()).body.split())
        assert (total, most < 200_000) == (MUCH, True)
        other.writer.close()


async def test_the_more_connections_there_are_the_less_is_held_of_each_body():
    over = asyncio.Event()

    async def deaf(scope, receive, send):
        await over.wait()

    for connections, most in ((1, MOST_BYTES), (1000, LEAST_BYTES)):
        listener, transport = Listener(AsgiHandler(deaf), PATIENT), Transport()
        connection = ClientConnection(listener)
        connection.connection_made(transport)
        listener.window.share(connections)
        fed, data = 0, POST % MUCH
        while not transport.is_paused:
            buffer = connection.get_buffer(0)
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            connection.buffer_updated(size)
            fed, data = fed + size, b"x" * most
        assert fed <= 3 * most
        connection.connection_lost(None)
    over.set()


async def test_an_answer_that_is_not_taken_is_not_asked_for():
    sent = []

    async def talk(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(200):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body"})

    async with served(talk) as world:
        wire = await world.wire(get("/", b"Connection: close\r\n"))
        await wire.reader.readuntil(b"\r\n\r\n")
        assert len(sent) < 200
        assert len(await wire.rest()) > 20_000_000


# ── sockets ──


async def test_peers_on_a_unix_socket_have_no_address(tmp_path):
    seen = []

    async def talk(scope, receive, send):
        seen.append((scope["client"], scope["server"]))
        await echo(scope, receive, send)

    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    async with served(talk, listening=listening) as world:
        assert (await world.ask(get("/a"))).body == b"/a|"
    assert seen == [(None, None)]


async def test_ipv6():
    seen = []

    async def talk(scope, receive, send):
        seen.append((scope["client"][0], scope["server"]))
        await echo(scope, receive, send)

    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        return  # this machine has none
    async with served(talk, listening=listening) as world:
        assert (await world.ask(get("/a"))).body == b"/a|"
        assert seen == [("::1", world.address[:2])]


# ── the same, however it is cut ──


async def talked(pieces) -> tuple[list, bytes]:
    """Give a connection pieces as they can be read; return the requests that were served, and what was answered."""
    seen = []

    async def app(scope, receive, send):
        body, kind = await body_of(receive)
        seen.append((scope["method"], scope["raw_path"], scope["headers"], body, kind))
        await answering(b"ok")(scope, receive, send)

    listener = Listener(AsgiHandler(app), PATIENT)
    listener.date = b"\r\ndate: now\r\n"
    connection, transport = ClientConnection(listener), Transport()
    connection.connection_made(transport)
    for piece in pieces:
        for _ in range(50):
            if not transport.is_paused:
                break
            await asyncio.sleep(0)
        connection.get_buffer(-1)[: len(piece)] = piece
        connection.buffer_updated(len(piece))
    for _ in range(50):
        await asyncio.sleep(0)
    connection.connection_lost(None)
    await asyncio.sleep(0)
    return seen, transport.written


STREAM = (
    POST % 5
    + b"hello"
    + get("/1", b"X: y\r\n")
    + b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: u\r\n\r\n"
)
REFUSED = get("/1") + b"GET / HTTP/1.1\r\nX : y\r\n\r\n"


@pytest.mark.parametrize("stream", [STREAM, REFUSED, GET[:-2] + b"Connection: close\r\n\r\n" + GET])
def test_however_the_bytes_are_cut_the_same_requests_come_out(stream):
    once = asyncio.run(talked([stream]))
    assert once[0]

    @given(st.lists(st.integers(1, len(stream) - 1), max_size=20))
    @example(list(range(1, len(stream))))
    def check(places):
        ends = [*sorted(set(places)), len(stream)]
        pieces = [stream[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
        seen, written = asyncio.run(talked(pieces))
        assert ([each for each in seen if each[-1] == "http.request"], written) == once

    check()


async def test_a_connection_without_a_transport_bears_everything():
    connection = ClientConnection(Listener(AsgiHandler(echo), Limits()))
    connection.write(b"x")
    connection.abort()
    connection.close()
    assert connection.is_idle
    assert not connection.has_begun
