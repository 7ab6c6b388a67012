"""What workers and hosts share, in Redis: one key for each work, and one script for each step.

The value is ``L`` and the holder while somebody does the work, ``A`` and the answer once it is done; the server forgets
either in time. A server runs a script with nothing in between, so of all callers one gets the lease, and who lost it
can neither leave an answer nor give away what another holds. A fail-over may forget a lease that had not reached the
replica yet: then the work is done twice, as without a store.

Whoever can write to the server can hold up a refresh for the length of a lease, and answers are sealed against them.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.core.redis_url import check_url, shown
from gateway.core.secret import Secret
from gateway.core.settings_values import BadValueError
from gateway.errors import StoreUnavailable
from gateway.ports import Claim

MAX_BYTES = 64 * 1024
"""An answer is a few cookies, which browsers hold to 4 KiB each; a larger value is none of ours."""

MAX_CONNECTIONS = 8
"""A step takes a fraction of a millisecond, so these carry some thousands a second; more wait for their turn."""

_CLAIM = """
local found = redis.call('GET', KEYS[1])
if not found then
  redis.call('SET', KEYS[1], 'L' .. ARGV[1], 'PX', ARGV[2])
  return 1
end
if string.sub(found, 1, 1) == 'L' then return 0 end
if #found > tonumber(ARGV[3]) + 1 then return -1 end
return string.sub(found, 2)
"""

_SETTLE = """
if redis.call('GET', KEYS[1]) == 'L' .. ARGV[1] then
  redis.call('SET', KEYS[1], 'A' .. ARGV[2], 'PX', ARGV[3])
end
return 0
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) == 'L' .. ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
"""

# The first that fits counts. The server's own words are not repeated: some echo what they were sent, password included.
_PROBLEMS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    ((TimeoutError, exceptions.TimeoutError), "did not answer in time"),
    ((exceptions.AuthenticationError, exceptions.AuthenticationWrongNumberOfArgsError), "refuses the user or password"),
    (exceptions.NoPermissionError, "lets this user not run EVAL with GET, SET and DEL on these keys"),
    (exceptions.BusyLoadingError, "is still loading its data"),
    (exceptions.ReadOnlyError, "is a replica, which takes no writes"),
    (exceptions.OutOfMemoryError, "is out of memory"),
    (exceptions.ResponseError, "answered with an error"),
    (ssl.SSLError, "cannot be reached over TLS"),
    ((exceptions.ConnectionError, OSError), "cannot be reached"),
)


class RedisStore:
    """Implements :class:`gateway.ports.AnswerStore` with one Redis server.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, as :func:`gateway.core.redis_url.check_url` takes it.
        timeout_s: seconds that one call may take, connecting included; nothing is tried again.
        prefix: of all keys, for servers that have other users.

    Raises:
        BadValueError: the URL is not one of a Redis server, or a file in it cannot be read.
    """

    def __init__(self, url: Secret, *, timeout_s: float = 0.5, prefix: bytes = b"gateway:refresh:") -> None:
        check_url(url.reveal())
        self._shown = shown(url.reveal())
        self._timeout_s = timeout_s
        self._prefix = prefix
        pool = BlockingConnectionPool.from_url(
            url.reveal(),
            max_connections=MAX_CONNECTIONS,
            timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            socket_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # every server speaks it, and none can change our time-outs in it
        )
        if pool.connection_class is SSLConnection:
            pool.connection_class = _TlsConnection
            pool.connection_kwargs["context"] = _context(pool)
        self._client = Redis.from_pool(pool)

    def __repr__(self) -> str:
        return f"RedisStore({self._shown})"

    async def claim(self, key: bytes, holder: bytes, lease_s: float) -> Claim:
        """Take the work for some seconds, unless it was done or somebody else has it."""
        found = await self._run(_CLAIM, key, holder, _ms(lease_s), MAX_BYTES)
        match found:
            case 0 | 1:
                return Claim(is_ours=found == 1)
            case bytes():
                return Claim(is_ours=False, answer=found)
        raise StoreUnavailable(f"{self._shown} holds or answers what is none of ours")

    async def settle(self, key: bytes, holder: bytes, answer: bytes, keep_s: float) -> None:
        """Leave the answer for the others, unless the lease was lost or the answer is beyond the bound."""
        if len(answer) > MAX_BYTES:
            raise StoreUnavailable(f"an answer of {len(answer)} bytes is not shared; {MAX_BYTES} is the most")
        await self._run(_SETTLE, key, holder, answer, _ms(keep_s))

    async def release(self, key: bytes, holder: bytes) -> None:
        """Let others take the work at once, unless the lease was lost."""
        await self._run(_RELEASE, key, holder)

    async def close(self) -> None:
        """Close all connections; never fails."""
        with suppress(Exception):
            async with asyncio.timeout(self._timeout_s):
                await self._client.aclose()

    async def _run(self, script: str, key: bytes, *arguments: bytes | int) -> object:
        """Have the server run a script; the one place where the library's exceptions become ours."""
        try:
            async with asyncio.timeout(self._timeout_s):
                found: object = await self._client.eval(script, 1, self._prefix + key, *arguments)
        except Exception as error:  # what is no Redis server makes the library's parser raise whatever Python does
            # Neither the text nor the chain of the library's exception: both may hold what was sent.
            raise StoreUnavailable(f"{self._shown} {_problem(error)}") from None
        return found


class _TlsConnection(SSLConnection):
    """All connections have one context: of its own each would read every authority anew, 30 ms within the loop."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = context


def _context(pool: BlockingConnectionPool) -> ssl.SSLContext:
    """Make the context that the URL's options ask for; the server's name is always checked."""
    pool.connection_kwargs["ssl_check_hostname"] = True
    try:
        return SSLConnection(**pool.connection_kwargs).ssl_context.get()
    except OSError as error:  # ssl.SSLError is one
        problem = f"a certificate or key in its options cannot be used ({error.strerror or type(error).__name__})"
        raise BadValueError(problem, "name PEM files that the gateway may read") from None


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _problem(error: Exception) -> str:
    """Say in our own words what a call failed of."""
    origin = error.__cause__ or error.__context__
    if isinstance(origin, ssl.SSLCertVerificationError):
        return f"has a certificate that does not count: {origin.verify_message}"
    for kinds, problem in _PROBLEMS:
        if isinstance(error, kinds):
            return problem
    return "does not answer as Redis does"
