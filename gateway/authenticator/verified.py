"""Tokens whose signature was checked, so that the next request with one of them costs a look-up.

Bounded by bytes; the least recently used goes first. Times are checked on every use by the core, and the whole cache is
emptied when the key set changes, so that no token outlives the key that signed it. Nor does an entry outlive the
lifetime of a key set: a token that is only ever found here would never let anybody ask for its key again.
"""

import time
from typing import NamedTuple

from cachetools import LRUCache

from gateway.core.claims import SessionClaims
from gateway.ports import Clock

ENTRY_OVERHEAD_BYTES = 4096
"""What one entry keeps beside texts: claims, their dictionary and the cache's links (measured, rounded up)."""

BYTES_PER_CHARACTER = 3
"""The token's own text, its claims as decoded, and what is read out of them (measured, rounded up)."""

MAX_AGE_S = 300.0
"""The lifetime of a key set (Sessions API section 4)."""


class _Entry(NamedTuple):
    claims: SessionClaims
    checked_s: float
    size: int


def _size(entry: _Entry) -> int:
    return entry.size


def entry_bytes(token: str) -> int:
    """Return what a token's entry counts for."""
    return ENTRY_OVERHEAD_BYTES + BYTES_PER_CHARACTER * len(token)


class VerifiedTokens:
    """Implements :class:`gateway.core.evidence.VerifiedTokens`.

    Args:
        max_bytes: bytes that all entries together may take.
        max_age_s: seconds after which a signature is checked anew.
        clock: seconds; only differences count.
    """

    def __init__(
        self, max_bytes: int = 64 * 1024 * 1024, max_age_s: float = MAX_AGE_S, clock: Clock = time.monotonic
    ) -> None:
        self._entries: LRUCache[str, _Entry] = LRUCache(max_bytes, getsizeof=_size)
        self._max_age_s = max_age_s
        self._clock = clock

    def get(self, token: str) -> SessionClaims | None:
        """Return the claims of a verified token, or None."""
        entry = self._entries.get(token)
        if entry is None or self._clock() - entry.checked_s > self._max_age_s:
            return None
        return entry.claims

    def put(self, token: str, claims: SessionClaims) -> None:
        """Remember a token whose signature and claims were checked."""
        size = entry_bytes(token)
        if size <= self._entries.maxsize:
            self._entries[token] = _Entry(claims, self._clock(), size)

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
