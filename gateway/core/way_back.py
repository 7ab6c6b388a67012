"""What becomes of addresses in a route's answers, where the upstream knows itself by other paths or another name.

The way back of :mod:`gateway.core.rewriting`, for ``/api`` stripped and an upstream at ``http://10.0.0.1:9000``:

===============================================  ======================================
``Location: /login``                             ``/api/login``
``Location: http://10.0.0.1:9000/login?next=/``  ``https://app.example.com/api/login?next=/``
``Location: /api/login``                         as it is: the upstream honours ``X-Forwarded-Prefix``
``Location: https://elsewhere.example/login``    as it is, and so is what is no plain address
``Set-Cookie: a=1; Path=/``                      ``a=1; Path=/api``
===============================================  ======================================

An answer never leads to another host than it did before, but to the one that was asked. Browsers read some texts as
another host that look like a path (``//host``, ``/\\host``, tabs between): none of those is made or touched here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from gateway.core.request import Header, PublicUrl
from gateway.core.rewriting import Rewriting
from gateway.core.settings_model import RouteSettings

# Browsers drop tabs and line ends wherever they stand, and take a backslash for a slash (WHATWG URL, section 4.4).
_PLAIN = re.compile(rb"[!-\[\]-~\x80-\xff]*").fullmatch
_ADDRESS = re.compile(rb"(?:(?:(https?):)?//([^/?#]*))?(/[^?#]*)?([?#].*)?", re.IGNORECASE).fullmatch
_DOTS = re.compile(rb"/(?:\.|%2e){1,2}(?:/|\Z)", re.IGNORECASE).search
# HTML standard, "shared declarative refresh steps": seconds, and an address that may stand in quotes.
_REFRESH = re.compile(
    rb"([0-9. \t]*[;,]?[ \t]*url[ \t]*=[ \t]*['\"]?)([^'\"]*)(.*)", re.IGNORECASE | re.DOTALL
).fullmatch
_ADDRESSES = frozenset({b"location", b"content-location"})
_WRITTEN_ANEW = _ADDRESSES | {b"refresh", b"set-cookie"}
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}
# A browser keeps a cookie of such a name only with Path=/ (RFC 6265bis section 4.1.3).
_HOST_PREFIX = b"__host-"


@dataclass(frozen=True, slots=True)
class WayBack:
    """How a route writes the addresses in its answers anew.

    Attributes:
        rewriting: what was done to the path; None for nothing.
        hosts: the upstream's own, lower case, without default ports.
        schemes: that its servers are reached by.
        is_told_public_host: it is asked under the host that the client asked, and may take that for its own.
    """

    rewriting: Rewriting | None
    hosts: frozenset[bytes]
    schemes: frozenset[bytes]
    is_told_public_host: bool

    @classmethod
    def of(cls, route: RouteSettings, servers: Iterable[str]) -> Self | None:
        """Return what a route does, or None where answers stay as they are.

        Args:
            route: its settings.
            servers: the addresses of its upstream.
        """
        rewriting, is_kept = Rewriting.of(route), route.host_header == "keep"
        if not route.rewrite_answers or (rewriting is None and is_kept):
            return None
        parts = [server.lower().encode().partition(b"://") for server in servers if "://" in server]
        hosts = {_without_default_port(scheme, host) for scheme, _, host in parts}
        if route.host_header not in {"keep", "upstream"}:
            hosts.add(route.host_header.encode())
        return cls(rewriting, frozenset(hosts), frozenset(scheme for scheme, _, _ in parts), is_kept)

    def headers(self, headers: Iterable[Header], url: PublicUrl) -> list[Header]:
        """Return an answer's headers with the addresses in them written anew.

        Args:
            headers: as received, names in lower case.
            url: that the client asked for.
        """
        prefix = self.rewriting.prefix(url.path.encode("ascii")) if self.rewriting is not None else b""
        return [
            (header[0], self._value(*header, url, prefix)) if header[0] in _WRITTEN_ANEW else header
            for header in headers
        ]

    def _value(self, name: bytes, value: bytes, url: PublicUrl, prefix: bytes) -> bytes:
        if name in _ADDRESSES:
            return self._address(value, url, prefix)
        if name == b"set-cookie":
            return self._cookie(value, prefix)
        if (found := _REFRESH(value)) is not None:
            start, address, rest = found.groups()
            return bytes(start + self._address(address, url, prefix) + rest)
        return value

    def _address(self, value: bytes, url: PublicUrl, prefix: bytes) -> bytes:
        found = _ADDRESS(value) if _PLAIN(value) else None
        if found is None or (found[2] is None and found[3] is None):
            return value  # relative to what was asked, or nothing that is surely read as we would read it
        scheme, host, path, rest = found[1], found[2], found[3] or b"/", found[4] or b""
        if _DOTS(path) or (host is not None and not self._is_own(scheme, host, url)):
            return value
        path = self._public(path, prefix)
        if host is not None:
            return _origin(scheme, url, self.schemes) + path + rest
        return value if path.startswith(b"//") else path + rest

    def _is_own(self, scheme: bytes | None, host: bytes, url: PublicUrl) -> bool:
        said = _without_default_port((scheme or url.scheme.encode()).lower(), host.lower())
        return said in self.hosts or (self.is_told_public_host and said == url.host.encode())

    @property
    def _replacement(self) -> bytes:
        return self.rewriting.replacement if self.rewriting is not None else b""

    def _public(self, path: bytes, prefix: bytes) -> bytes:
        replacement = self._replacement
        if not _covers(replacement, path):
            return path  # the route leads to nothing there
        if not replacement and prefix and _covers(prefix, path):
            return path
        return prefix + path[len(replacement) :] or b"/"

    def _cookie(self, value: bytes, prefix: bytes) -> bytes:
        if b";" in prefix or value.lstrip(b" \t").lower().startswith(_HOST_PREFIX):
            return value
        pair, *attributes = value.split(b";")
        for place, attribute in enumerate(attributes):
            name, _, path = attribute.partition(b"=")
            if name.strip().lower() == b"path" and path.strip().startswith(b"/"):
                attributes[place] = name + b"=" + self._cookie_path(path.strip(), prefix)
        return b";".join((pair, *attributes))

    def _cookie_path(self, path: bytes, prefix: bytes) -> bytes:
        above = path.rstrip(b"/")
        if _covers(above, self._replacement):
            return prefix or b"/"  # all that the route reaches is below it
        return self._public(path, prefix)


def _covers(prefix: bytes, path: bytes) -> bool:
    """Return whether a path is this one or below it; all is below the empty one."""
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in {b"", b"/"}


def _without_default_port(scheme: bytes, host: bytes) -> bytes:
    return host.removesuffix(_DEFAULT_PORTS[scheme])


def _origin(scheme: bytes | None, url: PublicUrl, own: frozenset[bytes]) -> bytes:
    """Return the public origin, under the scheme that is meant.

    The upstream's own scheme stands for the public one. Another one is meant so: to https, where it is wanted.
    """
    if scheme is None:
        return b"//" + url.host.encode()
    said = scheme.lower()
    return (url.scheme.encode() if said in own else said) + b"://" + url.host.encode()
