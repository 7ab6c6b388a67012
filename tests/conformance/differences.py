"""Where we differ from the reference on purpose.

A difference is said by another request: ours is answered as the reference answers that one. So nothing is let off:
for each request that a difference applies to, the answers still have to agree in everything. Those about tokens of
machines stand in :mod:`tests.conformance.machine_differences`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Parts = Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """One deliberate difference.

    Attributes:
        example: a request that shows it; the reference answers it otherwise.
        applies: told by what was drawn.
        instead: what has to be drawn instead for the reference to answer as we do.
        restored_by: the setting that brings back the reference's way, where that is safe.
    """

    name: str
    why: str
    example: Parts
    applies: Callable[[Parts], bool]
    instead: Callable[[Parts], Parts]
    restored_by: str = ""


TOKENS = ("bearer", "plain", "suffixed")
RENEWABLE = (
    "expired",
    "expired-at-skew",
    "expired-without-sid",
    "expired-organization",
    "expired-pending",
    "expired-other-azp",
)
RETRYABLE = (*RENEWABLE, "not-before", "issued-in-future")
USELESS = ("template", "machine-subject", "foreign-cookie", "empty")


def _is_opened(parts: Parts) -> bool:
    """Whether this is a page that is being opened: then handshakes are answered."""
    if parts["method"] != "GET":
        return False
    return parts["accepts"] in {"document", "html"} or (
        parts["accepts"] == "iframe" and parts["count"] in {"1", "2", "3", "4", "12"}
    )


def _has_handshake(parts: Parts) -> bool:
    return bool(parts["nonce"] or parts["handshake"])


NO_HANDSHAKE = {"nonce": "", "handshake": ""}

DIFFERENCES = (
    Difference(
        "scheme-is-case-insensitive",
        "RFC 9110 section 11.1; there a token behind 'bearer' is overlooked and the cookies' session counts",
        {"bearer": "good", "scheme": "bearer"},
        lambda parts: parts["scheme"] in {"bearer", "two-blanks"},
        lambda parts: {"scheme": "Bearer"},
    ),
    Difference(
        "bare-token-is-no-bearer-token",
        "an Authorization value without the Bearer scheme belongs to somebody else; the cookies count",
        {"bearer": "good", "scheme": "bare"},
        lambda parts: parts["scheme"] == "bare",
        lambda parts: {"scheme": "Bearer", "bearer": ""},
    ),
    Difference(
        "forwarded-headers-need-a-trusted-peer",
        "anybody can send X-Forwarded-Host; server.trusted_proxies names who is believed",
        {"forwarded": "other", "plain_uat": "old"},
        lambda parts: parts["forwarded"] in {"same", "other"},
        lambda parts: {"forwarded": ""},
        "`server.trusted_proxies` names whom to believe",
    ),
    Difference(
        "loop-counter-of-three-or-more",
        "a counter past three is a loop as well",
        {"plain_uat": "old", "count": "4"},
        lambda parts: parts["count"] in {"4", "12"},
        lambda parts: {"count": "3"},
    ),
    Difference(
        "loop-counter-is-a-whole-number",
        "2.5 handshakes are junk, and junk counts as none",
        {"plain_uat": "old", "count": "2.5"},
        lambda parts: parts["count"] == "2.5",
        lambda parts: {"count": "0"},
    ),
    Difference(
        "strict-token-shape",
        "two spellings of one token would be two tokens to every cache (RFC 7515 section 2: no padding)",
        {"bearer": "padded"},
        lambda parts: any(parts[each] == "padded" for each in TOKENS),
        lambda parts: {each: "garbage" for each in TOKENS if parts[each] == "padded"},
    ),
    Difference(
        "handshakes-are-answered-on-opened-pages",
        "elsewhere another site could sign a visitor in as somebody else, unseen (login CSRF)",
        {"nonce": "good", "accepts": "empty"},
        lambda parts: _has_handshake(parts) and not _is_opened(parts),
        lambda parts: NO_HANDSHAKE,
    ),
    Difference(
        "handshake-answers-are-bound-to-the-browser",
        "there a link with another person's nonce signs a visitor in as that person (login CSRF)",
        {"nonce": "good", "bound": "other"},
        lambda parts: _has_handshake(parts) and parts["bound"] != "yes",
        lambda parts: NO_HANDSHAKE,
    ),
    Difference(
        "useless-nonce-hides-no-session",
        "quirk Q4: there anybody's junk nonce signs a visitor out",
        {"nonce": "unknown", "suffixed": "good", "suffixed_uat": "old"},
        lambda parts: parts["nonce"] in {"unknown", *USELESS},
        lambda parts: NO_HANDSHAKE,
    ),
    Difference(
        "useless-handshake-token-hides-no-session",
        "quirk Q4: there it throws in development",
        {"kind": "development", "dev_browser": "both", "handshake": "forged"},
        lambda parts: not parts["nonce"] and parts["handshake"] in {"forged", "not-a-token", "no-list", *USELESS},
        lambda parts: NO_HANDSHAKE,
    ),
    Difference(
        "refresh-for-any-method",
        "a form that is sent with an expired token must not be lost; refresh.methods restores GET only",
        {"method": "POST", "bearer": "expired", "refresh": "success"},
        lambda parts: parts["method"] != "GET" and any(parts[each] in RENEWABLE for each in TOKENS),
        lambda parts: {"method": "GET", "accepts": "empty"},
        '`refresh.methods = ["GET"]`',
    ),
    Difference(
        "the-token-that-expired-is-refreshed",
        "quirk Q1: there a header of user A comes back signed in as user B of the cookies",
        {"bearer": "expired", "suffixed": "other-session", "suffixed_uat": "old", "refresh": "unexpected-error"},
        lambda parts: (
            parts["bearer"] in RETRYABLE and parts["scheme"] == "Bearer" and bool(parts["plain"] or parts["suffixed"])
        ),
        lambda parts: {"plain": parts["bearer"], "suffixed": parts["bearer"]},
    ),
    Difference(
        "class-of-delivered-tokens-is-checked",
        "quirk Q3: a refresh must not deliver a template's or a machine's token",
        {"bearer": "expired", "refresh": "template"},
        lambda parts: parts["refresh"] in {"template", "machine-subject"},
        lambda parts: {"refresh": "forged"},
    ),
    Difference(
        "delivered-session-is-the-asked-one",
        "a refresh must not change who is signed in",
        {"bearer": "expired", "refresh": "other-session"},
        lambda parts: parts["refresh"] == "other-session",
        lambda parts: {"refresh": "says-session-mismatch"},
    ),
    Difference(
        "delivered-cookies-are-ours",
        "quirk Q12: a refresh may set this instance's cookies and no others",
        {"bearer": "expired", "refresh": "foreign-cookie"},
        lambda parts: parts["refresh"] == "foreign-cookie",
        lambda parts: {"refresh": "token-format"},
    ),
    Difference(
        "error-codes-are-plain-text",
        "quirk Q14: what an API answers never reaches a header as it is",
        {"bearer": "expired", "refresh": "odd-code"},
        lambda parts: parts["refresh"] == "odd-code",
        lambda parts: {"refresh": "no-errors"},
    ),
    Difference(
        "no-open-redirect-in-the-development-sync",
        "quirk Q5: there anybody's address gets the dev browser's token, and a relative one throws; "
        "instance.satellite_origins lists who is answered",
        {"kind": "development", "dev_browser": "both", "asks": "unlisted", "suffixed": "good", "suffixed_uat": "old"},
        lambda parts: parts["asks"] in {"unlisted", "relative", "script"},
        lambda parts: {"asks": ""},
        "`instance.satellite_origins` lists who is answered",
    ),
    Difference(
        "handshakes-are-counted-without-cookies-too",
        "a browser that keeps no cookies is sent in circles there, until it gives up by itself",
        {"plain_uat": "old", "bound": "blocked"},
        lambda parts: parts["bound"] == "blocked" and not parts["count"],
        lambda parts: {"count": "2"},
    ),
    Difference(
        "failed-call-with-broken-body-failed",
        "a status of 500 says that the API failed, whatever the body is",
        {"bearer": "expired", "refresh": "failed-broken-json"},
        lambda parts: parts["refresh"] == "failed-broken-json",
        lambda parts: {"refresh": "failed-html"},
    ),
)


def counterpart(parts: Parts) -> tuple[dict[str, str], list[str]]:
    """Return what has to be asked of the reference for our answer, and the names of the differences on the way."""
    changed, names = dict(parts), []
    for difference in DIFFERENCES:
        if difference.applies(changed):
            changed |= difference.instead(changed)
            names.append(difference.name)
    return changed, names
