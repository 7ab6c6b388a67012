"""Who may ask the control API: programs of this machine, and no browser.

A page could reach a port of loopback. So a request with anything that a browser adds is refused (``Origin``, Fetch
section 3.2; ``Sec-Fetch-*``, Fetch Metadata section 2), a body must be declared as JSON, which a page cannot do without
asking first (and is then refused), and ``Host`` must name this port of loopback, which a page under a name that was
pointed here cannot (DNS rebinding). There is no secret: who may connect to loopback may sign in as anybody anyway.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.authority.errors import Problem, Refusal

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class ProgramsOnly:
    """Lets programs of this machine pass, and no page of a browser.

    Args:
        app: what they reach.
        host: host and port that it listens on, as in a URL.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        port = host.rpartition(":")[2]
        self._hosts = frozenset({host, *(f"{name}:{port}" for name in _LOOPBACK)})
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._refusal(Request(scope))
            if refusal is not None:
                await refusal.to_response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> Refusal | None:
        if any(name == "origin" or name.startswith("sec-fetch-") for name in request.headers):
            return Refusal(Problem.CROSS_SITE)
        if [host.lower() for host in request.headers.getlist("host")] not in [[host] for host in self._hosts]:
            return Refusal(Problem.HOST_UNKNOWN, expected=self._host)
        if request.method == "POST" and request.headers.get("content-type", "").lower() != "application/json":
            return Refusal(Problem.MEDIA_TYPE, expected="application/json")
        return None
