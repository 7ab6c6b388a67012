"""Verification keys from a JWKS address: cached, refreshed early in the background, kept through outages.

A request waits for the network only when there is no usable set at all, when the set is past its lifetime and nothing
is known against the source, or when its ``kid`` is unknown and the last load is longer ago than the cool-down; all that
wait share one load. During an outage the keys at hand are used at once, and the source is tried in the background.
A key that left the set is refused from the next load on, and ``on_change`` lets the caller drop what it had verified.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable

import httpx

from gateway.core.keys import KeyMaterialError, KeySet, VerificationKey, key_set
from gateway.core.reasons import Reason
from gateway.errors import ApiFailed, ApiRefused, ApiUnreachable, KeysUnavailable, SessionsApiError
from gateway.ports import Clock, KeysStatus
from gateway.sessions.transfer import exchange

_log = logging.getLogger(__name__)

LIFETIME_S = 300.0
"""Seconds after which a set has to be loaded again (Sessions API section 4)."""

EARLY_S = 60.0
"""Seconds before that at which the background load starts."""

STALE_S = 3600.0
"""Seconds for which the last good set is used while the source is out of reach."""

COOL_DOWN_S = 10.0
"""Seconds between loads that unknown key ids may cause."""

LOAD_TIMEOUT_S = 5.0

_CAUSES = {
    "dns": Reason.JWK_REMOTE_DNS,
    "connect": Reason.JWK_REMOTE_UNREACHABLE,
    "tls": Reason.JWK_REMOTE_TLS,
    "timeout": Reason.JWK_REMOTE_TIMEOUT,
    "protocol": Reason.JWK_REMOTE_FAILED_TO_LOAD,
}

Load = Callable[[], Awaitable[object]]
"""Returns the parsed JWK Set document or raises a SessionsApiError."""


class RemoteKeys:
    """Implements :class:`gateway.ports.KeySource` over a JWKS address.

    Args:
        load: fetches the document.
        on_change: called when a load brought another set.
        clock: seconds; only differences count.
        timeout_s: seconds for one load, all attempts together.
    """

    def __init__(
        self,
        load: Load,
        on_change: Callable[[], None],
        clock: Clock = time.monotonic,
        timeout_s: float = LOAD_TIMEOUT_S,
    ) -> None:
        self._load = load
        self._timeout_s = timeout_s
        self._on_change = on_change
        self._clock = clock
        self._keys: KeySet = {}
        self._loaded_s = float("-inf")
        self._tried_s = float("-inf")
        self._failed_s = float("-inf")
        self._failure: KeysUnavailable | None = None
        self._running: asyncio.Task[None] | None = None

    def cached(self, kid: str) -> VerificationKey | None:
        """Return the key if it is at hand and fresh; starts the early load when that is due."""
        age_s = self._age_s()
        if age_s > LIFETIME_S - EARLY_S and self._keys:
            if age_s > LIFETIME_S:
                return None
            if self._clock() - self._tried_s > COOL_DOWN_S:
                self._start()
        return self._keys.get(kid)

    def fresh_for_s(self) -> float:
        """Return for how many seconds a verification may be remembered before the keys are asked for again.

        Ends when the early load is due, so that requests with remembered tokens alone start it too.
        """
        return max(LIFETIME_S - EARLY_S - self._age_s(), COOL_DOWN_S)

    async def find(self, kid: str) -> VerificationKey | None:
        """Return the key, loading the set where it is missing, too old, or does not have this id.

        Raises:
            KeysUnavailable: when the source does not give a set, and this id is not in one that may still be used.
        """
        if self._may_load(kid):
            load = self._start()
            if not (kid in self._keys and self._is_outage()):
                await asyncio.shield(load)
        if self._age_s() > STALE_S or (self._failure and kid not in self._keys):
            raise self._failure or KeysUnavailable(Reason.JWK_REMOTE_MISSING, "the source has no usable key")
        return self._keys.get(kid)

    def _is_outage(self) -> bool:
        """Whether the source failed just now; an old failure says nothing, so after an idle time a request waits."""
        return self._clock() - self._failed_s <= EARLY_S

    def _may_load(self, kid: str) -> bool:
        now_s = self._clock()
        is_cooling = now_s - self._tried_s < COOL_DOWN_S
        if not self._keys:
            # Without any key each request may try again after a second: nobody gets in meanwhile.
            is_cooling = now_s - self._tried_s < 1.0
        is_due = kid not in self._keys or self._age_s() > LIFETIME_S
        return self._running is not None or (is_due and not is_cooling)

    def _age_s(self) -> float:
        return self._clock() - self._loaded_s

    def _start(self) -> "asyncio.Task[None]":
        if self._running is None:
            self._tried_s = self._clock()
            self._running = asyncio.create_task(self._reload())
        return self._running

    async def _reload(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                keys = key_set(await self._load())
        except TimeoutError:
            detail = f"no answer within {self._timeout_s:g} s"
            self._fail(KeysUnavailable(Reason.JWK_REMOTE_TIMEOUT, detail))
        except (SessionsApiError, KeyMaterialError) as error:
            self._fail(unavailable(error))
        except Exception:
            # Nobody may wait for this task, and a fault of ours must not end the loading for good.
            _log.exception("loading the keys failed")
            self._fail(KeysUnavailable(Reason.JWK_REMOTE_FAILED_TO_LOAD, "loading the keys failed; see the log"))
        else:
            self._accept(keys)
        finally:
            self._running = None

    def _fail(self, failure: KeysUnavailable) -> None:
        self._failure, self._failed_s = failure, self._clock()

    def _accept(self, keys: KeySet) -> None:
        if not keys:
            self._fail(KeysUnavailable(Reason.JWK_REMOTE_MISSING, "the source's set has no usable RSA key"))
            return
        is_changed = _identities(keys) != _identities(self._keys)
        self._loaded_s, self._failure = self._clock(), None
        if is_changed:
            self._keys = keys
            self._on_change()

    def status(self) -> KeysStatus:
        """Return whether there are keys, and whether they are older than they should be."""
        age_s = self._age_s()
        reason = self._failure.reason if self._failure else ""
        detail = self._failure.detail if self._failure else ""
        is_ready = bool(self._keys) and age_s <= STALE_S
        return KeysStatus(is_ready, is_ready and age_s > LIFETIME_S, reason, detail)

    async def warm(self) -> KeysStatus:
        """Load the set if there is no usable one, and return the status; for start-up and readiness.

        A set that is due is loaded in the background: without requests, this is all that keeps it from growing old.
        """
        if not self.status().is_ready:
            if self._may_load(""):
                await asyncio.shield(self._start())
        elif self._age_s() > LIFETIME_S - EARLY_S and self._may_load(""):
            self._start()
        return self.status()

    async def close(self) -> None:
        """Stop a running load."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)


