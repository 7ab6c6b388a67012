"""What a request costs while few and while thousands of other clients keep a connection that they do not use.

    python -m tests.benchmarks.idle [--clients 5000] [--rounds 3] [--seconds 3]        needs nginx, wrk and two cores

Each of the idle clients has been served one request. In every round the same gateway is loaded without them, with them,
and without them once more, so that whatever else changes on the machine meets both.
"""

import argparse
import resource
import shutil
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.proxy import LOAD, PROXY, Work, cpu_s, filled, load, running
from tests.benchmarks.proxy_peers import UPSTREAM, gateway_toml
from tests.benchmarks.world import World
from tests.e2e.processes import free_port
from tests.faults.shipped import measured

TOOLS = ("nginx", "wrk")
_ONE = b"GET /public HTTP/1.1\r\nHost: app.bench.test\r\n\r\n"


@contextmanager
def idle(port: int, count: int) -> Iterator[None]:
    """Keep connections open that have been used once."""
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(_ONE)
            if not client.recv(65536).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("an idle client was refused")
        yield


def cost_us(pid: int, port: int, work: Work, folder: Path, seconds: float) -> float:
    """Return the microseconds of processor time of a request."""
    before_s = cpu_s(pid)
    _, requests, errors = load(work, port, folder, seconds)
    if errors:
        raise RuntimeError(f"{errors} requests failed")
    return (cpu_s(pid) - before_s) / requests * 1e6


def measure(folder: Path, clients: int, rounds: int, seconds: float) -> None:
    """Print a row for each round, and what it comes to."""
    world, up, port = World.new(), free_port(), free_port()
    (folder / "upstream.conf").write_text(filled(UPSTREAM, {"FOLDER": str(folder), "UP": up}))
    (folder / "gateway.toml").write_text(gateway_toml(world.pem, port, up, up))
    work = Work("one session", [f"Authorization: Bearer {world.token(1)}"])
    gateway = [sys.executable, "-m", "gateway", "serve", "--config", f"{folder}/gateway.toml"]
    growth, sizes = [], []
    print(f"{'µs alone':>10}{f'{clients} idle':>12}{'alone again':>13}{'more':>8}{'KiB each':>10}")
    with running(LOAD, ["nginx", "-c", f"{folder}/upstream.conf", "-p", str(folder)], up):
        for _ in range(rounds):
            with running(PROXY, gateway, port) as pid:
                load(work, port, folder, 1)
                alone = cost_us(pid, port, work, folder, seconds)
                mib = measured(pid)[0]
                with idle(port, clients):
                    sizes.append((measured(pid)[0] - mib) * 1024 / clients)
                    crowded = cost_us(pid, port, work, folder, seconds)
                again = cost_us(pid, port, work, folder, seconds)
            growth.append(crowded / ((alone + again) / 2) - 1)
            print(f"{alone:10.1f}{crowded:12.1f}{again:13.1f}{growth[-1]:8.1%}{sizes[-1]:10.1f}", flush=True)
    print(
        f"median: a request costs {statistics.median(growth):+.1%}, an idle client {statistics.median(sizes):.1f} KiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        measure(folder, options.clients, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
