"""The shape of every answer of the API, as JSON Schema by name; :mod:`gateway.authority.wire` writes what they say.

Facts: Sessions API sections 1 and 6 (Session is a closed schema; three members and values depend on the version), and
the Frontend API's schemas ``Client.Client`` and ``Client.Session``.
"""

from typing import Any

from gateway.authority.versions import ApiVersion
from gateway.core.session_status import SessionStatus

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MILLISECONDS: Schema = {"type": "integer", "format": "int64", "description": "Unix time in milliseconds."}
_OBJECT_OR_NULL: Schema = {"type": ["object", "null"]}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}


def schemas(version: ApiVersion) -> dict[str, Schema]:
    """All schemas of a version, by name."""
    session = _session(version)
    return {
        "Session": session,
        "SessionActivity": _SESSION_ACTIVITY,
        "SessionList": {"anyOf": [_list_of("Session"), _page_of("Session")]},
        "SessionRefresh": {"oneOf": [ref("Token"), ref("Cookies")]},
        "Token": closed({"object": {"const": "token"}, "jwt": _TEXT}),
        "Cookies": closed({"object": {"const": "cookies"}, "cookies": {"type": "array", "items": _TEXT}}),
        "HandshakePayload": closed({"directives": {"type": "array", "items": _TEXT}}),
        "JWKS": closed({"keys": {"type": "array", "items": ref("PublicKey")}}),
        "PublicKey": _PUBLIC_KEY,
        "JWTTemplate": _JWT_TEMPLATE,
        "JWTTemplateList": {"anyOf": [_list_of("JWTTemplate"), _page_of("JWTTemplate")]},
        "DeletedObject": closed({"object": _TEXT, "id": _TEXT, "deleted": {"const": True}}),
        "ClerkErrors": _CLERK_ERRORS,
        "ClerkError": _CLERK_ERROR,
        "WrappedClient": _wrapped({"anyOf": [ref("Client"), {"type": "null"}]}),
        "WrappedSession": _wrapped(ref("ClientSession")),
        "WrappedSignIn": _wrapped({"type": "object", "required": ["object", "id", "status", "created_session_id"]}),
        "ClientSessions": _list_of("ClientSession"),
        "Anything": {"type": "object"},
        "Client": _CLIENT,
        "ClientSession": _CLIENT_SESSION,
        "ClientToken": closed({"jwt": _TEXT}),
        "DevBrowser": closed({"id": _TEXT}),
    }


def ref(name: str) -> Schema:
    """A reference to the schema of this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def closed(members: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """An object with these members and no other."""
    return {
        "type": "object",
        "properties": members,
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": ref(name)}


def _page_of(name: str) -> Schema:
    return closed({"data": _list_of(name), "total_count": {"type": "integer", "minimum": 0}})


def _wrapped(response: Schema) -> Schema:
    return closed({"response": response, "client": {"anyOf": [ref("Client"), {"type": "null"}]}})


def _session(version: ApiVersion) -> Schema:
    hidden = () if version.has_tasks else (SessionStatus.PENDING,)
    members: dict[str, Schema] = {
        "object": {"const": "session"},
        "id": _TEXT,
        "user_id": _TEXT,
        "client_id": _TEXT,
        "actor": _OBJECT_OR_NULL,
        "status": {"type": "string", "enum": [status.value for status in SessionStatus if status not in hidden]},
        "last_active_organization_id": _TEXT_OR_NULL,
        "last_active_at": _MILLISECONDS,
        "latest_activity": {"anyOf": [ref("SessionActivity"), {"type": "null"}]},
        "expire_at": _MILLISECONDS,
        "abandon_at": _MILLISECONDS,
        "updated_at": _MILLISECONDS,
        "created_at": _MILLISECONDS,
    }
    if version.has_tasks:
        members["tasks"] = {"type": ["array", "null"], "items": {"type": "object", "required": ["key"]}}
    return closed(members, optional=("actor", "last_active_organization_id", "latest_activity", "tasks"))


_SESSION_ACTIVITY: Schema = {
    "type": "object",
    "properties": {
        **dict.fromkeys(
            ("object", "id", "device_type", "browser_name", "browser_version", "ip_address", "city", "country"), _TEXT
        ),
        "is_mobile": {"type": "boolean"},
    },
    "required": ["object", "id", "is_mobile"],
}
_PUBLIC_KEY: Schema = closed(
    {"use": {"const": "sig"}, "kty": {"const": "RSA"}} | dict.fromkeys(["kid", "alg", "n", "e"], _TEXT)
)
_JWT_TEMPLATE: Schema = closed(
    {
        "object": {"const": "jwt_template"},
        "id": _TEXT,
        "name": _TEXT,
        "claims": {"type": "object"},
        "lifetime": {"type": "integer"},
        "allowed_clock_skew": {"type": "integer"},
        "custom_signing_key": {"type": "boolean"},
        "signing_algorithm": _TEXT,
        "created_at": _MILLISECONDS,
        "updated_at": _MILLISECONDS,
    }
)
_CLERK_ERROR: Schema = {
    "type": "object",
    "properties": {"message": _TEXT, "long_message": _TEXT, "code": _TEXT, "meta": {"type": "object"}},
    "required": ["message", "long_message", "code"],
}
_CLERK_ERRORS: Schema = {
    "type": "object",
    "properties": {
        "errors": {"type": "array", "items": ref("ClerkError")},
        "meta": {"type": "object"},
        "clerk_trace_id": _TEXT,
    },
    "required": ["errors"],
}
_PUBLIC_USER: Schema = closed(
    {
        "user_id": _TEXT,
        "first_name": _TEXT_OR_NULL,
        "last_name": _TEXT_OR_NULL,
        "identifier": _TEXT,
        "has_image": {"type": "boolean"},
        "image_url": _TEXT_OR_NULL,
    }
)
_CLIENT_SESSION: Schema = {
    "type": "object",
    "properties": {
        "object": {"const": "session"},
        "id": _TEXT,
        "status": {"type": "string", "enum": [status.value for status in SessionStatus]},
        "expire_at": _MILLISECONDS,
        "abandon_at": _MILLISECONDS,
        "last_active_at": _MILLISECONDS,
        "last_active_organization_id": _TEXT_OR_NULL,
        "actor": _OBJECT_OR_NULL,
        "factor_verification_age": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Minutes since the first and the second factor were checked; -1 is never.",
        },
        "public_user_data": {"anyOf": [_PUBLIC_USER, {"type": "null"}]},
        "created_at": _MILLISECONDS,
        "updated_at": _MILLISECONDS,
    },
    "required": ["object", "id", "status", "expire_at", "abandon_at", "last_active_at", "created_at", "updated_at"],
}
_CLIENT: Schema = {
    "type": "object",
    "properties": {
        "object": {"const": "client"},
        "id": _TEXT,
        "sessions": {"type": "array", "items": ref("ClientSession")},
        "last_active_session_id": _TEXT_OR_NULL,
        "created_at": _MILLISECONDS,
        "updated_at": _MILLISECONDS,
    },
    "required": ["object", "id", "sessions", "last_active_session_id", "created_at", "updated_at"],
}
