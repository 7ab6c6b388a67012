"""Recorded answers of the Sessions API, and a real server that answers with exactly the bytes a test wants."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from gateway.sessions import Backoff, SessionsClient

KEY = "sk_test_donotprintmedonotprintme"
SESSION_ID = "sess_2GbDB4enNdCa5vS1zpC3Xzg9tK9"
USER_ID = "user_2GbDB4enNdCa5vS1zpC3Xzg9tK8"

SESSION = {
    "object": "session",
    "id": SESSION_ID,
    "client_id": "client_2GbDB4enNdCa5vS1zpC3Xzg9tK7",
    "user_id": USER_ID,
    "actor": None,
    "status": "active",
    "last_active_organization_id": "org_2GbDB4enNdCa5vS1zpC3Xzg9tK6",
    "last_active_at": 1716883200000,
    "latest_activity": {
        "object": "session_activity",
        "id": "sess_activity_2GbDB4enNdCa5vS1zpC3Xzg9tK5",
        "device_type": "Macintosh",
        "is_mobile": False,
        "browser_name": "Chrome",
        "browser_version": "125.0.0.0",
        "ip_address": "192.0.2.7",
        "city": "San Francisco",
        "country": "US",
    },
    "expire_at": 1717488000000,
    "abandon_at": 1719475200000,
    "created_at": 1716883200000,
    "updated_at": 1716883200000,
    "tasks": None,
}

Handler = Callable[[httpx.Request], httpx.Response]
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def session(**changes: object) -> dict[str, object]:
    """The recorded session with other fields; ``...`` leaves a field out."""
    return {name: value for name, value in {**SESSION, **changes}.items() if value is not ...}


def error_body(code: str, message: str = "no", trace_id: str = "trace_1", **meta: object) -> dict[str, object]:
    item: dict[str, object] = {"message": message, "long_message": f"Long: {message}", "code": code}
    if meta:
        item["meta"] = meta
    return {"errors": [item], "clerk_trace_id": trace_id}


class Tape(httpx.AsyncBaseTransport):
    """Answers from a list, in order, and keeps the requests. An exception in the list is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.is_closed = True

    @property
    def request(self) -> httpx.Request:
        (only,) = self.requests
        return only

    @property
    def sent(self) -> object:
        return json.loads(self.request.content)


class Naps:
    """A backoff that keeps the waits instead of waiting."""

    def __init__(self, **settings: float) -> None:
        self.waits_s: list[float] = []
        self.backoff = Backoff(sleep=self._sleep, now=lambda: 1_800_000_000.0, chance=lambda: 1.0, **settings)

    async def _sleep(self, seconds: float) -> None:
        self.waits_s.append(seconds)


def client_of(tape: Tape, **settings: object) -> SessionsClient:
    return SessionsClient(KEY, transport=tape, **{"backoff": Naps().backoff, **settings})


def json_answer(body: object, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): text for name, text in headers.items()})


@asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Run a script for every connection on a free port; gives the API URL."""
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()


def raw(answer: bytes) -> Script:
    """Read a request's head, send these bytes, close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return script


def http_bytes(body: bytes, content_type: str = "application/json", status: str = "200 OK", length: int = -1) -> bytes:
    size = len(body) if length < 0 else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body
