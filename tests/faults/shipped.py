"""``gateway serve`` as a process before an upstream that fails as it is asked to, and what is open in both."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.attacks.attack_kit import SECRET_KEY
from tests.core.minting import KEYS, PRODUCTION
from tests.e2e.processes import Command, free_port
from tests.faults.upstream_faults import FAULTS, path_of, serve

IN_HAND = 256
"""Most requests that the gateway has in hand at once."""

WAITING = "/patient/waits"
_CONFIG = """
[instance]
publishable_key = "{key}"
secret_key = "{secret}"
api_url = "http://127.0.0.1:9"
[server]
listen = "127.0.0.1:{port}"
max_requests = {in_hand}
{server}
[log]
access = {has_log}
format = "json"
[[routes]]
path = "/"
access = "public"
upstream = "http://127.0.0.1:{upstream}"
keep_alive_s = {keep_alive_s}
"""
_HASTY = """
[[routes]]
path = "{path}"
access = "public"
upstream = "http://127.0.0.1:{upstream}"
first_byte_timeout_s = 0.2
idle_timeout_s = 0.2
"""


def workers_of(pid: int) -> list[int]:
    """Return the process and all of its descendants."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [below for child in path.read_text().split() for below in workers_of(int(child))]
    return found


def measured(pid: int) -> tuple[float, int]:
    """Return MiB of resident memory and the number of open files, over all processes."""
    pages = files = 0
    for process in workers_of(pid):
        with suppress(OSError):
            pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
            files += sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024, files


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what another process brings about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)


class Upstream:
    """Serves faults by path, and counts its connections.

    Attributes:
        open: connections that are open.
        waiting: requests for :data:`WAITING` that are held until :attr:`go` is set.
    """

    def __init__(self) -> None:
        self.open = self.waiting = 0
        self.go = asyncio.Event()
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            await serve(reader, writer, self._wait)
        finally:
            self.open -= 1

    async def _wait(self, path: bytes) -> None:
        if path == WAITING.encode():
            self.waiting += 1
            await self.go.wait()
            self.waiting -= 1


class Shipped:
    """The gateway between its clients and the upstream.

    Attributes:
        port: where it listens.
        upstream: behind it.
        command: the process.
        files: that are open while nobody asks; see :meth:`note_files`.
    """

    def __init__(self, port: int, upstream: Upstream, command: Command) -> None:
        self.port = port
        self.upstream = upstream
        self.command = command
        self.files = 0

    async def note_files(self) -> None:
        """Remember how many files are open once nobody asks any more."""
        await until(lambda: not self.upstream.open)
        self.files = self.measured()[1]
        while (now := await self._files_later()) < self.files:
            self.files = now

    async def _files_later(self) -> int:
        await asyncio.sleep(0.3)
        return self.measured()[1]

    def measured(self) -> tuple[float, int]:
        """Return MiB of memory and open files."""
        return measured(self.command.process.pid)

    async def settled(self) -> None:
        """Wait until nothing is open at the upstream, and no more files here than there were."""
        await until(lambda: not self.upstream.open and self.measured()[1] <= self.files)

    async def entries(self, path: str) -> list[dict[str, object]]:
        """Return what the access log says of the requests for a path."""
        last = f"/public/last-of{path}"
        await self.get(last)
        await asyncio.to_thread(self.command.wait_for, last)
        entries = [json.loads(line) for line in self.command.output.splitlines() if line.startswith("{")]
        return [entry for entry in entries if entry.get("path") == path]

    async def get(self, path: str) -> int:
        """Ask, and return the status."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n".encode())
        status = int((await reader.readuntil(b"\r\n")).split(b" ")[1])
        writer.close()
        return status

    async def can_fill_its_hands(self) -> bool:
        """Return whether as many requests as ever may be in hand at once, and no more: none of old ones is.

        A client that went away before the gateway saw it may be in hand for a moment yet, so whoever is turned away
        asks again.
        """
        self.upstream.go.clear()
        asked = [asyncio.create_task(self._get_once_free(WAITING)) for _ in range(IN_HAND)]
        with suppress(TimeoutError):
            await until(lambda: self.upstream.waiting == IN_HAND)
        is_full = self.upstream.waiting == IN_HAND and await self.get("/public/ok") == 503
        self.upstream.go.set()
        return is_full and set(await asyncio.gather(*asked)) == {200}

    async def _get_once_free(self, path: str) -> int:
        while (status := await self.get(path)) == 503:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.02)
        return status


@asynccontextmanager
async def shipped(
    folder: Path, *, server: str = "", routes: str = "", has_log: bool = False, keep_alive_s: float = 0.2
) -> AsyncIterator[Shipped]:
    """Start both.

    Args:
        folder: for the configuration.
        server: more keys of ``[server]``.
        routes: more tables for its end.
        has_log: each request is logged.
        keep_alive_s: how long connections to the upstream are kept.
    """
    upstream, port, config = Upstream(), free_port(), folder / "config.toml"
    await upstream.start()
    text = _CONFIG.format(
        key=KEYS[PRODUCTION].value,
        secret=SECRET_KEY,
        port=port,
        upstream=upstream.port,
        in_hand=IN_HAND,
        server=server,
        has_log=str(has_log).lower(),
        keep_alive_s=keep_alive_s,
    )
    hasty = "".join(
        _HASTY.format(path=path_of(name), upstream=upstream.port) for name, fault in FAULTS.items() if fault.is_slow
    )
    config.write_text(text + hasty + routes.replace("UPSTREAM", f"http://127.0.0.1:{upstream.port}"))
    config.chmod(0o600)
    with Command("serve", "--config", str(config)) as command:
        await asyncio.to_thread(command.wait_for, "listens on")
        yield Shipped(port, upstream, command)
    upstream.close()
