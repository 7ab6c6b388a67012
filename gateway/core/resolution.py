"""What a handshake brought back, applied: new cookies, and the session in them (request-authentication section 10)."""

from dataclasses import replace

from gateway.core import binding, handshake, satellites
from gateway.core import cookies as cookie
from gateway.core.case import Case
from gateway.core.cookies import CookieError, OversizedCookieError, SetCookie, remake, removal
from gateway.core.evidence import peek
from gateway.core.instance import InstanceKind
from gateway.core.loop_judges import Unused, Use
from gateway.core.organization_sync import needs_other_organization
from gateway.core.reasons import Reason
from gateway.core.request import RequestFacts
from gateway.core.satellites import Satellite
from gateway.core.secret import Secret
from gateway.core.tokens import TokenError
from gateway.core.trace import Mark, Trace
from gateway.core.verdict import Answer, How, NeedPayload, State, Steps, Verdict
from gateway.core.verification import check_signature_of, parse_session, signed_in, verify

DEVELOPMENT_SKEW_S = 86_400.0
"""A developer's clock may be wrong by this much right after a handshake."""


def resolve(case: Case) -> Steps[Verdict | Unused | None]:
    """Apply what a handshake brought back, if anything; a useless one changes nothing.

    Returns:
        the verdict, or the answer that could not be used; None where there was no answer.
    """
    facts, rules = case.facts, case.rules
    nonce, token = _brought(facts)
    if not (nonce or token):
        return None
    if not binding.is_bound(facts):
        return _useless(case, Unused(Use.UNBOUND, binding.UNBOUND))
    directives: Answer = None
    if nonce and rules.has_api:
        case.trace.note("handshake answer", Mark.CHOSEN, "nonce {}", Secret(nonce))
        directives = yield NeedPayload(Secret(nonce))
    elif token:
        case.trace.note("handshake answer", Mark.CHOSEN, "token {}", Secret(token))
        read = yield from _handshake_directives(token, case.trace)
        if isinstance(read, TokenError):
            return _useless(case, _refused_token(case, "the handshake's token was refused", token, read))
        directives = read
    if not isinstance(directives, tuple) or not directives:
        return _useless(case, Unused(Use.EMPTY, "the handshake brought nothing that can be used"))
    try:
        cookies = remake(directives, rules.names, secure=case.is_secure)
    except CookieError as error:
        why = Use.OVERSIZED if isinstance(error, OversizedCookieError) else Use.COOKIES
        return _useless(case, Unused(why, f"the handshake's cookies were refused: {error}"))
    used = [name for name in (cookie.HANDSHAKE, cookie.HANDSHAKE_NONCE) if facts.cookie(name)]
    cookies += tuple(removal(name, secure=case.is_secure) for name in used)
    return (yield from _apply_handshake(case, cookies))


def _useless(case: Case, unused: Unused) -> Unused:
    case.trace.note("handshake answer", Mark.NO, "{}", unused.message)
    return unused


def _refused_token(case: Case, what: str, token: str, error: TokenError) -> Unused:
    peeked = peek(token, case.verified, case.now_s)
    return Unused(
        Use.TOKEN,
        f"{what}: {error.reason}, {error.message}",
        error.reason,
        peeked.issuer if peeked is not None else "",
        case.now_s - peeked.issued_at_s if peeked is not None else 0.0,
    )


def _brought(facts: RequestFacts) -> tuple[str, str]:
    """Return nonce and token that a handshake brought; empty texts for none, and where none is taken."""
    if not handshake.takes_answer(facts):
        return "", ""
    return _handshake_value(facts, cookie.HANDSHAKE_NONCE), _handshake_value(facts, cookie.HANDSHAKE)


def _handshake_value(facts: RequestFacts, name: str) -> str:
    in_url = handshake.query_value(facts.url, name) if facts.url.query else None
    return in_url or facts.cookie(name)


def _handshake_directives(token: str, trace: Trace) -> Steps[tuple[str, ...] | TokenError | None]:
    try:
        parsed = parse_session(token, trace)
        yield from check_signature_of(parsed, trace)
    except TokenError as error:
        trace.note(error.check, Mark.NO, "{}", error.message)
        return error
    listed = parsed.payload.get("handshake")
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        return None
    return tuple(listed)


def _apply_handshake(case: Case, cookies: tuple[SetCookie, ...]) -> Steps[Verdict | Unused]:
    token = handshake.delivered_session(cookies, case.rules.names)
    names = ", ".join(each.name for each in cookies)
    case.trace.note("handshake answer", Mark.OK, "it sets {}", names)
    if not token:
        verdict = Verdict(State.SIGNED_OUT, Reason.SESSION_TOKEN_MISSING, cookies=cookies, how=How.HANDSHAKE)
        return _sent_on(case, verdict)
    expected = case.rules.expected
    if case.rules.kind is InstanceKind.DEVELOPMENT:
        expected = replace(expected, skew_s=DEVELOPMENT_SKEW_S)
    try:
        claims, _ = yield from verify(case, token, expected)
    except TokenError as error:
        what = "the session that the handshake brought was refused"
        return _useless(case, _refused_token(case, what, token, error))
    return _sent_on(case, signed_in(claims, token, How.HANDSHAKE, cookies))


def _sent_on(case: Case, verdict: Verdict) -> Verdict:
    """Send the browser to the address without what the handshake left in it.

    The counter goes along: the next page comes with the same Referer, and perhaps for an organization that the
    handshake has just not brought, and must not begin anew, however long the handshake took.
    """
    facts, claims = case.facts, verdict.claims
    location = handshake.clean_url(facts.url)
    if isinstance(case.rules.role, Satellite):
        location = satellites.after_answer(facts.url, is_signed_in=claims is not None)
    count = max(1, handshake.redirect_count(facts))
    if claims is not None and needs_other_organization(facts, claims, case.rules.organizations):
        count = handshake.MAX_REDIRECTS
    counter = handshake.count_cookie(count, secure=case.is_secure)
    return replace(verdict, location=location, cookies=(*verdict.cookies, counter))
