"""``require(...)`` in Starlette, FastAPI and plain ASGI applications: who passes, and what the others get."""

import inspect
import re
import subprocess
import sys
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from fastapi.responses import JSONResponse as FastJson
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from gateway import AccessDenied, Reverification, SessionClaims, require
from gateway.core.settings_model import Access, RouteSettings
from gateway.core.token_class import CATEGORY_M2M, TokenType
from gateway.errors import ConfigurationError
from tests.authenticator.engine_kit import NAMES, Api, directives, expired, mint
from tests.surfaces.surfaces_kit import PAGE, Pages, Wire, gate_of, middleware_of, scope_of, websocket_scope

ADMIN = {"o": {"id": "org_1", "slg": "acme", "rol": "admin", "per": "publish", "fpm": "1"}, "fea": "o:articles"}
FRESH = {"fva": [1, -1]}
OPTIONAL = RouteSettings(access=Access.OPTIONAL)
PUBLISH = require(permission="org:articles:publish")
PROBLEM, HTML, JSON = "application/problem+json", "text/html; charset=utf-8", "application/json"


async def ask(
    app: object, path: str = "/", token: str = "", *, method: str = "GET", gate=None, journal=None, **headers: str
) -> httpx.Response:
    """Ask an application behind the middleware; every route of it lets anybody in."""
    inner = middleware_of(app, gate or gate_of(OPTIONAL), journal)
    sent = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(inner), base_url="https://app.example.test", headers=sent | headers
    ) as client:
        return await client.request(method, path)


# Starlette


async def awaited(request: Request) -> JSONResponse:
    session = await PUBLISH(request)
    return JSONResponse({"user": session.user_id})


def checked(request: Request) -> JSONResponse:
    return JSONResponse({"user": PUBLISH.check(request).user_id})


@PUBLISH
async def decorated(request: Request) -> JSONResponse:
    return JSONResponse({"user": request.state.session.user_id})


@PUBLISH
def decorated_sync(request: Request) -> JSONResponse:
    return JSONResponse({"user": request.state.session.user_id})


class Articles(HTTPEndpoint):
    @PUBLISH
    async def get(self, request: Request) -> JSONResponse:
        return JSONResponse({"user": request.state.session.user_id})


def starlette_app() -> Starlette:
    routes = [
        Route("/awaited", awaited),
        Route("/checked", checked),
        Route("/decorated", decorated),
        Route("/decorated-sync", decorated_sync),
        Route("/class", Articles),
    ]
    return Starlette(routes=[*routes, Mount("/sub", Starlette(routes=routes))])


STARLETTE_PATHS = ["/awaited", "/checked", "/decorated", "/decorated-sync", "/class", "/sub/awaited", "/sub/decorated"]


@pytest.mark.parametrize("path", STARLETTE_PATHS)
async def test_starlette_endpoints_run_for_whoever_has_what_is_asked(path: str):
    answer = await ask(starlette_app(), path, mint(**ADMIN))
    assert (answer.status_code, answer.json()) == (200, {"user": "user_1"})


