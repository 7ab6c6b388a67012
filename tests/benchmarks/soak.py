"""Mixed load with faults against ``gateway serve``, and whether memory and open files are flat at the end.

``python -m tests.benchmarks.soak`` takes ten minutes, ``--seconds 5`` is for a look. Two rounds in a row do the same;
the first one warms up caches and pools, and the second may not grow beyond it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from websockets.exceptions import WebSocketException

from tests.attacks.attack_kit import SECRET_KEY
from tests.benchmarks.soak_clients import EXPECTED, Clients, echo_server
from tests.benchmarks.world import APP, KEY, World
from tests.e2e.processes import Command, free_port
from tests.faults.shipped import measured
from tests.faults.upstream_faults import serve

SECONDS = 600.0
CLIENTS = 24
MEMORY_MIB, FILES = 24.0, 48
"""What the second half may add: caches that are still filling, connections that are kept for a while."""

_CONFIG = """
[instance]
publishable_key = "{key}"
secret_key = "{secret}"
jwt_key = '''{pem}'''
authorized_parties = ["{app}"]
api_url = "http://127.0.0.1:9"
[server]
listen = "127.0.0.1:{port}"
[[routes]]
path = "/"
upstream = "http://127.0.0.1:{upstream}"
[[routes]]
path = "/socket"
upstream = "http://127.0.0.1:{sockets}"
[[routes]]
path = "/public"
access = "public"
upstream = "http://127.0.0.1:{upstream}"
first_byte_timeout_s = 3.0
idle_timeout_s = 3.0
keep_alive_s = 1.0
"""


async def client(clients: Clients, until_s: float, seen: Counter[str]) -> None:
    """Ask and misbehave until the time is over."""
    while time.monotonic() < until_s:
        try:
            seen[await clients.act()] += 1
        except (OSError, EOFError, TimeoutError, WebSocketException) as error:
            seen[f"{type(error).__name__}: {error}"] += 1


async def half(clients: Clients, seconds: float, seen: Counter[str]) -> None:
    """Load for so long, and give what is kept the time to go."""
    until_s = time.monotonic() + seconds
    await asyncio.gather(*(client(clients, until_s, seen) for _ in range(CLIENTS)))
    await asyncio.sleep(2.5)


async def soak(seconds: float, folder: Path) -> bool:
    """Run both halves and print what came of it; return whether memory and files are flat."""
    port, config, seen = free_port(), folder / "config.toml", Counter[str]()
    world = World.new()
    clients = Clients(port, world, seed=1)
    async with echo_server() as sockets, await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512) as server:
        text = _CONFIG.format(
            key=KEY.value,
            secret=SECRET_KEY,
            pem=world.pem,
            app=APP,
            port=port,
            upstream=server.sockets[0].getsockname()[1],
            sockets=next(iter(sockets.sockets)).getsockname()[1],
        )
        config.write_text(text)
        config.chmod(0o600)
        with Command("serve", "--config", str(config)) as gateway:
            await asyncio.to_thread(gateway.wait_for, "listens on")
            rows = [("start", *measured(gateway.process.pid))]
            for name in ("first half", "second half"):
                await half(clients, seconds / 2, seen)
                rows.append((name, *measured(gateway.process.pid)))
    return judged(seen, rows)


def judged(seen: Counter[str], rows: list[tuple[str, float, int]]) -> bool:
    """Print what came of it, and return whether it is as it should be."""
    for what, times in sorted(seen.items()):
        print(f"{times:>8}  {what}{'' if what in EXPECTED else '  UNEXPECTED'}")
    for when, mib, files in rows:
        print(f"{when:<12} {mib:7.1f} MiB  {files:4} files")
    (_, first_mib, first_files), (_, last_mib, last_files) = rows[1:]
    is_flat = last_mib - first_mib < MEMORY_MIB and last_files - first_files < FILES
    print(f"{seen.total()} exchanges: memory and open files are {'flat' if is_flat else 'NOT flat'}")
    return is_flat and seen.keys() <= EXPECTED


def main() -> int:
    """Read the command line and soak."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of load, both halves together")
    with tempfile.TemporaryDirectory() as folder:
        return 0 if asyncio.run(soak(parser.parse_args().seconds, Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
