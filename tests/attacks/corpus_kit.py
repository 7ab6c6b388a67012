"""The gateway and nginx side by side before one upstream that keeps every byte, and what became of each row."""

import asyncio
import re
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.attacks.attack_kit import SECRET_KEY
from tests.attacks.corpus import MARK
from tests.core.minting import KEYS, PRODUCTION
from tests.e2e.processes import Command, free_port

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
PATIENCE_S = 1.5
_AT_ONCE = 48
_ROW = re.compile(rb"row(\d{4})x")
# What each of the two writes by its own rule; the rules themselves are tested elsewhere.
_OWN_REQUEST = frozenset(
    {
        *("connection", "content-length", "transfer-encoding", "x-request-id", "x-session-status"),
        *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"),
    }
)
_OWN_ANSWER = frozenset({"connection", "date", "server", "x-request-id", "transfer-encoding", "keep-alive"})


@dataclass(frozen=True)
class Arrived:
    """A request as the upstream got it."""

    line: str
    headers: tuple[str, ...]
    body: bytes


@dataclass
class Fate:
    """What became of a row: what came back, and what arrived behind the proxy."""

    answer: bytes = b""
    arrived: list[Arrived] = field(default_factory=list)

    @property
    def statuses(self) -> str:
        found = re.findall(rb"(?:^|(?<=[^\r\n])|(?<=\r\n\r\n))HTTP/1\.[01] (\d{3})[^\r\n]*\r\n", self.answer)
        return " ".join(status.decode() for status in found) or "closed"


class Recording:
    """An upstream in a thread: keeps requests by the mark of their row, and answers as the row says."""

    def __init__(self) -> None:
        self.arrived: dict[int, list[Arrived]] = defaultdict(list)
        self.unclaimed: list[bytes] = []
        self.answers: dict[int, bytes] = {}
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._is_up.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512))
        self.port = server.sockets[0].getsockname()[1]
        self._is_up.set()
        self._loop.run_forever()
        server.close()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")[:-2]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if "transfer-encoding" in fields:
            body = await _dechunked(reader)
        else:
            body = await reader.readexactly(int(fields.get("content-length", "0")))
        match = _ROW.search(head)
        number = int(match[1]) if match else -1
        if match is None:
            self.unclaimed.append(head + body)
        self.arrived[number].append(Arrived(lines[0], _comparable(lines[1:], _OWN_REQUEST), body))
        canned = self.answers.get(number)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup" if canned is None else canned)
        await writer.drain()
        return canned is None and fields.get("connection", "").lower() != "close"


async def _dechunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return body


def _comparable(lines: list[str], own: frozenset[str]) -> tuple[str, ...]:
    """Return header lines in one form: names in lower case, sorted by name, those of the same name in their order."""
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    kept = sorted((pair for pair in pairs if pair[0] not in own), key=lambda pair: pair[0])
    return tuple(f"{name}: {value}" for name, value in kept)


def answered(raw: bytes) -> tuple[tuple[str, ...], bytes, bool]:
    """Return headers, body and whether the body is whole, of the last answer that came."""
    while raw.startswith(b"HTTP/1.1 1"):
        raw = raw.partition(b"\r\n\r\n")[2]
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    is_whole = True
    if fields.get("transfer-encoding", "").lower() == "chunked":
        pieces, rest = b"", body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size or b"0", 16)
            if not length:
                break
            pieces, rest = pieces + rest[:length], rest[length + 2 :]
        is_whole, body = body.endswith(b"0\r\n\r\n"), pieces
    elif "content-length" in fields:
        is_whole = len(body) == int(fields["content-length"])
    return _comparable(lines, _OWN_ANSWER | {"content-length"}), body, is_whole


@dataclass
class Door:
    """One of the two under comparison."""

    port: int
    upstream: Recording

    def send(self, rows: list[bytes]) -> list[Fate]:
        """Send each row on a connection of its own, many at once, and return what became of each."""
        answers = asyncio.run(self._send(rows))
        return [Fate(answer, self.upstream.arrived.get(number, [])) for number, answer in enumerate(answers)]

    async def _send(self, rows: list[bytes]) -> list[bytes]:
        bound = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int, raw: bytes) -> bytes:
            async with bound:
                return await self._exchange(raw.replace(MARK, b"row%04dx" % number))

        return await asyncio.gather(*(one(number, raw) for number, raw in enumerate(rows)))

    async def _exchange(self, raw: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answer = b""
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(raw)
                while piece := await reader.read(65536):
                    answer += piece
        except (TimeoutError, ConnectionError):
            pass
        finally:
            writer.close()
        return answer


@contextmanager
def gateway_door(folder: Path) -> Iterator[Door]:
    """``gateway serve`` where everything is public."""
    upstream, port = Recording(), free_port()
    config = folder / "config.toml"
    config.write_text(
        f'[instance]\npublishable_key = "{KEYS[PRODUCTION].value}"\n'
        f'secret_key = "{SECRET_KEY}"\napi_url = "http://127.0.0.1:9"\n[server]\nlisten = "127.0.0.1:{port}"\n'
        f'[[routes]]\npath = "/"\naccess = "public"\nupstream = "http://127.0.0.1:{upstream.port}"\n'
    )
    with Command("serve", "--config", str(config)) as gateway:
        gateway.wait_for("listens on")
        yield Door(port, upstream)
    upstream.close()


_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_request_buffering off;
    }}
  }}
}}
"""


@contextmanager
def nginx_door(folder: Path) -> Iterator[Door]:
    """nginx that forwards everything, as its documentation shows it, with kept connections allowed."""
    upstream, port = Recording(), free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, upstream=upstream.port))
    command = [NGINX, "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until_accepting(port, process)
            yield Door(port, upstream)
        finally:
            process.terminate()
    upstream.close()


def _wait_until_accepting(port: int, process: subprocess.Popen[bytes]) -> None:
    async def connected() -> None:
        async with asyncio.timeout(10):
            while process.poll() is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return
        raise AssertionError("nginx did not start")

    asyncio.run(connected())
