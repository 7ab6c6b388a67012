"""What is special about WebSockets: which pages may open one, tokens among sub-protocols, and how they end (RFC 6455).

Browsers let every page open a WebSocket to every site and send that site's cookies, and no CORS rule stands in the way:
a page of somebody else would talk as whoever visits it. What tells them apart is ``Origin`` (RFC 6455 section 10.2).
"""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final, NamedTuple

from gateway.core.request import Header, RequestFacts

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # RFC 9110 section 5.6.2
_NOT_SENT = frozenset({1004, 1005, 1006})

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
NO_CODE = 1005
LOST = 1006
TOO_BIG = 1009
UPSTREAM_FAILED = 1011
TRY_AGAIN = 1013
SESSION_OVER = 4401

# No script can set a header that begins so, and no server opens a WebSocket without (RFC 6455 sections 4.2.1, 10.2;
# over HTTP/2 RFC 8441 section 5): they say it also where a proxy took Upgrade away, which ends at each hop.
_OPENING: Final = frozenset({b"sec-websocket-key", b"sec-websocket-version"})


def opens_websocket(headers: Iterable[Header]) -> bool:
    """Return whether these headers, names in lower case, ask for a WebSocket or come from a request that does."""
    for name, value in headers:  # noqa: SIM110 - written out: asked for every decision
        if name in _OPENING or (name == b"upgrade" and b"websocket" in value.lower()):
            return True
    return False


def is_foreign(facts: RequestFacts, known: AbstractSet[str]) -> bool:
    """Return whether a WebSocket is opened with cookies by a page of another site.

    Programs send no ``Origin``, and a Bearer token is never sent along by a browser on its own.

    Args:
        facts: the opening request.
        known: origins of the application's own pages, beside the one that is asked (``instance.authorized_parties``).
    """
    origin = facts.header("origin")
    if not origin or facts.bearer is not None:
        return False
    return origin != facts.url.origin and origin not in known


class BadOfferError(Exception):
    """The offer of sub-protocols is no list of different tokens (RFC 6455 section 4.1)."""


class Offer(NamedTuple):
    """The sub-protocols that a client offers.

    Attributes:
        protocols: for the upstream to choose from.
        token: the Bearer token that stood among them; None where there is none, empty where there are several.
        marker: the sub-protocol before the token, as it was offered; empty where there is none.
    """

    protocols: tuple[str, ...] = ()
    token: str | None = None
    marker: str = ""

    def answer(self, chosen: str | None) -> str | None:
        """Return what the client is told: browsers give up where they offered something and nothing is chosen."""
        return chosen or self.marker or None


def offer_in(headers: Iterable[Header], marker: str | None) -> Offer:
    """Read what a client offers in ``Sec-WebSocket-Protocol``.

    A page cannot set headers of a WebSocket, so a Bearer token comes as a sub-protocol behind one of a fixed name:
    ``new WebSocket(url, ["bearer", token, "app.v1"])``.

    Args:
        headers: of the request, names in lower case.
        marker: the name before a token (``routes[].websocket_token_protocol``); None where none is taken.

    Raises:
        BadOfferError: it is not a list of different tokens.
    """
    values = [value for name, value in headers if name == b"sec-websocket-protocol"]
    offered = [part.strip(b" \t") for value in values for part in value.split(b",")]
    if not all(map(_TOKEN, offered)) or len(set(offered)) < len(offered):
        raise BadOfferError
    names = [part.decode("ascii") for part in offered]
    return _split(names, marker) if marker is not None and marker in names else Offer(tuple(names))


def _split(names: Sequence[str], marker: str) -> Offer:
    place = names.index(marker)
    token = names[place + 1] if place + 1 < len(names) else ""
    return Offer((*names[:place], *names[place + 2 :]), token, marker)


def with_token(facts: RequestFacts, offer: Offer) -> RequestFacts:
    """Return the facts with the token of an offer as the Bearer token; with two of them none is believed."""
    if offer.token is None:
        return facts
    return replace(facts, bearer=offer.token if facts.bearer is None else "")


class End(NamedTuple):
    """How a WebSocket ends, on both sides.

    Attributes:
        to_client, to_upstream: close codes; :data:`NO_CODE` for none.
        text: the reason that goes along, at most 123 bytes (RFC 6455 section 5.5).
        reason: code for the log; empty where one of the two sides wanted it so.
        detail: for the log.
    """

    to_client: int
    to_upstream: int
    text: str = ""
    reason: str = ""
    detail: str = ""


def relayed(code: int, text: str = "") -> End:
    """Return the end that one side began with a close frame: the other is told the same.

    Args:
        code: as received; :data:`NO_CODE` where the frame had none.
        text: as received.
    """
    passed = code if code == NO_CODE or may_be_sent(code) else NORMAL
    return End(passed, passed, text)


def may_be_sent(code: int) -> bool:
    """Return whether a close frame may carry this code (RFC 6455 section 7.4)."""
    return (1000 <= code <= 1014 and code not in _NOT_SENT) or 3000 <= code <= 4999
