"""Clients and their sessions in the database.

A session that outlived its time is not rewritten by a clock; its status is worked out whenever it is read or changed,
so nothing depends on a task that runs in the background. Lists by user or client cost what that one's sessions cost. A
list of all sessions with one status is found by the status that is stored, so what ran out is written down before it,
once in the life of a session; how many sessions have which status is kept by triggers (``schema.py``). Where very many
ran out since, after days without a server, each such list writes down some and is worked out from the rows until then.
"""

import json
import sqlite3
from dataclasses import dataclass

from gateway.authority.identifiers import digest, new_id, new_secret
from gateway.authority.models import Client, SessionRecord
from gateway.authority.store.database import Database, Values
from gateway.authority.store.purge import purge_clients, purge_sessions, write_down_the_over
from gateway.core.session_status import SessionStatus

_LIVE = "status IN ('active', 'pending') AND expire_at > :now AND abandon_at > :now"
_STATUS_NOW = """
CASE WHEN status NOT IN ('active', 'pending') OR MIN(expire_at, abandon_at) > :now THEN status
     WHEN expire_at <= abandon_at THEN 'expired' ELSE 'abandoned' END
"""
_DAY_MS = 24 * 60 * 60 * 1000
_WRITTEN_BEFORE_A_LIST = 1000  # 20 ms; other requests wait meanwhile
_SESSION = f"SELECT *, {_STATUS_NOW} AS status_now FROM sessions"  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """What a list of sessions is narrowed to; None does not narrow.

    Attributes:
        user_id: whose.
        client_id: of which client.
        status: as of now.
        pending_is_active: pending sessions are found as active ones, for versions of the API without that status.
    """

    user_id: str | None = None
    client_id: str | None = None
    status: SessionStatus | None = None
    pending_is_active: bool = False


