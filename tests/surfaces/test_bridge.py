"""An open WebSocket, between a scripted client and a scripted upstream."""

import asyncio

import pytest

from gateway.core.reasons import Reason
from gateway.core.settings_model import WebSocketSettings
from gateway.core.sockets import End
from gateway.surfaces import bridge as bridge_module
from gateway.surfaces.bridge import Bridge, Counts, Pulse
from gateway.websocket import channel
from gateway.websocket.channel import By, Closed

SETTINGS = WebSocketSettings(max_message_bytes=200, idle_s=100, ping_s=10)


class Side:
    """One end: what it was sent, and what it says when it is told to. A full one takes no more."""

    def __init__(self, *says: tuple[bytes, bool], closed: Closed | None = None, is_full: bool = False) -> None:
        self._says = says
        self.closed = closed
        self.is_write_paused = is_full
        self.is_read_paused = False
        self.heard = self.pings = 0
        self.got: list[tuple[bytes, bool]] = []
        self.told: tuple[int, str] | None = None
        self.fault: Exception | None = None
        self.sink = None

    def attach(self, sink) -> None:
        self.sink = sink
        for data, is_text in self._says:
            sink.take(data, is_text)
        if self.closed is not None:
            sink.end(self.closed)

    def write(self, data: bytes, is_text: bool) -> None:
        if self.fault is not None:
            raise self.fault
        self.got.append((data, is_text))

    def pause(self) -> None:
        self.is_read_paused = True

    def resume(self) -> None:
        self.is_read_paused = False

    def ping(self) -> None:
        self.pings += 1

    def close(self, code: int, text: str) -> None:
        self.told = (code, text)


async def run(client: Side, upstream: Side, settings: WebSocketSettings = SETTINGS, **more: float):
    async with asyncio.timeout(5):
        return await Bridge(client, upstream, settings, **more).run()


async def test_messages_keep_their_kind_and_their_order_both_ways():
    client = Side(("é".encode(), True), (b"\xff", False), (b"", True))
    upstream = Side((b"a", True), (b"b", False), closed=Closed(By.PEER, 1000, "done"))
    end = await run(client, upstream)
    assert upstream.got == [("é".encode(), True), (b"\xff", False), (b"", True)]
    assert client.got == [(b"a", True), (b"b", False)]
    assert (end.reason, client.told, upstream.told) == ("", (1000, "done"), (1000, "done"))


@pytest.mark.parametrize(
    ("closed", "upstream_gets", "client_gets", "reason"),
    [
        (Closed(By.PEER, 1000, "x"), (1000, "x"), 1000, ""),
        (Closed(By.PEER, 4321), (4321, ""), 4321, ""),
        (Closed(By.PEER, 1005), (1005, ""), 1005, ""),
        (Closed(By.LOSS, 1006), (1001, ""), 1005, ""),
        (Closed(By.FAULT, 1002, "reserved bits"), (1005, ""), 1002, ""),
        (Closed(By.FAULT, 1007), (1005, ""), 1007, ""),
        (Closed(By.FAULT, 1009), (1001, "message too large"), 1009, Reason.WEBSOCKET_MESSAGE_TOO_LARGE),
    ],
)
async def test_how_a_client_ends_it_is_told_to_the_upstream(closed, upstream_gets, client_gets, reason):
    upstream = Side()
    end = await run(Side(closed=closed), upstream)
    assert (upstream.told, end.to_client, end.reason) == (upstream_gets, client_gets, reason)


@pytest.mark.parametrize(
    ("closed", "client_gets", "reason"),
    [
        (Closed(By.PEER, 1000, "why"), (1000, "why"), ""),
        (Closed(By.PEER, 1005), (1005, ""), ""),
        (Closed(By.PEER, 4001), (4001, ""), ""),
        (Closed(By.LOSS, 1006), (1011, "upstream lost"), Reason.UPSTREAM_TRUNCATED),
        (Closed(By.FAULT, 1002), (1011, "upstream failed"), Reason.UPSTREAM_PROTOCOL_ERROR),
        (Closed(By.FAULT, 1009), (1009, "message too large"), Reason.WEBSOCKET_MESSAGE_TOO_LARGE),
    ],
)
async def test_how_an_upstream_ends_it_is_told_to_the_client(closed, client_gets, reason):
    client = Side()
    end = await run(client, Side(closed=closed))
    assert (client.told, end.reason) == (client_gets, reason)


@pytest.mark.parametrize("is_up", [True, False])
async def test_a_side_is_read_no_further_while_the_other_takes_nothing(is_up):
    source, target = Side((b"a", True), (b"b", True)), Side(is_full=True)
    bridge = Bridge(*((source, target) if is_up else (target, source)), SETTINGS)
    task = asyncio.ensure_future(bridge.run())
    await asyncio.sleep(0)
    way = bridge._up if is_up else bridge._down
    assert (source.is_read_paused, target.is_read_paused, way.begun, way.done) == (True, False, 2, 0)
    target.is_write_paused = False
    target.sink.go_on()
    assert (source.is_read_paused, way.begun, way.done) == (False, 2, 2)
    source.sink.take(b"c", False)
    assert (source.is_read_paused, way.begun, way.done, len(target.got)) == (False, 3, 3, 3)
    bridge.cut(End(1000, 1000))
    await task


async def test_a_fault_of_ours_ends_both_sides(caplog):
    client, upstream = Side(), Side((b"a", True))
    client.fault = ZeroDivisionError()
    end = await run(client, upstream)
    assert (end.reason, client.told[0], upstream.told[0]) == (Reason.UNEXPECTED_ERROR, 1011, 1011)
    assert "carrying a WebSocket" in caplog.text


async def test_cut_from_outside_the_first_end_counts():
    client, upstream = Side(), Side()
    bridge = Bridge(client, upstream, SETTINGS)
    bridge.cut(End(4401, 4401, "session ended", "session-ended"))
    bridge.cut(End(1000, 1000))
    end = await bridge.run()
    assert (end.to_client, client.told, upstream.told) == (4401, (4401, "session ended"), (4401, "session ended"))


async def test_a_server_that_stops_tells_both_sides():
    client, upstream = Side(), Side()
    task = asyncio.ensure_future(Bridge(client, upstream, SETTINGS).run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert client.told == upstream.told == (1001, "gateway stops")


async def test_a_client_that_takes_nothing_is_given_up():
    client, upstream = Side(is_full=True), Side((b"a", True))
    end = await run(client, upstream, stuck_s=0.02)
    assert end.reason == Reason.WEBSOCKET_CLIENT_TOO_SLOW
    assert (client.told[0], upstream.told[0]) == (1000, 1001)


async def test_the_silent_upstream_is_asked_and_then_given_up():
    client, upstream = Side(), Side()
    end = await run(client, upstream, WebSocketSettings(ping_s=0.02, idle_s=50))
    assert (end.reason, upstream.pings, client.told[0]) == (Reason.UPSTREAM_TIMEOUT, 1, 1011)


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
    assert (bridge_module.STUCK_S, channel.CLOSE_S) == (60, 2)
