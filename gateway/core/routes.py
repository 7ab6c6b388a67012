"""Which route a request takes.

Precedence, in this order:

1. **Host.** Routes for exactly this host, then those for the longest ``*.`` pattern that covers it (any number of
   labels), then those for any host. Where none of a host's routes takes the request, the next kind of host is asked.
2. **Path.** The longest prefix, on the borders of segments: ``/api`` takes ``/api``, ``/api/`` and ``/api/x``, not
   ``/apix``. Case counts. Both spellings of a reserved character in a route's path are the route's
   (``/@me`` takes ``/%40me``), since an upstream reads them alike.
3. **Method.** A route that names the method beats one for all methods. A route for GET takes HEAD too, unless another
   route with the same host and path names HEAD.

A lookup costs as much as the host has labels and the longest configured path has segments, however many routes there
are. Requests that no route takes are denied by whoever asked.
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
        name: host, path and methods, e.g. ``app.example.com/api [GET]``: for logs and notices.
        settings: what was configured.
    """

    name: str
    settings: RouteSettings

    @classmethod
    def of(cls, settings: RouteSettings) -> Self:
        """Name a route after what it takes."""
        methods = f" [{','.join(settings.methods)}]" if settings.methods else ""
        return cls(f"{settings.host or ''}{settings.path}{methods}", settings)


@dataclass(slots=True)
class _Methods:
    any_method: Route | None = None
    named: dict[str, Route] = field(default_factory=dict)


@dataclass(slots=True)
class _Paths:
    by_prefix: dict[bytes, _Methods] = field(default_factory=dict)
    deepest: int = 0

    def add(self, route: Route) -> None:
        for prefix in spellings(route.settings.path):
            self._methods(prefix).named.update(dict.fromkeys(route.settings.methods, route))
            if not route.settings.methods:
                self._methods(prefix).any_method = route
        if route.settings.path != "/":
            self.deepest = max(self.deepest, route.settings.path.count("/"))

    def _methods(self, prefix: bytes) -> _Methods:
        return self.by_prefix.setdefault(prefix, _Methods())

    def match(self, path: bytes, method: str) -> Route | None:
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
            for prefix, methods in paths.by_prefix.items()
            if _covers_path(prefix, path)
            for method in methods.named
        }
        return tuple(sorted(found))

    def loosened(self) -> tuple[tuple[Route, Route], ...]:
        """Return each route that asks for less than the route which would take its requests without it.

        Said by ``gateway check``: usually meant (a public health page inside a protected site), sometimes a slip.
        """
        pairs = []
        for route in self.routes:
            outers = [outer for outer in self.routes if outer is not route and _loosens(route, outer)]
            if outers:
                pairs.append((route, max(outers, key=_rank)))
        return tuple(pairs)


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
    for methods in paths.by_prefix.values():
        if get := methods.named.get("GET"):
            methods.named.setdefault("HEAD", get)


def _covers_path(prefix: bytes, path: bytes) -> bool:
    return prefix in {b"/", path} or path.startswith(prefix + b"/")


def _covers_host(outer: str | None, inner: str | None) -> bool:
    if outer is None or outer == inner:
        return True
    return outer.startswith("*.") and inner is not None and inner.endswith(outer[1:])


def _rank(route: Route) -> tuple[int, int, int, bool]:
    """Order routes that take the same request: host, then path, then method."""
    host = route.settings.host
    exactness = 0 if host is None else 1 if host.startswith("*.") else 2
    return exactness, len(host or ""), len(route.settings.path), bool(route.settings.methods)


def _asks_as_much(one: RouteSettings, other: RouteSettings) -> bool:
    if one.access.strictness != other.access.strictness or other.require is None:
        return one.access.strictness >= other.access.strictness
    return one.require is not None and one.require.covers(other.require)


def _loosens(route: Route, outer: Route) -> bool:
    one, other = route.settings, outer.settings
    if _asks_as_much(one, other) or not _covers_host(other.host, one.host):
        return False
    if one.methods and other.methods and not set(one.methods) & set(other.methods):
        return False
    inner_path, outer_path = one.path.encode(), other.path.encode()
    if _covers_path(outer_path, inner_path):
        return _rank(route) > _rank(outer)
    # A route for a narrower host is asked first, so its short path also hides a longer one of the wider host.
    return one.host != other.host and _covers_path(inner_path, outer_path)
