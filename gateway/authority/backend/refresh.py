"""The trade of an expired session token and a refresh token for a new session token (Sessions API section 3).

Any refusal is 401 and sends the caller to a handshake. The checks run in the order of the function, which goes from
the request over the token to the database. What the public facts leave open is decided so:

- a token is eligible when it is of the session class and its ``exp`` has passed (with a little tolerance for clocks);
- it may be traded once, and only until ``expired_token_age_limit_s`` after its ``iat``;
- answers in the form of cookies carry a new refresh token, and the old one stays good for ``refresh_grace_s``; answers
  in the form of a token cannot carry one, so there the refresh token stays;
- a refresh token that comes back later than that was stolen, by whoever brings it now or by whoever brought it first
  (RFC 9700 section 4.14.2). Nobody can tell which, so the session ends, and the log says so.

======================  ====================  ================================================================
refresh token           session token         what happens
======================  ====================  ================================================================
of another session,     any                   401 ``refresh_token_not_found``
or never issued
current, or in grace    not traded yet        200; as cookies the refresh token rotates
current, or in grace    traded before         401 ``…_consumed``: a parallel tab, or an answer that was lost
retired and late        not traded yet        theft
retired and late,       traded before         theft
outlived by its family
retired and late,       traded before         401 ``…_consumed``: the whole request is a repetition, so the answer
not outlived                                  to the first one was lost (a gateway died between both), and the
                                              handshake that follows asks for the browser's own cookie
======================  ====================  ================================================================

The last row gives nothing to a thief either. One who traded first holds a successor that the browser knows nothing of;
the handshake puts another token beside it, and the next use of both, one after the other, is the fourth row.
"Theft" revokes the session and answers 401 ``refresh_token_not_found``, the closest code that the catalogue has.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.authority import lifecycle
from gateway.authority.errors import Problem, Refusal
from gateway.authority.models import SessionRecord
from gateway.authority.realm import Realm, TokenOrder
from gateway.authority.return_urls import origin_of
from gateway.authority.signing.keyring import Category, ForeignToken
from gateway.authority.store.refresh_tokens import RefreshToken
from gateway.authority.versions import ApiVersion
from gateway.authority.webhooks.events import Cause
from gateway.core.session_status import SessionStatus

_log = logging.getLogger("gateway.authority")

_CLOCK_TOLERANCE_S = 10

REFUSALS = (
    Problem.ORIGIN_INVALID,
    Problem.EXPIRED_TOKEN_INVALID,
    Problem.TOKEN_INELIGIBLE,
    Problem.AZP_MISSING,
    Problem.AZP_MISMATCH,
    Problem.SID_MISSING,
    Problem.SID_MISMATCH,
    Problem.IAT_MISSING,
    Problem.TOKEN_TOO_OLD,
    Problem.REFRESH_SESSION_NOT_FOUND,
    Problem.REFRESH_SESSION_INACTIVE,
    Problem.REFRESH_USER_NOT_FOUND,
    Problem.REFRESH_TOKEN_NOT_FOUND,
    Problem.TOKEN_CONSUMED,
)
"""In the order of the checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOrder:
    """A well-formed request for a refresh.

    Attributes:
        session_id: from the path.
        expired_token: the session token that was refused as expired.
        refresh_token: value of the refresh cookie.
        request_origin: origin of the browser's request.
        as_cookies: answer with cookies, not with the bare token.
        suffixed: set the suffixed session cookie too.
        version: API version; decides the version of the claims.
        cause: the request, as the event of a theft tells it.
    """

    session_id: str
    expired_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    request_origin: str
    as_cookies: bool
    suffixed: bool
    version: ApiVersion
    cause: Cause


