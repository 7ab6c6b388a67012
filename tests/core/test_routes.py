"""Which route a request takes."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.requirement import Requirement
from gateway.core.routes import RESERVED_IN_PATHS, RouteTable, spellings
from gateway.core.settings import Access, RouteSettings
from gateway.core.target import canonical

PUBLIC, OPTIONAL, REQUIRED = Access.PUBLIC, Access.OPTIONAL, Access.REQUIRED


def table(*routes: tuple[str, str] | tuple[str, str, str]) -> RouteTable:
    """Build from (host or "", path[, methods])."""
    return RouteTable.build(
        [
            RouteSettings(host=host or None, path=path, methods=tuple(methods[0].split(",")) if methods else ())
            for host, path, *methods in routes
        ]
    )


def name(routes: RouteTable, host: str, path: str, method: str = "GET") -> str | None:
    found = routes.match(host, path.encode(), method)
    return found.name if found else None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/api", "/api"),
        ("/api/", "/api"),
        ("/api/x", "/api"),
        ("/apix", "/"),
        ("/API", "/"),
        ("/api;x", "/"),
        ("/api.", "/"),
        ("/api/v1", "/api/v1"),
        ("/api/v1/users/1/2/3/4", "/api/v1"),
        ("/api/v10", "/api"),
        ("/x/api/v1", "/"),
    ],
)
def test_the_longest_prefix_on_segment_borders_wins(path: str, expected: str) -> None:
    assert name(table(("", "/"), ("", "/api"), ("", "/api/v1")), "h", path) == expected


def test_what_no_route_takes_is_none() -> None:
    routes = table(("", "/api"), ("app.example.com", "/x", "POST"))
    assert name(routes, "h", "/") is None
    assert name(routes, "h", "/apix") is None
    assert name(routes, "app.example.com", "/x", "GET") is None
    assert name(routes, "app.example.com", "/x/", "POST") == "app.example.com/x [POST]"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.b.example.com", "a.b.example.com/"),
        ("x.b.example.com", "*.b.example.com/"),
        ("y.x.b.example.com", "*.b.example.com/"),
        ("b.example.com", "*.example.com/"),
        ("example.com", "/"),
        ("com", "/"),
        ("notexample.com", "/"),
        ("[::1]", "/"),
    ],
)
def test_the_most_exact_host_wins(host: str, expected: str) -> None:
    routes = table(("", "/"), ("*.example.com", "/"), ("*.b.example.com", "/"), ("a.b.example.com", "/"))
    assert name(routes, host, "/") == expected


def test_the_host_counts_before_the_path_and_falls_back_to_wider_ones() -> None:
    routes = table(("", "/admin"), ("app.example.com", "/"), ("*.example.com", "/only"), ("old.example.com", "/x"))
    assert name(routes, "app.example.com", "/admin") == "app.example.com/"
    assert name(routes, "old.example.com", "/only") == "*.example.com/only"
    assert name(routes, "old.example.com", "/admin") == "/admin"
    assert name(routes, "new.example.com", "/x") is None


def test_a_named_method_beats_any_and_get_takes_head() -> None:
    routes = table(
        ("", "/"), ("", "/api", "GET"), ("", "/api", "POST,PUT"), ("", "/head", "GET"), ("", "/head", "HEAD")
    )
    assert name(routes, "h", "/api", "GET") == "/api [GET]"
    assert name(routes, "h", "/api", "HEAD") == "/api [GET]"
    assert name(routes, "h", "/api/1", "PUT") == "/api [POST,PUT]"
    assert name(routes, "h", "/api", "DELETE") == "/"
    assert name(routes, "h", "/api", "get") == "/"
    assert name(routes, "h", "/head", "HEAD") == "/head [HEAD]"


def test_the_methods_that_routes_name_are_known_for_allow() -> None:
    routes = table(("", "/api", "GET"), ("app.example.com", "/api", "POST"), ("*.example.com", "/", "PUT"))
    assert routes.methods("app.example.com", b"/api/x") == ("GET", "HEAD", "POST", "PUT")
    assert routes.methods("h", b"/api") == ("GET", "HEAD")
    assert routes.methods("h", b"/x") == ()


@pytest.mark.parametrize("path", ["/@me", "/%40me", "/a:b/c", "/a%3Ab/c", "/x;y"])
def test_both_spellings_of_a_reserved_character_take_the_route(path: str) -> None:
    routes = table(("", "/"), ("", path))
    plain = path.replace("%40", "@").replace("%3A", ":")
    escaped = quote(plain, safe="/")
    assert name(routes, "h", plain) == path
    assert name(routes, "h", escaped + "/below") == path


@given(st.text(alphabet="abé~" + RESERVED_IN_PATHS, min_size=1, max_size=6), st.randoms())
def test_no_encoding_of_a_protected_path_misses_its_route(segment: str, random: object) -> None:
    configured = "/" + quote(segment, safe="~" + RESERVED_IN_PATHS)
    routes = table(("", "/"), ("", configured))
    encoded = "".join(
        character
        if character.isascii() and random.random() < 0.5
        else "".join(f"%{byte:02x}" for byte in character.encode())  # type: ignore[attr-defined]
        for character in segment
    )
    taken = routes.match("h", canonical(f"/{encoded}".encode()), "GET")
    assert taken
    assert taken.settings.path == configured


def test_spellings_are_as_many_as_there_are_ways() -> None:
    assert set(spellings("/a@b:c")) == {b"/a@b:c", b"/a%40b:c", b"/a@b%3Ac", b"/a%40b%3Ac"}
    assert spellings("/plain%20path") == (b"/plain%20path",)


def test_the_cost_of_a_lookup_does_not_grow_with_the_number_of_routes() -> None:
    class Counted(dict):  # type: ignore[type-arg]
        lookups = 0

        def get(self, *args: object) -> object:
            Counted.lookups += 1
            return super().get(*args)

    costs = []
    for count in (10, 2000):
        routes = table(*(("", f"/service{number}/api") for number in range(count)))
        routes._any_host.by_prefix = Counted(routes._any_host.by_prefix)
        Counted.lookups = 0
        assert name(routes, "h", "/service7/api/v1/users/1") == "/service7/api"
        costs.append(Counted.lookups)
    assert costs[0] == costs[1] == 3


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
    ],
)
def test_a_route_looser_than_the_one_around_it_is_said(
    inner: RouteSettings, outer: RouteSettings, is_said: bool
) -> None:
    routes = RouteTable.build([inner, outer])
    expected = ((routes.routes[0], routes.routes[1]),) if is_said else ()
    assert routes.loosened() == expected


def test_the_nearest_outer_route_is_named() -> None:
    routes = RouteTable.build([settings(REQUIRED), settings(REQUIRED, "/api"), settings(PUBLIC, "/api/health")])
    assert [(inner.name, outer.name) for inner, outer in routes.loosened()] == [("/api/health", "/api")]
