"""How many connections there are, how long each may wait, and how they end."""

import asyncio
import dataclasses
import socket

import pytest

from gateway.core.reasons import Reason
from gateway.server import listener
from gateway.server.connection import ClientConnection
from gateway.server.listener import Limits
from gateway.server.serving import AsgiHandler, serving
from tests.server.server_kit import GET, PATIENT, Served, Transport, answering, body_of, echo, served

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Look at the clocks often."""
    monkeypatch.setattr(listener, "_SWEEP_S", 0.01)


def limits(**given) -> Limits:
    return dataclasses.replace(PATIENT, **given)


class _Clock:
    """A loop, as far as a listener looks at its clock."""

    now_s = 0.0
    planned = None

    def time(self):
        return self.now_s

    def call_later(self, delay_s, call):
        self.planned = call


def clocked(given: Limits) -> tuple[listener.Listener, _Clock]:
    """A listener without sockets, and the clock that it goes by."""
    found, clock = listener.Listener(AsgiHandler(echo), given), _Clock()
    found.loop = clock
    return found, clock


class _Connection:
    """What a listener knows of a connection."""

    address = "192.0.2.1"
    has_begun = is_idle = True
    fails = False

    def __init__(self) -> None:
        self.said = []

    def refuse(self, reason):
        self.said.append(reason)
        if self.fails:
            raise ValueError("odd")

    def abort(self):
        self.said.append("abort")


class Holding:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.go_on = asyncio.Event()

    async def __call__(self, scope, receive, send):
        self.begun.put_nowait(scope["path"])
        await self.go_on.wait()
        await answering()(scope, receive, send)


class Streaming(Holding):
    """An application that begins its answer before it is told to go on."""

    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        self.begun.put_nowait(scope["path"])
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": b"b"})


# ── patience ──


async def test_a_head_that_does_not_end_is_408():
    async with served(echo, limits=limits(head_s=0.05)) as world:
        wire = await world.wire(b"GET / HTTP/1.1\r\nHost")
        answer = await wire.answer()
        assert (answer.status, answer["x-clerk-auth-reason"]) == (408, Reason.REQUEST_TIMEOUT)
        assert await wire.is_closed()


async def test_a_second_head_that_does_not_end_is_408():
    async with served(echo, limits=limits(head_s=0.05)) as world:
        wire = await world.wire(GET + b"GET / HTTP/1.1\r\nHost")
        assert (await wire.answer()).status == 200
        assert (await wire.answer()).status == 408
        assert await wire.is_closed()


async def test_a_connection_that_says_nothing_is_closed_without_a_word():
    async with served(echo, limits=limits(head_s=0.05)) as world:
        assert await (await world.wire()).rest() == b""
        assert await (await world.wire(b"\r\n")).rest() == b""


async def test_the_time_for_a_head_begins_with_its_first_byte():
    """A browser opens connections before it needs them."""
    found, clock = clocked(limits(head_s=10))
    connection = _Connection()
    assert found.take(connection)
    clock.now_s = 9
    found.note_reading(connection)
    clock.now_s = 18
    found._sweep()
    assert connection.said == []
    clock.now_s = 19
    found._sweep()
    assert connection.said == [Reason.REQUEST_TIMEOUT]


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not():
    holding = Holding()

    async def talk(scope, receive, send):
        await (holding if scope["path"] == "/held" else answering())(scope, receive, send)

    async with served(talk, limits=limits(keep_alive_s=0.05, head_s=0.05)) as world:
        busy = await world.wire(GET.replace(b" / ", b" /held "))
        await holding.begun.get()
        idle = await world.wire(GET)
        assert (await idle.answer()).status == 200
        assert await idle.is_closed()
        holding.go_on.set()
        assert (await busy.answer()).status == 200
        assert await busy.is_closed()


async def test_the_rest_of_a_body_that_does_not_come_is_not_waited_for():
    async with served(answering(), limits=limits(head_s=0.05)) as world:
        wire = await world.wire(POST % 10)
        assert (await wire.answer()).status == 200
        assert await wire.is_closed()


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
async def test_a_client_that_takes_nothing_of_a_finished_answer_is_cut(more):
    async with served(answering(b"x" * 20_000_000), limits=limits(stuck_s=0.05), drain_s=100) as world:
        wire = await world.wire(GET[:-2] + more + b"\r\n")
        await world.ends.get()
        world.stop.set()
        await world.stopped.wait()  # long before the drain is over
        assert len(await wire.rest()) < 20_000_000


async def test_little_that_is_never_taken_holds_a_closed_connection_no_longer():
    found, clock = clocked(limits(stuck_s=10))
    connection, transport = ClientConnection(found), Transport()
    transport.get_write_buffer_size = lambda: 1
    connection.connection_made(transport)
    connection.close()
    clock.now_s = 9
    found._sweep()
    assert not transport.is_aborted
    clock.now_s = 10
    found._sweep()
    assert transport.is_aborted


async def test_a_client_that_takes_all_but_the_end_of_its_last_answer_is_cut():
    found, clock = clocked(limits(stuck_s=10))
    connection, transport, other = ClientConnection(found), Transport(), _Connection()
    transport.get_write_buffer_size = lambda: 1
    connection.connection_made(transport)
    connection.pause_writing()
    connection.close()
    clock.now_s = 1
    found.note_slow(other)
    clock.now_s = 9
    connection.resume_writing()
    clock.now_s = 11
    found._sweep()
    assert (transport.is_aborted, other.said) == (False, ["abort"])
    clock.now_s = 19
    found._sweep()
    assert transport.is_aborted


async def test_a_client_that_takes_nothing_is_left_to_whoever_answers_while_that_goes_on():
    found, clock = clocked(limits(stuck_s=10))
    connection = _Connection()
    found.note_slow(connection)
    connection.is_idle = False
    clock.now_s = 10
    found._sweep()
    clock.now_s = 19
    connection.is_idle = True
    found._sweep()
    assert connection.said == []
    clock.now_s = 20
    found._sweep()
    assert connection.said == ["abort"]


async def test_a_client_that_has_caught_up_is_not_slow():
    found, clock = clocked(limits(stuck_s=10))
    connection = _Connection()
    found.note_slow(connection)
    found.note_caught_up(connection)
    clock.now_s = 100
    found._sweep()
    assert connection.said == []


async def send_on(wire):
    while True:
        wire.send(b"x" * 1000)
        await wire.writer.drain()
        await asyncio.sleep(0)


async def test_whoever_sends_on_after_a_refusal_is_heard_no_longer_than_that():
    async with served(answering(b"no", 413), limits=limits(linger_s=0.05)) as world:
        wire = await world.wire(POST % 100_000_000)
        assert (await wire.answer()).status == 413
        assert await wire.is_closed()
        with pytest.raises(ConnectionError):
            await send_on(wire)


async def test_few_may_linger(monkeypatch):
    monkeypatch.setattr(listener, "_MAX_LINGERING", 1)
    async with served(answering(b"no", 413)) as world:
        for _ in range(3):
            wire = await world.wire(POST % 100_000_000)
            assert (await wire.answer()).status == 413
            assert await wire.is_closed()


# ── number ──


async def test_connections_are_bounded_and_one_that_ends_makes_room():
    async with served(echo, limits=limits(connections=2)) as world:
        first, second = await world.wire(GET), await world.wire(GET)
        for wire in (first, second):
            assert (await wire.answer()).status == 200
        for _ in range(3):  # those that are refused take no room, though they may linger
            refused = await world.wire(GET)
            answer = await refused.answer()
            assert (answer.status, answer["x-clerk-auth-reason"]) == (503, Reason.GATEWAY_OVERLOADED)
            assert answer["connection"] == "close"
        first.writer.close()
        await first.writer.wait_closed()
        second.send(GET)
        assert (await second.answer()).status == 200
        assert (await world.ask()).status == 200


async def test_connections_of_one_address_are_bounded_whatever_the_others_have():
    async with served(echo, limits=limits(connections_per_address=1)) as world:
        first = await world.wire(GET)
        assert (await first.answer()).status == 200
        for _ in range(2):
            assert (await world.ask()).status == 503
        reader, writer = await asyncio.open_connection(*world.address, local_addr=("127.0.0.2", 0))
        writer.write(GET)
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()


async def test_peers_of_a_unix_socket_are_not_counted_as_one_address(tmp_path):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    async with served(echo, limits=limits(connections_per_address=1), listening=listening) as world:
        wires = [await world.wire(GET) for _ in range(3)]
        assert [(await wire.answer()).status for wire in wires] == [200] * 3


# ── the end ──


async def test_idle_and_half_asked_connections_end_at_once_and_requests_in_hand_are_finished():
    holding = Holding()

    async def talk(scope, receive, send):
        await (holding if scope["path"] == "/held" else echo)(scope, receive, send)

    async with served(talk, drain_s=100) as world:
        idle, half, silent = await world.wire(GET), await world.wire(b"GET / HT"), await world.wire()
        assert (await idle.answer()).status == 200
        busy = await world.wire(GET.replace(b" / ", b" /held ") + GET)
        await holding.begun.get()
        world.stop.set()
        for wire in (idle, half, silent):
            assert await wire.is_closed()
        assert not world.stopped.is_set()
        with pytest.raises(OSError, match=r"Connect call failed|Connection refused"):
            await world.wire()
        holding.go_on.set()
        answer = await busy.answer()
        assert (answer.status, answer["connection"]) == (200, "close")
        assert await busy.is_closed()  # what came behind is not served
        busy.writer.close()
        await world.stopped.wait()


async def test_an_answer_that_had_begun_before_the_end_ends_its_connection_too():
    streaming = Streaming()
    async with served(streaming, drain_s=100) as world:
        wire = await world.wire(GET)
        await streaming.begun.get()
        world.stop.set()
        streaming.go_on.set()
        answer = await wire.answer()
        assert (answer.body, answer.is_whole) == (b"ab", True)
        assert await wire.is_closed()
        await world.stopped.wait()


async def test_what_is_not_over_in_time_is_cut(caplog):
    holding = Holding()
    async with served(holding, drain_s=0.05) as world:
        wire = await world.wire(GET)
        await holding.begun.get()
        world.stop.set()
        assert await wire.rest() == b""
        await world.stopped.wait()
        holding.go_on.set()
    assert "1 requests were cut, since they were not over in time" in caplog.text


async def test_several_sockets_are_served_as_one():
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await echo(scope, receive, send)

    async with asyncio.timeout(10), serving(app, sockets, limits=limits(connections=1), drain_s=0.1):
        worlds = [Served(each) for each in sockets]
        wire = await worlds[0].wire(GET)
        assert (await wire.answer()).status == 200
        assert (await worlds[1].ask()).status == 503
        for world in worlds:
            world.leave()


async def test_a_fault_of_one_look_at_the_clocks_is_not_the_last():
    found, clock = clocked(limits(head_s=0))
    connection = _Connection()
    connection.fails = True
    next_one = _Connection()
    assert found.take(connection)
    assert found.take(next_one)
    with pytest.raises(ValueError, match="odd"):
        found._sweep()
    assert clock.planned == found._sweep
    found._sweep()
    assert len(connection.said) == len(next_one.said) == 1


async def test_a_connection_that_comes_with_the_end_is_closed():
    found, _ = clocked(PATIENT)
    found.is_stopping = True
    transport = Transport()
    ClientConnection(found).connection_made(transport)
    assert (transport.is_closed, transport.written) == (True, b"")


async def test_the_time_is_known_before_the_first_connection():
    assert clocked(PATIENT)[0].date.startswith(b"\r\ndate: ")


async def test_bodies_of_many_connections_do_not_mix():
    async def talk(scope, receive, send):
        body, _ = await body_of(receive)
        await answering(body)(scope, receive, send)

    async with served(talk) as world:
        wires = [await world.wire(POST % 6) for _ in range(20)]
        for piece in (b"a%02d", b"b%02d"):
            for number, wire in enumerate(wires):
                wire.send(piece % number)
        assert [(await wire.answer()).body for wire in wires] == [b"a%02db%02d" % (n, n) for n in range(20)]
