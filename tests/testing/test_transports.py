"""Applications are started and stopped as servers do, in synchronous and asynchronous tests."""

from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.testing import World


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def app(session_world: World, told):
    @asynccontextmanager
    async def lifespan(app):
        told.append("started")
        yield {"pool": "open"}
        told.append("stopped")

    async def show(request: Request):
        return JSONResponse(request.state.pool)

    return session_world.protect(Starlette(routes=[Route("/", show)], lifespan=lifespan))


def test_an_application_starts_with_the_first_request_and_stops_with_the_client(session_world: World, app, told, ada):
    client = session_world.client(app, signed_in=ada)
    assert told == []
    assert client.get("/").json() == client.get("/").json() == "open"
    assert told == ["started"]
    client.close()
    client.close()
    assert told == ["started", "stopped"]


def test_a_with_statement_starts_it_before(session_world: World, app, told):
    with session_world.client(app):
        assert told == ["started"]
    assert told == ["started", "stopped"]


async def test_async_with_starts_and_stops_it(session_world: World, app, told, ada):
    async with session_world.async_client(app, signed_in=ada) as client:
        assert told == ["started"]
        assert (await client.get("/")).json() == "open"
    assert told == ["started", "stopped"]


def test_an_application_that_cannot_start_says_so_to_the_test(session_world: World):
    @asynccontextmanager
    async def lifespan(app):
        raise OSError("no database")
        yield

    app = session_world.protect(Starlette(lifespan=lifespan))
    client = session_world.client(app)
    with pytest.raises(RuntimeError, match="the application failed at startup: OSError: no database"):
        client.get("/")


def test_an_application_that_cannot_stop_says_so_too(session_world: World, ada):
    @asynccontextmanager
    async def lifespan(app):
        yield
        raise OSError("not saved")

    client = session_world.client(session_world.protect(Starlette(lifespan=lifespan)), signed_in=ada)
    client.get("/")
    with pytest.raises(RuntimeError, match="failed at shutdown: OSError: not saved"):
        client.close()


def test_an_application_without_a_lifespan_is_asked_all_the_same(session_world: World, ada):
    async def bare(scope, receive, send):
        assert scope["type"] == "http"
        await JSONResponse("bare")(scope, receive, send)

    client = session_world.client(session_world.protect(bare), signed_in=ada)
    assert client.get("/").json() == "bare"