@pytest.mark.parametrize("path", STARLETTE_PATHS)
async def test_starlette_endpoints_refuse_whoever_has_not(path: str):
    answer = await ask(starlette_app(), path, mint())
    assert answer.status_code == 403
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["reason"] == answer.headers["x-clerk-auth-reason"] == "missing-permission"
    assert answer.headers["x-clerk-auth-status"] == "signed-in"
    assert answer.headers["cache-control"] == "no-store"
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", STARLETTE_PATHS)
async def test_starlette_endpoints_refuse_whoever_is_not_signed_in(path: str):
    answer = await ask(starlette_app(), path)
    assert (answer.status_code, answer.json()["reason"]) == (401, "session-token-and-uat-missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="gateway"'
    answer = await ask(starlette_app(), path, "junk")
    assert (answer.status_code, answer.json()["reason"]) == (401, "token-invalid")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_person_gets_a_page_and_never_a_redirect():
    answer = await ask(starlette_app(), "/decorated", mint(), **PAGE)
    assert (answer.status_code, answer.headers["content-type"]) == (403, HTML)
    assert "You lack the permission for this" in answer.text
    answer = await ask(starlette_app(), "/decorated", "junk", **PAGE)
    assert (answer.status_code, answer.headers["content-type"]) == (401, HTML)
    assert "https://accounts.example.test/sign-in?redirect_url=" in answer.text


async def test_head_is_answered_without_a_body():
    answer = await ask(starlette_app(), "/decorated", mint(), method="HEAD")
    assert (answer.status_code, answer.content) == (403, b"")
    assert int(answer.headers["content-length"]) > 0


async def test_nothing_asked_means_signed_in():
    async def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse((await require()(request)).user_id)

    app = Starlette(routes=[Route("/", endpoint)])
    assert (await ask(app, token=mint())).text == "user_1"
    assert (await ask(app)).status_code == 401


@pytest.mark.parametrize(
    ("asked", "config"),
    [
        ("strict", "strict"),
        (Reverification("first_factor", 5), {"level": "first_factor", "afterMinutes": 5}),
        ({"level": "first_factor", "after_minutes": 5}, {"level": "first_factor", "afterMinutes": 5}),
    ],
)
async def test_a_missing_reverification_is_told_as_clerks_front_end_reads_it(asked: object, config: object):
    app = Starlette(routes=[Route("/", require(reverification=asked)(lambda request: PlainTextResponse("in")))])
    assert (await ask(app, token=mint(fva=[1, -1]))).text == "in"
    answer = await ask(app, token=mint(fva=[11, -1]))
    assert (answer.status_code, answer.headers["content-type"]) == (403, JSON)
    error = {"type": "forbidden", "reason": "reverification-error", "metadata": {"reverification": config}}
    assert answer.json() == {"clerk_error": error}


async def test_impersonation_can_be_refused():
    app = Starlette(routes=[Route("/", require(no_impersonation=True)(lambda request: PlainTextResponse("in")))])
    assert (await ask(app, token=mint())).text == "in"
    answer = await ask(app, token=mint(act={"sub": "user_9"}))
    assert (answer.status_code, answer.json()["reason"]) == (403, "impersonation-refused")


async def test_a_session_has_no_scopes():
    app = Starlette(routes=[Route("/", require(scopes=["read"])(lambda request: PlainTextResponse("in")))])
    answer = await ask(app, token=mint(scopes=["read"], scp=["read"]))
    assert (answer.status_code, answer.json()["reason"]) == (403, "missing-scope")
    assert answer.headers["www-authenticate"].endswith('scope="read"')


async def test_the_refusal_of_a_refreshed_session_takes_its_cookies_along_once():
    gate = gate_of(OPTIONAL, api=Api(directives(mint())))
    cookies = f"{NAMES.session}={expired()}; {NAMES.client_uat}=1700000000; {NAMES.refresh}=rt_1"
    answer = await ask(starlette_app(), "/decorated", gate=gate, cookie=cookies)
    assert answer.status_code == 403
    names = [cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")]
    assert names == [NAMES.refresh, NAMES.session]


async def test_it_is_written_down_why():
    journal = Pages()
    await ask(starlette_app(), "/decorated", mint(), journal=journal)
    entry = journal.entry
    assert (entry.status, entry.state, entry.reason, entry.how) == (
        403,
        "signed-in",
        "missing-permission",
        "signature",
    )


async def test_what_others_add_to_the_answer_stays():
    cors = Middleware(CORSMiddleware, allow_origins=["https://front.example.test"])
    app = Starlette(routes=[Route("/", decorated)], middleware=[cors])
    answer = await ask(app, token=mint(), origin="https://front.example.test")
    assert answer.json()["reason"] == "missing-permission"
    assert answer.headers["access-control-allow-origin"] == "https://front.example.test"
    assert len(answer.headers.get_list("content-type")) == 1
    assert len(answer.headers.get_list("content-length")) == 1
    assert len(answer.headers.get_list("www-authenticate")) == 1


# Machines


MACHINES = gate_of(RouteSettings(accepts=(TokenType.SESSION_TOKEN, TokenType.M2M_TOKEN)))
MACHINE = {"sub": "mch_1", "scopes": "read write", "header": {"cat": CATEGORY_M2M}}


def machine_app(asked) -> Starlette:
    async def endpoint(request: Request) -> JSONResponse:
        caller = await asked(request)
        return JSONResponse({"caller": type(caller).__name__, "user": caller.user_id})

    return Starlette(routes=[Route("/", endpoint)])


@pytest.mark.parametrize(
    ("asked", "claims", "status", "told"),
    [
        (require(scopes=["read"]), MACHINE, 200, "MachineClaims"),
        (require(scopes=["read"], no_impersonation=True), MACHINE, 200, "MachineClaims"),
        (require(scopes=["read", "delete"]), MACHINE, 403, "missing-scope"),
        (require(scopes=["read"]), {}, 403, "missing-scope"),
        (require(role="org:admin"), MACHINE, 403, "missing-role"),
        (require(), MACHINE, 401, "token-type-mismatch"),
        (require(no_impersonation=True), MACHINE, 401, "token-type-mismatch"),
        (require(), {}, 200, "SessionClaims"),
    ],
)
async def test_machines_have_scopes_and_nothing_else(asked: object, claims: dict[str, object], status: int, told: str):
    answer = await ask(machine_app(asked), "/", mint(**claims), gate=MACHINES)
    document = answer.json()
    assert (answer.status_code, document.get("caller") or document["reason"]) == (status, told)


# An application's own answers


async def test_a_handler_of_the_applications_own_wins():
    async def refused(request: Request, error: AccessDenied) -> JSONResponse:
        return JSONResponse({"mine": error.reason, "text": error.detail}, status_code=418)

    app = Starlette(routes=[Route("/", decorated)], exception_handlers={AccessDenied: refused})
    journal = Pages()
    answer = await ask(app, token=mint(), journal=journal)
    assert (answer.status_code, answer.json()["mine"]) == (418, "missing-permission")
    assert "x-clerk-auth-reason" not in answer.headers
    assert (journal.entry.status, journal.entry.reason) == (418, "")


async def test_an_endpoint_may_live_without_it():
    async def endpoint(request: Request) -> PlainTextResponse:
        try:
            await PUBLISH(request)
        except AccessDenied as denied:
            return PlainTextResponse(f"less, for {denied.reason}")
        return PlainTextResponse("more")

    app = Starlette(routes=[Route("/", endpoint)])
    assert (await ask(app, token=mint(**ADMIN))).text == "more"
    assert (await ask(app, token=mint())).text == "less, for missing-permission"


# What cannot work is an error, and nothing passes


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"role": None}, "role (is null): it is not a text"),
        ({"role": ""}, "role"),
        ({"permission": ["org:a:b"]}, "permission"),
        ({"feature": "team:x"}, '"team" is no scope'),
        ({"plan": 7}, "plan (is 7)"),
        ({"reverification": "stricter"}, '"strict_mfa", "strict", "moderate", "lax"'),
        ({"reverification": None}, "reverification"),
        ({"reverification": {"level": "first_factor"}}, "reverification.after_minutes"),
        ({"scopes": "read"}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["read"], "role": "org:admin"}, "no token has both"),
        ({"no_impersonation": False}, "no_impersonation"),
        ({"role": None, "plan": None}, "plan"),
    ],
)
def test_what_nobody_could_have_is_an_error_where_it_is_written(asked: dict[str, object], said: str):
    with pytest.raises(ValueError, match=re.escape(said)):
        require(**asked)


