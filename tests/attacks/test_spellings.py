"""However a path is spelled: nobody's request arrives, or what arrives is public by our own table (CVE-2026-41248)."""

import tomllib
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.core.routes import RouteTable
from gateway.core.settings import parse
from gateway.core.settings_model import Access, RouteSettings
from gateway.core.target import canonical
from tests.attacks.attack_kit import Authority, Target, config_of
from tests.attacks.doors import proxy_door
from tests.surfaces.test_paths_and_routes import RAW, ROUTES, STARTS, is_guarded, is_public_there, readings

MANY = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def _written(route: RouteSettings) -> str:
    lines = [
        f'path = "{route.path}"',
        f'access = "{route.access}"',
        'upstream = "UPSTREAM"',
        f"exact = {str(route.exact).lower()}",
        f"loosens = {str(route.loosens).lower()}",
        *([f'strip_prefix = "{route.strip_prefix}"'] if route.strip_prefix else []),
        *([f'replace_prefix = "{route.replace_prefix}"'] if route.replace_prefix else []),
    ]
    return "\n".join(["[[routes]]", *lines, "", ""])


@pytest.fixture(scope="module")
def rewriting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway whose routes write paths anew, and no other routes."""
    mine = "".join(map(_written, ROUTES))
    with proxy_door(tmp_path_factory.mktemp("spellings"), routes=mine, has_usual_routes=False) as target:
        yield target


def arrives(target: Target, path: bytes) -> str | None:
    """Ask for a path without a session, and return which one arrives."""
    before = target.count
    target.raw(b"GET %b HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n" % path)
    arrived = target.arrived(before)
    assert len(arrived) <= 1, "one request became several"
    return arrived[0].path if arrived else None


ODD = st.sampled_from(["\t", " ", "\x00", "\x7f", "\x80", "\xff", "\xc0\xaf", "\r", "\x0b"])
PATHS = st.tuples(STARTS, RAW, st.one_of(st.just(""), ODD), RAW).map(lambda parts: "".join(parts).encode("latin-1"))


@MANY
@given(st.lists(PATHS, min_size=10, max_size=30))
@example(
    [b"/open/../admin", b"/files/%2e%2e/%2e%2e/admin", b"/api/docs%2f..%2fadmin", b"/exact/x", b"/open\t/../admin"]
)
def test_what_arrives_is_public_where_paths_are_written_anew(rewriting: Target, paths: list[bytes]) -> None:
    assert arrives(rewriting, b"/api/docs/%78") == "/manual/x"
    for path in paths:
        there = arrives(rewriting, path)
        if there is not None:
            there = there.partition("?")[0]
            assert is_public_there(there), path
            assert not [reading for reading in readings(there) if is_guarded(reading)], path


@cache
def usual_table() -> RouteTable:
    authority = Authority()
    document = tomllib.loads(config_of(authority, "http://127.0.0.1:9", 8000))
    authority.shutdown()
    authority.server_close()
    return RouteTable.build(parse(document).routes)


def _spellings_of(character: str) -> list[str]:
    code = ord(character)
    overlong = f"%c0%{0x80 | code & 0x3F:02x}"
    wide = f"%ef%bc%{0x80 | (code - 0x20) & 0x3F:02x}"
    return [f"%{code:02x}", f"%{code:02X}", f"%25{code:02x}", f"%u00{code:02x}", overlong, wide, character.upper()]


@st.composite
def protected(draw: st.DrawFn) -> bytes:
    """A path that is protected, in some spelling: most characters as they are, some as attackers write them."""
    starts = (
        "/admin",
        "/admin/users/1",
        "/health/../admin",
        "/maybe/..//admin",
        "//admin",
        "/health;/../admin",
        "/read/..",
    )
    text = draw(st.sampled_from(starts))
    pieces = [text[0]]
    for character in text[1:]:
        is_odd = draw(st.integers(0, 3)) == 0
        pieces.append(draw(st.sampled_from(_spellings_of(character))) if is_odd else character)
    tails = ("", "/", "/.", "/..", ";", "?/health", "#/health", "%2f..%2fhealth", "/../health", "%00", ".", "%20")
    return "".join([*pieces, draw(st.sampled_from(tails))]).encode("latin-1")


@MANY
@given(st.lists(protected(), min_size=10, max_size=30))
def test_what_arrives_of_a_protected_path_is_public_by_our_own_table(target: Target, paths: list[bytes]) -> None:
    assert arrives(target, b"/health/%78") == "/health/x"
    for path in paths:
        there = arrives(target, path)
        if there is not None:
            plain = there.partition("?")[0].encode()
            assert canonical(plain) == plain, path
            route = usual_table().match("app.example.test", plain, "GET")
            assert route is not None, path
            assert route.settings.access in {Access.PUBLIC, Access.OPTIONAL}, path
