"""The gate as a reverse proxy: what passes goes to the route's upstream, with the identity in its headers."""

import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count

from starlette.types import Receive, Scope, Send

from gateway.core.cors import answer_headers, without_cors
from gateway.core.handshake import clean_query
from gateway.core.headers import RequestHeaders, for_one_browser, response_headers, with_cache_rules
from gateway.core.machine import type_in
from gateway.core.reasons import Reason
from gateway.core.request import Header, RequestFacts
from gateway.core.rewriting import Rewriting
from gateway.core.routes import Route
from gateway.core.settings_model import Access, RouteSettings, ServerSettings
from gateway.core.token_class import has_machines
from gateway.core.tokens import may_be_from
from gateway.core.verdict import State, Verdict
from gateway.core.way_back import WayBack
from gateway.errors import UpstreamError
from gateway.ports import Journal
from gateway.surfaces import answers
from gateway.surfaces.answers import set_cookie_headers
from gateway.surfaces.body_limit import BodyLimit
from gateway.surfaces.exchange import Watch, send_answer, send_refused_websocket
from gateway.surfaces.gate import Admission, Gate, readable
from gateway.surfaces.scope import peer, raw_path
from gateway.surfaces.status import PREFIX, Status
from gateway.surfaces.websockets import Back, Opening, WebSockets
from gateway.upstream.carrier import Carrier
from gateway.upstream.forward import ClientGoneError, Outgoing, forward
from gateway.upstream.pool import Pool
from gateway.upstream.websocket import connect

_log = logging.getLogger(__name__)

_RESERVED = PREFIX.decode("ascii")
_QUERY = re.compile(r"[!-~\x80-\xff]*").fullmatch
_MAX_LENGTH_DIGITS = 18
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})
_PUBLIC, _SIGNED_IN = Access.PUBLIC, State.SIGNED_IN  # members of an enum are slow to name

# What proxies make: UUIDs, hexadecimal numbers, trace ids; short, and nothing that means something in a log or a shell.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}").fullmatch
_NOT_ADMITTED = Admission(None, None, None, Verdict(State.SIGNED_OUT))


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


@dataclass(frozen=True, slots=True)
class Life:
    """What the server's start and end mean for what stands behind the proxy.

    Attributes:
        start: begins what can be begun before a request comes; does not wait.
        close: finishes what runs.
    """

    start: Callable[[], None]
    close: Callable[[], Awaitable[None]]


