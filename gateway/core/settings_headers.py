"""Reading the names of the headers that tell the upstream who it is, or something that is always the same."""

import re
from collections.abc import Mapping

from gateway.core.settings_values import BadValueError, text

_TOKEN = re.compile(r"[A-Za-z0-9-]+")

# Names that the gateway or HTTP itself needs; none may be set from a claim or fall under the identity prefix.
_NOT_FOR_IDENTITY = frozenset(
    {
        *("accept", "accept-encoding", "accept-language", "authorization", "cache-control", "connection"),
        *("content-encoding", "content-length", "content-type", "cookie", "date", "expect", "forwarded", "host"),
        *("if-match", "if-modified-since", "if-none-match", "keep-alive", "origin", "proxy", "proxy-authorization"),
        *("proxy-connection", "range", "referer", "sec-fetch-dest", "sec-websocket-key", "set-cookie", "te"),
        *("trailer", "transfer-encoding", "upgrade", "user-agent", "via", "x-forwarded-for", "x-forwarded-host"),
        *("x-forwarded-port", "x-forwarded-proto", "x-real-ip", "x-request-id"),
    }
)


def header_prefix(value: object) -> str:
    """Read the prefix of the identity headers; all that a client sends under it is deleted."""
    found = text(value)
    if not _TOKEN.fullmatch(found) or not found.endswith("-"):
        raise BadValueError('it is not letters, digits and "-", ending in "-"', 'write one like "X-Session-"')
    taken = sorted(name for name in _NOT_FOR_IDENTITY if name.startswith(found.lower()))
    if taken:
        raise BadValueError(f"it would also cover {taken[0]}", 'write a longer one, like "X-Session-"')
    return found


def claim_headers(value: object) -> tuple[tuple[str, str], ...]:
    """Read the table of header names and dotted claim paths."""
    if not isinstance(value, Mapping):
        raise BadValueError("it is not a table", 'write { "X-Session-Team" = "metadata.team" }')
    found: dict[str, tuple[str, str]] = {}
    for name, path in value.items():
        header = _claim_header(str(name))
        if header.lower() in found:
            raise BadValueError(f"{header} stands there twice", "header names have no case; keep one of them")
        found[header.lower()] = (header, _claim_path(header, path))
    return tuple(found.values())


def fixed_headers(value: object) -> tuple[tuple[str, str], ...]:
    """Read the table of header names and the values that they always have."""
    if not isinstance(value, Mapping):
        raise BadValueError("it is not a table", 'write { "X-Tenant" = "acme" }')
    found: dict[str, tuple[str, str]] = {}
    for name, content in value.items():
        header = _claim_header(str(name))
        if header.lower() in found:
            raise BadValueError(f"{header} stands there twice", "header names have no case; keep one of them")
        if header.lower().startswith(("x-forwarded-", "x-clerk-")):
            raise BadValueError(f"{header} is the gateway's to write", 'write another name, like "X-Tenant"')
        if (
            not isinstance(content, str)
            or not content.isascii()
            or not content.isprintable()
            or content != content.strip()
        ):
            raise BadValueError(f"{header} has a value that no header can have", "write plain ASCII text in quotes")
        found[header.lower()] = (header, content)
    return tuple(found.values())


def _claim_header(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise BadValueError("a header name holds more than letters, digits and -", 'write names like "X-Session-Team"')
    if name.lower() in _NOT_FOR_IDENTITY:
        raise BadValueError(f"{name} belongs to HTTP or to the gateway", 'write another name, like "X-Session-Team"')
    return name


def _claim_path(header: str, path: object) -> str:
    if not isinstance(path, str) or not path.isprintable() or not all(path.split(".")):
        raise BadValueError(f"{header} has no claim path", 'write names joined by dots, like "metadata.team"')
    return path
