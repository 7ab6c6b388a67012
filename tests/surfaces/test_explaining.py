"""Explanations: the gate's own judgement, told from the address to the answer."""

import json
from dataclasses import asdict
from ipaddress import ip_network

import pytest

from gateway.core.advice import NOTHING, TABLE
from gateway.core.loop_causes import WORDS, LoopCause
from gateway.core.reasons import Reason
from gateway.core.requirement import Requirement
from gateway.core.settings_model import Access, RouteSettings
from gateway.core.trace import Mark
from gateway.core.trust import Trust
from gateway.errors import KeysUnavailable
from gateway.surfaces.explaining import Explanation, explain
from tests.authenticator.engine_kit import APP, NAMES, NOW, Api, Keys, directives, expired, mint
from tests.surfaces.surfaces_kit import FETCH, PAGE, gate_of, scope_of

UAT = str(int(NOW) - 1000)
UPSTREAM = RouteSettings(path="/api", upstream="http://127.0.0.1:9000")


def told(explanation: Explanation, what: str) -> list[tuple[Mark, str]]:
    return [(step.mark, step.detail) for step in explanation.steps if step.what == what]


def browser(token: str, *headers: tuple[str, str], path: str = "/page", query: bytes = b"") -> dict[str, object]:
    cookie = f"{NAMES.session}={token}; {NAMES.client_uat}={UAT}; {NAMES.refresh}=refresh-secret-1"
    return scope_of(path, ("cookie", cookie), *PAGE.items(), *headers, query=query)


async def test_a_request_that_passes_is_told_to_its_end():
    scope = scope_of("/api/x", ("authorization", f"Bearer {mint()}"), query=b"code=secret&flag")
    explanation = await explain(gate_of(RouteSettings(), UPSTREAM), scope)
    assert (explanation.passes, explanation.status, explanation.state) == (True, 0, "signed-in")
    assert (explanation.method, explanation.url) == ("GET", f"{APP}/api/x?code=...&...")
    assert (explanation.route, explanation.upstream) == ("/api", "http://127.0.0.1:9000")
    assert dict(explanation.identity)["x-session-user-id"] == "user_1"
    assert explanation.what_to_do == NOTHING
    assert told(explanation, "public address") == [(Mark.OK, APP)]
    assert told(explanation, "path") == [(Mark.OK, "/api/x")]
    assert told(explanation, "route") == [(Mark.CHOSEN, "/api")]
    assert told(explanation, "requirement") == [
        (Mark.CHOSEN, "access = required, on_signed_out = auto, accepts session_token")
    ]
    assert told(explanation, "signature") == [(Mark.OK, "")]
    assert [step.what for step in explanation.steps[:5]] == [
        "public address",
        "client address",
        "path",
        "route",
        "requirement",
    ]


async def test_an_explanation_leaves_the_caches_alone():
    gate, keys = gate_of(), Keys("key_1")
    gate = gate_of(keys=keys)
    scope = scope_of("/x", ("authorization", f"Bearer {mint()}"))
    await explain(gate, scope)
    assert len(gate.authenticator.verified) == 0


async def test_a_refusal_is_told_with_what_to_do():
    explanation = await explain(gate_of(), scope_of("/page", *FETCH.items()))
    assert (explanation.status, explanation.reason) == (401, "session-token-and-uat-missing")
    assert explanation.what_to_do == TABLE[Reason.SESSION_TOKEN_AND_UAT_MISSING]
    assert (explanation.location, explanation.cookies, explanation.identity) == ("", (), ())


async def test_a_redirect_is_told_without_the_values_of_its_query():
    explanation = await explain(gate_of(), browser(mint(iat=int(NOW) - 2000), query=b"a=1"))
    assert (explanation.status, explanation.state) == (307, "handshake")
    assert explanation.location.startswith("https://clerk.example.test/v1/client/handshake?redirect_url=...&")
    assert explanation.location.endswith("__session=...")
    assert explanation.cookies == ("__clerk_redirect_count", "__Host-gateway_state")


async def test_what_was_not_asked_is_said():
    api = Api(directives(mint(jti="new")))
    explanation = await explain(gate_of(api=api), browser(expired()))
    assert explanation.not_asked == ("would be asked for refresh: POST /v1/sessions/sess_1/refresh",)
    assert "--live" in explanation.what_to_do
    explanation = await explain(gate_of(api=api), browser(expired()), live=True)
    assert (explanation.passes, explanation.not_asked) == (True, ())
    assert explanation.cookies == (NAMES.refresh, NAMES.session) or NAMES.session in explanation.cookies


async def test_a_public_route_asks_nobody():
    gate = gate_of(RouteSettings(access=Access.PUBLIC))
    explanation = await explain(gate, scope_of("/%7Ex"))
    assert told(explanation, "requirement") == [(Mark.SKIPPED, "access = public: nobody is asked who they are")]
    assert told(explanation, "path") == [(Mark.OK, "/~x, in its canonical form")]
    assert explanation.identity == (("x-session-status", "signed-out"),)


