"""The gate as ASGI middleware inside an application: HTTP and WebSocket scopes.

The application finds the session at ``request.state.session`` (:class:`~gateway.core.claims.SessionClaims`, or None on
routes that let anybody in), and a machine's token at ``request.state.machine``
(:class:`~gateway.core.machine_claims.MachineClaims`, or None). Headers that claim an identity are removed before ours
are added, as in the proxy.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.cors import answer_headers
from gateway.core.reasons import Reason
from gateway.core.request_headers import IdentityNamespace
from gateway.core.settings_model import Access
from gateway.errors import UpstreamError
from gateway.ports import Journal
from gateway.surfaces import answers
from gateway.surfaces.answers import Answer, set_cookie_headers
from gateway.surfaces.body_limit import BodyLimit
from gateway.surfaces.exchange import (
    Watch,
    adding_headers,
    guarding_caches,
    replacing_cors,
    send_answer,
    send_refused_websocket,
)
from gateway.surfaces.gate import Admission, Gate
from gateway.surfaces.require import PASSAGE, AccessDenied
from gateway.surfaces.scope import with_pairs


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
        scope = with_pairs(scope)
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
            send, limit = _by_route(send, receive, admission)
            try:
                await self.app(inner, limit.receive if limit else receive, adding_headers(scope, send, cookies))
            except UpstreamError:
                await _answer_too_large(send, limit, admission, watch)
            except AccessDenied:
                # No framework was there to answer.
                if watch.denial is None or watch.status not in {0, 101}:
                    raise
                await watch.deny(watch.denial, watch.denial.answer, send)
        elif scope["type"] == "websocket":
            await send_refused_websocket(scope, send, admission.answer)
        else:
            await send_answer(send, admission.answer)


def _by_route(send: Send, receive: Receive, admission: Admission) -> tuple[Send, BodyLimit | None]:
    """Return what the route changes on the way: who may read the answer, and how long the body may be."""
    facts, route = admission.facts, admission.route
    if facts is None or route is None:
        return send, None
    if route.settings.cors is not None:
        send = replacing_cors(send, answer_headers(route.settings.cors, facts.header("origin")))
    if not route.is_bounded or route.settings.max_body_bytes is None:
        return send, None
    limit = BodyLimit(receive, route.settings.max_body_bytes)
    return limit.answering(send, _too_large(admission)), limit


async def _answer_too_large(send: Send, limit: BodyLimit | None, admission: Admission, watch: Watch) -> None:
    """Answer in the place of an application that let the end of the body pass through it, or raise that again."""
    if limit is None or not limit.is_exceeded or (watch.status and not limit.is_answered):
        raise  # noqa: PLE0704 - called while it is handled
    if not limit.is_answered:
        await send_answer(send, _too_large(admission))


def _too_large(admission: Admission) -> Answer:
    return answers.refusal(admission.facts, Reason.REQUEST_BODY_TOO_LARGE)


def _judged_path(scope: Scope, admission: Admission) -> dict[str, object]:
    """Return the path that the gate judged, where it is spelled otherwise: what is matched is what is forwarded."""
    if admission.facts is None:
        return {}
    path = admission.facts.url.path
    raw_path = path.encode("ascii")
    return {} if raw_path == scope.get("raw_path") else {"raw_path": raw_path, "path": unquote(path)}
