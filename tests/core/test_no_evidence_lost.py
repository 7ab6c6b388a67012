"""Totality, and what taking evidence away can do: never turn a no into a yes, but for what is stated here by name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.claims import SessionClaims
from gateway.core.cookie_rows import rows_for
from gateway.core.cookies import CLIENT_UAT, DEV_BROWSER, HANDSHAKE, HANDSHAKE_NONCE, REDIRECT_COUNT, SESSION
from gateway.core.evidence import Evidence, Peeked, gather
from gateway.core.family import FamilyRule
from gateway.core.handshake import query_value
from gateway.core.instance import InstanceKind
from gateway.core.organization_sync import OrganizationPatterns, Pattern
from gateway.core.reasons import TABLE, Reason
from gateway.core.referrers import KnownPages
from gateway.core.request import RequestFacts
from gateway.core.verdict import How, State, Verdict
from tests.core.minting import (
    DEV_NAMES,
    DEVELOPMENT,
    FETCH,
    HOST,
    ISSUER,
    NAMES,
    NOTHING_REMEMBERED,
    NOW,
    PAGE,
    PRODUCTION,
    UAT,
    Script,
    directives,
    expired,
    handshake_token,
    judge,
    mint,
    request,
    returned,
    rules,
    signed_in,
)

GOOD, BOB, EXPIRED = mint(), mint(sub="user_2", sid="sess_2"), expired()
FORGED, FOREIGN = mint("key_2", header={"kid": "key_1"}), mint(iss="https://clerk.other.test")
KNOWN_PAGES = KnownPages(HOST, "https://accounts.example.test")
PATTERNS = OrganizationPatterns((Pattern.parse("/page/:slug"), Pattern.parse("/:slug")))


def names_of(kind: InstanceKind):
    return DEV_NAMES if kind is DEVELOPMENT else NAMES


# ── totality ──


@pytest.mark.parametrize("kind", InstanceKind)
def test_every_mix_of_evidence_is_decided_by_a_row_or_is_fit_to_be_verified(kind: InstanceKind) -> None:
    """A missing row denies: what no row takes has a client, one session's token, and in development a browser."""
    claims = SessionClaims("user_1", "sess_1", ISSUER, "", 5, 9)
    peeks = [
        None,
        claims,
        *(Peeked(ISSUER, "s", "u", iat, 9, is_session=yes) for iat in (0, 5, 50) for yes in (False, True)),
    ]
    flags = (False, True)
    for token, peeked, ambiguous, uat, dev, syncs, suffixed in product(
        ("", GOOD), peeks, flags, (-1, 0, 5, 50), ("", "dvb"), flags, flags
    ):
        found = Evidence(kind is DEVELOPMENT, FamilyRule.OTHERWISE, suffixed, token, peeked, ambiguous, uat, dev, syncs)
        row = next((row for row in rows_for(kind, satellite=False) if row.applies(found)), None)
        if row is not None:
            assert row.reason in TABLE
            continue
        assert token
        assert peeked is not None
        assert peeked.is_session
        assert uat
        assert not ambiguous
        assert not 0 < peeked.issued_at_s < uat
        assert kind is PRODUCTION or (dev and not syncs)


BEARERS = (None, "", "junk", GOOD, EXPIRED, FORGED)
SESSIONS = ((), (GOOD,), (EXPIRED,), (FORGED,), ("junk",), (GOOD, BOB))
UATS = ("", "0", UAT, "1900000000")
ANSWERS = (directives(GOOD), directives(BOB), (), "api-says-no", None)
BROUGHT = ("", "nonce", handshake_token(directives(GOOD)), handshake_token(["__session="]), "junk")


@pytest.mark.parametrize("kind", InstanceKind)
def test_every_mix_of_facts_has_a_verdict_with_a_known_reason(kind: InstanceKind) -> None:
    names = names_of(kind)
    for bearer, session, uat, brought, count, page, method in product(
        BEARERS, SESSIONS, UATS, BROUGHT, ("", "3"), (PAGE, FETCH), ("GET", "POST")
    ):
        is_nonce = brought == "nonce"
        cookies = {
            names.session: session,
            names.client_uat: uat,
            names.dev_browser: "dvb",
            names.refresh: "rt",
            HANDSHAKE_NONCE: brought if is_nonce else "",
            HANDSHAKE: "" if is_nonce else brought,
            REDIRECT_COUNT: count,
        }
        facts = returned(cookies, bearer=bearer, headers=page, method=method)
        for answer in ANSWERS if EXPIRED in (bearer, *session) or is_nonce else ANSWERS[:1]:
            payload = answer if isinstance(answer, tuple) else None
            verdict = judge(facts, rules(kind), Script(refresh=answer, payload=payload))
            is_in = verdict.state is State.SIGNED_IN
            assert is_in or verdict.reason in TABLE or re.fullmatch("session-token-expired-refresh-.+", verdict.reason)
            assert (verdict.claims is not None, bool(verdict.token)) == (is_in, is_in)


