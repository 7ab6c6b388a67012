"""The way to a decision: host, target, route, session, the route's terms; and what happens when nothing can be said."""

import asyncio
import socket
import ssl
from collections.abc import Callable

import httpx
import pytest

from gateway.adapters.jwks import DEFAULTS, LIFETIME_S, RemoteKeys
from gateway.adapters.key_load import public_jwks
from gateway.authenticator.verified import VerifiedTokens
from gateway.core.header_names import MAX_HEAD_BYTES
from gateway.core.reasons import Reason
from gateway.core.requirement import Requirement
from gateway.core.settings_model import Access, RouteSettings
from gateway.core.tokens import Expectations
from gateway.core.trust import Trust
from gateway.core.verdict import State
from gateway.surfaces.gate import Admission, Gate
from tests.authenticator.engine_kit import (
    ISSUER,
    NAMES,
    Api,
    Clock,
    Keys,
    directives,
    expired,
    jwks,
    mint,
    rules,
    settle,
)
from tests.surfaces.surfaces_kit import PAGE, gate_of, scope_of, websocket_scope

PUBLIC = RouteSettings(path="/public", access=Access.PUBLIC)
REQUIRED = RouteSettings(path="/")


def status_of(admission: Admission) -> int:
    return admission.answer.status if admission.answer else 0


def header_of(admission: Admission, name: str) -> str:
    return httpx.Headers(list(admission.answer.headers)).get(name, "")


def reason_of(admission: Admission) -> str:
    return header_of(admission, "x-clerk-auth-reason")


def signed_in(path: str = "/page", token: str = "", **changes: object) -> dict[str, object]:
    return scope_of(path, ("authorization", f"Bearer {token or mint()}"), **changes)


# Admission


async def test_a_signed_in_request_passes_with_its_identity():
    admission = await gate_of().admit(signed_in())
    assert (admission.answer, admission.session.user_id) == (None, "user_1")
    assert dict(admission.identity) == {
        b"x-session-user-id": b"user_1",
        b"x-session-id": b"sess_1",
        b"x-session-status": b"signed-in",
    }
    assert admission.route.name == "/"


async def test_a_public_route_passes_without_asking_anybody():
    keys = Keys(error=AssertionError())
    admission = await gate_of(REQUIRED, PUBLIC, keys=keys).admit(signed_in("/public/x"))
    assert (admission.answer, admission.session, admission.verdict.state) == (None, None, State.SIGNED_OUT)
    assert admission.identity == ((b"x-session-status", b"signed-out"),)
    assert keys.found == []


async def test_an_optional_route_passes_signed_out():
    admission = await gate_of(RouteSettings(access=Access.OPTIONAL)).admit(signed_in(token="junk"))
    assert (admission.answer, admission.verdict.reason) == (None, "token-invalid")
    assert admission.identity == ((b"x-session-status", b"signed-out"),)


async def test_a_page_that_needs_a_session_is_sent_to_the_sign_in_page():
    admission = await gate_of().admit(scope_of("/page", *PAGE.items(), query=b"a=1"))
    assert status_of(admission) == 307
    assert header_of(admission, "location") == (
        "https://accounts.example.test/sign-in?redirect_url=https%3A%2F%2Fapp.example.test%2Fpage%3Fa%3D1"
    )


async def test_a_refusal_carries_the_decisions_message_for_the_log():
    admission = await gate_of().admit(signed_in(token=mint("key_2", header={"kid": "key_1"})))
    assert (status_of(admission), admission.detail) == (401, "its signature is not the key's")


async def test_a_refreshed_session_takes_its_cookies_and_its_new_identity_along():
    new = mint(o={"id": "org_1", "slg": "acme", "rol": "admin"})
    cookies = f"{NAMES.session}={expired()}; {NAMES.client_uat}=1700000000; {NAMES.refresh}=rt_1"
    gate = gate_of(api=Api(directives(new)))
    for method in ("GET", "POST"):
        admission = await gate.admit(scope_of("/page", ("cookie", cookies), method=method))
        assert admission.answer is None
        assert dict(admission.identity)[b"x-session-org-slug"] == b"acme"
        assert [cookie.name for cookie in admission.verdict.cookies] == [NAMES.refresh, NAMES.session]


