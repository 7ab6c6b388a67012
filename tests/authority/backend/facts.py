"""What the public specification of the Backend API says about sessions, as data: names, types, bounds and statuses.

Where a version differs from the latest one, it is a row of its own in ``CHANGES``.
"""

from dataclasses import dataclass, field
from typing import Any

ALL = ("2021-02-05", "2024-10-01", "2025-03-12", "2025-04-10", "2025-11-10", "2026-05-12")
WITH_VERIFY = ALL[:3]
WITH_TASKS = ALL[2:]
DRAFT = "2025-03-12"

TEXT: dict[str, Any] = {"type": "string"}
LIFETIME = {"type": "integer", "minimum": 30, "maximum": 315_360_000}
PAGE = {
    "paginated": {"type": "boolean"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": 10},
    "offset": {"type": "integer", "minimum": 0, "default": 0},
}
LISTED = ["abandoned", "active", "ended", "expired", "removed", "replaced", "revoked"]


@dataclass(frozen=True)
class Fact:
    """One operation: ``body`` is None where it has none, ``closed`` where the specification closes it."""

    method: str
    path: str
    statuses: tuple[int, ...]
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    required: tuple[str, ...] = ()
    closed: bool = False
    versions: tuple[str, ...] = ALL


_SESSION = "/v1/sessions/{session_id}"
_TEMPLATE = "/v1/jwt_templates/{template_id}"
_TEMPLATE_BODY: dict[str, Any] = {
    "name": TEXT,
    "claims": {"type": "object"},
    "lifetime": LIFETIME,
    "allowed_clock_skew": {"type": "integer", "minimum": 0, "maximum": 300},
    "custom_signing_key": {"type": "boolean"},
    "signing_algorithm": TEXT,
    "signing_key": TEXT,
}

FACTS: dict[str, Fact] = {
    "GetSessionList": Fact(
        "get",
        "/v1/sessions",
        (200, 400, 401, 422),
        query={"client_id": TEXT, "user_id": TEXT, "status": {"type": "string", "enum": LISTED}, **PAGE},
    ),
    "createSession": Fact(
        "post",
        "/v1/sessions",
        (200, 400, 401, 404, 422),
        body={"user_id": TEXT, "active_organization_id": TEXT},
        required=("user_id",),
    ),
    "GetSession": Fact("get", _SESSION, (200, 400, 401, 404)),
    "RefreshSession": Fact(
        "post",
        f"{_SESSION}/refresh",
        (200, 400, 401),
        body={
            "expired_token": TEXT,
            "refresh_token": TEXT,
            "request_origin": TEXT,
            "request_headers": {"type": "object"},
            "format": {"type": "string", "enum": ["cookie", "token"]},
            "request_originating_ip": TEXT,
        },
        required=("expired_token", "refresh_token", "request_origin"),
        closed=True,
    ),
    "RevokeSession": Fact("post", f"{_SESSION}/revoke", (200, 400, 401, 404)),
    "VerifySession": Fact(
        "post",
        f"{_SESSION}/verify",
        (200, 400, 401, 404, 410),
        body={"token": TEXT},
        closed=True,
        versions=WITH_VERIFY,
    ),
    "CreateSessionToken": Fact("post", f"{_SESSION}/tokens", (200, 401, 404), body={"expires_in_seconds": LIFETIME}),
    "CreateSessionTokenFromTemplate": Fact(
        "post", f"{_SESSION}/tokens/{{template_name}}", (200, 401, 404), body={"expires_in_seconds": LIFETIME}
    ),
    "GetJWKS": Fact("get", "/v1/jwks", (200,)),
    "ListJWTTemplates": Fact("get", "/v1/jwt_templates", (200,), query=PAGE),
    "CreateJWTTemplate": Fact(
        "post", "/v1/jwt_templates", (200, 400, 402, 422), body=_TEMPLATE_BODY, required=("name", "claims")
    ),
    "GetJWTTemplate": Fact("get", _TEMPLATE, (200, 404)),
    "UpdateJWTTemplate": Fact(
        "patch", _TEMPLATE, (200, 400, 402, 422), body=_TEMPLATE_BODY, required=("name", "claims")
    ),
    "DeleteJWTTemplate": Fact("delete", _TEMPLATE, (200, 403, 404)),
}

# members of a body that a version does not have
CHANGES: dict[tuple[str, str], tuple[str, ...]] = {("createSession", DRAFT): ("active_organization_id",)}

# what is ours beyond the specification, each with its reason
EVERYWHERE = {
    400: "an unknown version, or one named twice, is an invalid request in every operation",
    401: "every operation asks for the secret key",
    500: "any server may fail",
    503: "the database is locked or full",
}
WITH_BODY = {
    400: "a body that is no JSON object",
    413: "the catalogue's request_body_too_large",
    415: "the catalogue's unsupported_content_type",
}
BEYOND = {
    "CreateSessionToken": {422: "a lifetime out of range; the specification lists no status for it"},
    "CreateSessionTokenFromTemplate": {422: "as for a session token"},
    "ListJWTTemplates": {422: "a page out of range; as for the list of sessions"},
    "UpdateJWTTemplate": {404: "there is no such template; the specification lists it for the other two"},
}
# where the specification has a status that never happens here
NEVER = {
    "VerifySession": {410: "told by the versions that no longer have the operation"},
    "CreateJWTTemplate": {402: "nothing here is paid for"},
    "UpdateJWTTemplate": {402: "nothing here is paid for"},
    "DeleteJWTTemplate": {403: "the template of the session token is none of these"},
}
PARAMETERS_BEYOND = {
    "RefreshSession": {"suffixed_cookies": "sent by the JavaScript SDK, in no specification"},
}
BOUNDS_BEYOND = {("offset", "maximum"): "a database counts to a limit"}

STATUSES = ["active", "revoked", "ended", "expired", "removed", "abandoned", "replaced"]
SESSION_NUMBERS = {"last_active_at", "expire_at", "abandon_at", "updated_at", "created_at"}
SESSION_REQUIRED = {"object", "id", "user_id", "client_id", "status", *SESSION_NUMBERS}
SESSION_OPTIONAL = {"actor", "last_active_organization_id", "latest_activity"}
ERROR_REQUIRED = {"message", "long_message", "code"}
