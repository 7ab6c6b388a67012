"""An open WebSocket, between a scripted client and a scripted upstream."""

import asyncio

import pytest

from gateway.core.reasons import Reason
from gateway.core.settings_model import WebSocketSettings
from gateway.core.sockets import End
from gateway.surfaces import bridge as bridge_module
from gateway.surfaces.bridge import Bridge, Counts, Pulse

SETTINGS = WebSocketSettings(max_message_bytes=200, idle_s=100, ping_s=10)


class Client:
    """The server's side of a client: what it says, and what it is sent. A full one takes nothing."""

    def __init__(self, *says: dict[str, object], is_full: bool = False, fault: Exception | None = None) -> None:
        self._says = list(says)
        self._is_full = is_full
        self._fault = fault
        self.got: list[dict[str, object]] = []

    async def receive(self) -> dict[str, object]:
        if self._says:
            return self._says.pop(0)
        return await asyncio.Event().wait()

    async def send(self, message: dict[str, object]) -> None:
        if self._is_full:
            await asyncio.Event().wait()
        if self._fault:
            raise self._fault
        self.got.append(message)


class Upstream:
    def __init__(self, *says: str | bytes, end: End | None = None) -> None:
        self._says = list(says)
        self.end = end
        self.heard = 0
        self.got: list[tuple[bytes, bool]] = []
        self.closed: tuple[int, str] | None = None
        self.pings = 0

    async def receive(self) -> str | bytes | None:
        if self._says:
            return self._says.pop(0)
        return None if self.end else await asyncio.Event().wait()

    async def send(self, data: bytes, *, is_text: bool) -> None:
        self.got.append((data, is_text))

    def ping(self) -> None:
        self.pings += 1

    def close(self, code: int, text: str) -> None:
        self.closed = (code, text)


def text(value: str) -> dict[str, object]:
    return {"type": "websocket.receive", "text": value}


def bye(code: int, reason: str = "") -> dict[str, object]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


async def run(client: Client, upstream: Upstream, settings: WebSocketSettings = SETTINGS, **more: float):
    bridge = Bridge(client.receive, client.send, upstream, settings, **more)
    async with asyncio.timeout(5):
        return await bridge.run(), bridge


async def test_messages_keep_their_kind_and_their_order_both_ways():
    upstream = Upstream("a", b"b", "", end=End(1000, 1000, "done"))
    client = Client(text("é"), {"type": "websocket.receive", "bytes": b"\xff"}, text(""))
    end, _ = await run(client, upstream)
    assert upstream.got == [("é".encode(), True), (b"\xff", False), (b"", True)]
    assert client.got[:-1] == [
        {"type": "websocket.send", "text": "a"},
        {"type": "websocket.send", "bytes": b"b"},
        {"type": "websocket.send", "text": ""},
    ]
    assert client.got[-1] == {"type": "websocket.close", "code": 1000, "reason": "done"}
    assert (end.reason, upstream.closed) == ("", (1000, "done"))


@pytest.mark.parametrize(
    ("said", "upstream_gets", "client_gets"),
    [
        (bye(1000, "x"), (1000, "x"), 1000),
        (bye(1001), (1001, ""), 1001),
        (bye(4321), (4321, ""), 4321),
        (bye(1005), (1005, ""), 1002),
        (bye(1006), (1000, ""), 1000),
        ({"type": "websocket.disconnect"}, (1005, ""), 1002),
    ],
)
async def test_a_client_that_closes_closes_the_upstream_with_its_code(said, upstream_gets, client_gets):
    client, upstream = Client(said), Upstream()
    await run(client, upstream)
    assert upstream.closed == upstream_gets
    assert client.got[-1]["code"] == client_gets


@pytest.mark.parametrize(("code", "client_gets"), [(1000, 1000), (1005, 1000), (1011, 1011), (4001, 4001)])
async def test_an_upstream_that_closes_closes_the_client_with_its_code(code, client_gets):
    client = Client()
    end, _ = await run(client, Upstream(end=End(code, 1005, "why")))
    assert client.got == [{"type": "websocket.close", "code": client_gets, "reason": "why"}]
    assert end.to_client == code


@pytest.mark.parametrize("value", ["x" * 201, "é" * 101])
async def test_a_message_of_the_client_that_is_too_large_is_1009(value):
    client, upstream = Client(text("x" * 200), text(value)), Upstream()
    end, _ = await run(client, upstream)
    assert client.got[-1]["code"] == 1009
    assert len(upstream.got) == 1
    assert (end.reason, upstream.closed) == (Reason.WEBSOCKET_MESSAGE_TOO_LARGE, (1001, "message too large"))


@pytest.mark.parametrize("fault", [OSError("gone"), RuntimeError("Transport not initialized or closed")])
async def test_a_client_that_is_gone_closes_the_upstream(fault):
    upstream = Upstream("a")
    end, _ = await run(Client(fault=fault), upstream)
    assert (end.reason, upstream.closed) == ("", (1001, ""))


async def test_a_fault_of_ours_ends_both_sides(caplog):
    client, upstream = Client(fault=ZeroDivisionError()), Upstream("a")

    async def take(message):
        if message["type"] != "websocket.close":
            raise ZeroDivisionError
        client.got.append(message)

    client.send = take
    end, _ = await run(client, upstream)
    assert (end.reason, client.got[-1]["code"], upstream.closed[0]) == (Reason.UNEXPECTED_ERROR, 1011, 1011)
    assert "carrying a WebSocket" in caplog.text


async def test_cut_from_outside_the_first_end_counts():
    client, upstream = Client(), Upstream()
    bridge = Bridge(client.receive, client.send, upstream, SETTINGS)
    bridge.cut(End(4401, 4401, "session ended", "session-ended"))
    bridge.cut(End(1000, 1000))
    end = await bridge.run()
    assert (end.to_client, upstream.closed) == (4401, (4401, "session ended"))
    assert client.got == [{"type": "websocket.close", "code": 4401, "reason": "session ended"}]


async def test_a_server_that_stops_tells_the_upstream():
    client, upstream = Client(), Upstream()
    task = asyncio.ensure_future(Bridge(client.receive, client.send, upstream, SETTINGS).run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert upstream.closed == (1001, "gateway stops")


async def test_a_client_that_takes_nothing_is_given_up():
    upstream = Upstream("a")
    end, bridge = await run(Client(is_full=True), upstream, stuck_s=0.02)
    assert (end.reason, bridge.is_stuck) == (Reason.WEBSOCKET_CLIENT_TOO_SLOW, True)
    assert upstream.closed[0] == 1001


async def test_the_silent_upstream_is_asked_and_then_given_up():
    client, upstream = Client(), Upstream()
    end, bridge = await run(client, upstream, WebSocketSettings(ping_s=0.02, idle_s=50))
    assert (end.reason, upstream.pings, bridge.is_stuck) == (Reason.UPSTREAM_TIMEOUT, 1, False)
    assert client.got[-1]["code"] == 1011


def judged(*steps: tuple[float, Counts]) -> str | None:
    pulse = Pulse(SETTINGS, 60, 0)
    end = None
    for now_s, counts in steps:
        end = pulse.judge(counts, now_s)
        pulse.wants_ping(now_s)
    return end and end.reason


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([(99, Counts(heard=1))], None),
        ([(100, Counts(heard=1))], Reason.WEBSOCKET_IDLE),
        ([(99, Counts(1, 1, heard=1)), (198, Counts(1, 1, heard=2))], None),
        ([(99, Counts(1, 1, heard=1)), (199, Counts(1, 1, heard=2))], Reason.WEBSOCKET_IDLE),
        ([(10, Counts(0, 0, 1, 0)), (59, Counts(0, 0, 1, 0))], None),
        ([(10, Counts(0, 0, 1, 0)), (70, Counts(0, 0, 1, 0))], Reason.WEBSOCKET_CLIENT_TOO_SLOW),
        ([(10, Counts(0, 0, 1, 0)), (50, Counts(0, 0, 2, 1)), (70, Counts(0, 0, 2, 1))], None),
        ([(10, Counts(1, 0, heard=1)), (70, Counts(1, 0, heard=2))], Reason.UPSTREAM_TIMEOUT),
        ([(10, Counts(1, 0, heard=1)), (50, Counts(2, 1, heard=2)), (70, Counts(2, 1, heard=3))], None),
        ([(10, Counts()), (19, Counts())], None),
        ([(10, Counts()), (20, Counts())], Reason.UPSTREAM_TIMEOUT),
        ([(10, Counts()), (19, Counts(heard=1)), (29, Counts(heard=1)), (38, Counts(heard=1))], None),
    ],
)
def test_what_the_clock_says(steps, reason):
    assert judged(*steps) == reason


def test_one_ping_for_each_silence():
    pulse = Pulse(SETTINGS, 60, 0)
    asked = []
    for now_s, heard in ((5, 0), (10, 0), (15, 0), (16, 1), (26, 1), (30, 1)):
        pulse.judge(Counts(heard=heard), now_s)
        asked.append(pulse.wants_ping(now_s))
    assert asked == [False, True, False, False, True, False]
    assert pulse.pause_s == 10


def test_the_stated_times():
    assert (bridge_module.STUCK_S, bridge_module.CLOSE_S) == (60, 2)
