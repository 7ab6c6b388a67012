"""What the gate remembers changes no decision: whatever is asked, a warm gate says what a cold one says."""

from itertools import product

import pytest

from gateway.authenticator.verified import VerifiedTokens
from gateway.core.case import Rules
from gateway.core.instance import InstanceKind
from gateway.core.organization_sync import OrganizationPatterns, Pattern
from gateway.core.referrers import KnownPages
from gateway.core.verdict import How, State
from gateway.surfaces.gate import Admission, Gate
from tests.authenticator.engine_kit import HOST, ISSUER, NAMES, NOW, Clock, expired, mint, rules
from tests.surfaces.surfaces_kit import gate_of, scope_of

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
