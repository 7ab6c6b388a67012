"""The SQLite database: opening it, its schema, its transactions.

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
from gateway.errors import ConfigurationError, Fault

_APPLICATION_ID = 0x53474157  # "SGAW", in the file's header: says whose file this is
_SCHEMA_VERSION = 1
_BUSY_TIMEOUT_MS = 5000

_SCHEMA = """
CREATE TABLE instance (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, origin TEXT NOT NULL, secret_key TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE signing_keys (
    kid TEXT PRIMARY KEY, private_pem TEXT NOT NULL, created_at INTEGER NOT NULL, signs INTEGER NOT NULL
) STRICT;
CREATE TABLE users (
    id TEXT PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL, email_address TEXT NOT NULL UNIQUE,
    plan TEXT NOT NULL, features TEXT NOT NULL, public_metadata TEXT NOT NULL, unsafe_metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE organizations (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, slug TEXT NOT NULL UNIQUE, plan TEXT NOT NULL, features TEXT NOT NULL,
    public_metadata TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE roles (key TEXT PRIMARY KEY, name TEXT NOT NULL, permissions TEXT NOT NULL) STRICT;
CREATE TABLE memberships (
    user_id TEXT NOT NULL, organization_id TEXT NOT NULL, role_key TEXT NOT NULL, public_metadata TEXT NOT NULL,
    PRIMARY KEY (user_id, organization_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE jwt_templates (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, claims TEXT NOT NULL, lifetime_s INTEGER NOT NULL,
    allowed_clock_skew_s INTEGER NOT NULL
) STRICT;
CREATE TABLE clients (
    id TEXT PRIMARY KEY, token_digest TEXT UNIQUE, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE dev_browsers (
    token_digest TEXT PRIMARY KEY, client_id TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, client_id TEXT NOT NULL,
    status TEXT NOT NULL, last_active_organization_id TEXT, actor TEXT, first_factor_at INTEGER NOT NULL,
    last_active_at INTEGER NOT NULL, expire_at INTEGER NOT NULL, abandon_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_client ON sessions (client_id, created_at);
CREATE INDEX sessions_by_age ON sessions (created_at);
CREATE TABLE refresh_tokens (
    digest TEXT PRIMARY KEY, session_id TEXT NOT NULL, created_at INTEGER NOT NULL, superseded_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id, superseded_at);
CREATE TABLE consumed_tokens (digest TEXT PRIMARY KEY, forget_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX consumed_tokens_by_age ON consumed_tokens (forget_at);
CREATE TABLE handshakes (
    digest TEXT PRIMARY KEY, directives TEXT NOT NULL, expire_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX handshakes_by_age ON handshakes (expire_at);
"""

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
            if self._require_own(path):
                return
            for statement in _SCHEMA.split(";")[:-1]:
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def _require_own(self, path: str) -> bool:
        """Whether the schema is there; False for an empty database."""
        owner, version = self._pragma("application_id"), self._pragma("user_version")
        if (owner, version) == (_APPLICATION_ID, _SCHEMA_VERSION):
            return True
        if owner or version or self.row("SELECT 1 FROM sqlite_schema"):
            problem = f"it is not a database of this authority (schema {version}, expected {_SCHEMA_VERSION})"
            raise ConfigurationError([Fault("--db", path, problem, "name another file")])
        return False

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def _connect(path: str) -> sqlite3.Connection:
    target = path if path == MEMORY else str(Path(path).absolute())
    # autocommit mode: BEGIN and COMMIT are written out in transaction()
    connection = sqlite3.connect(target, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    return connection
