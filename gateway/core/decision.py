"""The decision about one request: signed in, signed out, or a handshake, with the exact reason.

A generator that takes facts and yields a :class:`~gateway.core.verdict.Need` when one more fact is missing. It awaits
nothing and knows no clock. The rows of :data:`COOKIE_ROWS` are read from the top and the first that applies decides;
what no row decides is verified, and what is not verified is denied. Order and codes: request-authentication section 6.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from gateway.core import cookies as cookie
from gateway.core import handshake
from gateway.core.claims import SessionClaims, session_claims
from gateway.core.cookies import CookieError, CookieNames, SetCookie, remake, removal
from gateway.core.evidence import Evidence, VerifiedTokens, gather, peek
from gateway.core.instance import InstanceKind
from gateway.core.keys import VerificationKey
from gateway.core.organization_sync import NO_PATTERNS, OrganizationPatterns, needs_other_organization
from gateway.core.reasons import Reason, RefreshFailure, expired_reason
from gateway.core.referrers import KnownPages, comes_from_elsewhere
from gateway.core.request import RequestFacts
from gateway.core.secret import Secret
from gateway.core.tokens import (
    Expectations,
    ParsedToken,
    TokenError,
    check_claims,
    check_signature,
    check_times,
    parse,
)
from gateway.core.verdict import Answer, How, Need, NeedKey, NeedPayload, NeedRefresh, State, Verdict

DEVELOPMENT_SKEW_S = 86_400.0
"""A developer's clock may be wrong by this much right after a handshake (request-authentication section 10)."""

REFRESH_HEADERS = ("accept-language", "origin", "user-agent")
"""What the API learns about the browser; never cookies or credentials."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One instance's rules, made once from the settings.

    Attributes:
        kind, frontend_api, names: from the publishable key.
        handshake_base: where handshakes go, ``https://host``, no trailing slash.
        expected: what claims have to agree with.
        refresh_methods: methods whose requests may be refreshed; None for any.
        has_refresh: expired tokens are refreshed.
        has_api: there is a secret key, so nonces can be looked up; without it handshakes bring a token.
        known_pages: pages that people come from without a handshake; None for any.
        organizations: which pages are for which organization.
    """

    kind: InstanceKind
    frontend_api: str
    names: CookieNames
    handshake_base: str
    expected: Expectations
    refresh_methods: frozenset[str] | None
    has_refresh: bool
    has_api: bool
    known_pages: KnownPages | None = None
    organizations: OrganizationPatterns = NO_PATTERNS


