"""The connections to one upstream: opened as needed, kept for a while, bounded in number.

The last one used is taken first, so that the others grow old and go.
"""

import asyncio
import socket
import ssl

from gateway.core.reasons import Reason
from gateway.errors import UpstreamError
from gateway.upstream.connection import Connection
from gateway.upstream.origin import Limits, Origin


class Pool:
    """Connections to one upstream.

    Args:
        origin: where it is.
        limits: how many and how long.
    """

    def __init__(self, origin: Origin, limits: Limits | None = None) -> None:
        self.origin = origin
        self.limits = limits or Limits()
        self._idle: list[Connection] = []
        self._tls = origin.tls_context()
        self.in_use = 0

    @property
    def idle(self) -> int:
        """How many connections wait for work."""
        return len(self._idle)

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """Return a connection, opened if there is none; give it back with :meth:`release`.

        Args:
            fresh: do not take a kept one.

        Raises:
            UpstreamError: when there are too many, or none can be opened.
        """
        loop = asyncio.get_running_loop()
        while self._idle and not fresh:
            connection = self._idle.pop()
            if not connection.is_closed and loop.time() - connection.idle_since_s < self.limits.keep_alive_s:
                self.in_use += 1
                return connection
            connection.abort()
        if self.in_use >= self.limits.connections:
            detail = f"{self.in_use} connections to {self.origin.text} are in use, no more are allowed"
            raise UpstreamError(Reason.UPSTREAM_OVERLOADED, detail)
        self.in_use += 1
        try:
            return await self._open(loop)
        except BaseException:
            self.in_use -= 1
            raise

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Connection:
        origin = self.origin
        try:
            async with asyncio.timeout(self.limits.connect_s):
                if origin.path:
                    _, unix = await loop.create_unix_connection(lambda: Connection(self.limits, loop), origin.path)
                    return unix
                _, connection = await loop.create_connection(
                    lambda: Connection(self.limits, loop), origin.host, origin.port, ssl=self._tls
                )
                return connection
        except TimeoutError as error:
            detail = f"no connection to {origin.text} within {self.limits.connect_s:g} s"
            raise UpstreamError(Reason.UPSTREAM_CONNECT_TIMEOUT, detail) from error
        except ssl.SSLError as error:
            raise UpstreamError(Reason.UPSTREAM_TLS, f"no TLS with {origin.text} ({error.reason})") from error
        except socket.gaierror as error:
            raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, f"the name of {origin.text} does not resolve") from error
        except OSError as error:
            detail = f"no connection to {origin.text} ({type(error).__name__})"
            raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, detail) from error

    def release(self, connection: Connection) -> None:
        """Take a connection back: kept if its exchange ended well, closed otherwise."""
        self.in_use -= 1
        if connection.finish():
            connection.idle_since_s = asyncio.get_running_loop().time()
            self._idle.append(connection)

    async def close(self) -> None:
        """Close the idle connections; those in use end with their exchanges."""
        while self._idle:
            self._idle.pop().abort()
