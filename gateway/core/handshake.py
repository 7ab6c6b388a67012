"""The browser handshake: when it may be asked for, where it sends the browser, and what its answer sets.

Facts: request-authentication sections 8 and 10; Sessions API section 5.
"""

from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote_plus, urlencode

from gateway.core.cookies import (
    DEV_BROWSER,
    HANDSHAKE,
    HANDSHAKE_NONCE,
    REDIRECT_COUNT,
    SESSION,
    STATE,
    CookieNames,
    SetCookie,
)
from gateway.core.request import PublicUrl, RequestFacts

MAX_REDIRECTS = 3
"""Handshakes in a row after which the loop is stopped."""

REDIRECT_COUNT_LIFE_S = 2

_RESULT_PARAMETERS = frozenset({DEV_BROWSER, HANDSHAKE, HANDSHAKE_NONCE, STATE, "__clerk_help", "__dev_session"})
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


def is_eligible(facts: RequestFacts) -> bool:
    """Whether a redirect to the handshake would reach a person's browser: a GET that navigates."""
    return facts.method == "GET" and facts.is_navigation


def why_not(facts: RequestFacts) -> str:
    """Return why a request is not eligible, in words."""
    if facts.method != "GET":
        return f"its method is {facts.method}"
    destination = facts.header("sec-fetch-dest")
    if destination:
        return f"its Sec-Fetch-Dest is {destination}, not document or iframe"
    return "it has no Sec-Fetch-Dest, and its Accept does not begin with text/html"


def takes_answer(facts: RequestFacts) -> bool:
    """Whether what a handshake brings back may be taken from this request.

    Only from a page that is being opened; in a frame only when we have just sent it to the handshake. Otherwise any
    site could sign a visitor in as somebody else from a frame that nobody sees (login CSRF).
    """
    return is_eligible(facts) and (facts.header("sec-fetch-dest") != "iframe" or redirect_count(facts) > 0)


def redirect_count(facts: RequestFacts) -> int:
    """Return how many handshakes this browser was sent to within the last seconds; junk counts as none."""
    text = facts.cookie(REDIRECT_COUNT)
    if not (text.isascii() and text.isdigit()):
        return 0
    return int(text) if len(text) <= 4 else MAX_REDIRECTS


def count_cookie(count: int, *, secure: bool) -> SetCookie:
    """Return the cookie that remembers the number of handshakes, for two seconds."""
    return SetCookie(
        name=REDIRECT_COUNT, value=str(count), max_age_s=REDIRECT_COUNT_LIFE_S, http_only=True, secure=secure
    )


def location(base: str, return_address: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return the address of the handshake.

    Args:
        base: the Frontend API, ``https://host``, without a trailing slash.
        return_address: where the browser comes back to.
        parameters: what follows ``redirect_url``, in order.
    """
    query = urlencode([("redirect_url", return_address), *parameters], errors="replace")
    return f"{base}/v1/client/handshake?{query}"


def clean_url(url: PublicUrl) -> str:
    """Return the URL without the parameters that a handshake leaves behind.

    The rest of the query keeps its bytes: a signature over it stays good (unlike in the reference, quirk Q8). Bytes
    that a URL may not have (RFC 3986 section 2) are percent-encoded, each by itself.
    """
    query = clean_query(url.query)
    if not (query.isascii() and query.isprintable()) or " " in query:
        query = escape(query)
    return str(PublicUrl(url.scheme, url.host, url.path, query))


def clean_query(query: str) -> str:
    """Return a query without the parameters that a handshake leaves behind; the rest keeps its bytes."""
    if "__" not in query and "%5" not in query:
        return query
    return "&".join(pair for pair in query.split("&") if _name(pair) not in _RESULT_PARAMETERS)


def escape(text: str) -> str:
    """Return a URL with the bytes that it may not hold percent-encoded; each character stands for one (latin-1)."""
    return quote(text, safe=_VISIBLE, encoding="latin-1", errors="replace")


def query_value(url: PublicUrl, name: str) -> str | None:
    """Return the first value of a query parameter, or None where it is not there."""
    values = query_values(url, name)
    return values[0] if values else None


def query_values(url: PublicUrl, name: str) -> list[str]:
    """Return all values of a query parameter, in order."""
    if name not in url.query and "%" not in url.query:
        return []
    pairs = url.query.split("&")
    return [unquote_plus(pair.partition("=")[2], errors="replace") for pair in pairs if _name(pair) == name]


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0], errors="replace")


def with_query(address: str, name: str, value: str) -> str:
    """Return an address with one more query parameter, in front of its fragment."""
    target, mark, fragment = address.partition("#")
    joint = "&" if "?" in target else "?"
    return f"{target}{joint}{quote_plus(name)}={quote_plus(value, errors='replace')}{mark}{fragment}"


def with_query_set(address: str, name: str, value: str) -> str:
    """Return an address with a query parameter set: in place of the first of its name, the others dropped."""
    target, mark, fragment = address.partition("#")
    place, _, query = target.partition("?")
    pairs = query.split("&")
    found = [position for position, pair in enumerate(pairs) if _name(pair) == name]
    if not found:
        return with_query(address, name, value)
    pairs[found[0]] = f"{quote_plus(name)}={quote_plus(value, errors='replace')}"
    kept = "&".join(pair for position, pair in enumerate(pairs) if position not in found[1:])
    return f"{place}?{kept}{mark}{fragment}"


def delivered_session(cookies: Iterable[SetCookie], names: CookieNames) -> str:
    """Return the session token that a refresh or handshake sets: the last one, or empty when it signs out."""
    values = [cookie.value for cookie in cookies if cookie.name in (SESSION, names.session)]
    return values[-1] if values else ""
