"""Breaking the connection that a request came by, and the effects that do."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.authority.control import Effect, Rule, connections
from gateway.server.serving import serving


def scope_of_nobody() -> dict:
    return {"type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "headers": [], "client": None}


@asynccontextmanager
async def serving_of(controlled) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client of the authority's own server, which has asked for the keys."""
    listening = socket.create_server(("127.0.0.1", 0))
    key = controlled.authority.secret_key.reveal()
    async with asyncio.timeout(20), serving(controlled.control.app, [listening], drain_s=0):
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(f"GET /v1/jwks HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        yield reader, writer
        writer.close()


@pytest.mark.parametrize("effect", [Effect.RESET, Effect.RESET_MIDWAY])
async def test_a_reset_reaches_the_peer(controlled, effect):
    controlled.faults.add(Rule(effect=effect))
    async with serving_of(controlled) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_a_close_is_in_good_order_and_comes_before_a_byte(controlled):
    controlled.faults.add(Rule(effect=Effect.CLOSE))
    async with serving_of(controlled) as (reader, _):
        assert await reader.read() == b""


async def test_silence_lasts_until_the_client_goes(controlled, caplog):
    controlled.faults.add(Rule(effect=Effect.HANG))
    async with serving_of(controlled) as (reader, writer):
        writer.write_eof()
        assert await reader.read() == b""
    assert not caplog.records


@pytest.mark.parametrize("scope", [{}, {"extensions": {}}, {"extensions": {"http.response.push": {}}}])
def test_a_server_that_cannot_break_a_connection_is_told(scope):
    for end in (connections.reset, connections.close):
        with pytest.raises(ConnectionResetError, match=r"a rule of the control port .* no extension"):
            end(scope)


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
