"""What the Sessions API answers with, as frozen records, and how each is read from JSON.

Source: Backend API 2026-05-12, schemas Session, SessionActivityResponse, SessionTask, Token and Cookies. Reading is
strict about types and tolerant of fields that it does not know: the API may grow, but a text is never taken for a
number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class WrongShape(Exception):
    """The JSON is not what the operation promises; the text names the place and never its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionActivity:
    """Where and on what a session was last used; what the API does not know is None."""

    id: str
    is_mobile: bool
    device_type: str | None = None
    browser_name: str | None = None
    browser_version: str | None = None
    ip_address: str | None = None
    city: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class SessionTask:
    """What a pending session still owes, e.g. ``choose-organization``."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A user's session on one device.

    Attributes:
        status: compares equal to the members of :class:`SessionStatus`.
        client_id: the device that holds the session.
        last_active_at_ms, expire_at_ms, abandon_at_ms, created_at_ms, updated_at_ms: Unix time in milliseconds.
        last_active_organization_id: the organization that is active in this session.
        latest_activity: None when the API does not tell.
        actor: who impersonates the user, as the API gives it.
        tasks: what a ``pending`` session still owes.
    """

    id: str
    user_id: str
    client_id: str
    status: str
    last_active_at_ms: int
    expire_at_ms: int
    abandon_at_ms: int
    created_at_ms: int
    updated_at_ms: int
    last_active_organization_id: str | None = None
    latest_activity: SessionActivity | None = None
    actor: Mapping[str, object] | None = field(default=None, hash=False)  # a mapping has no hash
    tasks: tuple[SessionTask, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionList:
    """One page of sessions, newest first, and how many match in all.

    Attributes:
        data: the sessions.
        total_count: None where the service answers with a plain array, which is all that the published specification
            shows; the real service and the embedded authority tell it.
    """

    data: tuple[Session, ...]
    total_count: int | None


@dataclass(frozen=True, slots=True)
class Token:
    """A fresh JSON Web Token; ``repr`` does not show it."""

    jwt: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RefreshedCookies:
    """``Set-Cookie`` values to be sent to the browser; ``repr`` does not show them."""

    cookies: tuple[str, ...] = field(repr=False)


def read_session(value: object) -> Session:
    """Read schema Session.

    Raises:
        WrongShape: a required field is missing or a field has another type.
    """
    fields = tagged(value, "session")
    return Session(
        id=text(fields, "id"),
        user_id=text(fields, "user_id"),
        client_id=text(fields, "client_id"),
        status=text(fields, "status"),
        last_active_at_ms=_integer(fields, "last_active_at"),
        expire_at_ms=_integer(fields, "expire_at"),
        abandon_at_ms=_integer(fields, "abandon_at"),
        created_at_ms=_integer(fields, "created_at"),
        updated_at_ms=_integer(fields, "updated_at"),
        last_active_organization_id=_text_or_none(fields, "last_active_organization_id"),
        latest_activity=_read_or_none(fields, "latest_activity", _read_activity),
        actor=_read_or_none(fields, "actor", _mapping),
        tasks=_read_or_none(fields, "tasks", _read_tasks) or (),
    )


def read_session_list(value: object) -> SessionList:
    """Read the answer to ``paginated=true``, which is ``{"data": [...], "total_count": N}``, or a plain array."""
    if isinstance(value, list):
        return SessionList(_read_sessions(value), None)
    fields = _mapping(value)
    data = _read_sessions(array(fields, "data"))
    total_count = _integer(fields, "total_count")
    if total_count < 0:
        raise WrongShape("total_count is negative")
    return SessionList(data, total_count)


def _read_sessions(items: list[object]) -> tuple[Session, ...]:
    return tuple(_at(f"data[{i}]", read_session, item) for i, item in enumerate(items))


def read_token(value: object) -> Token:
    """Read schema Token."""
    return Token(text(tagged(value, "token"), "jwt"))


def read_refreshed_cookies(value: object) -> RefreshedCookies:
    """Read schema Cookies; the tag ``object`` may be absent, the list may not be empty."""
    fields = _mapping(value)
    if fields.get("object", "cookies") != "cookies":
        raise WrongShape("object is not 'cookies'")
    return RefreshedCookies(_texts(fields, "cookies"))


def read_directives(value: object) -> tuple[str, ...]:
    """Read a handshake payload: ``{"directives": [<Set-Cookie value>, ...]}``."""
    return _texts(_mapping(value), "directives")


def read_jwks(value: object) -> dict[str, object]:
    """Read a JWK Set (RFC 7517 section 5) as it stands; what a single key must look like is for its user to judge."""
    fields = _mapping(value)
    for i, item in enumerate(array(fields, "keys")):
        _at(f"keys[{i}]", _mapping, item)
    return dict(fields)


def session_json(session: Session) -> dict[str, object]:
    """Give a session back under the API's own field names."""
    activity = session.latest_activity
    return {
        "object": "session",
        "id": session.id,
        "user_id": session.user_id,
        "client_id": session.client_id,
        "actor": dict(session.actor) if session.actor is not None else None,
        "status": session.status,
        "last_active_organization_id": session.last_active_organization_id,
        "last_active_at": session.last_active_at_ms,
        "latest_activity": _activity_json(activity) if activity else None,
        "expire_at": session.expire_at_ms,
        "abandon_at": session.abandon_at_ms,
        "updated_at": session.updated_at_ms,
        "created_at": session.created_at_ms,
        "tasks": [{"key": task.key} for task in session.tasks],
    }


_ACTIVITY_TEXTS = ("device_type", "browser_name", "browser_version", "ip_address", "city", "country")


def _activity_json(activity: SessionActivity) -> dict[str, object]:
    known = {name: text for name in _ACTIVITY_TEXTS if (text := getattr(activity, name)) is not None}
    return {"object": "session_activity", "id": activity.id, "is_mobile": activity.is_mobile, **known}


def _read_activity(value: object) -> SessionActivity:
    fields = _mapping(value)
    is_mobile = fields.get("is_mobile")
    if not isinstance(is_mobile, bool):
        raise WrongShape("is_mobile is not a boolean")
    texts = {name: _text_or_none(fields, name) for name in _ACTIVITY_TEXTS}
    return SessionActivity(id=text(fields, "id"), is_mobile=is_mobile, **texts)


def _read_tasks(value: object) -> tuple[SessionTask, ...]:
    if not isinstance(value, list):
        raise WrongShape("not an array")
    return tuple(SessionTask(text(_mapping(item), "key")) for item in value)


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise WrongShape("not an object")
    return value


def tagged(value: object, tag: str) -> Mapping[str, object]:
    """Return the fields of an object whose ``object`` is this tag, or raise WrongShape."""
    fields = _mapping(value)
    if fields.get("object") != tag:
        raise WrongShape(f"object is not '{tag}'")
    return fields


def text(fields: Mapping[str, object], name: str) -> str:
    """Return a field that is a text, or raise WrongShape."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise WrongShape(f"{name} is not a text")
    return value


def _text_or_none(fields: Mapping[str, object], name: str) -> str | None:
    return None if fields.get(name) is None else text(fields, name)


def _integer(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool):  # to Python a boolean is an integer
        raise WrongShape(f"{name} is not an integer")
    return value


def array(fields: Mapping[str, object], name: str) -> list[object]:
    """Return a field that is a list, or raise WrongShape."""
    value = fields.get(name)
    if not isinstance(value, list):
        raise WrongShape(f"{name} is not an array")
    return value


def _texts(fields: Mapping[str, object], name: str) -> tuple[str, ...]:
    items = array(fields, name)
    texts = tuple(item for item in items if isinstance(item, str))
    if len(texts) != len(items) or not texts:
        raise WrongShape(f"{name} is not a list of texts with at least one entry")
    return texts


def _read_or_none(fields: Mapping[str, object], name: str, read: Callable[[object], T]) -> T | None:
    value = fields.get(name)
    return None if value is None else _at(name, read, value)


def _at(place: str, read: Callable[[object], T], value: object) -> T:
    try:
        return read(value)
    except WrongShape as wrong:
        raise WrongShape(f"{place}: {wrong}") from None
