"""Messages that wait in the database until every endpoint has them, or until they are given up.

A message is written in the transaction of the change that it tells of, so there is none without the other. One that is
claimed is due again when the lease is over: whoever sends it and dies leaves it to the next, under the same id. Who
could not send it in time has lost the lease, and its bad news no longer count; a delivery always counts.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.authority.identifiers import new_id
from gateway.authority.store.database import Database
from gateway.authority.webhooks.endpoints import Endpoint, Endpoints
from gateway.authority.webhooks.events import EventType

LEASE_MS = 20_000  # one attempt takes 15 seconds at most
_DAY_MS = 24 * 60 * 60 * 1000
DELIVERED_KEPT_MS = 3 * _DAY_MS
FAILED_KEPT_MS = 30 * _DAY_MS
# no delivery is put off for longer, so one that is due later than that was written before the clock was set back
LONGEST_WAIT_MS = _DAY_MS // 2
_PURGED_AT_ONCE = 500


class DeliveryState(StrEnum):
    """What became of a message for one endpoint."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A delivery that one process has taken to send.

    Attributes:
        message_seq, endpoint_id: which.
        lease: who has taken it.
        message_id: ``msg_…``, the same over all attempts and endpoints.
        subject: the session; messages about one go in their order.
        body: what is signed and sent.
        attempts: how many there were before.
    """

    message_seq: int
    endpoint_id: str
    lease: str
    message_id: str
    subject: str
    body: str
    attempts: int


class Outbox:
    """The messages. ``now_ms`` is always an argument."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.endpoints = Endpoints(database)
        self._wake: Callable[[], None] | None = None

    def listen(self, wake: Callable[[], None] | None) -> None:
        """Call this whenever something is there to be sent; it may come from any thread, and before the commit."""
        self._wake = wake

    def wake(self) -> None:
        """Say that something may be due: a message, or because the clock was moved."""
        if self._wake is not None:
            self._wake()

    def subscribers(self, event_type: EventType) -> list[Endpoint]:
        """The endpoints that want this event. Read anew each time: another process may have changed them."""
        return [endpoint for endpoint in self.endpoints.all() if endpoint.wants(event_type)]

    def record(
        self, event_type: EventType, subject: str, body: str, receivers: list[Endpoint], now_ms: int
    ) -> str | None:
        """Keep a message for these endpoints and return its id; for nobody nothing is kept.

        Args:
            event_type: of which type it is.
            subject: what it is about.
            body: what is sent.
            receivers: to whom.
            now_ms: when.
        """
        if not receivers:
            return None
        message_id = new_id("msg")
        with self._database.transaction():
            (row,) = self._database.rows(
                "INSERT INTO webhook_messages (id, event_type, subject, body, created_at)"
                " VALUES (:id, :type, :subject, :body, :now) RETURNING seq",
                {"id": message_id, "type": event_type, "subject": subject, "body": body, "now": now_ms},
            )
            for endpoint in receivers:
                self._database.write(
                    "INSERT INTO webhook_deliveries VALUES (:seq, :endpoint_id, 'waiting', 0, :now, NULL, NULL, NULL)",
                    {"seq": row["seq"], "endpoint_id": endpoint.id, "now": now_ms},
                )
        self.wake()
        return message_id

    def due_endpoints(self, now_ms: int) -> list[Endpoint]:
        """The endpoints for which something is due."""
        return [
            endpoint
            for endpoint in self.endpoints.all()
            if endpoint.disabled_because is None
            and self._database.row(
                "SELECT 1 FROM webhook_deliveries"
                " WHERE endpoint_id = :id AND state = 'waiting' AND due_at <= :now LIMIT 1",
                {"id": endpoint.id, "now": now_ms},
            )
        ]

    def claim(self, endpoint_id: str, lease: str, now_ms: int, limit: int) -> list[Claim]:
        """Take what is due for an endpoint, the oldest first; nobody else gets it before the lease is over."""
        with self._database.transaction():
            rows = self._database.rows(
                "SELECT waiting.*, messages.id, messages.subject, messages.body FROM webhook_deliveries AS waiting"
                " JOIN webhook_messages AS messages ON messages.seq = waiting.message_seq"
                " WHERE endpoint_id = :endpoint_id AND state = 'waiting' AND due_at <= :now"
                " ORDER BY due_at, message_seq LIMIT :limit",
                {"endpoint_id": endpoint_id, "now": now_ms, "limit": limit},
            )
            claims = [_claim(row, lease) for row in rows]
            for claim in claims:
                self._settle(claim, "lease = :lease, due_at = :due_at", {"due_at": now_ms + LEASE_MS}, is_own=False)
        return claims

    def renew(self, claim: Claim, now_ms: int) -> bool:
        """Begin the lease anew, before sending; False when somebody else has it."""
        return self._settle(claim, "due_at = :due_at", {"due_at": now_ms + LEASE_MS})

    def release(self, lease: str, now_ms: int) -> None:
        """Give back everything that was taken under this lease: whoever comes next may send it at once."""
        self._database.write(
            "UPDATE webhook_deliveries SET lease = NULL, due_at = :now WHERE state = 'waiting' AND lease = :lease",
            {"lease": lease, "now": now_ms},
        )

    def delivered(self, claim: Claim, outcome: str, now_ms: int) -> None:
        """Note that the endpoint has it."""
        change = "state = 'delivered', lease = NULL, attempts = attempts + 1, attempted_at = :now, outcome = :outcome"
        self._settle(claim, change, {"now": now_ms, "outcome": outcome}, is_own=False)

    def put_off(self, claim: Claim, outcome: str, now_ms: int, due_at_ms: int) -> None:
        """Note that an attempt failed, and when the next one is due."""
        change = "lease = NULL, attempts = attempts + 1, attempted_at = :now, outcome = :outcome, due_at = :due_at"
        due_at_ms = min(due_at_ms, now_ms + LONGEST_WAIT_MS)
        self._settle(claim, change, {"now": now_ms, "outcome": outcome, "due_at": due_at_ms})

    def give_up(self, claim: Claim, outcome: str, now_ms: int) -> None:
        """Note that the last attempt failed; the message stays for a replay."""
        change = "state = 'failed', lease = NULL, attempts = attempts + 1, attempted_at = :now, outcome = :outcome"
        self._settle(claim, change, {"now": now_ms, "outcome": outcome})

    def tidy(self, now_ms: int) -> None:
        """Forget some of what is long over, and make due what a clock that was set back would hold for days."""
        with self._database.transaction():
            for endpoint in self.endpoints.all():
                self._database.write(
                    "UPDATE webhook_deliveries SET due_at = :now"
                    " WHERE endpoint_id = :id AND state = 'waiting' AND due_at > :latest",
                    {"id": endpoint.id, "now": now_ms, "latest": now_ms + LONGEST_WAIT_MS},
                )
            for state, kept_ms in (("delivered", DELIVERED_KEPT_MS), ("failed", FAILED_KEPT_MS)):
                self._forget(state, now_ms - kept_ms)

    def _forget(self, state: str, before_ms: int) -> None:
        over = self._database.rows(
            "DELETE FROM webhook_deliveries WHERE (message_seq, endpoint_id) IN (SELECT message_seq, endpoint_id"
            " FROM webhook_deliveries WHERE state = :state AND state <> 'waiting' AND attempted_at < :before"
            " LIMIT :limit) RETURNING message_seq",
            {"state": state, "before": before_ms, "limit": _PURGED_AT_ONCE},
        )
        for seq in {int(row["message_seq"]) for row in over}:
            self._database.write(
                "DELETE FROM webhook_messages WHERE seq = :seq"
                " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries WHERE message_seq = seq)",
                {"seq": seq},
            )

    def _settle(self, claim: Claim, change: str, values: dict[str, str | int | None], *, is_own: bool = True) -> bool:
        owned = " AND lease = :lease AND state = 'waiting'" if is_own else ""
        return bool(
            self._database.write(
                f"UPDATE webhook_deliveries SET {change}"  # noqa: S608 - made of constants
                f" WHERE message_seq = :seq AND endpoint_id = :endpoint_id{owned}",
                {**values, "seq": claim.message_seq, "endpoint_id": claim.endpoint_id, "lease": claim.lease},
            )
        )


def _claim(row: sqlite3.Row, lease: str) -> Claim:
    return Claim(
        message_seq=row["message_seq"],
        endpoint_id=row["endpoint_id"],
        lease=lease,
        message_id=row["id"],
        subject=row["subject"],
        body=row["body"],
        attempts=row["attempts"],
    )
