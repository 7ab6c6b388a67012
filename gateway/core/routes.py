"""Which route a request takes.

Precedence, in this order:

1. **Host.** Routes for exactly this host, then those for the longest ``*.`` pattern that covers it (any number of
   labels), then those for any host. Where none of a host's routes takes the request, the next kind of host is asked.
2. **Path.** An ``exact`` route, which takes its path alone, before every prefix; then the longest prefix, on the
   borders of segments: ``/api`` takes ``/api``, ``/api/`` and ``/api/x``, not ``/apix``. Case counts. Both spellings
   of a reserved character in a route's path are the route's (``/@me`` takes ``/%40me``), since an upstream reads them
   alike.
3. **Method.** A route that names the method beats one for all methods. A route for GET takes HEAD too, unless another
   route with the same host and path names HEAD.

A lookup costs as much as the host has labels and the longest configured path has segments, however many routes there
are. Requests that no route takes are denied by whoever asked. Which routes let through what others guard is
:mod:`gateway.core.loosening`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Self

from gateway.core.settings_model import RouteSettings

# Reserved characters (RFC 3986 section 2.2) that a segment may hold raw and that have an escaped twin.
RESERVED_IN_PATHS = "!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class Route:
    """A configured route.

    Attributes:
        name: host, path and methods, e.g. ``app.example.com/api [GET]``; of an exact route ``=/api``: for logs and
            warnings.
        settings: what was configured.
        is_bounded: the size of requests is.
    """

    name: str
    settings: RouteSettings
    is_bounded: bool = False

    @classmethod
    def of(cls, settings: RouteSettings) -> Self:
        """Name a route after what it takes."""
        methods = f" [{','.join(settings.methods)}]" if settings.methods else ""
        exact = "=" if settings.exact else ""
        is_bounded = settings.max_body_bytes is not None or settings.max_header_bytes is not None
        return cls(f"{settings.host or ''}{exact}{settings.path}{methods}", settings, is_bounded)


@dataclass(slots=True)
class _Methods:
    any_method: Route | None = None
    named: dict[str, Route] = field(default_factory=dict)


@dataclass(slots=True)
class _Paths:
    by_prefix: dict[bytes, _Methods] = field(default_factory=dict)
    exactly: dict[bytes, _Methods] = field(default_factory=dict)
    deepest: int = 0

    def add(self, route: Route) -> None:
        terms = route.settings
        table = self.exactly if terms.exact else self.by_prefix
        for spelling in spellings(terms.path):
            methods = table.setdefault(spelling, _Methods())
            methods.named.update(dict.fromkeys(terms.methods, route))
            if not terms.methods:
                methods.any_method = route
        if terms.path != "/" and not terms.exact:
            self.deepest = max(self.deepest, terms.path.count("/"))

    def match(self, path: bytes, method: str) -> Route | None:
        if self.exactly and (found := _take(self.exactly.get(path), method)):
            return found
        by_prefix = self.by_prefix
        found = _take(by_prefix.get(b"/"), method)
        end = 0
        for _ in range(self.deepest):
            end = path.find(b"/", end + 1)
            prefix = path if end < 0 else path[:end]
            found = _take(by_prefix.get(prefix), method) or found
            if end < 0:
                break
        return found

    def around(self, path: bytes) -> Iterator[_Methods]:
        """Yield what is configured for this path, and for the prefixes that cover it."""
        borders = [end for end in range(1, len(path)) if path[end : end + 1] == b"/"]
        prefixes = {b"/", path, *(path[:end] for end in borders[: self.deepest])}
        tables = (self.exactly.get(path), *map(self.by_prefix.get, prefixes))
        return (methods for methods in tables if methods is not None)


def _take(methods: _Methods | None, method: str) -> Route | None:
    if methods is None:
        return None
    return methods.named.get(method) or methods.any_method


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All routes, laid out for lookup.

    Attributes:
        routes: in the order of the configuration.
    """

    routes: tuple[Route, ...]
    _hosts: dict[str, _Paths] = field(repr=False)
    _suffixes: dict[str, _Paths] = field(repr=False)
    _any_host: _Paths = field(repr=False)

    @classmethod
    def build(cls, routes: Sequence[RouteSettings]) -> Self:
        """Lay out routes that :func:`gateway.core.settings.parse` has judged (canonical, no two alike)."""
        table = cls(tuple(map(Route.of, routes)), {}, {}, _Paths())
        for route in table.routes:
            table._paths(route.settings.host).add(route)
        for paths in (*table._hosts.values(), *table._suffixes.values(), table._any_host):
            _let_get_take_head(paths)
        return table

    def _paths(self, host: str | None) -> _Paths:
        if host is None:
            return self._any_host
        if host.startswith("*."):
            return self._suffixes.setdefault(host[2:], _Paths())
        return self._hosts.setdefault(host, _Paths())

    def match(self, host: str, path: bytes, method: str) -> Route | None:
        """Return the route that takes this request, or None.

        Args:
            host: without port, canonical (:class:`gateway.core.trust.PublicOrigin.hostname`).
            path: canonical (:func:`gateway.core.target.canonical`).
            method: as sent; methods are case-sensitive.
        """
        if self._hosts and (paths := self._hosts.get(host)) and (route := paths.match(path, method)):
            return route
        if self._suffixes:
            for paths in self._covering(host):
                if route := paths.match(path, method):
                    return route
        return self._any_host.match(path, method)

    def _covering(self, host: str) -> Iterator[_Paths]:
        _, dot, suffix = host.partition(".")
        while dot:
            if paths := self._suffixes.get(suffix):
                yield paths
            _, dot, suffix = suffix.partition(".")

    def methods(self, host: str, path: bytes) -> tuple[str, ...]:
        """Return the methods that routes at this host and path name, sorted: for ``Allow`` where none took it."""
        sources = (self._hosts.get(host), *self._covering(host), self._any_host)
        found = {
            method
            for paths in sources
            if paths is not None
            for methods in paths.around(path)
            for method in methods.named
        }
        return tuple(sorted(found))


def spellings(path: str) -> tuple[bytes, ...]:
    """Return a canonical path in every spelling that upstreams read alike: reserved characters raw and escaped."""
    parts = [
        (character, f"%{ord(character):02X}") if character in RESERVED_IN_PATHS else (character,)
        for character in _unescape_reserved(path)
    ]
    return tuple("".join(spelling).encode() for spelling in product(*parts))


def _unescape_reserved(path: str) -> str:
    for character in RESERVED_IN_PATHS:
        path = path.replace(f"%{ord(character):02X}", character)
    return path


def _let_get_take_head(paths: _Paths) -> None:
    for methods in (*paths.by_prefix.values(), *paths.exactly.values()):
        if get := methods.named.get("GET"):
            methods.named.setdefault("HEAD", get)
