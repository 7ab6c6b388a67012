"""Why the authority says no: one row per problem, and the body that every one of them is told with.

Codes and statuses are those of the API's own catalogue; the sentences are ours. Facts: Sessions API section 1. The
refusals of a refresh are rows of their own, because each sends the caller to a handshake (section 3).
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Row:
    """One problem: HTTP status, code, short and long text; the long one may name values in braces."""

    status: int
    code: str
    message: str
    long_message: str


class Problem(Enum):
    """Every problem that the authority tells of."""

    # who is asking
    KEY_INVALID = Row(401, "clerk_key_invalid", "Wrong secret key", "The secret key is not the one of this instance.")
    KEY_MALFORMED = Row(
        401,
        "authorization_header_format_invalid",
        "Malformed Authorization header",
        "The Authorization header must be: Bearer <secret key>.",
    )
    UNAUTHENTICATED = Row(401, "authentication_invalid", "Not authenticated", "The request could not be authenticated.")
    DEV_BROWSER_UNAUTHENTICATED = Row(
        401,
        "dev_browser_unauthenticated",
        "Unknown browser",
        "A development instance must know the browser: send a dev browser token in __clerk_db_jwt.",
    )
    CREDENTIALS_WRONG = Row(
        422,
        "form_password_incorrect",
        "Wrong email address or password",
        "The email address or the password is wrong.",
    )
    TOO_MANY_ATTEMPTS = Row(
        429,
        "too_many_requests",
        "Too many attempts",
        "There were too many attempts to sign in. Try again in {retry_after_s} seconds.",
    )
    NOBODY_CHECKS = Row(
        403,
        "authorization_invalid",
        "Nobody checks passwords",
        "This instance has no sign-in check; sign in on its page /sign-in, or start it with --sign-in-check.",
    )
    CROSS_SITE = Row(403, "authorization_invalid", "Not allowed", "This request must come from the same site.")
    HOST_UNKNOWN = Row(400, "host_invalid", "Unknown host", "The request names another host than {expected}.")
    # how it is asked
    VERSION_INVALID = Row(
        400,
        "api_version_invalid",
        "Unknown API version",
        "Name one known version, either in the header Clerk-API-Version or in the query, not in both.",
    )
    BODY_INVALID = Row(400, "request_body_invalid", "Unreadable body", "The body must be one JSON object.")
    BODY_TOO_LARGE = Row(413, "request_body_too_large", "Body too large", "The body must not exceed {limit} bytes.")
    MEDIA_TYPE = Row(
        415, "unsupported_content_type", "Unsupported content type", "The Content-Type must be {expected}."
    )
    PARAM_MISSING = Row(422, "form_param_missing", "is missing", "{param} must be included.")
    PARAM_UNKNOWN = Row(422, "form_param_unknown", "is unknown", "{param} is not a parameter of this request.")
    PARAM_NIL = Row(422, "form_param_nil", "is null", "{param} must not be null.")
    PARAM_INVALID = Row(422, "form_param_value_invalid", "is invalid", "{param} is invalid: {expected}.")
    PARAM_TYPE = Row(
        422,
        "form_param_value_invalid",
        "is invalid",
        "{param} is invalid. Received {received}, must be of type {expected}.",
    )
    QUERY_MISSING = Row(400, "missing_query_parameter", "is missing", "The query parameter {param} must be included.")
    NO_SUCH_PATH = Row(404, "resource_not_found", "Not found", "There is nothing at this address.")
    NO_SUCH_METHOD = Row(405, "method_not_allowed", "Method not allowed", "This address does not take this method.")
    GONE = Row(
        410, "operation_deprecated", "Deprecated", "This operation is gone; verify the token's signature instead."
    )
    WRONG_ENVIRONMENT = Row(
        400,
        "request_invalid_for_environment",
        "Not for this environment",
        "This request is not for {kind} instances.",
    )
    # what is asked for
    SESSION_NOT_FOUND = Row(404, "resource_not_found", "Session not found", "No session was found with id {id}.")
    USER_NOT_FOUND = Row(404, "resource_not_found", "User not found", "No user was found with id {id}.")
    CLIENT_NOT_FOUND = Row(404, "resource_not_found", "Client not found", "No client was found.")
    TEMPLATE_NOT_FOUND = Row(
        404, "resource_not_found", "Template not found", "No JWT template exists with name: {name}"
    )
    TEMPLATE_ID_NOT_FOUND = Row(
        404, "resource_not_found", "Template not found", "No JWT template was found with id {id}."
    )
    TEMPLATE_RESERVED_CLAIM = Row(
        400, "jwt_template_reserved_claim", "Reserved claim", "{param} is invalid: {expected}."
    )
    ORGANIZATION_NOT_FOUND = Row(
        404,
        "organization_not_found_or_unauthorized",
        "Organization not found",
        "The organization does not exist, or the user is not a member of it.",
    )
    SESSION_INACTIVE = Row(
        400, "invalid_action_for_session", "Invalid action", "The session is {state}; this needs an active one."
    )
    SESSION_OVER = Row(404, "resource_not_found", "Session not active", "The session is {state}; it makes no tokens.")
    SESSION_TOKEN_INVALID = Row(
        400, "invalid_session_token", "Invalid session token", "The token is not a valid one of this session."
    )
    # handshake
    NONCE_MISSING = Row(400, "missing_parameter", "is missing", "The query parameter nonce must be included.")
    NONCE_INVALID = Row(400, "invalid_nonce", "Invalid nonce", "The nonce is unknown, spent or too old.")
    REDIRECT_INVALID = Row(
        422, "invalid_redirect_url", "Invalid redirect URL", "redirect_url must be an absolute http or https address."
    )
    REDIRECT_FOREIGN = Row(
        422,
        "redirect_url_not_associated_with_instance",
        "Foreign redirect URL",
        "redirect_url leads to an origin that this instance does not serve.",
    )
    # refresh
    ORIGIN_INVALID = Row(401, "refresh_request_origin_invalid", "Invalid origin", "request_origin is not an origin.")
    EXPIRED_TOKEN_INVALID = Row(
        401, "expired_session_token_invalid", "Invalid token", "expired_token is not a token of this instance."
    )
    TOKEN_INELIGIBLE = Row(
        401,
        "session_refresh_session_token_ineligible",
        "Ineligible token",
        "expired_token is not a session token, or it has not expired.",
    )
    AZP_MISSING = Row(401, "expired_session_token_missing_azp", "azp is missing", "expired_token has no claim azp.")
    AZP_MISMATCH = Row(
        401,
        "refresh_request_origin_azp_mismatch",
        "Origins differ",
        "request_origin is not the origin that expired_token was made for.",
    )
    SID_MISSING = Row(401, "expired_session_token_missing_sid", "sid is missing", "expired_token has no claim sid.")
    SID_MISMATCH = Row(401, "refresh_sid_mismatch", "Sessions differ", "expired_token belongs to another session.")
    IAT_MISSING = Row(
        401,
        "session_refresh_expired_session_token_missing_iat",
        "iat is missing",
        "expired_token does not say when it was issued.",
    )
    TOKEN_TOO_OLD = Row(
        401, "session_refresh_expired_session_token_too_old", "Token too old", "expired_token is too old to be traded."
    )
    REFRESH_SESSION_NOT_FOUND = Row(
        401, "session_refresh_session_not_found", "Session not found", "The session does not exist."
    )
    REFRESH_SESSION_INACTIVE = Row(
        401, "session_refresh_inactive_session", "Session inactive", "The session is {state}."
    )
    REFRESH_USER_NOT_FOUND = Row(
        401, "session_refresh_user_not_found", "User not found", "The user of the session does not exist."
    )
    REFRESH_TOKEN_NOT_FOUND = Row(
        401, "refresh_token_not_found", "Refresh token not found", "The refresh token is not one of this session."
    )
    TOKEN_CONSUMED = Row(
        401,
        "session_refresh_expired_session_token_consumed",
        "Token consumed",
        "expired_token was traded before.",
    )
    # ours
    INTERNAL = Row(500, "internal_clerk_error", "Internal error", "The request failed; the log says why.")
    UNAVAILABLE = Row(503, "service_unavailable", "Unavailable", "The database cannot be used right now.")


class Refusal(Exception):
    """The answer to this request is a problem.

    Args:
        problem: which one.
        param: the parameter at fault; becomes ``meta.param_name``.
        session_id: the session concerned; becomes ``meta.session_id``.
        status: replaces the status of the row, for operations that document another one.
        allow: the methods that an address takes; becomes the header ``Allow`` (RFC 9110 section 15.5.6).
        values: fill the braces of the long text.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        param: str = "",
        session_id: str = "",
        status: int | None = None,
        allow: str = "",
        **values: object,
    ) -> None:
        self.problem = problem
        self.status = status or problem.value.status
        self.long_message = problem.value.long_message.format(param=param, **values)
        told = (("Allow", allow), ("Retry-After", str(values.get("retry_after_s", ""))))
        self.headers: Mapping[str, str] = {name: value for name, value in told if value}
        self.meta: Mapping[str, str] = {
            name: value for name, value in (("param_name", param), ("session_id", session_id)) if value
        }
        super().__init__(f"{self.status} {problem.value.code}")

    def to_response(self) -> Response:
        """The answer as JSON."""
        trace_id = secrets.token_hex(16)
        error: dict[str, object] = {
            "message": self.problem.value.message,
            "long_message": self.long_message,
            "code": self.problem.value.code,
        }
        if self.meta:
            error["meta"] = dict(self.meta)
        body = {"errors": [error], "clerk_trace_id": trace_id}
        return answer(body, self.status, {"Clerk-Trace-Id": trace_id, **self.headers})


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response whose Content-Type is exactly ``application/json``: a parameter breaks the JavaScript SDK.

    Non-ASCII characters are escaped, so that whatever a request carried can be written.
    """
    return Response(
        json.dumps(body, separators=(",", ":")),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )
