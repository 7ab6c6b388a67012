"""What goes over ASGI: whole answers, added headers, and the entry for the access log."""

import pytest

from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.routes import Route
from gateway.core.settings_model import RouteSettings
from gateway.core.verdict import How, State, Verdict
from gateway.surfaces.answers import Answer
from gateway.surfaces.exchange import Watch, adding_headers, send_answer, send_refused_websocket
from gateway.surfaces.gate import Admission
from tests.surfaces.surfaces_kit import Pages, Wire, scope_of, websocket_scope

ANSWER = Answer(401, ((b"content-length", b"2"),), b"no")
ADDED = ((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"))
FACTS = RequestFacts("POST", PublicUrl("https", "app.example.test", "/api/x", "token=secret"))


async def test_an_answer_is_sent_in_two_messages():
    wire = Wire()
    await send_answer(wire.send, ANSWER)
    assert wire.sent == [
        {"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"2")]},
        {"type": "http.response.body", "body": b"no"},
    ]


async def test_a_refused_websocket_gets_the_answer_or_the_close_code():
    able, unable = Wire(), Wire()
    await send_refused_websocket(websocket_scope("/ws", extensions={"websocket.http.response": {}}), able.send, ANSWER)
    await send_refused_websocket(websocket_scope("/ws", extensions={}), unable.send, ANSWER)
    assert (able.status, able.body) == (401, b"no")
    assert unable.sent == [{"type": "websocket.close", "code": 4401, "reason": "not signed in"}]


@pytest.mark.parametrize("kind", ["http.response.start", "websocket.accept", "websocket.http.response.start"])
async def test_headers_are_added_to_the_start_of_every_kind_of_answer(kind):
    wire = Wire()
    message = {"type": kind, "headers": [(b"x", b"1")]}
    await adding_headers({}, wire.send, ADDED)(message)
    assert wire.sent == [{"type": kind, "headers": [(b"x", b"1"), *ADDED]}]
    assert message == {"type": kind, "headers": [(b"x", b"1")]}


async def test_headers_are_added_where_the_application_gave_none_and_nowhere_else():
    wire = Wire()
    send = adding_headers({}, wire.send, ADDED)
    await send({"type": "websocket.accept"})
    await send({"type": "http.response.body", "body": b"x"})
    assert wire.sent == [
        {"type": "websocket.accept", "headers": list(ADDED)},
        {"type": "http.response.body", "body": b"x"},
    ]


async def test_a_close_that_refuses_a_websocket_becomes_an_answer_that_has_the_headers():
    scope = websocket_scope("/ws", extensions={"websocket.http.response": {}})
    refused, open_one, unable = Wire(), Wire(), Wire()
    close = {"type": "websocket.close", "code": 1000}
    await adding_headers(scope, refused.send, ADDED)(close)
    assert refused.status == 403
    assert refused.sent[0]["headers"] == [(b"content-length", b"0"), *ADDED]
    send = adding_headers(scope, open_one.send, ADDED)
    await send({"type": "websocket.accept"})
    await send(close)
    assert open_one.sent[1:] == [close]
    await adding_headers(websocket_scope("/ws", extensions={}), unable.send, ADDED)(close)
    assert unable.sent == [close]


def test_without_headers_to_add_the_way_out_is_the_same():
    wire = Wire()
    send = wire.send
    assert adding_headers({}, send, ()) is send


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([], 0),
        ([{"type": "http.response.start", "status": 204}, {"type": "http.response.body"}], 204),
        ([{"type": "websocket.http.response.start", "status": 401}], 401),
        ([{"type": "websocket.accept"}, {"type": "websocket.close"}], 101),
        ([{"type": "websocket.close"}], 403),
    ],
)
async def test_the_status_that_went_out_is_noted(messages, status):
    wire, watch = Wire(), Watch(Pages())
    send = watch.wrap(wire.send)
    for message in messages:
        await send(message)
    assert watch.status == status
    assert wire.sent == messages


def test_an_entry_tells_the_decision_and_not_the_query():
    journal = Pages()
    verdict = Verdict(State.SIGNED_OUT, "session-token-missing", how=How.HANDSHAKE)
    admission = Admission(None, FACTS, Route.of(RouteSettings(path="/api")), verdict, detail="why")
    Watch(journal).write(scope_of("/other"), admission)
    entry = journal.entry
    assert (entry.method, entry.path, entry.route) == ("POST", "/api/x", "/api")
    assert (entry.state, entry.reason, entry.how) == ("signed-out", "session-token-missing", "handshake")
    assert (entry.status, entry.detail) == (0, "why")
    assert "secret" not in repr(entry)


def test_a_failed_upstream_overrides_reason_and_detail():
    journal = Pages()
    admission = Admission(None, FACTS, None, Verdict(State.SIGNED_IN), detail="why")
    Watch(journal).write(scope_of("/"), admission, "upstream-timeout", "no answer")
    assert (journal.entry.reason, journal.entry.detail, journal.entry.route) == ("upstream-timeout", "no answer", "")


def test_of_a_request_that_could_not_be_read_the_scope_is_told():
    journal = Pages()
    admission = Admission(ANSWER, None, None, Verdict(State.SIGNED_OUT))
    Watch(journal).write(scope_of("/raw", method="PUT"), admission)
    Watch(journal).write({}, admission)
    assert [(entry.method, entry.path) for entry in journal.entries] == [("PUT", "/raw"), ("-", "-")]
