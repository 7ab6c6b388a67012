"""What a handshake brought back, applied: new cookies, and the session in them (request-authentication section 10)."""

from collections.abc import Generator
from dataclasses import replace

from gateway.core import cookies as cookie
from gateway.core import handshake
from gateway.core.case import Case
from gateway.core.cookies import CookieError, SetCookie, remake, removal
from gateway.core.instance import InstanceKind
from gateway.core.reasons import Reason
from gateway.core.request import RequestFacts
from gateway.core.secret import Secret
from gateway.core.tokens import TokenError
from gateway.core.trace import Mark, Trace
from gateway.core.verdict import Answer, How, Need, NeedPayload, State, Verdict
from gateway.core.verification import check_signature_of, parse_session, signed_in, verify

DEVELOPMENT_SKEW_S = 86_400.0
"""A developer's clock may be wrong by this much right after a handshake."""


def resolve(case: Case) -> Generator[Need, Answer, Verdict | str]:
    """Apply what a handshake brought back, if anything; a useless one changes nothing.

    Returns:
        the verdict, or what is to be said to the operator about an answer that could not be used; empty for nothing.
    """
    facts, rules = case.facts, case.rules
    if not handshake.takes_answer(facts):
        return ""
    nonce, nonce_in_url = _handshake_value(facts, cookie.HANDSHAKE_NONCE)
    token, token_in_url = _handshake_value(facts, cookie.HANDSHAKE)
    directives: Answer = None
    if nonce and rules.has_api:
        case.trace.note("handshake answer", Mark.CHOSEN, "nonce {}", Secret(nonce))
        directives = yield NeedPayload(Secret(nonce))
    elif token:
        case.trace.note("handshake answer", Mark.CHOSEN, "token {}", Secret(token))
        directives = yield from _handshake_directives(token, case.trace)
    if not isinstance(directives, tuple) or not directives:
        return _useless(case, "the handshake brought nothing that can be used") if nonce or token else ""
    try:
        cookies = remake(directives, rules.names, secure=case.is_secure)
    except CookieError as error:
        return _useless(case, f"the handshake's cookies were refused: {error}")
    used = [name for name in (cookie.HANDSHAKE, cookie.HANDSHAKE_NONCE) if facts.cookie(name)]
    cookies += tuple(removal(name, secure=case.is_secure) for name in used)
    location = handshake.clean_url(facts.url) if nonce_in_url or token_in_url else ""
    return (yield from _apply_handshake(case, cookies, location))


def _useless(case: Case, message: str) -> str:
    case.trace.note("handshake answer", Mark.NO, "{}", message)
    return message


def _handshake_value(facts: RequestFacts, name: str) -> tuple[str, bool]:
    in_url = handshake.query_value(facts.url, name) if facts.url.query else None
    return (in_url, True) if in_url else (facts.cookie(name), False)


def _handshake_directives(token: str, trace: Trace) -> Generator[Need, Answer, tuple[str, ...] | None]:
    try:
        parsed = parse_session(token, trace)
        yield from check_signature_of(parsed, trace)
    except TokenError as error:
        trace.note(error.check, Mark.NO, "{}", error.message)
        return None
    listed = parsed.payload.get("handshake")
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        return None
    return tuple(listed)


def _apply_handshake(
    case: Case, cookies: tuple[SetCookie, ...], location: str
) -> Generator[Need, Answer, Verdict | str]:
    token = handshake.delivered_session(cookies, case.rules.names)
    names = ", ".join(each.name for each in cookies)
    case.trace.note("handshake answer", Mark.OK, "it sets {}", names)
    if not token:
        return Verdict(
            State.SIGNED_OUT, Reason.SESSION_TOKEN_MISSING, cookies=cookies, location=location, how=How.HANDSHAKE
        )
    expected = case.rules.expected
    if case.rules.kind is InstanceKind.DEVELOPMENT:
        expected = replace(expected, skew_s=DEVELOPMENT_SKEW_S)
    try:
        claims, _ = yield from verify(case, token, expected)
    except TokenError as error:
        return _useless(case, f"the session that the handshake brought was refused: {error.reason}, {error.message}")
    return signed_in(claims, token, How.HANDSHAKE, cookies, location)
