"""The gate as ASGI middleware inside an application: HTTP and WebSocket scopes.

The application finds the session at ``request.state.session`` (:class:`~gateway.core.claims.SessionClaims`, or None on
routes that let anybody in), and a machine's token at ``request.state.machine``
(:class:`~gateway.core.machine_claims.MachineClaims`, or None). Headers that claim an identity are removed before ours
are added, as in the proxy.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.headers import IdentityNamespace
from gateway.core.settings_model import Access
from gateway.ports import Journal
from gateway.surfaces.answers import set_cookie_headers
from gateway.surfaces.exchange import (
    Watch,
    adding_headers,
    guarding_caches,
    send_answer,
    send_refused_websocket,
)
from gateway.surfaces.gate import Admission, Gate
from gateway.surfaces.require import PASSAGE, AccessDenied


class GateMiddleware:
    """Lets requests through to an application as the gate admits them.

    Args:
        app: the application.
        gate: judges.
        namespace: which request headers claim an identity.
        journal: the access log.
        close: called when the application shuts down.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        namespace: IdentityNamespace,
        journal: Journal | None,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.app = app
        self._gate = gate
        self._namespace = namespace
        self._journal = journal
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            try:
                await self.app(scope, receive, send)
            finally:
                await self._close()
            return
        watch = Watch(self._journal)
        admission = await self._gate.admit(scope)
        try:
            await self._serve(scope, receive, watch.wrap(send), admission, watch)
        finally:
            watch.write(scope, admission)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, admission: Admission, watch: Watch) -> None:
        if admission.answer is None:
            headers = [*self._namespace.strip(scope["headers"]), *admission.identity]
            state = {**scope.get("state", {}), "session": admission.session, "machine": admission.machine}
            passage = (self._gate, admission, watch)
            inner = {**scope, **_judged_path(scope, admission), "headers": headers, "state": state, PASSAGE: passage}
            cookies = set_cookie_headers(admission.verdict.cookies)
            if admission.route is not None and admission.route.settings.access is not Access.PUBLIC:
                send = guarding_caches(send, has_cookies=bool(cookies))
            try:
                await self.app(inner, receive, adding_headers(send, cookies))
            except AccessDenied:
                # No framework was there to answer.
                if watch.denial is None or watch.status not in {0, 101}:
                    raise
                await watch.deny(watch.denial, watch.denial.answer, send)
        elif scope["type"] == "websocket":
            await send_refused_websocket(scope, send, admission.answer)
        else:
            await send_answer(send, admission.answer)


def _judged_path(scope: Scope, admission: Admission) -> dict[str, object]:
    """Return the path that the gate judged, where it is spelled otherwise: what is matched is what is forwarded."""
    if admission.facts is None:
        return {}
    path = admission.facts.url.path
    raw_path = path.encode("ascii")
    return {} if raw_path == scope.get("raw_path") else {"raw_path": raw_path, "path": unquote(path)}
