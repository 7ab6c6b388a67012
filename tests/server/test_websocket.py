"""WebSockets as the server gives them to an application: raw frames and an official client, over real sockets."""

import asyncio
import logging
import socket
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.core.reasons import Reason
from gateway.server.errors import ClientGoneError
from gateway.server.serving import serving
from gateway.server.websocket import EXTENSION
from gateway.websocket import channel as channel_module
from tests.upstream.websocket_kit import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    closing,
    frame,
    header,
    read_frame,
)

LIMIT = 1000


class World:
    def __init__(self, port, app):
        self.port, self.app = port, app
        self.writers = []
        self.stop = asyncio.Event()
        self.stopped = asyncio.Event()

    async def raw(self, lines=UPGRADE, *, line=b"GET /ws?a=1 HTTP/1.1", more=b"", **options):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        self.writers.append(writer)
        writer.write(line + b"\r\nHost: app.example.test\r\n" + lines + b"\r\n" + more)
        return reader, writer

    async def opened(self, **options):
        reader, writer = await self.raw(**options)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        return reader, writer

    async def answer(self, *parts, **options):
        reader, _ = await self.raw(*parts, **options)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read()  # the connection ends with it
        return int(head.split()[1]), head, body

    def connect(self, **options):
        return connect(f"ws://127.0.0.1:{self.port}/ws", proxy=None, **options)


@asynccontextmanager
async def world(talk, drain_s=5.0):
    """Serve an application that says nothing of the lifespan; what it returns or raises is kept in ``app``."""
    ends = asyncio.Queue()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            return
        try:
            ends.put_nowait(await talk(scope, receive, send))
        except BaseException as error:
            ends.put_nowait(error)
            raise

    listening = socket.create_server(("127.0.0.1", 0))
    async with asyncio.timeout(60):
        found = World(listening.getsockname()[1], ends)
        running, is_ready = None, asyncio.Event()

        async def run():
            async with serving(app, [listening], drain_s=drain_s):
                is_ready.set()
                await found.stop.wait()
            found.stopped.set()

        running = asyncio.create_task(run())
        await is_ready.wait()
        try:
            yield found
        finally:
            for writer in found.writers:
                writer.close()
            found.stop.set()
            await running


async def until_cut(reader):
    """Read to the end; what a connection that was cut looks like depends on what was unread."""
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass


def accepting(then=None, **more):
    """An application that accepts, then echoes or does what it is told, and returns how it ended."""

    async def talk(scope, receive, send):
        scope["extensions"][EXTENSION].max_message_bytes = LIMIT
        assert await receive() == {"type": "websocket.connect"}
        await send({"type": "websocket.accept", **more})
        return await (then or echo)(scope, receive, send)

    return talk


async def echo(scope, receive, send):
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    return message


async def just_end(scope, receive, send):
    return None


# ── opening ──


async def test_the_scope_says_what_was_asked():
    seen = []

    async def talk(scope, receive, send):
        seen.append(scope)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "b"})
        return await receive()

    async with world(talk) as found, found.connect(subprotocols=["a", "b"], compression="deflate") as client:
        assert client.subprotocol == "b"
        assert "sec-websocket-extensions" not in client.response.headers
        (scope,) = seen
        assert (scope["type"], scope["scheme"], scope["path"], scope["raw_path"]) == ("websocket", "ws", "/ws", b"/ws")
        assert (scope["http_version"], scope["subprotocols"], scope["query_string"]) == ("1.1", ["a", "b"], b"")
        assert scope["client"][0] == scope["server"][0] == "127.0.0.1"
        assert "websocket.http.response" in scope["extensions"]
        assert (b"sec-websocket-version", b"13") in scope["headers"]


async def test_the_headers_of_the_acceptance_are_sent_and_ours_are_not_overruled():
    theirs = [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-length", b"5"),
        (b"connection", b"close"),
        (b"sec-websocket-extensions", b"permessage-deflate"),
    ]
    async with world(accepting(headers=theirs)) as found:
        reader, _ = await found.raw()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.count(b"set-cookie: ") == 2
        assert (head.count(b"connection: "), header(head, b"connection")) == (1, b"upgrade")
        assert b"content-length" not in head
        assert b"sec-websocket-extensions" not in head
        assert header(head, b"sec-websocket-accept") == b"s3pplmbitxaq9kygzzhzrbk+xoo="
        assert b"\r\ndate: " in head


