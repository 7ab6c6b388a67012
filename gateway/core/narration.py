"""The notes of a decision that would cost something to take: called only when somebody asked why.

Tells what :mod:`gateway.core.decision` reads and applies, in the same order; decides nothing.
"""

from collections.abc import Iterable

from gateway.core.case import Case
from gateway.core.claims import SessionClaims
from gateway.core.cookie_rows import Row
from gateway.core.cookies import CLIENT_UAT, DEV_BROWSER, HANDSHAKE, HANDSHAKE_NONCE, SESSION, STATE
from gateway.core.evidence import Evidence, Peeked, peek
from gateway.core.handshake import query_value, redirect_count
from gateway.core.reasons import Reason
from gateway.core.secret import Secret
from gateway.core.trace import Mark, Trace


def secrets_of(case: Case) -> Iterable[str]:
    """Return what of a request must not be printed."""
    facts = case.facts
    if facts.bearer:
        yield facts.bearer
    for values in facts.cookies.values():
        yield from values
    for name in (HANDSHAKE, HANDSHAKE_NONCE, DEV_BROWSER, STATE):
        yield query_value(facts.url, name) or ""


def tell_source(case: Case) -> None:
    """Tell where a token can come from."""
    trace, facts = case.trace, case.facts
    trace.hide(secrets_of(case))
    if facts.bearer is not None:
        trace.note("token", Mark.CHOSEN, "Authorization: Bearer, {}", Secret(facts.bearer))
        trace.note("cookies", Mark.SKIPPED, "a Bearer token is judged alone")
        tell_clock(case, peek(facts.bearer, case.verified, case.now_s))
        return
    trace.note("token", Mark.SKIPPED, "no Authorization: Bearer")
    names = ", ".join(f"{name} x{len(values)}" if len(values) > 1 else name for name, values in facts.cookies.items())
    trace.note("cookies", Mark.OK if names else Mark.NO, "{}", names or "none of this instance")


def tell_evidence(case: Case, evidence: Evidence) -> None:
    """Tell which cookies are believed and what they say."""
    trace, names, family = case.trace, case.rules.names, evidence.family
    session, uat, dev_browser = (
        (names.session, names.client_uat, names.dev_browser)
        if evidence.suffixed
        else (SESSION, CLIENT_UAT, DEV_BROWSER)
    )
    which = "suffixed" if evidence.suffixed else "plain"
    trace.note("family", Mark.CHOSEN, "{} cookies (rule {}: {})", which, family.value, family.when)
    if evidence.token:
        trace.note("session cookie", Mark.CHOSEN, "{}, {}", session, Secret(evidence.token))
    else:
        trace.note("session cookie", Mark.NO, "no {}", session)
    tell_clock(case, evidence.peeked)
    if evidence.client_uat_s:
        trace.note("client", Mark.OK, "{}: changed {:.0f} s ago", uat, case.now_s - evidence.client_uat_s)
    else:
        trace.note("client", Mark.NO, "no active client in {}", uat)
    if evidence.is_development:
        source = "the URL" if evidence.syncs_dev_browser else dev_browser
        if evidence.dev_browser:
            trace.note("dev browser", Mark.OK, "{}, {}", source, Secret(evidence.dev_browser))
        else:
            trace.note("dev browser", Mark.NO, "none in {}", source)
    count = redirect_count(case.facts)
    if count:
        trace.note("handshakes", Mark.OK, "{} within the last seconds", count)


def tell_clock(case: Case, peeked: Peeked | SessionClaims | None) -> None:
    """Tell of a token that comes from the future, which no right pair of clocks makes."""
    ahead_s = peeked.issued_at_s - case.now_s if peeked is not None else 0
    if ahead_s > 1:
        text = "the token was issued {:.0f} s in the future: this machine's clock is behind, or the issuer's ahead"
        case.trace.note("clock", Mark.NO, text, ahead_s)


def tell_rows(trace: Trace, rows: Iterable[Row], evidence: Evidence) -> None:
    """Tell each row that is asked, until one applies."""
    for row in rows:
        if row.applies(evidence):
            trace.note("row", Mark.CHOSEN, "{}: {}", row.when, row.reason)
            return
        trace.note("row", Mark.SKIPPED, "{}", row.when)


def tell_following(case: Case, claims: SessionClaims, evidence: Evidence | None, reason: Reason | None) -> None:
    """Tell whether a good session has to follow what happened elsewhere."""
    trace = case.trace
    organization = claims.organization
    active = f"organization {organization.id}" if organization else "personal account"
    trace.note("session", Mark.OK, "{} of {}, {}", claims.session_id or "no id", claims.user_id, active)
    if evidence is None:
        return
    is_elsewhere = reason is Reason.PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC
    if case.rules.known_pages is None:
        trace.note("referrer", Mark.SKIPPED, "not looked at")
    elif is_elsewhere:
        trace.note("referrer", Mark.NO, "the page is opened from another site")
        return
    else:
        trace.note("referrer", Mark.OK)
    target = case.rules.organizations.target(case.facts.url.path)
    if target is None:
        trace.note("organization", Mark.SKIPPED, "no pattern takes this path")
        return
    wanted = target.parameter or "the personal account"
    mark = Mark.NO if reason is Reason.ACTIVE_ORGANIZATION_MISMATCH else Mark.OK
    trace.note("organization", mark, "the path is for {}; active: {}", wanted, active)
