"""Exchanges with upstreams that behave, misbehave and die; after each of them no connection is in use."""

import asyncio
import socket
from dataclasses import replace

import pytest

from gateway.core.reasons import Reason
from gateway.errors import UpstreamError
from gateway.upstream.connection import SLOW_S
from gateway.upstream.forward import ClientGoneError, Outgoing, forward
from gateway.upstream.origin import Limits
from tests.upstream.upstream_kit import (
    HELLO,
    TINY,
    Client,
    Taken,
    answers,
    ask,
    get,
    pool_to,
    post,
    silent,
    until,
    upstream,
)

PATIENT = replace(TINY, first_byte_s=10, idle_s=10)
MIB = 1024 * 1024


async def reason_of(pool, request=None, client=None) -> str:
    with pytest.raises(UpstreamError) as caught:
        await ask(pool, request, client)
    assert pool.in_use == 0
    return caught.value.reason


# ── answers that are passed on ──


async def test_answer_is_passed_on_as_it_came():
    parts = (b"HTTP/1.1 201 Created\r\nX-A: 1\r\nx-a: 2\r\ncontent-le", b"ngth: 5\r\n\r\nhe", b"llo")
    async with upstream(answers(*parts)) as served, pool_to(served) as pool:
        taken = await ask(pool, get(b"/a?b=c"))
        assert (taken.status, taken.body_, taken.is_whole) == (201, b"hello", True)
        assert taken.headers == [(b"x-a", b"1"), (b"x-a", b"2"), (b"content-length", b"5")]
        assert served.requests == [b"GET /a?b=c HTTP/1.1\r\nhost: app.example.com\r\n\r\n"]
        assert pool.idle == 1


async def test_thousand_exchanges_use_one_connection():
    async with upstream(answers(HELLO)) as served, pool_to(served, PATIENT) as pool:
        for _ in range(1000):
            assert (await ask(pool)).body_ == b"hello"
        assert (served.connections, pool.idle, len(served.requests)) == (1, 1, 1000)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("answer", [b"204 No Content\r\n", b"304 Not Modified\r\ncontent-length: 9\r\n"])
async def test_answers_without_body_keep_the_connection(method, answer):
    async with upstream(answers(b"HTTP/1.1 " + answer + b"\r\n")) as served, pool_to(served) as pool:
        for _ in range(3):
            assert (await ask(pool, get(method=method))).body_ == b""
        assert served.connections == 1