COOKIES = ("cookie", f"{NAMES.session}={mint()}; {NAMES.client_uat}=1700000000")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((COOKIES, ("origin", "https://app.example.test")), 0),
        ((COOKIES, ("origin", "https://other.example.test")), 0),
        ((COOKIES,), 0),
        ((("authorization", f"Bearer {mint()}"), ("origin", "https://evil.example")), 0),
        ((COOKIES, ("origin", "https://evil.example")), 403),
        ((COOKIES, ("origin", "null")), 403),
        ((COOKIES, ("origin", "http://app.example.test")), 403),
        ((COOKIES, ("origin", "https://app.example.test.evil.example")), 403),
        ((("authorization", "Basic YTpi"), COOKIES, ("origin", "https://evil.example")), 403),
    ],
)
@pytest.mark.parametrize("access", [Access.REQUIRED, Access.OPTIONAL])
async def test_no_page_of_another_site_opens_a_websocket_with_cookies(headers, status, access):
    parties = frozenset({"https://app.example.test", "https://other.example.test"})
    instance = rules(expected=Expectations(frozenset({ISSUER}), parties, 5.0))
    gate = gate_of(RouteSettings(access=access), instance=instance)
    admission = await gate.admit(websocket_scope("/ws", *headers))
    assert (status_of(admission) if admission.answer else 0) == status
    if status:
        assert (reason_of(admission), admission.identity) == (Reason.WEBSOCKET_ORIGIN_REFUSED, ())


async def test_anybody_opens_a_websocket_where_nobody_is_asked():
    gate = gate_of(RouteSettings(access=Access.PUBLIC))
    admission = await gate.admit(websocket_scope("/ws", COOKIES, ("origin", "https://evil.example")))
    assert (admission.answer, admission.session) == (None, None)


async def test_a_websocket_is_judged_like_a_get():
    gate = gate_of()
    assert (await gate.admit(websocket_scope("/ws", ("authorization", f"Bearer {mint()}")))).answer is None
    assert status_of(await gate.admit(websocket_scope("/ws"))) == 401


# What a route asks for beyond a session


ADMINS = RouteSettings(path="/admin", require=Requirement(role="org:admin", reverification="strict"))
ADMIN = {"o": {"id": "org_1", "slg": "acme", "rol": "admin"}}


async def test_a_session_that_has_all_that_is_asked_passes():
    admission = await gate_of(REQUIRED, ADMINS).admit(signed_in("/admin/x", mint(fva=[1, -1], **ADMIN)))
    assert (admission.answer, admission.session.user_id) == (None, "user_1")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"fva": [1, -1]}, "missing-role"),
        (ADMIN, "reverification-required"),
        ({"fva": [10, -1], **ADMIN}, "reverification-required"),
    ],
)
@pytest.mark.parametrize("headers", [(), tuple(PAGE.items())], ids=["program", "page"])
async def test_a_session_that_lacks_something_is_403_and_not_sent_to_sign_in(claims, reason, headers):
    scope = scope_of("/admin", ("authorization", f"Bearer {mint(**claims)}"), *headers)
    admission = await gate_of(REQUIRED, ADMINS).admit(scope)
    assert (status_of(admission), reason_of(admission)) == (403, reason)
    assert header_of(admission, "x-clerk-auth-status") == "signed-in"
    assert header_of(admission, "location") == ""
    assert (admission.verdict.state, admission.verdict.reason) == (State.SIGNED_IN, reason)
    assert admission.identity == ()


async def test_the_new_claims_of_a_refreshed_session_are_the_ones_that_count():
    old = expired(fva=[1, -1], **ADMIN)
    cookies = f"{NAMES.session}={old}; {NAMES.client_uat}=1700000000; {NAMES.refresh}=rt_1"
    gate = gate_of(ADMINS, api=Api(directives(mint(fva=[1, -1], o={"id": "org_1", "rol": "member"}))))
    admission = await gate.admit(scope_of("/admin", ("cookie", cookies), method="POST"))
    assert admission.detail.startswith("the route asks for ")
    assert (status_of(admission), reason_of(admission)) == (403, "missing-role")
    assert NAMES.session in header_of(admission, "set-cookie")


