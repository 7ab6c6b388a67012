"""httpx's transport over the gateway's own connections: ``httpx.AsyncClient(transport=UpstreamTransport())``.

Kept connections, time-outs and the judgement of answers are those of the proxy. Only HTTP/1.1, no proxies.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import httpx
from starlette.types import Message, Receive

from gateway.core.reasons import Reason
from gateway.errors import UpstreamError
from gateway.upstream.connection import Connection, ConnectionLostError
from gateway.upstream.forward import REPEATABLE, Companion, Outgoing
from gateway.upstream.incoming import Incoming
from gateway.upstream.origin import Limits, Origin
from gateway.upstream.pool import Pool

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_ERRORS: Mapping[str, type[httpx.TransportError]] = {
    Reason.UPSTREAM_CONNECT_TIMEOUT: httpx.ConnectTimeout,
    Reason.UPSTREAM_UNREACHABLE: httpx.ConnectError,
    Reason.UPSTREAM_TLS: httpx.ConnectError,
    Reason.UPSTREAM_OVERLOADED: httpx.PoolTimeout,
    Reason.UPSTREAM_TIMEOUT: httpx.ReadTimeout,
    Reason.REQUEST_FRAMING_INVALID: httpx.LocalProtocolError,
}


class UpstreamTransport(httpx.AsyncBaseTransport):
    """Carries the requests of one event loop, to a few services: each keeps its own connections.

    The client's own time-outs hold too, whichever ends first.

    Args:
        limits: how long and how many, for each origin.
        tls: for https; by default the system's trust.
    """

    def __init__(self, limits: Limits | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._limits = limits or Limits()
        self._tls = tls
        self._pools: dict[str, Pool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; returns when status and headers are there.

        Raises:
            httpx.TransportError: when there is no answer.
        """
        pool = self._pool(request.url)
        outgoing = _outgoing(request)
        times: Mapping[str, float | None] = request.extensions.get("timeout", {})
        with _told(request):
            for fresh in (False, True):
                async with _within(times.get("connect"), httpx.ConnectTimeout):
                    connection = await pool.acquire(fresh=fresh)
                is_kept = connection.exchanges > 0
                exchange = _Exchange(pool, connection, request, outgoing, times.get("read"))
                try:
                    answer = await exchange.begin()
                except ConnectionLostError as lost:
                    may_repeat = outgoing.length == 0 and outgoing.method in REPEATABLE
                    if not (may_repeat and is_kept and lost.is_untouched):
                        raise
                else:
                    extensions = {"http_version": b"HTTP/1.1"}
                    return httpx.Response(answer.status, headers=answer.headers, stream=exchange, extensions=extensions)
        raise AssertionError("the second time is the last")

    def _pool(self, url: httpx.URL) -> Pool:
        text = f"{url.scheme}://{url.netloc.decode('ascii')}"
        if text not in self._pools:
            try:
                origin = Origin.parse(text)
            except ValueError as error:
                raise httpx.UnsupportedProtocol(str(error)) from None
            self._pools[text] = Pool(origin, self._limits, self._tls if origin.is_tls else None)
        return self._pools[text]

    async def aclose(self) -> None:
        """Close the connections that are idle, and the others when their answers are read."""
        for pool in self._pools.values():
            await pool.close()


class _Exchange(httpx.AsyncByteStream):
    """One request and its answer, whose body is read by whoever holds the response."""

    def __init__(
        self, pool: Pool, connection: Connection, request: httpx.Request, outgoing: Outgoing, read_s: float | None
    ) -> None:
        self._pool = pool
        self._connection: Connection | None = connection
        self._request = request
        self._outgoing = outgoing
        self._read_s = read_s
        self._companion = Companion(connection, outgoing.length, _receive_of(request), pool.limits.idle_s)

    async def begin(self) -> Incoming:
        connection = self._open()
        try:
            connection.begin(self._outgoing.head(), is_head=self._outgoing.method == "HEAD")
            if self._outgoing.length == 0:
                connection.is_request_sent = True
            else:
                self._companion.watch()
            async with _within(self._read_s, httpx.ReadTimeout):
                return await connection.wait_head()
        except BaseException:
            await self.aclose()
            raise

    def _open(self) -> Connection:
        if self._connection is None:
            raise httpx.StreamClosed
        return self._connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _told(self._request):
            while True:
                connection = self._open()
                async with _within(self._read_s, httpx.ReadTimeout):
                    data = await connection.read()
                if data:
                    yield data
                if connection.is_drained:
                    return

    async def aclose(self) -> None:
        """Give the connection back; what was not read costs it."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            if (pumping := self._companion.stop()) is not None:
                await asyncio.gather(pumping, return_exceptions=True)  # it reads from a stream that httpx closes next
            self._pool.release(connection)


def _outgoing(request: httpx.Request) -> Outgoing:
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    framing = {name: value for name, value in headers if name in _FRAMING}
    length = None if b"transfer-encoding" in framing else int(framing.get(b"content-length", b"0"))
    kept = [header for header in headers if header[0] not in _FRAMING]
    return Outgoing(request.method, request.url.raw_path, kept, length)


def _receive_of(request: httpx.Request) -> Receive:
    """Return the request's body as a server would hand it over."""
    pieces = cast("httpx.AsyncByteStream", request.stream).__aiter__()

    async def receive() -> Message:
        async for piece in pieces:
            return {"type": "http.request", "body": piece, "more_body": True}
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


@asynccontextmanager
async def _within(seconds: float | None, error: type[httpx.TimeoutException]) -> AsyncIterator[None]:
    """Bound what the client bounds, with httpx's error."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise error("the client's own time-out") from None


@contextmanager
def _told(request: httpx.Request) -> Iterator[None]:
    """Raise what goes wrong as httpx's errors."""
    try:
        yield
    except ConnectionLostError:
        raise httpx.RemoteProtocolError("it broke off before its answer was there", request=request) from None
    except UpstreamError as error:
        raise _ERRORS.get(error.reason, httpx.RemoteProtocolError)(error.detail, request=request) from None
