"""Whose refreshes the API refused again and again, and for how long they are refused here without asking it.

A refresh is asked for only after the signature of the expired token was checked: who has never been signed in at this
instance causes no call at all. What is left is whoever has such a token (their own, or one that leaked) and invents
refresh tokens to it. They are held back in two ways, neither of which locks out an honest user:

- By session and refresh token together. Whoever does not know the victim's refresh token counts under another key than
  the victim. Counting by the session alone would let a leaked expired token, which is worthless otherwise, keep its
  owner from refreshing for ever.
- By client address, since refresh tokens can be invented without end. Only refusals count, and a success takes one
  back: behind a shared address most refreshes succeed, and an attacker cannot make successes out of garbage. The limit
  is generous, and holds for refresh tokens alone that were never seen good here: a browser that was refreshed before
  goes on, whoever else sits behind its address, even where every client seems to have one address because
  ``server.trusted_proxies`` is missing.

Being held back costs an honest browser little: it goes to the handshake, as after any refresh that did not succeed.
"""

import time
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from urllib.parse import unquote

from cachetools import TTLCache

from gateway.core.digest import digest
from gateway.ports import Clock

FREE_OF_PAIR = 2
"""Refusals in a row of one session with one refresh token without consequence: two workers that trade one expired token
at the same time get one refusal, and so does a browser that comes a little too late."""

FREE_OF_CLIENT = 50
"""Refusals from one address without consequence: an office whose laptops all wake up in the morning."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""The pause doubles with each refusal, and is never longer than a browser's patience."""

MEMORY_S = 120.0
"""Seconds after the last refusal in which all is forgotten."""

GOOD_MEMORY_S = 3600.0
"""Seconds for which a refresh token that succeeded is known; a session in use is refreshed every minute."""

MAX_ENTRIES = 10_000
"""Of each kind. Who fills them makes others' refusals forgotten, and no more than that."""

_DOUBLINGS = 6
_REFRESH_COOKIE = "__refresh_"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a refresh.

    Attributes:
        session_id: of the expired token, whose signature was checked.
        refresh_token: as it came.
        client: the address; empty where there is none.
    """

    session_id: str
    refresh_token: str = field(repr=False)
    client: str

    @property
    def pair(self) -> bytes:
        """The digest of session and refresh token."""
        return digest(self.session_id, self.refresh_token)

    @property
    def network(self) -> str:
        """What is held responsible for the address."""
        return network_of(self.client)


def network_of(client: str) -> str:
    """Return what counts of an address: of IPv6 the first half, since one customer has all of the second (RFC 6177).

    A text that is no address stands for itself.
    """
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)


@dataclass(slots=True)
class _Count:
    refusals: int = 0
    until_s: float = 0.0


class _Tally:
    """Counts refusals by key; beyond the free ones each doubles the pause."""

    def __init__(self, free: int, timer: Clock) -> None:
        self._free = free
        self._timer = timer
        self._counts: TTLCache[bytes | str, _Count] = TTLCache(MAX_ENTRIES, MEMORY_S, timer)

    def blocks(self, key: bytes | str) -> bool:
        count = self._counts.get(key)
        return count is not None and count.refusals > self._free and self._timer() < count.until_s

    def add(self, key: bytes | str) -> None:
        count = self._counts.get(key) or _Count()
        count.refusals = min(count.refusals + 1, self._free + _DOUBLINGS)
        count.until_s = self._timer() + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (count.refusals - self._free - 1))
        self._counts[key] = count  # and its time begins anew

    def take_back(self, key: bytes | str, refusals: int) -> None:
        count = self._counts.get(key)
        if count is not None:
            count.refusals = max(0, count.refusals - refusals)


class Refusals:
    """Remembers who was refused.

    Args:
        timer: seconds; only differences count.
    """

    def __init__(self, timer: Clock = time.monotonic) -> None:
        self._pairs = _Tally(FREE_OF_PAIR, timer)
        self._clients = _Tally(FREE_OF_CLIENT, timer)
        self._good: TTLCache[bytes, bool] = TTLCache(MAX_ENTRIES, GOOD_MEMORY_S, timer)

    def block(self, asker: Asker) -> bool:
        """Return whether the API is not to be asked now."""
        if self._pairs.blocks(asker.pair):
            return True
        return bool(asker.client) and asker.pair not in self._good and self._clients.blocks(asker.network)

    def refused(self, asker: Asker) -> None:
        """Take in that the API refused."""
        self._good.pop(asker.pair, None)
        self._pairs.add(asker.pair)
        if asker.client:
            self._clients.add(asker.network)

    def succeeded(self, asker: Asker, directives: tuple[str, ...]) -> None:
        """Take in that the API refreshed.

        Args:
            asker: who asked.
            directives: the answer's ``Set-Cookie`` values; a new refresh token in them is a good one too.
        """
        self._pairs.take_back(asker.pair, FREE_OF_PAIR + _DOUBLINGS)
        self._clients.take_back(asker.network, 1)
        for token in (asker.refresh_token, *filter(None, map(_refresh_token, directives))):
            self._good[digest(asker.session_id, token)] = True


def _refresh_token(directive: str) -> str:
    """Return the refresh token that a directive sets, as a browser will send it and the cookie reader decode it."""
    name, _, value = directive.partition(";")[0].partition("=")
    return unquote(value.strip()) if name.strip().startswith(_REFRESH_COOKIE) else ""
