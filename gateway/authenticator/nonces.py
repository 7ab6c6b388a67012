"""The cookies behind a handshake's nonce: each nonce is asked for once, and nobody can have them asked for without end.

A nonce is no proof of anything, so whoever invents them would have this gateway call the API with each. Only an
address whose nonces bring nothing is held back; then theirs count as useless, which a browser gets over by another
handshake. What failed for a cause of the API is nobody's fault and is not counted; so no text goes there that an API
might fail of, and a call without an answer counts until it has one.
"""

import asyncio
import re
import time

from cachetools import TTLCache

from gateway.authenticator.refusals import network_of
from gateway.core.digest import digest
from gateway.core.verdict import PayloadAnswer
from gateway.errors import ApiAnswered, SessionsApiError
from gateway.ports import Clock, SessionsApi

MEMORY_S = 60
"""Seconds for which a nonce is not asked for again: its cookie outlives its single use. So long are failures held
against an address, too, counted from the last one."""

MAX_ENTRIES = 10_000
"""Nonces and addresses that are remembered, of each."""

MAX_CHARS = 512
"""Of a nonce; more was not made by the API."""

MAX_CALLS = 32
"""Calls at the same time."""

MAX_USELESS = 100
"""Nonces from one address that may bring nothing: people reload pages, and an office has one address."""

# Visible ASCII, as whatever an API makes for a URL.
_NONCE = re.compile(r"[!-~]+")


class Nonces:
    """Answers :class:`~gateway.core.verdict.NeedPayload`.

    Args:
        api: has the cookies.
        timer: seconds; only differences count.
    """

    def __init__(self, api: SessionsApi, timer: Clock = time.monotonic) -> None:
        self._api = api
        self._spent: TTLCache[bytes, bool] = TTLCache(MAX_ENTRIES, MEMORY_S, timer)
        self._useless: TTLCache[str, int] = TTLCache(MAX_ENTRIES, MEMORY_S, timer)
        self._running: dict[str, int] = {}
        self._slots = asyncio.Semaphore(MAX_CALLS)

    async def answer(self, nonce: str, client: str) -> PayloadAnswer:
        """Return the directives of the cookies, or None where there are none to be had.

        Args:
            nonce: as it came.
            client: the address that it came from.
        """
        if len(nonce) > MAX_CHARS or not _NONCE.fullmatch(nonce):
            return None
        network = network_of(client)
        running = self._running.get(network, 0)
        if self._useless.get(network, 0) + running >= MAX_USELESS:
            return None
        key = digest(nonce)
        if key in self._spent:
            return None
        self._spent[key] = True
        self._running[network] = running + 1
        try:
            async with self._slots:
                return await self._ask(nonce, network)
        finally:
            self._running[network] -= 1
            if not self._running[network]:
                del self._running[network]

    async def _ask(self, nonce: str, network: str) -> PayloadAnswer:
        try:
            return await self._api.handshake_payload(nonce)
        except SessionsApiError as error:
            if isinstance(error, ApiAnswered) and error.knows_nothing:
                self._useless[network] = self._useless.get(network, 0) + 1
            return None
