"""Messages out of frames, however their bytes come: the short way and the library's give the same."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from gateway.websocket.channel import Channel
from gateway.websocket.frames import Frames
from tests.upstream.websocket_kit import BINARY, CONT, PING, PONG, TEXT, closing, frame

LIMIT = 70_000


def client():
    return ClientProtocol(parse_uri("ws://upstream/"), state=State.OPEN, max_size=LIMIT)


def server():
    return ServerProtocol(state=State.OPEN, max_size=LIMIT)


SIZES = st.sampled_from([0, 1, 2, 124, 125, 126, 127, 128, 65_535, 65_536, LIMIT])
MESSAGES = st.lists(st.tuples(SIZES.map(lambda size: b"x" * size), st.booleans()), max_size=5)
SIDES = pytest.mark.parametrize(("here", "there"), [(client, server), (server, client)])


@SIDES
@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 70_000), max_size=20))
def test_messages_come_out_as_they_went_in(here, there, messages, cuts):
    sender, receiver = Frames(there()), Frames(here())
    data = b"".join(sender.frame(payload, is_text) for payload, is_text in messages)
    found = []
    for size in cuts:
        found += receiver.feed(data[:size])
        data = data[size:]
    found += receiver.feed(data)
    assert found == messages


@SIDES
@given(messages=MESSAGES)
def test_the_library_understands_what_is_sent(here, there, messages):
    sender, receiver = Frames(there()), here()
    for payload, is_text in messages:
        receiver.receive_data(sender.frame(payload, is_text))
        (event,) = receiver.events_received()
        assert (bytes(event.data), event.opcode, event.fin) == (payload, TEXT if is_text else BINARY, True)


def test_what_comes_whole_is_read_without_the_library_and_the_rest_with_it():
    frames = Frames(client())
    one, other = frame(TEXT, b"a"), frame(BINARY, b"b" * 300)
    assert frames.feed(one + other) == [(b"a", True), (b"b" * 300, False)]
    assert not frames.was_asked
    assert frames.feed(one + other[:-1]) == [(b"a", True)]
    assert frames.was_asked
    assert frames.feed(other[-1:] + one) == [(b"b" * 300, False), (b"a", True)]
    assert frames.was_asked
    assert frames.feed(one) == [(b"a", True)]
    assert not frames.was_asked
    assert frames.feed(one[:1]) == []
    assert frames.feed(one[1:] + frame(PING) + one) == [(b"a", True), (b"a", True)]


def test_a_message_within_another_is_for_the_library_to_refuse():
    rules = client()
    frames = Frames(rules)
    assert frames.feed(frame(TEXT, b"a", fin=False)) == []
    assert frames.feed(frame(TEXT, b"b")) == []
    assert rules.close_sent.code == 1002


def test_a_message_before_one_that_is_refused_still_counts():
    rules = server()
    bad = frame(TEXT, b"\xff", masked=True)
    assert Frames(rules).feed(frame(TEXT, b"a", masked=True) + bad + frame(TEXT, b"b", masked=True)) == [(b"a", True)]
    assert rules.close_sent.code == 1007


def test_many_small_pieces_take_no_more_than_their_bytes():
    frames = Frames(client())
    frames.feed(frame(BINARY, b"", fin=False))
    for _ in range(100):
        assert frames.feed(frame(CONT, b"", fin=False) * 100 + frame(CONT, b"x", fin=False)) == []
    assert len(frames._partial) == 100
    assert frames.feed(frame(CONT)) == [(b"x" * 100, False)]


def test_nothing_comes_after_a_close():
    frames = Frames(client())
    assert frames.feed(frame(TEXT, b"a") + closing(1000) + frame(TEXT, b"b")) == [(b"a", True)]
    assert frames.feed(frame(TEXT, b"b")) == []


@pytest.mark.parametrize(
    ("flood", "count"),
    [
        (frame(TEXT, masked=True), 20_000),
        (frame(TEXT, b"x", masked=True), 20_000),
        (frame(PING, masked=True), 0),
        (frame(PONG, b"x", masked=True), 0),
        (frame(TEXT, fin=False, masked=True) + frame(CONT, masked=True), 20_000),
    ],
    ids=["empty messages", "short messages", "pings", "pongs", "messages in two frames"],
)
def test_thousands_of_tiny_frames_are_read_in_turns_and_in_their_order(flood: bytes, count: int) -> None:
    frames, last = Frames(ServerProtocol(state=State.OPEN, max_size=10)), frame(BINARY, b"last", masked=True)
    data, found, turns = flood * 20_000 + last, [], 0
    while data or frames.rest:
        messages = frames.feed(data)
        assert len(messages) <= 2048
        found += messages
        data, turns = b"", turns + 1
    assert turns > 10
    assert (len(found), found[-1]) == (count + 1, (b"last", False))


def test_a_flood_that_ends_in_a_fault_reads_nothing_behind_it() -> None:
    frames = Frames(ServerProtocol(state=State.OPEN, max_size=10))
    assert frames.feed(frame(3, masked=True) + frame(TEXT, b"x", masked=True) * 20_000) == []
    while frames.rest:
        assert frames.feed(b"") == []


class Paused:
    """A transport that only remembers whether it is read."""

    is_read = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def is_closing(self) -> bool:
        return False


async def test_while_much_is_left_nothing_more_is_read_and_others_have_their_turn() -> None:
    transport = Paused()
    channel = Channel(ServerProtocol(state=State.OPEN, max_size=10), asyncio.get_running_loop(), lambda: None)
    channel.connection_made(transport)  # type: ignore[arg-type]
    channel.data_received(frame(TEXT, b"x", masked=True) * 2000 + frame(BINARY, b"last", masked=True))
    assert not transport.is_read
    assert len(channel._messages) < 1000
    for _ in range(2000):
        assert await channel.receive() == (b"x", True)
    assert await channel.receive() == (b"last", False)
    await asyncio.sleep(0)
    assert transport.is_read
