"""Which pages of other origins may read a route's answers (Fetch standard, CORS protocol).

A preflight is an OPTIONS with both ``Origin`` and ``Access-Control-Request-Method``. It carries no credentials, so it
is answered here, without asking for a session. Every other answer of the route, ours or the upstream's, gets the
headers for the origin that asked, so that scripts can read a 401 too. What the upstream says of CORS itself is
replaced: two answers to one question make browsers refuse both.
"""

import re
from collections.abc import Iterable

from gateway.core.request import Header
from gateway.core.settings_model import CorsSettings

USUAL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

_VARY: Header = (b"vary", b"Origin")
_VARY_PREFLIGHT: Header = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
# What a wildcard stands for: labels of a host name. No slash, no user name, no port.
_LABELS = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*").fullmatch


def is_allowed(settings: CorsSettings, origin: str) -> bool:
    """Return whether pages of this origin may read answers.

    Origins are compared letter by letter, as browsers write them (RFC 6454 section 6.2); ``null`` never is allowed.
    """
    if origin in settings.origins:
        return True
    return any(_is_below(origin, pattern) for pattern in settings.origins if "*" in pattern and origin != "null")


def _is_below(origin: str, pattern: str) -> bool:
    if pattern == "*":
        return origin != ""
    start, _, end = pattern.partition("*")
    is_around = len(origin) > len(start) + len(end) and origin.startswith(start) and origin.endswith(end)
    return is_around and _LABELS(origin[len(start) : -len(end)]) is not None


def answer_headers(settings: CorsSettings, origin: str) -> tuple[Header, ...]:
    """Return what goes with every answer of a route to a request from this origin; empty for none."""
    if not is_allowed(settings, origin):
        return (_VARY,)
    if "*" in settings.origins:
        return ((b"access-control-allow-origin", b"*"), *_exposed(settings))
    headers: list[Header] = [(b"access-control-allow-origin", origin.encode("ascii")), _VARY]
    if settings.credentials:
        headers.append((b"access-control-allow-credentials", b"true"))
    return (*headers, *_exposed(settings))


def _exposed(settings: CorsSettings) -> tuple[Header, ...]:
    return ((b"access-control-expose-headers", ", ".join(settings.expose).encode()),) if settings.expose else ()


def preflight_headers(settings: CorsSettings, origin: str, methods: tuple[str, ...]) -> tuple[Header, ...]:
    """Return the headers of the answer to a preflight from an allowed origin.

    Args:
        settings: of the route.
        origin: that asks.
        methods: of the route; empty for any. Counts where the settings name none.
    """
    allowed = settings.methods or methods or USUAL_METHODS
    kept = (header for header in answer_headers(settings, origin) if header not in {_VARY, *_exposed(settings)})
    return (
        *kept,
        (b"access-control-allow-methods", ", ".join(allowed).encode()),
        (b"access-control-allow-headers", ", ".join(settings.headers).encode()),
        (b"access-control-max-age", str(settings.max_age_s).encode()),
        _VARY_PREFLIGHT,
    )


def without_cors(headers: Iterable[Header]) -> list[Header]:
    """Return an upstream's headers without what it says of CORS."""
    return [header for header in headers if not header[0].lower().startswith(b"access-control-")]
