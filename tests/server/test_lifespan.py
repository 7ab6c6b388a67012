"""Start and end of an application, beside its requests."""

import asyncio
import logging
import socket

import pytest

from gateway.errors import GatewayError
from gateway.server.lifespan import Lifespan, StartError
from gateway.server.serving import serving
from tests.server.server_kit import GET, Served, answering


class App:
    """An application that says in its lifespan what it is told to."""

    def __init__(self, *said) -> None:
        self.said = list(said)
        self.heard = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await answering()(scope, receive, send)
            return
        for message in self.said:
            self.heard.append((await receive())["type"])
            if isinstance(message, Exception):
                raise message
            await send(message)


COMPLETE = {"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}


async def serve(app) -> socket.socket:
    """Serve one request; return the socket."""
    listening = socket.create_server(("127.0.0.1", 0))
    async with asyncio.timeout(10), serving(app, [listening], drain_s=1):
        world = Served(listening)
        assert (await world.ask(GET)).status == 200
        world.leave()
    return listening


async def test_an_application_is_started_before_its_first_request_and_stopped_behind_its_last():
    app = App(*COMPLETE)
    listening = await serve(app)
    assert app.heard == ["lifespan.startup", "lifespan.shutdown"]
    assert listening.fileno() == -1


async def test_an_application_that_returns_has_no_use_for_it():
    app = App()
    await serve(app)
    assert app.heard == []


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"type": "lifespan.startup.failed", "message": "no keys"}, "no keys"),
        ({"type": "lifespan.startup.failed"}, "the application did not start"),
        (ValueError("odd"), "the application did not start: ValueError: odd"),
        (OSError(13, "Permission denied"), r"the application did not start: \[Errno 13\] Permission denied"),
        (GatewayError("no file"), "the application did not start: no file"),
    ],
)
async def test_an_application_that_does_not_start_is_not_served(said, text):
    listening = socket.create_server(("127.0.0.1", 0))
    with pytest.raises(StartError, match=text):
        async with serving(App(said), [listening], drain_s=1):
            raise AssertionError
    assert listening.fileno() == -1


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"type": "lifespan.shutdown.failed", "message": "unsaved"}, "unsaved"),
        ({"type": "lifespan.shutdown.failed"}, "the application did not stop well"),
        (ValueError("odd"), "the application did not stop well: ValueError: odd"),
    ],
)
async def test_an_application_that_does_not_stop_well_is_an_error(said, text):
    with pytest.raises(StartError, match=text):
        await serve(App(COMPLETE[0], said))


async def test_an_application_whose_lifespan_fails_between_is_served_on_and_the_log_says_it(caplog):
    failed = asyncio.Event()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await answering()(scope, receive, send)
            return
        await receive()
        await send(COMPLETE[0])
        failed.set()
        raise ValueError("odd")

    lifespan = Lifespan(app)
    await lifespan.start()
    await failed.wait()
    await lifespan.stop()
    assert [(record.levelno, "odd" in caplog.text) for record in caplog.records] == [(logging.ERROR, True)]


async def test_what_was_never_started_needs_no_stop():
    await Lifespan(App()).stop()


async def test_no_state_is_offered_that_requests_would_not_get():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)
        if scope["type"] == "http":
            await answering()(scope, receive, send)

    await serve(app)
    assert [("state" in scope) for scope in seen] == [False, False]