# ── evidence taken away ──


@dataclass(frozen=True)
class Item:
    """One piece of evidence: the Bearer token, one value of a cookie, a header or a query parameter."""

    kind: str
    name: str = ""
    value: str = ""


def items(facts: RequestFacts) -> list[Item]:
    found = [Item("bearer")] if facts.bearer is not None else []
    found += [Item("cookie", name, value) for name, values in facts.cookies.items() for value in values]
    found += [Item("header", name) for name in facts.headers]
    return found + [Item("parameter", pair) for pair in facts.url.query.split("&") if pair]


def without(facts: RequestFacts, taken: set[Item]) -> RequestFacts:
    cookies = {
        name: kept
        for name, values in facts.cookies.items()
        if (kept := tuple(value for value in values if Item("cookie", name, value) not in taken))
    }
    query = "&".join(pair for pair in facts.url.query.split("&") if Item("parameter", pair) not in taken)
    headers = {name: value for name, value in facts.headers.items() if Item("header", name) not in taken}
    bearer = None if Item("bearer") in taken else facts.bearer
    return replace(facts, cookies=cookies, url=replace(facts.url, query=query), headers=headers, bearer=bearer)


@dataclass(frozen=True)
class Change:
    """A request that was refused, and is signed in when something is taken from it."""

    facts: RequestFacts
    taken: set[Item]
    kind: InstanceKind
    before: Verdict
    after: Verdict

    def took(self, kind: str, *names: str) -> bool:
        return any(item.kind == kind and (not names or item.name.partition("=")[0] in names) for item in self.taken)

    def family(self, facts: RequestFacts) -> bool:
        return gather(facts, names_of(self.kind), self.kind, HOST, NOTHING_REMEMBERED, NOW).suffixed


_FOLLOWING = (Reason.PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC, Reason.ACTIVE_ORGANIZATION_MISMATCH)

HIDES: Mapping[str, Callable[[Change], bool]] = {
    "a Bearer token beats every cookie, also a bad one": lambda c: c.took("bearer"),
    "of several values of one cookie the first counts, or none": lambda c: any(
        len(c.facts.cookies[item.name]) > 1 for item in c.taken if item.kind == "cookie"
    ),
    "one family of cookies hides the other": lambda c: c.family(c.facts) != c.family(without(c.facts, c.taken)),
    "what a handshake says is newer than the cookies": lambda c: c.before.how is How.HANDSHAKE,
    "a nonce hides a handshake token, and the URL's the cookie's": lambda c: (
        c.took("cookie", HANDSHAKE_NONCE) or c.took("parameter", HANDSHAKE_NONCE, HANDSHAKE)
    ),
    "a page that is opened has to follow what happened elsewhere, a script's request has not": lambda c: (
        c.before.reason in _FOLLOWING
    ),
    "a request that does not open a page takes no handshake's answer": lambda c: (
        c.took("header", "sec-fetch-dest") and c.after.how is How.HANDSHAKE
    ),
    "development: the URL's dev browser has to be taken over first": lambda c: (
        c.kind is DEVELOPMENT and c.took("parameter", DEV_BROWSER)
    ),
}
"""All that may hide a good session, so that taking it away shows it."""

TOKEN = st.sampled_from([GOOD, GOOD, GOOD, BOB, EXPIRED, FORGED, FOREIGN, "junk", mint(sts="pending")])
TIME = st.sampled_from([UAT, UAT, "0", "1900000000", "x"])
NONCES = st.sampled_from(["n0nce", "other"])
HANDSHAKES = st.sampled_from([handshake_token(directives(GOOD)), handshake_token(["__session="]), GOOD, "junk"])


def few(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, min_size=1, max_size=2, unique=True).map(tuple)