async def test_who_is_signed_out_is_told_that_first():
    admission = await gate_of(ADMINS).admit(scope_of("/admin"))
    assert (status_of(admission), reason_of(admission)) == (401, "session-token-and-uat-missing")


# Host, target, route: in this order, before anything is asked


@pytest.mark.parametrize("host", ["app/public?x=", "app/public#", "a@b", "", "[::1"])
async def test_a_host_that_is_none_is_400_before_anything_else(host):
    keys = Keys(error=AssertionError())
    admission = await gate_of(PUBLIC, REQUIRED, keys=keys).admit(
        scope_of("/admin", ("host", host), ("authorization", f"Bearer {mint()}"))
    )
    assert (status_of(admission), reason_of(admission)) == (400, Reason.REQUEST_HOST_INVALID)
    assert (admission.facts, admission.route) == (None, None)
    assert admission.verdict.reason == Reason.REQUEST_HOST_INVALID
    assert admission.detail.startswith("host-")


async def test_a_host_that_is_not_allowed_is_400_and_never_in_a_redirect():
    gate = gate_of(trust=Trust((), ("app.example.test",)))
    assert status_of(await gate.admit(scope_of("/", *PAGE.items()))) == 307
    admission = await gate.admit(scope_of("/", ("host", "evil.test"), *PAGE.items()))
    assert (status_of(admission), header_of(admission, "location")) == (400, "")
    assert b"evil.test" not in admission.answer.body


@pytest.mark.parametrize(
    "path", ["/public/../admin", "/public/%2e%2e/admin", "/public/..%2fadmin", "/public\\..\\admin"]
)
async def test_a_path_that_two_programs_may_read_differently_is_400(path):
    admission = await gate_of(PUBLIC, REQUIRED).admit(scope_of(path))
    assert (status_of(admission), reason_of(admission)) == (400, Reason.REQUEST_TARGET_INVALID)


async def test_an_unreadable_request_of_a_person_gets_a_page():
    admission = await gate_of().admit(scope_of("/%00", *PAGE.items()))
    assert header_of(admission, "content-type").startswith("text/html")


@pytest.mark.parametrize(
    "headers",
    [
        [("x-forwarded-uri", "/public"), ("x-forwarded-method", "OPTIONS")],
        [("x-original-url", "/public"), ("x-rewrite-url", "/public")],
        [("x-forwarded-prefix", "/public")],
        [("user-agent", "kube-probe/1.30")],
        [("x-http-method-override", "OPTIONS")],
        [("x-forwarded-for", "127.0.0.1")],
        [("referer", "https://accounts.example.test/")],
    ],
    ids=lambda headers: headers[0][0],
)
async def test_no_header_of_a_client_chooses_another_route(headers):
    admission = await gate_of(REQUIRED, PUBLIC).admit(scope_of("/admin", *headers))
    assert (status_of(admission), admission.route.name) == (401, "/")


@pytest.mark.parametrize("query", [b"x=/public", b"/public", b"#/public"])
async def test_a_query_does_not_choose_another_route(query):
    assert status_of(await gate_of(REQUIRED, PUBLIC).admit(scope_of("/admin", query=query))) == 401


async def test_a_path_without_a_route_is_404():
    admission = await gate_of(PUBLIC).admit(signed_in("/other"))
    assert (status_of(admission), reason_of(admission), admission.route) == (404, Reason.ROUTE_NOT_FOUND, None)
    assert admission.facts.url.path == "/other"


async def test_a_method_without_a_route_is_405_and_says_which_there_are():
    gate = gate_of(RouteSettings(path="/a", methods=("GET", "PUT")))
    admission = await gate.admit(signed_in("/a", method="POST"))
    assert (status_of(admission), reason_of(admission)) == (405, Reason.METHOD_NOT_ALLOWED)
    assert header_of(admission, "allow") == "GET, HEAD, PUT"


# Faults of ours


