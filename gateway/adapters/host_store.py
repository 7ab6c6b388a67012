"""What the worker processes of one host share, in a SQLite file: one row for each work.

A claim is one statement, which SQLite runs with nothing in between, so of all callers one gets the lease. Time is the
monotonic clock, which all processes of a machine share and nobody sets. The file outlives no restart of the gateway:
its folder is made for one run, and nothing in it has to survive the machine's power.
"""

import asyncio
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from gateway.errors import StoreUnavailable
from gateway.ports import Claim, Clock

T = TypeVar("T")

FILE_NAME = "answers.sqlite"

MAX_BYTES = 64 * 1024
"""An answer is a few cookies, which browsers hold to 4 KiB each; a larger value is none of ours."""

MAX_PAGES = 16_384
"""64 MiB: some ten thousand answers, of which each is kept for seconds."""

_BUSY_TIMEOUT_MS = 500
_OPEN_PAUSE_S = 0.01

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, holder BLOB NOT NULL, answer BLOB, until_s REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_by_end ON answers (until_s);
"""

_FIND = "SELECT answer FROM answers WHERE key = :key AND until_s > :now_s"

_CLAIM = """
INSERT INTO answers (key, holder, answer, until_s) VALUES (:key, :holder, NULL, :until_s)
ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, answer = NULL, until_s = excluded.until_s
WHERE answers.until_s <= :now_s
"""

_SETTLE = """
UPDATE answers SET answer = :answer, until_s = :until_s
WHERE key = :key AND holder = :holder AND answer IS NULL AND until_s > :now_s
"""

_RELEASE = "DELETE FROM answers WHERE key = :key AND holder = :holder AND answer IS NULL"

_SWEEP = "DELETE FROM answers WHERE until_s <= :now_s"

Values = dict[str, bytes | float]


@contextmanager
def folder_for_workers() -> Iterator[Path]:
    """Make a folder that the workers of one gateway can share a store in; it is gone at the end.

    Raises:
        StoreUnavailable: there is no place for one.
    """
    try:
        # Mode 0700, and a name that nobody else can have taken. What a killed worker still has open does not matter.
        made = TemporaryDirectory(prefix="session-gateway-", ignore_cleanup_errors=True)
    except OSError as error:
        raise StoreUnavailable(f"no folder for temporary files can be had: {error.strerror or error}") from error
    with made as name:
        try:
            # What keeps it from being used is said before the workers start.
            _opened(Path(name)).close()
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{name} cannot be used: {error}") from error
        yield Path(name)


class HostStore:
    """Implements :class:`gateway.ports.AnswerStore` for the processes of one host.

    Args:
        folder: exists, and nobody but the gateway's user may look into it.
        clock: seconds, the same for all processes.
        timeout_s: seconds that one call may take.
    """

    def __init__(self, folder: Path, clock: Clock = time.monotonic, *, timeout_s: float = 1.0) -> None:
        self._folder = folder
        self._clock = clock
        self._timeout_s = timeout_s
        self._connection: sqlite3.Connection | None = None
        # One thread: SQLite may wait for another process, the event loop must not, and calls keep their order.
        self._thread = ThreadPoolExecutor(1, "host-store")

    async def claim(self, key: bytes, holder: bytes, lease_s: float) -> Claim:
        """Take the work for some seconds, unless it was done or somebody else has it."""
        return await self._run(lambda connection: self._claimed(connection, key, holder, lease_s))

    async def settle(self, key: bytes, holder: bytes, answer: bytes, keep_s: float) -> None:
        """Leave the answer for the others, unless the lease was lost or the answer is beyond the bound."""
        if len(answer) > MAX_BYTES:
            raise StoreUnavailable(f"an answer of {len(answer)} bytes is not shared; {MAX_BYTES} is the most")
        now_s = self._clock()
        values: Values = {"key": key, "holder": holder, "answer": answer, "now_s": now_s, "until_s": now_s + keep_s}
        await self._run(lambda connection: connection.execute(_SETTLE, values))

    async def release(self, key: bytes, holder: bytes) -> None:
        """Let others take the work at once, unless the lease was lost."""
        await self._run(lambda connection: connection.execute(_RELEASE, {"key": key, "holder": holder}))

    async def close(self) -> None:
        """Close the file; never fails."""
        with suppress(RuntimeError):  # it was closed before
            self._thread.submit(self._forget)
        self._thread.shutdown(wait=False)

    def _claimed(self, connection: sqlite3.Connection, key: bytes, holder: bytes, lease_s: float) -> Claim:
        now_s = self._clock()
        values: Values = {"key": key, "holder": holder, "now_s": now_s, "until_s": now_s + lease_s}
        # Whoever waits asks often, and looking keeps nobody else from writing.
        found = connection.execute(_FIND, values).fetchone()
        if found is None:
            connection.execute(_SWEEP, values)
            if connection.execute(_CLAIM, values).rowcount:
                return Claim(is_ours=True)
            found = connection.execute(_FIND, values).fetchone() or (None,)
        return Claim(is_ours=False, answer=found[0])

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have the thread do it; the one place where foreign exceptions become ours."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._done, work)
        except TimeoutError:
            raise StoreUnavailable(f"{self._folder} was not free in time") from None
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._folder / FILE_NAME} cannot be used: {error}") from error
        except RuntimeError as error:
            raise StoreUnavailable(f"{self._folder} was closed") from error

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            self._connection = _opened(self._folder)
        try:
            return work(self._connection)
        except sqlite3.Error:
            self._forget()  # it is opened anew the next time, should the file be another one by then
            raise

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _opened(folder: Path) -> sqlite3.Connection:
    """Open the file, or a new one, though others do the same at this moment.

    The busy time-out does not count while the journal's mode is changed, or while the last one closes the file
    (https://sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY In WAL Mode").

    Raises:
        OSError, sqlite3.Error: as of :func:`_open`.
    """
    until_s = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            return _open(folder)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                raise
        time.sleep(_OPEN_PAUSE_S)


def _open(folder: Path) -> sqlite3.Connection:
    """Open the file, or a new one.

    Raises:
        OSError: the folder is not there, or not private.
        sqlite3.Error: the file cannot be used.
    """
    found = folder.stat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(f"its folder is not the gateway's own; chmod 700 {folder}")
    file = folder / FILE_NAME
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    # Autocommit: each statement is a transaction of its own.
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA max_page_count = {MAX_PAGES}")
        for statement in _SCHEMA.split(";")[:-1]:
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return connection
