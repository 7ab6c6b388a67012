"""The SQLite database: opening it, bringing its schema up to date, its transactions.

Files use write-ahead logging with ``synchronous = NORMAL``: a commit survives the death of the process (not of the
machine's power), readers never wait for writers, and several processes may share the file. Statements are short and
synchronous on purpose: an event loop that waits 30 microseconds for SQLite is faster than one that changes threads.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gateway.authority.config import MEMORY
from gateway.authority.store.schema import STEPS
from gateway.errors import ConfigurationError, Fault

_APPLICATION_ID = 0x53474157  # "SGAW", in the file's header: says whose file this is
_BUSY_TIMEOUT_MS = 5000


Values = Mapping[str, str | int | None]


class Database:
    """One connection. A transaction keeps other threads and other processes out."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: str) -> "Database":
        """Open the file, or a new database in memory; an empty one gets the schema.

        Raises:
            ConfigurationError: the file cannot be opened or is not an authority's.
        """
        try:
            if path != MEMORY:
                # it will hold keys, so nobody else may read it, whatever the umask says
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            database = cls(_connect(path))
            try:
                database._prepare(path)
            except BaseException:
                database.close()
                raise
        except (sqlite3.DatabaseError, OSError) as error:
            fix = "name a file of the authority in a directory that exists and can be written to"
            raise ConfigurationError([Fault("--db", path, f"it cannot be opened ({error})", fix)]) from error
        return database

    def close(self) -> None:
        """Close the connection; the database must not be used after that."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside happen, or none. A transaction within a transaction joins it."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @property
    def is_in_transaction(self) -> bool:
        """Whether what is written now may still be undone."""
        return self._connection.in_transaction

    def rows(self, sql: str, values: Values | None = None) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values or {}).fetchall()

    def row(self, sql: str, values: Values | None = None) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(sql, values or {}).fetchone()
            return found

    def write(self, sql: str, values: Values) -> int:
        """Run one statement that changes something; returns how many rows it changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def _prepare(self, path: str) -> None:
        self._require_own(path)  # before anything is written: changing the journal mode writes
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        with self.transaction():
            # asked again: another process may have been here in between
            for step in STEPS[self._require_own(path) :]:
                for statement in step.split(";")[:-1]:
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {len(STEPS)}")

    def _require_own(self, path: str) -> int:
        """How many steps of the schema are there; 0 for an empty database."""
        owner, version = self._pragma("application_id"), self._pragma("user_version")
        if owner == _APPLICATION_ID and 1 <= version <= len(STEPS):
            return version
        if owner == _APPLICATION_ID and version > len(STEPS):
            problem = f"a later release wrote it (schema {version}, this one knows {len(STEPS)})"
            raise ConfigurationError([Fault("--db", path, problem, "use that release, or name another file")])
        if owner or version or self.row("SELECT 1 FROM sqlite_schema"):
            problem = "it is not a database of this authority"
            raise ConfigurationError([Fault("--db", path, problem, "name another file")])
        return 0

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def _connect(path: str) -> sqlite3.Connection:
    target = path if path == MEMORY else str(Path(path).absolute())
    # autocommit mode: BEGIN and COMMIT are written out in transaction()
    connection = sqlite3.connect(target, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    return connection
