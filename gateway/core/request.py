"""The facts about one request that a decision may look at, gathered once.

Surfaces fill in :class:`RequestFacts`; nothing in the core sees a socket, a scope or a framework's request object.
Both records are made for every request. Written out like this they take a tenth of the time of named tuples or frozen
dataclasses where they are compiled; treat them as frozen all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

Header = tuple[bytes, bytes]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(init=False, slots=True)
class PublicUrl:
    """The address as the browser sees it (after the trust decision of :mod:`gateway.core.trust`).

    Attributes:
        scheme: ``http`` or ``https``.
        host: host and port, lower-case, default port dropped.
        path: the canonical path, percent-encoded.
        query: the query without ``?``, exactly as it was sent.
    """

    scheme: str
    host: str
    path: str
    query: str

    def __init__(self, scheme: str, host: str, path: str = "/", query: str = "") -> None:
        self.scheme = scheme
        self.host = host
        self.path = path
        self.query = query

    @property
    def origin(self) -> str:
        """``scheme://host[:port]`` (RFC 6454)."""
        return f"{self.scheme}://{self.host}"

    def __repr__(self) -> str:
        return f"PublicUrl({self.origin}{self.path})"  # the query may hold tokens

    def __str__(self) -> str:
        return f"{self.origin}{self.path}?{self.query}" if self.query else f"{self.origin}{self.path}"


@dataclass(init=False, slots=True)
class RequestFacts:
    """What a decision may see of one request.

    Attributes:
        method: as sent; methods are case-sensitive (RFC 9110 section 9.1).
        url: the public URL.
        bearer: the token of ``Authorization: Bearer``, or None.
        cookies: the instance's cookies, by name, each with all of its distinct values.
        headers: the few headers that decisions read, lower-case name to value (see :data:`READ_HEADERS`).
        client: the client's address after the trust decision; for the refresh call and the log.
        head_bytes: what the request's headers came to.
    """

    method: str
    url: PublicUrl
    bearer: str | None
    cookies: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    client: str
    head_bytes: int

    def __init__(  # noqa: PLR0913, PLR0917 - made for each request, by position
        self,
        method: str,
        url: PublicUrl,
        bearer: str | None = None,
        cookies: Mapping[str, Sequence[str]] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        client: str = "",
        head_bytes: int = 0,
    ) -> None:
        self.method = method
        self.url = url
        self.bearer = bearer
        self.cookies = cookies
        self.headers = headers
        self.client = client
        self.head_bytes = head_bytes

    def __repr__(self) -> str:
        return f"RequestFacts({self.method} {self.url!r})"  # the rest holds tokens

    def cookie(self, name: str) -> str:
        """Return the first value of a cookie, or the empty text."""
        values = self.cookies.get(name)
        return values[0] if values else ""

    def header(self, name: str) -> str:
        """Return a header's value by its lower-case name, or the empty text."""
        return self.headers.get(name, "")

    @property
    def is_navigation(self) -> bool:
        """Whether a redirect would be followed by a person's browser (request-authentication section 8).

        ``Sec-Fetch-Dest`` decides where there is one; older browsers are known by ``Accept: text/html…``.
        """
        destination = self.headers.get("sec-fetch-dest", "")
        if destination:
            return destination in {"document", "iframe"}
        return self.headers.get("accept", "").startswith("text/html")

    @property
    def wants_html(self) -> bool:
        """Whether an answer of ours should be a page rather than a problem document."""
        return self.is_navigation or "text/html" in self.headers.get("accept", "")


READ_HEADERS = frozenset(
    {
        b"accept",
        b"access-control-request-method",
        b"origin",
        b"referer",
        b"sec-fetch-dest",
        b"sec-fetch-site",
        b"user-agent",
        b"accept-language",
        b"x-forwarded-proto",
    }
)


_BLANK: Final = ord(" ")
_TAB: Final = ord("\t")


def bearer(value: bytes) -> str | None:
    """Return the token of an ``Authorization`` value, or None where the scheme is another.

    The scheme is compared without regard to case (RFC 9110 section 11.1); other schemes leave the decision to the
    cookies.
    """
    if value.startswith(b"Bearer ") and _BLANK not in (token := value[7:]) and _TAB not in token:
        return token.decode("latin-1")  # as nearly every client writes it
    # A tab parts the two as well: who reads more loosely than we do must not find a token that we passed over.
    scheme, _, rest = value.strip(b" \t").replace(b"\t", b" ").partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    return rest.strip(b" ").decode("latin-1")


def is_bearer(value: bytes) -> bool:
    """Return whether an ``Authorization`` value holds what :func:`bearer` gives."""
    return value.startswith(b"Bearer ") or bearer(value) is not None
