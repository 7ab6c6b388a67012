"""The demo upstream of ``gateway dev``: it answers every request with what it received.

A browser gets a page, anything else JSON. Two addresses are its own: ``/healthz``, and ``POST /revoke``, which ends the
session that the gateway named in its header; a session id in the form or the query is never revoked.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.demo.received import HeaderValues, Received, is_same_origin, public_origin, read_headers
from gateway.pages import notice, whoami
from gateway.pages.rendering import page_headers
from gateway.pages.whoami import HeaderTable, SignInState, WhoamiView

Revoke = Callable[[str], Awaitable[None]]

_log = logging.getLogger("gateway.demo")

_PROGRAM_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_FACTS = (
    ("User", "user-id"),
    ("Impersonated by", "actor"),
    ("Organization", "org-id"),
    ("Slug", "org-slug"),
    ("Role", "org-role"),
    ("Session", "id"),
    ("Token", "token-type"),
    ("Machine", "machine-id"),
    ("Client", "client-id"),
    ("Scopes", "scopes"),
)


def whoami_app(
    *,
    identity_prefix: str = "X-Session-",
    revoke: Revoke | None = None,
    sign_out_url: str = "",
    token_lifetime_s: int = 60,
) -> ASGIApp:
    """The application.

    Args:
        identity_prefix: start of the names of the gateway's identity headers (setting ``identity.prefix``).
        revoke: ends the session with the id it is given; without it there is no way to revoke.
        sign_out_url: where the "Sign out" link leads, http(s) or a path; without it there is no link.
        token_lifetime_s: seconds that a session token is valid, for the explanations on the page.
    """
    endpoint = _Whoami(identity_prefix, revoke, sign_out_url, token_lifetime_s)
    # an endpoint that is not a function is routed for every method
    return Starlette(routes=[Route("/healthz", _healthz), Route("/{path:path}", endpoint)])


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})


@dataclass(frozen=True, slots=True)
class _Whoami:
    prefix: str
    revoke: Revoke | None
    sign_out_url: str
    token_lifetime_s: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        received = read_headers(scope["headers"], self.prefix)
        if self.revoke is not None and request.method == "POST" and scope["path"] == "/revoke":
            response = await self._revoke(self.revoke, request, received)
        elif _wants_page(received):
            response = _page(whoami.render(self._view(request, received)), status=200, has_form=True)
        else:
            response = _listing(request, received)
        await response(scope, receive, send)

    async def _revoke(self, revoke: Revoke, request: Request, received: Received) -> Response:
        session_id = received.claim("id")
        if not is_same_origin(received, request.scope["scheme"]):
            return _refusal(
                received,
                403,
                "revoke-cross-origin",
                "That did not come from this site",
                "The order to revoke a session has to come from the button on this page.",
            )
        if not session_id:
            return _refusal(
                received,
                400,
                "revoke-without-session",
                "There is no session to revoke",
                "The gateway named no session with this request. You are probably signed out already.",
            )
        try:
            await revoke(session_id)
        except Exception as failure:
            # only the kind: the text of a foreign error may quote what was sent
            _log.warning("revoking the session failed: %s", type(failure).__name__)
            return _refusal(
                received,
                502,
                "revoke-failed",
                "The session could not be revoked",
                "The session authority did not do what was asked: you are still signed in. Try again in a moment.",
            )
        return RedirectResponse(
            f"/?revoked={quote(session_id, safe='')}", status_code=303, headers={"cache-control": "no-store"}
        )

    def _view(self, request: Request, received: Received) -> WhoamiView:
        state = _state(received)
        is_signed_in = state is SignInState.SIGNED_IN
        revoked = request.query_params.get("revoked", "")
        return WhoamiView(
            state=state,
            request_line=f"{request.method} {_target(request)}",
            address=public_origin(received, request.scope["scheme"]),
            identity_header=f"{self.prefix}User-Id",
            facts=[(label, received.claim(name)) for label, name in _FACTS if received.claim(name)],
            permissions=received.permissions,
            tables=_tables(received),
            can_revoke=self.revoke is not None and is_signed_in and bool(received.claim("id")),
            # The address stays when somebody signs in again: that session is another one.
            revoked=revoked == received.claim("id") if is_signed_in else revoked != "",
            sign_out_url=self.sign_out_url,
            token_lifetime_s=self.token_lifetime_s,
        )


def _state(received: Received) -> SignInState:
    if not received.identity:
        return SignInState.UNKNOWN
    # Of a session there is a user, of a machine's token a subject, which need not be one.
    who = received.claim("user-id") or (received.claim("token-type") and received.claim("subject"))
    if received.claim("status") == SignInState.SIGNED_IN and who:
        return SignInState.SIGNED_IN
    return SignInState.SIGNED_OUT


def _wants_page(received: Received) -> bool:
    return any("text/html" in value.lower() for value in received.rest.get("accept", ()))


def _target(request: Request) -> str:
    path = request.scope.get("raw_path", b"").decode("latin-1") or request.scope["path"]
    query = _query(request)
    return f"{path}?{query}" if query else path


def _query(request: Request) -> str:
    return bytes(request.scope["query_string"]).decode("latin-1")


def _tables(received: Received) -> list[HeaderTable]:
    groups = (
        ("Identity", "What the gateway says about you. A client cannot set these.", received.identity),
        ("Forwarded", "What the gateway says about the request.", received.forwarded),
        ("Everything else", "What your client sent and the gateway passed on.", received.rest),
    )
    return [HeaderTable(title, note, list(headers.items())) for title, note, headers in groups]


def _listing(request: Request, received: Received) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["path"],
            "query": _query(request),
            "identity": _plain(received.identity),
            "forwarded": _plain(received.forwarded),
            "rest": _plain(received.rest),
        },
        headers=_PROGRAM_HEADERS,
    )


def _plain(headers: HeaderValues) -> dict[str, str | list[str]]:
    """A header that came once is a text, one that came more often a list."""
    return {name: values[0] if len(values) == 1 else list(values) for name, values in headers.items()}


def _refusal(received: Received, status: int, reason: str, heading: str, text: str) -> Response:
    if not _wants_page(received):
        return JSONResponse({"error": reason, "message": text}, status_code=status, headers=_PROGRAM_HEADERS)
    page = notice.render(title=str(status), heading=heading, text=text, action_label="Back", action_href="/")
    return _page(page, status=status, has_form=False)


def _page(text: str, *, status: int, has_form: bool) -> Response:
    return Response(text, status_code=status, headers=dict(page_headers(has_form=has_form)))
