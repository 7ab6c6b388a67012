"""Which headers cross the gateway: out to the upstream, back to the client, and who may write them.

Sources: RFC 9110 section 7.6.1 (hop-by-hop), RFC 6265 (cookies), and the advisories that taught why names are folded
(CVE-2025-64484: ``X_Forwarded_User`` reaches a WSGI application as ``X-Forwarded-User``) and why a client's
``Connection`` is obeyed before ours are added (CVE-2025-48865).
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TypeVar

from gateway.core.reasons import Reason
from gateway.core.request import Header, bearer
from gateway.errors import UpstreamError

MAX_HEAD_BYTES = 128 * 1024
"""Request line and headers together; more is answered 431. A browser's cookies fit many times over."""

MAX_HEADER_LINES = 256
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
_NEVER_TO_CLIENTS = (b"x-accel-", b"x-middleware-")

# Framing and addressing belong to the gateway; a client's Connection header cannot take them away.
_END_TO_END = frozenset({b"host", b"content-length", b"content-type", b"cookie", b"authorization"})


_FOLDED = bytes(ord(chr(code).lower()) if chr(code).isalnum() and code < 0x80 else ord("-") for code in range(0x100))


def _fold(name: bytes) -> bytes:
    """Return the name as the most forgiving of CGI, FastCGI, WSGI and PHP would read it: all but letters and digits
    is one character."""
    return name.translate(_FOLDED)


class IdentityNamespace:
    """The header names that only the gateway may write.

    Args:
        prefix: start of the names, lower-case, e.g. ``b"x-session-"``.
        names: further names, lower-case (``identity.claims``).
    """

    __slots__ = ("_names", "_prefix")

    def __init__(self, prefix: bytes, names: Iterable[bytes] = ()) -> None:
        self._prefix = _fold(prefix)
        self._names = frozenset(map(_fold, names))

    def with_names(self, names: Iterable[bytes]) -> "IdentityNamespace":
        """Return a namespace that holds these names too, lower-case."""
        return IdentityNamespace(self._prefix, (*self._names, *names))

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, bytes):
            return False
        folded = _fold(name)
        return (
            folded.startswith((self._prefix, *_NEVER_PREFIXES))
            or folded in self._names
            or folded in _NEVER_FROM_CLIENTS
        )

    def strip(self, headers: Iterable[Header]) -> list[Header]:
        """Return the headers without those that claim an identity, whatever their spelling."""
        return [header for header in headers if header[0] not in self]


T = TypeVar("T")


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


_MAX_REMEMBERED = 512
_MAX_REMEMBERED_BYTES = 64


class _Name(Enum):
    """What a request's header name means here."""

    CROSSES = "crosses"
    STAYS = "stays"
    CONNECTION = "connection"
    COOKIE = "cookie"
    AUTHORIZATION = "authorization"
    EXPECT = "expect"


_EXPECTATIONS = frozenset({b"", b"100-continue"})
_CROSSES, _STAYS, _CONNECTION, _COOKIE = _Name.CROSSES, _Name.STAYS, _Name.CONNECTION, _Name.COOKIE
_AUTHORIZATION = _Name.AUTHORIZATION


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
        folded = _fold(name)
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
                kept += () if drop_bearer and bearer(header[1]) is not None else (header,)
            else:
                _judge_expectation(header[1])
        if connection:
            kept = _without_named(kept, connection)
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


_ANSWERED = Remembered(_judge_answered)
_BACK, _NOT_BACK, _SET_COOKIE = _Answered.CROSSES, _Answered.STAYS, _Answered.SET_COOKIE


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
    return _without_named(kept, connection) if connection else kept


def _without_named(headers: list[Header], connection: Sequence[Header]) -> list[Header]:
    """Return the headers without those that ``Connection`` names."""
    named = _named_in_connection(connection)
    return [header for header in headers if header[0] not in named] if named else headers


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


# What nearly every Connection header says. No other header is of these names.
_NAMES_NOTHING = frozenset({b"keep-alive", b"close"})


def _named_in_connection(connection: Sequence[Header]) -> frozenset[bytes]:
    values = [value for _, value in connection if value not in _NAMES_NOTHING]
    if not values:
        return frozenset()
    return frozenset(item.strip().lower() for value in values for item in value.split(b",")) - _END_TO_END


def without_cookies(value: bytes, names: frozenset[bytes]) -> bytes:
    """Return a ``Cookie`` value without the cookies of these names; the others keep their bytes and order."""
    pairs = value.split(b";")
    kept = [pair for pair in pairs if pair.partition(b"=")[0].strip() not in names]
    return value if len(kept) == len(pairs) else b";".join(kept).strip()