@pytest.mark.parametrize(
    ("line", "lines", "status"),
    [
        (b"GET / HTTP/1.1", UPGRADE.replace(b"13", b"8"), 426),
        (b"GET / HTTP/1.1", UPGRADE.replace(b"13", b"013"), 426),
        (b"GET / HTTP/1.1", UPGRADE.replace(b"Sec-WebSocket-Version: 13\r\n", b""), 400),
        (b"GET / HTTP/1.1", UPGRADE + b"Sec-WebSocket-Version: 13\r\n", 400),
        (b"GET / HTTP/1.1", UPGRADE.replace(b"Sec-WebSocket-Key: " + KEY + b"\r\n", b""), 400),
        (b"GET / HTTP/1.1", UPGRADE + b"Sec-WebSocket-Key: " + KEY + b"\r\n", 400),
        (b"GET / HTTP/1.1", UPGRADE.replace(KEY, b"dGhl"), 400),
        (b"GET / HTTP/1.1", UPGRADE.replace(KEY, b"*" * 24), 400),
        (b"GET / HTTP/1.1", UPGRADE.replace(KEY, b"\xff" * 24), 400),
        (b"POST / HTTP/1.1", UPGRADE, 400),
        (b"GET / HTTP/1.0", UPGRADE, 400),
    ],
)
async def test_an_opening_that_is_none_never_reaches_the_application(line, lines, status):
    async with world(accepting()) as found:
        told, head, _ = await found.answer(lines, line=line)
        assert told == status
        reason = Reason.WEBSOCKET_VERSION_UNSUPPORTED if status == 426 else Reason.WEBSOCKET_OPENING_INVALID
        assert header(head, b"x-clerk-auth-reason") == reason.encode()
        assert header(head, b"sec-websocket-version") == (b"13" if status == 426 else b"")
        assert found.app.empty()


async def test_it_is_asked_for_in_a_list_of_protocols_too():
    async with world(accepting()) as found:
        await found.opened(lines=UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: h2c, WebSocket"))


async def test_a_request_before_it_on_the_same_connection_is_answered_first():
    async def talk(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
            return None
        return await accepting()(scope, receive, send)

    async with world(talk) as found:
        reader, writer = await asyncio.open_connection("127.0.0.1", found.port)
        found.writers.append(writer)
        host = b"Host: app.example.test\r\n"
        opening = b"GET /ws HTTP/1.1\r\n" + host + UPGRADE + b"\r\n"
        writer.write(b"GET / HTTP/1.1\r\n" + host + b"\r\n" + opening + frame(TEXT, b"early", masked=True))
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        assert await read_frame(reader) == (TEXT, b"early")


# ── refusals ──


async def test_a_close_before_the_acceptance_is_403():
    async def talk(scope, receive, send):
        await send({"type": "websocket.close"})
        with pytest.raises(ClientGoneError):
            await send({"type": "websocket.accept"})
        await receive()
        return await receive()

    async with world(talk) as found:
        status, _, body = await found.answer()
        assert (status, body) == (403, b"Forbidden")
        assert await found.app.get() == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


async def test_it_is_refused_with_a_whole_answer_also_when_frames_came_along():
    async def talk(scope, receive, send):
        headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"no", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"body"})

    async with world(talk) as found:
        status, head, body = await found.answer(more=frame(BINARY, bytes(LIMIT), masked=True))
        assert (status, body, head.count(b"set-cookie: ")) == (401, b"nobody", 2)
        assert header(head, b"content-length") == b"6"
        assert header(head, b"connection") == b"close"


@pytest.mark.parametrize("message", [{"type": "websocket.send", "text": "a"}, {"type": "http.response.start"}])
async def test_what_does_not_come_next_is_an_error_of_the_application(message, caplog):
    async def talk(scope, receive, send):
        await send(message)

    async with world(talk) as found:
        status, _, _ = await found.answer()
        assert status == 500
        assert isinstance(await found.app.get(), RuntimeError)


async def test_an_answer_that_was_begun_is_no_acceptance(caplog):
    async def talk(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 401})
        await send({"type": "websocket.accept"})

    async with world(talk) as found:
        assert (await found.answer())[0] == 500


async def test_a_header_that_breaks_the_line_is_an_error_of_the_application(caplog):
    async with world(accepting(headers=[(b"x", b"a\r\nb: c")])) as found:
        assert (await found.answer())[0] == 500
        assert "an application failed" in caplog.text


