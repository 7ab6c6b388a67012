"""What both ways across the gateway know of headers: how many there may be, which end at each hop, how a name is read.

Sources: RFC 9110 section 7.6.1 (hop-by-hop), and the advisory that taught why names are folded (CVE-2025-64484:
``X_Forwarded_User`` reaches a WSGI application as ``X-Forwarded-User``).
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from gateway.core.request import Header

MAX_HEAD_BYTES: Final = 128 * 1024
"""Request line and headers together; more is answered 431. A browser's cookies fit many times over."""

MAX_HEADER_LINES: Final = 256
"""Beyond that is answered 431, too: each line costs more than its bytes."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)

# Framing and addressing belong to the gateway; a client's Connection header cannot take them away.
_END_TO_END = frozenset({b"host", b"content-length", b"content-type", b"cookie", b"authorization"})
# What nearly every Connection header says. No other header is of these names.
_NAMES_NOTHING: Final = frozenset({b"keep-alive", b"close"})

_LINE_FEED: Final = ord("\n")
_RETURN: Final = ord("\r")
_NUL: Final = 0

_MAX_REMEMBERED = 512
_MAX_REMEMBERED_BYTES = 64

T = TypeVar("T")

_FOLDED = bytes(ord(chr(code).lower()) if chr(code).isalnum() and code < 0x80 else ord("-") for code in range(0x100))


def fold(name: bytes) -> bytes:
    """Return the name as the most forgiving of CGI, FastCGI, WSGI and PHP would read it: all but letters and digits
    is one character."""
    return name.translate(_FOLDED)


class Remembered(dict[bytes, T]):
    """What was judged of header names, which are few and come with every request.

    Long names are judged each time, and too many names are forgotten all at once: a client cannot fill the memory.

    Args:
        judge: says what a name means; depends on nothing else.
    """

    __slots__ = ("_judge",)

    def __init__(self, judge: Callable[[bytes], T]) -> None:
        super().__init__()
        self._judge = judge

    def __missing__(self, name: bytes) -> T:
        verdict = self._judge(name)
        if len(name) <= _MAX_REMEMBERED_BYTES:
            if len(self) >= _MAX_REMEMBERED:
                self.clear()
            self[name] = verdict
        return verdict


_USUAL = """
    accept accept-encoding accept-language accept-ranges access-control-request-headers access-control-request-method
    age authorization cache-control connection content-encoding content-language content-length content-type cookie
    date dnt etag expect expires forwarded host if-match if-modified-since if-none-match if-range keep-alive
    last-modified link location origin pragma priority range referer sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform
    sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user server set-cookie strict-transport-security te
    traceparent tracestate transfer-encoding upgrade upgrade-insecure-requests user-agent vary via
    x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-proto x-frame-options x-powered-by
    x-real-ip x-request-id x-requested-with
"""
USUAL: Final = {written.encode(): name.encode() for name in _USUAL.split() for written in (name, name.title())}
"""Names as they are usually written, to lower case: one object for each, whose hash is known at the next look-up."""


def hides_break(lines: list[bytes]) -> bool:
    """Return whether a line break or NUL hides inside of a line: what holds one, others read as two (RFC 9112 section
    11.1)."""
    text = b"".join(lines)
    return _LINE_FEED in text or _RETURN in text or _NUL in text


def without_named(headers: list[Header], connection: Sequence[Header]) -> list[Header]:
    """Return the headers without those that ``Connection`` names.

    Args:
        headers: names in lower case.
        connection: all ``Connection`` headers that came with them.
    """
    named = _named_in_connection(connection)
    return [header for header in headers if header[0] not in named] if named else headers


def _named_in_connection(connection: Sequence[Header]) -> frozenset[bytes]:
    values = [value for _, value in connection if value not in _NAMES_NOTHING]
    if not values:
        return frozenset()
    return frozenset(item.strip().lower() for value in values for item in value.split(b",")) - _END_TO_END
