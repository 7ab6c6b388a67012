"""What is known about a redirect loop at the request that stops it, gathered for :mod:`gateway.core.loop_judges`."""

from dataclasses import replace

from gateway.core import binding
from gateway.core import cookies as cookie
from gateway.core.case import Case
from gateway.core.evidence import Evidence, peek
from gateway.core.handshake import redirect_count
from gateway.core.loop_causes import Finding
from gateway.core.loop_judges import LoopFacts, Unused, find_cause
from gateway.core.verdict import Verdict


def with_cause(case: Case, verdict: Verdict, unused: Unused | None, evidence: Evidence) -> Verdict:
    """Return the verdict that stopped a loop, with the loop's likeliest cause.

    Args:
        case: the request.
        verdict: the decision.
        unused: the handshake's answer that the request brought and that could not be used.
        evidence: the request's cookies.
    """
    return replace(verdict, loop=_find(case, verdict, unused, evidence))


def _find(case: Case, verdict: Verdict, unused: Unused | None, evidence: Evidence) -> Finding:
    facts, rules = case.facts, case.rules
    token = facts.bearer or evidence.token
    peeked = peek(token, case.verified, case.now_s) if token else None
    counted = {cookie.SESSION, cookie.CLIENT_UAT, cookie.STATE, rules.names.session, rules.names.client_uat}
    return find_cause(
        LoopFacts(
            kind=rules.kind,
            frontend_api=rules.frontend_api,
            issuers=rules.issuers(facts.url.origin),
            url=facts.url,
            reason=verdict.reason,
            unused=unused,
            issuer=peeked.issuer if peeked is not None else "",
            issued_ago_s=case.now_s - peeked.issued_at_s if peeked is not None else 0.0,
            has_session=bool(token),
            several=sorted(name for name, values in facts.cookies.items() if name in counted and len(values) > 1),
            keeps_cookies=binding.keeps_cookies(facts) or redirect_count(facts) > 0,
            forwarded_proto=facts.header("x-forwarded-proto"),
            head_bytes=facts.head_bytes,
        )
    )
