"""A file is brought up to date step by step, and one of a later release is left alone."""

import sqlite3

import pytest

from gateway.authority.identifiers import digest
from gateway.authority.store.database import Database
from gateway.authority.store.ledger import Ledger, SessionFilter
from gateway.authority.store.refresh_tokens import RefreshTokens
from gateway.authority.store.schema import STEPS
from gateway.core.session_status import SessionStatus
from gateway.errors import ConfigurationError


def shape(path) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    connection.close()
    return found


def at_step(path, number: int) -> None:
    """What a release that knew so many steps left behind."""
    Database.open(str(path)).close()
    fresh = path.with_suffix(".old")
    with sqlite3.connect(fresh) as connection:
        for step in STEPS[:number]:
            connection.executescript(step)
        with sqlite3.connect(path) as newest:
            owner = newest.execute("PRAGMA application_id").fetchone()[0]
        newest.close()
        connection.execute(f"PRAGMA application_id = {owner}")
        connection.execute(f"PRAGMA user_version = {number}")
    connection.close()
    for leftover in path.parent.glob(f"{path.name}*"):
        leftover.unlink()
    fresh.rename(path)
    path.chmod(0o600)


@pytest.mark.parametrize("number", range(1, len(STEPS) + 1))
def test_a_file_of_an_earlier_release_ends_with_the_schema_of_a_new_one(tmp_path, number):
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    at_step(old, number)
    Database.open(str(new)).close()
    Database.open(str(old)).close()
    assert shape(old) == shape(new)


def test_a_file_of_a_later_release_is_refused(tmp_path):
    path = tmp_path / "authority.db"
    Database.open(str(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()
    with pytest.raises(ConfigurationError, match="a later release wrote it"):
        Database.open(str(path))


def test_the_sessions_and_refresh_tokens_of_the_first_release_are_still_good(tmp_path):
    path = tmp_path / "authority.db"
    at_step(path, 1)
    now_ms = 1_800_000_000_000
    with sqlite3.connect(path) as connection:
        for number, status in enumerate(["active", "revoked", "active"]):
            later_ms = now_ms + 1000
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, 'user_1', 'client_1', ?, NULL, NULL, ?, ?, ?, ?, ?, ?)",
                (number, f"sess_{number}", status, now_ms, now_ms, later_ms, later_ms, now_ms, now_ms),
            )
        for name, superseded_at in (("old", now_ms), ("new", None)):
            values = (digest(name), "sess_0", now_ms, superseded_at)
            connection.execute("INSERT INTO refresh_tokens VALUES (?, ?, ?, ?)", values)
    connection.close()
    database = Database.open(str(path))
    sessions, tokens = Ledger(database), RefreshTokens(database, grace_ms=10_000)
    try:
        assert sessions.count(SessionFilter(), now_ms) == 3
        assert sessions.count(SessionFilter(status=SessionStatus.REVOKED), now_ms) == 1
        assert sessions.count(SessionFilter(status=SessionStatus.ACTIVE), now_ms) == 2
        assert tokens.find("old", "sess_0").retired_at_ms == now_ms
        held = tokens.find("new", "sess_0")
        assert held.retired_at_ms is None
        tokens.use(held, now_ms)
        assert tokens.rotate(held, now_ms)
    finally:
        database.close()
