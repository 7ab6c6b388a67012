"""A request as it goes to its upstream: where that is, what is asked of it, and in whose name."""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count
from typing import Final

from starlette.types import Scope

from gateway.core.handshake import clean_query
from gateway.core.machine import type_in
from gateway.core.reasons import Reason
from gateway.core.request import Header, RequestFacts
from gateway.core.request_headers import RequestHeaders
from gateway.core.rewriting import Rewriting
from gateway.core.routes import Route
from gateway.core.settings_model import RouteSettings
from gateway.core.token_class import has_machines
from gateway.core.tokens import may_be_from
from gateway.core.verdict import State
from gateway.core.way_back import WayBack
from gateway.errors import UpstreamError
from gateway.surfaces.gate import Admission, Gate
from gateway.surfaces.scope import peer
from gateway.surfaces.status import PREFIX
from gateway.surfaces.websockets import Back, Opening
from gateway.upstream.carrier import Carrier
from gateway.upstream.forward import Outgoing
from gateway.upstream.pool import Pool
from gateway.upstream.websocket import connect

_RESERVED: Final = PREFIX.decode("ascii")
_QUERY: Final = re.compile(r"[!-~\x80-\xff]*").fullmatch
_SIGNED_IN: Final = State.SIGNED_IN  # members of an enum are slow to name

# What proxies make: UUIDs, hexadecimal numbers, trace ids; short, and nothing that means something in a log or a shell.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}").fullmatch


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a route leads.

    Attributes:
        pool: the connections to the upstream's one server, or to one of its servers.
        headers: makes the request's headers.
        terms: of the route.
        rewriting: how the path is written anew; None where it stays.
        carrier: the way there in HTTP/2 or to several servers; None where it is the pool's own.
        back: how addresses in answers are written anew; None where they stay.
    """

    pool: Pool
    headers: RequestHeaders
    terms: RouteSettings
    rewriting: Rewriting | None = None
    carrier: Carrier | None = None
    back: WayBack | None = None

    def way_back(self, admission: Admission) -> Back | None:
        """Return what writes addresses in the headers of an answer anew; None where they stay."""
        if self.back is None or admission.facts is None:
            return None
        return partial(self.back.headers, url=admission.facts.url)


class Openings:
    """Makes requests for upstreams of what the gate admitted.

    Args:
        gate: that admitted them.
        destinations: by route name.
        has_forwarded: upstreams get ``Forwarded`` too.
    """

    def __init__(self, gate: Gate, destinations: Mapping[str, Destination], *, has_forwarded: bool = False) -> None:
        self._gate = gate
        self._destinations = destinations
        self._request_ids = _request_ids()
        self._has_forwarded = has_forwarded

    def request_id(self, scope: Scope) -> Header:
        """Return the request's name: that which a trusted peer gave it, or a new one."""
        trust = self._gate.trust
        if trust.networks:
            said = [header for header in scope["headers"] if header[0] == b"x-request-id"]
            if len(said) == 1 and _REQUEST_ID(said[0][1]) and trust.is_trusted(peer(scope)):
                return (b"x-request-id", said[0][1])
        return next(self._request_ids)

    def open(
        self, scope: Scope, admission: Admission, request_id: Header, length: int | None
    ) -> tuple[Destination, Outgoing]:
        """Return the request as it goes to the upstream, and where that is.

        Args:
            scope: the request.
            admission: what the gate says of it.
            request_id: the header that names it.
            length: of its body in bytes; None where only its end will tell.

        Raises:
            UpstreamError: it cannot be forwarded.
        """
        facts, route = admission.facts, admission.route
        if facts is None or route is None:
            raise UpstreamError(Reason.UNEXPECTED_ERROR, "an admitted request has facts and a route")
        url = facts.url
        if url.path.startswith(_RESERVED):
            # Another spelling of a path that is the gateway's own.
            raise UpstreamError(Reason.ROUTE_NOT_FOUND, f"{_RESERVED} is not forwarded")
        destination = self._destinations.get(route.name)
        if destination is None:
            raise UpstreamError(Reason.ROUTE_NOT_FOUND, "the route has no upstream: it is there for decisions")
        ours = (
            *_forwarded(facts.client, url.scheme, url.host, self._has_forwarded),
            request_id,
            *admission.identity,
        )
        path = url.path.encode("ascii")
        if destination.rewriting is not None:
            if prefix := destination.rewriting.prefix(path):
                ours = (*ours, (b"x-forwarded-prefix", prefix))
            path = destination.rewriting.path(path)
        headers = destination.headers.build(scope["headers"], ours, drop_bearer=self._is_ours(facts, route, admission))
        target = _target(path, url.query, keep_credentials=route.settings.keep_credentials)
        return destination, Outgoing(facts.method, target, headers, length)

    def open_socket(self, scope: Scope, admission: Admission, request_id: Header) -> Opening:
        """Return how a WebSocket is opened at the upstream."""
        destination, request = self.open(scope, admission, request_id, 0)
        carrier = destination.carrier
        open_there = partial(connect, destination.pool) if carrier is None else carrier.connect
        return Opening(open_there, request, destination.way_back(admission))

    def _is_ours(self, facts: RequestFacts, route: Route, admission: Admission) -> bool:
        if facts.bearer is None:
            return False
        # Signed in with a Bearer token is signed in by it: it beats every cookie.
        is_judged = admission.verdict.state is _SIGNED_IN
        if not is_judged and has_machines(route.settings.accepts) and type_in(facts.bearer):
            return True  # a machine's token that was refused is no more the upstream's business than a good one
        return is_judged or may_be_from(facts.bearer, self._gate.authenticator.rules.issuers(facts.url.origin))


def _target(path: bytes, query: str, *, keep_credentials: bool) -> bytes:
    if not query:
        return path
    if not _QUERY(query):
        raise UpstreamError(Reason.REQUEST_TARGET_INVALID, "the query holds a blank or a control character")
    if not keep_credentials:
        # What a handshake brings is a session; where it was not taken, it is still none of the upstream's business.
        query = clean_query(query)
    return path + b"?" + query.encode("latin-1") if query else path


@lru_cache(maxsize=1024)
def _forwarded(client: str, scheme: str, host: str, has_standard: bool) -> tuple[Header, ...]:
    headers: list[Header] = [
        (b"x-forwarded-for", client.encode("ascii", "replace")),
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-host", host.encode()),
    ]
    if has_standard:
        # RFC 7239 section 6: an IPv6 address stands in brackets, and what holds a colon in quotes.
        node = f'"[{client}]"' if ":" in client else client or "unknown"
        headers.append((b"forwarded", f'for={node};host="{host}";proto={scheme}'.encode("ascii", "replace")))
    return tuple(header for header in headers if header[1])


def _request_ids() -> Iterator[Header]:
    """Give each request a name for logs: nobody is let in by it, so it has to be unique, and may be guessed.

    Random bytes for each request would be a call of the system each time.
    """
    prefix = secrets.token_hex(8).encode()
    for number in count(2**31 + secrets.randbits(24)):
        yield (b"x-request-id", b"%b%x" % (prefix, number))
