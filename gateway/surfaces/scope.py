"""An ASGI scope made into request facts; the headers are scanned once."""

from collections.abc import Iterable
from urllib.parse import quote

from starlette.types import Scope

from gateway.core.cookies import read
from gateway.core.request import READ_HEADERS, PublicUrl, RequestFacts, bearer
from gateway.core.target import canonical
from gateway.core.trust import Forwarded, PublicOrigin, Trust

# What a path may hold unescaped (RFC 3986 section 3.3).
_PATH_CHARACTERS = "/!$&'()*+,;=:@"


_COLLECTED = {
    b"host": "hosts",
    b"cookie": "cookies",
    b"authorization": "authorization",
    b"x-forwarded-host": "forwarded_host",
    b"x-forwarded-proto": "forwarded_proto",
    b"x-forwarded-for": "forwarded_for",
}


class Scanned:
    """The headers of one request, sorted by what they are for."""

    __slots__ = ("authorization", "cookies", "forwarded_for", "forwarded_host", "forwarded_proto", "hosts", "read")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.hosts: list[bytes] = []
        self.cookies: list[bytes] = []
        self.authorization: list[bytes] = []
        self.forwarded_host: list[bytes] = []
        self.forwarded_proto: list[bytes] = []
        self.forwarded_for: list[bytes] = []
        self.read: dict[str, str] = {}
        for name, value in headers:
            if name in READ_HEADERS:
                self.read.setdefault(name.decode("ascii"), value.decode("latin-1"))
            elif name in _COLLECTED:
                getattr(self, _COLLECTED[name]).append(value)

    @property
    def forwarded(self) -> Forwarded:
        """The forwarding headers, not believed yet."""
        return Forwarded(self.forwarded_host, self.forwarded_proto, self.forwarded_for)

    @property
    def bearer(self) -> str | None:
        """The Bearer token; of several Authorization headers none is believed."""
        if not self.authorization:
            return None
        return bearer(self.authorization[0]) if len(self.authorization) == 1 else ""


def origin_of(scope: Scope, scanned: Scanned, trust: Trust) -> PublicOrigin:
    """Return where the sender believes the gateway to be.

    Raises:
        HostError: with the reason.
    """
    return trust.public_origin(peer(scope), scope.get("scheme", "http"), scanned.hosts, scanned.forwarded)


def facts_of(
    scope: Scope, scanned: Scanned, origin: PublicOrigin, trust: Trust, cookie_names: frozenset[str]
) -> RequestFacts:
    """Return the facts about a request.

    Raises:
        TargetError: when its path has no one canonical form.
    """
    path = canonical(raw_path(scope))
    return RequestFacts(
        method=scope.get("method", "GET"),
        url=PublicUrl(
            origin.scheme, origin.host, path.decode("ascii"), scope.get("query_string", b"").decode("latin-1")
        ),
        bearer=scanned.bearer,
        cookies=read((value.decode("latin-1") for value in scanned.cookies), cookie_names),
        headers=scanned.read,
        client=trust.client_address(peer(scope), scanned.forwarded),
    )


def raw_path(scope: Scope) -> bytes:
    """Return the path as it was sent; servers that do not keep it give the decoded one, which is encoded again."""
    raw = scope.get("raw_path")
    if raw is not None:
        return bytes(raw).partition(b"?")[0]
    path: str = scope["path"]
    return quote(path, safe=_PATH_CHARACTERS, errors="surrogatepass").encode("ascii")


def peer(scope: Scope) -> str:
    """Return the address of the socket's other end; empty on a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""
