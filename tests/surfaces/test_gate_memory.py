"""What the gate remembers changes no decision: whatever is asked, a warm gate says what a cold one says."""

from ipaddress import ip_network
from itertools import product
from random import Random

import pytest

from gateway.authenticator.verified import VerifiedTokens
from gateway.core.case import Rules
from gateway.core.instance import InstanceKind
from gateway.core.organization_sync import OrganizationPatterns, Pattern
from gateway.core.referrers import KnownPages
from gateway.core.requirement import Requirement
from gateway.core.satellites import Primary, Satellite
from gateway.core.settings_model import Access, OnSignedOut, RouteSettings
from gateway.core.token_class import TokenType
from gateway.core.trust import Trust
from gateway.core.verdict import How, State
from gateway.surfaces.gate import Admission, Gate
from tests.authenticator.engine_kit import APP, HOST, ISSUER, NAMES, NOW, Clock, expired, mint, rules
from tests.surfaces.surfaces_kit import gate_of, scope_of, websocket_scope

GOOD, OTHER = mint(), mint(sid="sess_2", sub="user_2", iat=int(NOW) - 3)
UAT = f"{NAMES.client_uat}=1700000000; __client_uat=1700000000"
COOKIES = (
    "",
    f"__clerk_db_jwt=dvb; {NAMES.dev_browser}=dvb; {NAMES.session}={GOOD}; {UAT}",
    f"{NAMES.session}={GOOD}; {UAT}",
    f"theme=dark; __session={GOOD}; {NAMES.session}={GOOD}; {UAT}; lang=en",
    f"__session={GOOD}; {NAMES.session}={OTHER}; {UAT}",
    f"__session={GOOD}; __session={OTHER}; __client_uat=1700000000",
    f"{NAMES.session}={GOOD}",
    f"{NAMES.session}={expired()}; {UAT}",
    f"{NAMES.session}={GOOD}; {UAT}; __clerk_handshake_nonce=n1",
    f"{NAMES.session}={mint(nbf=int(NOW) + 4, iat=int(NOW) + 4)}; {UAT}",
)
BEARERS = ((), ("Bearer " + GOOD,), ("Bearer " + expired(),), ("Basic YTpi",), ("Bearer " + GOOD, "Bearer " + GOOD))
QUERIES = (b"", b"page=2", b"q=%20", b"%5F%5Fclerk_db_jwt=x", b"__clerk_handshake_nonce=n2")
KINDS = (
    ("GET", {"sec-fetch-dest": "empty"}),
    ("POST", {"sec-fetch-dest": "empty"}),
    ("GET", {"sec-fetch-dest": "document"}),
    ("GET", {"sec-fetch-dest": "document", "referer": "https://elsewhere.example/"}),
    ("GET", {"accept": "text/html"}),
)


def scope(cookies: str, bearers: tuple[str, ...], query: bytes, kind: tuple[str, dict[str, str]]) -> dict[str, object]:
    method, named = kind
    headers = [*named.items(), *[("authorization", value) for value in bearers]]
    if cookies:
        headers.append(("cookie", cookies))
    return scope_of("/page", *headers, method=method, query=query)


def said(admission: Admission) -> tuple[object, ...]:
    verdict = admission.verdict
    return (
        verdict.state,
        verdict.reason,
        verdict.claims,
        verdict.cookies,
        verdict.location,
        admission.identity,
        admission.answer,
    )


PATTERNS = OrganizationPatterns((Pattern.parse("/:slug"),))
INSTANCES = {
    "plain": rules(),
    "with pages of its own": rules(known_pages=KnownPages(HOST)),
    "with organizations": rules(organizations=PATTERNS),
    "development": rules(kind=InstanceKind.DEVELOPMENT),
}


async def warmed(clock: Clock, instance: Rules) -> Gate:
    gate = gate_of(clock=clock, instance=instance)
    for cookies, bearers, kind in product(COOKIES, BEARERS, KINDS):
        await gate.admit(scope(cookies, bearers, b"", kind))
    return gate


@pytest.mark.parametrize("instance", INSTANCES.values(), ids=INSTANCES)
@pytest.mark.parametrize("later_s", [-30, 0, 57, 61], ids="{:+} s".format)
async def test_a_warm_gate_says_what_a_cold_one_says(later_s, instance):
    clock = Clock()
    gate = await warmed(clock, instance)
    cold = gate_of(clock=clock, instance=instance, verified=VerifiedTokens(max_entries=0))
    clock.advance(later_s)
    for cookies, bearers, query, kind in product(COOKIES, BEARERS, QUERIES, KINDS):
        asked = scope(cookies, bearers, query, kind)
        assert said(await gate.admit(asked)) == said(await cold.admit(asked)), (cookies, query, kind)


