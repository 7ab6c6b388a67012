"""An ASGI scope made into request facts; the headers are scanned once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from starlette.types import Scope

from gateway.core.cookies import read
from gateway.core.request import READ_HEADERS, PublicUrl, RequestFacts, bearer
from gateway.core.target import canonical
from gateway.core.trust import NOT_FORWARDED, Forwarded, PublicOrigin, Trust

# What a path may hold unescaped (RFC 3986 section 3.3).
_PATH_CHARACTERS = "/!$&'()*+,;=:@"
_QUESTION_MARK: Final = ord("?")


_FORWARDING: Final = (b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-for")
_READ: Final = {name.decode("ascii"): name for name in READ_HEADERS}
_COLLECTED: Final = frozenset({b"host", b"cookie", b"authorization", *_FORWARDING, *READ_HEADERS})


class Scanned(Mapping[str, str]):
    """The headers of one request that anybody here reads: gone over once, decoded when they are asked for.

    As a mapping it holds those of :data:`READ_HEADERS` as text; of several with one name the first.

    Attributes:
        forwarded: the forwarding headers, not believed yet.
        size: bytes of all values together.
    """

    __slots__ = ("_found", "forwarded", "size")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        found: dict[bytes, tuple[bytes, ...]] = {}
        size = 0
        for name, value in headers:
            size += len(value)
            if name in _COLLECTED:
                found[name] = (*found[name], value) if name in found else (value,)
        self._found = found
        self.size = size
        self.forwarded = NOT_FORWARDED if found.keys().isdisjoint(_FORWARDING) else self._forwarded()

    def _forwarded(self) -> Forwarded:
        """Return the forwarding headers, not believed yet."""
        found = self._found
        return Forwarded(*(found.get(name, ()) for name in _FORWARDING))

    @property
    def hosts(self) -> Sequence[bytes]:
        """The values of all ``Host`` lines."""
        return self._found.get(b"host", ())

    @property
    def cookies(self) -> Sequence[bytes]:
        """The values of all ``Cookie`` lines."""
        return self._found.get(b"cookie", ())

    @property
    def bearer(self) -> str | None:
        """The Bearer token; of several Authorization headers none is believed."""
        values = self._found.get(b"authorization")
        if values is None:
            return None
        return bearer(values[0]) if len(values) == 1 else ""

    def __getitem__(self, name: str) -> str:
        text: str | None = self.get(name)
        if text is None:
            raise KeyError(name)
        return text

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header's value by its lower-case name, several joined (RFC 9110 section 5.3), or the default.

        Written out, since decisions ask for headers that are not there, and the inherited one raises and catches.
        """
        raw = _READ.get(name)
        values = self._found.get(raw) if raw is not None else None
        if values is None:
            return default
        return (values[0] if len(values) == 1 else b", ".join(values)).decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("ascii") for name in self._found if name in READ_HEADERS)

    def __len__(self) -> int:
        return sum(name in READ_HEADERS for name in self._found)


class ReadCookies(Mapping[str, Sequence[str]]):
    """An instance's cookies; the ``Cookie`` headers are read when the first one is asked for."""

    __slots__ = ("_headers", "_names", "_read")

    def __init__(self, headers: Sequence[bytes], names: frozenset[str]) -> None:
        self._headers = headers
        self._names = names
        self._read: Mapping[str, Sequence[str]] | None = None

    def _cookies(self) -> Mapping[str, Sequence[str]]:
        if self._read is None:
            self._read = read((value.decode("latin-1") for value in self._headers), self._names)
        return self._read

    def __getitem__(self, name: str) -> Sequence[str]:
        return self._cookies()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cookies())

    def __len__(self) -> int:
        return len(self._cookies())


def with_pairs(scope: Scope) -> Scope:
    """Return a request's scope with headers that are tuples: some servers make lists of two (ASGI says no more than
    "iterable"), which compiled code does not take for pairs."""
    headers = scope["headers"]
    if isinstance(headers, list) and all(isinstance(pair, tuple) for pair in headers):
        return scope
    return {**scope, "headers": [(name, value) for name, value in headers]}


_NO_COOKIES: Mapping[str, Sequence[str]] = MappingProxyType({})


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
    path = canonical(raw_path(scope)).decode("ascii")
    query = scope.get("query_string", b"").decode("latin-1")
    # By position, which is faster than by name: method, url, bearer, cookies, headers, client, head_bytes.
    return RequestFacts(
        scope.get("method", "GET"),
        PublicUrl(origin.scheme, origin.host, path, query),
        scanned.bearer,
        ReadCookies(scanned.cookies, cookie_names) if scanned.cookies else _NO_COOKIES,
        scanned,
        trust.client_address(peer(scope), scanned.forwarded),
        scanned.size,
    )


def raw_path(scope: Scope) -> bytes:
    """Return the path as it was sent; servers that do not keep it give the decoded one, which is encoded again."""
    raw: bytes | None = scope.get("raw_path")
    if raw is not None:
        return raw.partition(b"?")[0] if _QUESTION_MARK in raw else raw
    path: str = scope["path"]
    return quote(path, safe=_PATH_CHARACTERS, errors="surrogatepass").encode("ascii")


def peer(scope: Scope) -> str:
    """Return the address of the socket's other end; empty on a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""
