"""Mixed load with faults against ``gateway serve``, and whether memory and open files are flat at the end.

``python -m tests.benchmarks.soak`` takes ten minutes, ``--seconds 5`` is for a look. Two rounds in a row do the same;
the first one warms up caches and pools, and the second may not grow beyond it.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.attacks.attack_kit import SECRET_KEY
from tests.core.minting import KEYS, PRODUCTION
from tests.e2e.processes import Command, free_port
from tests.faults.shipped import measured
from tests.faults.upstream_faults import FAULTS, LEAVINGS, ask, leave, path_of, serve

SECONDS = 600.0
CLIENTS = 24
MEMORY_MIB, FILES = 24.0, 48
"""What the second half may add: caches that are still filling, connections that are kept for a while."""

_CONFIG = """
[instance]
publishable_key = "{key}"
secret_key = "{secret}"
api_url = "http://127.0.0.1:9"
[server]
listen = "127.0.0.1:{port}"
[[routes]]
path = "/"
access = "public"
upstream = "http://127.0.0.1:{upstream}"
first_byte_timeout_s = 1.0
idle_timeout_s = 1.0
keep_alive_s = 1.0
"""


async def client(port: int, until_s: float, seen: Counter[str], seed: int) -> None:
    """Ask and misbehave until the time is over."""
    choose = random.Random(seed)  # the same load each time
    quick = [name for name, fault in FAULTS.items() if not fault.is_slow]
    slow = [name for name, fault in FAULTS.items() if fault.is_slow]
    while time.monotonic() < until_s:
        kind = choose.random()
        with suppress(OSError, TimeoutError):
            if kind < 0.5:
                name = "ok"
            elif kind < 0.85:
                name = choose.choice(quick)
            elif kind < 0.87:
                name = choose.choice(slow)
            else:
                name = choose.choice(sorted(LEAVINGS))
                seen[f"client leaves {name}"] += 1
                await leave(port, name)
                continue
            answer = await ask(port, path_of(name))
            seen[f"upstream {name}: {answer[9:12].decode() or 'closed'}"] += 1


async def half(port: int, seconds: float, seen: Counter[str]) -> None:
    """Load for so long, and give what is kept the time to go."""
    until_s = time.monotonic() + seconds
    await asyncio.gather(*(client(port, until_s, seen, seed) for seed in range(CLIENTS)))
    await asyncio.sleep(2.5)


async def soak(seconds: float, folder: Path) -> bool:
    """Run both halves and print what came of it; return whether memory and files are flat."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    port, config, seen = free_port(), folder / "config.toml", Counter[str]()
    upstream = server.sockets[0].getsockname()[1]
    text = _CONFIG.format(key=KEYS[PRODUCTION].value, secret=SECRET_KEY, port=port, upstream=upstream)
    config.write_text(text)
    config.chmod(0o600)
    with Command("serve", "--config", str(config)) as gateway:
        await asyncio.to_thread(gateway.wait_for, "listens on")
        rows = [("start", *measured(gateway.process.pid))]
        for name in ("first half", "second half"):
            await half(port, seconds / 2, seen)
            rows.append((name, *measured(gateway.process.pid)))
        is_served = b"200 OK" in await ask(port, path_of("ok"))
    server.close()
    for row in sorted(seen.items()):
        print(f"{row[1]:>8}  {row[0]}")
    for when, mib, files in rows:
        print(f"{when:<12} {mib:7.1f} MiB  {files:4} files")
    (_, first_mib, first_files), (_, last_mib, last_files) = rows[1:]
    is_flat = is_served and last_mib - first_mib < MEMORY_MIB and last_files - first_files < FILES
    print(f"{sum(seen.values())} exchanges: memory and open files are {'flat' if is_flat else 'NOT flat'}")
    return is_flat


def main() -> int:
    """Read the command line and soak."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of load, both halves together")
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(soak(parser.parse_args().seconds, Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
