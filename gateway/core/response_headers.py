"""Which headers of an upstream's answer reach the client, and what caches are told of it.

Sources: RFC 9110 section 7.6.1 (hop-by-hop), RFC 6265 (cookies), RFC 9111 (caches).
"""

from collections.abc import Iterable
from enum import Enum
from typing import Final

from gateway.core.header_names import HOP_BY_HOP, Remembered, without_named
from gateway.core.request import Header

_NEVER_TO_CLIENTS = (b"x-accel-", b"x-middleware-")


class _Answered(Enum):
    """What an answer's header name means here."""

    CROSSES = "crosses"
    STAYS = "stays"
    CONNECTION = "connection"
    SET_COOKIE = "set-cookie"


def _judge_answered(name: bytes) -> _Answered:
    if name in {b"connection", b"set-cookie"}:
        return _Answered(name.decode("ascii"))
    # The request's name is what the gateway says it is: a service that echoes it would have it there twice.
    stays = name in HOP_BY_HOP or name == b"x-request-id" or name.startswith(_NEVER_TO_CLIENTS)
    return _Answered.STAYS if stays else _Answered.CROSSES


_ANSWERED: Final = Remembered(_judge_answered)
_BACK: Final = _Answered.CROSSES
_NOT_BACK: Final = _Answered.STAYS
_SET_COOKIE: Final = _Answered.SET_COOKIE


def response_headers(headers: Iterable[Header], private_cookies: frozenset[bytes]) -> list[Header]:
    """Return what of an upstream's answer reaches the client.

    Left out are hop-by-hop headers, orders to proxies, and cookies of our names: a service behind the gateway must not
    replace a session.

    Args:
        headers: as received, names in lower case.
        private_cookies: names of cookies that an upstream may not set.
    """
    kept: list[Header] = []
    connection: list[Header] = []
    for header in headers:
        meaning = _ANSWERED[header[0]]
        if meaning is _BACK:
            kept.append(header)
        elif meaning is _NOT_BACK:
            continue
        elif meaning is _SET_COOKIE:
            if _set_cookie_name(header[1]) not in private_cookies:
                kept.append(header)
        else:
            connection.append(header)
    return without_named(kept, connection) if connection else kept


def _set_cookie_name(value: bytes) -> bytes:
    """Return the name; browsers send a nameless cookie ``=a=b`` back as ``a=b``, so it is one named ``a``."""
    return value.lstrip(b"= \t").partition(b";")[0].partition(b"=")[0].strip()


def with_cache_rules(headers: list[Header]) -> list[Header]:
    """Return the headers of an answer that depends on who asks, so that no shared cache gives it to another.

    ``Cache-Control: private`` is added where the upstream says nothing, ``Vary`` always.
    """
    for name, _ in headers:
        if name == b"cache-control":
            break
    else:
        headers.append((b"cache-control", b"private"))
    headers.append((b"vary", b"Cookie, Authorization"))
    return headers


# CDNs obey the last two before the first (RFC 9213).
_CACHE_ORDERS = frozenset({b"cache-control", b"expires", b"cdn-cache-control", b"surrogate-control"})


def for_one_browser(headers: Iterable[Header]) -> list[Header]:
    """Return the headers of an answer to which cookies of ours are added, so that nobody keeps it.

    Who made the answer cannot know that a session was renewed on the way; where it lets caches share the answer, it
    would let them share the session (RFC 9111 section 7.3: ``Set-Cookie`` alone does not prevent storing).
    """
    kept = [(name, value) for name, value in headers if name.lower() not in _CACHE_ORDERS]
    return [*kept, (b"cache-control", b"no-store")]
