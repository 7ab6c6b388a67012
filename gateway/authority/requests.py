"""Reading a request: who sends it, which version it speaks, what is in its body.

Facts: Sessions API section 1; section 5 for forms and ``_method``.
"""

import asyncio
import hmac
import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from gateway.authority.errors import Problem, Refusal
from gateway.authority.realm import Realm
from gateway.authority.return_urls import origin_of, parse_return_url
from gateway.authority.versions import LATEST, ApiVersion
from gateway.authority.webhooks.events import Cause
from gateway.core.secret import Secret
from gateway.core.trust import Forwarded

_BODY_LIMIT = 256 * 1024
# as long as the server waits for a head; a body that never ends would hold its connection for good
BODY_TIMEOUT_S = 30.0
_FORM_FIELDS_LIMIT = 100
_DATE = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]")
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def require_own_host(request: Request, own: str) -> None:
    """Refuse requests under a name that is not the authority's.

    A page of another name whose DNS was pointed here would otherwise be of the same origin as the sign-in page.

    Args:
        request: as it came.
        own: the authority's host, with its port if it is not the usual one.

    Raises:
        Refusal: the Host header names somebody else, or there is not exactly one (RFC 9112 section 3.2).
    """
    has_port = ":" in own and not own.endswith("]")
    name, colon, port = own.rpartition(":") if has_port else (own, "", "")
    aliases = [f"{alias}{colon}{port}" for alias in _LOOPBACK] if name in _LOOPBACK else []
    if [host.lower() for host in request.headers.getlist("host")] not in [[name] for name in (own, *aliases)]:
        raise Refusal(Problem.HOST_UNKNOWN, expected=own)


def require_secret_key(request: Request, secret_key: Secret) -> None:
    """Let only the holder of the secret key pass.

    Raises:
        Refusal: with a code for each way of not having it.
    """
    headers = request.headers.getlist("authorization")
    if not headers:
        raise Refusal(Problem.UNAUTHENTICATED)
    scheme, _, key = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer" or not key or " " in key:
        raise Refusal(Problem.KEY_MALFORMED)
    if not hmac.compare_digest(key.encode("utf-8", "surrogatepass"), secret_key.reveal().encode()):
        raise Refusal(Problem.KEY_INVALID)


def requested_version(request: Request) -> ApiVersion:
    """The API version that the request names, or the latest.

    Raises:
        Refusal: it is unknown, or named in two places.
    """
    named = request.headers.getlist("clerk-api-version") + request.query_params.getlist("__clerk_api_version")
    if not named:
        return LATEST
    try:
        (text,) = named
        return ApiVersion(text)
    except ValueError:
        raise Refusal(Problem.VERSION_INVALID) from None


def browser_version(request: Request) -> ApiVersion:
    """Like :func:`requested_version`, for the Frontend API: a later version than all known ones counts as the latest.

    Browsers load the SDK of the day, which names the version of the day; backends pin theirs.

    Raises:
        Refusal: it is no date, an unknown earlier one, or named in two places.
    """
    named = request.headers.getlist("clerk-api-version") + request.query_params.getlist("__clerk_api_version")
    if len(named) == 1 and _DATE.fullmatch(named[0]) and named[0] > LATEST:
        return LATEST
    return requested_version(request)


def path_id(request: Request, name: str) -> str:
    """An identifier from the path, fit to be looked up and repeated in an answer."""
    text = str(request.path_params[name])
    return text.encode("ascii", "replace").decode()[:128]


async def read_json(request: Request, timeout_s: float = BODY_TIMEOUT_S) -> Mapping[str, object]:
    """The JSON object in the body; an empty body is an empty object.

    Args:
        request: its body was not read yet.
        timeout_s: seconds until the last byte.

    Raises:
        Refusal: another media type, too large, too late, or no JSON object.
    """
    body = await _read_body(request, timeout_s)
    if not body.strip():
        return {}
    media_type = _media_type(request)
    if media_type not in ("", "application/json"):
        raise Refusal(Problem.MEDIA_TYPE, expected="application/json")
    try:
        parsed = json.loads(body.decode())  # UTF-8 alone (RFC 8259 section 8.1)
    except (ValueError, RecursionError):
        raise Refusal(Problem.BODY_INVALID) from None
    if not isinstance(parsed, dict):
        raise Refusal(Problem.BODY_INVALID)
    return parsed


async def read_form(request: Request, timeout_s: float = BODY_TIMEOUT_S) -> Mapping[str, str]:
    """The fields of a form-encoded body; the first of a repeated field counts.

    Args:
        request: its body was not read yet.
        timeout_s: seconds until the last byte.

    Raises:
        Refusal: another media type, too large, too late, or not a form.
    """
    body = await _read_body(request, timeout_s)
    if not body:
        return {}
    if _media_type(request) not in ("", "application/x-www-form-urlencoded"):
        raise Refusal(Problem.MEDIA_TYPE, expected="application/x-www-form-urlencoded")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FORM_FIELDS_LIMIT)
    except ValueError:
        raise Refusal(Problem.BODY_INVALID) from None
    return dict(reversed(pairs))


def method_of(request: Request) -> str:
    """The method that is meant: browsers send PATCH, PUT and DELETE as POST with ``_method``."""
    if request.method != "POST":
        return request.method
    return request.query_params.get("_method", "POST").upper()


def origin_header(request: Request) -> str | None:
    """The Origin header in canonical form, or None when there is none that names an origin."""
    return origin_of(request.headers.get("origin", ""))


def cause_of(realm: Realm, request: Request) -> Cause:
    """The request as the cause of what it does: for the events that tell of it, and for the limit of attempts."""
    forwarded = Forwarded(client=[value.encode("latin-1") for value in request.headers.getlist("x-forwarded-for")])
    address = realm.trust.client_address(request.client.host, forwarded) if request.client else ""
    return Cause(address, request.headers.get("user-agent", ""))


def is_cross_origin(request: Request) -> bool:
    """Whether a browser says that a page of another origin made this request.

    ``Sec-Fetch-Site`` decides where it exists (browsers send it over https and to loopback); else the Origin header
    must name the host that was asked. Neither: not a browser, so nobody's cookies are at stake.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != request.headers.get("host", "").lower()


def is_cross_site(request: Request) -> bool:
    """Like :func:`is_cross_origin`, but other ports of the same host may ask: applications call the Frontend API."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "cross-site"
    origin = request.headers.get("origin")
    if origin is None:
        return False
    asking, asked = (parse_return_url(text) for text in (origin, f"http://{request.headers.get('host', '')}"))
    return asking is None or asked is None or asking.hostname != asked.hostname


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read_body(request: Request, timeout_s: float) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _BODY_LIMIT:
                    raise Refusal(Problem.BODY_TOO_LARGE, limit=_BODY_LIMIT)
    except (ClientDisconnect, TimeoutError):
        raise Refusal(Problem.BODY_INVALID) from None
    return bytes(body)
