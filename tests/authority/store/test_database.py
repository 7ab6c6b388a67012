"""A transaction is whole or nothing, whatever fails in it; and a locked file is not waited for by everybody."""

import sqlite3
import threading
import time

import pytest

from gateway.authority.store.database import Database

INSERT = "INSERT INTO roles VALUES (:key, :key, :key)"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "authority.db"


@pytest.fixture
def database(path):
    database = Database.open(str(path))
    database.hurry()
    yield database
    database.close()


@pytest.fixture
def other(path, database):
    """Another process's connection, which waits for nothing."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
    yield connection
    connection.close()


def add(database, *keys: str) -> None:
    with database.transaction():
        for key in keys:
            database.write(INSERT, {"key": key})


def roles(database) -> int:
    return database.row("SELECT COUNT(*) AS n FROM roles")["n"]


def fill(database) -> None:
    """Let the file have no page more than it has."""
    pages = database.row("PRAGMA page_count")[0]
    database.row(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_leaves_nothing_open_and_nothing_half_written(database):
    fill(database)
    for _ in range(3):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            add(database, "small", "x" * 100_000)
        assert not database._connection.in_transaction
    assert roles(database) == 0
    database.row("PRAGMA max_page_count = 1000000")
    add(database, "x" * 100_000)
    assert roles(database) == 1


def test_a_commit_that_fails_is_rolled_back(database):
    """With a deferred foreign key, which fails at COMMIT and nowhere else."""
    for statement in (
        "PRAGMA foreign_keys = ON",
        "CREATE TABLE parents (id TEXT PRIMARY KEY)",
        "CREATE TABLE children (id TEXT REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
    ):
        database.write(statement, {})

    def add_orphan() -> None:
        with database.transaction():
            database.write(INSERT, {"key": "a"})
            database.write("INSERT INTO children VALUES (:id)", {"id": "nobody"})

    with pytest.raises(sqlite3.IntegrityError):
        add_orphan()
    assert not database._connection.in_transaction
    assert roles(database) == 0


def test_a_locked_file_is_waited_for_by_one_and_read_by_all(database, other):
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    for _ in range(50):
        with pytest.raises(sqlite3.OperationalError, match="locked"), database.transaction():
            raise AssertionError("it was locked")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            database.write(INSERT, {"key": "a"})
    assert roles(database) == 0
    # a hundred that wait for a quarter of a second each would be 25
    assert time.monotonic() - started < 5
    other.execute("ROLLBACK")
    add(database, "a")
    assert roles(database) == 1


def test_a_file_that_is_free_again_within_a_moment_is_waited_for(database, other):
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.05, other.execute, ("ROLLBACK",)).start()
    database.write(INSERT, {"key": "a"})
    # and after a failure too, as soon as somebody has had the file
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        database.write(INSERT, {"key": "b"})
    other.execute("ROLLBACK")
    add(database, "b")
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.05, other.execute, ("ROLLBACK",)).start()
    database.write(INSERT, {"key": "c"})
    assert roles(database) == 3


def test_patience_comes_back_by_itself(database, other):
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        database.write(INSERT, {"key": "a"})
    database._patient_at_s = time.monotonic()  # the second is over
    threading.Timer(0.05, other.execute, ("ROLLBACK",)).start()
    database.write(INSERT, {"key": "a"})


def test_the_log_is_cut_once_nobody_reads_from_it(database, path, other):
    other.execute("BEGIN")
    other.execute("SELECT * FROM roles").fetchall()
    log = path.with_name("authority.db-wal")
    for number in range(30):
        database.write(INSERT, {"key": f"{number}" + "x" * 3_000_000})
    assert log.stat().st_size > 64 * 1024 * 1024
    other.execute("ROLLBACK")
    for number in range(3):
        database.write(INSERT, {"key": f"small {number}"})
    assert log.stat().st_size <= 64 * 1024 * 1024


def test_many_that_open_a_new_file_at_the_same_moment_all_get_it(tmp_path):
    for number in range(25):
        path, opened, ready = tmp_path / f"{number}.db", [], threading.Barrier(4)

        def open_it(path=path, opened=opened, ready=ready) -> None:
            ready.wait()
            opened.append(Database.open(str(path)))

        threads = [threading.Thread(target=open_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(opened) == 4
        for database in opened:
            database.close()
