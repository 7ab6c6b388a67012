"""When two answers agree: what is compared, in a form that both share."""

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from gateway.core.cookies import REDIRECT_COUNT, CookieError, CookieNames, remake
from tests.conformance.cases import Case
from tests.conformance.engines import Answer
from tests.conformance.world import NAMES

RESULTS = {"__clerk_db_jwt", "__clerk_handshake", "__clerk_handshake_nonce", "__clerk_help", "__dev_session"}
OURS = {"__gateway_state"}
RETURNS = {"redirect_url", "__clerk_redirect_url"}
HANDSHAKE_COOKIES = {"__clerk_handshake", "__clerk_handshake_nonce", "__Host-gateway_state"}


def compared(case: Case, answer: Answer, differences: list[str]) -> dict[str, Any]:
    """Return what has to be the same for both engines.

    Two differences are told by what comes out: sessions with open tasks are signed out, and redirect URLs keep the
    bytes of the query where the reference writes it anew.
    """
    state, reason, identity = answer.state, answer.reason, answer.identity
    if identity is not None and identity["sessionStatus"] == "pending":
        state, reason, identity = "signed-out", "session-pending", None
    return {
        "state": state,
        "reason": reason,
        "location": location(case, answer, differences),
        "cookies": cookies(answer, NAMES[case.kind]),
        "identity": identity,
    }


def location(case: Case, answer: Answer, differences: list[str]) -> Any:
    """Return the address in parts; that of a finished handshake is judged by a test of its own."""
    if answer.state != "handshake":
        return ""
    parts = urlsplit(answer.location)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if "the-token-that-expired-is-refreshed" in differences:
        # Which family the cookies are of follows from the cookies; the counterpart's are others.
        pairs = [pair for pair in pairs if pair[0] not in {"suffixed_cookies", "__clerk_db_jwt"}]
    if "strict-token-shape" in differences:
        pairs = [pair for pair in pairs if pair[0] != "__session"]
    # An address that was not answered stays in the URL that ours comes back to; the counterpart has none.
    dropped = {"__clerk_redirect_url"} if "no-open-redirect-in-the-development-sync" in differences else set()
    keeps_bytes = case.query in {"", "q=1"}
    pairs = [
        (name, value if name not in RETURNS else without_state(value) if keeps_bytes else rewritten(value, dropped))
        for name, value in pairs
    ]
    return parts._replace(query="").geturl(), pairs


def without_state(url: str) -> str:
    """Return the URL without the state that ours adds at its end."""
    return re.sub(r"[?&]__gateway_state=[0-9]+\.[\w-]+\Z", "", url)


def rewritten(url: str, dropped: Collection[str] = ()) -> str:
    """Return the URL with its query written as a form, without what handshakes leave behind."""
    parts = urlsplit(url)
    left_out = {*RESULTS, *OURS, *dropped}
    pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in left_out]
    return parts._replace(query=urlencode(pairs)).geturl()


def cookies(answer: Answer, names: CookieNames) -> list[object]:
    """Return the cookies as we make them anew: without Domain and Path, handshake cookies not among them.

    The counter goes along with each redirect of ours, also with the one to the clean address after a handshake.
    """
    counted = answer.cookies if answer.state == "handshake" else ()
    counters = [_counter(text) for text in counted if text.startswith(REDIRECT_COUNT)]
    rest = [text for text in answer.cookies if not text.startswith((REDIRECT_COUNT, *HANDSHAKE_COOKIES))]
    try:
        return [*counters, *remake(rest, names, secure=True)]
    except CookieError:
        return [*counters, *rest]


def _counter(directive: str) -> tuple[str, frozenset[str]]:
    value, *attributes = directive.split("; ")
    return value, frozenset(attributes) - {"Path=/", "Secure"}
