"""A transaction is whole or nothing, whatever fails in it; and a locked file is not waited for by everybody."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time

import pytest

from gateway.authority.store.database import Database, access_problem
from gateway.errors import ConfigurationError

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


def test_opening_the_file_again_in_this_process_leaves_its_locks_alone(path, database):
    """Or another process, which is the last one by all that it can see, would delete the log under this one."""
    add(database, "before")
    Database.open(str(path)).close()
    query = "SELECT COUNT(*) FROM roles"
    count = f"import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('{query}').fetchone()[0])"
    command = [sys.executable, "-c", count, str(path)]
    assert subprocess.check_output(command, text=True) == "1\n"
    add(database, "after")
    assert subprocess.check_output(command, text=True) == "2\n"


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("is_there", [False, True])
def test_nobody_else_may_read_a_new_file_whatever_the_umask_says(path, is_there):
    umask = os.umask(0)
    try:
        if is_there:
            path.touch()
            assert mode(path) == 0o666
        database = Database.open(str(path))
        add(database, "one")
    finally:
        os.umask(umask)
    assert {mode(each) for each in path.parent.iterdir()} == {0o600}
    database.close()


@pytest.mark.parametrize("bits", [0o644, 0o602, 0o666])
def test_a_file_that_everybody_may_open_is_refused_with_the_way_to_mend_it(path, bits):
    Database.open(str(path)).close()
    path.chmod(bits)
    with pytest.raises(ConfigurationError) as error:
        Database.open(str(path))
    (fault,) = error.value.faults
    assert (fault.setting, fault.fix) == ("--db", f"chmod 600 {path}")
    assert f"mode {bits:o}" in fault.problem
    assert mode(path) == bits
    path.chmod(0o640)  # a group may be meant
    Database.open(str(path)).close()


def test_whose_keys_a_file_holds_is_said_before_who_may_open_it(path):
    path.write_text("root:x:0:0:root:/root:/bin/sh\n")
    path.chmod(0o644)
    with pytest.raises(ConfigurationError) as error:
        Database.open(str(path))
    assert "chmod" not in str(error.value)


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_log_that_somebody_else_put_there_is_refused(path, suffix, is_new):
    if not is_new:
        Database.open(str(path)).close()
    planted = path.with_name(path.name + suffix)
    planted.touch()
    planted.chmod(0o666)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {planted}"):
        Database.open(str(path))
    planted.unlink()
    planted.symlink_to("/nowhere")
    with pytest.raises(ConfigurationError, match=f"chmod 600 {planted}"):
        Database.open(str(path))


def test_a_link_to_nothing_is_not_followed(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Database.open(str(path))
    assert not (tmp_path / "elsewhere.db").exists()


@pytest.mark.parametrize(
    ("mode", "owner", "own", "problem"),
    [
        (0o600, 1000, 1000, ""),
        (0o600, 0, 1000, ""),  # root reads everything anyway
        (0o600, 1000, 0, ""),
        (0o600, 1001, 1000, "it belongs to another user (1001)"),
        (0o660, 1000, 1000, ""),  # a group may be meant
        (0o604, 1000, 1000, "every user of this machine may open it (mode 604)"),
        (0o602, 1000, 0, "every user of this machine may open it (mode 602)"),
    ],
)
def test_whose_file_it_may_be_and_who_may_open_it(mode, owner, own, problem):
    said, fix = access_problem(mode, owner, own)
    assert said.startswith(problem)
    assert bool(said) == bool(fix) == bool(problem)
