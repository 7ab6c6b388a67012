"""What a request costs on its way through the gateway, beside nginx without any check and HAProxy that verifies tokens.

    python -m tests.benchmarks.proxy            about five minutes
    python -m tests.benchmarks.proxy --quick    some seconds, to see that it works; its figures say nothing
    python -m tests.benchmarks.proxy --compiled tests/compiled/.venv    the compiled gateway in the same table

Needs nginx, haproxy and wrk. All proxies stand before the same upstream (nginx) and are loaded in turn; where there
are two processors, load and upstream share the first one and the proxy has the last one. Two figures tell: how many
requests one core answers, and how much of its processor's time each of them took, which other work on the machine
disturbs less. Compare ratios of one run, never figures of two.
"""

import argparse
import asyncio
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.proxy_peers import NGINX_PLAIN, UPSTREAM, WRK, gateway_toml, haproxy_conf
from tests.benchmarks.world import World, cookie_header
from tests.e2e.processes import free_port

TOOLS = ("nginx", "haproxy", "wrk")
LOAD, PROXY = "0", str((os.cpu_count() or 1) - 1)
_TICKS = os.sysconf("SC_CLK_TCK")
_BIG_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked of each proxy.

    Attributes:
        name: for the table.
        credentials: one header line for each session.
        connections: open at once.
        path: that is asked for.
        upload: bytes that are sent.
    """

    name: str
    credentials: Sequence[str]
    connections: int = 64
    path: str = "/"
    upload: int = 0


@dataclass(slots=True)
class Row:
    """What one proxy did: per round requests per second, microseconds of processor time, errors."""

    rates: list[float] = field(default_factory=list)
    costs_us: list[float] = field(default_factory=list)
    errors: int = 0


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def cpu_s(pid: int) -> float:
    """Return the seconds of processor time of a process and what it started."""
    stats = (Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in _family(pid))
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / _TICKS


@contextmanager
def running(processor: str, command: Sequence[str], port: int) -> Iterator[int]:
    """Run a server on one processor until the end; the value is its process id."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(["taskset", "-c", processor, *command], stdout=said, stderr=said)
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            else:
                said.seek(0)
                raise RuntimeError(f"{command[0]} did not start: {said.read().decode()}")
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def load(work: Work, port: int, folder: Path, seconds: float) -> tuple[float, int, int]:
    """Load one proxy; return requests per second, requests and errors."""
    lines, script = folder / "credentials.txt", folder / "load.lua"
    lines.write_text("\n".join(work.credentials))
    script.write_text(WRK)
    environment = dict(os.environ, LINES=str(lines), TARGET=work.path, UPLOAD=str(work.upload))
    command = ["taskset", "-c", LOAD, "wrk", "-t1", f"-c{work.connections}", f"-d{seconds:g}s", "--timeout", "20s"]
    command += ["-s", str(script), f"http://127.0.0.1:{port}"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+)", printed)
    if found is None:
        raise RuntimeError(f"wrk said: {printed}")
    requests, microseconds, errors = map(int, found.groups())
    return requests / microseconds * 1e6, requests, errors


def offer_compiled(options: argparse.ArgumentParser) -> None:
    """Add the option that has the compiled gateway measured, too; see :func:`gateways`."""
    options.add_argument("--compiled", metavar="PATH", help="an environment with the compiled wheel, measured too")


def gateways(compiled: str | None) -> dict[str, Sequence[str]]:
    """Return the commands to measure, by their names in a table: from the sources, and compiled if asked for."""
    found: dict[str, Sequence[str]] = {"gateway": [sys.executable, "-m", "gateway"]}
    return found | {"gateway (compiled)": [f"{compiled}/bin/gateway"]} if compiled else found


Commands = dict[str, tuple[Sequence[str], int]]
"""By the name of a proxy: how it is started, and its port."""


