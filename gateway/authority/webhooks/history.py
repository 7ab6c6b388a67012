"""What became of messages, and sending them again: for whoever looks after an instance.

There is one row for each message and endpoint with the number of attempts and how the last one ended; earlier attempts
are not kept.
"""

import json
import sqlite3
from dataclasses import dataclass

from gateway.authority.store.database import Database
from gateway.authority.webhooks.events import EventType
from gateway.authority.webhooks.outbox import DeliveryState


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message for one endpoint.

    Attributes:
        message_id: ``msg_…``.
        event_type: of what.
        subject: the session.
        endpoint_id: for whom.
        state: waiting, delivered or failed.
        attempts: how many were made.
        outcome: of the last one, in words; None before the first.
        created_at_ms, attempted_at_ms, due_at_ms: Unix milliseconds; the last is for those that wait.
        body: what is sent.
    """

    message_id: str
    event_type: EventType
    subject: str
    endpoint_id: str
    state: DeliveryState
    attempts: int
    outcome: str | None
    created_at_ms: int
    attempted_at_ms: int | None
    due_at_ms: int
    body: str

    def as_json(self) -> dict[str, object]:
        """For programs; the event is the one that is sent."""
        return {
            "id": self.message_id,
            "type": self.event_type.value,
            "endpoint_id": self.endpoint_id,
            "state": self.state.value,
            "attempts": self.attempts,
            "outcome": self.outcome,
            "created_at": self.created_at_ms,
            "attempted_at": self.attempted_at_ms,
            "due_at": self.due_at_ms if self.state is DeliveryState.WAITING else None,
            "event": json.loads(self.body),
        }


class History:
    """The deliveries in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, limit: int, state: DeliveryState | None = None, endpoint_id: str | None = None) -> list[Delivery]:
        """The newest deliveries, narrowed to a state and an endpoint."""
        rows = self._database.rows(
            "SELECT deliveries.*, messages.id, event_type, subject, body, created_at"
            " FROM webhook_deliveries AS deliveries JOIN webhook_messages AS messages ON seq = message_seq"
            " WHERE (:state IS NULL OR state = :state) AND (:endpoint_id IS NULL OR endpoint_id = :endpoint_id)"
            " ORDER BY message_seq DESC, endpoint_id LIMIT :limit",
            {"state": state, "endpoint_id": endpoint_id, "limit": limit},
        )
        return [_delivery(row) for row in rows]

    def counts(self, endpoint_id: str) -> dict[DeliveryState, int]:
        """How many deliveries of an endpoint are in which state."""
        rows = self._database.rows(
            "SELECT state, COUNT(*) AS number FROM webhook_deliveries WHERE endpoint_id = :id GROUP BY state",
            {"id": endpoint_id},
        )
        return dict.fromkeys(DeliveryState, 0) | {DeliveryState(row["state"]): row["number"] for row in rows}

    def replay(self, message_id: str | None = None, endpoint_id: str | None = None) -> int:
        """Make deliveries due again, as if nothing had been tried, under their ids; returns how many.

        Args:
            message_id: this one, also when it was delivered; None takes all that failed.
            endpoint_id: for this endpoint alone; None takes all. One that is disabled gets nothing.
        """
        return self._database.write(
            # due since ever: an authority whose clock was moved sends it too
            "UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, due_at = 0, lease = NULL"
            " WHERE (CASE WHEN :message_id IS NULL THEN state = 'failed' ELSE message_seq ="
            " (SELECT seq FROM webhook_messages WHERE id = :message_id) END)"
            " AND endpoint_id IN (SELECT id FROM webhook_endpoints WHERE disabled_because IS NULL)"
            " AND (:endpoint_id IS NULL OR endpoint_id = :endpoint_id)",
            {"message_id": message_id, "endpoint_id": endpoint_id},
        )


def _delivery(row: sqlite3.Row) -> Delivery:
    return Delivery(
        message_id=row["id"],
        event_type=EventType(row["event_type"]),
        subject=row["subject"],
        endpoint_id=row["endpoint_id"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        outcome=row["outcome"],
        created_at_ms=row["created_at"],
        attempted_at_ms=row["attempted_at"],
        due_at_ms=row["due_at"],
        body=row["body"],
    )
