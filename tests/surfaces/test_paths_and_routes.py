"""No spelling of a path leads around a route: what reaches the upstream without a session is public by our own table.

The table writes paths anew too, and nothing in it is warned of but what is meant. For any request that passes without a
session, the path that the upstream gets is looked up as an upstream would read it: decoded as often as it likes.
"""

import asyncio
from urllib.parse import unquote

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.core.loosening import loosenings
from gateway.core.rewriting import Rewriting
from gateway.core.routes import RouteTable
from gateway.core.settings_model import Access, RouteSettings
from tests.surfaces.surfaces_kit import gate_of, scope_of

UPSTREAM = "http://127.0.0.1:9000"


def route(path: str, access: Access = Access.REQUIRED, **how: object) -> RouteSettings:
    return RouteSettings(path=path, access=access, upstream=UPSTREAM, **how)


OPEN = Access.PUBLIC
ROUTES = (
    route("/admin"),
    route("/api", strip_prefix="/api"),
    route("/api/docs", OPEN, strip_prefix="/api/docs", replace_prefix="/manual", loosens=True),
    route("/files", OPEN, replace_prefix="/public/files", loosens=True),
    route("/old/site", OPEN, strip_prefix="/old", loosens=True),
    route("/open", OPEN),
    route("/exact", OPEN, exact=True),
    route("/exact"),
)
# What an upstream serves to everybody; everything else that it serves is guarded.
PUBLIC_THERE = ("/manual", "/public/files", "/site", "/open")
GATE = gate_of(*ROUTES)
LEVELS = 3


def is_public_there(path: str) -> bool:
    return path == "/exact" or any(path == prefix or path.startswith(f"{prefix}/") for prefix in PUBLIC_THERE)


def readings(path: str) -> set[str]:
    """How programs may read a path: decoded up to three times, with slashes merged, dot segments resolved."""
    found = {path}
    for _ in range(LEVELS):
        found |= {unquote(each, errors="replace") for each in found}
    found |= {each.replace("\\", "/") for each in found}
    found |= {"/".join(segment.partition(";")[0] for segment in each.split("/")) for each in found}
    return found | {_resolved(each) for each in found}


def _resolved(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/" + "/".join(kept)


def is_guarded(reading: str) -> bool:
    """Whether it is, or is below, what somebody has to be signed in for."""
    return reading == "/admin" or reading.startswith(("/admin/", "/exact/"))


PIECES = [
    *("/", "//", "/./", "/../", "/..;/", "..", ".", ";", ";x=1", "%2f", "%2F", "%5c", "\\", "%2e", "%2E%2e", "%252e"),
    *(
        "%252f",
        "%25252f",
        "%00",
        "%20",
        "%09",
        "%0d%0a",
        "%c0%ae",
        "%ef%bc%8f",
        "#",
        "?",
        "?/open",
        "%23",
        "%3f",
        "%zz",
    ),
    *("admin", "ADMIN", "%61dmin", "adm%69n", "%2561dmin", "api", "docs", "files", "old", "site", "open", "exact", "x"),
]
RAW = st.lists(st.sampled_from(PIECES) | st.text(alphabet="admin/%.2f;", max_size=4), max_size=9).map("".join)
STARTS = st.sampled_from(["/", "/open", "/files", "/old/site", "/api/docs", "/api", "/admin", "/exact", "", "//"])


def passes(path: str) -> str | None:
    """Return the path that the upstream gets for a request without a session, or None where it gets none."""
    admission = asyncio.run(GATE.admit(scope_of("/", raw_path=path.encode())))
    if admission.answer is not None:
        return None
    assert admission.route is not None
    assert admission.facts is not None
    rewriting = Rewriting.of(admission.route.settings)
    there = admission.facts.url.path.encode()
    return (rewriting.path(there) if rewriting is not None else there).decode()


@settings(deadline=None, max_examples=1500, suppress_health_check=[HealthCheck.too_slow])
@given(STARTS, RAW)
@example("/open", "/../admin")
@example("/files", "/%2e%2e/%2e%2e/admin")
@example("/api/docs", "%2f..%2fadmin")
@example("/old/site", "/..;/admin")
@example("/exact", "/x")
def test_what_reaches_the_upstream_without_a_session_is_public_however_it_is_spelled(start: str, rest: str) -> None:
    there = passes(start + rest)
    if there is None:
        return
    assert there.startswith("/")
    assert is_public_there(there)
    for reading in readings(there):
        assert not is_guarded(reading), f"{start + rest} may be read as {reading}"


@given(STARTS, RAW)
def test_with_a_route_for_everything_a_protected_path_is_found_in_every_spelling(start: str, rest: str) -> None:
    """A decoded path that a reader would take for /admin never came through a public route."""
    there = passes(start + rest)
    assert there is None or not any(is_guarded(reading) for reading in readings(there))


def test_the_tests_table_is_one_that_nothing_is_said_of_but_what_is_meant() -> None:
    said = [(found.route.name, found.is_through) for found in loosenings(RouteTable.build(ROUTES).routes)]
    assert said == [("=/exact", False)]


def test_the_readings_are_those_of_the_most_forgiving_programs() -> None:
    assert is_guarded("/admin")
    for path in ("/open/%252e%252e/admin", "/open/..;x/../admin", "/open\\..\\admin", "//admin", "/x/../admin/"):
        assert any(is_guarded(reading) for reading in readings(path)), path
    assert not is_public_there("/openx")