@pytest.mark.parametrize(
    "headers", [("authorization", f"Bearer {GOOD}"), ("cookie", COOKIES[3])], ids=["bearer", "cookies"]
)
async def test_the_second_request_with_the_same_credentials_is_recalled(headers):
    gate = gate_of()
    asked = scope_of("/page", headers, ("sec-fetch-dest", "empty"))
    first, second = await gate.admit(asked), await gate.admit(asked)
    assert (first.verdict.how, second.verdict.how) == (How.SIGNATURE, How.CACHE)
    facts = second.facts
    assert gate.authenticator.recall(facts, [headers[1].encode()]) is second.verdict
    assert facts.cookies == ({} if headers[0] == "authorization" else facts.cookies)


async def test_a_session_that_ended_is_not_recalled_and_not_verified_again():
    gate = gate_of()
    asked = scope(COOKIES[2], (), b"", KINDS[0])
    assert (await gate.admit(asked)).verdict.state is State.SIGNED_IN
    gate.authenticator.verified.end_session("sess_1", NOW)
    refused = await gate.admit(asked)
    assert (refused.verdict.reason, refused.answer.status) == ("session-ended", 401)
    bearer = await gate.admit(scope("", BEARERS[1], b"", KINDS[0]))
    assert (bearer.verdict.reason, bearer.answer.status) == ("session-ended", 401)
    opened = await gate.admit(scope(COOKIES[2], (), b"", KINDS[2]))
    assert (opened.verdict.state, opened.answer.status) == (State.HANDSHAKE, 307)
    assert dict(opened.answer.headers)[b"location"].startswith(f"{ISSUER}/v1/client/handshake".encode())


# What is not in the credentials: where the request is sent, by whom, how, and to which route.

PROXIED = mint(iss=f"{APP}/__clerk")
SITES = INSTANCES | {
    "a proxy under a path": rules(proxy_path="/__clerk"),
    "a satellite": rules(role=Satellite()),
    "a satellite that syncs unasked": rules(role=Satellite(syncs_unasked=True)),
    "a satellite in development": rules(kind=InstanceKind.DEVELOPMENT, role=Satellite(True, "https://in.test/in")),
    "a primary": rules(kind=InstanceKind.DEVELOPMENT, role=Primary(frozenset({"https://satellite.test"}))),
}
ROUTES = (
    RouteSettings(path="/"),
    RouteSettings(path="/public", access=Access.PUBLIC),
    RouteSettings(path="/maybe", access=Access.OPTIONAL),
    RouteSettings(path="/admin", require=Requirement(role="org:admin")),
    RouteSettings(path="/machines", accepts=(TokenType.OAUTH_TOKEN,)),
    RouteSettings(path="/both", accepts=(TokenType.M2M_TOKEN, TokenType.SESSION_TOKEN)),
    RouteSettings(path="/writes", methods=("POST",), on_signed_out=OnSignedOut.UNAUTHORIZED),
)
TOKENS = (GOOD, PROXIED, mint(o={"id": "org_1", "rol": "admin"}), mint("key_1", header={"typ": "at+jwt"}))
CREDENTIALS = (
    *(("authorization", f"Bearer {token}") for token in TOKENS),
    *(("cookie", f"{NAMES.session}={token}; {UAT}; {NAMES.dev_browser}=dvb") for token in TOKENS),
    ("cookie", f"__session={PROXIED}; {UAT}"),
)
PLACES: tuple[tuple[tuple[str, str], ...], ...] = (
    (("host", "app.example.test"),),
    (("host", "other.example.test"),),
    (("host", "other.example.test"), ("x-forwarded-host", "app.example.test"), ("x-forwarded-proto", "https")),
    (("host", "app.example.test"), ("x-forwarded-proto", "http")),
)
QUESTIONS = (b"", b"__clerk_synced=false", b"__clerk_redirect_url=https://satellite.test/", b"__gateway_state=1.x")
WAYS = (("GET", "document"), ("GET", "empty"), ("POST", "empty"), ("websocket", "websocket"))


@pytest.mark.parametrize("instance", SITES.values(), ids=SITES)
async def test_nothing_that_is_remembered_answers_another_question(instance):
    """Places, routes and ways share one memory, and a gate without memory says the same."""
    trust = Trust((ip_network("192.0.2.1"),))
    warm, cold = (
        gate_of(*ROUTES, instance=instance, trust=trust, verified=verified)
        for verified in (VerifiedTokens(), VerifiedTokens(max_entries=0))
    )
    paths = [f"{route.path.rstrip('/')}/x" for route in ROUTES]
    every = list(product(CREDENTIALS, PLACES, paths, QUESTIONS, WAYS, ["192.0.2.1", "192.0.2.2"]))
    requests = Random(7).sample(every, 800)
    for credentials, place, path, query, (method, destination), client in (*requests, *reversed(requests)):
        headers = (credentials, *place, ("sec-fetch-dest", destination))
        changes = {"query": query, "client": (client, 1)}
        asked = (
            websocket_scope(path, *headers, **changes)
            if method == "websocket"
            else scope_of(path, *headers, method=method, **changes)
        )
        known, made = await warm.admit(asked), await cold.admit(asked)
        assert said(known)[:-1] == said(made)[:-1], (credentials[0], place, path, query, method, client)
        assert (known.answer and known.answer.status) == (made.answer and made.answer.status)
