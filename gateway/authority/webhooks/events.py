"""What a session event says: its type, the envelope, and the session with its user.

Facts: webhooks, "Events", "Envelope" and "data". Times are milliseconds, also in the envelope. Sessions that expire,
are abandoned or replaced make no event. ``latest_activity`` is told when a session begins, and only what is known:
nothing is guessed from the name of a browser.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.authority.identifiers import new_id
from gateway.authority.models import SessionRecord
from gateway.authority.versions import LATEST
from gateway.authority.wire import backend_session
from gateway.core.session_status import SessionStatus

_USER_AGENT_LIMIT = 512


class EventType(StrEnum):
    """The events that an endpoint may subscribe to."""

    SESSION_CREATED = "session.created"
    SESSION_PENDING = "session.pending"
    SESSION_ENDED = "session.ended"
    SESSION_REMOVED = "session.removed"
    SESSION_REVOKED = "session.revoked"


# a session is recorded when it begins and when it ends; what it is then names the event
_TYPES: Mapping[SessionStatus, EventType] = {
    SessionStatus.ACTIVE: EventType.SESSION_CREATED,
    SessionStatus.PENDING: EventType.SESSION_PENDING,
    SessionStatus.ENDED: EventType.SESSION_ENDED,
    SessionStatus.REMOVED: EventType.SESSION_REMOVED,
    SessionStatus.REVOKED: EventType.SESSION_REVOKED,
}


@dataclass(frozen=True, slots=True)
class Cause:
    """The request that made something happen.

    Attributes:
        client_ip: the peer of the connection, or whom the trusted proxy that is the peer names; empty if unknown.
        user_agent: the header, or empty.
    """

    client_ip: str
    user_agent: str

    def attributes(self) -> dict[str, object]:
        """The ``event_attributes`` of the envelope."""
        return {"http_request": {"client_ip": self.client_ip, "user_agent": self.user_agent[:_USER_AGENT_LIMIT]}}


def event_type_of(session: SessionRecord) -> EventType | None:
    """The event of a session that has just become what it is; None when there is none."""
    return _TYPES.get(session.status)


def session_event(
    event_type: EventType,
    session: SessionRecord,
    user: Mapping[str, object] | None,
    *,
    instance_id: str,
    now_ms: int,
    cause: Cause | None,
) -> str:
    """The body of a session event, as it is signed and sent.

    Args:
        event_type: what happened.
        session: as it is afterwards.
        user: as the Backend API shows it; None when the user is gone.
        instance_id: whose event it is.
        now_ms: when it happened.
        cause: the request that caused it, or None.
    """
    data = backend_session(session, LATEST) | {"user": user}
    if event_type is EventType.SESSION_CREATED:
        data["latest_activity"] = _activity(cause)
    event: dict[str, object] = {
        "object": "event",
        "type": event_type.value,
        "timestamp": now_ms,
        "instance_id": instance_id,
        "data": data,
    }
    if cause is not None:
        event["event_attributes"] = cause.attributes()
    return json.dumps(event, separators=(",", ":"))


def _activity(cause: Cause | None) -> dict[str, object]:
    activity: dict[str, object] = {
        "object": "session_activity",
        "id": new_id("activity"),
        # every browser of a telephone says so, and hardly any other
        "is_mobile": cause is not None and "Mobi" in cause.user_agent,
    }
    return activity | ({"ip_address": cause.client_ip} if cause and cause.client_ip else {})
