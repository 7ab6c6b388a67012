"""What the request is about which a front asks: another proxy that forwards by itself and lets us decide.

Each front says it in one way, and only that one is read. A front that asks about a request which it does not name, or
names twice, gets no decision: a client may have a hand in it (CVE-2026-40575, attacks rows 50 to 52). Whether the
sender may say anything at all is judged by whoever asks this module.

==================  ================================================================================================
front               where the original request stands
==================  ================================================================================================
nginx, HAProxy      ``X-Original-Method``, ``-URI``, ``-Host``, ``-Proto``: names that our configurations set
Caddy, Traefik      ``X-Forwarded-Method``, ``-Uri``, ``-Host``, ``-Proto``: what both send by themselves
Envoy               method, ``Host`` and target of the question itself, the target behind the path that is asked
                    (``path_prefix`` of ext_authz); ``X-Forwarded-Proto``
==================  ================================================================================================

The front forwards the target as it spelled it here, so a path with empty segments is refused: it would be matched
with its slashes merged, and an upstream may read ``//name`` as a host.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.core.reasons import Reason
from gateway.core.request import Header


class Front(StrEnum):
    """A kind of proxy that asks for decisions."""

    NGINX = "nginx"
    HAPROXY = "haproxy"
    ENVOY = "envoy"
    CADDY = "caddy"
    TRAEFIK = "traefik"


@dataclass(frozen=True, slots=True)
class _Form:
    """The headers that name the original request; empty where the question itself does."""

    method: bytes
    target: bytes
    host: bytes
    scheme: bytes
    all: frozenset[bytes]


def _form(method: bytes, target: bytes, host: bytes, scheme: bytes) -> _Form:
    return _Form(method, target, host, scheme, frozenset({method, target, host, scheme}))


_ORIGINAL = _form(b"x-original-method", b"x-original-uri", b"x-original-host", b"x-original-proto")
_FORWARDED = _form(b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-host", b"x-forwarded-proto")
_OWN = _form(b"", b"", b"host", b"x-forwarded-proto")

_FORMS = {
    Front.NGINX: _ORIGINAL,
    Front.HAPROXY: _ORIGINAL,
    Front.ENVOY: _OWN,
    Front.CADDY: _FORWARDED,
    Front.TRAEFIK: _FORWARDED,
}

_SAYING: Final = frozenset(
    {
        *(b"x-original-method", b"x-original-uri", b"x-original-url", b"x-original-host", b"x-original-proto"),
        *(b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-host", b"x-forwarded-proto"),
        *(b"x-forwarded-prefix", b"x-rewrite-url"),
    }
)
"""Headers that some program takes for the original request's."""

# What belongs to the question and not to the request.
_OF_THE_QUESTION: Final = _SAYING | {b"host", b"x-forwarded-for", b"forwarded"}

_METHOD = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}").fullmatch
_QUERY = re.compile(rb"[!\"$-~\x80-\xff]*").fullmatch
# A byte is found fast; for bytes in bytes Python makes, and drops, an exception first.
_COMMA: Final = ord(",")
_FRAGMENT: Final = ord("#")
_SCHEMES = {b"http": "http", b"https": "https", b"ws": "ws", b"wss": "wss"}


class OriginalError(ValueError):
    """The front does not say well enough what it asks about; nothing is decided.

    Attributes:
        reason: which of the ways to say too little.
        detail: names the header; holds nothing of what was sent.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


class Original(NamedTuple):
    """The request that a front asks about.

    Attributes:
        method: as the client sent it.
        path: raw, in origin form, without the query.
        query: without ``?``.
        scheme: ``http`` or ``https``, or their twins for WebSockets.
        headers: of the request, ``Host`` first and not judged yet.
        clients: the values of ``X-Forwarded-For``, not believed yet.
    """

    method: str
    path: bytes
    query: bytes
    scheme: str
    headers: list[Header]
    clients: tuple[bytes, ...]


def original(front: Front, method: str, target: bytes, headers: Sequence[Header]) -> Original:
    """Return the request that is asked about.

    Args:
        front: who asks.
        method: of the question.
        target: what stands behind the front's own path in the question; for Envoy the original target.
        headers: of the question, names in lower case.

    Raises:
        OriginalError: it is named not at all, twice, in a second way too, or not in origin form.
    """
    form = _FORMS[front]
    found: dict[bytes, bytes] = {}
    kept: list[Header] = []
    clients: list[bytes] = []
    for header in headers:
        name, value = header
        if name not in _OF_THE_QUESTION:
            kept.append(header)
        elif name == b"x-forwarded-for":
            clients.append(value)
        elif name in _SAYING or name == form.host:
            _note(found, form, name, value)
    raw_method = _one(found, form.method) if form.method else method.encode("latin-1")
    if not _METHOD(raw_method):
        raise OriginalError(Reason.ORIGINAL_REQUEST_INVALID, "its method is no token")
    path, query = _target(_one(found, form.target) if form.target else target)
    scheme = _SCHEMES.get(_one(found, form.scheme).lower())
    if scheme is None:
        raise OriginalError(Reason.ORIGINAL_REQUEST_INVALID, "its scheme is neither http nor https")
    host = (b"host", _one(found, form.host))
    return Original(raw_method.decode("ascii"), path, query, scheme, [host, *kept], tuple(clients))


def _note(found: dict[bytes, bytes], form: _Form, name: bytes, value: bytes) -> None:
    if name in found:
        raise OriginalError(Reason.ORIGINAL_REQUEST_CONTRADICTORY, f"{name.decode('ascii')} is there twice")
    if name in form.all:
        found[name] = value
    elif value:
        detail = f"{name.decode('ascii')} is there, which this front does not send"
        raise OriginalError(Reason.ORIGINAL_REQUEST_CONTRADICTORY, detail)


def _one(found: dict[bytes, bytes], name: bytes) -> bytes:
    value = found.get(name, b"").strip(b" \t")
    if not value:
        raise OriginalError(Reason.ORIGINAL_REQUEST_MISSING, f"{name.decode('ascii')} is missing")
    if _COMMA in value and name not in {b"x-original-uri", b"x-forwarded-uri"}:
        raise OriginalError(Reason.ORIGINAL_REQUEST_CONTRADICTORY, f"{name.decode('ascii')} holds several values")
    return value


def _target(target: bytes) -> tuple[bytes, bytes]:
    path, _, query = target.partition(b"?")
    if not path.startswith(b"/"):
        raise OriginalError(Reason.ORIGINAL_REQUEST_INVALID, "its target is not in origin form")
    if _FRAGMENT in target or not _QUERY(query):
        raise OriginalError(
            Reason.ORIGINAL_REQUEST_INVALID, "its target holds a fragment, a blank or a control character"
        )
    if path.find(b"//") >= 0:
        raise OriginalError(
            Reason.ORIGINAL_REQUEST_INVALID, "its path holds an empty segment, and is forwarded as it is"
        )
    return path, query
