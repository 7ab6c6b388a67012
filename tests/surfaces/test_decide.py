"""Decisions for other proxies: who may ask, what is answered, and how each front is told."""

import json
from ipaddress import ip_network

import httpx
import pytest

from gateway.core.identity import IDENTITY_HEADERS
from gateway.core.original import Front
from gateway.core.reasons import Reason
from gateway.core.requirement import Requirement
from gateway.core.settings_model import Access, CorsSettings, RouteSettings
from gateway.core.trust import Trust
from gateway.core.verdict import How
from gateway.surfaces.answers import Answer
from gateway.surfaces.decide import MAX_COOKIES, PREFIX, DecisionService
from gateway.surfaces.gate import Admission, Gate
from tests.authenticator.engine_kit import NAMES, Api, Clock, Keys, directives, expired, mint
from tests.surfaces.surfaces_kit import gate_of, scope_of

PEER = "10.0.0.2"
BEARER = ("authorization", f"Bearer {mint()}")
EVERY = {f"x-session-{name.lower()}" for name in IDENTITY_HEADERS}
FRONTS = pytest.mark.parametrize("front", Front)
ROUTES = (
    RouteSettings(path="/"),
    RouteSettings(path="/public", access=Access.PUBLIC),
    RouteSettings(path="/optional", access=Access.OPTIONAL),
    RouteSettings(path="/admin", require=Requirement(role="org:admin", reverification="strict")),
    RouteSettings(path="/read", methods=("GET",)),
)


def gate(**parts: object) -> Gate:
    return gate_of(*ROUTES, **{"keys": Keys("key_1"), **parts})


def service(judging: Gate | None = None, *fronts: Front) -> DecisionService:
    return DecisionService(judging or gate(), fronts or tuple(Front), (ip_network("10.0.0.0/30"),))


def question(
    front: Front, uri: str, *headers: tuple[str, str], method: str = "GET", **changes: object
) -> dict[str, object]:
    """The scope of a question, as this front sends it."""
    path, _, query = uri.partition("?")
    own = PREFIX.decode() + front
    if front is Front.ENVOY:
        said = [("host", "app.example.test"), ("x-forwarded-proto", "https")]
        changes = {"method": method, "query": query.encode(), **changes}
        own += path
    else:
        start = "x-original" if front in {Front.NGINX, Front.HAPROXY} else "x-forwarded"
        values = {"method": method, "uri": uri, "host": "app.example.test", "proto": "https"}
        said = [("host", "gateway.internal"), *((f"{start}-{name}", value) for name, value in values.items())]
    return scope_of(own, *said, *headers, **{"scheme": "http", "client": (PEER, 50000), **changes})


async def ask(scope: dict[str, object], asked: DecisionService | None = None) -> Admission:
    """Ask, and look whether the short way says the same where it says anything."""
    asked = asked or service()
    admission = await asked.admit(scope, scope["raw_path"])
    at_once = asked.admit_at_once(scope, scope["raw_path"])
    if at_once is not None:
        assert at_once.answer == admission.answer
        assert (at_once.verdict.reason, at_once.detail) == (admission.verdict.reason, admission.detail)
    return admission


def answer_of(admission: Admission) -> Answer:
    assert admission.answer is not None
    return admission.answer


def headers_of(admission: Admission) -> httpx.Headers:
    return httpx.Headers(list(answer_of(admission).headers))


def status_of(front: Front, admission: Admission) -> int:
    """The status that the client gets in the end."""
    if front is Front.NGINX:
        assert answer_of(admission).status in {200, 401, 403}
        return int(headers_of(admission)["x-gateway-status"])
    return answer_of(admission).status


@FRONTS
async def test_who_is_signed_in_passes_with_every_identity_header(front: Front) -> None:
    admission = await ask(question(front, "/page?a=1", BEARER))
    answer = answer_of(admission)
    assert (answer.status, answer.body) == (200, b"")
    found = headers_of(admission)
    assert {name for name in found if name.startswith("x-session-")} == EVERY
    assert (found["x-session-user-id"], found["x-session-org-id"]) == ("user_1", "")
    assert (found["x-session-status"], found["cache-control"], found["content-length"]) == (
        "signed-in",
        "no-store",
        "0",
    )
    assert len(answer.headers) == len(found)
    assert admission.facts is not None
    assert (str(admission.facts.url), admission.facts.method) == ("https://app.example.test/page?a=1", "GET")


