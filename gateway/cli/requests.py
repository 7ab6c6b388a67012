"""A request as people have it at hand, made into what a server would hand over: raw HTTP, or a curl command.

Reads what developer tools and dumps give; says what cannot be read by line or option, and never repeats a value.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

import click
from starlette.types import Scope

IS_WORD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
"""A method or the name of a header (RFC 9110 section 5.6.2, token)."""

_VERSION = re.compile(r"HTTP/[0-9](?:\.[0-9])?")
_ABSOLUTE = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#]*)(?P<target>[^#]*)", re.IGNORECASE)


@dataclass(slots=True)
class TypedRequest:
    """A request that somebody typed or copied; each character of its texts is one byte (latin-1).

    Attributes:
        method, target: the target in origin form, ``/path?query``.
        scheme: ``http`` or ``https``; empty where the request does not say.
        headers: names as written.
        notices: what was read and does not count.
    """

    method: str
    target: str
    scheme: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Return whether there is a header of this name."""
        return any(each.lower() == name for each, _ in self.headers)

    def scope(self, peer: str, scheme: str = "") -> Scope:
        """Return the request as an ASGI server hands it over.

        Args:
            peer: the address of the socket's other end.
            scheme: overrides what the request says.
        """
        path, _, query = self.target.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": scheme or self.scheme or "http",
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in self.headers],
            "client": (peer, 0),
            "server": None,
        }


def split_address(address: str) -> tuple[str, str, str]:
    """Return scheme, host and target of an absolute URL; scheme and host are empty for a target in origin form."""
    match = _ABSOLUTE.fullmatch(address.partition("#")[0])
    if match is None:
        return "", "", address
    target = match["target"]
    return match["scheme"].lower(), match["host"].rpartition("@")[2], target if target.startswith("/") else f"/{target}"


def read_request(text: str) -> TypedRequest:
    """Read a raw HTTP/1.1 request; what follows its headers is not looked at.

    Args:
        text: lines that end in LF or CRLF; HTTP/2 pseudo-headers (``:method: GET``) instead of a request line.

    Raises:
        click.UsageError: naming the line.
    """
    lines = text.lstrip("\ufeff\r\n").split("\n")
    if not text.strip():
        raise click.UsageError("the request is empty; give its first line and its headers")
    if lines[0].startswith(":"):
        return _read_pseudo(lines)
    return _with_headers(_first_line(lines[0].rstrip("\r")), lines[1:], first=2)


def _first_line(line: str) -> TypedRequest:
    method, blank, rest = line.strip(" ").partition(" ")
    target, _, version = rest.rpartition(" ")
    if not _VERSION.fullmatch(version):
        target, version = rest, "HTTP/1.1"
    if not blank or not target or " " in target or not IS_WORD(method):
        raise click.UsageError('line 1 of the request is not like "GET /path HTTP/1.1"')
    scheme, host, origin_form = split_address(target)
    return TypedRequest(method, origin_form, scheme, [("Host", host)] if host else [])


def _read_pseudo(lines: list[str]) -> TypedRequest:
    named, count = {}, 0
    for line in lines:
        if not line.startswith(":"):
            break
        name, _, value = line[1:].rstrip("\r").partition(":")
        named[name] = value.strip()
        count += 1
    request = _first_line(f"{named.get('method', 'GET')} {named.get('path', '/')}")
    request.scheme = named.get("scheme", "")
    if named.get("authority"):
        request.headers.append(("Host", named["authority"]))
    return _with_headers(request, lines[count:], first=count + 1)


def _with_headers(request: TypedRequest, lines: list[str], first: int) -> TypedRequest:
    # The host of an absolute target replaces the header (RFC 9112 section 3.2.2).
    has_host = bool(request.headers)
    for number, raw in enumerate(lines, first):
        line = raw.rstrip("\r")
        if not line:
            break
        name, colon, value = line.partition(":")
        if not colon or not IS_WORD(name):
            raise click.UsageError(f'line {number} of the request is not like "Name: value"')
        if not (has_host and name.lower() == "host"):
            request.headers.append((name, value.strip(" \t")))
    return request
