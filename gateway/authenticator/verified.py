"""Tokens whose signature was checked, so that the next request with one of them costs a look-up.

Two indexes: a token's digest leads to the verdict on it, a ``Cookie`` header's digest to the token that a decision
chose from it (:func:`gateway.core.shortcut.rests_on_cookies` says when that may be used). Digests are kept and no
texts: a look at this memory gives nobody a token.

An entry dies with the token's time, with its key (all are forgotten when a key goes; and none outlives the freshness of
the key set, since a token that is only ever found here would never let anybody ask for its key again), with its session
(:meth:`VerifiedTokens.end_session`), or because others were used later.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from gateway.authenticator.recent import Recent
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

# What a token takes beside texts (measured, rounded up): verdict, claims and their texts, digest, place.
_TOKEN_BYTES = 2000
_HEADER_BYTES = 120
_PERMISSION_BYTES = 60

IdentityOf = Callable[[SessionClaims], tuple[Header, ...]]


class _Known(NamedTuple):
    verdict: Verdict
    claims: SessionClaims
    since_s: float
    until_s: float


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
        self._tokens: Recent[_Known] = Recent(max_entries, max_bytes)
        self._cookies: Recent[bytes] = Recent(2 * max_entries, max_bytes // 4)
        self._ended: OrderedDict[str, float] = OrderedDict()

    def get(self, token: str, now_s: float) -> SessionClaims | None:
        """Return the claims of a token that was verified and may still be used, or None."""
        known = self._tokens.get(_digest(token))
        return known.claims if known is not None and self._counts(known, now_s) else None

    def recall(self, token: str, now_s: float) -> Verdict | None:
        """Return the verdict on a token that was verified, or None.

        Args:
            token: as it stands behind ``Bearer``.
            now_s: Unix seconds.
        """
        known = self._tokens.get(_digest(token))
        if known is None or not self._counts(known, now_s):
            return None
        return known.verdict

    def recall_cookies(self, header: bytes, now_s: float) -> Verdict | None:
        """Return the verdict on the token that was chosen from this ``Cookie`` header, or None.

        The token must not have expired at all: an expired one changes which cookies are believed (core.family).
        """
        digest = self._cookies.get(sha256(header).digest())
        known = self._tokens.get(digest) if digest is not None else None
        if known is None or known.claims.expires_at_s <= now_s or not self._counts(known, now_s):
            return None
        return known.verdict

    def put(self, token: str, claims: SessionClaims, now_s: float, fresh_for_s: float = MAX_AGE_S) -> None:
        """Remember a token whose signature and claims were checked.

        Args:
            token: its text.
            claims: what it says.
            now_s: Unix seconds.
            fresh_for_s: seconds for which the key that verified it is known to be in use.
        """
        self._drop_expired(now_s)
        identity = self._identity_of(claims)
        verdict = Verdict(State.SIGNED_IN, claims=claims, how=How.CACHE, identity=identity)
        since_s = max(claims.not_before_s, claims.issued_at_s) - self._skew_s
        until_s = min(claims.expires_at_s + self._skew_s, now_s + min(fresh_for_s, MAX_AGE_S))
        self._tokens.put(_digest(token), _Known(verdict, claims, since_s, until_s), entry_bytes(claims, identity))

    def put_cookies(self, header: bytes, token: str) -> None:
        """Remember which token a decision chose from a ``Cookie`` header."""
        self._cookies.put(sha256(header).digest(), _digest(token), COOKIE_ENTRY_BYTES)

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

    def __len__(self) -> int:
        return len(self._tokens)

    def _counts(self, known: _Known, now_s: float) -> bool:
        if not known.since_s <= now_s < known.until_s:
            return False
        return not self._ended or not self.has_ended(known.claims.session_id, known.claims.issued_at_s)

    def _drop_expired(self, now_s: float) -> None:
        """Forget up to two tokens whose time is over: more than come in, so that the dead do not pile up."""
        for _ in range(2):
            oldest = self._tokens.oldest()
            if oldest is None or oldest[1].until_s > now_s:
                return
            self._tokens.drop(oldest[0])


def entry_bytes(claims: SessionClaims, identity: tuple[Header, ...]) -> int:
    """Return what a token's entry counts for; never less than it takes."""
    permissions = claims.organization.permissions if claims.organization is not None else ()
    headers = sum(_HEADER_BYTES + len(value) for _, value in identity)
    texts = sum(_PERMISSION_BYTES + len(name) for name in permissions)
    return _TOKEN_BYTES + len(claims.encoded) + headers + texts


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