def measure(work: Work, commands: Commands, folder: Path, options: argparse.Namespace) -> None:
    """Load each proxy in turn, as many rounds as asked for, and print their table."""
    rows = {name: Row() for name in commands}
    for _ in range(options.rounds):
        for name, (command, port) in commands.items():
            with running(PROXY, command, port) as pid:
                if not options.quick:
                    load(work, port, folder, 1)
                before_s = cpu_s(pid)
                rate, requests, errors = load(work, port, folder, options.seconds)
                row = rows[name]
                row.rates.append(rate)
                row.costs_us.append((cpu_s(pid) - before_s) / max(requests, 1) * 1e6)
                row.errors += errors
    floor, floor_us = statistics.median(rows["nginx-plain"].rates) or 1, statistics.median(rows["nginx-plain"].costs_us)
    print(f"\n{work.name}\n{'':19}{'per second':>12}{'/ nginx':>10}{'µs of CPU':>12}{'nginx /':>10}{'errors':>8}")
    for name, row in rows.items():
        rate, cost_us = statistics.median(row.rates), statistics.median(row.costs_us) or 1
        print(f"{name:19}{rate:12.1f}{rate / floor:10.2f}{cost_us:12.1f}{floor_us / cost_us:10.2f}{row.errors:8}")


def works(world: World, *, quick: bool) -> list[Work]:
    """Return what is asked, in the order of the table."""
    count = 20 if quick else 5000
    tokens = [world.token(number) for number in range(count)]
    bearer = [f"Authorization: Bearer {token}" for token in tokens]
    cookies = [f"Cookie: {cookie_header(token).decode()}" for token in tokens]
    megabytes = 1 if quick else 64
    one = Work("a Bearer token of 1 session, 64 connections", bearer[:1])
    up = Work(f"{megabytes} MiB up, 4 connections", bearer[:1], 4, "/upload", megabytes * 1024 * 1024)
    if quick:
        return [one, up]
    return [
        one,
        Work(f"Bearer tokens of {count} sessions, 64 connections", bearer),
        Work(f"browsers' cookies of {count} sessions, 64 connections", cookies),
        Work("a Bearer token, 1,000 connections", bearer[:1], connections=1000),
        Work("64 MiB down, 4 connections", bearer[:1], connections=4, path="/big.bin"),
        up,
    ]


class _Sink(asyncio.Protocol):
    """An upstream that takes a body, however long, and answers when it is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._head, self._left = transport, b"", -1

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head, end, data = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                return
            found = re.search(rb"(?i)content-length: (\d+)", self._head)
            self._left, self._head = int(found[1]) if found else 0, b""
        self._left -= len(data)
        if self._left <= 0:
            self._left = -1
            assert isinstance(self._transport, asyncio.Transport)
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def _serve_sink(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", port)
    await server.serve_forever()


def run(options: argparse.Namespace) -> None:
    """Start the upstreams and measure all works."""
    world = World.new()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "public.pem").write_text(world.pem)
        (folder / "big.bin").write_bytes(os.urandom(1024 * 1024) * (_BIG_BYTES // 1024 // 1024))
        up, sink, plain, haproxy, gateway = (free_port() for _ in range(5))
        ports = {"FOLDER": name, "UP": up, "SINK": sink, "PLAIN": plain, "HAPROXY": haproxy}
        (folder / "upstream.conf").write_text(filled(UPSTREAM, ports))
        (folder / "plain.conf").write_text(filled(NGINX_PLAIN, ports))
        (folder / "haproxy.conf").write_text(filled(haproxy_conf(), ports))
        (folder / "gateway.toml").write_text(gateway_toml(world.pem, gateway, up, sink))
        commands: Commands = {
            "nginx-plain": (["nginx", "-c", f"{name}/plain.conf", "-p", name], plain),
            "haproxy-jwt": (["haproxy", "-db", "-f", f"{name}/haproxy.conf"], haproxy),
        }
        for kind, command in gateways(options.compiled).items():
            commands[kind] = ([*command, "serve", "--config", f"{name}/gateway.toml"], gateway)
        own = [sys.executable, "-m", "tests.benchmarks.proxy", "--sink", str(sink)]
        with running(LOAD, ["nginx", "-c", f"{name}/upstream.conf", "-p", name], up), running(LOAD, own, sink):
            for work in works(world, quick=options.quick):
                measure(work, commands, folder, options)


def filled(text: str, values: dict[str, object]) -> str:
    """Return a configuration with its places filled."""
    for name, value in values.items():
        text = text.replace(f"%{name}%", str(value))
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    offer_compiled(parser)
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sink:
        asyncio.run(_serve_sink(options.sink))
        return
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    if options.quick:
        options.rounds = options.seconds = 1
    run(options)


if __name__ == "__main__":
    main()
