"""Several servers as one upstream: a request goes to one of them, and to another where nothing reached the first.

The opening of a WebSocket is such a request too; what becomes of one that is open tells nothing of its server.

:mod:`gateway.upstream.balance` decides; here are the pools, the health checks and the time. A route with a single
address does without all of it.
"""

import asyncio
import logging
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from starlette.types import Message, Receive

from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.core.settings_model import HealthSettings, UpstreamSettings
from gateway.errors import UpstreamError
from gateway.passing import Direct
from gateway.upstream.balance import Balance, Server
from gateway.upstream.carrier import AnyPool, forward_of, sockets_of
from gateway.upstream.connection import ConnectionLostError
from gateway.upstream.exchange import Sink
from gateway.upstream.forward import ClientGoneError, Outgoing
from gateway.upstream.http2.pool import Http2Pool
from gateway.upstream.origin import Limits, Origin
from gateway.upstream.pool import Pool
from gateway.upstream.websocket import MakeHead, Refused, UpstreamWebSocket, connect

_log = logging.getLogger(__name__)

# Raised before anything of the request was sent: another server may get it, whatever the method.
_UNSENT = frozenset(
    {Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_CONNECT_TIMEOUT, Reason.UPSTREAM_TLS, Reason.UPSTREAM_OVERLOADED}
)
# The service says itself that it cannot, or that what it depends on cannot.
_FAILING_STATUSES = frozenset({502, 503, 504})

_Got = TypeVar("_Got")

Reach = tuple[Origin, ssl.SSLContext | None]
"""Where a server is, and how its certificate is judged."""


class Servers:
    """What is known of the servers of one upstream, shared by all routes to it.

    Args:
        settings: of the upstream.
        time_s: any clock that does not jump.

    Attributes:
        reached_by: how health checks reach the servers: as the first route to them does.
    """

    def __init__(self, settings: UpstreamSettings, time_s: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.time_s = time_s
        self.balance = Balance(
            [server.weight for server in settings.servers],
            settings.ejection,
            settings.health,
            by_connections=settings.balance == "least_connections",
        )
        self.reached_by: list[Reach] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin the health checks, if there are any."""
        health = self.settings.health
        if health is not None and self.reached_by and not self._tasks:
            self._tasks = [asyncio.create_task(self._watch(server, health)) for server in self.balance.servers]

    async def close(self) -> None:
        """End the health checks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, server: Server, health: HealthSettings) -> None:
        url = self.settings.servers[server.number].url
        limits = Limits(connect_s=health.timeout_s, first_byte_s=health.timeout_s, idle_s=health.timeout_s)
        origin, context = self.reached_by[server.number]
        own = Pool(origin, limits, context)
        pool = Http2Pool(origin, limits, context, own) if origin.is_http2 else own
        try:
            while True:
                problem = await check(pool, health)
                if self.balance.checked(server, is_good=not problem):
                    word = "fails its health checks" if problem else "passes its health checks again"
                    _log.warning("upstream %s: %s %s%s", self.settings.name, url, word, problem and f" ({problem})")
                await asyncio.sleep(health.interval_s)
        finally:
            await pool.close()

    def failed(self, server: Server, error: str) -> None:
        """Count a failure, and say so when the server is left alone for it."""
        now_s = self.time_s()
        if self.balance.failed(server, now_s):
            url = self.settings.servers[server.number].url
            text = "upstream %s: %s is left alone for %.0f s after %d failures in a row (%s)"
            _log.warning(text, self.settings.name, url, server.out_until_s - now_s, server.failures, error)


