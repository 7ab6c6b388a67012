"""Why a request is not signed in: every reason code, and what each one means on the wire.

The codes are those of Clerk's ``authenticateRequest`` where it has one; clients and log searches may rely on them.
One table maps a code to the status, the ``WWW-Authenticate`` error (RFC 6750 section 3.1), the log level and the words
that a person may read. A code that is not in the table denies with 401.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Stable reason codes."""

    # No session, or one that the browser has to renew.
    SESSION_TOKEN_AND_UAT_MISSING = "session-token-and-uat-missing"
    SESSION_TOKEN_MISSING = "session-token-missing"
    SESSION_TOKEN_BUT_NO_CLIENT_UAT = "session-token-but-no-client-uat"
    CLIENT_UAT_BUT_NO_SESSION_TOKEN = "client-uat-but-no-session-token"
    SESSION_TOKEN_IAT_BEFORE_CLIENT_UAT = "session-token-iat-before-client-uat"
    SESSION_TOKEN_NBF = "session-token-nbf"
    SESSION_TOKEN_IAT_IN_THE_FUTURE = "session-token-iat-in-the-future"
    SESSION_TOKEN_EXPIRED = "session-token-expired"
    DEV_BROWSER_MISSING = "dev-browser-missing"
    DEV_BROWSER_SYNC = "dev-browser-sync"
    PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC = "primary-domain-cross-origin-sync"
    PRIMARY_RESPONDS_TO_SYNCING = "primary-responds-to-syncing"
    SATELLITE_NEEDS_SYNCING = "satellite-needs-syncing"
    ACTIVE_ORGANIZATION_MISMATCH = "active-organization-mismatch"
    DUPLICATE_SESSION_COOKIES = "duplicate-session-cookies"
    SESSION_PENDING = "session-pending"
    SESSION_ENDED = "session-ended"
    TOKEN_TYPE_MISMATCH = "token-type-mismatch"
    NO_TOKEN_IN_HEADER = "No token in header"

    # Somebody is signed in, and may not do this.
    MISSING_ROLE = "missing-role"
    MISSING_PERMISSION = "missing-permission"
    MISSING_FEATURE = "missing-feature"
    MISSING_PLAN = "missing-plan"
    MISSING_SCOPE = "missing-scope"
    REVERIFICATION_REQUIRED = "reverification-required"
    IMPERSONATION_REFUSED = "impersonation-refused"

    # The token is at fault.
    TOKEN_EXPIRED = "token-expired"
    TOKEN_INVALID = "token-invalid"
    TOKEN_INVALID_ALGORITHM = "token-invalid-algorithm"
    TOKEN_INVALID_AUTHORIZED_PARTIES = "token-invalid-authorized-parties"
    TOKEN_INVALID_ISSUER = "token-invalid-issuer"
    TOKEN_INVALID_SIGNATURE = "token-invalid-signature"
    TOKEN_NOT_ACTIVE_YET = "token-not-active-yet"
    TOKEN_IAT_IN_THE_FUTURE = "token-iat-in-the-future"
    TOKEN_VERIFICATION_FAILED = "token-verification-failed"
    JWK_KID_MISMATCH = "jwk-kid-mismatch"
    MACHINE_TOKEN_EXPIRED = "machine-token-expired"
    MACHINE_TOKEN_REVOKED = "machine-token-revoked"

    # We cannot know: the keys, or the API that knows machine tokens, are out of reach.
    SECRET_KEY_INVALID = "secret-key-invalid"
    JWK_REMOTE_DNS = "jwk-remote-dns"
    JWK_REMOTE_UNREACHABLE = "jwk-remote-unreachable"
    JWK_REMOTE_TLS = "jwk-remote-tls"
    JWK_REMOTE_TIMEOUT = "jwk-remote-timeout"
    JWK_REMOTE_FAILED_TO_LOAD = "jwk-remote-failed-to-load"
    JWK_REMOTE_INVALID = "jwk-remote-invalid"
    JWK_REMOTE_MISSING = "jwk-remote-missing"
    MACHINE_API_UNREACHABLE = "machine-api-unreachable"
    MACHINE_API_TIMEOUT = "machine-api-timeout"
    MACHINE_API_FAILED = "machine-api-failed"
    MACHINE_VERIFICATION_LIMITED = "machine-verification-limited"

    # The request itself.
    REQUEST_TARGET_INVALID = "request-target-invalid"
    REQUEST_HOST_INVALID = "request-host-invalid"
    REQUEST_FRAMING_INVALID = "request-framing-invalid"
    REQUEST_HEADERS_TOO_LARGE = "request-headers-too-large"
    REQUEST_BODY_TOO_LARGE = "request-body-too-large"
    REQUEST_TIMEOUT = "request-timeout"
    EXPECTATION_FAILED = "expectation-failed"
    GATEWAY_OVERLOADED = "gateway-overloaded"
    ROUTE_NOT_FOUND = "route-not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    DECISION_PEER_REFUSED = "decision-peer-refused"
    ORIGINAL_REQUEST_MISSING = "original-request-missing"
    ORIGINAL_REQUEST_CONTRADICTORY = "original-request-contradictory"
    ORIGINAL_REQUEST_INVALID = "original-request-invalid"
    WEBSOCKET_ORIGIN_REFUSED = "websocket-origin-refused"
    WEBSOCKET_OPENING_INVALID = "websocket-opening-invalid"
    WEBSOCKET_VERSION_UNSUPPORTED = "websocket-version-unsupported"
    WEBSOCKET_OFFER_INVALID = "websocket-offer-invalid"
    WEBSOCKET_LIMIT_REACHED = "websocket-limit-reached"
    WEBSOCKET_MESSAGE_TOO_LARGE = "websocket-message-too-large"
    WEBSOCKET_IDLE = "websocket-idle"
    WEBSOCKET_CLIENT_TOO_SLOW = "websocket-client-too-slow"
    WEBSOCKET_SESSION_UNKNOWN = "websocket-session-unknown"
    CORS_ORIGIN_REFUSED = "cors-origin-refused"
    CORS_PREFLIGHT_UNANSWERED = "cors-preflight-unanswered"
    UNEXPECTED_ERROR = "unexpected-error"

    # The service behind the gateway.
    UPSTREAM_UNREACHABLE = "upstream-unreachable"
    UPSTREAM_CONNECT_TIMEOUT = "upstream-connect-timeout"
    UPSTREAM_TIMEOUT = "upstream-timeout"
    UPSTREAM_TLS = "upstream-tls"
    UPSTREAM_PROTOCOL_ERROR = "upstream-protocol-error"
    UPSTREAM_TRUNCATED = "upstream-truncated"
    UPSTREAM_OVERLOADED = "upstream-overloaded"
    UPSTREAM_UNAVAILABLE = "upstream-unavailable"


