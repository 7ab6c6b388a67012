"""Tokens whose signature was checked, so that the next request with one of them costs a look-up.

Two indexes: a token's digest leads to the verdict on it, a ``Cookie`` header's digest to the token that a decision
chose from it (:func:`gateway.core.shortcut.rests_on_cookies` says when that may be used). Digests are kept and no
texts: a look at this memory gives nobody a token.

An entry dies with the token's time, with its key (all are forgotten when a key goes; and none outlives the freshness of
the key set, since a token that is only ever found here would never let anybody ask for its key again), with its session
(:meth:`VerifiedTokens.end_session`), or because others need its place.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from gateway.core.claims import SessionClaims
from gateway.core.request import Header
from gateway.core.verdict import How, State, Verdict

MAX_AGE_S = 300.0
"""The lifetime of a key set (Sessions API section 4)."""

MAX_ENDED = 10_000
"""Ended sessions that are remembered: the last ones."""

_NEVER = float("-inf")

COOKIE_ENTRY_BYTES = 400
"""What one ``Cookie`` header takes: two digests and their places (measured, rounded up)."""

COOKIES_PER_TOKEN = 2
"""``Cookie`` headers that are kept for each token: those of other sites' cookies change, too."""

SECOND_CHANCES = 8
"""Tokens that are spared in a row, because they were used, when one has to go."""

# What a token takes beside texts (measured, rounded up): verdict, claims and their texts, digest, place.
_TOKEN_BYTES = 2100
_HEADER_BYTES = 120
_PERMISSION_BYTES = 60

IdentityOf = Callable[[SessionClaims], tuple[Header, ...]]


@dataclass(slots=True)
class _Known:
    verdict: Verdict
    claims: SessionClaims
    since_s: float
    until_s: float
    size: int
    is_used: bool = False


class VerifiedTokens:
    """Implements :class:`gateway.core.evidence.VerifiedTokens`.

    Args:
        identity_of: makes the identity headers of a session, once for each token.
        max_entries: tokens that are kept.
        max_bytes: bytes that they may take together.
        skew_s: seconds that clocks may differ (``instance.clock_skew_s``).
    """

    def __init__(
        self,
        identity_of: IdentityOf = lambda _: (),
        *,
        max_entries: int = 100_000,
        max_bytes: int = 64 * 1024 * 1024,
        skew_s: float = 5.0,
    ) -> None:
        self._identity_of = identity_of
        self._skew_s = skew_s
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_cookies = min(COOKIES_PER_TOKEN * max_entries, max_bytes // COOKIE_ENTRY_BYTES)
        self._tokens: OrderedDict[bytes, _Known] = OrderedDict()
        self._cookies: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        self._ended: OrderedDict[str, float] = OrderedDict()

    def without_tokens(self) -> "VerifiedTokens":
        """Return one that keeps no token and knows the same ended sessions: for judging a token anew."""
        other = VerifiedTokens(max_entries=0, max_bytes=0)
        other._ended = self._ended
        return other

    def get(self, token: str, now_s: float) -> SessionClaims | None:
        """Return the claims of a token that was verified and may still be used, or None."""
        known = self._known(_digest(token), now_s) if self._tokens else None
        return known.claims if known is not None else None

    def recall(self, token: str, now_s: float) -> Verdict | None:
        """Return the verdict on a token that was verified, or None.

        Args:
            token: as it stands behind ``Bearer``.
            now_s: Unix seconds.
        """
        known = self._known(_digest(token), now_s)
        return known.verdict if known is not None else None

    def recall_cookies(self, header: bytes, now_s: float) -> Verdict | None:
        """Return the verdict on the token that was chosen from this ``Cookie`` header, or None.

        The token must not have expired at all: an expired one changes which cookies are believed (core.family).
        """
        digest = self._cookies.get(sha256(header).digest())
        known = self._known(digest, now_s) if digest is not None else None
        return known.verdict if known is not None and known.claims.expires_at_s > now_s else None

    def _known(self, digest: bytes, now_s: float) -> _Known | None:
        known = self._tokens.get(digest)
        if known is None or not known.since_s <= now_s < known.until_s:
            return None
        if self._ended and self.has_ended(known.claims.session_id, known.claims.issued_at_s):
            return None
        known.is_used = True
        return known

    def put(
        self, token: str, claims: SessionClaims, now_s: float, fresh_for_s: float = MAX_AGE_S
    ) -> tuple[Header, ...]:
        """Remember a token whose signature and claims were checked; return the identity headers of its session.

        Args:
            token: its text.
            claims: what it says.
            now_s: Unix seconds.
            fresh_for_s: seconds for which the key that verified it is known to be in use.
        """
        identity = self._identity_of(claims)
        verdict = Verdict(State.SIGNED_IN, claims=claims, how=How.CACHE, identity=identity)
        since_s = max(claims.not_before_s, claims.issued_at_s) - self._skew_s
        until_s = min(claims.expires_at_s + self._skew_s, now_s + min(fresh_for_s, MAX_AGE_S))
        known = _Known(verdict, claims, since_s, until_s, entry_bytes(claims, identity))
        if known.size > self._max_bytes:
            return identity
        digest = _digest(token)
        if (before := self._tokens.pop(digest, None)) is not None:
            self._bytes -= before.size
        self._tokens[digest] = known
        self._bytes += known.size
        while len(self._tokens) > self._max_entries or self._bytes > self._max_bytes:
            self._evict(now_s)
        return identity

    def _evict(self, now_s: float) -> None:
        """Forget the oldest token, sparing some that were used since they came or were spared.

        An order of use would be kept by moving an entry with each look-up; with 100,000 entries that costs half as much
        again as the look-up itself, for the memory that it touches.
        """
        for _ in range(SECOND_CHANCES):
            digest, known = self._tokens.popitem(last=False)
            if not known.is_used or known.until_s <= now_s or not self._tokens:
                self._bytes -= known.size
                return
            known.is_used = False
            self._tokens[digest] = known
        self._bytes -= self._tokens.popitem(last=False)[1].size

    def put_cookies(self, header: bytes, token: str) -> None:
        """Remember which token a decision chose from a ``Cookie`` header."""
        self._cookies[sha256(header).digest()] = _digest(token)
        if len(self._cookies) > self._max_cookies:
            self._cookies.popitem(last=False)

    def end_session(self, session_id: str, issued_before_s: float) -> None:
        """Let a session's tokens count no more.

        Args:
            session_id: whose.
            issued_before_s: Unix seconds; tokens that were issued later are of a session that lives again.
        """
        self._ended[session_id] = max(issued_before_s, self._ended.pop(session_id, 0.0))
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    def has_ended(self, session_id: str, issued_at_s: float) -> bool:
        """Return whether a token of this session, issued then, counts no more because the session has ended."""
        return issued_at_s <= self._ended.get(session_id, _NEVER)

    def clear(self) -> None:
        """Forget all tokens."""
        self._tokens.clear()
        self._cookies.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._tokens)


def entry_bytes(claims: SessionClaims, identity: tuple[Header, ...]) -> int:
    """Return what a token's entry counts for; never less than it takes."""
    permissions = claims.organization.permissions if claims.organization is not None else ()
    headers = sum(_HEADER_BYTES + len(value) for _, value in identity)
    texts = sum(_PERMISSION_BYTES + len(name) for name in permissions)
    return _TOKEN_BYTES + len(claims.encoded) + headers + texts


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
