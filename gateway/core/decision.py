"""The decision about one request: signed in, signed out, or a handshake, with the exact reason.

A generator that takes facts and yields a :class:`~gateway.core.verdict.Need` when one more fact is missing. It awaits
nothing and knows no clock. What no row of :mod:`gateway.core.cookie_rows` decides is verified, and what is not
verified is denied. Order and codes: request-authentication section 6.
"""

from dataclasses import replace

from gateway.core import cookies as cookie
from gateway.core.case import Case, Rules
from gateway.core.claims import SessionClaims
from gateway.core.cookie_rows import Row, rows_for
from gateway.core.cookies import removal
from gateway.core.diagnosis import with_cause
from gateway.core.evidence import Evidence, VerifiedTokens
from gateway.core.machine import judge_machine
from gateway.core.narration import tell_evidence, tell_following, tell_rows, tell_source
from gateway.core.organization_sync import needs_other_organization
from gateway.core.reasons import Reason, expired_reason
from gateway.core.referrers import comes_from_elsewhere
from gateway.core.renewal import ask_for_handshake, refresh
from gateway.core.request import RequestFacts
from gateway.core.resolution import resolve
from gateway.core.satellites import NOTES, Satellite
from gateway.core.secret import Secret
from gateway.core.token_class import SESSION_ONLY, Accepts
from gateway.core.tokens import TokenError
from gateway.core.trace import NO_TRACE, Trace
from gateway.core.verdict import How, State, Steps, Verdict
from gateway.core.verification import signed_in, verify

_RENEWING = {
    Reason.TOKEN_NOT_ACTIVE_YET: Reason.SESSION_TOKEN_NBF,
    Reason.TOKEN_IAT_IN_THE_FUTURE: Reason.SESSION_TOKEN_IAT_IN_THE_FUTURE,
    Reason.SESSION_ENDED: Reason.SESSION_ENDED,
}


def decide(
    facts: RequestFacts,
    rules: Rules,
    verified: VerifiedTokens,
    now_s: float,
    accepts: Accepts = SESSION_ONLY,
    trace: Trace = NO_TRACE,
) -> Steps[Verdict]:
    """Decide about a request.

    Args:
        facts: all that is known of it.
        rules: the instance's rules.
        verified: tokens whose signature is known to be good.
        now_s: Unix seconds.
        accepts: the types of tokens that count here.
        trace: takes notes of what is looked at.

    Yields:
        what is missing; to be answered with ``send``.

    Returns:
        the verdict.
    """
    case = Case(facts, rules, verified, now_s, trace)
    if trace.is_on:
        tell_source(case)
    if accepts != SESSION_ONLY:
        verdict = yield from judge_machine(case, accepts)
        if verdict is not None:
            return verdict
    if facts.bearer is not None:
        verdict = yield from _judge(case, facts.bearer, None)
        return verdict if verdict.loop is None else with_cause(case, verdict, None, case.evidence())
    unused = yield from resolve(case)
    if isinstance(unused, Verdict):
        return unused
    evidence = case.evidence()
    verdict = yield from _judge_cookies(case, evidence)
    if verdict.loop is not None:
        verdict = with_cause(case, verdict, unused, evidence)
    note = unused.message if unused is not None else NOTES.get(evidence.sync, "") if evidence.sync is not None else ""
    # Without this a wrong setting would send people from handshake to sign-in and back with no word of why.
    return replace(verdict, message=note) if note and not verdict.message else verdict


def _judge_cookies(case: Case, evidence: Evidence) -> Steps[Verdict]:
    rows = rows_for(case.rules.kind, satellite=isinstance(case.rules.role, Satellite))
    if case.trace.is_on:
        tell_evidence(case, evidence)
        tell_rows(case.trace, rows, evidence)
    for row in rows:
        if row.applies(evidence):
            return _apply(row, case, evidence)
    return (yield from _judge(case, evidence.token, evidence))


def _apply(row: Row, case: Case, evidence: Evidence) -> Verdict:
    if row.renews:
        return ask_for_handshake(case, row.reason, evidence)
    verdict = Verdict(State.SIGNED_OUT, row.reason, dev_browser=Secret(evidence.dev_browser))
    if row.reason is Reason.DUPLICATE_SESSION_COOKIES:
        names = (cookie.SESSION, case.rules.names.session)
        return replace(verdict, cookies=tuple(removal(name, secure=case.is_secure) for name in names))
    return verdict


def _judge(case: Case, token: str, evidence: Evidence | None) -> Steps[Verdict]:
    """Verify a session token, and find what can be done when it does not hold (section 7)."""
    found = yield from _verified(case, token, evidence)
    if isinstance(found, TokenError):
        return (yield from _recover(case, token, evidence or case.evidence(), found))
    claims, how = found
    reason = _follow(case, claims) if evidence is not None else None
    if case.trace.is_on:
        tell_following(case, claims, evidence, reason)
    if reason is not None and evidence is not None:
        return ask_for_handshake(case, reason, evidence)
    return signed_in(claims, token, how)


def _verified(case: Case, token: str, evidence: Evidence | None) -> Steps[tuple[SessionClaims, How] | TokenError]:
    """Return what a token says, or why it does not hold; what can be done then may have to wait for an answer."""
    parsed = evidence.unverified if evidence is not None else None
    try:
        return (yield from verify(case, token, case.rules.expected, parsed))
    except TokenError as error:
        return error


def _follow(case: Case, claims: SessionClaims) -> Reason | None:
    """Return why a good session has to follow what happened elsewhere, or None when it is up to date."""
    facts, rules = case.facts, case.rules
    if rules.known_pages is not None and comes_from_elsewhere(facts, rules.known_pages):
        return Reason.PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC
    if needs_other_organization(facts, claims, rules.organizations):
        return Reason.ACTIVE_ORGANIZATION_MISMATCH
    return None


def _recover(case: Case, token: str, evidence: Evidence, error: TokenError) -> Steps[Verdict]:
    if error.reason is Reason.TOKEN_EXPIRED:
        outcome = yield from refresh(case, token, evidence)
        if isinstance(outcome, Verdict):
            return outcome
        return ask_for_handshake(case, expired_reason(outcome), evidence, error.message)
    if error.reason in _RENEWING:
        return ask_for_handshake(case, _RENEWING[error.reason], evidence, error.message)
    return Verdict(State.SIGNED_OUT, error.reason, error.message, dev_browser=Secret(evidence.dev_browser))