class PinnedKeys:
    """Implements :class:`gateway.ports.KeySource` with one key from the settings; nothing is ever fetched."""

    def __init__(self, key: VerificationKey) -> None:
        self._key = key

    def cached(self, kid: str) -> VerificationKey | None:  # noqa: ARG002 - a pinned key is every id's key
        """Return the key, whatever the id (request-authentication section 4 item 3)."""
        return self._key

    def fresh_for_s(self) -> float:
        """For ever: the settings name the key."""
        return float("inf")

    async def find(self, kid: str) -> VerificationKey | None:  # noqa: ARG002
        """Return the key, whatever the id."""
        return self._key

    def status(self) -> KeysStatus:
        """Ready, always."""
        return KeysStatus(is_ready=True)

    async def warm(self) -> KeysStatus:
        """Ready, always."""
        return self.status()

    async def close(self) -> None:
        """Nothing to close."""


def _identities(keys: KeySet) -> dict[str, object]:
    return {kid: (key.public.public_numbers(), key.algorithms) for kid, key in keys.items()}


def unavailable(error: Exception) -> KeysUnavailable:
    """Say why the keys could not be loaded, each cause with a reason of its own."""
    match error:
        case ApiRefused(code="clerk_key_invalid"):
            return KeysUnavailable(Reason.SECRET_KEY_INVALID, "the API refuses instance.secret_key", 30)
        case ApiRefused() | ApiFailed():
            invalid = 200 <= error.status < 300
            reason = Reason.JWK_REMOTE_INVALID if invalid else Reason.JWK_REMOTE_FAILED_TO_LOAD
            return KeysUnavailable(reason, str(error))
        case ApiUnreachable():
            return KeysUnavailable(_CAUSES.get(error.cause, Reason.JWK_REMOTE_UNREACHABLE), error.detail)
        case _:
            return KeysUnavailable(Reason.JWK_REMOTE_INVALID, str(error))


def public_jwks(url: str, transport: httpx.AsyncBaseTransport, timeout_s: float = LOAD_TIMEOUT_S) -> Load:
    """Return a loader of a JWKS address that needs no key (the Frontend API's ``/.well-known/jwks.json``)."""

    async def load() -> object:
        request = httpx.Request("GET", url, headers={"accept": "application/json"})
        answer = await exchange(transport, request, "JWKS", timeout_s)
        if answer.status != 200:
            raise ApiFailed(answer.status, "the JWKS address did not answer 200")
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise KeyMaterialError("the document is not JSON") from error

    return load
