"""A server on a real socket that answers as badly as a test wants."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Behave = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Asked:
    """A request that arrived; the names of its headers are in small letters."""

    target: str
    headers: dict[str, str]
    body: bytes


class BadServer:
    """Reads requests, and does with each what ``chosen`` says.

    Attributes:
        origin: once it was started, where it is.
        connections: how many were made.
    """

    def __init__(self, chosen: Callable[[Asked], Awaitable[Behave]]) -> None:
        self.origin = ""
        self.connections = 0
        self._chosen = chosen
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.origin = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Be dead: the port is closed, and so is every connection."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while not writer.is_closing():
                behave = await self._chosen(await _request(reader))
                await behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the last when the test ends; Python 3.11 makes a fault of a handler that was cancelled
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Asked:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:-2])}
    return Asked(lines[0].split(" ")[1], headers, await reader.readexactly(int(headers.get("content-length", 0))))


def answer(status: str = "200 OK", *headers: str, body: bytes = b"") -> Behave:
    """Answer once, and keep the connection."""

    async def behave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return behave


async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close without a word."""
    writer.close()


async def be_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await reader.read()


async def speak_otherwise(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be no web server."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()
    writer.close()