@dataclass(frozen=True, slots=True)
class Case:
    """One request in front of the rules."""

    facts: RequestFacts
    rules: Rules
    verified: VerifiedTokens
    now_s: float

    @property
    def is_secure(self) -> bool:
        """Whether cookies get ``Secure``."""
        return self.facts.url.scheme == "https"

    def evidence(self) -> Evidence:
        """Read what cookies and URL say."""
        rules = self.rules
        return gather(self.facts, rules.names, rules.kind, rules.frontend_api, self.now_s, self.verified)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: where it applies, the reason is final.

    Attributes:
        step: number in request-authentication section 6 B.
        when: in words, for the documentation.
        renews: a handshake is asked for where the request is eligible; otherwise signed out.
    """

    step: int
    when: str
    applies: Callable[[Evidence], bool]
    reason: Reason
    renews: bool = False


COOKIE_ROWS: tuple[Row, ...] = (
    Row(
        4,
        "development, and the URL brings a dev browser token",
        lambda e: e.is_development and e.syncs_dev_browser,
        Reason.DEV_BROWSER_SYNC,
        renews=True,
    ),
    Row(
        5,
        "development, and there is no dev browser token",
        lambda e: e.is_development and not e.dev_browser,
        Reason.DEV_BROWSER_MISSING,
        renews=True,
    ),
    Row(
        6,
        "no client and no session",
        lambda e: not e.client_uat_s and not e.token,
        Reason.SESSION_TOKEN_AND_UAT_MISSING,
    ),
    Row(
        7,
        "a session but no client",
        lambda e: not e.client_uat_s,
        Reason.SESSION_TOKEN_BUT_NO_CLIENT_UAT,
        renews=True,
    ),
    Row(8, "a client but no session", lambda e: not e.token, Reason.CLIENT_UAT_BUT_NO_SESSION_TOKEN, renews=True),
    Row(8, "session cookies of two sessions", lambda e: e.is_ambiguous, Reason.DUPLICATE_SESSION_COOKIES),
    Row(9, "the session cookie is no token", lambda e: e.peeked is None, Reason.TOKEN_INVALID),
    Row(
        10,
        "the token is of another class",
        lambda e: e.peeked is not None and not e.peeked.is_session,
        Reason.TOKEN_TYPE_MISMATCH,
    ),
    Row(
        11,
        "the token is older than the client's last change",
        lambda e: e.peeked is not None and 0 < e.peeked.issued_at_s < e.client_uat_s,
        Reason.SESSION_TOKEN_IAT_BEFORE_CLIENT_UAT,
        renews=True,
    ),
)

_RENEWING = {
    Reason.TOKEN_NOT_ACTIVE_YET: Reason.SESSION_TOKEN_NBF,
    Reason.TOKEN_IAT_IN_THE_FUTURE: Reason.SESSION_TOKEN_IAT_IN_THE_FUTURE,
}

Steps = Generator[Need, Answer, Verdict]


def decide(facts: RequestFacts, rules: Rules, verified: VerifiedTokens, now_s: float) -> Steps:
    """Decide about a request.

    Args:
        facts: all that is known of it.
        rules: the instance's rules.
        verified: tokens whose signature is known to be good.
        now_s: Unix seconds.

    Yields:
        what is missing; to be answered with ``send``.

    Returns:
        the verdict.
    """
    case = Case(facts, rules, verified, now_s)
    if facts.bearer is not None:
        return (yield from _judge(case, facts.bearer, None))
    resolved = yield from _resolve_handshake(case)
    if resolved is not None:
        return resolved
    evidence = case.evidence()
    for row in COOKIE_ROWS:
        if row.applies(evidence):
            return _apply(row, case, evidence)
    return (yield from _judge(case, evidence.token, evidence))


def _apply(row: Row, case: Case, evidence: Evidence) -> Verdict:
    if row.renews:
        return _renew(case, row.reason, "", evidence)
    verdict = Verdict(State.SIGNED_OUT, row.reason, dev_browser=Secret(evidence.dev_browser))
    if row.reason is Reason.DUPLICATE_SESSION_COOKIES:
        names = (cookie.SESSION, case.rules.names.session)
        return replace(verdict, cookies=tuple(removal(name, secure=case.is_secure) for name in names))
    return verdict


def _judge(case: Case, token: str, evidence: Evidence | None) -> Steps:
    """Verify a session token, and find what can be done when it does not hold (section 7)."""
    try:
        claims, how = yield from _verify(case, token, case.rules.expected)
    except TokenError as error:
        return (yield from _recover(case, token, evidence or case.evidence(), error))
    reason = _follow(case, claims) if evidence is not None else None
    if reason is not None and evidence is not None:
        return _renew(case, reason, "", evidence)
    return _signed_in(claims, token, how)


def _follow(case: Case, claims: SessionClaims) -> Reason | None:
    """Return why a good session has to follow what happened elsewhere, or None when it is up to date."""
    facts, rules = case.facts, case.rules
    if rules.known_pages is not None and comes_from_elsewhere(facts, rules.known_pages):
        return Reason.PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC
    if needs_other_organization(facts, claims, rules.organizations):
        return Reason.ACTIVE_ORGANIZATION_MISMATCH
    return None


def _recover(case: Case, token: str, evidence: Evidence, error: TokenError) -> Steps:
    if error.reason is Reason.TOKEN_EXPIRED:
        outcome = yield from _refresh(case, token, evidence)
        if isinstance(outcome, Verdict):
            return outcome
        return _renew(case, expired_reason(outcome), error.message, evidence)
    if error.reason in _RENEWING:
        return _renew(case, _RENEWING[error.reason], error.message, evidence)
    return Verdict(State.SIGNED_OUT, error.reason, error.message, dev_browser=Secret(evidence.dev_browser))


def _signed_in(
    claims: SessionClaims, token: str, how: How, cookies: tuple[SetCookie, ...] = (), location: str = ""
) -> Verdict:
    if claims.is_pending:
        message = "the session has open tasks (sts is pending)"
        return Verdict(State.SIGNED_OUT, Reason.SESSION_PENDING, message, cookies=cookies, location=location, how=how)
    return Verdict(State.SIGNED_IN, claims=claims, token=Secret(token), cookies=cookies, location=location, how=how)


def _verify(case: Case, token: str, expected: Expectations) -> Generator[Need, Answer, tuple[SessionClaims, How]]:
    known = case.verified.get(token)
    if known is not None:
        check_times(known.expires_at_s, known.not_before_s, known.issued_at_s, case.now_s, expected.skew_s)
        return known, How.CACHE
    parsed = parse(token)
    if not parsed.is_session:
        raise TokenError(Reason.TOKEN_TYPE_MISMATCH, "it is not a session token")
    yield from _check_signature(parsed)
    check_claims(parsed.payload, expected, case.now_s)
    return session_claims(parsed.payload), How.SIGNATURE


def _check_signature(parsed: ParsedToken) -> Generator[Need, Answer, None]:
    key = yield NeedKey(parsed.kid)
    if not isinstance(key, VerificationKey):
        raise TokenError(Reason.JWK_KID_MISMATCH, "no key of this instance has its kid")
    check_signature(parsed, key)


def _renew(case: Case, reason: str, message: str, evidence: Evidence) -> Verdict:
    """Send a browser to the handshake; others, and browsers in a loop, are signed out for the same reason."""
    dev_browser = Secret(evidence.dev_browser)
    if not handshake.is_eligible(case.facts):
        return Verdict(State.SIGNED_OUT, reason, message, dev_browser=dev_browser)
    count = handshake.redirect_count(case.facts)
    if count >= handshake.MAX_REDIRECTS:
        return Verdict(State.SIGNED_OUT, reason, message, is_loop=True, dev_browser=dev_browser)
    token = case.facts.bearer or evidence.token  # the one that failed, never another's (quirk Q1)
    parameters = [
        ("__clerk_api_version", handshake.API_VERSION),
        ("suffixed_cookies", "true" if evidence.suffixed else "false"),
        ("__clerk_hs_reason", str(reason)),
        ("format", "nonce" if case.rules.has_api else "token"),
    ]
    if token:
        parameters.append((cookie.SESSION, token))
    if evidence.is_development and evidence.dev_browser:
        parameters.append((cookie.DEV_BROWSER, evidence.dev_browser))
    target = case.rules.organizations.target(case.facts.url.path)
    if target is not None:
        parameters.append(("organization_id", target.parameter))
    return Verdict(
        State.HANDSHAKE,
        reason,
        message,
        location=handshake.location(case.rules.handshake_base, case.facts, parameters),
        cookies=(handshake.count_cookie(count + 1, secure=case.is_secure),),
        dev_browser=dev_browser,
    )


def _refresh(case: Case, token: str, evidence: Evidence) -> Generator[Need, Answer, Verdict | str]:
    """Trade an expired token; returns the verdict, or the tail of the reason why not (section 12)."""
    facts, rules = case.facts, case.rules
    refresh_token = facts.cookie(rules.names.refresh)
    expired = peek(token, case.verified)
    if rules.refresh_methods is not None and facts.method not in rules.refresh_methods:
        return RefreshFailure.NON_ELIGIBLE_METHOD
    if not refresh_token:
        return RefreshFailure.NON_ELIGIBLE_NO_REFRESH_COOKIE
    if not rules.has_refresh:
        return RefreshFailure.NOT_CONFIGURED
    if expired is None or not expired.session_id:
        return RefreshFailure.MISSING_SID_CLAIM
    answer = yield NeedRefresh(
        session_id=expired.session_id,
        expired_token=Secret(token),
        refresh_token=Secret(refresh_token),
        request_origin=facts.url.origin,
        request_headers={name: facts.headers[name] for name in REFRESH_HEADERS if name in facts.headers},
        client=facts.client,
        suffixed_cookies=evidence.suffixed,
    )
    if isinstance(answer, str):
        return answer
    directives = answer if isinstance(answer, tuple) else ()
    return (yield from _accept_refreshed(case, expired.session_id, expired.user_id, directives))


def _accept_refreshed(
    case: Case, session_id: str, user_id: str, directives: tuple[str, ...]
) -> Generator[Need, Answer, Verdict | str]:
    try:
        cookies = remake(directives, case.rules.names, secure=case.is_secure)
        token = handshake.delivered_session(cookies, case.rules.names)
        claims, _ = yield from _verify(case, token, case.rules.expected)
    except CookieError:
        return RefreshFailure.UNEXPECTED_SDK_ERROR
    except TokenError:
        return RefreshFailure.INVALID_SESSION_TOKEN
    if (claims.session_id, claims.user_id) != (session_id, user_id):
        return RefreshFailure.SESSION_MISMATCH
    return _signed_in(claims, token, How.REFRESH, cookies)


def _resolve_handshake(case: Case) -> Generator[Need, Answer, Verdict | None]:
    """Apply what a handshake brought back, if anything; a useless one changes nothing (section 10)."""
    facts, rules = case.facts, case.rules
    if not handshake.takes_answer(facts):
        return None
    nonce, nonce_in_url = _handshake_value(facts, cookie.HANDSHAKE_NONCE)
    token, token_in_url = _handshake_value(facts, cookie.HANDSHAKE)
    directives: Answer = None
    if nonce and rules.has_api:
        directives = yield NeedPayload(Secret(nonce))
    elif token:
        directives = yield from _handshake_directives(token)
    if not isinstance(directives, tuple) or not directives:
        return None
    try:
        cookies = remake(directives, rules.names, secure=case.is_secure)
    except CookieError:
        return None
    used = [name for name in (cookie.HANDSHAKE, cookie.HANDSHAKE_NONCE) if facts.cookie(name)]
    cookies += tuple(removal(name, secure=case.is_secure) for name in used)
    location = handshake.clean_url(facts.url) if nonce_in_url or token_in_url else ""
    return (yield from _apply_handshake(case, cookies, location))


def _handshake_value(facts: RequestFacts, name: str) -> tuple[str, bool]:
    in_url = handshake.query_value(facts.url, name) if facts.url.query else None
    return (in_url, True) if in_url else (facts.cookie(name), False)


def _handshake_directives(token: str) -> Generator[Need, Answer, tuple[str, ...] | None]:
    try:
        parsed = parse(token)
        if not parsed.is_session:
            return None
        yield from _check_signature(parsed)
    except TokenError:
        return None
    listed = parsed.payload.get("handshake")
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        return None
    return tuple(listed)


def _apply_handshake(
    case: Case, cookies: tuple[SetCookie, ...], location: str
) -> Generator[Need, Answer, Verdict | None]:
    token = handshake.delivered_session(cookies, case.rules.names)
    if not token:
        return Verdict(
            State.SIGNED_OUT, Reason.SESSION_TOKEN_MISSING, cookies=cookies, location=location, how=How.HANDSHAKE
        )
    expected = case.rules.expected
    if case.rules.kind is InstanceKind.DEVELOPMENT:
        expected = replace(expected, skew_s=DEVELOPMENT_SKEW_S)
    try:
        claims, _ = yield from _verify(case, token, expected)
    except TokenError:
        return None
    return _signed_in(claims, token, How.HANDSHAKE, cookies, location)