async def test_an_application_that_says_nothing_is_500():
    async with world(just_end) as found:
        assert (await found.answer())[0] == 500


async def test_a_client_that_leaves_before_the_acceptance_is_told():
    left = asyncio.Event()

    async def talk(scope, receive, send):
        await receive()
        waiting = asyncio.create_task(receive())  # of several who ask, one that gives up takes nothing from the others
        await asyncio.sleep(0)
        waiting.cancel()
        left.set()
        message = await receive()
        scope["extensions"][EXTENSION].respond(200, [], b"into the void")
        with pytest.raises(ClientGoneError):
            scope["extensions"][EXTENSION].accept(None, ())
        await send({"type": "websocket.accept"})
        return message

    async with world(talk) as found:
        _, writer = await found.raw()
        await left.wait()
        writer.transport.abort()
        assert isinstance(await found.app.get(), ClientGoneError)


# ── messages ──


async def test_messages_keep_their_kind_and_their_order():
    async with world(accepting()) as found, found.connect() as client:
        for message in ("é", b"\xff\x00", "", b"", "x" * 125, "x" * 126, b"x" * LIMIT):
            await client.send(message)
            assert await client.recv() == message
        await (await client.ping())


async def test_large_messages_go_whole_where_the_application_takes_them():
    async def talk(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        return await echo(scope, receive, send)

    async with world(talk) as found, found.connect(max_size=None) as client:
        await client.send(bytes(3_000_000))
        assert await client.recv() == bytes(3_000_000)


@pytest.mark.parametrize(
    ("frames", "messages"),
    [
        ([frame(TEXT, b"a", fin=False), frame(PING, b"p"), frame(CONT, b"", fin=False), frame(CONT, b"b")], [b"ab"]),
        ([frame(TEXT, b"\xc3", fin=False), frame(CONT, b"\xa9")], ["é".encode()]),
        ([frame(BINARY, b"", fin=False), frame(CONT)], [b""]),
        ([frame(PONG, b"unasked"), frame(TEXT, b"a"), frame(TEXT, b"b")], [b"a", b"b"]),
        ([frame(TEXT, b"x" * LIMIT)], [b"x" * LIMIT]),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10_000])
async def test_fragments_are_joined_however_they_come(frames, messages, size):
    data = b"".join(bytes([each[0], each[1] | 0x80]) + _masked(each) for each in frames)
    async with world(accepting()) as found:
        reader, writer = await found.opened()
        for at in range(0, len(data), size):
            writer.write(data[at : at + size])
            await asyncio.sleep(0)
        got = []
        while len(got) < len(messages):
            opcode, payload = await read_frame(reader)
            if opcode in {TEXT, BINARY}:
                got.append(payload)
            else:
                assert (opcode, payload) == (PONG, b"p")
        assert got == messages


def _masked(each):
    size = {126: 2, 127: 8}.get(each[1], 0)
    return each[2 : 2 + size] + bytes(4) + each[2 + size :]


async def test_masks_are_taken_off():
    async with world(accepting()) as found:
        reader, writer = await found.opened()
        mask = b"\x01\x02\x03\x04"
        data = bytes(byte ^ mask[place % 4] for place, byte in enumerate(b"hello"))
        writer.write(b"\x81\x85" + mask + data)
        assert await read_frame(reader) == (TEXT, b"hello")


async def test_frames_that_come_before_the_acceptance_wait_for_it():
    async with world(accepting()) as found:
        reader, _ = await found.opened(more=frame(TEXT, b"early", masked=True) + frame(TEXT, b"twice", masked=True))
        assert [await read_frame(reader), await read_frame(reader)] == [(TEXT, b"early"), (TEXT, b"twice")]


# ── back-pressure ──


async def test_a_client_that_is_not_heard_has_to_wait():
    go_on = asyncio.Event()

    async def slow(scope, receive, send):
        await go_on.wait()
        return await echo(scope, receive, send)

    async with world(accepting(slow)) as found:
        reader, writer = await found.opened()
        writer.transport.set_write_buffer_limits(high=0)
        sent, one = 0, frame(BINARY, bytes(LIMIT), masked=True)
        while True:
            writer.write(one)
            sent += 1
            try:
                async with asyncio.timeout(0.3):
                    await writer.drain()
            except TimeoutError:
                break
        go_on.set()

        async def read_all():
            for _ in range(sent):
                assert await read_frame(reader) == (BINARY, bytes(LIMIT))

        await asyncio.gather(read_all(), writer.drain())


async def test_who_sends_waits_for_a_slow_client():
    sent, full = [], asyncio.Event()

    async def pour(scope, receive, send):
        asyncio.get_running_loop().call_later(0.3, full.set)
        while True:
            await send({"type": "websocket.send", "bytes": bytes(100_000)})
            sent.append(1)

    async with world(accepting(pour)) as found:
        _, writer = await found.opened(limit=1024)
        await full.wait()
        assert len(sent) < 1000
        writer.transport.abort()
        assert isinstance(await found.app.get(), ClientGoneError)


async def test_pings_that_are_answered_to_nobody_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(channel_module, "_MAX_ANSWER_BYTES", 10_000)
    async with world(accepting()) as found:
        _, writer = await found.opened(limit=1024)
        with suppress(ConnectionError):
            while True:
                writer.write(frame(PING, bytes(125), masked=True) * 100)
                await writer.drain()
        assert (await found.app.get())["code"] == 1006


# ── ends ──


@pytest.mark.parametrize(
    ("last", "code", "reason", "echoed"),
    [
        (closing(1000, "bye", masked=True), 1000, "bye", b"\x03\xe8bye"),
        (closing(4321, masked=True), 4321, "", b"\x10\xe1"),
        (frame(CLOSE, masked=True), 1005, "", b""),
        (frame(TEXT, b"a", masked=True) + closing(1001, masked=True) + b"after the end", 1001, "", b"\x03\xe9"),
    ],
)
async def test_the_application_is_told_how_the_client_ended_it(last, code, reason, echoed):
    async def collect(scope, receive, send):
        while (message := await receive())["type"] == "websocket.receive":
            pass
        with pytest.raises(ClientGoneError):
            await send({"type": "websocket.send", "text": "too late"})
        return message

    async with world(accepting(collect)) as found:
        reader, writer = await found.opened()
        writer.write(last)
        assert await read_frame(reader) == (CLOSE, echoed)
        assert await reader.read() == b""
        assert await found.app.get() == {"type": "websocket.disconnect", "code": code, "reason": reason}


@pytest.mark.parametrize("data", [b"", frame(TEXT, b"half", masked=True)[:5]])
async def test_a_connection_that_breaks_is_1006(data):
    async with world(accepting()) as found:
        _, writer = await found.opened()
        writer.write(data)
        writer.transport.close()
        assert (await found.app.get())["code"] == 1006


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(TEXT, b"a"), 1002),
        (frame(TEXT, b"a", masked=True, reserved=0x40), 1002),
        (frame(3, masked=True), 1002),
        (frame(CONT, b"a", masked=True), 1002),
        (frame(PING, fin=False, masked=True), 1002),
        (frame(PING, b"x" * 126, masked=True), 1002),
        (frame(TEXT, b"a", fin=False, masked=True) + frame(TEXT, b"b", masked=True), 1002),
        (frame(TEXT, b"a", fin=False, masked=True) + closing(1000, masked=True), 1002),
        (closing(999, masked=True), 1002),
        (closing(1005, masked=True), 1002),
        (frame(CLOSE, b"\x03", masked=True), 1002),
        (frame(CLOSE, b"\x03\xe8\xff", masked=True), 1007),
        (frame(TEXT, b"\xff", masked=True), 1007),
        (frame(TEXT, b"\xed\xa0\x80", masked=True), 1007),
        (frame(TEXT, b"\xc3", fin=False, masked=True) + frame(CONT, b"(", masked=True), 1007),
        (frame(BINARY, bytes(LIMIT + 1), masked=True)[:4], 1009),
        (b"\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00", 1009),
        (frame(BINARY, bytes(900), fin=False, masked=True) + frame(CONT, bytes(101), masked=True)[:4], 1009),
    ],
)
async def test_what_breaks_the_rules_ends_it_and_the_application_is_told_why(bad, code):
    async with world(accepting()) as found:
        reader, writer = await found.opened()
        writer.write(bad)
        opcode, data = await read_frame(reader)
        assert (opcode, int.from_bytes(data[:2], "big")) == (CLOSE, code)
        assert await reader.read() == b""
        assert (await found.app.get())["code"] == code


