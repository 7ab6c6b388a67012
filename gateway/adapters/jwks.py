"""Verification keys from a JWKS address: cached, refreshed early in the background, kept through outages.

A request waits for the network only when there is no usable set at all, when the set is past its lifetime and nothing
is known against the source, or when its ``kid`` is unknown and the last load is longer ago than the cool-down; all that
wait share one load. During an outage the keys at hand are used at once, and the source is tried in the background; so
are keys from the file of an earlier run (:mod:`gateway.adapters.key_file`) until the source has answered.
A key that left the set is refused from the next load on, and ``on_loss`` lets the caller drop what it had verified.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from cachetools import TTLCache

from gateway.adapters.key_file import KeyFile
from gateway.adapters.key_load import LOAD_TIMEOUT_S, Load, unavailable
from gateway.core.advice import advice
from gateway.core.digest import digest
from gateway.core.keys import KeyMaterialError, KeySet, VerificationKey, key_set, loses_any
from gateway.core.reasons import Reason
from gateway.core.settings_model import KeysSettings
from gateway.errors import KeysUnavailable, SessionsApiError
from gateway.ports import Clock, KeysStatus

_log = logging.getLogger(__name__)

LIFETIME_S = 300.0
"""Seconds after which a set has to be loaded again (Sessions API section 4)."""

EARLY_S = 60.0
"""Seconds before that at which the background load starts; up to half of it later, so that workers that started
together do not ask together for ever."""

UNKNOWN_COOL_DOWNS = 3
"""Cool-downs for which an id that a load did not bring causes no further load: a client that keeps sending tokens of a
key that is gone asks less often than new ids do. Loads for other causes bring it none the less."""

MAX_UNKNOWN = 1024
"""Unknown ids that are remembered; beyond that the cool-down alone bounds the loads."""

RETRY_S = 10.0
"""Seconds between loads while the keys at hand are due but usable, and for which what they verify is remembered."""

NO_KEYS_RETRY_S = 1.0
"""Seconds between loads while there is no usable key: nobody gets in meanwhile."""

DEFAULTS = KeysSettings()


class RemoteKeys:
    """Implements :class:`gateway.ports.KeySource` over a JWKS address.

    Args:
        load: fetches the document.
        on_loss: called when a load brought a set in which a key is gone, or another under its id.
        clock: seconds; only differences count.
        settings: how long keys are used, and how often they are asked for.
        file: keeps the set for the next start; read at once.
        source: where the set comes from, for the log; not a secret.
        timeout_s: seconds for one load, all attempts together.
        chance: a number from 0 to 1.
    """

    def __init__(  # noqa: PLR0913 - the surroundings, each of which a test replaces
        self,
        load: Load,
        on_loss: Callable[[], None],
        clock: Clock = time.monotonic,
        *,
        settings: KeysSettings = DEFAULTS,
        file: KeyFile | None = None,
        source: str = "",
        timeout_s: float = LOAD_TIMEOUT_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._load = load
        self._source = f" ({source})" if source else ""
        self._timeout_s = timeout_s
        self._on_loss = on_loss
        self._clock = clock
        self._settings = settings
        self._file = file
        self._chance = chance
        self._keys: KeySet = {}
        self._is_from_file = False
        self._loaded_s = self._tried_s = self._failed_s = float("-inf")
        self._early_s = EARLY_S
        self._failure: KeysUnavailable | None = None
        # Digests, since an id may be as long as a token.
        self._unknown: TTLCache[bytes, bool] = TTLCache(MAX_UNKNOWN, settings.cool_down_s * UNKNOWN_COOL_DOWNS, clock)
        self._running: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._read_file()

    def _read_file(self) -> None:
        kept = self._file.read() if self._file is not None else None
        if kept is not None:
            self._keys, self._is_from_file = kept.keys, True
            self._loaded_s = self._clock() - kept.age_s
            _log.info("keys of %.0f s ago are used from keys.cache_file until the source answers", kept.age_s)

    def cached(self, kid: str) -> VerificationKey | None:
        """Return the key if it is at hand and fresh; starts the early load when that is due."""
        age_s = self._age_s()
        if age_s > LIFETIME_S - self._early_s and self._keys:
            if age_s > LIFETIME_S:
                return None
            if self._clock() - self._tried_s > RETRY_S:
                self._start()
        return None if self._is_from_file else self._keys.get(kid)

    def fresh_for_s(self) -> float:
        """Return for how many seconds a verification may be remembered before the keys are asked for again.

        Ends when the early load is due, so that requests with remembered tokens alone start it too.
        """
        left_s = 0.0 if self._is_from_file else LIFETIME_S - self._early_s - self._age_s()
        return max(left_s, RETRY_S)

    async def find(self, kid: str) -> VerificationKey | None:
        """Return the key, loading the set where it is missing, too old, or does not have this id.

        Raises:
            KeysUnavailable: when the source does not give a set, and this id is not in one that may still be used.
        """
        if self._may_load(kid):
            load = self._start()
            if not (kid in self._keys and self._serves_old_keys()):
                await asyncio.shield(load)
                self._note_unknown(kid)
        if not self._is_usable() or (self._failure and kid not in self._keys):
            raise self._failure or KeysUnavailable(Reason.JWK_REMOTE_MISSING, "the source has no usable key")
        return self._keys.get(kid)

    def start(self) -> None:
        """Ask the source in the background: a wrong key or address is said in the log before a request comes."""
        self._start()

    def _is_usable(self) -> bool:
        return bool(self._keys) and self._age_s() <= self._settings.stale_s

    def _is_early(self) -> bool:
        return self._is_from_file or self._age_s() > LIFETIME_S - self._early_s

    def _serves_old_keys(self) -> bool:
        """Whether nobody waits for a load whose key is at hand.

        So when the source failed just now (an old failure says nothing: after an idle time a request waits), and after
        a start with keys from the file.
        """
        return self._is_usable() and (self._is_from_file or self._clock() - self._failed_s <= EARLY_S)

    def _may_load(self, kid: str) -> bool:
        if self._running is not None:
            return True
        since_s = self._clock() - self._tried_s
        if not self._is_usable():
            return since_s >= NO_KEYS_RETRY_S
        if self._is_from_file or self._age_s() > LIFETIME_S:
            return since_s >= RETRY_S
        is_new = kid not in self._keys and digest(kid) not in self._unknown
        return is_new and since_s >= self._settings.cool_down_s

    def _note_unknown(self, kid: str) -> None:
        if kid not in self._keys and self._failure is None:
            self._unknown[digest(kid)] = True

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
        if self._failure is None or self._failure.reason != failure.reason:
            _log.warning("the keys cannot be loaded: %s%s; %s", failure, self._source, self._consequence(failure))
        self._failure, self._failed_s = failure, self._clock()

    def _consequence(self, failure: KeysUnavailable) -> str:
        left_s = self._settings.stale_s - self._age_s()
        if left_s <= 0:
            return f"requests that need a session get 503. {advice(failure.reason)}"
        return f"the set of {self._age_s():.0f} s ago is used for {left_s:.0f} s more (keys.stale_s)"

    def _accept(self, keys: KeySet) -> None:
        if not keys:
            self._fail(KeysUnavailable(Reason.JWK_REMOTE_MISSING, "the source's set has no usable RSA key"))
            return
        if self._failure is not None:
            _log.warning("the keys can be loaded again")
        is_loss = loses_any(self._keys, keys)
        if is_loss or loses_any(keys, self._keys):
            self._keys = keys
        self._loaded_s, self._failure, self._is_from_file = self._clock(), None, False
        self._early_s = EARLY_S * (0.5 + self._chance() / 2)
        self._unknown.clear()
        if is_loss:
            self._on_loss()
        self._keep()

    def _keep(self) -> None:
        """Write the file beside the requests; while a slow disk is busy with one set, the next is left to later."""
        if self._file is not None and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(self._file.keep(self._keys))

    def status(self) -> KeysStatus:
        """Return whether there are keys, and whether they are older than they should be."""
        reason = self._failure.reason if self._failure else ""
        detail = self._failure.detail if self._failure else ""
        if not self._keys:
            return KeysStatus(False, reason=reason, detail=detail)
        age_s, is_ready = self._age_s(), self._is_usable()
        return KeysStatus(
            is_ready,
            is_ready and (self._is_from_file or age_s > LIFETIME_S),
            reason,
            detail,
            age_s=age_s,
            usable_for_s=max(0.0, self._settings.stale_s - age_s),
            is_from_file=self._is_from_file,
        )

    async def warm(self) -> KeysStatus:
        """Load the set if there is no usable one, and return the status; for start-up and readiness.

        A set that is due is loaded in the background: without requests, this is all that keeps it from growing old.
        """
        if not self._is_usable():
            if self._may_load(""):
                await asyncio.shield(self._start())
        elif self._is_early() and self._clock() - self._tried_s >= RETRY_S:
            self._start()
        return self.status()

    async def close(self) -> None:
        """Stop a running load; let a file that is being written be finished."""
        if self._running is not None:
            self._running.cancel()
        tasks = [task for task in (self._running, self._keeping) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)


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

    def start(self) -> None:
        """Nothing to ask."""

    async def close(self) -> None:
        """Nothing to close."""
