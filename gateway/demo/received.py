"""What the demo upstream received: the headers in three groups, and the identity among them.

It believes the identity headers, as a service behind the gateway may: the gateway deletes what a client sends under
these names before it sets its own. Values are shown as they are, nothing is decoded.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

HeaderValues: TypeAlias = Mapping[str, tuple[str, ...]]

_FORWARDED = ("forwarded", "x-request-id")
_HOST = re.compile(r"[a-z0-9._\-]+(:[0-9]+)?|\[[0-9a-f:.]+\](:[0-9]+)?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Received:
    """The headers of one request, names in lower case, each with all its values in order.

    Attributes:
        prefix: start of the identity headers' names, in lower case.
        identity: what the gateway says about the session.
        forwarded: what the gateway says about the request: ``Forwarded``, ``X-Forwarded-*``, ``X-Request-Id``.
        rest: everything else.
    """

    prefix: str
    identity: HeaderValues
    forwarded: HeaderValues
    rest: HeaderValues

    def claim(self, name: str) -> str:
        """The identity header of this name without the prefix, or empty when it is absent or not single."""
        values = self.identity.get(self.prefix + name, ())
        return values[0] if len(values) == 1 else ""

    @property
    def permissions(self) -> tuple[str, ...]:
        """The organization permissions, one by one."""
        return tuple(filter(None, re.split(r"[,\s]+", self.claim("org-permissions"))))


def read_headers(headers: Iterable[tuple[bytes, bytes]], prefix: str) -> Received:
    """Group the headers of a request.

    Args:
        headers: names and values as ASGI has them.
        prefix: start of the identity headers' names, in any case.
    """
    prefix = prefix.lower()
    groups: tuple[dict[str, tuple[str, ...]], ...] = ({}, {}, {})
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        group = groups[_group(name, prefix)]
        group[name] = (*group.get(name, ()), raw_value.decode("latin-1"))
    return Received(prefix, *groups)


def public_origin(received: Received, scheme: str) -> str:
    """The origin that the browser sees, as it would write it in ``Origin`` (RFC 6454, section 6.2).

    Args:
        received: the request's headers; ``X-Forwarded-Proto`` and ``X-Forwarded-Host`` come from the gateway.
        scheme: the scheme of the connection, used when the gateway says nothing.

    Returns:
        Such as ``https://app.example.com``, or empty when the host is missing, not single or not a host.
    """
    scheme = _single(received.forwarded, "x-forwarded-proto", scheme).lower()
    host = _single(received.forwarded, "x-forwarded-host", _single(received.rest, "host", "")).lower()
    if _HOST.fullmatch(host) is None or scheme not in _DEFAULT_PORTS:
        return ""
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS[scheme])}"


def is_same_origin(received: Received, scheme: str) -> bool:
    """Whether a form came from a page of this same origin.

    A browser that sends ``Sec-Fetch-Site`` (Fetch Metadata; no page can set it) is taken at its word; otherwise
    ``Origin`` must be the public origin. A request with neither is refused.
    """
    site = received.rest.get("sec-fetch-site")
    if site is not None:
        return site == ("same-origin",)
    origin = public_origin(received, scheme)
    return origin != "" and received.rest.get("origin") == (origin,)


def _group(name: str, prefix: str) -> int:
    if name.startswith(prefix):
        return 0
    return 1 if name in _FORWARDED or name.startswith("x-forwarded-") else 2


def _single(headers: HeaderValues, name: str, default: str) -> str:
    values = headers.get(name)
    if values is None:
        return default
    return values[0] if len(values) == 1 else ""
