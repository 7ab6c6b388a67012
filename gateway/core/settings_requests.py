"""Reading which requests a route takes: methods and path."""

import re
from urllib.parse import quote

from gateway.core.organization_sync import Pattern, PatternError
from gateway.core.routes import RESERVED_IN_PATHS
from gateway.core.settings_values import BadValueError, list_of, one_of, show, text
from gateway.core.target import TargetError, canonical
from gateway.core.token_class import ANY, Accepts, TokenType

GATEWAY_PREFIX = "/.gateway"
KNOWN_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
_SUB_PROTOCOL = re.compile(r"[0-9A-Za-z._-]{1,64}")
# A route's path is laid out once per spelling, which doubles with each reserved character.
_MAX_RESERVED = 6


def method(value: object) -> str:
    """Read one of the known methods, upper-case."""
    found = text(value)
    if found not in KNOWN_METHODS:
        upper = found.upper()
        fix = f'write "{upper}"' if upper in KNOWN_METHODS else f"write one of {', '.join(KNOWN_METHODS)}"
        raise BadValueError(f"{show(found)} is not a known method", fix)
    return found


def accepts(value: object) -> Accepts:
    """Read the types of tokens that a route takes: a list of them, one of them, or the word any."""
    if value == "any":
        return ANY
    listed = [value] if isinstance(value, str) else value
    try:
        return list_of(one_of(TokenType), at_least=1)(listed)
    except BadValueError as bad:
        fix = f'write "any", or a list of {", ".join(TokenType)}'
        raise BadValueError(bad.problem, fix) from None


def sub_protocol(value: object) -> str:
    """Read the name of a WebSocket sub-protocol: a token (RFC 9110 section 5.6.2)."""
    found = text(value)
    if not _SUB_PROTOCOL.fullmatch(found):
        raise BadValueError(f"{show(found)} cannot be offered by a page", 'write letters, digits, "-", "." or "_"')
    return found


def personal_pattern(value: object) -> str:
    """Read a pattern of paths."""
    return _pattern(value, "/me/(.*)")[0]


def organization_pattern(value: object) -> str:
    """Read a pattern of paths that names an organization."""
    found, pattern = _pattern(value, "/orgs/:slug/(.*)")
    if not pattern.names_organization:
        raise BadValueError("it names no organization", 'put ":slug" or ":id" where the path has it')
    return found


def _pattern(value: object, example: str) -> tuple[str, Pattern]:
    found = text(value)
    try:
        return found, Pattern.parse(found)
    except PatternError as error:
        raise BadValueError(str(error), f'write one like "{example}"; "(.*)" stands at the end only') from None


def route_path(value: object) -> str:
    """Read a route's path: canonical, since it is compared with canonical paths."""
    found = text(value)
    if not found.startswith("/"):
        raise BadValueError(
            'it does not start with "/"', f'write "/{found}"' if "://" not in found else "write the path only"
        )
    if "*" in found or "?" in found or "#" in found:
        raise BadValueError(
            "a path is a prefix, without wildcard, query or fragment", f'write "{_plain_prefix(found)}"'
        )
    try:
        expected = canonical(quote(found, safe="/%!$&'()*+,;=:@~").encode()).decode()
    except TargetError as error:
        raise BadValueError(
            f"no request can have it ({error.reason})", "write it without dot segments and odd escapes"
        ) from None
    expected = expected.rstrip("/") or "/"
    if found != expected:
        raise BadValueError("it is not in canonical form", f'write "{expected}" (it covers all below it)')
    _refuse_special(found)
    return found


def check_path(value: object) -> str:
    """Read the path of a health check, which may have a query."""
    found = text(value)
    if not found.startswith("/") or not found.isascii() or not found.isprintable() or set(found) & set(" #"):
        raise BadValueError("it is no plain path", 'write one like "/healthz"')
    return found


def _plain_prefix(path: str) -> str:
    return re.split(r"[*?#]", path, maxsplit=1)[0].rstrip("/") or "/"


def _refuse_special(path: str) -> None:
    if path == GATEWAY_PREFIX or path.startswith(f"{GATEWAY_PREFIX}/"):
        raise BadValueError(f"{GATEWAY_PREFIX} is the gateway's own", "choose another path")
    reserved = sum(path.count(each) + path.count(f"%{ord(each):02X}") for each in RESERVED_IN_PATHS)
    if reserved > _MAX_RESERVED:
        raise BadValueError(f"it holds more than {_MAX_RESERVED} of {RESERVED_IN_PATHS}", "write a shorter prefix")