class RefreshFailure(StrEnum):
    """Why an expired session token was not refreshed; the tail of ``session-token-expired-refresh-<tail>``.

    Codes of the API's own answer stand beside these; see :func:`expired_reason`.
    """

    NON_ELIGIBLE_METHOD = "non-eligible-non-get"
    NON_ELIGIBLE_NO_REFRESH_COOKIE = "non-eligible-no-refresh-cookie"
    NOT_CONFIGURED = "not-configured"
    MISSING_SID_CLAIM = "expired-session-token-missing-sid-claim"
    INVALID_SESSION_TOKEN = "invalid-session-token"
    SESSION_MISMATCH = "session-mismatch"
    UNEXPECTED_SDK_ERROR = "unexpected-sdk-error"
    UNEXPECTED_BAPI_ERROR = "unexpected-bapi-error"
    FETCH_ERROR = "fetch-error"
    TIMEOUT = "timeout"
    API_UNAVAILABLE = "api-unavailable"
    BACKED_OFF = "backed-off"


_EXPIRED_PREFIX = f"{Reason.SESSION_TOKEN_EXPIRED}-refresh-"
_API_CODE = re.compile(r"[a-z0-9_-]{1,80}")


def expired_reason(tail: str) -> str:
    """Return ``session-token-expired-refresh-<tail>``.

    Args:
        tail: a :class:`RefreshFailure` or an error code of the Sessions API. A code that is not plain
            lower-case text becomes ``unexpected-bapi-error``: what an API answers never reaches a header as it is.
    """
    safe = tail if _API_CODE.fullmatch(tail) else RefreshFailure.UNEXPECTED_BAPI_ERROR
    return f"{_EXPIRED_PREFIX}{safe}"


