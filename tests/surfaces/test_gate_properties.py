"""Whatever a server hands over is judged and never raised at; what is remembered is what would be decided."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.core.instance import InstanceKind
from gateway.core.organization_sync import OrganizationPatterns, Pattern
from gateway.core.referrers import KnownPages
from gateway.core.settings_model import Access, RouteSettings
from gateway.surfaces.gate import Admission
from tests.authenticator.engine_kit import HOST, NAMES, NOW, Api, Clock, expired, mint, rules
from tests.surfaces.surfaces_kit import gate_of, scope_of, websocket_scope

GOOD, BOB, FORGED = mint(), mint(sub="user_2", sid="sess_2"), mint("key_2", header={"kid": "key_1"})
LATER = mint(exp=int(NOW) + 20, iat=int(NOW) - 40)
ROUTES = (
    RouteSettings(path="/"),
    RouteSettings(path="/public", access=Access.PUBLIC),
    RouteSettings(path="/maybe", access=Access.OPTIONAL),
)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

VALUES = st.binary(max_size=30) | st.sampled_from([b"text/html", b"document", b"empty", b"https", b"0"])
CREDENTIALS = st.sampled_from(
    [
        (b"authorization", b"Bearer " + GOOD.encode()),
        (b"authorization", b"bearer " + FORGED.encode()),
        (b"authorization", b"Bearer"),
        (b"cookie", f"{NAMES.session}={GOOD}; {NAMES.client_uat}=1700000000".encode()),
        (b"cookie", f"{NAMES.session}={expired()}; {NAMES.refresh}=rt".encode()),
        (b"cookie", b"__session=%\xff; __client_uat=\xff; __clerk_redirect_count=9"),
        (b"x-forwarded-proto", b"http"),
        (b"sec-fetch-dest", b"document"),
    ]
)
NAMES_READ = [b"accept", b"authorization", b"cookie", b"host", b"origin", b"referer", b"sec-fetch-dest", b"user-agent"]
NAMES_READ += [b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-for", b"x-session-user-id", b"\xff", b""]
NAME = st.sampled_from(NAMES_READ)
HEADERS = st.lists(CREDENTIALS | st.tuples(NAME, VALUES), max_size=6)
PATHS = st.sampled_from([b"/", b"/public", b"/maybe/x", b"*", b""]) | st.binary(max_size=20).map(lambda raw: b"/" + raw)
QUERIES = st.binary(max_size=30) | st.sampled_from(
    [b"__clerk_handshake=x.y.z", b"__clerk_handshake_nonce=%ff", b"__clerk_db_jwt", b"__gateway_state=1.x", b"%&=&&="]
)


def run(scope: dict[str, object]) -> Admission:
    gate = gate_of(*ROUTES, api=Api(), instance=rules(known_pages=KnownPages(HOST)))
    return asyncio.run(gate.admit(scope))


@quick
@given(HEADERS, PATHS, QUERIES, st.sampled_from(["GET", "POST", "get", "", "\xff"]), st.booleans())
@example([], b"/", b"", "GET", False)
def test_any_request_is_judged_and_nobody_passes_without_a_good_token(
    headers: list[tuple[bytes, bytes]], raw_path: bytes, query: bytes, method: str, is_websocket: bool
) -> None:
    made = {"raw_path": raw_path, "query_string": query}
    scope = websocket_scope("/", **made) if is_websocket else scope_of("/", method=method, **made)
    scope["headers"] = [(b"host", b"app.example.test"), *headers]
    admission = run(scope)
    if admission.answer is None:
        assert admission.route is not None
        assert admission.session is not None or admission.route.settings.access is not Access.REQUIRED
        assert admission.session is None or admission.session.user_id == "user_1"
        return
    assert admission.answer.status in ({307, 400, 401, 403, 404, 405} if is_websocket else {307, 400, 401, 404, 405})
    for name, value in admission.answer.headers:
        assert not set(name + value) & set(b"\r\n\0")


@quick
@given(st.text(max_size=30), st.sampled_from([None, ("192.0.2.1", 1), ("\x00", 0), ("fe80::1%x", 1)]))
def test_a_server_that_keeps_no_raw_path_or_peer_is_judged_too(path: str, client: object) -> None:
    scope = scope_of("/", raw_path=..., client=client, query_string=...)
    scope["path"] = f"/{path}"
    admission = run(scope)
    if admission.answer is None:
        assert admission.route is not None
        assert admission.route.settings.access is not Access.REQUIRED


# ── what is remembered ──

TOKENS = st.sampled_from([GOOD, GOOD, LATER, BOB, expired(), FORGED, "junk"])
COOKIE = st.builds(
    lambda plain, suffixed, uats, more: "; ".join([*plain, *suffixed, *uats, *more]),
    st.lists(TOKENS.map(lambda token: f"__session={token}"), max_size=2),
    st.lists(TOKENS.map(lambda token: f"{NAMES.session}={token}"), max_size=2),
    st.sampled_from(
        [
            [f"{NAMES.client_uat}=1700000000"],
            ["__client_uat=1700000000"],
            [f"{NAMES.client_uat}=0", "__client_uat=1700000000"],
            [f"{NAMES.client_uat}={int(NOW) + 5}"],
            [],
        ]
    ),
    st.sampled_from([[], [], ["__clerk_handshake_nonce=n"], ["__clerk_redirect_count=3"], ["a=b"]]),
)
ASKED = st.tuples(
    st.sampled_from([0, 0, 0, 1, 19, 24, 30, 400]),
    st.sampled_from(["/page", "/page", "/maybe", "/orgs/acme"]),
    st.sampled_from(["GET", "GET", "POST"]),
    st.sampled_from([b"", b"", b"a=b", b"__clerk_db_jwt=d", b"__clerk_handshake_nonce=n", b"%5f_clerk_db_jwt=d"]),
    st.sampled_from([("sec-fetch-dest", "document"), ("sec-fetch-dest", "empty"), ("sec-fetch-dest", "iframe")]),
    st.sampled_from([("referer", "https://elsewhere.test/"), ("x-nothing", "")]),
    COOKIE.map(lambda value: ("cookie", value)) | TOKENS.map(lambda token: ("authorization", f"Bearer {token}")),
)


@pytest.mark.parametrize("kind", InstanceKind)
@quick
@given(st.lists(ASKED, min_size=2, max_size=6), st.booleans(), st.booleans())
def test_what_is_remembered_is_what_would_be_decided(
    kind: InstanceKind, asked: Sequence[tuple], follows: bool, has_patterns: bool
) -> None:
    """The same requests at a gate with a memory and at gates without: the same person, the same answer."""
    clock = Clock()
    patterns = OrganizationPatterns((Pattern.parse("/orgs/:slug"),)) if has_patterns else OrganizationPatterns()
    instance = rules(
        kind=kind, has_refresh=False, known_pages=KnownPages(HOST) if follows else None, organizations=patterns
    )
    remembering = gate_of(*ROUTES, api=Api(), clock=clock, instance=instance)

    async def compare() -> None:
        # Each twice, so that the second may be recalled.
        for seconds, path, method, query, *headers in [each for each in asked for _ in range(2)]:
            clock.advance(seconds)
            scope = scope_of(path, *headers, method=method, query=query)
            fresh = gate_of(*ROUTES, api=Api(), clock=clock, instance=instance)
            known, made = await remembering.admit(scope), await fresh.admit(scope)
            assert (known.session, known.identity) == (made.session, made.identity)
            assert known.answer == made.answer
            assert (known.verdict.state, known.verdict.reason) == (made.verdict.state, made.verdict.reason)

    asyncio.run(compare())
