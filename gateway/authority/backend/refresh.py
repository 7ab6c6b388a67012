"""The trade of an expired session token and a refresh token for a new session token (Sessions API section 3).

Any refusal is 401 and sends the caller to a handshake. The checks run in the order of the function, which goes from
the request over the token to the database. What the public facts leave open is decided so:

- a token is eligible when it is of the session class and its ``exp`` has passed (with a little tolerance for clocks);
- it may be traded once, and only until ``expired_token_age_limit_s`` after its ``iat``;
- answers in the form of cookies carry a new refresh token, and the old one stays good for ``refresh_grace_s``; answers
  in the form of a token cannot carry one, so there the refresh token stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.authority import lifecycle
from gateway.authority.errors import Problem, Refusal
from gateway.authority.realm import Realm, TokenOrder
from gateway.authority.return_urls import origin_of
from gateway.authority.signing.keyring import Category, ForeignToken
from gateway.authority.store.models import SessionRecord
from gateway.authority.versions import ApiVersion

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
    """

    session_id: str
    expired_token: str
    refresh_token: str
    request_origin: str
    as_cookies: bool
    suffixed: bool
    version: ApiVersion


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
        grace_ms = realm.config.refresh_grace_s * 1000
        if not realm.grants.holds_refresh_token(order.refresh_token, session.id, now_ms, grace_ms):
            raise Refusal(Problem.REFRESH_TOKEN_NOT_FOUND)
        # remembered until it would be refused as too old anyway
        forget_at_ms = (issued_at_s + realm.config.expired_token_age_limit_s + 1) * 1000
        if not realm.grants.consume(order.expired_token, now_ms, forget_at_ms):
            raise Refusal(Problem.TOKEN_CONSUMED)
        session = lifecycle.see(realm, session)
        # cookies can carry a new refresh token, the bare token cannot
        successor = (
            realm.grants.rotate_refresh_token(order.refresh_token, session.id, now_ms) if order.as_cookies else ""
        )
    # signed outside: a signature takes longer than all of the transaction, which keeps other processes waiting
    jwt = realm.session_token(session, TokenOrder(azp=origin, now_ms=now_ms), order.version)
    if not order.as_cookies:
        return {"object": "token", "jwt": jwt}
    max_age_s = max(1, (session.expire_at_ms - now_ms) // 1000)
    directives = realm.cookies.refresh(successor, max_age_s)
    directives += realm.cookies.session(jwt, max_age_s, suffixed=order.suffixed)
    return {"object": "cookies", "cookies": directives}


def _check_token(realm: Realm, order: RefreshOrder, origin: str, now_s: int) -> int:
    try:
        token = realm.keys.open(order.expired_token)
    except ForeignToken:
        raise Refusal(Problem.EXPIRED_TOKEN_INVALID) from None
    expires_at_s = _seconds(token.claims, "exp")
    is_session = token.header.get("cat", Category.SESSION) == Category.SESSION
    if not is_session or expires_at_s is None or expires_at_s > now_s + _CLOCK_TOLERANCE_S:
        raise Refusal(Problem.TOKEN_INELIGIBLE)
    for claim, wanted, missing, mismatch in (
        ("azp", origin, Problem.AZP_MISSING, Problem.AZP_MISMATCH),
        ("sid", order.session_id, Problem.SID_MISSING, Problem.SID_MISMATCH),
    ):
        if not token.claims.get(claim):
            raise Refusal(missing)
        if token.claims[claim] != wanted:
            raise Refusal(mismatch)
    issued_at_s = _seconds(token.claims, "iat")
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
