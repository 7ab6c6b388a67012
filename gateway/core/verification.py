"""A session token verified within a decision, and the verdict that follows (request-authentication section 4)."""

from dataclasses import replace

from gateway.core.case import Case
from gateway.core.claims import SessionClaims, session_claims
from gateway.core.cookies import SetCookie
from gateway.core.keys import VerificationKey
from gateway.core.reasons import Reason
from gateway.core.secret import Secret
from gateway.core.token_class import JWT_TYPES
from gateway.core.tokens import (
    Expectations,
    ParsedToken,
    TokenError,
    check_claims,
    check_signature,
    check_times,
    parse,
)
from gateway.core.trace import Mark, Trace
from gateway.core.verdict import How, NeedKey, State, Steps, Verdict


def verify(
    case: Case, token: str, expected: Expectations, read: ParsedToken | None = None
) -> Steps[tuple[SessionClaims, How]]:
    """Verify a session token: from the cache with its times checked anew, otherwise from its shape to its claims.

    Args:
        case: the request.
        token: its token.
        expected: what its claims have to agree with.
        read: the token as it was read before; it was looked up then, and is not in the cache.

    Raises:
        TokenError: with the first thing that does not hold.
    """
    known = case.verified.get(token, case.now_s) if read is None else None
    if known is not None:
        check_times(known.expires_at_s, known.not_before_s, known.issued_at_s, case.now_s, expected.skew_s)
        _check_session_lives(case, known)
        if case.rules.proxy_path and known.issuer not in case.rules.issuers(case.facts.url.origin):
            raise TokenError(Reason.TOKEN_INVALID_ISSUER, "its issuer is that of another origin", "issuer")
        return known, How.CACHE
    try:
        parsed = parse_session(token, case.trace, read)
        yield from check_signature_of(parsed, case.trace)
        if case.rules.proxy_path:
            expected = replace(expected, issuers=case.rules.issuers(case.facts.url.origin))
        check_claims(parsed.payload, expected, case.now_s, case.trace)
        claims = session_claims(parsed.payload, parsed.encoded)
        _check_session_lives(case, claims)
    except TokenError as error:
        case.trace.note(error.check, Mark.NO, "{}", error.message)
        raise
    return claims, How.SIGNATURE


def _check_session_lives(case: Case, claims: SessionClaims) -> None:
    """Refuse a token whose session is known to have ended after it was made."""
    if case.verified.has_ended(claims.session_id, claims.issued_at_s):
        raise TokenError(Reason.SESSION_ENDED, "its session has ended since it was issued", "session")


def parse_session(token: str, trace: Trace, read: ParsedToken | None = None) -> ParsedToken:
    """Read a token, unless it was read before, and check its class.

    Raises:
        TokenError: ``token-invalid`` or ``token-type-mismatch``.
    """
    parsed = parse(token) if read is None else read
    trace.note("shape", Mark.OK)
    if not parsed.is_session:
        raise TokenError(Reason.TOKEN_TYPE_MISMATCH, "it is not a session token", "class")
    trace.note("class", Mark.OK, "session token")
    return parsed


def check_signature_of(parsed: ParsedToken, trace: Trace, types: frozenset[str] = JWT_TYPES) -> Steps[None]:
    """Ask for a token's key and check its signature.

    Args:
        parsed: the token.
        trace: takes notes.
        types: what its ``typ`` may be.

    Raises:
        TokenError: ``jwk-kid-mismatch``, or what :func:`gateway.core.tokens.check_signature` finds.
    """
    key = yield NeedKey(parsed.kid)
    if not isinstance(key, VerificationKey):
        raise TokenError(Reason.JWK_KID_MISMATCH, "no key of this instance has its kid", "key")
    trace.note("key", Mark.OK, "kid {}", parsed.kid or "none")
    check_signature(parsed, key, trace, types)


def signed_in(claims: SessionClaims, token: str, how: How, cookies: tuple[SetCookie, ...] = ()) -> Verdict:
    """Return the verdict on a verified token; a pending session does not count as signed in (section 16)."""
    if claims.is_pending:
        message = "the session has open tasks (sts is pending)"
        return Verdict(State.SIGNED_OUT, Reason.SESSION_PENDING, message, cookies=cookies, how=how)
    return Verdict(State.SIGNED_IN, claims=claims, token=Secret(token), cookies=cookies, how=how)
