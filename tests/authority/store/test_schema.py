"""A file is brought up to date step by step, and one of a later release is left alone."""

import sqlite3

import pytest

from gateway.authority.store.database import Database
from gateway.authority.store.schema import STEPS
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