@FRONTS
async def test_the_yes_to_a_session_is_made_once_and_is_nobody_elses(front: Front) -> None:
    asked = service()
    people = [("authorization", f"Bearer {mint(sub=name, sid=f'sess_{name}')}") for name in ("user_a", "user_b")]
    for _ in range(2):
        yeses = [answer_of(await ask(question(front, "/page", person), asked)) for person in people]
        nobody = answer_of(await ask(question(front, "/optional"), asked))
        told = [dict(answer.headers)[b"x-session-user-id"] for answer in (*yeses, nobody)]
        assert told == [b"user_a", b"user_b", b""]
        assert all(answer.recurs for answer in yeses)
    assert answer_of(await ask(question(front, "/page", people[0]), asked)) is yeses[0]
    assert not answer_of(await ask(question(front, "/page"), asked)).recurs


@FRONTS
@pytest.mark.parametrize("path", ["/public/x", "/optional"])
async def test_a_route_for_anybody_passes_with_an_empty_identity(front: Front, path: str) -> None:
    found = headers_of(await ask(question(front, path)))
    assert {name: found[name] for name in EVERY} == dict.fromkeys(EVERY, "") | {"x-session-status": "signed-out"}


@FRONTS
@pytest.mark.parametrize(
    ("path", "method", "headers", "status", "reason"),
    [
        ("/page", "GET", (), 401, Reason.SESSION_TOKEN_AND_UAT_MISSING),
        ("/page", "HEAD", (), 401, Reason.SESSION_TOKEN_AND_UAT_MISSING),
        ("/page", "POST", (("authorization", "Bearer junk"),), 401, Reason.TOKEN_INVALID),
        ("/admin", "GET", (BEARER,), 403, Reason.MISSING_ROLE),
        ("/read", "CONNECT", (BEARER,), 405, Reason.METHOD_NOT_ALLOWED),
        ("/a/../public", "GET", (BEARER,), 400, Reason.REQUEST_TARGET_INVALID),
        ("/public%2f..%2fpage", "GET", (), 400, Reason.REQUEST_TARGET_INVALID),
        ("//public", "GET", (BEARER,), 400, Reason.ORIGINAL_REQUEST_INVALID),
        ("/.gateway/healthz", "GET", (BEARER,), 404, Reason.ROUTE_NOT_FOUND),
        ("/%2Egateway/decide/nginx", "GET", (BEARER,), 404, Reason.ROUTE_NOT_FOUND),
        ("/page", "GET", (("cookie", "x" * 140_000),), 431, Reason.REQUEST_HEADERS_TOO_LARGE),
    ],
)
async def test_a_refusal_has_its_own_status_and_reason(
    front: Front, path: str, method: str, headers: tuple[tuple[str, str], ...], status: int, reason: Reason
) -> None:
    admission = await ask(question(front, path, *headers, method=method))
    found = headers_of(admission)
    assert (status_of(front, admission), found["x-clerk-auth-reason"]) == (status, reason)
    has_challenge = front is not Front.NGINX and (status == 401 or reason == Reason.MISSING_ROLE)
    assert ("www-authenticate" in found) == has_challenge
    assert found["cache-control"] == "no-store"
    assert not any(name in found for name in EVERY)


SHARED = CorsSettings(origins=("https://pages.example.test",))
PREFLIGHT = (("origin", "https://pages.example.test"), ("access-control-request-method", "GET"))


@FRONTS
@pytest.mark.parametrize(
    ("path", "origin", "status", "reason"),
    [
        ("/shared/x", "https://pages.example.test", 403, Reason.CORS_PREFLIGHT_UNANSWERED),
        ("/shared/x", "https://evil.example", 403, Reason.CORS_ORIGIN_REFUSED),
        ("/page", "https://pages.example.test", 401, Reason.SESSION_TOKEN_AND_UAT_MISSING),
        ("/given/x", "https://pages.example.test", 200, ""),
        ("/given/x", "https://evil.example", 200, ""),
    ],
)
async def test_a_preflight_passes_only_where_a_route_gives_it_to_the_application(
    front: Front, path: str, origin: str, status: int, reason: str
) -> None:
    routes = (
        RouteSettings(path="/"),
        RouteSettings(path="/shared", cors=SHARED),
        RouteSettings(path="/given", cors=SHARED),
        RouteSettings(path="/given", methods=("OPTIONS",), access=Access.PUBLIC),
    )
    asked = question(front, path, ("origin", origin), PREFLIGHT[1], method="OPTIONS")
    admission = await ask(asked, service(gate_of(*routes, keys=Keys("key_1"))))
    found = headers_of(admission)
    if status == 200:
        assert (answer_of(admission).status, found["x-session-status"]) == (200, "signed-out")
    else:
        assert (status_of(front, admission), found["x-clerk-auth-reason"]) == (status, reason)
    assert admission.facts is not None
    assert admission.facts.url.path == path