def test_an_unknown_question_is_an_error_where_it_is_written():
    with pytest.raises(TypeError, match="rol"):
        require(rol="org:admin")
    with pytest.raises(TypeError):
        require("org:admin")


@pytest.mark.parametrize("endpoint", [Articles, lambda: None, "endpoint", print])
def test_what_takes_no_request_cannot_be_decorated(endpoint: object):
    with pytest.raises(TypeError, match="take the request"):
        PUBLISH(endpoint)


async def test_an_endpoint_that_gets_no_request_does_not_run():
    with pytest.raises(TypeError, match="without its request"):
        await decorated("not a request")
    with pytest.raises(TypeError, match="without its request"):
        decorated_sync(request=None)


def test_a_decorated_endpoint_keeps_its_name_and_kind():
    assert (decorated.__name__, decorated_sync.__name__) == ("decorated", "decorated_sync")
    assert inspect.iscoroutinefunction(decorated)
    assert not inspect.iscoroutinefunction(decorated_sync)


@pytest.mark.parametrize("state", [{}, {"session": None}, {"session": object()}])
async def test_without_the_middleware_in_front_nobody_passes(state: dict[str, object]):
    with pytest.raises(ConfigurationError, match="no SessionMiddleware in front"):
        await require()(Request(scope_of(state=state)))


async def test_a_route_where_nobody_is_asked_is_an_error_and_nobody_passes():
    gate = gate_of(RouteSettings(access=Access.PUBLIC))
    with pytest.raises(ConfigurationError, match="the route / is public"):
        await ask(starlette_app(), "/decorated", mint(**ADMIN), gate=gate)


async def test_the_check_is_made_at_the_call():
    """Whoever forgets to await gets no further either."""
    called = []

    async def app(scope, receive, send):
        called.append(scope["path"])
        require(role="org:admin")(HTTPConnection(scope))
        called.append("passed")

    answer = await ask(app, token=mint())
    assert (answer.status_code, answer.json()["reason"], called) == (403, "missing-role", ["/"])


async def test_an_answer_that_has_begun_is_not_replaced():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await require(role="org:admin")(HTTPConnection(scope))

    with pytest.raises(AccessDenied):
        await ask(app, token=mint())


