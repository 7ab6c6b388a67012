"""The gate as a reverse proxy: what passes goes to the route's upstream, with the identity in its headers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from gateway.core.headers import RequestHeaders, response_headers, with_cache_rules
from gateway.core.reasons import Reason
from gateway.core.request import Header, RequestFacts
from gateway.core.settings_model import Access
from gateway.errors import UpstreamError
from gateway.ports import Journal
from gateway.surfaces import answers
from gateway.surfaces.answers import set_cookie_headers
from gateway.surfaces.exchange import Receive, Send, Watch, send_answer, send_refused_websocket
from gateway.surfaces.gate import Admission, Gate
from gateway.surfaces.scope import Scope, raw_path
from gateway.surfaces.status import PREFIX, Status
from gateway.upstream.forward import ClientGoneError, Outgoing, forward
from gateway.upstream.pool import Pool


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a route leads.

    Attributes:
        pool: the upstream's connections.
        headers: makes the request's headers.
    """

    pool: Pool
    headers: RequestHeaders


class Proxy:
    """The ASGI application of ``gateway serve``.

    Args:
        gate: judges.
        status: answers for the gateway itself.
        destinations: by route name.
        private_cookies: cookies that an upstream may not set.
        journal: the access log.
        close: called at shutdown.
    """

    def __init__(
        self,
        gate: Gate,
        status: Status,
        destinations: Mapping[str, Destination],
        private_cookies: frozenset[bytes],
        journal: Journal,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._gate = gate
        self._status = status
        self._destinations = destinations
        self._private_cookies = private_cookies
        self._journal = journal
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http" and (path := raw_path(scope)).startswith(PREFIX):
            await send_answer(send, await self._status.answer(scope, path))
        else:
            await self._serve(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = Watch(self._journal)
        send = watch.wrap(send)
        admission = await self._gate.admit(scope)
        reason = detail = ""
        try:
            if scope["type"] == "websocket":
                answer = admission.answer or answers.refusal(None, Reason.WEBSOCKET_NOT_FORWARDED)
                await send_refused_websocket(scope, send, answer)
            elif admission.answer is not None:
                await send_answer(send, admission.answer)
            else:
                await self._forward(scope, receive, send, admission)
        except UpstreamError as error:
            reason, detail = error.reason, error.detail
            await self._answer_failure(send, watch, admission, error)
        except ClientGoneError:
            detail = "the client went away"
        finally:
            watch.write(scope, admission, reason, detail)

    async def _forward(self, scope: Scope, receive: Receive, send: Send, admission: Admission) -> None:
        facts, route = admission.facts, admission.route
        if facts is None or route is None:
            raise UpstreamError(Reason.UNEXPECTED_ERROR, "an admitted request has facts and a route")
        destination = self._destinations[route.name]
        ours = (*_forwarded(facts), *admission.identity)
        headers = destination.headers.build(scope["headers"], ours)
        length, headers = _framing(headers, is_chunked=_is_chunked(scope["headers"]))
        request = Outgoing(facts.method, _target(facts), headers, length)
        added = set_cookie_headers(admission.verdict.cookies)
        sink = _Sink(send, self._private_cookies, added, depends=route.settings.access is not Access.PUBLIC)
        await forward(destination.pool, request, receive, sink)

    async def _answer_failure(self, send: Send, watch: Watch, admission: Admission, error: UpstreamError) -> None:
        if watch.status:
            # The answer has begun: leaving it unfinished is the only honest way to say that it is not whole.
            raise asyncio.CancelledError
        cookies = admission.verdict.cookies
        await send_answer(send, answers.refusal(admission.facts, error.reason).with_cookies(cookies))


class _Sink:
    """Passes an upstream's answer to the client."""

    __slots__ = ("_added", "_depends", "_private_cookies", "_send")

    def __init__(
        self, send: Send, private_cookies: frozenset[bytes], added: tuple[Header, ...], *, depends: bool
    ) -> None:
        self._send = send
        self._private_cookies = private_cookies
        self._added = added
        self._depends = depends

    async def start(self, status: int, headers: list[Header]) -> None:
        """Send status and headers, with ours."""
        kept = response_headers(headers, self._private_cookies)
        if self._depends:
            kept = with_cache_rules(kept)
        await self._send({"type": "http.response.start", "status": status, "headers": [*kept, *self._added]})

    async def body(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


def _target(facts: RequestFacts) -> bytes:
    path = facts.url.path.encode("ascii")
    return path + b"?" + facts.url.query.encode("latin-1") if facts.url.query else path


def _forwarded(facts: RequestFacts) -> tuple[Header, ...]:
    headers: list[Header] = [
        (b"x-forwarded-for", facts.client.encode("ascii", "replace")),
        (b"x-forwarded-proto", facts.url.scheme.encode()),
        (b"x-forwarded-host", facts.url.host.encode()),
    ]
    return tuple(header for header in headers if header[1])


def _is_chunked(headers: list[Header]) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)


def _framing(headers: list[Header], *, is_chunked: bool) -> tuple[int | None, list[Header]]:
    """Return the body's length and the headers without it: framing is written anew for the upstream."""
    lengths = [value for name, value in headers if name == b"content-length"]
    kept = [header for header in headers if header[0] != b"content-length"]
    if is_chunked:
        return None, kept
    if not lengths:
        return 0, kept
    if len(set(lengths)) > 1 or not lengths[0].isdigit():
        raise UpstreamError(Reason.REQUEST_TARGET_INVALID, "the request's content-length is no number")
    return int(lengths[0]), kept
