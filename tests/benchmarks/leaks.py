"""Ten thousand of each fault through ``gateway serve``, one kind after the other, and what is left open behind it.

``python -m tests.benchmarks.leaks`` prints a row for each: what came of the requests, open files and resident memory
before and after. It fails where a status is not the stated one, where a connection is left at either side, where fewer
requests can be in hand than before, or where memory grows. ``--times 100`` is for a look.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from tests.faults.shipped import Shipped, shipped
from tests.faults.upstream_faults import FAULTS, LEAVINGS, ask, leave, path_of

TIMES = 10_000
AT_ONCE = 32
SLOW_AT_ONCE = 128
WARM = 4
"""What part of them comes before anything is measured, or so many times what comes at once: caches fill meanwhile."""

MEMORY_MIB = 8.0
"""What one kind may add; a leak of one kibibyte for each fault would be more."""

_LARGE = frozenset({"sends much"})  # no fault, and forty gigabytes

One = Callable[[int], Awaitable[str]]


def asking(name: str) -> One:
    """Return what meets an upstream's fault once, and says which status came of it."""

    async def one(port: int) -> str:
        return (await ask(port, path_of(name)))[9:12].decode() or "closed"

    return one


def leaving(name: str) -> One:
    """Return what goes away once."""

    async def one(port: int) -> str:
        await leave(port, name)
        return "left"

    return one


KINDS: dict[str, tuple[One, str, int]] = {
    **{
        f"upstream {name}": (asking(name), str(fault.status), SLOW_AT_ONCE if fault.is_slow else AT_ONCE)
        for name, fault in FAULTS.items()
        if name not in _LARGE
    },
    **{f"client leaves {name}": (leaving(name), "left", AT_ONCE) for name in LEAVINGS},
}
"""By name: what does it, what has to come of it, and how many at once."""


async def many(port: int, one: One, times: int, at_once: int) -> Counter[str]:
    """Do it so often, so many at once, and count what came of it."""
    seen, left = Counter[str](), iter(range(times))

    async def client() -> None:
        for _ in left:
            try:
                seen[await one(port)] += 1
            except (OSError, TimeoutError) as error:
                seen[type(error).__name__] += 1

    await asyncio.gather(*(client() for _ in range(min(at_once, times))))
    return seen


async def row(gateway: Shipped, name: str, times: int) -> bool:
    """Do one kind of fault, print what is left, and return whether it is nothing."""
    one, expected, at_once = KINDS[name]
    started_s = time.monotonic()
    await many(gateway.port, one, max(times // WARM, at_once * WARM), at_once)
    await gateway.settled()
    before_mib, _ = gateway.measured()
    seen = await many(gateway.port, one, times, at_once)
    with suppress(TimeoutError):
        await gateway.settled()
    after_mib, files_after = gateway.measured()
    is_free = await gateway.can_fill_its_hands()
    await gateway.settled()
    wrong = [
        *(f"not {expected}" for _ in seen.keys() - {expected}),
        *(["files"] if files_after > gateway.files else []),
        *(["connections at the upstream"] if gateway.upstream.open else []),
        *(["requests in hand"] if not is_free else []),
        *(["memory"] if after_mib - before_mib > MEMORY_MIB else []),
    ]
    what = ", ".join(f"{count} {status}" for status, count in seen.most_common())
    print(
        f"{name:<45} {what:<14} files {gateway.files} -> {files_after}  MiB {before_mib:.1f} -> {after_mib:.1f}"
        f"  {time.monotonic() - started_s:5.1f} s  {', '.join(wrong) or 'nothing left'}",
        flush=True,
    )
    return not wrong


async def leaks(times: int, names: list[str], folder: Path) -> bool:
    """Do all kinds of faults and return whether nothing is left of any."""
    async with shipped(folder) as gateway:
        await many(gateway.port, asking("ok"), AT_ONCE * 4, AT_ONCE)
        await gateway.note_files()
        return all([await row(gateway, name, times) for name in names])


def main() -> int:
    """Read the command line and go."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=TIMES, help="how many of each")
    parser.add_argument("--only", default="", help="those whose name holds this")
    arguments = parser.parse_args()
    names = [name for name in KINDS if arguments.only in name]
    with tempfile.TemporaryDirectory() as folder:
        is_clean = asyncio.run(leaks(arguments.times, names, Path(folder)))
    print(f"{len(names)} kinds, {arguments.times} of each: {'nothing is left of any' if is_clean else 'NOT clean'}")
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