async def test_an_exception_of_the_applications_own_making_stays_its_own():
    denied = None

    async def app(scope, receive, send):
        nonlocal denied
        if denied is not None:
            raise denied
        try:
            await require(role="org:admin")(HTTPConnection(scope))
        except AccessDenied as error:
            denied = error
        await PlainTextResponse("kept")(scope, receive, send)

    assert (await ask(app, token=mint())).text == "kept"
    with pytest.raises(AccessDenied):
        await ask(app, token=mint())


# FastAPI

ADMINS = require(role="org:admin", reverification="strict")
Session = Annotated[SessionClaims, Depends(ADMINS)]


def admins_router() -> APIRouter:
    router = APIRouter(dependencies=[Depends(require(role="org:admin"))])

    @router.get("/router")
    async def routed() -> dict[str, str]:
        return {"user": "user_1"}

    return router


def mounted_app() -> FastAPI:
    app = FastAPI()

    @app.get("/typed")
    async def below(session: Session) -> dict[str, str]:
        return {"user": session.user_id}

    return app


def fastapi_app() -> FastAPI:
    app = FastAPI()
    app.include_router(admins_router())
    app.mount("/sub", mounted_app())

    @app.get("/typed")
    async def typed(session: Session) -> dict[str, str]:
        return {"user": session.user_id}

    @app.get("/sync")
    def sync(session: Session) -> dict[str, str]:
        return {"user": session.user_id}

    @app.get("/twice")
    async def twice(session: Session, again: Session) -> dict[str, str]:
        assert session is again
        return {"user": session.user_id}

    @app.get("/decorated")
    @ADMINS
    async def decorated_too(request: Request) -> dict[str, str]:
        return {"user": request.state.session.user_id}

    @app.get("/open")
    async def for_everybody() -> dict[str, str]:
        return {"user": ""}

    @app.get("/scopes", dependencies=[Security(require(), scopes=["read"])])
    async def scoped() -> dict[str, str]:
        return {"user": "user_1"}

    @app.websocket("/ws")
    async def talk(websocket: WebSocket, session: Session) -> None:
        await websocket.accept()
        await websocket.send_text(session.user_id)
        await websocket.close()

    return app


GUARDED = ["/typed", "/sync", "/twice", "/decorated", "/sub/typed"]


@pytest.mark.parametrize("path", [*GUARDED, "/router"])
async def test_fastapi_endpoints_get_the_session(path: str):
    answer = await ask(fastapi_app(), path, mint(**ADMIN, **FRESH))
    assert (answer.status_code, answer.json()) == (200, {"user": "user_1"})


@pytest.mark.parametrize("path", GUARDED)
async def test_fastapi_endpoints_refuse_with_our_answer_and_not_with_a_detail(path: str):
    answer = await ask(fastapi_app(), path, mint(**ADMIN))
    assert answer.status_code == 403
    assert answer.json()["clerk_error"]["metadata"] == {"reverification": "strict"}
    answer = await ask(fastapi_app(), path, mint(**FRESH))
    assert (answer.status_code, answer.json()["reason"]) == (403, "missing-role")
    answer = await ask(fastapi_app(), path)
    assert (answer.status_code, answer.json()["reason"]) == (401, "session-token-and-uat-missing")


async def test_a_routers_dependency_holds_for_its_routes_alone():
    assert (await ask(fastapi_app(), "/router", mint())).status_code == 403
    assert (await ask(fastapi_app(), "/open")).status_code == 200


async def test_scopes_of_a_security_dependency_are_asked_for():
    answer = await ask(fastapi_app(), "/scopes", mint())
    assert (answer.status_code, answer.json()["reason"]) == (403, "missing-scope")
    assert answer.headers["www-authenticate"].endswith('scope="read"')
    scoped = FastAPI()

    @scoped.get("/", dependencies=[Security(require(scopes=["write"]), scopes=["read"])])
    async def endpoint() -> None: ...

    answer = await ask(scoped, "/", mint())
    assert answer.headers["www-authenticate"].endswith('scope="write read"')


async def test_a_handler_for_every_http_exception_wins_too():
    app = fastapi_app()

    @app.exception_handler(403)
    async def mine(request: Request, error: Exception) -> FastJson:
        return FastJson({"mine": True}, status_code=403)

    assert (await ask(app, "/typed", mint())).json() == {"mine": True}