def refresh_failure(reason: str) -> str | None:
    """Return the tail of a reason made by :func:`expired_reason`, or None for any other reason."""
    return reason.removeprefix(_EXPIRED_PREFIX) if reason.startswith(_EXPIRED_PREFIX) else None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reason is on the wire and for a person.

    Attributes:
        status: the HTTP status when the request may not go on.
        challenge: the ``error`` of ``WWW-Authenticate: Bearer``; empty where the client sent no token, or where no
            other token would help.
        level: the log level, ``info``, ``warning`` or ``error``.
        text: one sentence for the person in front of the screen.
    """

    status: int
    challenge: str
    level: str
    text: str


_SIGN_IN = Meaning(401, "", "info", "You are not signed in.")
_RENEW = Meaning(401, "", "info", "Your session has to be renewed by the browser.")
_BAD_TOKEN = Meaning(401, "invalid_token", "warning", "The token cannot be accepted.")
_EXPIRED = Meaning(401, "invalid_token", "info", "Your session token has expired.")
_CLOCK = Meaning(401, "invalid_token", "warning", "The session token is not valid yet; a clock may be wrong.")
# RFC 6750 section 3.1: "higher privileges than provided by the access token".
_SCOPE = "insufficient_scope"
_NO_KEYS = Meaning(503, "", "error", "Sessions cannot be checked at the moment. Please try again shortly.")
_NO_MACHINES = Meaning(503, "", "error", "Machine tokens cannot be checked at the moment. Please try again shortly.")
_BAD_REQUEST = Meaning(400, "", "warning", "The request cannot be understood.")
_BAD_QUESTION = Meaning(400, "", "error", "The proxy in front does not say clearly what is asked for.")
_UPSTREAM = Meaning(502, "", "error", "The service behind this gateway did not answer properly.")
_UPSTREAM_SLOW = Meaning(504, "", "error", "The service behind this gateway did not answer in time.")
_BUSY = Meaning(503, "", "error", "The service behind this gateway is busy. Please try again shortly.")

TABLE: dict[str, Meaning] = {
    Reason.SESSION_TOKEN_AND_UAT_MISSING: _SIGN_IN,
    Reason.SESSION_TOKEN_MISSING: _SIGN_IN,
    Reason.SESSION_TOKEN_BUT_NO_CLIENT_UAT: _RENEW,
    Reason.CLIENT_UAT_BUT_NO_SESSION_TOKEN: _RENEW,
    Reason.SESSION_TOKEN_IAT_BEFORE_CLIENT_UAT: _RENEW,
    Reason.SESSION_TOKEN_NBF: _CLOCK,
    Reason.SESSION_TOKEN_IAT_IN_THE_FUTURE: _CLOCK,
    Reason.SESSION_TOKEN_EXPIRED: _EXPIRED,
    Reason.DEV_BROWSER_MISSING: _SIGN_IN,
    Reason.DEV_BROWSER_SYNC: _RENEW,
    Reason.PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC: _RENEW,
    Reason.PRIMARY_RESPONDS_TO_SYNCING: _RENEW,
    Reason.SATELLITE_NEEDS_SYNCING: _SIGN_IN,
    Reason.ACTIVE_ORGANIZATION_MISMATCH: _RENEW,
    Reason.DUPLICATE_SESSION_COOKIES: Meaning(
        401, "", "warning", "Your browser holds session cookies of two sessions; please sign in again."
    ),
    Reason.SESSION_ENDED: Meaning(401, "invalid_token", "info", "Your session has ended. Please sign in again."),
    Reason.SESSION_PENDING: Meaning(401, "", "info", "Your sign-in is not complete yet."),
    Reason.TOKEN_TYPE_MISMATCH: _BAD_TOKEN,
    Reason.MISSING_ROLE: Meaning(
        403,
        _SCOPE,
        "info",
        "Your role does not allow this. Switch to another organization, or ask an administrator of yours for the role.",
    ),
    Reason.MISSING_PERMISSION: Meaning(
        403,
        _SCOPE,
        "info",
        "You lack the permission for this. Switch to another organization, or ask an administrator of yours for it.",
    ),
    Reason.MISSING_FEATURE: Meaning(
        403, _SCOPE, "info", "This feature is not part of your plan, or not of the organization that you are in."
    ),
    Reason.MISSING_PLAN: Meaning(
        403, _SCOPE, "info", "This needs another plan, or an organization that has it. Subscribe, or switch to it."
    ),
    Reason.MISSING_SCOPE: Meaning(
        403, _SCOPE, "info", "The token was not issued for this; ask for one with the scope."
    ),
    # RFC 9470 section 3: the sign-in behind the token is not fresh or not strong enough.
    Reason.REVERIFICATION_REQUIRED: Meaning(
        403,
        "insufficient_user_authentication",
        "info",
        "This needs a fresh proof that it is you. Confirm your identity in the application, then try again.",
    ),
    Reason.IMPERSONATION_REFUSED: Meaning(
        403, "", "warning", "This is for the user in person. End the impersonation, then sign in as yourself."
    ),
    Reason.NO_TOKEN_IN_HEADER: Meaning(401, "", "info", "This address asks for a machine's token as Bearer token."),
    Reason.TOKEN_EXPIRED: _EXPIRED,
    Reason.TOKEN_INVALID: _BAD_TOKEN,
    Reason.TOKEN_INVALID_ALGORITHM: _BAD_TOKEN,
    Reason.TOKEN_INVALID_AUTHORIZED_PARTIES: _BAD_TOKEN,
    Reason.TOKEN_INVALID_ISSUER: _BAD_TOKEN,
    Reason.TOKEN_INVALID_SIGNATURE: _BAD_TOKEN,
    Reason.TOKEN_NOT_ACTIVE_YET: _CLOCK,
    Reason.TOKEN_IAT_IN_THE_FUTURE: _CLOCK,
    Reason.TOKEN_VERIFICATION_FAILED: _BAD_TOKEN,
    Reason.JWK_KID_MISMATCH: _BAD_TOKEN,
    Reason.MACHINE_TOKEN_EXPIRED: Meaning(401, "invalid_token", "info", "The machine's token has expired."),
    Reason.MACHINE_TOKEN_REVOKED: Meaning(401, "invalid_token", "warning", "The machine's token was revoked."),
    Reason.SECRET_KEY_INVALID: _NO_KEYS,
    Reason.JWK_REMOTE_DNS: _NO_KEYS,
    Reason.JWK_REMOTE_UNREACHABLE: _NO_KEYS,
    Reason.JWK_REMOTE_TLS: _NO_KEYS,
    Reason.JWK_REMOTE_TIMEOUT: _NO_KEYS,
    Reason.JWK_REMOTE_FAILED_TO_LOAD: _NO_KEYS,
    Reason.JWK_REMOTE_INVALID: _NO_KEYS,
    Reason.JWK_REMOTE_MISSING: _NO_KEYS,
    Reason.MACHINE_API_UNREACHABLE: _NO_MACHINES,
    Reason.MACHINE_API_TIMEOUT: _NO_MACHINES,
    Reason.MACHINE_API_FAILED: _NO_MACHINES,
    Reason.MACHINE_VERIFICATION_LIMITED: Meaning(
        503, "", "warning", "Too many unknown machine tokens are being checked. Please try again shortly."
    ),
    Reason.REQUEST_TARGET_INVALID: _BAD_REQUEST,
    Reason.REQUEST_HOST_INVALID: _BAD_REQUEST,
    Reason.REQUEST_FRAMING_INVALID: _BAD_REQUEST,
    Reason.REQUEST_HEADERS_TOO_LARGE: Meaning(
        431, "", "warning", "The request's headers are too large. Deleting this site's cookies may help."
    ),
    Reason.REQUEST_BODY_TOO_LARGE: Meaning(413, "", "warning", "What was sent is larger than this address takes."),
    Reason.REQUEST_TIMEOUT: Meaning(408, "", "info", "The request did not arrive in time."),
    Reason.EXPECTATION_FAILED: Meaning(417, "", "warning", "The request expects something that is not done here."),
    Reason.GATEWAY_OVERLOADED: Meaning(503, "", "error", "Too much is going on here. Please try again shortly."),
    Reason.ROUTE_NOT_FOUND: Meaning(404, "", "info", "There is nothing at this address."),
    Reason.METHOD_NOT_ALLOWED: Meaning(405, "", "info", "This address does not take this kind of request."),
    Reason.DECISION_PEER_REFUSED: Meaning(403, "", "warning", "Decisions are not for you to ask for."),
    Reason.ORIGINAL_REQUEST_MISSING: _BAD_QUESTION,
    Reason.ORIGINAL_REQUEST_CONTRADICTORY: _BAD_QUESTION,
    Reason.ORIGINAL_REQUEST_INVALID: _BAD_REQUEST,
    Reason.WEBSOCKET_ORIGIN_REFUSED: Meaning(403, "", "warning", "A page of another site may not connect here."),
    Reason.WEBSOCKET_OPENING_INVALID: _BAD_REQUEST,
    Reason.WEBSOCKET_VERSION_UNSUPPORTED: Meaning(426, "", "warning", "WebSockets of version 13 are spoken here."),
    Reason.WEBSOCKET_OFFER_INVALID: _BAD_REQUEST,
    Reason.WEBSOCKET_LIMIT_REACHED: Meaning(
        503, "", "error", "Too many connections are open. Please try again shortly."
    ),
    # These end a WebSocket that is open, so they are in the log alone; see docs/websockets.md for the close codes.
    Reason.WEBSOCKET_MESSAGE_TOO_LARGE: Meaning(400, "", "warning", "A message was too large."),
    Reason.WEBSOCKET_IDLE: Meaning(408, "", "info", "Nothing was said for too long."),
    Reason.WEBSOCKET_CLIENT_TOO_SLOW: Meaning(408, "", "info", "Messages were not read in time."),
    Reason.WEBSOCKET_SESSION_UNKNOWN: Meaning(
        503, "", "warning", "It could not be learnt whether your session lives. Connect again."
    ),
    Reason.CORS_ORIGIN_REFUSED: Meaning(403, "", "warning", "A page of another site may not read this."),
    Reason.CORS_PREFLIGHT_UNANSWERED: Meaning(403, "", "warning", "Pages of other sites are not answered here."),
    Reason.UNEXPECTED_ERROR: Meaning(500, "", "error", "Something went wrong in the gateway."),
    Reason.UPSTREAM_UNREACHABLE: _UPSTREAM,
    Reason.UPSTREAM_CONNECT_TIMEOUT: _UPSTREAM_SLOW,
    Reason.UPSTREAM_TIMEOUT: _UPSTREAM_SLOW,
    Reason.UPSTREAM_TLS: _UPSTREAM,
    Reason.UPSTREAM_PROTOCOL_ERROR: _UPSTREAM,
    Reason.UPSTREAM_TRUNCATED: _UPSTREAM,
    Reason.UPSTREAM_OVERLOADED: _BUSY,
    Reason.UPSTREAM_UNAVAILABLE: Meaning(
        503, "", "error", "The service behind this gateway is out of order. Please try again shortly."
    ),
}


def meaning(reason: str) -> Meaning:
    """Return what a reason means; a code that nobody knows denies like a missing session."""
    if reason.startswith(_EXPIRED_PREFIX):
        return _EXPIRED
    return TABLE.get(reason, _SIGN_IN)
