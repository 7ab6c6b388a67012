"""What the API says about opaque machine tokens: one call for all who ask at once, and a short memory.

Kept are good and bad answers, each for its own few seconds, by a digest of the token and its kind; no token stands in
memory longer than its request. A good answer ends with its token. What a route asks for (scopes) is no part of an
answer, and is judged anew for each request: an answer to route A never answers route B's question.

Calls for tokens that were never seen good are bounded, so that nobody can have this gateway spend the instance's rate
limit by inventing tokens; beyond the bound nothing can be said, and that is what is said. Tokens that turn out to be no
good leave half of the bound to other addresses, so that nobody can use it up alone. Nor is the API called while
it does not answer (:mod:`gateway.authenticator.breaker`).
"""

import asyncio
import math
import random
import time
from collections.abc import Callable
from typing import NamedTuple

from cachetools import LRUCache, TLRUCache

from gateway.authenticator.breaker import Breaker, Outcome
from gateway.authenticator.bucket import Bucket
from gateway.authenticator.refusals import network_of
from gateway.core.digest import digest
from gateway.core.machine_claims import MachineClaims, Refusal, judge
from gateway.core.reasons import Reason
from gateway.core.settings_model import MachineSettings
from gateway.core.verdict import MachineAnswer, NeedMachine
from gateway.errors import ApiAnswered, ApiUnreachable, MachinesUnavailable, SessionsApiError
from gateway.ports import Clock, MachineTokensApi

MAX_ENTRIES = 10_000
"""Answers that are kept, of good and of bad tokens each."""

MAX_CALLS = 32
"""Calls at the same time."""

BURST_S = 10
"""A quiet gateway may ask about as many new tokens at once as it may in so many seconds."""

_DOWN_STATUSES = frozenset({429, 502, 503, 504})
"""The API, or what stands before it, is too busy or down (RFC 9110 section 15.6, RFC 6585 section 4)."""

_RETRY_S, _MAX_RETRY_S = 5, 60

DEFAULTS = MachineSettings()

_Outcome = MachineClaims | Refusal | MachinesUnavailable


class _Entry(NamedTuple):
    outcome: MachineClaims | Refusal
    life_s: float


def _end_s(_key: bytes, entry: _Entry, now_s: float) -> float:
    return now_s + entry.life_s


