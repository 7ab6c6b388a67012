"""Messages out of frames, however their bytes come: the short way and the library's give the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from gateway.websocket.frames import Frames
from tests.upstream.websocket_kit import BINARY, CONT, PING, TEXT, closing, frame

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
