"""Routes beside each other, through ``gateway serve``: none is a way into what another one guards."""

from collections.abc import Iterator

import pytest

from gateway.core.reasons import Reason
from tests.attacks.attack_kit import Target, token
from tests.attacks.doors import proxy_door

ROUTES = """
[[routes]]
path = "/api"
access = "public"
strip_prefix = "/api"
upstream = "UPSTREAM"
loosens = true

[[routes]]
path = "/v1"
access = "public"
replace_prefix = "/v2"
upstream = "UPSTREAM"
loosens = true

[[routes]]
path = "/only"
exact = true
access = "public"
upstream = "UPSTREAM"
loosens = true

[[routes]]
path = "/reports"
accepts = ["api_key"]
require = { scopes = ["read"] }
upstream = "UPSTREAM"

[[routes]]
path = "/reports/new"
accepts = ["api_key"]
require = { scopes = ["write"] }
upstream = "UPSTREAM"

[[routes]]
path = "/people"
require = { role = "org:admin" }
upstream = "UPSTREAM"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with proxy_door(tmp_path_factory.mktemp("routes"), routes=ROUTES) as target:
        yield target


@pytest.mark.parametrize("start", ["/api", "/v1"])
@pytest.mark.parametrize(
    "rest",
    [
        *("../admin", "/../admin", "%2e%2e/admin", "/%2e%2e/admin", "/..%2fadmin", "/.%2e/admin", "..%2fadmin"),
        *("/..;/admin", "/%2e%2e;/admin", "/..\\admin", "/..%5cadmin", "/%252e%252e/admin", "/./../admin", "x/admin"),
        *("/../../admin", "//../admin", "/x/../../admin", ";/../admin", "%00/../admin", "?/../../admin#/.."),
    ],
)
def test_a_prefix_that_is_taken_away_leads_to_nothing_that_is_guarded(site: Target, start: str, rest: str) -> None:
    before = site.count
    reply = site.get(start + rest)
    arrived = [request.path.partition("?")[0] for request in site.arrived(before)]
    if "?" in rest:
        assert arrived == ["/" if start == "/api" else "/v2"] * len(arrived)
    else:
        assert (reply.status in {400, 401, 404}, arrived) == (True, [])


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api//x", "/x"),
        ("/api/api/admin", "/api/admin"),
        ("/api/%61dmin", "/admin"),
        ("/v1/x", "/v2/x"),
        ("/v1//evil.example/x", "/v2/evil.example/x"),
        ("/api//evil.example/x", "/evil.example/x"),
    ],
)
def test_what_is_left_of_a_path_is_one_path_of_the_upstream(site: Target, path: str, arrives: str) -> None:
    assert site.get(path, ("X-Forwarded-Prefix", "/evil")).status == 200
    arrived = site.upstream.requests[-1]
    assert arrived.path == arrives
    assert arrived.values("x-forwarded-prefix") == [path[: len("/api" if path.startswith("/api") else "/v1")]]
    assert arrived.values("x-session-status") == ["signed-out"]


ELSEWHERE = (
    *("//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "http:\\\\evil.example"),
    *(
        "/v2//evil.example",
        "/v2/\\evil.example",
        "/v2/\t/evil.example",
        "/v2/;@evil.example",
        "/v2/../..//evil.example",
    ),
    *("https://evil.example/v2", "http://app.example.test@evil.example/", "http://app.example.test.evil.example/"),
)


@pytest.mark.parametrize("said", ELSEWHERE)
@pytest.mark.parametrize(("path", "prefix"), [("/api/x", "/api"), ("/v1/x", "/v1")])
def test_an_answer_that_is_written_anew_leads_nowhere_that_it_did_not_lead_before(
    site: Target, said: str, path: str, prefix: str
) -> None:
    arrives = path.replace("/api", "").replace("/v1", "/v2")
    answer = f"HTTP/1.1 302 Found\r\nLocation: {said}\r\nRefresh: 0; url={said}\r\nContent-Length: 0\r\n\r\n"
    site.upstream.answers[arrives] = answer.encode()
    reply = site.get(path)
    del site.upstream.answers[arrives]
    for found in (reply.header("location"), reply.header("refresh").removeprefix("0; url=")):
        # As it was, or below the prefix of the route: a path that begins with no second slash of any kind.
        assert found == said or (found.startswith(f"{prefix}/") and found.isprintable() and "\\" not in found)


@pytest.mark.parametrize(
    "path",
    ["/only/", "/only/x", "/only//", "/only%2f", "/only;x", "/only.", "/ONLY", "/only/..", "/only%20", "/onl%79x"],
)
def test_an_exact_route_opens_nothing_else(site: Target, path: str) -> None:
    before = site.count
    assert site.get("/only").status == site.get("/onl%79?/admin").status == 200
    assert site.get(path).status in {400, 401}
    assert len(site.arrived(before)) == 2


def test_a_verdict_on_a_key_for_one_route_never_answers_for_another(site: Target) -> None:
    """One cache, two questions: what a key may do on one route says nothing of the next."""
    site.authority.scopes |= {"ak_reader": ["read"], "ak_writer": ["write"], "ak_both": ["read", "write"], "ak_no": []}
    may = {"ak_reader": {"/reports"}, "ak_writer": {"/reports/new"}, "ak_both": {"/reports", "/reports/new"}}
    for _ in range(2):  # asked, and remembered
        for key in ("ak_reader", "ak_writer", "ak_both", "ak_no", "ak_unknown"):
            for path in ("/reports", "/reports/new"):
                reply = site.get(path, bearer=key)
                assert (reply.status == 200) == (path in may.get(key, set())), (key, path)
                assert reply.status in {200, 401, 403}
    assert site.get("/people", bearer="ak_both").status == 401
    assert site.get("/", bearer="ak_both").status == 401
    asked = [call for call in site.authority.calls if "api_keys" in call]
    assert len(asked) == 5


def test_a_session_opens_no_route_of_machines_and_its_role_is_asked_each_time(site: Target) -> None:
    session = token()
    assert site.get("/", bearer=session).status == 200
    assert site.get("/reports", bearer=session).status == 401
    reply = site.get("/people", bearer=session)
    assert (reply.status, reply.header("x-clerk-auth-reason")) == (403, Reason.MISSING_ROLE)
    admin = token(o={"id": "org_1", "rol": "admin", "slg": "acme"}, v=2)
    assert site.get("/people", bearer=admin).status == 200
    assert site.get("/people", ("X-Session-Org-Role", "org:admin"), bearer=session).status == 403
