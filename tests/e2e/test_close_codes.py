"""Every code that a WebSocket can be closed with, through ``gateway serve``: what the other side sees of it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.processes import free_port
from tests.e2e.socket_site import socket_site
from tests.upstream.upstream_kit import Upstream, upstream
from tests.upstream.websocket_kit import CLOSE, TEXT, UPGRADE, accepted, closing, frame, read_frame

pytestmark = [pytest.mark.e2e]

End = tuple[int | None, str]
GONE = None
"""The connection ended, and no close frame came before."""

SENT = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4401, 4999)
"""Codes that either side may send (RFC 6455 section 7.4, and IANA's registry)."""

NEVER_SENT = (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535)
"""Reserved, unknown, or for programs to tell themselves what they did not hear."""


@dataclass
class Way:
    """A gateway and the address where it looks for its upstream."""

    port: int
    upstream_port: int
    token: str


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    port = free_port()
    folder: Path = tmp_path_factory.mktemp("codes")
    with socket_site(folder, f"http://127.0.0.1:{port}", "\n[websocket]\nmax_message_bytes = 1000\n") as site:
        yield Way(int(site.host.partition(":")[2]), port, site.token(lifetime_s=600))


class Side:
    """One end of an open WebSocket.

    Attributes:
        reader, writer: its connection.
        is_client: it masks what it says, and leaves it to the server to end the connection (RFC 6455 section 7.1.1).
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_client: bool) -> None:
        self.reader, self.writer, self.is_client = reader, writer, is_client

    async def end(self, *, answers: bool = False) -> End | None:
        """Wait for the end; return code and reason of the close frame, no code where it had none.

        Args:
            answers: it did not begin to close, so it answers as it has to.
        """
        found = GONE
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                opcode, data = await read_frame(self.reader)
                if opcode == CLOSE:
                    assert found is GONE, "there is one close frame"
                    found = (int.from_bytes(data[:2], "big") if data else None, data[2:].decode())
                    if answers:
                        self.writer.write(frame(CLOSE, data, masked=self.is_client))
                    if not self.is_client:
                        self.writer.close()
        return found


async def both(begins: Side, other: Side) -> tuple[End | None, End | None]:
    """Return how it ended for the one that began to close, and for the other."""
    first, second = await asyncio.gather(begins.end(), other.end(answers=True))
    return first, second


@asynccontextmanager
async def opened(way: Way) -> AsyncIterator[tuple[Side, Side]]:
    """A client and an upstream that have heard from each other."""
    there: asyncio.Future[Side] = asyncio.get_running_loop().create_future()
    is_over = asyncio.Event()

    async def talk(_: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there.set_result(Side(reader, writer, is_client=False))
        await is_over.wait()

    async with asyncio.timeout(10), upstream(accepted(talk), port=way.upstream_port):
        reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
        bearer = f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{way.port}\r\nAuthorization: Bearer {way.token}\r\n"
        writer.write(bearer.encode() + UPGRADE + b"\r\n" + frame(TEXT, b"hello", masked=True))
        try:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            server = await there
            assert await read_frame(server.reader) == (TEXT, b"hello")
            yield Side(reader, writer, is_client=True), server
        finally:
            writer.close()
            is_over.set()


@pytest.mark.parametrize("code", SENT)
async def test_what_the_upstream_closes_with_reaches_the_client_with_its_reason(way: Way, code: int) -> None:
    async with opened(way) as (client, server):
        server.writer.write(closing(code, "as you wish"))
        answer, told = await both(server, client)
        assert told == (code, "as you wish")
        assert answer is not GONE
        assert answer[0] == code


@pytest.mark.parametrize("code", SENT)
async def test_what_the_client_closes_with_reaches_the_upstream_with_its_reason(way: Way, code: int) -> None:
    async with opened(way) as (client, server):
        client.writer.write(closing(code, "as you wish", masked=True))
        answer, told = await both(client, server)
        assert told == (code, "as you wish")
        assert answer is not GONE
        assert answer[0] == code


@pytest.mark.parametrize("code", NEVER_SENT)
async def test_a_code_that_the_upstream_may_not_send_is_its_fault(way: Way, code: int) -> None:
    async with opened(way) as (client, server):
        server.writer.write(closing(code))
        answer, told = await both(server, client)
        assert told == (1011, "upstream failed")
        assert answer is not GONE
        assert answer[0] == 1002


@pytest.mark.parametrize("code", NEVER_SENT)
async def test_a_code_that_the_client_may_not_send_is_the_clients_fault(way: Way, code: int) -> None:
    async with opened(way) as (client, server):
        client.writer.write(closing(code, masked=True))
        answer, told = await both(client, server)
        assert answer is not GONE
        assert answer[0] == 1002
        assert told == (None, "")


async def test_who_closes_without_a_code_closes_the_other_without_one(way: Way) -> None:
    async with opened(way) as (client, server):
        client.writer.write(frame(CLOSE, masked=True))
        answer, told = await both(client, server)
        assert (answer, told) == ((None, ""), (None, ""))
    async with opened(way) as (client, server):
        server.writer.write(frame(CLOSE))
        answer, told = await both(server, client)
        assert (answer, told) == ((None, ""), (None, ""))


async def test_an_upstream_that_goes_away_is_told_as_its_failure(way: Way) -> None:
    async with opened(way) as (client, server):
        server.writer.transport.abort()
        assert await client.end(answers=True) == (1011, "upstream lost")


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80"])
async def test_a_reason_that_is_no_text_is_the_fault_of_who_sent_it(way: Way, text: bytes) -> None:
    data = (1000).to_bytes(2, "big") + text
    async with opened(way) as (client, server):
        server.writer.write(frame(CLOSE, data))
        answer, told = await both(server, client)
        assert told == (1011, "upstream failed")
        assert answer is not GONE
        assert answer[0] == 1007
    async with opened(way) as (client, server):
        client.writer.write(frame(CLOSE, data, masked=True))
        answer, told = await both(client, server)
        assert answer is not GONE
        assert (answer[0], told) == (1007, (None, ""))


async def test_of_a_client_that_goes_away_the_upstream_is_told_without_a_code_or_with_1001(way: Way) -> None:
    async with opened(way) as (client, server):
        client.writer.transport.abort()
        told = await server.end(answers=True)
        assert told is not GONE
        assert told[0] in {None, 1001}


@pytest.mark.parametrize("is_client", [True, False])
async def test_a_message_that_is_too_large_is_told_to_both(way: Way, is_client: bool) -> None:
    async with opened(way) as (client, server):
        (client if is_client else server).writer.write(frame(TEXT, b"x" * 1001, masked=is_client))
        to_client, to_upstream = await asyncio.gather(client.end(answers=True), server.end(answers=True))
        assert to_client is not GONE
        assert to_upstream is not GONE
        assert (to_client[0], to_upstream[0]) == (1009, 1001 if is_client else 1009)


async def test_a_gateway_that_stops_tells_both(tmp_path: Path) -> None:
    port = free_port()
    with socket_site(tmp_path, f"http://127.0.0.1:{port}", drain_s=1) as site:
        way = Way(int(site.host.partition(":")[2]), port, site.token())
        async with opened(way) as (client, server):
            site.gateway.signal(signal.SIGTERM)
            to_client, to_upstream = await asyncio.gather(client.end(answers=True), server.end(answers=True))
            assert to_client is not GONE
            assert to_upstream is not GONE
            assert (to_client[0], to_upstream[0]) == (1001, 1001)
        assert await asyncio.to_thread(site.gateway.wait) == 0
