"""What becomes of a route's path on the way to the upstream."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.rewriting import Rewriting
from gateway.core.routes import RESERVED_IN_PATHS, RouteTable
from gateway.core.settings_model import RouteSettings
from gateway.core.target import canonical


def rewriting(path: str, strip: str | None = None, put: str | None = None) -> Rewriting:
    found = Rewriting.of(RouteSettings(path=path, strip_prefix=strip, replace_prefix=put))
    assert found is not None
    return found


def test_most_routes_leave_paths_alone() -> None:
    assert Rewriting.of(RouteSettings(path="/api")) is None


@pytest.mark.parametrize(
    ("how", "path", "expected", "gone"),
    [
        (("/api", "/api"), "/api", "/", "/api"),
        (("/api", "/api"), "/api/", "/", "/api"),
        (("/api", "/api"), "/api/x", "/x", "/api"),
        (("/api", "/api"), "/api/x/", "/x/", "/api"),
        (("/api", "/api"), "/api/api", "/api", "/api"),
        (("/a/b", "/a"), "/a/b", "/b", "/a"),
        (("/a/b", "/a"), "/a/b/c", "/b/c", "/a"),
        (("/a/b", "/a/b"), "/a/b/c", "/c", "/a/b"),
        (("/@me", "/@me"), "/%40me/x", "/x", "/%40me"),
        (("/@me", "/%40me"), "/@me", "/", "/@me"),
        (("/api", None, "/v2"), "/api", "/v2", "/api"),
        (("/api", None, "/v2"), "/api/", "/v2/", "/api"),
        (("/api", None, "/v2"), "/api/x", "/v2/x", "/api"),
        (("/api", None, "/"), "/api", "/", "/api"),
        (("/api", None, "/"), "/api/x", "/x", "/api"),
        (("/a/b", "/a", "/v2/w"), "/a/b/c", "/v2/w/b/c", "/a"),
        (("/", None, "/v2"), "/", "/v2/", ""),
        (("/", None, "/v2"), "/x", "/v2/x", ""),
        (("/", "/"), "/x", "/x", ""),
    ],
)
def test_the_first_segments_are_taken_away_or_replaced(
    how: tuple[str, ...], path: str, expected: str, gone: str
) -> None:
    found = rewriting(*how)
    assert found.path(path.encode()) == expected.encode()
    assert found.prefix(path.encode()) == gone.encode()


@pytest.mark.parametrize(
    ("how", "image"),
    [
        (("/api", "/api"), "/"),
        (("/a/b", "/a"), "/b"),
        (("/api", None, "/v2"), "/v2"),
        (("/", None, "/v2"), "/v2"),
        (("/a/b", "/a", "/v2"), "/v2/b"),
    ],
)
def test_the_image_is_where_the_upstream_sees_the_route(how: tuple[str, ...], image: str) -> None:
    assert rewriting(*how).image == image


SEGMENTS = st.text(alphabet="ab.%2~é" + RESERVED_IN_PATHS, min_size=1, max_size=4)


@given(st.lists(SEGMENTS, max_size=3), st.integers(0, 3), st.sampled_from([None, "/", "/v2", "/v2/w"]), st.binary())
def test_what_is_left_is_canonical_and_never_empty(
    segments: list[str], gone: int, put: str | None, tail: bytes
) -> None:
    parts = [quote(segment, safe=RESERVED_IN_PATHS) for segment in segments if segment.strip(".")]
    route, strip = "/" + "/".join(parts), "/" + "/".join(parts[:gone])
    try:
        path = canonical(route.encode() + b"/" + tail)
        canonical(route.encode())
    except ValueError:
        return
    if RouteTable.build([RouteSettings(path=canonical(route.encode()).decode())]).match("h", path, "GET") is None:
        return
    found = rewriting(route, canonical(strip.encode()).decode(), put)
    there = found.path(path)
    assert canonical(there) == there
    assert there.startswith(b"/")
    assert path == found.prefix(path) + there.removeprefix(found.replacement) or there == b"/"
