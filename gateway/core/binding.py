"""Which browser asked for a handshake: its answer is taken by that browser alone.

A handshake's answer signs in whoever brings it. Without a tie, a link with another person's answer would sign a visitor
in as that person (login CSRF; RFC 6749 section 10.12 ties OAuth's answers the same way). So a random state goes along
in the address that the browser returns to, and stays behind in a cookie; an answer counts only where the two agree.
The reference ties nothing.

In the address the state stands behind the number of handshakes in a row, ``2.<state>``: a browser that keeps no
cookies, and so no counter, is known by it and not sent in circles.
"""

import re
from collections.abc import Callable

from gateway.core.cookies import REDIRECT_COUNT, STATE, STATE_OVER_HTTPS, SetCookie
from gateway.core.handshake import MAX_REDIRECTS, clean_url, query_values, redirect_count, with_query
from gateway.core.request import PublicUrl, RequestFacts

STATE_LIFE_S = 600
"""Seconds in which a handshake has to come back; nobody types anything on the way."""

_STATE = re.compile(r"[A-Za-z0-9_-]{32,64}")
_IN_URL = re.compile(r"([0-9]{1,3})\.([A-Za-z0-9_-]{32,64})")

UNBOUND = (
    "a handshake's answer was not taken: this browser did not ask for it, or does not keep cookies "
    f"({STATE} in the address and in the cookie differ)"
)


def is_bound(facts: RequestFacts) -> bool:
    """Whether this browser asked for the handshake that this address came back from."""
    held, sent = _held(facts), _sent(facts.url)
    return bool(held) and sent is not None and sent[1] == held


def attempts(facts: RequestFacts) -> int:
    """Return how many handshakes in a row this browser was sent to.

    The cookie counts. Where no cookie of a handshake came back, the browser keeps none, and the address counts.
    """
    if keeps_cookies(facts):
        return redirect_count(facts)
    sent = _sent(facts.url)
    return min(sent[0], MAX_REDIRECTS) if sent is not None else 0


def keeps_cookies(facts: RequestFacts) -> bool:
    """Whether the browser came with a cookie that a handshake sets, good or not."""
    return _cookie_name(facts.url) in facts.cookies or REDIRECT_COUNT in facts.cookies


def came_back(facts: RequestFacts) -> bool:
    """Whether the address is one that a handshake comes back to."""
    return _sent(facts.url) is not None


def state_of(facts: RequestFacts, new_state: Callable[[], str]) -> str:
    """Return the state to ask with: the one that the browser holds, so that its tabs share it, or a new one."""
    return _held(facts) or new_state()


def return_address(facts: RequestFacts, state: str, count: int) -> str:
    """Return the address that a handshake comes back to.

    Args:
        facts: the request whose URL it is.
        state: of the browser.
        count: number of handshakes in a row, this one included.
    """
    return with_query(clean_url(facts.url), STATE, f"{count}.{state}")


def state_cookie(url: PublicUrl, state: str) -> SetCookie:
    """Return the cookie that keeps the state.

    Over https its name begins with ``__Host-``: no other host of the same domain can set it (RFC 6265bis section
    4.1.3.2).
    """
    is_secure = url.scheme == "https"
    return SetCookie(_cookie_name(url), state, max_age_s=STATE_LIFE_S, http_only=True, secure=is_secure)


def _cookie_name(url: PublicUrl) -> str:
    return STATE_OVER_HTTPS if url.scheme == "https" else STATE


def _held(facts: RequestFacts) -> str:
    """Return the state in the cookie; of two, one was set by somebody else, and neither counts."""
    values = facts.cookies.get(_cookie_name(facts.url), ())
    return values[0] if len(values) == 1 and _STATE.fullmatch(values[0]) else ""


def _sent(url: PublicUrl) -> tuple[int, str] | None:
    """Return count and state in the address, or None where there is not exactly one."""
    values = query_values(url, STATE) if url.query else []
    match = _IN_URL.fullmatch(values[0]) if len(values) == 1 else None
    return (int(match[1]), match[2]) if match else None
