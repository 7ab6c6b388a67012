"""Which pages may open a WebSocket as the person whose cookies come along.

Browsers let every page open a WebSocket to every site and send that site's cookies, and no CORS rule stands in the way:
a page of somebody else would talk as whoever visits it. What tells them apart is ``Origin`` (RFC 6455 section 10.2).
"""

from collections.abc import Set as AbstractSet

from gateway.core.request import RequestFacts


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
