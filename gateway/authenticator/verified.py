"""Tokens whose signature was checked, so that the next request with one of them costs a look-up.

Bounded by bytes; the least recently used goes first. Times are checked on every use by the core, and the whole cache is
emptied when the key set changes, so that no token outlives the key that signed it.
"""

from cachetools import LRUCache

from gateway.core.claims import SessionClaims

ENTRY_OVERHEAD_BYTES = 2048
"""What one entry keeps beside the token's own text: claims, strings and the cache's links (measured, rounded up)."""


def _size(_claims: SessionClaims) -> int:
    return ENTRY_OVERHEAD_BYTES


class VerifiedTokens:
    """Implements :class:`gateway.core.evidence.VerifiedTokens`.

    Args:
        max_bytes: bytes that all entries together may take.
    """

    def __init__(self, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._entries: LRUCache[str, SessionClaims] = LRUCache(max_bytes, getsizeof=_size)

    def get(self, token: str) -> SessionClaims | None:
        """Return the claims of a verified token, or None."""
        return self._entries.get(token)

    def put(self, token: str, claims: SessionClaims) -> None:
        """Remember a token whose signature and claims were checked."""
        self._entries[token] = claims

    def clear(self) -> None:
        """Forget all of them."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
