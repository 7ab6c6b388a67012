"""Which headers of a request reach the upstream, and who may write them.

Sources: RFC 9110 section 7.6.1 (hop-by-hop), RFC 6265 (cookies), and the advisory that taught why a client's
``Connection`` is obeyed before ours are added (CVE-2025-48865).
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Final

from gateway.core.header_names import HOP_BY_HOP, Remembered, fold, without_named
from gateway.core.reasons import Reason
from gateway.core.request import Header, is_bearer
from gateway.errors import UpstreamError

_WRITTEN_BY_US = frozenset(
    {
        b"forwarded",
        b"x-request-id",
        # Framing is ours towards the upstream; the server has answered the client's Expect (RFC 9110 section 10.1.1).
        b"content-length",
        b"expect",
    }
)

# All of them: some upstreams read X-Forwarded-Scheme, -Ssl or -User as well, and believe whoever is in front.
_FORWARDED = b"x-forwarded-"

_NEVER_RELAYED = HOP_BY_HOP | _WRITTEN_BY_US

_NEVER_FROM_CLIENTS = frozenset(
    {
        b"proxy",  # becomes HTTP_PROXY in CGI programs (httpoxy)
        b"x-real-ip",
        b"x-original-url",
        b"x-original-uri",
        b"x-original-method",
        b"x-original-host",
        b"x-original-proto",
        b"x-rewrite-url",
        b"x-clerk-request-data",
        b"x-clerk-clerk-url",
    }
)
_NEVER_PREFIXES = (b"x-clerk-auth-", b"x-middleware-")


class IdentityNamespace:
    """The header names that only the gateway may write.

    Args:
        prefix: start of the names, lower-case, e.g. ``b"x-session-"``.
        names: further names, lower-case (``identity.claims``).
    """

    __slots__ = ("_names", "_prefix")

    def __init__(self, prefix: bytes, names: Iterable[bytes] = ()) -> None:
        self._prefix = fold(prefix)
        self._names = frozenset(map(fold, names))

    def with_names(self, names: Iterable[bytes]) -> "IdentityNamespace":
        """Return a namespace that holds these names too, lower-case."""
        return IdentityNamespace(self._prefix, (*self._names, *names))

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, bytes):
            return False
        folded = fold(name)
        return (
            folded.startswith((self._prefix, *_NEVER_PREFIXES))
            or folded in self._names
            or folded in _NEVER_FROM_CLIENTS
        )

    def strip(self, headers: Iterable[Header]) -> list[Header]:
        """Return the headers without those that claim an identity, whatever their spelling."""
        return [header for header in headers if header[0] not in self]


class _Name(Enum):
    """What a request's header name means here."""

    CROSSES = "crosses"
    STAYS = "stays"
    CONNECTION = "connection"
    COOKIE = "cookie"
    AUTHORIZATION = "authorization"
    EXPECT = "expect"


_EXPECTATIONS = frozenset({b"", b"100-continue"})
_CROSSES: Final = _Name.CROSSES
_STAYS: Final = _Name.STAYS
_CONNECTION: Final = _Name.CONNECTION
_COOKIE: Final = _Name.COOKIE
_AUTHORIZATION: Final = _Name.AUTHORIZATION


class RequestHeaders:
    """Makes the header list for one route's upstream.

    Args:
        namespace: what only the gateway may write.
        private_cookies: names of cookies that stay here.
        keep_credentials: forward those cookies and the session token all the same.
        host: in the place of the client's ``Host``; None keeps that.
        added: what every request of the route gets; the namespace keeps clients from sending the like.
    """

    __slots__ = ("_added", "_host", "_keep_credentials", "_names", "_namespace", "_private_cookies")

    def __init__(
        self,
        namespace: IdentityNamespace,
        private_cookies: frozenset[bytes],
        *,
        keep_credentials: bool = False,
        host: bytes | None = None,
        added: tuple[Header, ...] = (),
    ) -> None:
        self._host = host
        self._added = added
        self._namespace = namespace
        self._private_cookies = private_cookies
        self._keep_credentials = keep_credentials
        self._names = Remembered(self._judge)

    def _judge(self, name: bytes) -> _Name:
        folded = fold(name)
        if name in {b"connection", b"expect"}:
            return _Name(name.decode("ascii"))
        if name in self._namespace or folded in _NEVER_RELAYED or folded.startswith(_FORWARDED):
            return _Name.STAYS
        if self._keep_credentials or name not in {b"cookie", b"authorization"}:
            return _Name.CROSSES
        return _Name(name.decode("ascii"))

    def build(self, headers: Sequence[Header], ours: Iterable[Header], *, drop_bearer: bool = True) -> list[Header]:
        """Return what goes upstream.

        Everything that must not cross is taken out first, ours are added last: nothing that a client names in
        ``Connection`` can take one of ours away.

        Args:
            headers: as received, names in lower case.
            ours: identity and forwarding headers.
            drop_bearer: the Bearer token is, or may be, a session token; another's token is the upstream's business.

        Raises:
            UpstreamError: it expects what is not done here. What the server does not meet itself cannot be passed on,
                since ``Expect`` ends here (RFC 9110 section 10.1.1).
        """
        names = self._names
        kept: list[Header] = []
        connection: list[Header] = []
        for header in headers:
            meaning = names[header[0]]
            if meaning is _CROSSES:
                kept.append(header)
            elif meaning is _STAYS:
                continue
            elif meaning is _CONNECTION:
                connection.append(header)
            elif meaning is _COOKIE:
                kept += self._other_cookies(header)
            elif meaning is _AUTHORIZATION:
                kept += () if drop_bearer and is_bearer(header[1]) else (header,)
            else:
                _judge_expectation(header[1])
        if connection:
            kept = without_named(kept, connection)
        kept.extend(ours)
        return self._for_route(kept) if self._host is not None or self._added else kept

    def _for_route(self, headers: list[Header]) -> list[Header]:
        """Return the headers with the route's own, and under the name that the upstream is to be asked by."""
        if self._host is None:
            return [*headers, *self._added]
        kept = [header for header in headers if header[0] != b"host"]
        return [(b"host", self._host), *kept, *self._added]

    def _other_cookies(self, header: Header) -> tuple[Header, ...]:
        value = without_cookies(header[1], self._private_cookies)
        return ((header[0], value),) if value else ()


def _judge_expectation(value: bytes) -> None:
    if value.lower() not in _EXPECTATIONS:
        raise UpstreamError(Reason.EXPECTATION_FAILED, "its Expect is not 100-continue")


def without_cookies(value: bytes, names: frozenset[bytes]) -> bytes:
    """Return a ``Cookie`` value without the cookies of these names; the others keep their bytes and order."""
    pairs = value.split(b";")
    kept = [pair for pair in pairs if pair.partition(b"=")[0].strip() not in names]
    return value if len(kept) == len(pairs) else b";".join(kept).strip()