def cookies_of(names) -> st.SearchStrategy[dict[str, tuple[str, ...]]]:
    usual = {names.session: few(TOKEN), names.client_uat: few(TIME), names.dev_browser: st.just(("dvb",))}
    more = {SESSION: few(TOKEN), CLIENT_UAT: few(TIME), DEV_BROWSER: st.just(("dvb",)), HANDSHAKE: few(HANDSHAKES)}
    rest = {names.refresh: st.just(("rt",)), HANDSHAKE_NONCE: few(NONCES), REDIRECT_COUNT: st.just(("3",))}
    return st.fixed_dictionaries({}, optional=usual | more | rest)


QUERY = st.lists(
    st.sampled_from(["a=1", "__clerk_db_jwt=d", "__clerk_handshake_nonce=n", "__clerk_handshake=junk", "x=__session"]),
    max_size=2,
    unique=True,
).map("&".join)
HEADERS = st.sampled_from(
    [
        PAGE,
        PAGE | {"referer": "https://elsewhere.test/"},
        FETCH,
        FETCH | {"accept": "text/html"},
        {"accept": "text/html"},
        {"sec-fetch-dest": "iframe"},
    ]
)


@st.composite
def changes(draw: st.DrawFn) -> tuple[RequestFacts, set[Item], InstanceKind]:
    kind = draw(st.sampled_from(InstanceKind))
    method = draw(st.sampled_from(["GET", "GET", "POST"]))
    bearer = draw(st.sampled_from([None, None, None, GOOD, FORGED, EXPIRED, ""]))
    cookies = draw(cookies_of(names_of(kind)))
    ask = draw(st.sampled_from([request, returned, returned]))
    facts = ask(cookies, query=draw(QUERY), method=method, headers=draw(HEADERS), bearer=bearer)
    there = items(facts)
    taken = set(draw(st.lists(st.sampled_from(there), max_size=3))) if there else set()
    return facts, taken, kind


REFRESHES = st.sampled_from(["api-says-no", directives(GOOD), directives(BOB), ()])
PAYLOADS = st.sampled_from([None, directives(GOOD), directives(FORGED), ("__session=; Max-Age=0",)])


def judged(facts: RequestFacts, kind: InstanceKind, refresh: object = "no", payload: object = None) -> Verdict:
    under = rules(kind, known_pages=KNOWN_PAGES, organizations=PATTERNS)
    return judge(facts, under, Script(refresh=refresh, payload=payload))


@given(changes(), REFRESHES, PAYLOADS)
def test_nothing_taken_from_a_refused_request_lets_it_in_but_what_is_stated(change, refresh, payload) -> None:
    facts, taken, kind = change
    before = judged(facts, kind, refresh, payload)
    after = judged(without(facts, taken), kind, refresh, payload)
    if before.state is State.SIGNED_IN or after.state is not State.SIGNED_IN:
        return
    made = Change(facts, taken, kind, before, after)
    assert [name for name, applies in HIDES.items() if applies(made)], (before, after, taken)


@given(changes(), REFRESHES, PAYLOADS)
def test_nothing_taken_away_makes_one_user_of_another_but_what_is_stated(change, refresh, payload) -> None:
    """The same statement about who it is: Alice's request without a part of it is hers, or nobody's."""
    facts, taken, kind = change
    before = judged(facts, kind, refresh, payload)
    after = judged(without(facts, taken), kind, refresh, payload)
    if before.claims is None or after.claims is None or before.claims.user_id == after.claims.user_id:
        return
    made = Change(facts, taken, kind, before, after)
    assert [name for name, applies in HIDES.items() if applies(made)], (before, after, taken)


EVIDENCE_FOR = ("sub", "exp", "iss", "azp", "sid", "v")
LIMITS = ("nbf", "iat", "sts")


@given(
    st.sets(st.sampled_from(EVIDENCE_FOR), min_size=1),
    st.fixed_dictionaries(
        {},
        optional={
            "iss": st.just("https://clerk.other.test"),
            "azp": st.just("https://evil.test"),
            "exp": st.sampled_from([int(NOW) - 60, "1900000000", 1.5, None]),
            "sub": st.sampled_from([7, None]),
            "nbf": st.just(int(NOW) + 60),
            "sts": st.just("pending"),
        },
    ),
    st.booleans(),
)
@example({"azp"}, {"azp": "https://evil.test"}, True)
def test_no_claim_left_out_of_a_refused_token_lets_it_in(taken: set[str], changed: dict, in_cookie: bool) -> None:
    """Claims that limit a token (``nbf``, ``iat``, ``sts``, ``cat``) are no evidence for it: one without is freer."""
    parties = rules().expected
    under = rules(expected=type(parties)(parties.issuers, frozenset({"https://app.example.test"}), 5.0))

    def verdict(**claims: object) -> Verdict:
        token = mint(**claims)
        facts = request(signed_in(token), headers=FETCH) if in_cookie else request(bearer=token, headers=FETCH)
        return judge(facts, under)

    before, after = verdict(**changed), verdict(**{**changed, **dict.fromkeys(taken, ...)})
    if before.state is not State.SIGNED_IN:
        assert after.state is not State.SIGNED_IN


