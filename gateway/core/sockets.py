"""Which pages may open a WebSocket as the person whose cookies come along.

Browsers let every page open a WebSocket to every site and send that site's cookies, and no CORS rule stands in the way:
a page of somebody else would talk as whoever visits it. What tells them apart is ``Origin`` (RFC 6455 section 10.2).
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from gateway.core.request import Header, RequestFacts

# No script can set a header that begins so, and no server opens a WebSocket without (RFC 6455 sections 4.2.1, 10.2;
# over HTTP/2 RFC 8441 section 5): they say it also where a proxy took Upgrade away, which ends at each hop.
_OPENING = frozenset({b"sec-websocket-key", b"sec-websocket-version"})


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
