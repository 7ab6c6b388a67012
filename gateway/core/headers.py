"""Which headers cross the gateway: out to the upstream, back to the client, and who may write them.

Sources: RFC 9110 section 7.6.1 (hop-by-hop), RFC 6265 (cookies), and the advisories that taught why names are folded
(CVE-2025-64484: ``X_Forwarded_User`` reaches a WSGI application as ``X-Forwarded-User``) and why a client's
``Connection`` is obeyed before ours are added (CVE-2025-48865).
"""

from collections.abc import Iterable, Sequence

from gateway.core.request import Header, bearer

MAX_HEAD_BYTES = 128 * 1024
"""Request line and headers together; more is answered 431. A browser's cookies fit many times over."""

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


class RequestHeaders:
    """Makes the header list for one route's upstream.

    Args:
        namespace: what only the gateway may write.
        private_cookies: names of cookies that stay here.
        keep_credentials: forward those cookies and the session token all the same.
    """

    __slots__ = ("_keep_credentials", "_namespace", "_private_cookies")

    def __init__(
        self, namespace: IdentityNamespace, private_cookies: frozenset[bytes], *, keep_credentials: bool = False
    ) -> None:
        self._namespace = namespace
        self._private_cookies = private_cookies
        self._keep_credentials = keep_credentials

    def build(self, headers: Sequence[Header], ours: Iterable[Header], *, drop_bearer: bool = True) -> list[Header]:
        """Return what goes upstream.

        Everything that must not cross is taken out first, ours are added last: nothing that a client names in
        ``Connection`` can take one of ours away.

        Args:
            headers: as received, names in lower case.
            ours: identity and forwarding headers.
            drop_bearer: the Bearer token is, or may be, a session token; another's token is the upstream's business.
        """
        named = _named_in_connection(headers)
        kept: list[Header] = []
        for name, value in headers:
            folded = _fold(name)
            if name in named or name in self._namespace or folded in _NEVER_RELAYED or folded.startswith(_FORWARDED):
                continue
            if not self._keep_credentials:
                if name == b"cookie":
                    value = without_cookies(value, self._private_cookies)  # noqa: PLW2901 - the same header, less of it
                    if not value:
                        continue
                elif drop_bearer and name == b"authorization" and bearer(value) is not None:
                    continue
            kept.append((name, value))
        kept.extend(ours)
        return kept


def response_headers(headers: Iterable[Header], private_cookies: frozenset[bytes]) -> list[Header]:
    """Return what of an upstream's answer reaches the client.

    Left out are hop-by-hop headers, orders to proxies, and cookies of our names: a service behind the gateway must not
    replace a session.
    """
    headers = [(name.lower(), value) for name, value in headers]
    named = _named_in_connection(headers)
    return [
        (name, value)
        for name, value in headers
        if name not in HOP_BY_HOP
        and name not in named
        and not name.startswith(_NEVER_TO_CLIENTS)
        and not (name == b"set-cookie" and _set_cookie_name(value) in private_cookies)
    ]


def _set_cookie_name(value: bytes) -> bytes:
    """Return the name; browsers send a nameless cookie ``=a=b`` back as ``a=b``, so it is one named ``a``."""
    return value.lstrip(b"= \t").partition(b";")[0].partition(b"=")[0].strip()


def with_cache_rules(headers: list[Header]) -> list[Header]:
    """Return the headers of an answer that depends on who asks, so that no shared cache gives it to another.

    ``Cache-Control: private`` is added where the upstream says nothing, ``Vary`` always.
    """
    if not any(name == b"cache-control" for name, _ in headers):
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


def _named_in_connection(headers: Iterable[Header]) -> frozenset[bytes]:
    values = [value for name, value in headers if name == b"connection"]
    if not values:
        return frozenset()
    return frozenset(item.strip().lower() for value in values for item in value.split(b",")) - _END_TO_END


def without_cookies(value: bytes, names: frozenset[bytes]) -> bytes:
    """Return a ``Cookie`` value without the cookies of these names; the others keep their bytes and order."""
    pairs = value.split(b";")
    kept = [pair for pair in pairs if pair.partition(b"=")[0].strip() not in names]
    return value if len(kept) == len(pairs) else b";".join(kept).strip()