@pytest.mark.parametrize("access", [Access.REQUIRED, Access.OPTIONAL])
async def test_an_unexpected_fault_lets_nobody_in_and_says_nothing(access, caplog):
    token, keys = mint(), Keys(error=RuntimeError("a secret detail"))
    keys.set = {}
    admission = await gate_of(RouteSettings(access=access), keys=keys).admit(signed_in(token=token))
    assert (status_of(admission), reason_of(admission)) == (500, Reason.UNEXPECTED_ERROR)
    assert (admission.identity, admission.session) == ((), None)
    assert b"detail" not in admission.answer.body.replace(b'"detail":"Something went wrong in the gateway."', b"")
    assert "deciding about a request failed" in caplog.text
    assert token.rpartition(".")[2] not in caplog.text


# Keys out of reach


def raising(error: Exception) -> httpx.AsyncBaseTransport:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    return httpx.MockTransport(handler)


def caused(error: Exception) -> httpx.ConnectError:
    connect = httpx.ConnectError("no connection")
    connect.__cause__ = error
    return connect


def answering(status: int, content: bytes) -> httpx.AsyncBaseTransport:
    return httpx.MockTransport(lambda request: httpx.Response(status, content=content))


@pytest.mark.parametrize(
    ("transport", "reason"),
    [
        (raising(caused(socket.gaierror(-2, "unknown name"))), Reason.JWK_REMOTE_DNS),
        (raising(caused(ConnectionRefusedError())), Reason.JWK_REMOTE_UNREACHABLE),
        (raising(caused(ssl.SSLCertVerificationError("self-signed"))), Reason.JWK_REMOTE_TLS),
        (raising(httpx.ReadTimeout("slow")), Reason.JWK_REMOTE_TIMEOUT),
        (raising(httpx.RemoteProtocolError("garbage")), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (answering(500, b""), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (answering(200, b"<html>"), Reason.JWK_REMOTE_INVALID),
        (answering(200, b'{"keys": []}'), Reason.JWK_REMOTE_MISSING),
    ],
    ids=["dns", "connect", "tls", "timeout", "protocol", "status", "parse", "no usable key"],
)
@pytest.mark.parametrize("access", [Access.REQUIRED, Access.OPTIONAL])
async def test_keys_out_of_reach_are_503_with_a_reason_of_their_own(transport, reason, access):
    keys = RemoteKeys(public_jwks("https://clerk.example.test/.well-known/jwks.json", transport), lambda: None)
    admission = await gate_of(RouteSettings(access=access), keys=keys).admit(signed_in())
    assert (status_of(admission), reason_of(admission)) == (503, reason)
    assert header_of(admission, "retry-after") == "5"
    assert header_of(admission, "x-clerk-auth-status") == "unknown"
    assert b"clerk.example.test" not in admission.answer.body
    assert admission.detail
    assert admission.identity == ()


async def test_the_real_client_says_that_the_secret_key_is_wrong(make_world):
    world = make_world()
    token = await world.bearer_token()
    world.api.answers["/jwks"] = httpx.Response(401, json={"errors": [{"code": "clerk_key_invalid", "message": "no"}]})
    answer = await world.other.fetch("GET", "/api", authorization=f"Bearer {token}")
    assert (answer.status_code, answer.json()["reason"]) == (503, "secret-key-invalid")
    assert answer.headers["retry-after"] == "30"
    assert world.authority.secret_key.reveal() not in answer.text + repr(answer.headers)


async def test_without_a_token_nothing_is_loaded_and_an_outage_is_not_noticed(make_world):
    world = make_world()
    world.api.error = httpx.ConnectError("refused")
    assert (await world.other.fetch("GET", "/api")).status_code == 401
    assert world.api.calls == []


async def test_an_outage_does_not_touch_who_is_signed_in_and_a_refresh_says_why_it_failed(make_world):
    world = make_world()
    browser = await world.signed_in()
    world.api.error = httpx.ConnectError("refused")
    assert (await browser.fetch("GET", "/api")).status_code == 200
    world.clock.advance(70)
    answer = await browser.fetch("GET", "/api")
    assert (answer.status_code, answer.json()["reason"]) == (401, "session-token-expired-refresh-fetch-error")
    page = await browser.send("GET", "/page")
    assert (page.status_code, page.headers["x-clerk-auth-status"]) == (307, "handshake")


# Keys under load


class Source:
    def __init__(self, *kids: str, gate: asyncio.Event | None = None) -> None:
        self.kids, self.gate, self.loads = kids, gate, 0
        self.error: Exception | None = None

    async def __call__(self) -> object:
        self.loads += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return jwks(*self.kids)


def remote(source: Callable[[], object], clock: Clock) -> tuple[Gate, RemoteKeys]:
    """A gate whose verified tokens die when the keys change, as the composition root wires it."""
    verified = VerifiedTokens()
    keys = RemoteKeys(source, verified.clear, clock, timeout_s=30)
    return gate_of(keys=keys, clock=clock, verified=verified), keys


async def test_a_cold_start_with_many_parallel_requests_makes_one_load():
    source = Source("key_1", gate=asyncio.Event())
    gate, _ = remote(source, Clock())
    tokens = [mint(sub=f"user_{number}") for number in range(20)]
    waiting = [asyncio.create_task(gate.admit(signed_in(token=tokens[number % 20]))) for number in range(300)]
    await settle()
    source.gate.set()
    assert {admission.answer for admission in await asyncio.gather(*waiting)} == {None}
    assert source.loads == 1


async def test_a_flood_of_unknown_key_ids_is_401_and_does_not_disturb_good_tokens():
    source, clock = Source("key_1"), Clock()
    gate, _ = remote(source, clock)
    good = mint(exp=4_000_000_000)
    await gate.admit(signed_in(token=good))
    for _ in range(30):
        for number in range(10):
            admission = await gate.admit(signed_in(token=mint("key_2", header={"kid": f"random_{number}"})))
            assert (status_of(admission), reason_of(admission)) == (401, Reason.JWK_KID_MISMATCH)
        assert (await gate.admit(signed_in(token=good))).answer is None
        clock.advance(1)
    assert source.loads <= 1 + 30 / DEFAULTS.cool_down_s


async def test_a_token_whose_key_vanished_is_refused_even_if_it_was_cached():
    source, clock = Source("key_1", "key_2"), Clock()
    gate, keys = remote(source, clock)
    old, other = mint("key_1", exp=4_000_000_000), mint("key_2", exp=4_000_000_000)
    for token in (old, other):
        assert (await gate.admit(signed_in(token=token))).answer is None
    source.kids = ("key_2",)
    clock.advance(LIFETIME_S + 1)
    await keys.find("key_2")
    admission = await gate.admit(signed_in(token=old))
    assert (status_of(admission), reason_of(admission)) == (401, Reason.JWK_KID_MISMATCH)
    assert (await gate.admit(signed_in(token=other))).answer is None


async def test_old_keys_serve_new_tokens_through_an_outage_and_then_it_is_503_and_not_401():
    source, clock = Source("key_1"), Clock()
    gate, _ = remote(source, clock)
    await gate.admit(signed_in())
    source.error = TimeoutError()
    clock.advance(DEFAULTS.stale_s)
    fresh = int(clock()) - 5
    assert (await gate.admit(signed_in(token=mint(iat=fresh, nbf=fresh, exp=fresh + 60)))).answer is None
    clock.advance(DEFAULTS.cool_down_s + 1)
    admission = await gate.admit(signed_in(token=mint(iat=fresh, nbf=fresh, exp=fresh + 61)))
    assert (status_of(admission), reason_of(admission)) == (503, Reason.JWK_REMOTE_TIMEOUT)


async def test_headers_beyond_the_limit_are_refused_before_anything_is_asked():
    keys = Keys()
    gate = gate_of(keys=keys)
    fits = scope_of("/", ("x-large", "y" * (MAX_HEAD_BYTES - 100)), ("authorization", "Bearer x"))
    assert status_of(await gate.admit(fits)) == 401
    too_large = scope_of("/", ("x-large", "y" * MAX_HEAD_BYTES), ("authorization", f"Bearer {mint()}"))
    admission = await gate.admit(too_large)
    assert (status_of(admission), reason_of(admission)) == (431, Reason.REQUEST_HEADERS_TOO_LARGE)
    assert admission.detail.endswith(f" bytes, {MAX_HEAD_BYTES} are allowed")
    assert keys.found == []
