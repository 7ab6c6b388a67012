"""One ASGI application out of the Backend API, the Frontend API and the pages; and how every problem is answered."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.authority import openapi
from gateway.authority.backend import api as backend_api
from gateway.authority.backend import jwt_templates
from gateway.authority.errors import Problem, Refusal, answer
from gateway.authority.frontend import operations as frontend_operations
from gateway.authority.frontend import sign_in
from gateway.authority.frontend.cors import AppPages
from gateway.authority.operations import Operation, routes_of
from gateway.authority.realm import Realm
from gateway.authority.requests import requested_version, require_own_host
from gateway.authority.versions import ApiVersion
from gateway.authority.webhooks.delivery import Courier, delivering

_log = logging.getLogger("gateway.authority")

# of a database that is locked or full: nothing was done, so everything may be repeated
_RETRY_AFTER_S = "1"

_Handler = Callable[[Realm, Request], Awaitable[Response]]

OPERATIONS: tuple[Operation, ...] = (
    *backend_api.OPERATIONS,
    *jwt_templates.OPERATIONS,
    *frontend_operations.OPERATIONS,
)
"""Every operation of the API, in the order of the OpenAPI document."""

_PAGES: tuple[tuple[str, str, _Handler], ...] = (
    ("GET", "/", sign_in.front_page),
    ("GET", "/sign-in", sign_in.sign_in_page),
    ("POST", "/sign-in", sign_in.sign_in_action),
    ("GET", "/sign-out", sign_in.sign_out_page),
    ("POST", "/sign-out", sign_in.sign_out_action),
)


def build_app(realm: Realm) -> Starlette:
    """The application of one instance; webhooks are delivered during its lifespan."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with delivering(Courier(realm.outbox, realm.clock)):
            yield

    routes = [
        *routes_of(realm, OPERATIONS),
        Route("/openapi.json", _document, name="document"),
        Route("/healthz", _health, name="health"),
        *(
            Route(path, _for_people(realm, handler), methods=[method], name=handler.__name__)
            for method, path, handler in _PAGES
        ),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            Refusal: _refused,
            HTTPException: _no_route,
            sqlite3.Error: _no_database,
            Exception: _failed,
        },
        middleware=[Middleware(AppPages, config=realm.config)],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _for_people(realm: Realm, handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            require_own_host(request, realm.config.host)
            return await handler(realm, request)
        except Refusal as refusal:
            return sign_in.refusal_page(refusal)

    return endpoint


async def _health(_request: Request) -> Response:
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


async def _document(request: Request) -> Response:
    return answer(_described(requested_version(request)))


@cache
def _described(version: ApiVersion) -> Mapping[str, object]:
    return openapi.document(OPERATIONS, version)  # takes longer than most requests, and anybody may ask for it


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return error.to_response()


async def _no_route(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        return Refusal(Problem.NO_SUCH_METHOD, allow=(error.headers or {}).get("Allow", "")).to_response()
    return Refusal(Problem.NO_SUCH_PATH).to_response()


async def _no_database(request: Request, error: Exception) -> Response:
    _log.error("the database failed at %s %s: %s", request.method, request.scope["route"].path, error)
    response = Refusal(Problem.UNAVAILABLE).to_response()
    response.headers["Retry-After"] = _RETRY_AFTER_S
    return response


async def _failed(_request: Request, _error: Exception) -> Response:
    return Refusal(Problem.INTERNAL).to_response()