class Ledger:
    """The sessions of the instance. ``now_ms`` is always an argument.

    Args:
        database: open.
        retention_ms: how long inactive sessions, and clients without any, are kept.
    """

    def __init__(self, database: Database, retention_ms: int = 30 * _DAY_MS) -> None:
        self._database = database
        self._retention_ms = retention_ms

    def add_client(self, now_ms: int) -> tuple[Client, str]:
        """Make a client; returns it and the secret of its cookie, which is not kept."""
        client = Client(id=new_id("client"), created_at_ms=now_ms, updated_at_ms=now_ms)
        token = new_secret()
        with self._database.transaction():
            purge_clients(self._database, now_ms, now_ms - self._retention_ms)
            self._database.write(
                "INSERT INTO clients (id, token_digest, created_at, updated_at, looked_at)"
                " VALUES (:id, :digest, :now, :now, :now)",
                {"id": client.id, "digest": digest(token), "now": now_ms},
            )
        return client, token

    def client(self, client_id: str) -> Client | None:
        """The client with this id."""
        return self._client("id = :value", client_id)

    def client_by_token(self, token: str) -> Client | None:
        """The client whose cookie holds this secret."""
        return self._client("token_digest = :value", digest(token))

    def forget_client_token(self, client_id: str) -> None:
        """Make the client's cookie worthless."""
        self._database.write("UPDATE clients SET token_digest = NULL WHERE id = :id", {"id": client_id})

    def mark_client(self, client_id: str, now_ms: int) -> None:
        """Say that something about the client's sessions changed; this time is what ``__client_uat`` carries."""
        self._database.write(
            "UPDATE clients SET updated_at = MAX(updated_at, :now) WHERE id = :id", {"id": client_id, "now": now_ms}
        )

    def add_session(self, session: SessionRecord) -> None:
        """Keep a new session, and purge some that have been over for long."""
        with self._database.transaction():
            now_ms = session.created_at_ms
            write_down_the_over(self._database, now_ms)
            purge_sessions(self._database, now_ms - self._retention_ms)
            self._insert(session)

    def _insert(self, session: SessionRecord) -> None:
        self._database.write(
            "INSERT INTO sessions (id, user_id, client_id, status, last_active_organization_id, actor,"
            " first_factor_at, last_active_at, expire_at, abandon_at, created_at, updated_at)"
            " VALUES (:id, :user_id, :client_id, :status, :organization_id, :actor,"
            " :first_factor_at, :last_active_at, :expire_at, :abandon_at, :created_at, :updated_at)",
            {
                "id": session.id,
                "user_id": session.user_id,
                "client_id": session.client_id,
                "status": session.status,
                "organization_id": session.last_active_organization_id,
                "actor": None if session.actor is None else json.dumps(session.actor),
                "first_factor_at": session.first_factor_at_ms,
                "last_active_at": session.last_active_at_ms,
                "expire_at": session.expire_at_ms,
                "abandon_at": session.abandon_at_ms,
                "created_at": session.created_at_ms,
                "updated_at": session.updated_at_ms,
            },
        )

    def session(self, session_id: str, now_ms: int) -> SessionRecord | None:
        """The session with this id, its status as of now."""
        row = self._database.row(f"{_SESSION} WHERE id = :id", {"id": session_id, "now": now_ms})
        return _session(row) if row else None

    def sessions(self, narrowed: SessionFilter, limit: int, offset: int, now_ms: int) -> list[SessionRecord]:
        """One page of the sessions that match, the newest first."""
        condition, values = self._condition(narrowed, now_ms)
        rows = self._database.rows(
            f"{_SESSION} WHERE {condition} ORDER BY created_at DESC, seq DESC LIMIT :limit OFFSET :offset",
            {**values, "now": now_ms, "limit": limit, "offset": offset},
        )
        return [_session(row) for row in rows]

    def count(self, narrowed: SessionFilter, now_ms: int) -> int:
        """How many sessions match."""
        condition, values = self._condition(narrowed, now_ms)
        is_stored = _STATUS_NOW not in condition
        if is_stored and narrowed.user_id is None and narrowed.client_id is None:
            sql = f"SELECT COALESCE(SUM(number), 0) AS matches FROM session_totals WHERE {condition}"  # noqa: S608
        else:
            sql = f"SELECT COUNT(*) AS matches FROM sessions WHERE {condition}"  # noqa: S608 - made of constants
        row = self._database.row(sql, {**values, "now": now_ms})
        return int(row["matches"]) if row else 0

    def live_session(self, client_id: str, now_ms: int) -> SessionRecord | None:
        """The newest session of the client that is still good."""
        row = self._database.row(
            f"{_SESSION} WHERE client_id = :client_id AND {_LIVE} ORDER BY created_at DESC, seq DESC LIMIT 1",
            {"client_id": client_id, "now": now_ms},
        )
        return _session(row) if row else None

    def live_sessions_of(self, user_id: str, limit: int, now_ms: int) -> list[SessionRecord]:
        """Sessions of a user that are still good, at most so many, the newest first."""
        rows = self._database.rows(
            f"{_SESSION} WHERE user_id = :user_id AND {_LIVE} ORDER BY created_at DESC, seq DESC LIMIT :limit",
            {"user_id": user_id, "limit": limit, "now": now_ms},
        )
        return [_session(row) for row in rows]

    def users_of(self, client_id: str, limit: int) -> set[str]:
        """The ids of the users of the client's latest sessions, whatever became of them."""
        rows = self._database.rows(
            "SELECT user_id FROM sessions WHERE client_id = :client_id ORDER BY created_at DESC LIMIT :limit",
            {"client_id": client_id, "limit": limit},
        )
        return {str(row["user_id"]) for row in rows}

    def finish(self, session_id: str, status: SessionStatus, now_ms: int) -> bool:
        """End a session that is live; False when it was not, and then nothing changes."""
        return bool(
            self._database.write(
                f"UPDATE sessions SET status = :status, updated_at = :now, ended_at = :now WHERE id = :id AND {_LIVE}",  # noqa: S608
                {"id": session_id, "status": status, "now": now_ms},
            )
        )

    def finish_all(self, client_id: str, status: SessionStatus, now_ms: int) -> list[SessionRecord]:
        """End every live session of a client; returns them as they are afterwards, in the order of their beginning."""
        rows = self._database.rows(
            "UPDATE sessions SET status = :status, updated_at = :now, ended_at = :now"  # noqa: S608
            f" WHERE client_id = :id AND {_LIVE}"
            " RETURNING *, status AS status_now",
            {"id": client_id, "status": status, "now": now_ms},
        )
        return [_session(row) for row in sorted(rows, key=lambda row: int(row["seq"]))]

    def last_sign_in_ms(self, user_id: str) -> int | None:
        """When the newest session of a user began; None when there never was one."""
        row = self._database.row(
            "SELECT MAX(created_at) AS newest FROM sessions WHERE user_id = :user_id", {"user_id": user_id}
        )
        return row["newest"] if row else None

    def mark_active(self, session_id: str, now_ms: int, abandon_at_ms: int) -> None:
        """Note that the user was seen; a clock that was set back does not make the session older."""
        self._database.write(
            "UPDATE sessions SET last_active_at = MAX(last_active_at, :now), abandon_at = MAX(abandon_at, :abandon_at),"
            " updated_at = MAX(updated_at, :now) WHERE id = :id",
            {"id": session_id, "now": now_ms, "abandon_at": abandon_at_ms},
        )

    def switch_organization(
        self, session_id: str, organization_id: str | None, now_ms: int, status: SessionStatus = SessionStatus.ACTIVE
    ) -> None:
        """Make an organization the active one of a session, and the session active or pending if it is live.

        Args:
            session_id: which one.
            organization_id: None is the personal account.
            now_ms: the time.
            status: active or pending.
        """
        self._database.write(
            f"UPDATE sessions SET last_active_organization_id = :organization_id, updated_at = :now,"  # noqa: S608
            f" status = CASE WHEN {_LIVE} THEN :status ELSE status END WHERE id = :id",
            {"id": session_id, "organization_id": organization_id, "status": status, "now": now_ms},
        )

    def _condition(self, narrowed: SessionFilter, now_ms: int) -> tuple[str, dict[str, str | int | None]]:
        wanted: Values = {"user_id": narrowed.user_id, "client_id": narrowed.client_id, "status": narrowed.status}
        asked: dict[str, str | int | None] = {name: value for name, value in wanted.items() if value is not None}
        is_either = narrowed.pending_is_active and narrowed.status is SessionStatus.ACTIVE
        is_status = "IN (:status, 'pending')" if is_either else "= :status"
        terms = {
            "user_id": "user_id = :user_id",
            "client_id": "client_id = :client_id",
            "status": f"{_STATUS_NOW} {is_status}",
        }
        if list(asked) == ["status"]:
            written = write_down_the_over(self._database, now_ms, _WRITTEN_BEFORE_A_LIST)
            if written < _WRITTEN_BEFORE_A_LIST:
                terms["status"] = f"status {is_status}"
        return " AND ".join(terms[name] for name in asked) or "TRUE", asked

    def _client(self, condition: str, value: str) -> Client | None:
        row = self._database.row(f"SELECT * FROM clients WHERE {condition}", {"value": value})  # noqa: S608
        if row is None:
            return None
        return Client(id=row["id"], created_at_ms=row["created_at"], updated_at_ms=row["updated_at"])


def _session(row: sqlite3.Row) -> SessionRecord:
    return SessionRecord(
        id=row["id"],
        user_id=row["user_id"],
        client_id=row["client_id"],
        status=SessionStatus(row["status_now"]),
        last_active_organization_id=row["last_active_organization_id"],
        actor=None if row["actor"] is None else json.loads(row["actor"]),
        first_factor_at_ms=row["first_factor_at"],
        last_active_at_ms=row["last_active_at"],
        expire_at_ms=row["expire_at"],
        abandon_at_ms=row["abandon_at"],
        created_at_ms=row["created_at"],
        updated_at_ms=row["updated_at"],
    )