@FRONTS
async def test_the_length_is_that_of_the_body_whatever_is_asked_about(front: Front) -> None:
    for method in ("GET", "HEAD"):
        answer = answer_of(await ask(question(front, "/page", method=method)))
        length = int(httpx.Headers(list(answer.headers))["content-length"])
        is_head = front is Front.ENVOY and method == "HEAD"
        assert answer.body == b"" if is_head else length == len(answer.body)


@FRONTS
async def test_browsers_are_sent_to_sign_in(front: Front) -> None:
    page = (("accept", "text/html"), ("sec-fetch-dest", "document"))
    admission = await ask(question(front, "/page?a=1", *page))
    assert status_of(front, admission) == 307
    assert answer_of(admission).status == (401 if front is Front.NGINX else 307)
    expected = "https://accounts.example.test/sign-in?redirect_url=https%3A%2F%2Fapp.example.test%2Fpage%3Fa%3D1"
    assert headers_of(admission)["location"] == expected


def expired_cookies() -> tuple[str, str]:
    return "cookie", f"{NAMES.session}={expired()}; {NAMES.client_uat}=1700000000; {NAMES.refresh}=rt_1"


@FRONTS
async def test_cookies_of_a_refresh_reach_the_browser(front: Front) -> None:
    fresh = mint(o={"id": "org_1", "slg": "acme", "rol": "admin"})
    judging = gate(api=Api(directives(fresh)))
    admission = await ask(question(front, "/page", expired_cookies()), service(judging))
    found = answer_of(admission)
    assert (found.status, admission.verdict.how) == (200, How.REFRESH)
    assert not found.recurs  # a server keeps no cookie
    assert headers_of(admission)["x-session-org-id"] == "org_1"
    expected = [cookie.header() for cookie in admission.verdict.cookies]
    assert len(expected) > 1
    if front in {Front.NGINX, Front.CADDY}:
        numbered = {name: value for name, value in found.headers if name.startswith(b"x-gateway-set-cookie-")}
        assert numbered == {b"x-gateway-set-cookie-%d" % number: value for number, value in enumerate(expected, 1)}
        assert not any(name == b"set-cookie" for name, _ in found.headers)
    else:
        assert [value for name, value in found.headers if name == b"set-cookie"] == expected


@FRONTS
async def test_nobody_else_may_ask(front: Front) -> None:
    for client in (("10.0.0.4", 1), ("127.0.0.1", 1), None):
        admission = await ask(question(front, "/public", client=client))
        assert status_of(front, admission) == 403
        assert headers_of(admission)["x-clerk-auth-reason"] == Reason.DECISION_PEER_REFUSED


@FRONTS
async def test_a_front_that_is_not_named_is_not_answered(front: Front) -> None:
    others = tuple(each for each in Front if each is not front)
    admission = await ask(question(front, "/public"), service(None, *others))
    assert answer_of(admission).status == 404


@pytest.mark.parametrize("path", ["", "nginx/", "nginx/answers", "caddy/x", "Nginx", "nginx%2f", "apache", "envoys"])
async def test_there_is_nothing_else(path: str) -> None:
    scope = {**question(Front.NGINX, "/public"), "raw_path": PREFIX + path.encode()}
    assert answer_of(await ask(scope)).status == 404


@FRONTS
async def test_a_contradiction_is_told_with_its_own_reason(front: Front) -> None:
    for more, reason in (
        (("x-rewrite-url", "/public"), Reason.ORIGINAL_REQUEST_CONTRADICTORY),
        (("x-original-url", "/public"), Reason.ORIGINAL_REQUEST_CONTRADICTORY),
    ):
        admission = await ask(question(front, "/page", BEARER, more))
        assert (status_of(front, admission), admission.verdict.reason) == (400, reason)
        assert admission.detail


