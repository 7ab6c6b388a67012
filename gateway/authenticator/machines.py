"""What the API says about opaque machine tokens: one call for all who ask at once, and a short memory.

Kept are good and bad answers, each for its own few seconds, by a digest of the token and its kind; no token stands in
memory longer than its request. A good answer ends with its token. What a route asks for (scopes) is no part of an
answer, and is judged anew for each request: an answer to route A never answers route B's question.

Calls for tokens that were never seen good are bounded, so that nobody can have this gateway spend the instance's rate
limit by inventing tokens; beyond the bound nothing can be said, and that is what is said.
"""

import asyncio
import hashlib
import math
import time
from dataclasses import dataclass
from typing import NamedTuple

from cachetools import LRUCache, TLRUCache

from gateway.authenticator.bucket import Bucket
from gateway.core.machine_claims import MachineClaims, Refusal, judge
from gateway.core.reasons import Reason
from gateway.core.token_class import TokenType
from gateway.core.verdict import MachineAnswer, NeedMachine
from gateway.errors import ApiFailed, ApiRefused, ApiUnreachable, MachinesUnavailable, SessionsApiError
from gateway.ports import Clock, MachineTokensApi

MAX_ENTRIES = 10_000
"""Answers that are kept, of good and of bad tokens each."""

MAX_CALLS = 32
"""Calls at the same time."""

BURST_S = 10
"""A quiet gateway may ask about as many new tokens at once as it may in so many seconds."""

_INVALID_STATUSES = frozenset({400, 404, 410, 422})
"""The API knows no such token, or says that the text cannot be one."""

_RETRY_S, _MAX_RETRY_S = 5, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long answers count, and how much may be asked.

    Attributes:
        cache_s, negative_cache_s: seconds that good and bad answers count; 0 for not at all.
        budget_ms: milliseconds that a request may wait.
        new_tokens_per_s: tokens that were never seen good which may be asked about, per second.
    """

    cache_s: float = 30.0
    negative_cache_s: float = 10.0
    budget_ms: float = 2000.0
    new_tokens_per_s: float = 10.0


class _Entry(NamedTuple):
    outcome: MachineClaims | Refusal
    life_s: float


def _end_s(_key: bytes, entry: _Entry, now_s: float) -> float:
    return now_s + entry.life_s


class Machines:
    """Answers :class:`~gateway.core.verdict.NeedMachine`.

    Args:
        api: knows the tokens.
        limits: of memory and calls.
        clock: Unix seconds, for the ends of tokens.
        timer: seconds; only differences count.
    """

    def __init__(
        self,
        api: MachineTokensApi,
        limits: Limits = Limits(),
        clock: Clock = time.time,
        timer: Clock = time.monotonic,
    ) -> None:
        self._api = api
        self._limits = limits
        self._clock = clock
        self._good: TLRUCache[bytes, _Entry] = TLRUCache(MAX_ENTRIES, _end_s, timer)
        self._bad: TLRUCache[bytes, _Entry] = TLRUCache(MAX_ENTRIES, _end_s, timer)
        self._seen_good: LRUCache[bytes, bool] = LRUCache(MAX_ENTRIES)
        self._running: dict[bytes, asyncio.Task[MachineClaims | Refusal | MachinesUnavailable]] = {}
        self._slots = asyncio.Semaphore(MAX_CALLS)
        self._new_tokens = Bucket(limits.new_tokens_per_s, max(1.0, limits.new_tokens_per_s * BURST_S), timer)

    async def answer(self, need: NeedMachine) -> MachineAnswer:
        """Return what is known of a token.

        Raises:
            MachinesUnavailable: when nothing is known and the API does not say.
        """
        key = _digest(need)
        entry = self._good.get(key) or self._bad.get(key)
        if entry is not None:
            return MachineAnswer(entry.outcome, is_cached=True)
        task = self._running.get(key)
        if task is None:
            self._admit(key)
            task = asyncio.create_task(self._ask(key, need))
            self._running[key] = task
        # A client that leaves takes nobody's answer with it.
        outcome = await asyncio.shield(task)
        if isinstance(outcome, MachinesUnavailable):
            # Made anew for each who waited: an exception raised twice collects the tracebacks of both.
            raise MachinesUnavailable(outcome.reason, outcome.detail, outcome.retry_after_s)
        return MachineAnswer(outcome, is_cached=False)

    def _admit(self, key: bytes) -> None:
        if key in self._seen_good:
            return
        wait_s = self._new_tokens.take()
        if wait_s > 0:
            raise MachinesUnavailable(
                Reason.MACHINE_VERIFICATION_LIMITED,
                f"more than {self._limits.new_tokens_per_s:g} new tokens a second; see machines.new_tokens_per_s",
                math.ceil(wait_s),
            )

    async def _ask(self, key: bytes, need: NeedMachine) -> MachineClaims | Refusal | MachinesUnavailable:
        try:
            outcome = await self._call(need.kind, need.token.reveal())
            if not isinstance(outcome, MachinesUnavailable):
                self._keep(key, outcome)
            return outcome
        finally:
            del self._running[key]

    async def _call(self, kind: TokenType, token: str) -> MachineClaims | Refusal | MachinesUnavailable:
        try:
            async with asyncio.timeout(self._limits.budget_ms / 1000), self._slots:
                record = await self._api.verify(kind, token)
        except TimeoutError:
            return MachinesUnavailable(Reason.MACHINE_API_TIMEOUT, f"no answer within {self._limits.budget_ms:g} ms")
        except SessionsApiError as error:
            return _meaning(error)
        return judge(record, self._clock())

    def _keep(self, key: bytes, outcome: MachineClaims | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._seen_good.pop(key, None)
            cache, life_s = self._bad, self._limits.negative_cache_s
        else:
            self._seen_good[key] = True
            cache, life_s = self._good, self._limits.cache_s
            if outcome.expires_at_s is not None:
                life_s = min(life_s, outcome.expires_at_s - self._clock())
        if life_s > 0:
            cache[key] = _Entry(outcome, life_s)

    async def close(self) -> None:
        """Stop running calls: what they find out is lost and harmless."""
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._good) + len(self._bad)


def _digest(need: NeedMachine) -> bytes:
    return hashlib.sha256(f"{need.kind}\0{need.token.reveal()}".encode()).digest()


def _meaning(error: SessionsApiError) -> Refusal | MachinesUnavailable:
    """Return what a failed call says about the token; as a rule nothing. The API's own words stay here."""
    match error:
        case ApiRefused() | ApiFailed() if error.status in _INVALID_STATUSES:
            return Refusal(Reason.TOKEN_INVALID, "the API knows no such token")
        case ApiRefused(status=401) | ApiFailed(status=401):
            return MachinesUnavailable(Reason.SECRET_KEY_INVALID, "the API refuses the key to verify with", 30)
        case ApiRefused() | ApiFailed():
            retry_s = math.ceil(min(error.retry_after_s or 0, _MAX_RETRY_S)) or _RETRY_S
            return MachinesUnavailable(Reason.MACHINE_API_FAILED, f"it answered {error.status}", retry_s)
        case ApiUnreachable(cause="timeout"):
            return MachinesUnavailable(Reason.MACHINE_API_TIMEOUT, error.detail)
        case ApiUnreachable(cause="protocol"):
            return MachinesUnavailable(Reason.MACHINE_API_FAILED, error.detail)
        case ApiUnreachable():
            return MachinesUnavailable(Reason.MACHINE_API_UNREACHABLE, error.detail)
        case _:
            return MachinesUnavailable(Reason.MACHINE_API_FAILED, "the call could not be made")
