"""The operations of the Sessions API as rows, and how a call of one becomes a request.

Pure: nothing is sent from here. Source: Backend API 2026-05-12 (operations List, Create, Get, Refresh, Revoke,
CreateToken, CreateTokenFromTemplate and GetJWKS), 2024-10-01 (Verify), and the handshake payload, which the official
SDKs fetch by nonce.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar
from urllib.parse import quote, unquote, urlencode

from gateway.core.instance import API_VERSION
from gateway.errors import SessionsApiError
from gateway.sessions.models import (
    RefreshedCookies,
    Session,
    SessionList,
    Token,
    read_directives,
    read_jwks,
    read_refreshed_cookies,
    read_session,
    read_session_list,
    read_token,
)

T = TypeVar("T")

MAX_SEGMENT_CHARS = 512
MAX_PARAMETER_CHARS = 4096
"""Identifiers and nonces travel in the request line, which servers bound at about 8 KiB."""


class BadArgument(SessionsApiError, ValueError):
    """An argument cannot be put into a request; nothing was sent. The text names it and does not repeat it."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One row.

    Attributes:
        path: below ``/v1``, with the segments to be filled in braces.
        read: makes the model from the JSON of a 2XX answer; raises WrongShape.
        repeatable: doing it twice does no more than doing it once, so a failed call may be tried again.
        last_version: the last version of the API that has it; None = the newest has.
        exact_type: only ``Content-Type: application/json``, without parameters, counts as JSON.
    """

    name: str
    method: str
    path: str
    read: Callable[[object], T] = field(repr=False)
    repeatable: bool = False
    last_version: str | None = None
    exact_type: bool = False


LIST: Operation[SessionList] = Operation("list", "GET", "/sessions", read_session_list, repeatable=True)
CREATE: Operation[Session] = Operation("create", "POST", "/sessions", read_session)
GET: Operation[Session] = Operation("get", "GET", "/sessions/{session_id}", read_session, repeatable=True)
REVOKE: Operation[Session] = Operation("revoke", "POST", "/sessions/{session_id}/revoke", read_session)
# Later versions do not have this operation: they answer 410 or 404.
VERIFY: Operation[Session] = Operation(
    "verify", "POST", "/sessions/{session_id}/verify", read_session, last_version="2024-10-01"
)
REFRESH_COOKIES: Operation[RefreshedCookies] = Operation(
    "refresh", "POST", "/sessions/{session_id}/refresh", read_refreshed_cookies
)
# Whoever decides about a browser's request by this answer has to decide as the JavaScript SDK does, to which a
# Content-Type with parameters is not JSON; what that costs is a handshake.
REFRESH_COOKIES_EXACT = replace(REFRESH_COOKIES, exact_type=True)
REFRESH_TOKEN: Operation[Token] = Operation("refresh", "POST", "/sessions/{session_id}/refresh", read_token)
CREATE_TOKEN: Operation[Token] = Operation("create_token", "POST", "/sessions/{session_id}/tokens", read_token)
CREATE_TOKEN_FROM_TEMPLATE: Operation[Token] = Operation(
    "create_token_from_template", "POST", "/sessions/{session_id}/tokens/{template_name}", read_token
)
# A GET, and yet not repeatable: the nonce is used up by the first one.
HANDSHAKE_PAYLOAD: Operation[tuple[str, ...]] = Operation(
    "handshake_payload", "GET", "/clients/handshake_payload", read_directives
)
JWKS: Operation[dict[str, object]] = Operation("jwks", "GET", "/jwks", read_jwks, repeatable=True)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request that lacks only the base URL and the key. Query and body may hold tokens: no ``repr``."""

    operation: Operation[T]
    target: str = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    origin: str | None = None

    def headers(self, api_version: str = API_VERSION) -> dict[str, str]:
        """Return the headers that depend on the call.

        Args:
            api_version: ``YYYY-MM-DD``; an operation that ended earlier is asked of the last version that has it.
        """
        version = min(api_version, self.operation.last_version or api_version)  # dates in this form compare as texts
        headers = {"Accept": "application/json", "Clerk-API-Version": version}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.origin is not None:
            headers["Origin"] = self.origin
        return headers


def prepare(
    operation: Operation[T],
    segments: Mapping[str, str] | None = None,
    *,
    query: Mapping[str, str | int | None] | None = None,
    body: Mapping[str, object] | None = None,
    origin: str | None = None,
) -> Call[T]:
    """Fill a row with arguments. Query parameters that are None are left out.

    Args:
        operation: the row.
        segments: the path segments by the names in the row's path.
        query: the query parameters, in order.
        body: the JSON body; None = no body at all.
        origin: the ``Origin`` header, which becomes ``azp`` in a minted token.

    Raises:
        BadArgument: a segment would change the path, or a text cannot be sent.
    """
    path = operation.path.format_map({name: path_segment(name, text) for name, text in (segments or {}).items()})
    pairs = [(name, str(value)) for name, value in (query or {}).items() if value is not None]
    for name, value in pairs:
        # A service may take an empty filter for none, and list everybody's sessions to whoever means to revoke one's.
        if not value:
            raise BadArgument(f"{name} is empty")
    try:
        target = f"{path}?{urlencode(pairs)}" if pairs else path
    except UnicodeEncodeError:
        raise BadArgument("a query parameter is not valid Unicode text") from None
    if any(len(value) > MAX_PARAMETER_CHARS for _, value in pairs):
        raise BadArgument(f"a query parameter is longer than {MAX_PARAMETER_CHARS} characters")
    if origin is not None and not (origin.isascii() and origin.isprintable() and origin):
        raise BadArgument("origin must be printable ASCII, such as https://app.example.com")
    # ASCII escapes: header values of a browser may hold what UTF-8 cannot encode.
    content = None if body is None else json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")
    return Call(operation, target, content, origin)


def path_segment(name: str, text: str) -> str:
    """Percent-encode one path segment.

    An identifier that is a path of its own is refused rather than encoded: proxies on the way decode and resolve
    ``..`` and its encodings, and would lead the secret key to another operation.

    Raises:
        BadArgument: it is empty, too long, or holds a ``.`` or ``..`` segment, encoded any number of times.
    """
    if not text:
        raise BadArgument(f"{name} is empty")
    if len(text) > MAX_SEGMENT_CHARS:
        raise BadArgument(f"{name} is longer than {MAX_SEGMENT_CHARS} characters")
    plain = text
    while True:
        if any(part in {".", ".."} for part in plain.replace("\\", "/").split("/")):
            raise BadArgument(f"{name} holds a '.' or '..' path segment")
        decoded = unquote(plain)
        if decoded == plain:
            break
        plain = decoded
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise BadArgument(f"{name} is not valid Unicode text") from None