async def test_head_is_answered_with_the_length_and_no_body():
    async with upstream(answers(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")) as served, pool_to(served) as pool:
        for _ in range(2):
            taken = await ask(pool, get(method="HEAD"))
            assert (taken.headers, taken.body_, taken.is_whole) == ([(b"content-length", b"5")], b"", True)
        assert served.connections == 1


async def test_body_that_only_the_end_of_the_connection_ends_is_whole():
    script = answers(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo", then_close=True)
    async with upstream(script) as served, pool_to(served) as pool:
        taken = await ask(pool)
        assert (taken.body_, taken.is_whole, pool.idle) == (b"hello", True, 0)


async def test_interim_answers_and_trailers_are_passed_over():
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-session-user-id: m\r\n\r\n"
    script = answers(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 E\r\nlink: </a>\r\n\r\n", chunked)
    async with upstream(script) as served, pool_to(served) as pool:
        for _ in range(2):
            taken = await ask(pool)
            assert (taken.status, taken.body_) == (200, b"hello")
            assert taken.headers == [(b"transfer-encoding", b"chunked")]
        assert served.connections == 1


async def test_bodies_are_framed_as_their_length_is_known():
    seen = []

    async def script(served, reader, writer):
        while True:
            seen.append(await served.body(reader, await served.request(reader)))
            writer.write(HELLO)

    async with upstream(script) as served, pool_to(served) as pool:
        await ask(pool, post(6), Client(b"abc", b"def"))
        await ask(pool, post(None), Client(b"abc", b"", b"def"))
        await ask(pool, post(0))
        await ask(pool, get(method="DELETE"))
        assert (seen, served.connections) == ([b"abcdef", b"abcdef", b"", b""], 1)
    known, unknown, empty, delete = served.requests
    assert b"\r\ncontent-length: 6\r\n" in known
    assert b"\r\ntransfer-encoding: chunked\r\n" in unknown
    assert b"content-length" not in unknown
    assert b"\r\ncontent-length: 0\r\n" in empty
    assert b"content-length" not in delete


async def test_extra_bytes_behind_an_answer_cost_the_connection_not_the_answer():
    evil = b"HTTP/1.1 500 No\r\ncontent-length: 4\r\n\r\nevil"
    for parts in ((HELLO + evil,), (HELLO, evil)):
        async with upstream(answers(*parts)) as served, pool_to(served) as pool:
            for _ in range(3):
                taken = await ask(pool)
                assert (taken.status, taken.body_) == (200, b"hello")
                await asyncio.wait_for(served.is_left.wait(), 5)
                served.is_left.clear()
            assert (served.connections, pool.idle) == (3, 0)


async def test_body_in_answer_to_head_costs_the_connection():
    async with upstream(answers(HELLO)) as served, pool_to(served) as pool:
        for _ in range(2):
            assert (await ask(pool, get(method="HEAD"))).body_ == b""
        assert served.connections == 2


# ── answers that are not ──


async def test_dead_port_is_unreachable():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with pool_to(f"http://127.0.0.1:{bound.getsockname()[1]}") as pool:
            assert await reason_of(pool) == Reason.UPSTREAM_UNREACHABLE


async def test_name_that_does_not_resolve_is_unreachable():
    async with pool_to("http://upstream.invalid:80") as pool:
        assert await reason_of(pool) == Reason.UPSTREAM_UNREACHABLE


async def test_upstream_that_does_not_accept_is_a_connect_timeout():
    # A full backlog leaves the next connection unanswered.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        async with pool_to(f"http://127.0.0.1:{full.getsockname()[1]}", replace(TINY, connect_s=0.1)) as pool:
            waiting = [socket.socket() for _ in range(4)]
            try:
                for one in waiting:
                    one.setblocking(False)
                    one.connect_ex(full.getsockname())
                assert await reason_of(pool) == Reason.UPSTREAM_CONNECT_TIMEOUT
            finally:
                for one in waiting:
                    one.close()


async def test_slow_first_byte_is_a_timeout_and_the_connection_goes():
    async with upstream(silent) as served, pool_to(served) as pool:
        assert await reason_of(pool) == Reason.UPSTREAM_TIMEOUT
        await asyncio.wait_for(served.is_left.wait(), 5)
        assert pool.idle == 0


def dripping(head: bytes, drip: bytes):
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(head)
        while not writer.transport.is_closing():
            writer.write(drip)
            await asyncio.sleep(0.01)

    return script


async def test_dripping_head_does_not_extend_the_first_byte():
    limits = replace(TINY, header_bytes=1_000_000)
    for drip in (b"x", b"x: y\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"):
        head = b"" if drip.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n" + (b"x" if drip == b"x" else b"")
        async with upstream(dripping(head, drip)) as served, pool_to(served, limits) as pool:
            assert await reason_of(pool) == Reason.UPSTREAM_TIMEOUT


async def test_dripping_trailers_do_not_extend_the_body():
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
    async with upstream(dripping(head, b"x: y\r\n")) as served, pool_to(served) as pool:
        assert await reason_of(pool) == Reason.UPSTREAM_TIMEOUT


async def test_dripping_body_goes_on_as_long_as_it_drips():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n")
        for _ in range(40):
            writer.write(b"x")
            await asyncio.sleep(0.01)
        await reader.read()

    async with upstream(script) as served, pool_to(served) as pool:
        assert len((await ask(pool)).body_) == 40


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", Reason.UPSTREAM_TRUNCATED),
        (b"HTTP/1.1 200 OK\r\ncontent-", Reason.UPSTREAM_TRUNCATED),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhell", Reason.UPSTREAM_TRUNCATED),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", Reason.UPSTREAM_TRUNCATED),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", Reason.UPSTREAM_TRUNCATED),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Reason.UPSTREAM_TRUNCATED),
        (b"nonsense\r\n\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
        (b"HTTP/1.1 101 X\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 5000, Reason.UPSTREAM_PROTOCOL_ERROR),
        (b"HTTP/1.1 103 E\r\n\r\n" * 300, Reason.UPSTREAM_PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", Reason.UPSTREAM_PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 1\r\n\r\n", Reason.UPSTREAM_PROTOCOL_ERROR),
    ],
)
async def test_broken_answer_has_its_reason_and_its_connection_goes(sent, reason):
    async with upstream(answers(sent, then_close=True)) as served, pool_to(served) as pool:
        for _ in range(3):
            assert await reason_of(pool) == reason
            assert pool.idle == 0


async def test_answer_that_breaks_after_it_was_begun_is_truncated():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhell")
        await begun.wait()

    begun = asyncio.Event()
    async with upstream(script) as served, pool_to(served) as pool:
        taken = Taken(begun=begun)
        with pytest.raises(UpstreamError) as caught:
            await forward(pool, get(), Client().receive, taken)
        assert caught.value.reason == Reason.UPSTREAM_TRUNCATED
        assert (taken.status, taken.is_whole) == (200, False)


async def test_body_that_stops_is_a_timeout():
    script = answers(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"hell")
    async with upstream(script) as served, pool_to(served) as pool:
        assert await reason_of(pool) == Reason.UPSTREAM_TIMEOUT


# ── kept connections ──


def closing_after_one(*, answer_first: bytes = HELLO):
    """Answers the first request of a connection and closes when the second one comes."""

    async def script(served, reader, writer):
        head = await served.request(reader)
        await served.body(reader, head)
        writer.write(answer_first)
        await served.request(reader)
        if served.connections > 1:
            writer.write(HELLO)

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
async def test_stale_connection_is_replaced_once_for_what_may_be_repeated(method):
    async with upstream(closing_after_one()) as served, pool_to(served) as pool:
        await ask(pool)
        taken = await ask(pool, get(method=method))
        assert taken.status == 200
        assert (served.connections, len(served.requests)) == (2, 3)


async def test_stale_connection_is_not_tried_a_third_time():
    async def script(served, reader, writer):
        await served.request(reader)
        if served.connections == 1:
            writer.write(HELLO)
            await served.request(reader)

    async with upstream(script) as served, pool_to(served) as pool:
        await ask(pool)
        assert await reason_of(pool) == Reason.UPSTREAM_TRUNCATED
        assert (served.connections, len(served.requests)) == (2, 3)


@pytest.mark.parametrize("request_", [post(3), post(None), post(0), Outgoing("PUT", b"/", [], 3)])
async def test_what_may_not_be_repeated_is_never_sent_twice(request_):
    async with upstream(closing_after_one()) as served, pool_to(served) as pool:
        await ask(pool)
        client = Client(b"abc") if request_.length != 0 else Client()
        assert await reason_of(pool, request_, client) == Reason.UPSTREAM_TRUNCATED
        assert len(served.requests) == 2


async def test_get_is_not_repeated_once_a_byte_of_the_answer_came():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(HELLO)
        await served.request(reader)
        writer.write(b"H")

    async with upstream(script) as served, pool_to(served) as pool:
        await ask(pool)
        assert await reason_of(pool) == Reason.UPSTREAM_TRUNCATED
        assert served.connections == 1


async def test_stale_connection_whose_upstream_is_gone_leaks_nothing():
    async with upstream(closing_after_one()) as served, pool_to(served) as pool:
        await ask(pool)
        broken, pool.origin = pool.origin, replace(pool.origin, port=1)
        assert await reason_of(pool) == Reason.UPSTREAM_UNREACHABLE
        pool.origin = broken


# ── bodies and answers at the same time ──


async def test_early_answer_ends_the_exchange_and_its_connection():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(HELLO)
        await reader.read()

    async with upstream(script) as served, pool_to(served) as pool:
        client = Client()
        client._messages[:] = [{"type": "http.request", "body": b"a", "more_body": True}]
        taken = await ask(pool, post(100), client)
        assert (taken.body_, taken.is_whole, pool.idle) == (b"hello", True, 0)
        await asyncio.wait_for(served.is_left.wait(), 5)


async def test_answer_may_stream_while_the_body_still_comes():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n")
        for _ in range(6):
            writer.write(await reader.readexactly(1))
        await reader.read()

    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    class Echo(Taken):
        async def body(self, data, *, more):
            await super().body(data, more=more)
            if len(self.body_) < 6:
                pieces.put_nowait(b"x")

    async def receive():
        return {"type": "http.request", "body": await pieces.get(), "more_body": True}

    pieces.put_nowait(b"x")
    async with upstream(script) as served, pool_to(served) as pool:
        taken = Echo()
        await forward(pool, post(6), receive, taken)
        assert (taken.body_, pool.idle) == (b"xxxxxx", 1)


async def test_first_byte_counts_from_the_last_byte_of_the_request():
    limits = replace(TINY, first_byte_s=0.1, idle_s=0.5)

    async def receive():
        await asyncio.sleep(0.04)
        sent.append(b"x")
        return {"type": "http.request", "body": b"x", "more_body": len(sent) < 8}

    sent: list[bytes] = []
    async with upstream(answers(HELLO)) as served, pool_to(served, limits) as pool:
        taken = Taken()
        await forward(pool, post(8), receive, taken)
        assert taken.body_ == b"hello"
        del sent[:]
        with pytest.raises(UpstreamError):
            await forward(pool, post(None), Client().receive, _Refusing())
    async with upstream(silent) as served, pool_to(served, limits) as pool:
        assert await reason_of(pool, post(1), Client(b"x")) == Reason.UPSTREAM_TIMEOUT


class _Refusing(Taken):
    async def start(self, status, headers):
        raise UpstreamError(Reason.UNEXPECTED_ERROR, "a test says no")


async def test_client_that_stops_sending_is_a_request_timeout():
    client = Client()
    client._messages[:] = [{"type": "http.request", "body": b"a", "more_body": True}]
    async with upstream(silent) as served, pool_to(served, replace(TINY, first_byte_s=10)) as pool:
        assert await reason_of(pool, post(2), client) == Reason.REQUEST_TIMEOUT


async def test_upstream_that_takes_nothing_of_a_body_is_a_timeout():
    async def script(served, reader, writer):
        await served.request(reader)
        await served.is_left.wait()

    client = Client(*[b"x" * MIB] * 16)
    async with upstream(script) as served, pool_to(served) as pool:
        assert await reason_of(pool, post(16 * MIB), client) == Reason.UPSTREAM_TIMEOUT
        assert client.asked < 16


@pytest.mark.parametrize(("length", "pieces"), [(3, [b"abcGET /evil"]), (9, [b"abc"]), (3, [b"ab", b"cd"])])
async def test_body_that_is_not_as_long_as_said_is_refused(length, pieces):
    got = []

    async def script(served, reader, writer):
        await served.request(reader)
        got.append(await reader.read())

    async with upstream(script) as served, pool_to(served) as pool:
        assert await reason_of(pool, post(length), Client(*pieces)) == Reason.REQUEST_FRAMING_INVALID
    assert not got or b"evil" not in got[0]


async def test_line_break_in_a_head_never_reaches_the_upstream():
    async with upstream(answers(HELLO)) as served, pool_to(served) as pool:
        for header in ((b"a", b"b\r\nx: y"), (b"a", b"b\nx: y"), (b"a\r", b"b"), (b"a", b"\0")):
            request = Outgoing("GET", b"/", [header], 0)
            assert await reason_of(pool, request) == Reason.REQUEST_FRAMING_INVALID
        assert await reason_of(pool, get(b"/ HTTP/1.1\r\nx: y")) == Reason.REQUEST_FRAMING_INVALID
        assert served.connections == 0


async def test_fault_of_the_server_is_told_and_not_taken_for_a_timeout():
    async def receive():
        raise RuntimeError("the server's fault")

    async with upstream(silent) as served, pool_to(served, PATIENT) as pool:
        with pytest.raises(RuntimeError, match="the server's fault"):
            await forward(pool, post(3), receive, Taken())
        assert pool.in_use == 0


# ── clients that go ──


async def test_client_gone_within_its_body_ends_the_upstream_connection():
    client = Client(b"abc")
    client._messages.pop()
    async with upstream(silent) as served, pool_to(served, PATIENT) as pool:
        task = asyncio.create_task(ask(pool, post(9), client))
        await until(lambda: served.requests)
        client.gone.set()
        with pytest.raises(ClientGoneError):
            await task
        await asyncio.wait_for(served.is_left.wait(), 5)
        assert (pool.in_use, pool.idle) == (0, 0)


async def test_client_gone_without_a_body_is_noticed_after_a_while():
    client = Client()
    async with upstream(silent) as served, pool_to(served, PATIENT) as pool:
        task = asyncio.create_task(ask(pool, get(), client))
        await until(lambda: served.requests)
        assert client.asked == 0
        client.gone.set()
        with pytest.raises(ClientGoneError):
            await asyncio.wait_for(task, SLOW_S + 5)
        await asyncio.wait_for(served.is_left.wait(), 5)


async def test_cancelled_exchange_gives_its_connection_back():
    async with upstream(silent) as served, pool_to(served, PATIENT) as pool:
        for request in (get(), post(9)):
            served.requests.clear()
            task = asyncio.create_task(ask(pool, request, Client(*[b"x"] * 9)))
            await until(lambda: served.requests)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (pool.in_use, pool.idle) == (0, 0)


class _Stuck(Taken):
    async def body(self, data, *, more):
        await super().body(data, more=more)
        if more:
            await asyncio.Event().wait()


class _Raising(Taken):
    async def body(self, data, *, more):
        raise OSError("the client is not there")


@pytest.mark.parametrize("sink", [_Stuck, _Raising])
async def test_client_that_does_not_read_gives_its_connection_back(sink):
    script = answers(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhell")
    async with upstream(script) as served, pool_to(served) as pool:
        with pytest.raises(ClientGoneError):
            await forward(pool, get(), Client().receive, sink())
        await asyncio.wait_for(served.is_left.wait(), 5)
        assert (pool.in_use, pool.idle) == (0, 0)


# ── back-pressure ──


async def test_upstream_is_read_no_faster_than_the_client_reads():
    total = 32 * MIB
    written = 0

    async def script(served, reader, writer):
        nonlocal written
        await served.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        for _ in range(total // 65536):
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536
        await reader.read()

    class Slow(Taken):
        async def body(self, data, *, more):
            if not self.body_:
                self.begun_at = await settled(lambda: written)
            assert len(data) <= limits.window_bytes + 256 * 1024
            await super().body(data, more=more)

    limits = Limits(window_bytes=65536)
    async with upstream(script) as served, pool_to(served, limits) as pool:
        taken = Slow()
        await forward(pool, get(), Client().receive, taken)
        # What was written before anything was read fits windows and socket buffers.
        assert taken.begun_at < 16 * MIB
        assert (len(taken.body_), taken.is_whole, pool.idle) == (total, True, 1)


async def settled(value) -> int:
    """Return the value once it has not changed for a while."""
    last = -1
    while last != value():
        last = value()
        await asyncio.sleep(0.05)
    return last


async def test_client_is_read_no_faster_than_the_upstream_reads():
    got = 0

    async def script(served, reader, writer):
        nonlocal got
        await served.request(reader)
        assert await settled(lambda: client.asked) < 24
        while got < 32 * MIB:
            got += len(await reader.read(MIB))
        writer.write(HELLO)
        await reader.read()

    client = Client(*[b"x" * MIB] * 32)
    async with upstream(script) as served, pool_to(served, PATIENT) as pool:
        assert (await ask(pool, post(32 * MIB), client)).body_ == b"hello"
        assert (got, pool.idle) == (32 * MIB, 1)


async def test_exchange_that_is_not_over_in_time_ends_though_bytes_pass():
    limits = replace(PATIENT, total_s=0.2)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
    for script in (silent, dripping(head, b"x")):
        async with upstream(script) as served, pool_to(served, limits) as pool:
            assert await reason_of(pool) == Reason.UPSTREAM_TIMEOUT
    async with upstream(answers(HELLO)) as served, pool_to(served, limits) as pool:
        await ask(pool)
        await asyncio.sleep(0.3)
        assert pool.idle == 1


# ── pieces that pass at once ──


class _Direct(Taken):
    """A client whose exchange takes pieces at once: all, or every other one."""

    def __init__(self, *, takes_all=True):
        super().__init__()
        self.direct = self
        self.takes_all = takes_all
        self.passed = self.offered = 0
        self.diverted = None

    def take(self, data):
        self.offered += 1
        if not self.takes_all and self.offered % 2:
            return False
        self.body_ += data
        self.passed += 1
        return True

    def divert(self, take):
        self.diverted = take


def long_answer(body):
    async def script(served, reader, writer):
        while True:
            await served.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
            for start in range(0, len(body), 100_000):
                writer.write(body[start : start + 100_000])
                await writer.drain()

    return script


@pytest.mark.parametrize("takes_all", [True, False])
async def test_a_long_answer_passes_at_once_and_in_order(takes_all):
    body = bytes(range(251)) * 40_000
    async with upstream(long_answer(body)) as served, pool_to(served, PATIENT) as pool:
        for _ in range(2):
            sink = _Direct(takes_all=takes_all)
            await forward(pool, get(), Client().receive, sink)
            assert sink.body_ == body
            assert sink.is_whole
            assert sink.passed > 8
        assert (served.connections, pool.idle) == (1, 1)


async def test_pieces_that_pass_at_once_are_progress_and_silence_behind_them_is_a_timeout():
    async def script(served, reader, writer):
        await served.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n")
        for _ in range(40):
            writer.write(b"x")
            await asyncio.sleep(0.01)
        await reader.read()

    async with upstream(script) as served, pool_to(served, TINY) as pool:
        sink = _Direct()
        with pytest.raises(UpstreamError) as caught:
            await forward(pool, get(), Client().receive, sink)
    assert (caught.value.reason, len(sink.body_)) == (Reason.UPSTREAM_TIMEOUT, 40)


async def test_a_long_answer_that_passes_at_once_may_break_off():
    script = answers(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab", b"cd", then_close=True)
    async with upstream(script) as served, pool_to(served, PATIENT) as pool:
        sink = _Direct()
        with pytest.raises(UpstreamError) as caught:
            await forward(pool, get(), Client().receive, sink)
        assert (caught.value.reason, pool.idle) == (Reason.UPSTREAM_TRUNCATED, 0)


async def test_a_request_s_body_is_diverted_to_the_upstream_until_the_exchange_ends():
    async def script(served, reader, writer):
        head = await served.request(reader)
        assert await served.body(reader, head) == b"abcdef"
        writer.write(HELLO)
        await reader.read()

    class Uploading(Client):
        async def receive(self):
            message = await super().receive()
            if message.get("body") == b"ef":
                assert sink.diverted(memoryview(b"cd"))
            return message

    async with upstream(script) as served, pool_to(served, PATIENT) as pool:
        sink = _Direct()
        await forward(pool, post(6), Uploading(b"ab", b"ef").receive, sink)
        assert (bytes(sink.body_), sink.diverted) == (b"hello", None)


async def test_a_body_of_unknown_length_is_not_diverted():
    async def script(served, reader, writer):
        await served.body(reader, await served.request(reader))
        writer.write(HELLO)
        await reader.read()

    async with upstream(script) as served, pool_to(served, PATIENT) as pool:
        sink = _Direct()
        await forward(pool, post(None), Client().receive, sink)
        assert sink.diverted is None