async def test_one_that_is_still_sending_what_is_too_large_gets_to_read_why():
    async with world(accepting()) as found:
        reader, writer = await found.opened()
        writer.write(frame(BINARY, bytes(8_000_000), masked=True))
        await writer.drain()
        opcode, data = await read_frame(reader)
        assert (opcode, data[:2]) == (CLOSE, b"\x03\xf1")
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ({"code": 4001, "reason": "enough"}, b"\x0f\xa1enough"),
        ({}, b"\x03\xe8"),
        ({"code": 1005, "reason": "goes nowhere"}, b""),
    ],
)
async def test_the_application_ends_it(message, data):
    async def close(scope, receive, send):
        await send({"type": "websocket.close", **message})
        with pytest.raises(ClientGoneError):
            await send({"type": "websocket.send", "text": "too late"})
        return await receive()

    async with world(accepting(close)) as found:
        reader, writer = await found.opened()
        assert await read_frame(reader) == (CLOSE, data)
        writer.write(frame(TEXT, b"unheard", masked=True) + frame(CLOSE, data, masked=True))
        assert await reader.read() == b""
        assert (await found.app.get())["code"] == message.get("code", 1000)


async def test_a_client_that_answers_no_close_is_cut(monkeypatch):
    monkeypatch.setattr(channel_module, "CLOSE_S", 0.05)
    async with world(accepting(just_end)) as found:
        reader, _ = await found.opened()
        assert await read_frame(reader) == (CLOSE, b"\x03\xe8")
        await until_cut(reader)


