"""Which route a request takes."""

import sys
from collections.abc import Callable
from types import FrameType
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.routes import RESERVED_IN_PATHS, RouteTable, spellings
from gateway.core.settings_model import RouteSettings
from gateway.core.target import canonical


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


def exact(path: str, host: str = "", methods: tuple[str, ...] = ()) -> RouteSettings:
    return RouteSettings(path=path, exact=True, host=host or None, methods=methods)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "=/"),
        ("/api", "=/api"),
        ("/api/", "/api"),
        ("/api/x", "/api"),
        ("/api/v1", "/api"),
        ("/a@b", "=/a%40b"),
        ("/a%40b", "=/a%40b"),
        ("/a@b/", "/"),
    ],
)
def test_an_exact_route_takes_its_path_alone(path: str, expected: str) -> None:
    prefixes = [RouteSettings(path="/"), RouteSettings(path="/api")]
    routes = RouteTable.build([*prefixes, exact("/"), exact("/api"), exact("/a%40b")])
    assert name(routes, "h", path) == expected


def test_an_exact_route_gives_way_where_it_does_not_take_the_method() -> None:
    routes = RouteTable.build([RouteSettings(path="/api"), exact("/api", methods=("GET",)), exact("/deep/down/here")])
    assert name(routes, "h", "/api", "HEAD") == "=/api [GET]"
    assert name(routes, "h", "/api", "POST") == "/api"
    assert name(routes, "h", "/deep/down/here") == "=/deep/down/here"
    assert name(routes, "h", "/deep/down") is None
    assert routes.methods("h", b"/api") == ("GET", "HEAD")
    assert routes.methods("h", b"/api/x") == ()


def test_an_exact_route_of_a_wider_host_does_not_beat_a_prefix_of_the_host() -> None:
    routes = RouteTable.build([exact("/api"), RouteSettings(path="/", host="a.example")])
    assert name(routes, "a.example", "/api") == "a.example/"
    assert name(routes, "b.example", "/api") == "=/api"


@pytest.mark.parametrize(
    "make",
    [
        lambda number: RouteSettings(path=f"/service{number}/api"),
        lambda number: exact(f"/service{number}/api"),
        lambda number: RouteSettings(path="/service7/api", host=f"h{number}.example.com"),
        lambda number: RouteSettings(path="/service7/api", host=f"*.h{number}.example.com"),
        lambda number: RouteSettings(
            path="/service7/api", methods=(("GET", "PUT")[number % 2],), host=f"h{number}.com"
        ),
    ],
    ids=["prefixes", "exact", "hosts", "wildcards", "methods"],
)
@pytest.mark.parametrize("host", ["h7.example.com", "a.b.h7.example.com", "unknown.example"])
def test_a_lookup_takes_as_many_steps_among_ten_routes_as_among_thousands(
    make: Callable[[int], RouteSettings], host: str
) -> None:
    costs = {steps(RouteTable.build([make(number) for number in range(count)]), host) for count in (10, 4000)}
    assert len(costs) == 1


def steps(routes: RouteTable, host: str) -> int:
    """How many lines of the lookup run, in whatever function."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        routes.match(host, b"/service7/api", "GET")
    finally:
        sys.settrace(before)
    return count