class Machines:
    """Answers :class:`~gateway.core.verdict.NeedMachine`.

    Args:
        api: knows the tokens.
        settings: of memory and calls.
        clock: Unix seconds, for the ends of tokens.
        timer: seconds; only differences count.
        chance: a number from 0 to 1.
    """

    def __init__(
        self,
        api: MachineTokensApi,
        settings: MachineSettings = DEFAULTS,
        clock: Clock = time.time,
        timer: Clock = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._settings = settings
        self._clock = clock
        self._good: TLRUCache[bytes, _Entry] = TLRUCache(MAX_ENTRIES, _end_s, timer)
        self._bad: TLRUCache[bytes, _Entry] = TLRUCache(MAX_ENTRIES, _end_s, timer)
        self._seen_good: LRUCache[bytes, bool] = LRUCache(MAX_ENTRIES)
        self._running: dict[bytes, asyncio.Task[_Outcome]] = {}
        self._slots = asyncio.Semaphore(MAX_CALLS)
        self._timer = timer
        self._new_tokens = self._bucket(settings.new_tokens_per_s)
        self._shares: LRUCache[str, Bucket] = LRUCache(MAX_ENTRIES)
        self._breaker = Breaker(
            timer, chance, open_means="machine tokens are not verified until it does", closed_means="they are verified"
        )
        self._failure = MachinesUnavailable(Reason.MACHINE_API_UNREACHABLE, "it was not asked yet")

    def _bucket(self, per_s: float) -> Bucket:
        return Bucket(per_s, max(1.0, per_s * BURST_S), self._timer)

    async def answer(self, need: NeedMachine, client: str = "") -> MachineAnswer:
        """Return what is known of a token.

        Args:
            need: asks about it.
            client: the address that it came from; empty where there is none.

        Raises:
            MachinesUnavailable: when nothing is known and the API does not say.
        """
        key = digest(need.kind, need.token.reveal())
        entry = self._good.get(key) or self._bad.get(key)
        if entry is not None:
            return MachineAnswer(entry.outcome, is_cached=True)
        task = self._running.get(key)
        if task is None:
            if not self._breaker.lets_through:
                raise _anew(self._failure)
            share = None if key in self._seen_good else self._admit(client)
            task = asyncio.create_task(self._ask(key, need, share))
            self._running[key] = task
        # A client that leaves takes nobody's answer with it.
        outcome = await asyncio.shield(task)
        if isinstance(outcome, MachinesUnavailable):
            raise _anew(outcome)
        return MachineAnswer(outcome, is_cached=False)

    def _admit(self, client: str) -> Bucket | None:
        """Return the share of the bound that was used and is given back unless the token is refused."""
        per_s = self._settings.new_tokens_per_s
        # Half of a bound that holds one token is none.
        share = self._share(client) if client and per_s * BURST_S >= 2 else None
        if share is not None and (wait_s := share.take()) > 0:
            raise _limited(f"more than {per_s / 2:g} new tokens a second from one address", wait_s)
        if (wait_s := self._new_tokens.take()) > 0:
            if share is not None:
                share.give_back()
            raise _limited(f"more than {per_s:g} new tokens a second", wait_s)
        return share

    def _share(self, client: str) -> Bucket:
        network = network_of(client)
        share = self._shares.get(network)
        if share is None:
            share = self._shares[network] = self._bucket(self._settings.new_tokens_per_s / 2)
        return share

    async def _ask(self, key: bytes, need: NeedMachine, share: Bucket | None) -> _Outcome:
        try:
            outcome = await self._call(need)
            if share is not None and not isinstance(outcome, Refusal):
                share.give_back()
            if isinstance(outcome, MachinesUnavailable):
                self._failure = outcome
            else:
                self._keep(key, outcome)
            return outcome
        finally:
            del self._running[key]

    async def _call(self, need: NeedMachine) -> _Outcome:
        turn: int | None = None
        answered = Outcome.NOTHING
        try:
            async with asyncio.timeout(self._settings.budget_ms / 1000), self._slots:
                turn = self._breaker.begin()
                if turn is None:
                    return self._failure
                record = await self._api.verify(need.kind, need.token.reveal())
                answered = Outcome.ANSWERED
        except TimeoutError:
            answered = Outcome.FAILED
            return MachinesUnavailable(Reason.MACHINE_API_TIMEOUT, f"no answer within {self._settings.budget_ms} ms")
        except SessionsApiError as error:
            answered = _tells(error)
            return _meaning(error)
        finally:
            if turn is not None:
                self._breaker.end(turn, answered, f"{need.kind}s")
        return judge(record, self._clock())

    def _keep(self, key: bytes, outcome: MachineClaims | Refusal) -> None:
        if isinstance(outcome, Refusal):
            self._seen_good.pop(key, None)
            cache, life_s = self._bad, self._settings.negative_cache_s
        else:
            self._seen_good[key] = True
            cache, life_s = self._good, self._settings.cache_s
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


def _limited(why: str, wait_s: float) -> MachinesUnavailable:
    detail = f"{why}; see machines.new_tokens_per_s"
    return MachinesUnavailable(Reason.MACHINE_VERIFICATION_LIMITED, detail, math.ceil(wait_s))


def _anew(error: MachinesUnavailable) -> MachinesUnavailable:
    """Return the same error: one that is raised twice collects the tracebacks of both."""
    return MachinesUnavailable(error.reason, error.detail, error.retry_after_s)


def _tells(error: SessionsApiError) -> Outcome:
    """Return what a failed call says about the API.

    A 500 says nothing: a token that somebody made up may bring it about, and would stop all others.
    """
    if isinstance(error, ApiUnreachable):
        return Outcome.FAILED
    if not isinstance(error, ApiAnswered):
        return Outcome.NOTHING
    if error.status in _DOWN_STATUSES:
        return Outcome.FAILED
    return Outcome.ANSWERED if 400 <= error.status < 500 else Outcome.NOTHING


def _meaning(error: SessionsApiError) -> Refusal | MachinesUnavailable:
    """Return what a failed call says about the token; as a rule nothing. The API's own words stay here."""
    match error:
        case ApiAnswered() if error.knows_nothing:
            return Refusal(Reason.TOKEN_INVALID, "the API knows no such token")
        case ApiAnswered(status=401):
            return MachinesUnavailable(Reason.SECRET_KEY_INVALID, "the API refuses the key to verify with", 30)
        case ApiAnswered():
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
