"""One ASGI application out of the Backend API, the Frontend API and the pages; and how every problem is answered."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.authority.backend.api import BackendApi
from gateway.authority.errors import Problem, Refusal
from gateway.authority.frontend import api as frontend_api
from gateway.authority.frontend import sign_in
from gateway.authority.frontend.handshake import handshake
from gateway.authority.frontend.visitor import require_own_host
from gateway.authority.realm import Realm

_log = logging.getLogger("gateway.authority")

_Handler = Callable[[Realm, Request], Awaitable[Response]]
_SESSION = "/v1/client/sessions/{session_id}"

# method, path, handler; every one of them is for browsers
_BROWSER_ROUTES: tuple[tuple[tuple[str, ...], str, _Handler], ...] = (
    (("GET",), "/v1/client/handshake", handshake),
    (("GET", "PUT", "POST", "DELETE"), "/v1/client", frontend_api.client),
    (("POST", "DELETE"), "/v1/client/sessions", frontend_api.client_sessions),
    (("GET",), _SESSION, frontend_api.session),
    (("POST",), f"{_SESSION}/touch", frontend_api.touch),
    (("POST",), f"{_SESSION}/end", frontend_api.end),
    (("POST",), f"{_SESSION}/remove", frontend_api.remove),
    (("POST",), f"{_SESSION}/tokens", frontend_api.token),
    (("POST",), f"{_SESSION}/tokens/{{template_name}}", frontend_api.template_token),
    (("POST",), "/v1/dev_browser", frontend_api.dev_browser),
)
_PAGES: tuple[tuple[str, str, _Handler], ...] = (
    ("GET", "/sign-in", sign_in.sign_in_page),
    ("POST", "/sign-in", sign_in.sign_in_action),
    ("GET", "/sign-out", sign_in.sign_out_page),
    ("POST", "/sign-out", sign_in.sign_out_action),
)


def build_app(realm: Realm) -> Starlette:
    """The application of one instance."""

    async def jwks(request: Request) -> Response:
        return await frontend_api.jwks(realm, request)

    routes = [
        *BackendApi(realm).routes(),
        Route("/.well-known/jwks.json", jwks),
        Route("/healthz", _health),
        *(Route(path, _for_browsers(realm, handler), methods=methods) for methods, path, handler in _BROWSER_ROUTES),
        *(Route(path, _for_people(realm, handler), methods=[method]) for method, path, handler in _PAGES),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            Refusal: _refused,
            HTTPException: _no_route,
            sqlite3.Error: _no_database,
            Exception: _failed,
        },
    )
    app.router.redirect_slashes = False
    return app


def _for_browsers(realm: Realm, handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if request.method == "HEAD":  # would do what GET does, and show nothing
            raise Refusal(Problem.NO_SUCH_METHOD)
        require_own_host(realm, request)
        return await handler(realm, request)

    return endpoint


def _for_people(realm: Realm, handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            require_own_host(realm, request)
            return await handler(realm, request)
        except Refusal as refusal:
            return sign_in.refusal_page(refusal)

    return endpoint


async def _health(_request: Request) -> Response:
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return error.to_response()


async def _no_route(_request: Request, error: Exception) -> Response:
    is_method = isinstance(error, HTTPException) and error.status_code == 405
    return Refusal(Problem.NO_SUCH_METHOD if is_method else Problem.NO_SUCH_PATH).to_response()


async def _no_database(request: Request, error: Exception) -> Response:
    _log.error("the database failed at %s %s: %s", request.method, request.scope["route"].path, error)
    return Refusal(Problem.UNAVAILABLE).to_response()


async def _failed(_request: Request, _error: Exception) -> Response:
    return Refusal(Problem.INTERNAL).to_response()
