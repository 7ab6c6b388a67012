"""What an application sees of one request and may say to it, over real sockets."""

import asyncio
import contextlib
import logging
import socket

import pytest

from gateway.core.reasons import Reason
from gateway.server.errors import ClientGoneError
from gateway.server.exchange import EXTENSION
from gateway.server.serving import serving
from tests.server.server_kit import GET, OK, Served, Wire, answering, body_of, echo, served

POST = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
EXPECTING = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
CHUNKED = b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"


def start(status=200, headers=()):
    return {"type": "http.response.start", "status": status, "headers": headers}


def piece(body=b"", *, more=False):
    return {"type": "http.response.body", "body": body, "more_body": more}


def saying(*messages):
    async def talk(scope, receive, send):
        for message in messages:
            await send(message)

    return talk


# ── what it sees ──


async def test_the_scope_says_what_was_asked():
    seen = []

    async def talk(scope, receive, send):
        seen.append(scope)
        await answering()(scope, receive, send)

    async with served(talk) as world:
        await world.ask(b"PUT /a%C3%A4%2F?b=%20 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n")
        (scope,) = seen
        assert scope["client"][0] == "127.0.0.1"
        assert scope["server"] == world.address
    expected = {
        "type": "http",
        "scheme": "http",
        "http_version": "1.1",
        "method": "PUT",
        "path": "/aä/",
        "raw_path": b"/a%C3%A4%2F",
        "query_string": b"b=%20",
        "root_path": "",
        "headers": [(b"host", b"a"), (b"x", b"y")],
    }
    assert {name: scope[name] for name in expected} == expected
    assert scope["asgi"]["version"] == "3.0"


