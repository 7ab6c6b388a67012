"""What is written down as over, and what is forgotten: a few rows at a time, on the way of what adds rows.

No task runs in the background and no call pays for all: whatever adds one row takes away up to a few, so what is over
shrinks while anything grows. Old inactive sessions are purged and then not listed (Sessions API section 2).
"""

from gateway.authority.store.database import Database

# more than one, so that what is over shrinks while rows are added
_AT_ONCE = 4


def write_down_the_over(database: Database, now_ms: int, most: int = _AT_ONCE) -> int:
    """Store the status of sessions that outlived their time, the oldest first.

    Args:
        database: open.
        now_ms: the time.
        most: how many sessions.

    Returns:
        How many there were.
    """
    over = "ended_at IS NULL AND MIN(expire_at, abandon_at) <= :now"
    if database.row(f"SELECT 1 FROM sessions WHERE {over}", {"now": now_ms}) is None:  # noqa: S608 - a constant
        return 0
    return database.write(
        "UPDATE sessions SET ended_at = MIN(expire_at, abandon_at),"  # noqa: S608 - a constant
        " status = CASE WHEN expire_at <= abandon_at THEN 'expired' ELSE 'abandoned' END WHERE seq IN"
        f" (SELECT seq FROM sessions WHERE {over} ORDER BY MIN(expire_at, abandon_at) LIMIT :most)",
        {"now": now_ms, "most": most},
    )


def purge_sessions(database: Database, ended_before_ms: int) -> None:
    """Forget sessions that were over before a time, and their refresh tokens; the oldest first."""
    database.write(
        "DELETE FROM sessions WHERE seq IN (SELECT seq FROM sessions"
        " WHERE ended_at IS NOT NULL AND ended_at < :before ORDER BY ended_at LIMIT :most)",
        {"before": ended_before_ms, "most": _AT_ONCE},
    )


def purge_clients(database: Database, now_ms: int, idle_before_ms: int) -> None:
    """Forget clients that have no sessions, and their dev browsers.

    Args:
        database: open.
        now_ms: the time.
        idle_before_ms: those that were made or looked at after it wait. One that has sessions is looked at again when
            it has waited as long once more.
    """
    waited = "SELECT id FROM clients WHERE looked_at < :before ORDER BY looked_at LIMIT :most"
    for row in database.rows(waited, {"before": idle_before_ms, "most": _AT_ONCE}):
        client = {"id": row["id"], "now": now_ms}
        if database.row("SELECT 1 FROM sessions WHERE client_id = :id", client) is None:
            database.write("DELETE FROM clients WHERE id = :id", client)
        else:
            database.write("UPDATE clients SET looked_at = :now WHERE id = :id", client)
