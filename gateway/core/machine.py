"""The decision about a request whose route takes tokens of machines (request-authentication section 15).

Machine tokens stand in the header alone: cookies never carry one. A failure ends here; no machine can follow a
handshake or sign in, so none is sent anywhere. Where the token is no machine's and the route takes sessions too, the
decision about sessions goes on as if this one had not been asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gateway.core.case import Case
from gateway.core.machine_claims import EXPIRED, MachineClaims, has_expired, m2m_claims, oauth_claims
from gateway.core.reasons import Reason
from gateway.core.secret import Secret
from gateway.core.token_class import (
    CATEGORY_M2M,
    CATEGORY_SESSION,
    CATEGORY_TEMPLATE,
    JWT_TYPES,
    OAUTH_TYPES,
    Accepts,
    TokenType,
    is_well_formed,
    machine_type,
    opaque_type,
)
from gateway.core.tokens import ParsedToken, TokenError, check_claims, parse
from gateway.core.trace import Mark
from gateway.core.verdict import How, MachineAnswer, NeedMachine, State, Steps, Verdict
from gateway.core.verification import check_signature_of

_NOT_OAUTH = (CATEGORY_SESSION, CATEGORY_TEMPLATE, CATEGORY_M2M)


def judge_machine(case: Case, accepts: Accepts) -> Steps[Verdict | None]:
    """Decide about the token in the header.

    Args:
        case: the request.
        accepts: the types that the route takes.

    Yields:
        what is missing.

    Returns:
        the verdict; None where the rest is the business of sessions.
    """
    takes_sessions = TokenType.SESSION_TOKEN in accepts
    token = case.facts.bearer
    if token is None:
        return None if takes_sessions else _signed_out(Reason.NO_TOKEN_IN_HEADER)
    if takes_sessions and case.verified.get(token, case.now_s) is not None:
        return None  # only session tokens are remembered there
    opaque = opaque_type(token)
    parsed = None if opaque else _parsed(token)
    kind = opaque or (machine_type(parsed.token_class) if parsed else None)
    if kind is None and takes_sessions:
        return None
    if kind is None or kind not in accepts:
        case.trace.note("class", Mark.NO, "{}, where this route takes {}", kind or "no machine's", ", ".join(accepts))
        return _signed_out(Reason.TOKEN_TYPE_MISMATCH, "it is not a token that this route accepts")
    case.trace.note("class", Mark.OK, "{}", kind)
    if parsed is not None:
        return (yield from _judge_jwt(case, token, parsed, kind))
    return (yield from _judge_opaque(case, token, kind))


def type_in(token: str) -> TokenType | None:
    """Return which machine's token a text says that it is, or None; nothing is verified."""
    if opaque := opaque_type(token):
        return opaque
    parsed = _parsed(token)
    return machine_type(parsed.token_class) if parsed else None


def _parsed(token: str) -> ParsedToken | None:
    try:
        return parse(token)
    except TokenError:
        return None


def _judge_opaque(case: Case, token: str, kind: TokenType) -> Steps[Verdict]:
    if not is_well_formed(token):
        case.trace.note("shape", Mark.NO)
        return _signed_out(Reason.TOKEN_INVALID, "it holds what no opaque token holds")
    case.trace.note("api", Mark.ASKED, "whether the {} is good", kind)
    answer = yield NeedMachine(kind, Secret(token))
    if not isinstance(answer, MachineAnswer):
        return _signed_out(Reason.TOKEN_VERIFICATION_FAILED, "nobody could verify it")
    outcome = answer.outcome
    if isinstance(outcome, MachineClaims):
        how = How.CACHE if answer.is_cached else How.API
        case.trace.note("api", Mark.OK, "{} of {}", outcome.type, outcome.subject)
        return _accepted(case, token, outcome, how)
    case.trace.note("api", Mark.NO, "{}", outcome.message)
    return _signed_out(outcome.reason, outcome.message)


def _judge_jwt(case: Case, token: str, parsed: ParsedToken, kind: TokenType) -> Steps[Verdict]:
    """Verify a JWT with the instance's keys, without a call."""
    is_m2m = kind is TokenType.M2M_TOKEN
    if not _has_own_category(parsed.header, is_m2m=is_m2m):
        case.trace.note("category", Mark.NO)
        return _signed_out(Reason.TOKEN_INVALID, "its cat is that of another class")
    types, read = (JWT_TYPES, m2m_claims) if is_m2m else (OAUTH_TYPES, oauth_claims)
    try:
        claims = yield from _verify(case, parsed, types, read)
    except TokenError as error:
        case.trace.note(error.check, Mark.NO, "{}", error.message)
        return _signed_out(Reason.TOKEN_VERIFICATION_FAILED, error.message)
    return _signed_in(token, claims, How.SIGNATURE)


def _has_own_category(header: Mapping[str, Any], *, is_m2m: bool) -> bool:
    if "cat" not in header:
        return True
    category = header["cat"]
    return category == CATEGORY_M2M if is_m2m else category not in _NOT_OAUTH


def _verify(
    case: Case, parsed: ParsedToken, types: frozenset[str], read: Callable[[Mapping[str, Any]], MachineClaims]
) -> Steps[MachineClaims]:
    yield from check_signature_of(parsed, case.trace, types)
    expected = case.rules.expected
    # M2M tokens need not name an issuer; what names one names ours. Nobody's browser stands behind an azp here.
    issuers = case.rules.issuers(case.facts.url.origin) if "iss" in parsed.payload else frozenset[str]()
    wanted = replace(expected, issuers=issuers, authorized_parties=frozenset())
    check_claims(parsed.payload, wanted, case.now_s, case.trace)
    if not parsed.payload["sub"]:
        raise TokenError(Reason.TOKEN_VERIFICATION_FAILED, "its sub is empty", "subject")
    return read(parsed.payload)


def _accepted(case: Case, token: str, claims: MachineClaims, how: How) -> Verdict:
    """Accept what the API or the cache vouches for, unless its time has come meanwhile."""
    if has_expired(claims, case.now_s):
        return _signed_out(EXPIRED.reason, EXPIRED.message)
    return _signed_in(token, claims, how)


def _signed_in(token: str, claims: MachineClaims, how: How) -> Verdict:
    return Verdict(State.SIGNED_IN, machine=claims, token=Secret(token), how=how)


def _signed_out(reason: Reason, message: str = "") -> Verdict:
    return Verdict(State.SIGNED_OUT, reason, message)