class Balanced:
    """The connections of a route to several servers.

    Args:
        servers: what is known of them.
        pools: one for each.

    Attributes:
        pools: one for each.
    """

    def __init__(self, servers: Servers, pools: Sequence[AnyPool]) -> None:
        self.pools = tuple(pools)
        self._servers = servers

    def choose(self, tried: set[int]) -> Server:
        """Return the server whose turn it is.

        Raises:
            UpstreamError: there is none.
        """
        balance, now_s = self._servers.balance, self._servers.time_s()
        server = balance.choose(now_s, [pool.in_use for pool in self.pools], tried)
        if server is None:
            wait_s = max(1, math.ceil(balance.retry_after_s(now_s)))
            detail = f"{self._servers.settings.name}: {balance.why_none(now_s)}"
            raise UpstreamError(Reason.UPSTREAM_UNAVAILABLE, detail, retry_after_s=wait_s)
        tried.add(server.number)
        return server

    @property
    def origins(self) -> tuple[str, ...]:
        """Where the servers are."""
        return tuple(pool.origin.text for pool in self.pools)

    async def forward(self, request: Outgoing, receive: Receive, sink: Sink) -> None:
        """Forward a request and stream its answer, as :func:`gateway.upstream.forward.forward` does to one server.

        Raises:
            UpstreamError: when there is no answer, or it broke off; the sink may have been started by then.
            ClientGoneError: when the client went away meanwhile, or reads nothing of its answer.
        """

        async def attempt(pool: AnyPool) -> tuple[None, int]:
            noting = _Noting(sink)
            await forward_of(pool)(request, receive, noting)
            return None, noting.status

        await self._reach(attempt)

    async def connect(self, make_head: MakeHead, offered: tuple[str, ...], max_message_bytes: int) -> UpstreamWebSocket:
        """Open a WebSocket, as :func:`gateway.upstream.websocket.connect` does to one server.

        It counts among the connections of its server while it is open.

        Raises:
            Refused: a server answered, and did not accept.
            UpstreamError: none can be reached, or one did not answer as it should.
        """

        async def attempt(pool: AnyPool) -> tuple[UpstreamWebSocket | Refused, int]:
            try:
                return await connect(sockets_of(pool), make_head, offered, max_message_bytes), 101
            except Refused as refused:
                return refused, refused.status

        opened = await self._reach(attempt)
        if isinstance(opened, Refused):
            raise opened
        return opened

    async def _reach(self, attempt: Callable[[AnyPool], Awaitable[tuple[_Got, int]]]) -> _Got:
        """Try one server after the other until something reached one."""
        tried: set[int] = set()
        unsent: UpstreamError | None = None
        while True:
            try:
                server = self.choose(tried)
            except UpstreamError as none:
                raise unsent or none from None
            try:
                return await self._try(server, attempt)
            except UpstreamError as error:
                if error.reason not in _UNSENT:
                    raise
                unsent = error

    async def _try(self, server: Server, attempt: Callable[[AnyPool], Awaitable[tuple[_Got, int]]]) -> _Got:
        """Try one server, and count how it went.

        Args:
            server: whose turn it is.
            attempt: returns what it got and the status of the answer.
        """
        is_judged = False
        try:
            got, status = await attempt(self.pools[server.number])
            is_judged = True
            if status in _FAILING_STATUSES:
                self._servers.failed(server, f"status {status}")
            else:
                self._servers.balance.succeeded(server)
        except UpstreamError as error:
            is_judged = error.reason.startswith("upstream-") and error.reason != Reason.UPSTREAM_OVERLOADED
            if is_judged:
                self._servers.failed(server, error.reason)
            raise
        finally:
            if not is_judged:
                self._servers.balance.left(server)
        return got


class _Noting:
    """Passes an answer on and notes its status."""

    __slots__ = ("_sink", "body", "direct", "status")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.body = sink.body
        self.direct = sink.direct
        self.status = 0

    async def start(self, status: int, headers: list[Header]) -> None:
        self.status = status
        await self._sink.start(status, headers)


class _Status:
    """Takes an answer for its status alone."""

    direct: Direct | None = None

    def __init__(self) -> None:
        self.status = 0

    async def start(self, status: int, headers: list[Header]) -> None:  # noqa: ARG002 - a sink
        self.status = status

    async def body(self, data: bytes, *, more: bool) -> None:
        pass


async def check(pool: AnyPool, health: HealthSettings) -> str:
    """Ask a server whether it is well; return what is wrong, empty for nothing.

    Any status from 200 to 399 is good; redirects are not followed.
    """
    host = (pool.origin.text.partition("://")[2] or "localhost").encode()
    headers = [(b"host", host), (b"user-agent", b"session-gateway-health"), (b"connection", b"close")]
    sink = _Status()
    try:
        async with asyncio.timeout(health.timeout_s):
            await forward_of(pool)(Outgoing("GET", health.path.encode(), headers, 0), _nobody, sink)
    except TimeoutError:
        return f"no whole answer within {health.timeout_s:g} s"
    except UpstreamError as error:
        return error.reason
    except (ClientGoneError, ConnectionLostError):  # pragma: no cover - nobody is there to go away
        return "it broke off"
    return "" if 200 <= sink.status < 400 else f"status {sink.status}"


async def _nobody() -> Message:
    """Stand for a client that waits for its answer."""
    await asyncio.Event().wait()
    raise AssertionError("never")
