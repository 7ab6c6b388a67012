"""Which pages of other origins may call the Frontend API, and how their browsers are told (Fetch, "CORS protocol").

The pages of the application are of another origin than the authority. Only served origins are answered, each by its own
name and with credentials; the pages for people, the handshake and the Backend API are for no script at all.

A page of another site gets no cookies set, unless its origin is named in the settings. Browsers drop them from what its
scripts ask anyway (``SameSite=Lax``), but not from the answer to a form that it sends: that would put its own client,
or somebody else's session, in the place of the browser's.
"""

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.authority.config import AuthorityConfig
from gateway.authority.requests import is_cross_site
from gateway.authority.return_urls import origin_of

_AREAS = ("/v1/client", "/v1/me", "/v1/environment", "/v1/dev_browser", "/.well-known")
_HANDSHAKE = "/v1/client/handshake"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_EXPOSED = ("Authorization", "Clerk-Db-Jwt", "Clerk-Trace-Id", "Retry-After")
_PREFLIGHT_S = 600


class AppPages:
    """Lets the pages of served origins call the Frontend API.

    Args:
        app: the whole authority.
        config: says which origins are served.
    """

    def __init__(self, app: ASGIApp, config: AuthorityConfig) -> None:
        self._app = app
        self._open = _ServedOrigins(app, config)
        self._named = config.allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "http" and _is_of_the_frontend_api(scope["path"])
        if not is_open:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        is_foreign = is_cross_site(request) and request.headers.get("origin") not in self._named
        await self._open(scope, receive, _without_cookies(send) if is_foreign else send)


class _ServedOrigins(CORSMiddleware):
    def __init__(self, app: ASGIApp, config: AuthorityConfig) -> None:
        super().__init__(
            app,
            allow_methods=_METHODS,
            allow_headers=("*",),
            allow_credentials=True,
            expose_headers=_EXPOSED,
            max_age=_PREFLIGHT_S,
        )
        self._config = config

    def is_allowed_origin(self, origin: str) -> bool:
        read = origin_of(origin)
        return read is not None and self._config.serves(read)


def _without_cookies(send: Send) -> Send:
    async def send_bare(message: Message) -> None:
        if message["type"] == "http.response.start":
            del MutableHeaders(scope=message)["set-cookie"]
        await send(message)

    return send_bare


def _is_of_the_frontend_api(path: str) -> bool:
    return path != _HANDSHAKE and any(path == area or path.startswith(f"{area}/") for area in _AREAS)
