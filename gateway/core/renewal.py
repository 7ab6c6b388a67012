"""What can be done for a session that does not hold: trade the expired token, or send the browser to the handshake.

Sources: request-authentication sections 7, 8 and 12.
"""

from collections.abc import Generator

from gateway.core import cookies as cookie
from gateway.core import handshake
from gateway.core.case import Case
from gateway.core.cookies import CookieError, remake
from gateway.core.evidence import Evidence, peek
from gateway.core.instance import API_VERSION
from gateway.core.reasons import RefreshFailure
from gateway.core.secret import Secret
from gateway.core.tokens import TokenError
from gateway.core.verdict import Answer, How, Need, NeedRefresh, State, Verdict
from gateway.core.verification import signed_in, verify

REFRESH_HEADERS = ("accept-language", "origin", "user-agent")
"""What the API learns about the browser; never cookies or credentials."""


def ask_for_handshake(case: Case, reason: str, message: str, evidence: Evidence) -> Verdict:
    """Send a browser to the handshake; others, and browsers in a loop, are signed out for the same reason."""
    dev_browser = Secret(evidence.dev_browser)
    if not handshake.is_eligible(case.facts):
        return Verdict(State.SIGNED_OUT, reason, message, dev_browser=dev_browser)
    count = handshake.redirect_count(case.facts)
    if count >= handshake.MAX_REDIRECTS:
        return Verdict(State.SIGNED_OUT, reason, message, is_loop=True, dev_browser=dev_browser)
    token = case.facts.bearer or evidence.token  # the one that failed, never another's (quirk Q1)
    parameters = [
        ("__clerk_api_version", API_VERSION),
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


def refresh(case: Case, token: str, evidence: Evidence) -> Generator[Need, Answer, Verdict | str]:
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
        claims, _ = yield from verify(case, token, case.rules.expected)
    except CookieError:
        return RefreshFailure.UNEXPECTED_SDK_ERROR
    except TokenError:
        return RefreshFailure.INVALID_SESSION_TOKEN
    if (claims.session_id, claims.user_id) != (session_id, user_id):
        return RefreshFailure.SESSION_MISMATCH
    return signed_in(claims, token, How.REFRESH, cookies)
