"""The last good key set in a file, so that a gateway which starts while the source is down can verify tokens.

A JSON document: the instance that it belongs to, when the set was fetched, and its usable keys as a JWK Set. Whoever
can write the file can sign in as anybody, so one that others than root and the gateway's own user may have written is
not read. What it holds is never more than a stale set: :mod:`gateway.adapters.jwks` replaces it as soon as the source
answers. Losing it, or failing to write it, costs nothing but that.
"""

import asyncio
import json
import logging
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.core.keys import KeySet, key_set, loses_any, to_jwk
from gateway.ports import Clock

_log = logging.getLogger(__name__)

MAX_BYTES = 256 * 1024
"""A key takes half a KiB; a larger file is none of ours."""

_REWRITE = 4
"""The file is written anew when a quarter of the time for which it counts has passed, so that an outage finds it good
for the other three quarters at least."""


@dataclass(frozen=True, slots=True)
class KeptKeys:
    """What the file held.

    Attributes:
        keys: at least one.
        age_s: seconds since they were fetched from the source; never negative.
    """

    keys: KeySet
    age_s: float


class _RefusedError(Exception):
    """The file must not be used.

    Attributes:
        problem: what is wrong with it.
        fix: what to do.
    """

    def __init__(self, problem: str, fix: str) -> None:
        self.problem = problem
        self.fix = fix
        super().__init__(problem)


class KeyFile:
    """One instance's keys in one file.

    Args:
        path: the file; its folder exists.
        instance: the instance's publishable key, which is public.
        max_age_s: seconds after which the keys count no more (``keys.stale_s``).
        clock: Unix seconds.
        writes: the file is written; otherwise only read.
    """

    def __init__(
        self, path: Path, instance: str, max_age_s: float, clock: Clock = time.time, *, writes: bool = True
    ) -> None:
        self.path = path
        self._instance = instance
        self._max_age_s = max_age_s
        self._clock = clock
        self._written: KeySet = {}
        self._written_s = float("-inf")
        self._is_failing = False
        self._writes = writes

    def read(self) -> KeptKeys | None:
        """Return what the file holds, or None; why a file that is there is not used is logged."""
        try:
            found = self._accepted(_content(self.path))
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("keys.cache_file %s is not used: it cannot be read: %s", self.path, error.strerror or error)
            return None
        except _RefusedError as refused:
            _log.warning("keys.cache_file %s is not used: %s; %s", self.path, refused.problem, refused.fix)
            return None
        self._written, self._written_s = found.keys, self._clock() - found.age_s
        return found

    def _accepted(self, content: bytes) -> KeptKeys:
        replace = "delete it; it is written anew when the source answers"
        try:
            document = json.loads(content)
            instance, fetched_s, keys = document["instance"], _seconds(document["fetched_at_s"]), key_set(document)
        except (ValueError, RecursionError, TypeError, KeyError):
            raise _RefusedError("it is not what the gateway writes", replace) from None
        if instance != self._instance:
            raise _RefusedError("it holds the keys of another instance", "give each instance a file of its own")
        if not keys:
            raise _RefusedError("it is not what the gateway writes", replace)
        age_s = max(0.0, self._clock() - fetched_s)  # a file from the future is not newer than now
        if age_s > self._max_age_s:
            problem = f"its keys are {age_s:.0f} s old and count for {self._max_age_s:g} s (keys.stale_s)"
            raise _RefusedError(problem, "nothing to do: it is written anew when the source answers")
        return KeptKeys(keys, age_s)

    async def keep(self, keys: KeySet) -> None:
        """Write a set that the source gave just now, unless the file holds it and is young enough; never raises."""
        now_s = self._clock()
        is_same = not loses_any(self._written, keys) and not loses_any(keys, self._written)
        if not self._writes or (is_same and 0 <= now_s - self._written_s < self._max_age_s / _REWRITE):
            return
        document = {"instance": self._instance, "fetched_at_s": int(now_s), "keys": [*map(to_jwk, keys.values())]}
        try:
            await asyncio.to_thread(_write, self.path, json.dumps(document, indent=1).encode())
        except OSError as error:
            if not self._is_failing:
                _log.warning(
                    "keys.cache_file %s cannot be written: %s; let the gateway's user write in its folder. Until then "
                    "a restart while the source is down finds no keys",
                    self.path,
                    error.strerror or error,
                )
            self._is_failing = True
        else:
            self._written, self._written_s, self._is_failing = keys, now_s, False


def _seconds(value: object) -> float:
    """Return Unix seconds; what is no such number would be of any age.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError("it is no time")
    return float(value)


def _content(path: Path) -> bytes:
    """Return a file's bytes, after making sure that nobody but root and our own user can have written them.

    Raises:
        OSError: it cannot be read.
        _RefusedError: it must not be used.
    """
    # Judged is what was opened: no symbolic link, no pipe that waits, nothing put in its place in between.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        if path.is_symlink():
            raise _RefusedError("it is a symbolic link", "name the file itself") from None
        raise
    with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor, no path
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _RefusedError("it is not a file", "name a file")
        if found.st_uid not in {0, os.geteuid()}:
            raise _RefusedError("it belongs to another user", "delete it, and find out who put it there")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _RefusedError("others may write it", f"delete it, or chmod 600 {path} if nobody did")
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _RefusedError(f"it is larger than {MAX_BYTES} bytes", "delete it, or name another file")
    return content


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once and as a whole; whoever reads it meanwhile sees the old one."""
    # mkstemp: mode 0600, and a name that nobody else can have taken.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, no path
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