@pytest.mark.parametrize("limit", [{"nbf": int(NOW) + 60}, {"iat": int(NOW) + 60}, {"sts": "pending"}])
def test_a_claim_that_limits_hides_a_good_token(limit: dict[str, object]) -> None:
    assert judge(request(bearer=mint(**limit))).state is not State.SIGNED_IN
    assert judge(request(bearer=mint(**dict.fromkeys(limit, ...)))).state is State.SIGNED_IN
    assert set(limit) <= set(LIMITS)


@given(changes(), PAYLOADS)
def test_an_answer_that_fails_lets_nobody_in_whom_a_good_one_refused(change, payload) -> None:
    """But for a handshake's: where it says that nobody is signed in, its loss leaves the cookies as they are."""
    facts, _, kind = change
    for refresh in (directives(GOOD), directives(BOB), directives(FORGED)):
        given_answers = judged(facts, kind, refresh, payload)
        if given_answers.state is State.SIGNED_IN:
            continue
        assert judged(facts, kind, "fetch-error", payload).state is not State.SIGNED_IN
        if given_answers.how is not How.HANDSHAKE and not query_value(facts.url, HANDSHAKE_NONCE):
            assert judged(facts, kind, refresh, None).state is not State.SIGNED_IN


DEV = signed_in(GOOD, DEV_NAMES, dev_browser="dvb")
ELSEWHERE = PAGE | {"referer": "https://elsewhere.test/"}
SIGNS_OUT = ("__session=; Max-Age=0",)
EXAMPLES = {
    "a Bearer token beats every cookie, also a bad one": (request(signed_in(GOOD), bearer="x"), Item("bearer"), None),
    "of several values of one cookie the first counts, or none": (
        request({**signed_in(GOOD), NAMES.session: (GOOD, BOB)}),
        Item("cookie", NAMES.session, BOB),
        None,
    ),
    "one family of cookies hides the other": (
        request({**signed_in(GOOD), SESSION: "junk"}),
        Item("cookie", SESSION, "junk"),
        None,
    ),
    "what a handshake says is newer than the cookies": (
        returned({**signed_in(GOOD), HANDSHAKE_NONCE: "n0nce"}),
        Item("cookie", HANDSHAKE_NONCE, "n0nce"),
        SIGNS_OUT,
    ),
    "a nonce hides a handshake token, and the URL's the cookie's": (
        returned({HANDSHAKE_NONCE: "n0nce", HANDSHAKE: handshake_token(directives(GOOD))}),
        Item("cookie", HANDSHAKE_NONCE, "n0nce"),
        None,
    ),
    "a page that is opened has to follow what happened elsewhere, a script's request has not": (
        request(signed_in(GOOD), headers=ELSEWHERE),
        Item("header", "referer"),
        None,
    ),
    "a request that does not open a page takes no handshake's answer": (
        returned({HANDSHAKE: handshake_token(directives(GOOD))}, headers=FETCH | {"accept": "text/html"}),
        Item("header", "sec-fetch-dest"),
        None,
    ),
    "development: the URL's dev browser has to be taken over first": (
        request(DEV, query="__clerk_db_jwt=d"),
        Item("parameter", "__clerk_db_jwt=d"),
        None,
    ),
}


@pytest.mark.parametrize("name", HIDES)
def test_each_exception_is_real(name: str) -> None:
    facts, item, payload = EXAMPLES[name]
    kind = DEVELOPMENT if name.startswith("development") else PRODUCTION
    under = rules(kind, known_pages=KNOWN_PAGES)
    before = judge(facts, under, Script(payload=payload))
    after = judge(without(facts, {item}), under, Script(payload=payload))
    assert (before.state is State.SIGNED_IN, after.state is State.SIGNED_IN) == (False, True)
    assert HIDES[name](Change(facts, {item}, kind, before, after))