async def test_an_application_that_fails_afterwards_is_1011(caplog):
    async def fail(scope, receive, send):
        raise ZeroDivisionError

    async with world(accepting(fail)) as found, found.connect() as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1011
    assert any(record.levelno == logging.ERROR for record in caplog.records)


async def test_what_is_no_message_of_an_open_websocket_is_an_error(caplog):
    async def odd(scope, receive, send):
        await send({"type": "websocket.accept"})

    async with world(accepting(odd)) as found, found.connect() as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1011


async def test_the_application_can_cut_a_client_that_takes_nothing():
    async def cut(scope, receive, send):
        channel = scope["extensions"][EXTENSION].channel
        while not channel.is_write_paused:
            channel.write(bytes(100_000), is_text=False)
        waiting = [asyncio.create_task(channel.send(b"more", is_text=False)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting.pop().cancel()
        channel.abort()
        await asyncio.gather(*waiting)
        return (await receive())["code"]

    async with world(accepting(cut)) as found:
        reader, _ = await found.opened(limit=1024)
        assert await found.app.get() == 1006
        await until_cut(reader)


# ── the server's end ──


async def test_open_websockets_have_until_the_end_of_the_drain_and_are_told():
    async with world(accepting(), drain_s=0.2) as found:
        reader, writer = await found.opened()
        found.stop.set()
        writer.write(frame(TEXT, b"still served", masked=True))
        assert await read_frame(reader) == (TEXT, b"still served")
        assert await read_frame(reader) == (CLOSE, b"\x03\xe9")
        assert await reader.read() == b""
        await found.stopped.wait()
        assert isinstance(await found.app.get(), asyncio.CancelledError)


async def test_the_drain_ends_with_the_last_websocket():
    async with world(accepting(), drain_s=50) as found:
        reader, writer = await found.opened()
        found.stop.set()
        writer.write(closing(1000, masked=True))
        assert await read_frame(reader) == (CLOSE, b"\x03\xe8")
        async with asyncio.timeout(10):
            await found.stopped.wait()


@pytest.mark.parametrize("is_accepted", [True, False])
async def test_who_takes_nothing_or_waits_for_an_acceptance_is_cut_at_the_end(is_accepted):
    reached = asyncio.Event()

    async def talk(scope, receive, send):
        if is_accepted:
            await send({"type": "websocket.accept"})
            channel = scope["extensions"][EXTENSION].channel
            while not channel.is_write_paused:
                channel.write(bytes(100_000), is_text=False)
        reached.set()
        await asyncio.Event().wait()

    async with world(talk, drain_s=0.05) as found:
        await found.raw(limit=1024)
        await reached.wait()
        found.stop.set()
        await found.stopped.wait()
        assert isinstance(await found.app.get(), asyncio.CancelledError)


async def test_the_transport_may_be_full_already_when_it_is_handed_over():
    async def talk(scope, receive, send):
        socket = scope["extensions"][EXTENSION]
        socket._line.pause_writing()  # as the transport does where the acceptance fills it
        channel = socket.accept(None, ())
        return channel.is_write_paused

    async with world(talk) as found:
        await found.raw()
        assert await found.app.get() is True