@FRONTS
async def test_a_websocket_of_a_foreign_page_is_refused(front: Front) -> None:
    opening = (("sec-websocket-key", "AAAA"), ("sec-websocket-version", "13"))
    cookies = ("cookie", f"{NAMES.session}={mint()}; {NAMES.client_uat}=1700000000")
    foreign = await ask(question(front, "/page", *opening, cookies, ("origin", "https://evil.example")))
    assert (status_of(front, foreign), foreign.verdict.reason) == (403, Reason.WEBSOCKET_ORIGIN_REFUSED)
    own = await ask(question(front, "/page", *opening, cookies, ("origin", "https://app.example.test")))
    assert answer_of(own).status == 200


async def test_the_client_is_the_first_address_that_is_no_proxy_of_ours() -> None:
    judging = gate(trust=Trust((ip_network("10.1.0.0/16"),)))
    asked = service(judging)
    for hops, expected in (
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.1.0.9", "192.0.2.7"),
        ("203.0.113.9, 192.0.2.7, 10.1.0.9, 10.0.0.1", "192.0.2.7"),
    ):
        admission = await ask(question(Front.CADDY, "/page", ("x-forwarded-for", hops)), asked)
        assert admission.facts is not None
        assert admission.facts.client == expected
    unsaid = await ask(question(Front.CADDY, "/page"), asked)
    assert unsaid.facts is not None
    assert unsaid.facts.client == PEER


async def test_hosts_that_are_not_served_are_refused() -> None:
    judging = gate(trust=Trust(allowed_hosts=("other.example",)))
    admission = await ask(question(Front.CADDY, "/public"), service(judging))
    assert (answer_of(admission).status, admission.verdict.reason) == (400, Reason.REQUEST_HOST_INVALID)


@FRONTS
async def test_keys_out_of_reach_deny_with_503(front: Front) -> None:
    from gateway.errors import KeysUnavailable

    broken = gate(keys=Keys(error=KeysUnavailable(Reason.JWK_REMOTE_TIMEOUT, "slow")))
    admission = await ask(question(front, "/page", BEARER), service(broken))
    assert status_of(front, admission) == 503
    assert headers_of(admission)["retry-after"] == "5"


class BrokenGate(Gate):
    """A gate that fails, or answers itself what would mean that the request may pass."""

    def __init__(self, answer: Answer | None) -> None:
        sound = gate()
        super().__init__(sound.authenticator, sound.routes, sound.trust, sound.identity, sound._sign_in)
        self._answer = answer

    async def admit(self, scope: object) -> Admission:
        if self._answer is None:
            raise RuntimeError("a fault of ours")
        admission = await super().admit(scope)  # type: ignore[arg-type]
        return admission.with_answer(self._answer)

    def admit_at_once(self, scope: object) -> Admission | None:
        if self._answer is None:
            raise RuntimeError("a fault of ours")
        admission = super().admit_at_once(scope)  # type: ignore[arg-type]
        return admission and admission.with_answer(self._answer)


@FRONTS
def test_the_short_way_answers_all_that_needs_no_waiting(front: Front) -> None:
    """Yes and no, what is no question, and who may not ask."""
    asked = service()
    for scope, status in (
        (question(front, "/public"), 200),
        (question(front, "/page"), 401),
        (question(front, "/public", client=("192.0.2.1", 1)), 403),
        (question(front, "/public", ("x-original-url", "/other")), 400),
    ):
        admission = asked.admit_at_once(scope, scope["raw_path"])
        assert admission is not None
        if status == 200:
            assert answer_of(admission).status == 200
        else:
            assert status_of(front, admission) == status


@FRONTS
def test_the_short_way_leaves_to_the_other_what_has_to_be_waited_for(front: Front) -> None:
    asked = service(gate(api=Api(directives(mint()))))
    stale, known = question(front, "/page", expired_cookies()), question(front, "/page", BEARER)
    assert asked.admit_at_once(stale, stale["raw_path"]) is None
    assert asked.admit_at_once(known, known["raw_path"]) is not None
    socket = question(front, "/public", ("upgrade", "websocket"))
    assert asked.admit_at_once(socket, socket["raw_path"]) is None