def refresh(realm: Realm, order: RefreshOrder) -> dict[str, object]:
    """Trade the tokens and return the body of the answer.

    Raises:
        Refusal: with the code of the first check that fails.
    """
    now_ms = realm.now_ms()
    origin = origin_of(order.request_origin)
    if origin is None:
        raise Refusal(Problem.ORIGIN_INVALID)
    issued_at_s = _check_token(realm, order, origin, now_ms // 1000)
    with realm.database.transaction():
        session = _check_session(realm, order, now_ms)
        held = realm.refresh_tokens.find(order.refresh_token, session.id)
        if held is None:
            raise Refusal(Problem.REFRESH_TOKEN_NOT_FOUND)
        # remembered until it would be refused as too old anyway
        forget_at_ms = (issued_at_s + realm.config.expired_token_age_limit_s + 1) * 1000
        is_first = realm.grants.consume(order.expired_token, now_ms, forget_at_ms)
        is_late = realm.refresh_tokens.is_late(held, now_ms)
        is_theft = is_late and (is_first or realm.refresh_tokens.is_outlived(held))
        if is_theft:
            lifecycle.finish(realm, session, SessionStatus.REVOKED, order.cause)
        elif not is_first:
            raise Refusal(Problem.TOKEN_CONSUMED)
        else:
            realm.refresh_tokens.use(held, now_ms)
            session = lifecycle.see(realm, session)
            # cookies can carry a new refresh token, the bare token cannot
            successor = realm.refresh_tokens.rotate(held, now_ms) if order.as_cookies else ""
    if is_theft:  # outside: a refusal inside would undo the end of the session
        raise _theft(held, session, now_ms)
    # signed outside: a signature takes longer than all of the transaction, which keeps other processes waiting
    jwt = realm.session_token(session, TokenOrder(azp=origin, now_ms=now_ms), order.version)
    if not order.as_cookies:
        return {"object": "token", "jwt": jwt}
    max_age_s = max(1, (session.expire_at_ms - now_ms) // 1000)
    directives = realm.cookies.refresh(successor, max_age_s)
    directives += realm.cookies.session(jwt, max_age_s, suffixed=order.suffixed)
    return {"object": "cookies", "cookies": directives}


def _theft(held: RefreshToken, session: SessionRecord, now_ms: int) -> Refusal:
    _log.warning(
        "session %s of user %s is revoked: a refresh token that was retired %d seconds ago came back, so somebody else"
        " has a copy of it",
        session.id,
        session.user_id,
        (now_ms - (held.retired_at_ms or now_ms)) // 1000,
    )
    return Refusal(Problem.REFRESH_TOKEN_NOT_FOUND)


def _check_token(realm: Realm, order: RefreshOrder, origin: str, now_s: int) -> int:
    try:
        token = realm.keys.open(order.expired_token)
    except ForeignToken:
        raise Refusal(Problem.EXPIRED_TOKEN_INVALID) from None
    expires_at_s = _seconds(token.payload, "exp")
    is_session = token.header.get("cat", Category.SESSION) == Category.SESSION
    if not is_session or expires_at_s is None or expires_at_s > now_s + _CLOCK_TOLERANCE_S:
        raise Refusal(Problem.TOKEN_INELIGIBLE)
    for claim, wanted, missing, mismatch in (
        ("azp", origin, Problem.AZP_MISSING, Problem.AZP_MISMATCH),
        ("sid", order.session_id, Problem.SID_MISSING, Problem.SID_MISMATCH),
    ):
        if not token.payload.get(claim):
            raise Refusal(missing)
        if token.payload[claim] != wanted:
            raise Refusal(mismatch)
    issued_at_s = _seconds(token.payload, "iat")
    if issued_at_s is None:
        raise Refusal(Problem.IAT_MISSING)
    if now_s - issued_at_s > realm.config.expired_token_age_limit_s:
        raise Refusal(Problem.TOKEN_TOO_OLD)
    return issued_at_s


def _check_session(realm: Realm, order: RefreshOrder, now_ms: int) -> SessionRecord:
    session = realm.ledger.session(order.session_id, now_ms)
    if session is None:
        raise Refusal(Problem.REFRESH_SESSION_NOT_FOUND)
    if not session.is_live:
        raise Refusal(Problem.REFRESH_SESSION_INACTIVE, session_id=session.id, state=session.status)
    if realm.directory.user(session.user_id) is None:
        raise Refusal(Problem.REFRESH_USER_NOT_FOUND, session_id=session.id)
    return session


def _seconds(claims: Mapping[str, object], name: str) -> int | None:
    value = claims.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
