"""Which routes let through what another route guards: usually meant, sometimes a slip, so it is said at load.

Two ways lead around a route:

- **Inside.** A route that is asked before another asks for less: ``/health`` is public, ``/`` around it is not.
- **Through.** A route writes paths anew (``strip_prefix``, ``replace_prefix``) and so reaches what another route of the
  same upstream guards: ``/open`` is public and stripped, so ``/open/admin`` arrives as ``/admin``.

A route that says ``loosens = true`` is meant so, and nothing is said.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.core.rewriting import Rewriting
from gateway.core.routes import Route
from gateway.core.settings_model import Access, RouteSettings

_STRICTNESS = {access: access.strictness for access in Access}


@dataclass(frozen=True, slots=True)
class Loosening:
    """A route, and the one whose requests it lets through for less.

    Attributes:
        position: of the looser route among all.
        route: the looser one.
        around: the stricter one.
        is_through: the looser one reaches it by writing paths anew.
    """

    position: int
    route: Route
    around: Route
    is_through: bool

    @property
    def text(self) -> str:
        """What is so, in words."""
        where = "and reaches at its upstream what is guarded by" if self.is_through else "inside of"
        return f"{self.route.name} is {_terms(self.route)}, {where} {self.around.name}, which is {_terms(self.around)}"


def loosenings(routes: Sequence[Route]) -> Iterable[Loosening]:
    """Yield each route that asks for less than another whose requests it takes, with the nearest such one.

    Routes that say ``loosens`` are left out.
    """
    guards = [route for route in routes if _STRICTNESS[route.settings.access] or route.settings.require]
    for position, route in enumerate(routes):
        if route.settings.loosens:
            continue
        stricter = [guard for guard in guards if guard is not route and not _asks_as_much(route, guard)]
        if through := [guard for guard in stricter if _reaches(route, guard)]:
            yield Loosening(position, route, max(through, key=_rank), is_through=True)
        elif around := [guard for guard in stricter if _is_asked_before(route, guard)]:
            yield Loosening(position, route, max(around, key=_rank), is_through=False)


def _asks_as_much(one: Route, other: Route) -> bool:
    first, second = one.settings, other.settings
    if first.access is not second.access or second.require is None:
        return _STRICTNESS[first.access] >= _STRICTNESS[second.access]
    return first.require is not None and first.require.covers(second.require)


def _is_asked_before(route: Route, outer: Route) -> bool:
    one, other = route.settings, outer.settings
    if not _covers_host(other.host, one.host):
        return False
    if one.methods and other.methods and not set(one.methods) & set(other.methods):
        return False
    if _covers(other, one):
        return _rank(route) > _rank(outer)
    # A route for a narrower host is asked first, so its short path also hides a longer one of the wider host.
    return one.host != other.host and _covers(one, other)


def _covers(outer: RouteSettings, inner: RouteSettings) -> bool:
    """Whether one takes every path of the other."""
    if outer.exact:
        return inner.exact and inner.path == outer.path
    return covers_path(outer.path, inner.path)


def covers_path(prefix: str, path: str) -> bool:
    """Return whether a path is a prefix or below it, on the borders of segments."""
    return prefix in {"/", path} or path.startswith(f"{prefix}/")


def _covers_host(outer: str | None, inner: str | None) -> bool:
    if outer is None or outer == inner:
        return True
    return outer.startswith("*.") and inner is not None and inner.endswith(outer[1:])


def _reaches(route: Route, guard: Route) -> bool:
    one, other = Rewriting.of(route.settings), Rewriting.of(guard.settings)
    if one is None or not shares_upstream(route.settings, guard.settings):
        return False
    here = one.image
    there = other.image if other is not None else guard.settings.path
    return covers_path(here, there) or covers_path(there, here)


def shares_upstream(one: RouteSettings, other: RouteSettings) -> bool:
    """Return whether requests of both may come to the same service."""
    return one.upstream is not None and one.upstream == other.upstream


def _rank(route: Route) -> tuple[int, int, bool, int, bool]:
    """Order routes that take the same request: host, then path, then method."""
    terms = route.settings
    host = terms.host
    exactness = 0 if host is None else 1 if host.startswith("*.") else 2
    return exactness, len(host or ""), terms.exact, len(terms.path), bool(terms.methods)


def _terms(route: Route) -> str:
    settings = route.settings
    return f"{settings.access} ({settings.require})" if settings.require else str(settings.access)