@FRONTS
@pytest.mark.parametrize("answer", [None, Answer(204, ())])
async def test_faults_of_ours_deny(front: Front, answer: Answer | None) -> None:
    admission = await ask(question(front, "/public"), service(BrokenGate(answer)))
    assert status_of(front, admission) == 500
    assert not any(name in headers_of(admission) for name in EVERY)


async def test_fault_of_ours_in_the_words_about_a_refusal_denies_too() -> None:
    class Wordless(BrokenGate):
        def refusal(self, *_: object) -> Answer:
            raise RuntimeError("a fault of ours")

    scope = question(Front.NGINX, "/page", ("x-gateway-reason", "session-token-missing"))
    admission = await ask({**scope, "raw_path": PREFIX + b"nginx/answer"}, service(Wordless(None)))
    assert status_of(Front.NGINX, admission) == 500


# nginx asks again for the words about a refusal


async def told(*headers: tuple[str, str], path: str = "/page", peer: str = PEER) -> Admission:
    scope = question(Front.NGINX, path, *headers, client=(peer, 1))
    return await ask({**scope, "raw_path": PREFIX + b"nginx/answer"})


async def test_nginx_gets_the_words_about_a_refusal_without_a_decision() -> None:
    said = ("x-gateway-reason", "session-token-missing")
    admission = await told(said, ("accept", "text/html"))
    answer = answer_of(admission)
    assert answer.status == 401
    assert b"https://accounts.example.test/sign-in?redirect_url=" in answer.body
    problem = answer_of(await told(said, ("accept", "application/json")))
    assert json.loads(problem.body)["reason"] == "session-token-missing"
    assert int(httpx.Headers(list(problem.headers))["content-length"]) == len(problem.body)


async def test_the_words_name_what_is_missing() -> None:
    admission = await told(
        ("x-gateway-reason", "reverification-required"), ("x-gateway-state", "signed-in"), path="/admin"
    )
    assert json.loads(answer_of(admission).body)["clerk_error"]["reason"] == "reverification-error"
    assert headers_of(admission)["x-clerk-auth-status"] == "signed-in"


@pytest.mark.parametrize("headers", [(), (("x-gateway-reason", "made-up"),), (("x-gateway-reason", ""),)])
async def test_words_about_nothing_deny(headers: tuple[tuple[str, str], ...]) -> None:
    assert answer_of(await told(*headers)).status == 401


async def test_words_about_what_cannot_be_read() -> None:
    assert answer_of(await told(("x-gateway-reason", "request-target-invalid"), path="/%00")).status == 400
    assert answer_of(await told(("x-gateway-reason", "route-not-found"), path="/.gateway/x")).status == 404


async def test_words_about_what_the_front_does_not_say() -> None:
    admission = await told(("x-gateway-reason", "original-request-invalid"), path="//page")
    assert (answer_of(admission).status, admission.verdict.reason) == (400, Reason.ORIGINAL_REQUEST_INVALID)
    assert answer_of(admission).body


async def test_of_two_cookies_of_one_name_the_last_is_handed_on() -> None:
    fresh = mint()
    twice = (f"{NAMES.session}=old; Path=/", *directives(fresh))
    admission = await ask(question(Front.NGINX, "/page", expired_cookies()), service(gate(api=Api(twice))))
    handed = [value for name, value in answer_of(admission).headers if name.startswith(b"x-gateway-set-cookie-")]
    assert len(handed) == len({value.partition(b"=")[0] for value in handed}) == 2
    assert any(fresh.encode() in value for value in handed)


def test_every_cookie_that_we_may_set_has_a_header_of_its_own() -> None:
    foreign = {"__client", f"__client_{NAMES.suffix}", "__refresh"}  # never set by us
    assert len(NAMES.private - foreign) <= MAX_COOKIES


async def test_nobody_else_is_told() -> None:
    assert answer_of(await told(("x-gateway-reason", "session-token-missing"), peer="192.0.2.1")).status == 403


async def test_the_state_of_the_world_stays_what_it_was() -> None:
    clock = Clock()
    judging = gate(clock=clock)
    first = await ask(question(Front.CADDY, "/page", BEARER), service(judging))
    again = await ask(question(Front.ENVOY, "/page", BEARER), service(judging))
    assert (first.verdict.how, again.verdict.how) == (How.SIGNATURE, How.CACHE)
    assert answer_of(first) == answer_of(again)
