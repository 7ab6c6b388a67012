"""Whom the gateway believes: the host, scheme and client address of a request as its sender meant them.

``X-Forwarded-*`` count only when the socket's peer is in a trusted network (request-authentication section 2, minus
its blind trust). The ``Host`` is judged always: none, two, or one that is no host (RFC 9112 section 3.2) is refused.
``Forwarded``, ``X-Forwarded-Port`` and ``X-Forwarded-Prefix`` are not read.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

DEFAULT_PORTS = {"http": 80, "https": 443}
# A proxy in front may name the scheme of a WebSocket by its own scheme (Traefik does).
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_MAX_HOST_BYTES = 255 + len(":65535")
_MAX_HOPS = 32
_HOST = re.compile(
    r"(?:(?P<name>[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*)\.?|\[(?P<v6>[0-9a-f:.]{2,45})\])(?::(?P<port>[0-9]{1,5}))?"
)
# What X-Forwarded-For may hold beside a bare address: a port, brackets (as some load balancers write it).
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]+)\](?::[0-9]+)?|(?P<v4>[0-9.]+):[0-9]+")


class HostError(ValueError):
    """The request does not say well enough for whom it is; answer 400.

    Attributes:
        reason: ``host-missing``, ``host-repeated``, ``host-invalid``, ``host-not-allowed`` or ``scheme-invalid``;
            holds nothing of what was sent.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class PublicOrigin:
    """Where the sender believes the gateway to be.

    Attributes:
        scheme: ``http`` or ``https``.
        host: host and port, lower-case, default port dropped, no trailing dot: for URLs.
        hostname: the same without port: for routes.
    """

    scheme: str
    host: str
    hostname: str


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The values of the forwarding headers, in the order of the header lines; bytes as received."""

    host: Sequence[bytes] = ()
    proto: Sequence[bytes] = ()
    client: Sequence[bytes] = ()


NOT_FORWARDED = Forwarded()


@dataclass(frozen=True, slots=True)
class Trust:
    """Trusted networks and allowed hosts.

    Attributes:
        networks: peers whose ``X-Forwarded-*`` are believed; also skipped when looking for the client's address.
        allowed_hosts: host names and ``*.`` patterns without port; empty allows any.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    allowed_hosts: tuple[str, ...] = ()

    def is_trusted(self, address: str) -> bool:
        """Return whether this address is in a trusted network; a text that is no address is not."""
        return bool(self.networks) and _is_inside(self.networks, address)

    def public_origin(
        self, peer: str, scheme: str, hosts: Sequence[bytes], forwarded: Forwarded = NOT_FORWARDED
    ) -> PublicOrigin:
        """Return the public scheme and host.

        Args:
            peer: the address of the socket's other end.
            scheme: of the connection: http, https, ws or wss.
            hosts: the values of all ``Host`` lines.
            forwarded: the forwarding headers; not looked at unless the peer is trusted.

        Raises:
            HostError: with the reason.
        """
        if len(hosts) != 1:
            raise HostError("host-repeated" if hosts else "host-missing")
        origin = _read_origin(scheme, hosts[0])
        if self.networks and (forwarded.host or forwarded.proto) and self.is_trusted(peer):
            origin = _forwarded_origin(origin, forwarded)
        if self.allowed_hosts and not is_host_allowed(origin.hostname, self.allowed_hosts):
            raise HostError("host-not-allowed")
        return origin

    def client_address(self, peer: str, forwarded: Forwarded = NOT_FORWARDED) -> str:
        """Return the address of the first sender, from the right, that is not one of our own proxies.

        The walk ends at an entry that is no address: what stands left of it was not written by a proxy of ours.
        """
        if not forwarded.client or not self.is_trusted(peer):
            return peer
        client = peer
        entries = b",".join(forwarded.client).rsplit(b",", _MAX_HOPS)
        for entry in reversed(entries[-_MAX_HOPS:]):
            address = _address(entry)
            if address is None:
                break
            client = address
            if not self.is_trusted(address):
                break
        return client


def is_host_allowed(hostname: str, patterns: Iterable[str]) -> bool:
    """Return whether a host name (canonical, without port) is one of the names or under one of the ``*.`` patterns."""
    return any(
        hostname.endswith(pattern[1:]) if pattern.startswith("*.") else hostname == pattern for pattern in patterns
    )


def canonical_host(text: str) -> tuple[str, int | None]:
    """Return the host in its one spelling (IPv6 in brackets), and the port or None.

    Raises:
        HostError: ``host-invalid``.
    """
    match = _HOST.fullmatch(text.lower()) if len(text) <= _MAX_HOST_BYTES else None
    if match is None:
        raise HostError("host-invalid")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        raise HostError("host-invalid")
    if match["name"]:
        return match["name"], port
    try:
        return f"[{IPv6Address(match['v6']).compressed}]", port
    except ValueError:
        raise HostError("host-invalid") from None


def with_port(scheme: str, hostname: str, port: int | None) -> str:
    """Return host and port as browsers write them: without the port where it is the scheme's own (RFC 6454)."""
    return hostname if port in {None, DEFAULT_PORTS.get(scheme)} else f"{hostname}:{port}"


@lru_cache(maxsize=1024)
def _read_origin(scheme: str, raw_host: bytes) -> PublicOrigin:
    known = _SCHEMES.get(scheme)
    if known is None:
        raise HostError("scheme-invalid")
    try:
        hostname, port = canonical_host(raw_host.decode("ascii"))
    except UnicodeDecodeError:
        raise HostError("host-invalid") from None
    return PublicOrigin(known, with_port(known, hostname, port), hostname)


def _forwarded_origin(own: PublicOrigin, forwarded: Forwarded) -> PublicOrigin:
    host = _first(forwarded.host, own.host.encode())
    proto = _first(forwarded.proto, own.scheme.encode())
    # A header that is there and empty says nothing: the request's own address stands (section 2).
    if not host or not proto:
        return own
    return _read_origin(proto.decode("latin-1").lower(), host)


def _first(values: Sequence[bytes], default: bytes) -> bytes:
    return values[0].partition(b",")[0].strip(b" \t") if values else default


def _address(entry: bytes) -> str | None:
    text = entry.decode("latin-1").strip(" \t")
    if "%" in text:
        return None  # a zone means something on one machine only (RFC 4007 section 11), and may be any text
    match = _WITH_PORT.fullmatch(text)
    try:
        return str(ip_address((match["v6"] or match["v4"]) if match else text))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _is_inside(networks: tuple[IPv4Network | IPv6Network, ...], address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)