class Proxy:
    """The ASGI application of ``gateway serve``.

    Args:
        gate: judges.
        status: answers for the gateway itself.
        destinations: by route name.
        private_cookies: cookies that an upstream may not set.
        journal: the access log; None for none.
        life: what happens at start-up and shutdown.
        sockets: serves WebSockets.

    Attributes:
        max_requests: that are served at once; more are refused before anything is done for them.
        has_forwarded: upstreams get ``Forwarded`` too.
    """

    def __init__(  # noqa: PLR0913 - what stands behind it, one each
        self,
        gate: Gate,
        status: Status,
        destinations: Mapping[str, Destination],
        private_cookies: frozenset[bytes],
        journal: Journal | None,
        life: Life,
        *,
        sockets: WebSockets,
    ) -> None:
        self._gate = gate
        self._status = status
        self._destinations = destinations
        self._private_cookies = private_cookies
        self._journal = journal
        self._life = life
        self._sockets = sockets
        self._request_ids = _request_ids()
        self._in_hand = 0
        self.max_requests = ServerSettings().max_requests
        self.has_forwarded = ServerSettings().forwarded

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            return self._lifespan(receive, send)
        if scope["type"] == "http" and (path := raw_path(scope)).startswith(PREFIX):
            return self._answer_for_itself(scope, path, send)
        if self._in_hand >= self.max_requests:
            return self._shed(scope, send)
        return self._serve(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._life.start()
            if message["type"] == "lifespan.shutdown":
                await self._life.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _answer_for_itself(self, scope: Scope, path: bytes, send: Send) -> None:
        watch = Watch(self._journal)
        admission = await self._status.admit(scope, path)
        if admission.answer is not None:
            await send_answer(send, admission.answer)
            watch.status = admission.answer.status
        watch.write(scope, admission)

    async def _shed(self, scope: Scope, send: Send) -> None:
        """Refuse a request that comes on top of too many, which has to cost less than serving it."""
        watch = Watch(self._journal)
        reason = Reason.GATEWAY_OVERLOADED
        answer = answers.refusal(None, reason)
        admission = Admission(answer, None, None, Verdict(State.SIGNED_OUT, reason))
        if scope["type"] == "websocket":
            await send_refused_websocket(scope, watch.wrap(send), answer)
        else:
            await send_answer(watch.wrap(send), answer)
        watch.write(scope, admission, detail=f"{self._in_hand} requests are in hand")

    def _request_id(self, scope: Scope) -> Header:
        """Return the request's name: that which a trusted peer gave it, or a new one."""
        trust = self._gate.trust
        if trust.networks:
            said = [header for header in scope["headers"] if header[0] == b"x-request-id"]
            if len(said) == 1 and _REQUEST_ID(said[0][1]) and trust.is_trusted(peer(scope)):
                return (b"x-request-id", said[0][1])
        return next(self._request_ids)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = Watch(self._journal)
        watch.request_id = self._request_id(scope)
        self._in_hand += 1
        admission = _NOT_ADMITTED
        reason = detail = ""
        try:
            admission = await self._gate.admit(scope)
            if scope["type"] == "websocket":
                outcome = await self._sockets.serve(scope, receive, send, watch, admission, self._opening_socket)
                reason, detail = outcome
            elif admission.answer is not None:
                await send_answer(watch.wrap(send), admission.answer)
            else:
                await self._forward(scope, receive, _Sink(send, watch, watch.request_id), admission)
        except UpstreamError as error:
            reason, detail = error.reason, error.detail
            await self._answer_failure(watch.wrap(send), watch, admission, reason, error.retry_after_s)
        except ClientGoneError as gone:
            detail = "the client went away"
            if gone.is_unfinished:
                reason, detail = Reason.REQUEST_FRAMING_INVALID, "its body is broken, or the client went away within it"
                await self._answer_failure(watch.wrap(send), watch, admission, reason)
        except Exception as error:
            _log.exception("forwarding a request failed")
            reason, detail = Reason.UNEXPECTED_ERROR, type(error).__name__
            await self._answer_failure(watch.wrap(send), watch, admission, reason)
        finally:
            self._in_hand -= 1
            watch.write(scope, admission, reason, detail)

    async def _forward(self, scope: Scope, receive: Receive, sink: "_Sink", admission: Admission) -> None:
        length = _body_length(scope, scope["headers"])
        destination, request = self._opening(scope, admission, sink.request_id, length)
        sink.private_cookies = self._private_cookies
        terms = destination.terms
        sink.back = _way_back(destination, admission)
        sink.depends = terms.access is not _PUBLIC
        if terms.cors is not None and admission.facts is not None:
            sink.cors = answer_headers(terms.cors, admission.facts.header("origin"))
        if admission.verdict.cookies:
            sink.added = set_cookie_headers(admission.verdict.cookies)
        if terms.max_body_bytes is not None and length is None:
            receive = BodyLimit(receive, terms.max_body_bytes).receive
        if destination.carrier is None:
            await forward(destination.pool, request, receive, sink)
        else:
            await destination.carrier.forward(request, receive, sink)

    def _opening_socket(self, scope: Scope, admission: Admission, request_id: Header) -> Opening:
        """Return how a WebSocket is opened at the upstream."""
        destination, request = self._opening(scope, admission, request_id, 0)
        carrier = destination.carrier
        open_there = partial(connect, destination.pool) if carrier is None else carrier.connect
        return Opening(open_there, request, _way_back(destination, admission))

    def _opening(
        self, scope: Scope, admission: Admission, request_id: Header, length: int | None
    ) -> tuple[Destination, Outgoing]:
        """Return the request as it goes to the upstream, and where that is."""
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
            *_forwarded(facts.client, url.scheme, url.host, has_standard=self.has_forwarded),
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

    def _is_ours(self, facts: RequestFacts, route: Route, admission: Admission) -> bool:
        if facts.bearer is None:
            return False
        # Signed in with a Bearer token is signed in by it: it beats every cookie.
        is_judged = admission.verdict.state is _SIGNED_IN
        if not is_judged and has_machines(route.settings.accepts) and type_in(facts.bearer):
            return True  # a machine's token that was refused is no more the upstream's business than a good one
        return is_judged or may_be_from(facts.bearer, self._gate.authenticator.rules.issuers(facts.url.origin))

    async def _answer_failure(
        self, send: Send, watch: Watch, admission: Admission, reason: str, retry_after_s: int = 0
    ) -> None:
        if watch.status:
            # The answer has begun. Left unfinished, the server closes the connection: the only honest way to say
            # that it is not whole.
            return
        answer = answers.refusal(admission.facts, reason).retrying_after(retry_after_s)
        answer = readable(answer, admission.facts, admission.route)
        answer = answer.with_cookies(admission.verdict.cookies)
        await send_answer(send, answer)


class _Sink:
    """Passes an upstream's answer to the client.

    Attributes:
        private_cookies: cookies that an upstream may not set.
        depends: whether the answer depends on who asks.
        added: cookies of ours that go with it.
        request_id: the header that names the request.
        cors: what is said of CORS in the upstream's place; None leaves that to it.
        back: writes addresses in the headers anew; None leaves them.
    """

    __slots__ = ("_send", "_watch", "added", "back", "cors", "depends", "private_cookies", "request_id")

    def __init__(self, send: Send, watch: Watch, request_id: Header) -> None:
        self._send = send
        self._watch = watch
        self.request_id = request_id
        self.private_cookies: frozenset[bytes] = frozenset()
        self.added: tuple[Header, ...] = ()
        self.depends = True
        self.cors: tuple[Header, ...] | None = None
        self.back: Back | None = None

    async def start(self, status: int, headers: list[Header]) -> None:
        """Send status and headers, with ours."""
        kept = response_headers(headers, self.private_cookies)
        if self.back is not None:
            kept = self.back(kept)
        if self.depends:
            kept = with_cache_rules(kept)
        if self.cors is not None:
            kept = [*without_cors(kept), *self.cors]
        if self.added:
            kept = [*for_one_browser(kept), *self.added]
        kept.append(self.request_id)
        self._watch.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": kept})

    async def body(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


def _way_back(destination: Destination, admission: Admission) -> Back | None:
    if destination.back is None or admission.facts is None:
        return None
    return partial(destination.back.headers, url=admission.facts.url)


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
def _forwarded(client: str, scheme: str, host: str, *, has_standard: bool) -> tuple[Header, ...]:
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
    prefix = secrets.token_hex(8)
    for number in count(secrets.randbits(24)):
        yield (b"x-request-id", f"{prefix}{number:08x}".encode())


def _framing(headers: Sequence[Header]) -> tuple[set[bytes], list[bytes]]:
    """Return what is said of lengths and encodings, having refused what cannot be expected of us."""
    lengths, encodings = set(), []
    for name, value in headers:
        if name == b"content-length":
            lengths.add(value)
        elif name == b"transfer-encoding":
            encodings.append(value)
        elif name == b"expect" and value.lower() not in {b"", b"100-continue"}:
            raise UpstreamError(Reason.EXPECTATION_FAILED, "its Expect is not 100-continue")
    return lengths, encodings


def _body_length(scope: Scope, headers: Sequence[Header]) -> int | None:
    """Return how long the request's body is said to be: None where only its end will tell, 0 for none.

    Raises:
        UpstreamError: when it is said twice, or not in a way that all servers read alike (RFC 9112 section 6.3).
    """
    lengths, encodings = _framing(headers)
    if encodings:
        if lengths or len(encodings) > 1 or encodings[0].lower() != b"chunked":
            raise UpstreamError(Reason.REQUEST_FRAMING_INVALID, "its transfer-encoding is not chunked alone")
        return None
    if not lengths:
        # HTTP/2 frames its bodies itself (RFC 9113 section 8.1.1); GET and the like have none worth asking for.
        is_framed = scope.get("http_version", "1.1").startswith("2") and scope["method"] not in _BODILESS
        return None if is_framed else 0
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise UpstreamError(Reason.REQUEST_FRAMING_INVALID, "its content-length is not one number")
    return int(length)
