"""Breaking a connection of this process by the address of its peer, and the effects that do."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from gateway.authority.control import Effect, Rule, connections


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: the server's and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname(), timeout=5)
        server, _ = listening.accept()
    with client, server:
        yield server, client


def scope_of(client: socket.socket) -> dict:
    # Granian names the port as text, uvicorn as a number
    host, port = client.getsockname()
    return {
        "type": "http",
        "method": "GET",
        "path": "/v1/jwks",
        "raw_path": b"/v1/jwks",
        "query_string": b"",
        "headers": [],
        "client": (host, str(port)),
    }


def test_a_reset_reaches_the_peer_when_the_server_closes(pair):
    server, client = pair
    connections.reset(client.getsockname())
    assert server.recv(1) == b""  # what makes a server close
    server.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_close_comes_after_what_was_sent(pair):
    server, client = pair
    server.sendall(b"sent")
    host, port = client.getsockname()
    connections.close((host, str(port)))
    assert client.recv(10) == b"sent"
    assert client.recv(10) == b""


@pytest.mark.parametrize("client", [None, ("127.0.0.1", 1), ("203.0.113.7", "80")])
def test_a_connection_that_is_not_of_this_process_is_told(client):
    for end in (connections.reset, connections.close):
        with pytest.raises(ConnectionResetError, match="a rule of the control port"):
            end(client)


def test_sockets_that_are_connected_to_nobody_are_passed_over(pair):
    _, client = pair
    first, second = socket.socketpair()
    with socket.socket() as unconnected, first, second:
        assert unconnected.fileno() >= 0
        connections.close(client.getsockname())
    assert client.recv(10) == b""


@pytest.mark.parametrize("effect", [Effect.HANG, Effect.CLOSE, Effect.RESET, Effect.RESET_MIDWAY])
async def test_after_the_break_nothing_more_is_sent_and_the_request_ends_with_the_client(controlled, pair, effect):
    server, client = pair
    controlled.faults.add(Rule(effect=effect))
    sent, events = [], [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> dict:
        return events.pop(0)

    async def send(message: dict) -> None:
        sent.append(message)

    scope = scope_of(client)
    scope["headers"] = [(b"authorization", f"Bearer {controlled.authority.secret_key.reveal()}".encode())]
    await controlled.control.app(scope, receive, send)
    if effect is Effect.RESET_MIDWAY:
        start, body = sent
        promised = int(dict(start["headers"])[b"content-length"])
        assert (len(body["body"]), body["more_body"]) == (promised // 2, True)
    else:
        assert sent == []
    server.close()
    if effect in (Effect.HANG, Effect.CLOSE):
        assert client.recv(10) == b""
    else:
        with pytest.raises(ConnectionResetError):
            client.recv(10)


def scope_of_nobody() -> dict:
    return {"type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "headers": [], "client": None}


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [("/healthz", "", 200), ("/v1/client/handshake", "redirect_url=http://127.0.0.1:8000/", 307)],
)
async def test_a_truncated_answer_promises_all_and_sends_half_also_where_there_is_no_body(
    controlled, path, query, status
):
    controlled.faults.add(Rule(effect=Effect.TRUNCATE))
    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "http.request"}

    asked = {"path": path, "query_string": query.encode(), "headers": [(b"host", b"127.0.0.1:8001")]}
    await controlled.control.app({**scope_of_nobody(), **asked}, receive, send)
    start, body = sent
    assert start["status"] == status
    assert body["more_body"]
    assert 0 < len(body["body"]) < int(dict(start["headers"])[b"content-length"])


async def test_a_dripping_answer_drips_until_the_client_has_gone(controlled):
    controlled.faults.add(Rule(effect=Effect.DRIP, drip_ms=1))
    sent: list[dict] = []
    enough = asyncio.Event()

    async def send(message: dict) -> None:
        sent.append(message)
        if len(sent) > 5:
            enough.set()

    async def receive() -> dict:
        await enough.wait()
        return {"type": "http.disconnect"}

    await controlled.control.app(scope_of_nobody(), receive, send)
    start, *drops = sent
    assert b"content-length" not in dict(start["headers"])
    assert {(drop["body"], drop["more_body"]) for drop in drops} == {(b" ", True)}


async def test_what_is_no_http_request_passes(controlled):
    controlled.faults.add(Rule(effect=Effect.HANG))
    events: list[dict] = []
    told = []

    async def receive() -> dict:
        return events.pop(0)

    async def send(message: dict) -> None:
        told.append(message["type"])

    for app in (controlled.control.app, controlled.control.api):
        events += [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        await app({"type": "lifespan"}, receive, send)
    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"] * 2