async def test_what_a_route_requires_is_told_one_by_one():
    route = RouteSettings(require=Requirement(role="org:admin", permission="org:teams:read"))
    member = mint(o={"id": "org_1", "rol": "admin"})
    explanation = await explain(gate_of(route), scope_of("/x", ("authorization", f"Bearer {member}")))
    assert told(explanation, "requirement")[1:] == [
        (Mark.OK, "role org:admin"),
        (Mark.NO, "permission org:teams:read"),
    ]
    assert (explanation.status, explanation.reason) == (403, "missing-permission")
    assert "routes[].require.permission" in explanation.what_to_do
    explanation = await explain(gate_of(route), scope_of("/x"))
    assert len(told(explanation, "requirement")) == 1


async def test_a_loop_is_told_with_its_cause():
    cookie = f"{NAMES.session}={mint(iat=int(NOW) - 2000)}; {NAMES.client_uat}={UAT}; __client_uat=7; __client_uat=8"
    scope = scope_of("/page", ("cookie", f"{cookie}; __clerk_redirect_count=3"), *PAGE.items())
    explanation = await explain(gate_of(), scope)
    assert (explanation.status, explanation.cause) == (401, "duplicate-cookies")
    assert told(explanation, "loop") == [(Mark.CHOSEN, "duplicate-cookies: Came several times: __client_uat")]
    assert explanation.what_to_do == WORDS[LoopCause.DUPLICATE_COOKIES].operator


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_forwarding_headers_are_believed_or_not(is_trusted: bool):
    trust = Trust((ip_network("192.0.2.0/24"),) if is_trusted else ())
    forwarded = ("x-forwarded-proto", "https"), ("x-forwarded-for", "198.51.100.7")
    explanation = await explain(gate_of(trust=trust), scope_of("/x", *forwarded, scheme="http"))
    ((mark, detail),) = told(explanation, "forwarding headers")
    if is_trusted:
        assert (mark, detail) == (Mark.OK, "X-Forwarded-Proto, X-Forwarded-For believed of 192.0.2.1")
        assert (explanation.client, explanation.url) == ("198.51.100.7", f"{APP}/x")
    else:
        assert (mark, explanation.client) == (Mark.NO, "192.0.2.1")
        assert "192.0.2.1 is not in server.trusted_proxies" in detail
        assert explanation.url.startswith("http://")


@pytest.mark.parametrize(
    ("scope", "what", "detail", "status"),
    [
        (scope_of("/x", ("host", "a b")), "host", "host-invalid", 400),
        (scope_of("/a/../b"), "path", "dot-segment", 400),
        (scope_of("/x", method="TRACE"), "route", "/", 405),
        (scope_of("/elsewhere"), "route", "none of 1 takes GET at this host and path", 404),
    ],
)
async def test_a_request_that_comes_to_no_decision_is_told_too(scope, what: str, detail: str, status: int):
    route = RouteSettings(path="/api") if status == 404 else RouteSettings()
    explanation = await explain(gate_of(route), scope)
    assert (explanation.status, told(explanation, what)[-1][1]) == (status, detail)
    assert explanation.what_to_do != NOTHING


async def test_keys_out_of_reach_are_told():
    keys = Keys(error=KeysUnavailable(Reason.JWK_REMOTE_TLS, "the certificate is of another host"))
    keys.set = {}
    explanation = await explain(gate_of(keys=keys), scope_of("/x", ("authorization", f"Bearer {mint()}")))
    assert (explanation.status, explanation.state) == (503, "unknown")
    assert "certificate" in explanation.what_to_do


@pytest.mark.parametrize(("ahead_s", "is_told"), [(60, True), (3, True), (0, False)])
async def test_a_clock_that_disagrees_is_told(ahead_s: int, is_told: bool):
    second = int(NOW)
    token = mint(iat=second + ahead_s, nbf=second - 10)
    for scope in (browser(token), scope_of("/x", ("authorization", f"Bearer {token}"))):
        explanation = await explain(gate_of(), scope)
        assert bool(explanation.clock) is is_told
        assert explanation.passes is (ahead_s < 5)
        if is_told:
            assert f"issued {ahead_s} s in the future" in explanation.clock


SECRETS = (
    mint(),
    expired(),
    mint("key_2"),
    mint(iss="https://clerk.other.test"),
    "junk-that-is-no-token",
    mint(kid="x", header={"kid": "refresh-secret-1"}),
)


@pytest.mark.parametrize("token", SECRETS)
@pytest.mark.parametrize("place", ["cookie", "bearer", "nonce", "handshake", "dev browser"])
async def test_no_token_cookie_or_nonce_is_ever_told(token: str, place: str):
    query = {"nonce": "__clerk_handshake_nonce", "handshake": "__clerk_handshake", "dev browser": "__clerk_db_jwt"}
    scope = browser(token, query=f"{query[place]}={token}".encode()) if place in query else browser(token)
    if place == "bearer":
        scope = browser(mint(), ("authorization", f"Bearer {token}"))
    for live in (False, True):
        api = Api(directives(mint(jti="new")))
        explanation = await explain(gate_of(api=api), scope, live=live)
        everything = json.dumps(asdict(explanation)) + repr(explanation)
        for secret in (token, mint(jti="new"), "refresh-secret-1", UAT):
            assert secret not in everything
            assert secret[-12:] not in everything