@pytest.mark.parametrize(
    "request_",
    [POST + b"abc", CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"],
)
async def test_the_body_comes_and_then_the_client_is_waited_for(request_):
    after = []

    async def talk(scope, receive, send):
        body, _ = await body_of(receive)
        await answering(body)(scope, receive, send)
        after.append(await receive())

    async with served(talk) as world:
        assert (await world.ask(request_)).body == b"abc"
        await world.ends.get()
    assert after == [{"type": "http.disconnect"}]


async def test_a_request_without_a_body_is_told_so_once():
    async def talk(scope, receive, send):
        first = await receive()
        waiting = asyncio.create_task(receive())
        await answering()(scope, receive, send)
        return first, await waiting

    async with served(talk) as world:
        await world.ask()
        assert await world.ends.get() == (
            {"type": "http.request", "body": b"", "more_body": False},
            {"type": "http.disconnect"},
        )


async def test_a_body_comes_as_it_arrives():
    async def talk(scope, receive, send):
        await send(start(headers=[(b"content-length", b"3")]))
        while (message := await receive())["type"] == "http.request":
            await send(piece(message["body"], more=message["more_body"]))
            if not message["more_body"]:
                break

    async with served(talk) as world:
        wire = await world.wire(POST)
        assert b"200" in await wire.reader.readuntil(b"\r\n\r\n")
        for sent in (b"a", b"b", b"c"):
            wire.send(sent)
            assert await wire.reader.readexactly(1) == sent


@pytest.mark.parametrize("rest", [CHUNKED + b"3\r\nabcX", POST + b"ab"])
async def test_a_body_that_breaks_off_is_told_and_can_be_answered_and_the_connection_ends(rest):
    async def talk(scope, receive, send):
        body, kind = await body_of(receive)
        await answering(kind.encode(), 400)(scope, receive, send)
        return body

    async with served(talk) as world:
        wire = await world.wire(rest)
        wire.writer.write_eof()
        answer = await wire.answer()
        assert (answer.status, answer.body, answer["connection"]) == (400, b"http.disconnect", "close")
        assert await wire.is_closed()


# ── 100 Continue ──


async def test_whoever_waits_for_100_is_told_when_its_body_is_read():
    async with served(echo) as world:
        wire = await world.wire(EXPECTING)
        assert (await wire.answer()).status == 100
        wire.send(b"abc")
        assert (await wire.answer()).body == b"/up|abc"
        wire.send(GET)
        assert (await wire.answer()).body == b"/|"


async def test_whoever_sends_without_waiting_is_told_nothing():
    async with served(echo) as world:
        assert (await world.ask(EXPECTING + b"abc")).body == b"/up|abc"


async def test_an_answer_before_the_body_is_read_has_no_100_and_ends_the_connection():
    async with served(answering()) as world:
        wire = await world.wire(EXPECTING)
        answer = await wire.answer()
        assert (answer.status, answer["connection"]) == (200, "close")
        assert await wire.is_closed()


async def test_no_100_comes_within_an_answer_that_has_begun():
    async def talk(scope, receive, send):
        await send(start())
        await send(piece(b"before", more=True))
        await body_of(receive)
        await send(piece(b"after"))

    async with served(talk) as world:
        wire = await world.wire(EXPECTING)
        assert b"200" in await wire.reader.readuntil(b"\r\n\r\n")
        assert await wire.reader.readuntil(b"before\r\n") == b"6\r\nbefore\r\n"
        wire.send(b"abc")
        assert await wire.rest() == b"5\r\nafter\r\n0\r\n\r\n"


# ── answers ──


async def test_a_whole_answer_has_its_length():
    async with served(answering(b"hello", headers=[(b"x", b"y")])) as world:
        answer = await world.ask()
        assert (answer.status, answer.body, answer["content-length"], answer["x"]) == (200, b"hello", "5", "y")
        assert answer["date"].endswith(" GMT")


async def test_pieces_go_in_chunks_and_empty_ones_end_nothing():
    async with served(saying(start(), *(piece(each, more=True) for each in (b"a", b"", b"bc")), piece(b"d"))) as world:
        wire = await world.wire(GET)
        answer = await wire.answer()
        assert (answer.body, answer["transfer-encoding"]) == (b"abcd", "chunked")
        wire.send(GET)
        assert (await wire.answer()).is_whole


async def test_pieces_of_a_known_length_go_as_they_are():
    length = [(b"content-length", b"3")]
    async with served(saying(start(headers=length), piece(b"ab", more=True), piece(b"c"))) as world:
        wire = await world.wire(GET + GET)
        for _ in range(2):
            answer = await wire.answer()
            assert (answer.body, answer.all("transfer-encoding")) == (b"abc", [])


async def test_http_1_0_gets_pieces_until_the_connection_ends():
    async with served(saying(start(), piece(b"ab", more=True), piece(b"c"))) as world:
        wire = await world.wire(OLD.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"))
        head, _, body = (await wire.rest()).partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert b"chunked" not in head
        assert body == b"abc"


async def test_http_1_0_keeps_the_connection_where_it_asks_for_that_and_the_length_is_known():
    async with served(answering()) as world:
        wire = await world.wire(OLD.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"))
        assert (await wire.answer())["connection"] == "keep-alive"
        wire.send(OLD)
        assert (await wire.answer())["connection"] == "close"
        assert await wire.is_closed()


@pytest.mark.parametrize("messages", [(piece(b"abc"),), (piece(b"ab", more=True), piece(b"c"))])
@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
async def test_answers_without_a_body_leave_the_connection_in_order(method, status, messages):
    if method == b"GET":
        messages = (piece(),)
    async with served(saying(start(status), *messages)) as world:
        wire = await world.wire(GET.replace(b"GET", method) * 2)
        for _ in range(2):
            answer = await wire.answer(is_head=True)
            assert (answer.status, answer.all("transfer-encoding")) == (status, [])


async def test_the_head_goes_out_before_the_body_is_there():
    go_on = asyncio.Event()

    async def talk(scope, receive, send):
        await send(start(headers=OK))
        await go_on.wait()
        await send(piece(b"ok"))

    async with served(talk) as world:
        wire = await world.wire(GET)
        assert b"200" in await wire.reader.readuntil(b"\r\n\r\n")
        go_on.set()
        assert await wire.reader.readexactly(2) == b"ok"


@pytest.mark.parametrize(
    "messages",
    [
        (start(headers=OK), piece(b"a")),
        (start(headers=OK), piece(b"abc")),
        (start(headers=OK), piece()),
        (start(headers=OK), piece(b"a", more=True), piece()),
        (start(headers=OK), piece(b"abc", more=True), piece()),
        (start(headers=OK), piece(b"a", more=True)),
        (start(headers=[(b"content-length", b"0")]), piece(b"a", more=True), piece()),
        (start(), piece(b"a", more=True)),
        (start(), piece(more=True)),
    ],
)
async def test_an_answer_that_is_not_what_it_says_breaks_the_connection(messages):
    async with served(saying(*messages)) as world:
        wire = await world.wire(GET + GET)
        found = await wire.rest()
        assert found.count(b"HTTP/1.1") <= 1
        assert not found.endswith(b"0\r\n\r\n")


# ── faults of applications ──


async def test_an_application_that_fails_before_it_answers_is_500(caplog):
    async def talk(scope, receive, send):
        raise ValueError("odd")

    async with served(talk) as world:
        wire = await world.wire(GET + GET)
        for _ in range(2):
            answer = await wire.answer()
            assert (answer.status, answer.body) == (500, b"Internal Server Error")
    assert "ValueError: odd" in caplog.text


@pytest.mark.parametrize("messages", [(), (start(),)])
async def test_an_application_that_says_nothing_or_only_begins_is_not_waited_for(messages):
    async with served(saying(*messages)) as world:
        assert (await world.ask()).status == 500


async def test_an_application_that_fails_after_it_began_breaks_the_connection(caplog):
    async def talk(scope, receive, send):
        await send(start())
        await send(piece(b"a", more=True))
        raise ValueError("odd")

    async with served(talk) as world:
        assert not (await (await world.wire(GET)).rest()).endswith(b"0\r\n\r\n")
    assert "ValueError: odd" in caplog.text


@pytest.mark.parametrize(
    "messages",
    [
        (piece(b"a"),),
        (start(), start()),
        ({"type": "http.response.trailers"},),
        (start(headers=[(b"a", b"b\r\nc: d")]), piece()),
        (start(headers=[(b"content-length", b"x")]), piece()),
    ],
)
async def test_what_may_not_be_said_is_an_error_of_the_application(messages, caplog):
    async with served(saying(*messages)) as world:
        answer = await world.ask()
        assert answer.status == 500
        assert isinstance(await world.ends.get(), RuntimeError | ValueError)
    assert "an application failed" in caplog.text


async def test_a_head_with_a_line_break_is_never_sent_where_it_would_go_alone(caplog):
    async def talk(scope, receive, send):
        await send(start(headers=[(b"a", b"b\r\nc: d")]))
        await asyncio.sleep(0)
        await send(piece(b"a", more=True))

    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
    async with served(talk) as world:
        assert (await world.ask()).status == 500
    assert [type(error) for error in errors] == [ValueError]


async def test_what_is_said_behind_the_end_is_dropped():
    async with served(saying(start(), piece(b"a"), piece(b"b"), piece(b"c", more=True))) as world:
        wire = await world.wire(GET + GET)
        for _ in range(2):
            assert (await wire.answer()).body == b"a"


# ── clients that go ──


async def test_a_client_that_goes_while_it_is_waited_for_is_told_and_nothing_more_can_be_sent(caplog):
    async def talk(scope, receive, send):
        await body_of(receive)
        gone = await receive()
        with pytest.raises(ClientGoneError):
            await send(start())
        await send(start())
        return gone

    async with served(talk) as world:
        wire = await world.wire(GET)
        wire.writer.close()
        assert isinstance(await world.ends.get(), ClientGoneError)
    assert "an application failed" not in caplog.text


async def test_a_client_that_goes_within_its_body_is_told():
    async def talk(scope, receive, send):
        return (await body_of(receive))[1], await receive()

    async with served(talk) as world:
        wire = await world.wire(POST + b"a")
        wire.writer.transport.abort()
        assert await world.ends.get() == ("http.disconnect", {"type": "http.disconnect"})


async def test_a_client_that_goes_while_its_answer_waits_for_it_ends_the_sending():
    async def talk(scope, receive, send):
        await send(start())
        while True:
            await send(piece(b"x" * 1_000_000, more=True))

    async with served(talk) as world:
        wire = await world.wire(GET)
        await wire.reader.readexactly(10)
        wire.writer.transport.abort()
        assert isinstance(await world.ends.get(), ClientGoneError)


# ── applications that break the connection ──


@pytest.mark.parametrize("request_", [GET, POST + b"a"])
@pytest.mark.parametrize("is_begun", [False, True])
@pytest.mark.parametrize("is_reset", [False, True])
async def test_an_application_may_break_the_connection(request_, is_begun, is_reset):
    go_on = asyncio.Event()

    async def talk(scope, receive, send):
        connection = scope["extensions"][EXTENSION]
        if is_begun:
            await send(start())
            await send(piece(b"a", more=True))
            await go_on.wait()
        connection.abort() if is_reset else connection.close()
        while (await receive())["type"] != "http.disconnect":
            pass
        return "gone"

    async with served(talk) as world:
        wire = await world.wire(request_)
        if is_begun:
            assert b"200" in await wire.reader.readuntil(b"1\r\na\r\n")
        go_on.set()
        if is_reset:
            with pytest.raises(ConnectionResetError):
                await wire.reader.read()
        else:
            assert await wire.reader.read() == b""
        assert await world.ends.get() == "gone"


async def test_breaking_a_connection_that_has_gone_changes_nothing():
    begun = asyncio.Event()

    async def talk(scope, receive, send):
        await receive()
        begun.set()
        await receive()
        await asyncio.sleep(0)  # the transport lets go of its socket in the turn behind
        scope["extensions"][EXTENSION].abort()
        return "gone"

    async with served(talk) as world:
        wire = await world.wire(GET)
        await begun.wait()
        wire.writer.transport.abort()
        assert await world.ends.get() == "gone"


class Direct:
    """A handler without ASGI."""

    def __init__(self) -> None:
        self.exchanges = asyncio.Queue()
        self.fails = False

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "lifespan"

    def begin(self, exchange):
        if self.fails:
            raise ValueError("odd")
        self.exchanges.put_nowait(exchange)

    def refuse(self, reason, client):
        return 500, [(b"x-reason", reason.encode())], b"refused"


@contextlib.asynccontextmanager
async def directly():
    listening, direct = socket.create_server(("127.0.0.1", 0)), Direct()
    async with asyncio.timeout(20), serving(direct, [listening], drain_s=0.1):
        world = Served(listening)
        yield world, direct
        world.leave()


async def test_a_handler_may_answer_without_a_task():
    async with directly() as (world, direct):
        wire = await world.wire(POST + b"ab")
        exchange = await direct.exchanges.get()
        assert (exchange.has_body, exchange.has_unread_body, exchange.is_over) == (True, True, False)
        exchange.respond(201, [(b"x", b"y")], b"made")
        exchange.respond(500, [], b"once only")
        answer = await wire.answer()
        assert (answer.status, answer["x"], answer.body, exchange.is_over) == (201, "y", b"made", True)


async def test_a_handler_is_told_when_the_client_has_gone_and_may_answer_nobody():
    async with directly() as (world, direct):
        wire = await world.wire(GET)
        exchange, gone = await direct.exchanges.get(), asyncio.Event()
        exchange.on_gone = gone.set
        wire.writer.close()
        await gone.wait()
        assert (exchange.is_gone, exchange.is_over) == (True, True)
        exchange.respond(200, [], b"")


async def test_a_handler_that_fails_is_answered_for(caplog):
    async with directly() as (world, direct):
        direct.fails = True
        wire = await world.wire(GET + GET)
        for _ in range(2):
            answer = await wire.answer()
            assert (answer.status, answer["x-reason"]) == (500, Reason.UNEXPECTED_ERROR)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


async def test_an_answer_to_a_client_that_has_gone_needs_no_wire():
    async with directly() as (world, direct):
        wire: Wire = await world.wire(GET)
        exchange = await direct.exchanges.get()
        gone = asyncio.Event()
        exchange.on_gone = gone.set

        async def app(scope, receive, send):
            await send(start())
            wire.writer.transport.abort()
            await gone.wait()

        await exchange.run(app)
        assert exchange.is_gone


# ── pieces that pass at once ──


def exchange_of(scope):
    return scope["extensions"][EXTENSION]


async def test_pieces_of_an_answer_are_taken_at_once_between_its_beginning_and_its_end():
    takes = []

    async def talk(scope, receive, send):
        take = exchange_of(scope).take
        await send(start(headers=[(b"content-length", b"8")]))
        takes.append(take(memoryview(b"early")))
        await send(piece(b"ab", more=True))
        await asyncio.sleep(0)  # the head is on its way
        takes.extend(
            (take(memoryview(b"cd")), take(memoryview(b"ef")), take(memoryview(b"gh")), take(memoryview(b"gh+")))
        )
        await send(piece(b"gh"))
        takes.append(take(memoryview(b"late")))

    async with served(talk) as world:
        answer = await world.ask()
    assert (answer.body, answer.is_whole) == (b"abcdefgh", True)
    assert takes == [False, True, True, False, False, False]


@pytest.mark.parametrize(
    ("request_", "headers"),
    [(GET, ()), (OLD, ()), (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", [(b"content-length", b"8")])],
)
async def test_answers_that_are_not_of_a_known_length_are_not_taken_at_once(request_, headers):
    async def talk(scope, receive, send):
        await send(start(headers=headers))
        await send(piece(b"ab", more=True))
        await asyncio.sleep(0)
        is_taken = exchange_of(scope).take(memoryview(b"cd"))
        await send(piece())
        return is_taken

    async with served(talk) as world:
        await world.ask(request_, is_head=request_.startswith(b"HEAD"))
        assert await world.ends.get() is False


async def test_nothing_is_taken_for_a_client_that_has_gone():
    async def talk(scope, receive, send):
        await send(start(headers=[(b"content-length", b"8")]))
        await send(piece(b"ab", more=True))
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        return exchange_of(scope).take(memoryview(b"cd"))

    async with served(talk) as world:
        wire = await world.wire(GET)
        await wire.reader.readuntil(b"ab")
        wire.writer.transport.abort()
        assert await world.ends.get() is False


async def test_a_body_is_diverted_while_it_is_waited_for_but_for_its_end():
    size, diverted, is_open = 2_000_000, bytearray(), True

    async def talk(scope, receive, send):
        def take(data):
            nonlocal is_open
            is_open = not is_open
            if is_open:
                diverted.extend(data)
            return is_open

        received = bytearray()
        exchange_of(scope).divert(take)
        while True:
            message = await receive()
            received += message["body"]
            if not message["more_body"]:
                break
        exchange_of(scope).divert(None)
        await answering(b"%d" % (len(received) + len(diverted)))(scope, receive, send)
        return bytes(received[-3:])

    async with served(talk) as world:
        wire = await world.wire(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 100_000):
            wire.writer.write(b"x" * 100_000)
            await wire.writer.drain()
        assert (await wire.answer()).body == b"%d" % size
        assert diverted
        assert await world.ends.get() == b"xxx"
