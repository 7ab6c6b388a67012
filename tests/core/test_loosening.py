"""What is said of routes that let through what others guard."""

from dataclasses import replace

import pytest

from gateway.core.loosening import loosenings
from gateway.core.requirement import Requirement
from gateway.core.routes import Route
from gateway.core.settings_model import Access, RouteSettings

PUBLIC, OPTIONAL, REQUIRED = Access.PUBLIC, Access.OPTIONAL, Access.REQUIRED


def said(*routes: RouteSettings) -> list[tuple[Route, Route]]:
    """Each looser route with the one that it loosens."""
    return [(found.route, found.around) for found in loosenings([Route.of(route) for route in routes])]


def exact(access: Access, path: str, host: str | None = None) -> RouteSettings:
    return RouteSettings(path=path, exact=True, access=access, host=host)


ADMIN, ADMIN_STRICT = Requirement(role="org:admin"), Requirement(role="org:admin", reverification="strict")


def asking(path: str, require: Requirement | None) -> RouteSettings:
    return RouteSettings(path=path, require=require)


def settings(access: Access, path: str = "/", host: str | None = None, methods: tuple[str, ...] = ()) -> RouteSettings:
    return RouteSettings(path=path, host=host, methods=methods, access=access)


@pytest.mark.parametrize(
    ("inner", "outer", "is_said"),
    [
        (settings(PUBLIC, "/health"), settings(REQUIRED), True),
        (settings(OPTIONAL, "/health"), settings(REQUIRED), True),
        (settings(PUBLIC, "/health"), settings(OPTIONAL), True),
        (settings(REQUIRED, "/admin"), settings(PUBLIC), False),
        (settings(REQUIRED, "/admin"), settings(REQUIRED), False),
        (settings(PUBLIC, "/apix"), settings(REQUIRED, "/api"), False),
        (settings(PUBLIC, "/"), settings(REQUIRED, "/admin"), False),
        (settings(PUBLIC, "/", "a.example"), settings(REQUIRED, "/admin"), True),
        (settings(PUBLIC, "/", "a.b.example"), settings(REQUIRED, "/", "*.b.example"), True),
        (settings(PUBLIC, "/", "a.example"), settings(REQUIRED, "/", "b.example"), False),
        (settings(PUBLIC, "/x"), settings(REQUIRED, "/", "b.example"), False),
        (settings(PUBLIC, "/x"), settings(REQUIRED, "/", "*.example"), False),
        (settings(PUBLIC, "/", None, ("GET",)), settings(REQUIRED), True),
        (settings(PUBLIC, "/"), settings(REQUIRED, "/", None, ("POST",)), False),
        (settings(PUBLIC, "/x", None, ("GET",)), settings(REQUIRED, "/", None, ("POST",)), False),
        (settings(PUBLIC, "/x", None, ("GET",)), settings(REQUIRED, "/", None, ("GET", "POST")), True),
        (settings(REQUIRED, "/x"), asking("/", ADMIN), True),
        (settings(PUBLIC, "/x"), asking("/", ADMIN), True),
        (asking("/x", ADMIN), asking("/", ADMIN_STRICT), True),
        (asking("/x", ADMIN_STRICT), asking("/", ADMIN), False),
        (asking("/x", ADMIN), settings(REQUIRED, "/"), False),
        (asking("/x", ADMIN), settings(OPTIONAL, "/"), False),
        (exact(PUBLIC, "/x"), settings(REQUIRED, "/"), True),
        (exact(PUBLIC, "/x"), settings(REQUIRED, "/x"), True),
        (exact(PUBLIC, "/x"), exact(REQUIRED, "/x"), False),
        (settings(PUBLIC, "/x"), exact(REQUIRED, "/x"), False),
        (settings(PUBLIC, "/x/y"), exact(REQUIRED, "/x"), False),
        (settings(PUBLIC, "/", "a.example"), exact(REQUIRED, "/x"), True),
        (exact(PUBLIC, "/y", "a.example"), exact(REQUIRED, "/x"), False),
        (exact(PUBLIC, "/x", "a.example"), exact(REQUIRED, "/x"), True),
    ],
)
def test_a_route_looser_than_the_one_around_it_is_said(
    inner: RouteSettings, outer: RouteSettings, is_said: bool
) -> None:
    expected = [(Route.of(inner), Route.of(outer))] if is_said else []
    assert said(inner, outer) == expected
    assert said(replace(inner, loosens=True), outer) == []


def test_the_nearest_outer_route_is_named() -> None:
    found = said(settings(REQUIRED), settings(REQUIRED, "/api"), settings(PUBLIC, "/api/health"))
    assert [(inner.name, outer.name) for inner, outer in found] == [("/api/health", "/api")]


def through(access: Access, path: str, upstream: str = "http://a", **how: str) -> RouteSettings:
    return RouteSettings(path=path, access=access, upstream=upstream, **how)


@pytest.mark.parametrize(
    ("inner", "outer", "is_said"),
    [
        (through(PUBLIC, "/open", strip_prefix="/open"), through(REQUIRED, "/admin"), True),
        (through(OPTIONAL, "/open", strip_prefix="/open"), through(REQUIRED, "/admin"), True),
        (through(PUBLIC, "/open", "http://b", strip_prefix="/open"), through(REQUIRED, "/admin"), False),
        (through(REQUIRED, "/open", strip_prefix="/open"), through(REQUIRED, "/admin"), False),
        (through(PUBLIC, "/open", replace_prefix="/pages"), through(REQUIRED, "/admin"), False),
        (through(PUBLIC, "/open", replace_prefix="/admin/pages"), through(REQUIRED, "/admin"), True),
        (through(PUBLIC, "/x/open", strip_prefix="/x"), through(REQUIRED, "/admin"), False),
        (through(PUBLIC, "/x/open", strip_prefix="/x"), through(REQUIRED, "/open/door"), True),
        (through(PUBLIC, "/open"), through(REQUIRED, "/admin", strip_prefix="/admin"), False),
        (
            through(PUBLIC, "/open", strip_prefix="/open"),
            through(REQUIRED, "/b/admin", replace_prefix="/secrets"),
            True,
        ),
    ],
)
def test_a_route_that_reaches_what_another_guards_is_said(
    inner: RouteSettings, outer: RouteSettings, is_said: bool
) -> None:
    assert said(inner, outer) == ([(Route.of(inner), Route.of(outer))] if is_said else [])
    assert said(replace(inner, loosens=True), outer) == []


def test_the_way_through_is_said_before_the_one_inside() -> None:
    open_route = through(PUBLIC, "/open", strip_prefix="/open")
    (found,) = loosenings([Route.of(through(REQUIRED, "/")), Route.of(open_route)])
    text = "/open is public, and reaches at its upstream what is guarded by /, which is required"
    assert (found.position, found.is_through, found.text) == (1, True, text)
    (inside,) = loosenings([Route.of(asking("/", ADMIN)), Route.of(settings(PUBLIC, "/x"))])
    assert inside.text == "/x is public, inside of /, which is required (role org:admin)"
