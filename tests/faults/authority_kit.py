"""The real ``gateway authority`` on a file, and a client that is quick enough to keep it busy."""

import asyncio
import json
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.e2e.processes import Command, free_port


class Service:
    """A running authority.

    Attributes:
        port: where it listens.
        secret_key: of its Backend API.
        user_id: somebody of the seed.
        command: the process.
    """

    def __init__(self, db: Path, port: int, *options: str) -> None:
        self.port = port
        self.command = Command("authority", "--listen", f"127.0.0.1:{port}", "--db", str(db), "--json", *options)
        said = json.loads(self.command.wait_for(r"^\{.*\}$").group())
        self.secret_key: str = said["secret_key"]
        self.user_id: str = said["users"][0]["id"]

    @classmethod
    def start(cls, db: Path, *options: str) -> "Service":
        return cls(db, free_port(), *options)

    def processes(self) -> list[int]:
        """The command and its workers."""
        group, found = self.command.process.pid, []
        for pid in [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]:
            try:
                if os.getpgid(pid) == group:
                    found.append(pid)
            except ProcessLookupError:
                continue
        return found

    def limit_files(self, size: int) -> None:
        """Let no file grow beyond a size; what would is refused by the kernel, as a full disk does."""
        for pid in self.processes():
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


class Answer:
    """Status, headers in lower case, parsed body."""

    def __init__(self, status: int, headers: dict[str, str], body: Any) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def code(self) -> str:
        return str(self.body["errors"][0]["code"])


class Caller:
    """One connection to a service; it asks one thing after the other."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service, self._reader, self._writer = service, reader, writer

    async def ask(self, method: str, path: str, document: object = None) -> Answer:
        """Ask.

        Raises:
            OSError, asyncio.IncompleteReadError: the service died before the answer was whole.
        """
        body = b"" if document is None else json.dumps(document).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._service.port}\r\n"
            f"Authorization: Bearer {self._service.secret_key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        content = await self._reader.readexactly(int(headers["content-length"]))
        is_json = headers.get("content-type") == "application/json"
        return Answer(int(first.split(" ")[1]), headers, json.loads(content) if is_json else content.decode())

    async def create(self) -> Answer:
        return await self.ask("POST", "/v1/sessions", {"user_id": self._service.user_id})

    async def revoke(self, session_id: str) -> Answer:
        return await self.ask("POST", f"/v1/sessions/{session_id}/revoke")

    async def everything(self) -> dict[str, str]:
        """Every session that is listed, and its status."""
        found: dict[str, str] = {}
        while True:
            page = await self.ask("GET", f"/v1/sessions?paginated=true&limit=500&offset={len(found)}")
            assert page.status == 200
            found |= {session["id"]: session["status"] for session in page.body["data"]}
            if not page.body["data"]:
                assert page.body["total_count"] == len(found)
                return found


@asynccontextmanager
async def calling(service: Service) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        yield Caller(service, reader, writer)
    finally:
        writer.close()
