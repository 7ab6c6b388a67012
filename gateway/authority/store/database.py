"""The SQLite database: opening it, bringing its schema up to date, its transactions.

Files use write-ahead logging with ``synchronous = NORMAL``: a commit survives the death of the process, so nothing that
was acknowledged is lost on ``kill -9``. When the machine loses power the last commits may be lost, and the file stays
whole; waiting for the disk at each commit would cost more than everything else that a request does. Readers never wait
for writers, several processes may share the file, and the log is cut to 64 MiB once nobody reads from it any more.

Statements are short and synchronous on purpose: an event loop that waits 30 microseconds for SQLite is faster than one
that changes threads. It must not wait long either, for it waits for everybody. So while requests are served one
statement waits a quarter of a second for a file that another process has locked, and during the next second the others
do not wait at all. Who cannot have the file gets ``sqlite3.OperationalError`` (the application answers 503), and reads
go on. Commands, and the start of a server, wait for ten seconds: another process may be bringing the file up to date.
"""

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.authority.config import MEMORY
from gateway.authority.store.schema import STEPS
from gateway.errors import ConfigurationError, Fault

_APPLICATION_ID = 0x53474157  # "SGAW", in the file's header: says whose file this is
_OPENING_TIMEOUT_MS = 10_000
_OPENING_PAUSE_S = 0.01
_SERVING_TIMEOUT_MS = 250
_LOCKED_PAUSE_S = 1.0
_LOG_LIMIT_BYTES = 64 * 1024 * 1024


Values = Mapping[str, str | int | None]


class Database:
    """One connection. A transaction keeps other threads and other processes out."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._timeout_ms = _OPENING_TIMEOUT_MS
        self._patient_at_s = 0.0  # before that time nothing waits for a lock

    @classmethod
    def open(cls, path: str) -> "Database":
        """Open the file, or a new database in memory; an empty one gets the schema.

        Raises:
            ConfigurationError: the file cannot be opened or is not an authority's.
        """
        try:
            if path != MEMORY:
                _refuse_planted(path)
                _make(path)
            database = cls(_connect(path))
            try:
                database._prepare(path)
            except BaseException:
                database.close()
                raise
        except (sqlite3.DatabaseError, OSError) as error:
            fix = "name a file of the authority in a directory that exists and can be written to"
            raise ConfigurationError(
                [Fault("--db", path, f"it cannot be opened ({getattr(error, 'strerror', None) or error})", fix)]
            ) from error
        return database

    def hurry(self) -> None:
        """From now on wait for locks no longer than an event loop may."""
        self._timeout_ms = _SERVING_TIMEOUT_MS
        self._wait_for_locks(self._timeout_ms)

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
            self._execute("BEGIN IMMEDIATE")
            try:
                if self._patient_at_s:  # it was locked, and is free again
                    self._wait_for_locks(self._timeout_ms)
                yield
                # a full disk is noticed here at the latest, and then nothing of it may stay open
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    @property
    def is_in_transaction(self) -> bool:
        """Whether what is written now may still be undone."""
        return self._connection.in_transaction

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read inside is of one moment, and nothing is written. It waits for no lock."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._roll_back()

    def rows(self, sql: str, values: Values | None = None) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self._execute(sql, values).fetchall()

    def row(self, sql: str, values: Values | None = None) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        with self._lock:
            found: sqlite3.Row | None = self._execute(sql, values).fetchone()
            return found

    def write(self, sql: str, values: Values) -> int:
        """Run one statement that changes something; returns how many rows it changed."""
        with self._lock:
            return self._execute(sql, values).rowcount

    def _execute(self, sql: str, values: Values | None = None) -> sqlite3.Cursor:
        if self._patient_at_s and time.monotonic() >= self._patient_at_s:
            self._wait_for_locks(self._timeout_ms)
        try:
            return self._connection.execute(sql, values or {})
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                self._wait_for_locks(0)
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # some errors have ended it already
            self._connection.execute("ROLLBACK")

    def _wait_for_locks(self, timeout_ms: int) -> None:
        self._connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")
        self._patient_at_s = 0.0 if timeout_ms else time.monotonic() + _LOCKED_PAUSE_S

    def _prepare(self, path: str) -> None:
        with self.snapshot():  # before anything is written: changing the journal mode writes
            self._require_own(path)
        _require_private(path)  # after that: what is not an authority's holds none of its keys
        self._switch_to_log()
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT_BYTES}")
        with self.transaction():
            # asked again: another process may have been here in between
            for step in STEPS[self._require_own(path) :]:
                for statement in _statements(step):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {len(STEPS)}")

    def _switch_to_log(self) -> None:
        until_s = time.monotonic() + self._timeout_ms / 1000
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                # SQLite does not wait for this lock while another process opens the same new file
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                    raise
            time.sleep(_OPENING_PAUSE_S)

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


def _statements(step: str) -> Iterator[str]:
    """The statements of a step; a trigger is one, whatever stands between its BEGIN and END."""
    statement = ""
    for part in step.split(";")[:-1]:
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _make(path: str) -> None:
    """Make a file that nobody else may read, whatever the umask says; one that is there stays as it is.

    A file that is there is never opened here: closing it again would drop every lock that this process has on it
    (fcntl(2), "Record locking"), and another process would then cut the log under the connections that are open.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        found = Path(path).stat()
        if not found.st_size and os.name == "posix" and found.st_uid == os.geteuid():
            Path(path).chmod(0o600)  # nobody can have read anything in it


def _require_private(path: str) -> None:
    if path == MEMORY or os.name != "posix":
        return
    _judge(path, Path(path).stat())


def _refuse_planted(path: str) -> None:
    """Refuse logs that others may open: whoever can write to the directory may have put them there.

    SQLite would take changes out of them, and write everything that goes into the database to them first.
    """
    for suffix in ("-wal", "-shm", "-journal") if os.name == "posix" else ():
        with suppress(FileNotFoundError):
            _judge(path + suffix, Path(path + suffix).lstat())


def _judge(path: str, found: os.stat_result) -> None:
    problem, fix = access_problem(stat.S_IMODE(found.st_mode), found.st_uid, os.geteuid())
    if problem:
        raise ConfigurationError([Fault("--db", path, problem, f"{fix} {path}")])


def access_problem(mode: int, owner: int, own: int) -> tuple[str, str]:
    """Who else gets at the keys in a file, and what mends it; two empty texts when all is well.

    Args:
        mode: its permissions. A group may be meant; everybody cannot be.
        owner: user id of its owner; root reads everything anyway.
        own: effective user id of this process.
    """
    if 0 not in (owner, own) and owner != own:
        return f"it belongs to another user ({owner}), who reads every key in it", "name a file of your own, not"
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return f"every user of this machine may open it (mode {mode:o}), and it holds keys", "chmod 600"
    return "", ""


def _connect(path: str) -> sqlite3.Connection:
    target = path if path == MEMORY else str(Path(path).absolute())
    # autocommit mode: BEGIN and COMMIT are written out in transaction()
    connection = sqlite3.connect(target, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {_OPENING_TIMEOUT_MS}")
    return connection