async def test_a_dependency_can_be_overridden_in_an_applications_tests():
    app = fastapi_app()
    app.dependency_overrides[ADMINS] = lambda: SessionClaims("user_7", "", "", "", 0, 0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.test") as client:
        assert (await client.get("/typed")).json() == {"user": "user_7"}


async def test_the_document_names_both_ways_to_send_a_session():
    document = (await ask(fastapi_app(), "/openapi.json")).json()
    assert document["components"]["securitySchemes"] == {
        "SessionToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A session token.",
        },
        "SessionCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__session",
            "description": "The session token in the browser's cookie.",
        },
    }
    # Entries of a list are alternatives (OpenAPI 3.1, Security Requirement Object).
    either = [{"SessionToken": []}, {"SessionCookie": []}]
    operations = {path: item["get"] for path, item in document["paths"].items()}
    assert operations["/typed"]["security"] == either
    assert operations["/twice"]["security"] == either
    assert operations["/router"]["security"] == either
    assert operations["/scopes"]["security"] == [{"SessionToken": ["read"]}, {"SessionCookie": ["read"]}]
    assert "security" not in operations["/open"]
    assert "parameters" not in operations["/typed"]
    assert "requestBody" not in operations["/typed"]


def test_the_document_names_the_token_of_a_machine():
    app = FastAPI()

    @app.get("/", dependencies=[Depends(require(scopes=["read"]))])
    async def endpoint() -> None: ...

    document = app.openapi()
    assert document["paths"]["/"]["get"]["security"] == [{"MachineToken": []}]
    assert document["components"]["securitySchemes"] == {
        "MachineToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, an M2M token or an OAuth access token.",
        }
    }


def test_an_application_without_fastapi_does_not_get_it():
    code = (
        "import sys, inspect; from gateway import require; found = inspect.signature(require());"
        "print('fastapi' in sys.modules, found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False (connection: starlette.requests.HTTPConnection)"


# WebSockets


async def greet(websocket: WebSocket) -> None:
    session = await ADMINS(websocket)
    await websocket.accept()
    await websocket.send_text(session.user_id)
    await websocket.close()


async def greet_late(websocket: WebSocket) -> None:
    await websocket.accept()
    await ADMINS(websocket)
    await websocket.send_text("never")


@ADMINS
async def greet_decorated(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("user_1")
    await websocket.close()


WEBSOCKETS = Starlette(
    routes=[
        WebSocketRoute("/ws", greet),
        WebSocketRoute("/decorated", greet_decorated),
        WebSocketRoute("/late", greet_late),
    ]
)
EXTENSION = {"extensions": {"websocket.http.response": {}}}


async def connect(app: object, path: str, token: str, journal: Pages | None = None, **changes: object) -> Wire:
    wire = Wire({"type": "websocket.connect"})
    scope = websocket_scope(path, ("authorization", f"Bearer {token}"), **changes)
    await middleware_of(app, gate_of(OPTIONAL), journal)(scope, wire.receive, wire.send)
    return wire


@pytest.mark.parametrize(("app", "path"), [(WEBSOCKETS, "/ws"), (WEBSOCKETS, "/decorated"), (fastapi_app(), "/ws")])
async def test_a_websocket_is_accepted_or_refused_before(app: object, path: str):
    wire = await connect(app, path, mint(**ADMIN, **FRESH))
    assert [message["type"] for message in wire.sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert wire.sent[1]["text"] == "user_1"

    journal = Pages()
    wire = await connect(app, path, mint(**ADMIN), journal, **EXTENSION)
    assert [message["type"] for message in wire.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert (wire.status, wire.problem["clerk_error"]["reason"]) == (403, "reverification-error")
    assert (journal.entry.status, journal.entry.reason) == (403, "reverification-required")

    wire = await connect(app, path, mint(**ADMIN))
    assert wire.sent == [{"type": "websocket.close", "code": 4403, "reason": "forbidden"}]
    wire = await connect(app, path, "junk")
    assert wire.sent == [{"type": "websocket.close", "code": 4401, "reason": "not signed in"}]


@pytest.mark.parametrize("changes", [{}, EXTENSION])
async def test_a_websocket_that_was_accepted_is_closed(changes: dict[str, object]):
    wire = await connect(WEBSOCKETS, "/late", mint(), **changes)
    assert [message["type"] for message in wire.sent] == ["websocket.accept", "websocket.close"]
    assert wire.sent[1]["code"] == 4403


async def test_a_websocket_of_a_plain_application_is_refused_too():
    async def app(scope, receive, send):
        await ADMINS(HTTPConnection(scope))

    wire = await connect(app, "/", mint(), **EXTENSION)
    assert (wire.status, wire.headers["x-clerk-auth-reason"]) == (403, "missing-role")
