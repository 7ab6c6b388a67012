"""An outbox with a clock to turn, and a receiver on a real socket that behaves as badly as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.authority.store.database import Database
from gateway.authority.webhooks.endpoints import Endpoint
from gateway.authority.webhooks.events import EventType
from gateway.authority.webhooks.outbox import Outbox
from tests.faults.bad_server import Asked, BadServer, Behave, answer

NOW_S = 1_800_000_000


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = float(NOW_S)

    def __call__(self) -> float:
        return self.now_s

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)


@dataclass
class Post:
    """What a desk holds: an outbox with one endpoint."""

    database: Database
    outbox: Outbox
    clock: Clock
    endpoint: Endpoint

    def record(self, subject: str = "sess_1", body: str = '{"type":"session.created"}') -> str:
        message_id = self.outbox.record(
            EventType.SESSION_CREATED, subject, body, self.outbox.endpoints.all(), self.clock.now_ms
        )
        assert message_id is not None
        return message_id

    def claim(self, lease: str = "lease_1", limit: int = 8) -> list:
        return self.outbox.claim(self.endpoint.id, lease, self.clock.now_ms, limit)

    def deliveries(self) -> list[dict]:
        rows = self.database.rows(
            "SELECT id, state, attempts, due_at, outcome FROM webhook_deliveries"
            " JOIN webhook_messages ON seq = message_seq ORDER BY seq"
        )
        return [dict(row) for row in rows]

    def states(self) -> list[str]:
        return [row["state"] for row in self.deliveries()]


def post_at(url: str = "http://127.0.0.1:9/hook", path: str = ":memory:") -> Post:
    database = Database.open(path)
    outbox, clock = Outbox(database), Clock()
    endpoint = Endpoint.new(url, clock.now_ms)
    if not outbox.endpoints.add(endpoint):
        endpoint = outbox.endpoints.all()[0]
    return Post(database, outbox, clock, endpoint)


async def never_end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say yes, and then more than anybody wants to hear."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
        await writer.drain()


async def stall(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say yes, promise a body, and send none."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    await writer.drain()
    await _reader.read()


@dataclass
class Delivered:
    """A request that arrived."""

    headers: dict[str, str]
    body: str

    @property
    def id(self) -> str:
        return self.headers["svix-id"]


class Receiver(BadServer):
    """An endpoint's server; ``behaviour`` is what it does with a message, by default it takes it."""

    def __init__(self, behaviour: Behave) -> None:
        super().__init__(self._take)
        self.behaviour = behaviour
        self.taken: list[Delivered] = []
        self.arrived = asyncio.Event()

    @property
    def url(self) -> str:
        return f"{self.origin}/hook"

    async def _take(self, asked: Asked) -> Behave:
        self.taken.append(Delivered(asked.headers, asked.body.decode()))
        self.arrived.set()
        return self.behaviour


@asynccontextmanager
async def receiver(behaviour: Behave | None = None) -> AsyncIterator[Receiver]:
    made = Receiver(behaviour or answer())
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
