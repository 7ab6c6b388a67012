"""What can be done for a session that does not hold: trade the expired token, or send the browser to the handshake.

Sources: request-authentication sections 7, 8 and 12.
"""

import re

from gateway.core import binding, handshake, satellites
from gateway.core import cookies as cookie
from gateway.core.case import Case
from gateway.core.cookies import CookieError, SetCookie, remake
from gateway.core.evidence import Evidence, peek
from gateway.core.instance import API_VERSION
from gateway.core.loop_causes import Finding, LoopCause
from gateway.core.reasons import RefreshFailure
from gateway.core.secret import Secret
from gateway.core.tokens import TokenError
from gateway.core.trace import Mark
from gateway.core.verdict import How, NeedRefresh, State, Steps, Verdict
from gateway.core.verification import signed_in, verify

STOPPED = Finding(LoopCause.UNKNOWN)
"""A loop was stopped here; why is found when all is known (:mod:`gateway.core.diagnosis`)."""

# Visible ASCII, and no more than a browser keeps in a cookie: an API may fail of other texts, and the failure would
# count as the API's, against everybody.
_REFRESH_TOKEN = re.compile(r"[!-~]{1,4096}")

REFRESH_HEADERS = ("accept-language", "origin", "user-agent")
"""What the API learns about the browser; never cookies or credentials."""


def ask_for_handshake(case: Case, reason: str, evidence: Evidence, message: str = "") -> Verdict:
    """Send a browser to the handshake; others, and browsers in a loop, are signed out for the same reason.

    A satellite in development sends it to the primary instead, and the primary back to the satellite.
    """
    facts, dev_browser = case.facts, Secret(evidence.dev_browser)
    if not handshake.is_eligible(facts):
        case.trace.note("handshake", Mark.NO, "not for this request: {}", handshake.why_not(facts))
        return Verdict(State.SIGNED_OUT, reason, message, dev_browser=dev_browser)
    count = binding.attempts(facts) + 1
    state = binding.state_of(facts, case.rules.new_state)
    keep_state = binding.state_cookie(facts.url, state)
    if count > handshake.MAX_REDIRECTS:
        case.trace.note("handshake", Mark.NO, "a loop: it would be number {} within seconds", count)
        # A browser that begins to keep cookies is known by the state's, and may try again from the same address.
        known = () if binding.keeps_cookies(facts) or not binding.came_back(facts) else (keep_state,)
        return Verdict(State.SIGNED_OUT, reason, message, loop=STOPPED, cookies=known, dev_browser=dev_browser)
    case.trace.note(
        "handshake", Mark.CHOSEN, "for {}; number {} of {} in a row", reason, count, handshake.MAX_REDIRECTS
    )
    cookies: tuple[SetCookie, ...] = (handshake.count_cookie(count, secure=case.is_secure),)
    location = satellites.destination(facts, case.rules.role, reason, evidence.dev_browser)
    if not location:
        address = binding.return_address(facts, state, count)
        location = handshake.location(case.handshake_base, address, _parameters(case, reason, evidence))
        cookies += (keep_state,)
    return Verdict(State.HANDSHAKE, reason, message, location=location, cookies=cookies, dev_browser=dev_browser)


def _parameters(case: Case, reason: str, evidence: Evidence) -> list[tuple[str, str]]:
    """Return what the Frontend API is told, in the reference's order (section 8)."""
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
    return parameters


def refresh(case: Case, token: str, evidence: Evidence) -> Steps[Verdict | str]:
    """Trade an expired token; returns the verdict, or the tail of the reason why not (section 12)."""
    facts, rules = case.facts, case.rules
    refresh_token = facts.cookie(rules.names.refresh)
    expired = peek(token, case.verified, case.now_s)
    session_id = expired.session_id if expired is not None else ""
    failure = _why_not_refreshed(case, refresh_token, session_id)
    if failure is not None:
        case.trace.note("refresh", Mark.NO, "{}", failure)
        return failure
    case.trace.note("refresh", Mark.OK, "for {}, with {} {}", session_id, rules.names.refresh, Secret(refresh_token))
    answer = yield NeedRefresh(
        session_id=session_id,
        expired_token=Secret(token),
        refresh_token=Secret(refresh_token),
        request_origin=facts.url.origin,
        request_headers={name: facts.headers[name] for name in REFRESH_HEADERS if name in facts.headers},
        client=facts.client,
        suffixed_cookies=evidence.suffixed,
    )
    if isinstance(answer, str):
        case.trace.note("refresh", Mark.NO, "{}", answer)
        return answer
    directives = answer if isinstance(answer, tuple) else ()
    return (yield from _accept_refreshed(case, session_id, expired.user_id if expired else "", directives))


def _why_not_refreshed(case: Case, refresh_token: str, session_id: str) -> RefreshFailure | None:
    methods = case.rules.refresh_methods
    if methods is not None and case.facts.method not in methods:
        return RefreshFailure.NON_ELIGIBLE_METHOD
    if not _REFRESH_TOKEN.fullmatch(refresh_token):
        return RefreshFailure.NON_ELIGIBLE_NO_REFRESH_COOKIE
    if not case.rules.has_refresh:
        return RefreshFailure.NOT_CONFIGURED
    return None if session_id else RefreshFailure.MISSING_SID_CLAIM


def _accept_refreshed(case: Case, session_id: str, user_id: str, directives: tuple[str, ...]) -> Steps[Verdict | str]:
    try:
        cookies = remake(directives, case.rules.names, secure=case.is_secure)
        token = handshake.delivered_session(cookies, case.rules.names)
        claims, _ = yield from verify(case, token, case.rules.expected)
    except CookieError as error:
        case.trace.note("refresh", Mark.NO, "its cookies are refused: {}", str(error))
        return RefreshFailure.UNEXPECTED_SDK_ERROR
    except TokenError:
        return RefreshFailure.INVALID_SESSION_TOKEN
    if (claims.session_id, claims.user_id) != (session_id, user_id):
        case.trace.note("refresh", Mark.NO, "it brought another session")
        return RefreshFailure.SESSION_MISMATCH
    case.trace.note("refresh", Mark.OK, "it brought a new token")
    return signed_in(claims, token, How.REFRESH, cookies)
