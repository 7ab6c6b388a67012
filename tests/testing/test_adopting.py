"""Applications and settings believe in a world, keep what is their own, and stay as they were."""

import warnings
from dataclasses import replace

import httpx
import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from gateway import ConfigurationError, SessionMiddleware, require
from gateway.core.secret import Secret
from gateway.core.settings_model import KeysSettings, RefreshSettings, ServerSettings
from gateway.testing import World, WrongUse


def status(world: World, app, ada) -> int:
    return world.client(app, signed_in=ada).get("/").status_code


def test_an_application_stays_as_it_was(session_world: World, app, ada, foreign):
    before = [*app.user_middleware]
    assert status(session_world, app, ada) == 200
    assert app.user_middleware == before
    assert app.middleware_stack is None
    with World.open() as other:
        assert status(other, app, other.user("bob@example.com")) == 200


def test_an_application_that_was_used_before_is_taken_too(session_world: World, app, ada):
    app.middleware_stack = app.build_middleware_stack()
    assert status(session_world, app, ada) == 200


def test_the_routes_of_the_application_stay(session_world: World, app):
    client = session_world.client(app)
    assert client.get("/").status_code == 401
    assert client.get("/anybody").status_code == 200


def test_other_middleware_stays_in_its_place(session_world: World, app, ada):
    app.add_middleware(GZipMiddleware, minimum_size=10)
    answer = session_world.client(app, signed_in=ada).get("/")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["user"] == ada.id


def test_overrides_of_fastapi_stay(session_world: World, foreign, ada):
    app = FastAPI()
    app.add_middleware(SessionMiddleware, settings=foreign)

    def greeting() -> str:
        return "hello"

    @app.get("/", dependencies=[Depends(require())])
    async def greet(text: str = Depends(greeting)) -> str:
        return text

    app.dependency_overrides[greeting] = lambda: "overridden"
    assert session_world.client(app, signed_in=ada).get("/").json() == "overridden"


def test_a_middleware_around_an_application_is_taken(session_world: World, app, foreign, ada):
    inner = Starlette(routes=app.routes)
    bare = SessionMiddleware(inner, settings=foreign)
    assert status(session_world, bare, ada) == 200
    wrapped = GZipMiddleware(GZipMiddleware(bare), minimum_size=10)
    assert status(session_world, wrapped, ada) == 200
    assert wrapped.app.app is bare


def test_a_class_of_ones_own_stays_that_class(session_world: World, app, foreign, ada):
    made = []

    class Own(SessionMiddleware):
        def __init__(self, app, *, settings, **more):
            made.append(type(self))
            super().__init__(app, settings=settings, **more)

    own = Starlette(routes=app.routes, middleware=[Middleware(Own, settings=foreign)])
    assert status(session_world, own, ada) == 200
    assert made == [Own]


@pytest.mark.parametrize(
    "make",
    [
        lambda routes: Starlette(routes=routes),
        lambda routes: GZipMiddleware(Starlette(routes=routes)),
        lambda routes: lambda scope, receive, send: None,
    ],
)
def test_without_the_middleware_it_is_said_what_to_do(session_world: World, app, make):
    with pytest.raises(WrongUse, match=r"no SessionMiddleware in front of this \w+\. Add it .* world\.protect\(app\)"):
        session_world.client(make(app.routes))


def test_an_application_is_protected_for_the_asking(session_world: World, app, ada):
    bare = Starlette(routes=app.routes)
    protected = session_world.protect(bare, {"routes": [{"path": "/"}, {"path": "/open", "access": "optional"}]})
    assert status(session_world, protected, ada) == 200
    assert session_world.client(protected).get("/open").status_code == 200


async def test_any_other_client_takes_an_adopted_application(session_world: World, app, ada):
    transport = httpx.ASGITransport(session_world.adopt(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/", headers=session_world.bearer(ada))).status_code == 200


def test_starlettes_own_client_takes_it_with_websockets(session_world: World, foreign, ada):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would rather have another HTTP library
        from starlette.testclient import TestClient

    async def greet(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.state.session.user_id)
        await socket.close()

    app = Starlette(routes=[WebSocketRoute("/", greet)], middleware=[Middleware(SessionMiddleware, settings=foreign)])
    with (
        TestClient(session_world.adopt(app)) as client,
        client.websocket_connect("/", headers=session_world.bearer(ada)) as socket,
    ):
        assert socket.receive_text() == ada.id


def test_settings_are_a_document_that_names_no_instance(session_world: World):
    settings = session_world.settings({"routes": [{"path": "/a"}], "instance": {"clock_skew_s": 1}})
    assert [route.path for route in settings.routes] == ["/a"]
    assert settings.instance.clock_skew_s == 1.0
    assert settings.instance.publishable_key == session_world.authority.publishable_key
    assert [route.path for route in session_world.settings().routes] == ["/"]
    with pytest.raises(ConfigurationError, match="rout"):
        session_world.settings({"rout": []})


def test_settings_that_would_leave_the_process_are_left_behind(session_world: World, foreign):
    given = replace(
        foreign,
        keys=KeysSettings(cache_file="/var/lib/gateway/keys.json"),
        refresh=RefreshSettings(store=Secret("redis://:secret@redis.example.com")),
        server=ServerSettings(allowed_hosts=("app.example.com",)),
        instance=replace(foreign.instance, is_satellite=True, domain="example.com", machine_secret_key=Secret("ak_x")),
    )
    settings = session_world.settings(given, origin="https://other.example.com")
    assert settings.keys.cache_file is None
    assert settings.refresh.store == "none"
    assert settings.server.allowed_hosts == ("app.example.com", "other.example.com")
    assert (settings.instance.is_satellite, settings.instance.machine_secret_key) == (False, None)
    assert settings.instance.authorized_parties == ("https://other.example.com",)
