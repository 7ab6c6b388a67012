"""Reading ``Cookie`` and making ``Set-Cookie`` (RFC 6265), for the cookies of one instance.

Reading survives anything: junk is skipped, never raised (one foreign cookie must not sign anybody out). What an API
asks us to set is parsed, checked against the names that are ours and made anew; nothing is relayed as it came.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

SESSION = "__session"
CLIENT_UAT = "__client_uat"
REFRESH = "__refresh"
DEV_BROWSER = "__clerk_db_jwt"
CLIENT = "__client"
HANDSHAKE = "__clerk_handshake"
HANDSHAKE_NONCE = "__clerk_handshake_nonce"
REDIRECT_COUNT = "__clerk_redirect_count"
STATE = "__gateway_state"
STATE_OVER_HTTPS = "__Host-gateway_state"

_SUFFIXED = (SESSION, CLIENT_UAT, REFRESH, DEV_BROWSER)
_OF_HANDSHAKES = (HANDSHAKE, HANDSHAKE_NONCE, REDIRECT_COUNT, STATE, STATE_OVER_HTTPS)
_PLAIN = (SESSION, CLIENT_UAT, DEV_BROWSER, *_OF_HANDSHAKES)
_PRIVATE = (SESSION, REFRESH, CLIENT, DEV_BROWSER, CLIENT_UAT, *_OF_HANDSHAKES)


@dataclass(frozen=True, slots=True)
class CookieNames:
    """The names of one instance's cookies.

    Attributes:
        suffix: :attr:`gateway.core.instance.PublishableKey.cookie_suffix`.
        session, client_uat, refresh, dev_browser: the suffixed names.
        settable: names that a refresh or a handshake may set.
        private: names that never go to an upstream and that an upstream may not set.
    """

    suffix: str
    session: str
    client_uat: str
    refresh: str
    dev_browser: str
    settable: frozenset[str]
    private: frozenset[str]

    @classmethod
    def of(cls, suffix: str) -> "CookieNames":
        """Return the names for a cookie suffix."""
        session, client_uat, refresh, dev_browser = (f"{name}_{suffix}" for name in _SUFFIXED)
        suffixed = (session, client_uat, refresh, dev_browser)
        return cls(
            suffix,
            *suffixed,
            settable=frozenset((SESSION, CLIENT_UAT, DEV_BROWSER, *suffixed)),
            private=frozenset((*_PRIVATE, *suffixed, f"{CLIENT}_{suffix}")),
        )

    @property
    def read(self) -> frozenset[str]:
        """The names that a decision looks at."""
        return frozenset((*_PLAIN, self.session, self.client_uat, self.refresh, self.dev_browser))


MAX_VALUES = 16
"""Distinct values of one name that are told apart; a browser sends one per domain and path that was set."""


def read(values: Iterable[str], names: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """Read the cookies of these names out of ``Cookie`` header values.

    Blanks around names and values are trimmed, quotes are kept, percent-escapes are decoded per value
    (request-authentication section 2). Pairs without ``=`` and empty values count as absent.

    Returns:
        for each name that is there, all of its distinct values in the order sent; of more than :data:`MAX_VALUES` one
        more, so that it shows.
    """
    found: dict[str, tuple[str, ...]] = {}
    for header in values:
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            name = name.strip(" \t")
            if name in names and (value := value.strip(" \t")):
                value = _decoded(value) if "%" in value else value
                known = found.get(name, ())
                if value not in known and len(known) <= MAX_VALUES:
                    found[name] = (*known, value)
    return found


_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _decoded(value: str) -> str:
    """Decode percent-escapes; a value with one that means nothing stays as it is, as in browsers' decoders."""
    if _STRAY_PERCENT.search(value):
        return value
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        return value


_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")
_SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "None"}
_EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
MAX_BYTES = 4096
"""Browsers drop a cookie whose name, value and attributes exceed this (RFC 6265 section 6.1)."""


class CookieError(ValueError):
    """A directive that may not be set; the message never holds the value."""


class OversizedCookieError(CookieError):
    """A directive that browsers would drop for its size."""


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One cookie to set, made by us.

    Attributes:
        max_age_s: seconds to live; None for the browser's session; 0 to remove it.
    """

    name: str
    value: str = field(repr=False)
    max_age_s: int | None = None
    http_only: bool = False
    secure: bool = False
    same_site: str = "Lax"

    def header(self) -> bytes:
        """Return the value of a ``Set-Cookie`` header."""
        parts = [f"{self.name}={self.value}", "Path=/"]
        if self.max_age_s is not None:
            parts.append(f"Max-Age={self.max_age_s}")
            if self.max_age_s == 0:
                parts.append(f"Expires={_EPOCH}")
        if self.http_only:
            parts.append("HttpOnly")
        if self.secure:
            parts.append("Secure")
        parts.append(f"SameSite={self.same_site}")
        return "; ".join(parts).encode("ascii")


def remake(directives: Sequence[str], names: CookieNames, *, secure: bool) -> tuple[SetCookie, ...]:
    """Parse ``Set-Cookie`` directives of a refresh or handshake and make our own from them.

    Kept are name, value, lifetime, ``HttpOnly`` and ``SameSite``. ``Domain`` and ``Path`` are dropped: the cookie
    belongs to this host and to all of it. ``Secure`` is set when the public URL is https.

    Args:
        directives: the texts, at most 16.
        names: this instance's names; a directive of another name is refused.
        secure: whether browsers reach us by https.

    Raises:
        CookieError: when one of them is not ours, has no value, or is not ASCII.
        OversizedCookieError: when one of them is more than a browser keeps.
    """
    if len(directives) > 16:
        raise CookieError(f"{len(directives)} cookies in one answer, 16 are allowed")
    return tuple(_remake_one(directive, names, secure) for directive in directives)


def _remake_one(directive: str, names: CookieNames, secure: bool) -> SetCookie:
    pair, *attributes = directive.split(";")
    name, equals, value = pair.partition("=")
    name, value = name.strip(" \t"), value.strip(" \t")
    if name not in names.settable:
        raise CookieError("a cookie of a name that is not this instance's")
    if not equals:
        raise CookieError(f"{name} without a value; to remove it, the value must be empty")
    if not _VALUE.fullmatch(value):
        raise CookieError(f"the value of {name} has characters that a cookie may not have")
    options = {key.strip().lower(): text.strip() for key, _, text in (item.partition("=") for item in attributes)}
    same_site = _SAME_SITE.get(options.get("samesite", "lax").lower(), "Lax")
    cookie = SetCookie(
        name=name,
        value=value,
        max_age_s=_max_age(options, is_empty=not value),
        http_only="httponly" in options,
        secure=secure or same_site == "None",
        same_site=same_site,
    )
    if len(cookie.header()) > MAX_BYTES:
        message = f"{name} is larger than the {MAX_BYTES} bytes that browsers keep; use fewer custom claims"
        raise OversizedCookieError(message)
    return cookie


def _max_age(options: dict[str, str], *, is_empty: bool) -> int | None:
    text = options.get("max-age", "")
    if re.fullmatch(r"-?[0-9]{1,10}", text):
        return max(0, int(text))
    if is_empty or "01 jan 1970" in options.get("expires", "").lower().replace("-", " "):
        return 0
    return 400 * 24 * 3600 if "expires" in options else None


def removal(name: str, *, secure: bool) -> SetCookie:
    """Return the directive that removes a cookie of ours."""
    return SetCookie(name=name, value="", max_age_s=0, secure=secure)
