"""The gate as a reverse proxy: what passes goes to the route's upstream, with the identity in its headers.

Two ways lead through it. A request without a body that is decided at once, and finds an open connection, takes the
short one: no task is made for it (:class:`gateway.surfaces.relay.Relay`), and none for another proxy's question that is
decided at once. Everything else goes over ASGI, and so does the rest of an answer that does not come whole.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.core.settings_model import ServerSettings
from gateway.core.verdict import State, Verdict
from gateway.errors import UpstreamError
from gateway.ports import Journal
from gateway.server.exchange import Exchange
from gateway.server.websocket import WebSocket
from gateway.surfaces import answers
from gateway.surfaces.answers import Answer
from gateway.surfaces.body_limit import BodyLimit
from gateway.surfaces.exchange import Watch, send_answer, send_refused_websocket
from gateway.surfaces.framing import body_length
from gateway.surfaces.gate import Admission, Gate, readable
from gateway.surfaces.opening import Destination, Openings
from gateway.surfaces.relay import AsgiSink, Relay, direct_way, headers_back
from gateway.surfaces.scope import raw_path, with_pairs
from gateway.surfaces.status import PREFIX, Status
from gateway.surfaces.websockets import WebSockets
from gateway.upstream.forward import ClientGoneError, forward

_log = logging.getLogger(__name__)

_NOT_ADMITTED = Admission(None, None, None, Verdict(State.SIGNED_OUT))


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
        has_forwarded: upstreams get ``Forwarded`` too.

    Attributes:
        max_requests: that are served at once; more are refused before anything is done for them.
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
        has_forwarded: bool = False,
    ) -> None:
        self._gate = gate
        self._status = status
        self._openings = Openings(gate, destinations, has_forwarded=has_forwarded)
        self._private_cookies = private_cookies
        self._journal = journal
        self._life = life
        self._sockets = sockets
        self._in_hand = 0
        self.max_requests = ServerSettings().max_requests

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            return self._lifespan(receive, send)
        scope = with_pairs(scope)
        if scope["type"] == "http" and (path := raw_path(scope)).startswith(PREFIX):
            return self._answer_for_itself(scope, path, send)
        if self._in_hand >= self.max_requests:
            return self._shed(scope, send)
        return self._serve(scope, receive, send)

    # ── the short way ──

    def begin(self, exchange: Exchange | WebSocket) -> None:
        """Serve one request of the gateway's own server (:class:`gateway.server.handler.Handler`)."""
        scope = exchange.scope
        if isinstance(exchange, WebSocket) or exchange.has_body:
            exchange.run(self)
            return
        if scope["raw_path"].startswith(PREFIX):
            self._begin_for_itself(exchange, scope["raw_path"])
            return
        admission = self._gate.admit_at_once(scope) if self._in_hand < self.max_requests else None
        if admission is None:
            exchange.run(self)
            return
        watch = Watch(self._journal)
        watch.request_id = request_id = self._openings.request_id(scope)
        if admission.answer is None:
            self._send_off(exchange, watch, admission, request_id)
        else:
            self._answer(exchange, watch, admission, admission.answer)

    def _begin_for_itself(self, exchange: Exchange, path: bytes) -> None:
        watch = Watch(self._journal)
        admission = self._status.admit_at_once(exchange.scope, path)
        if admission is None or admission.answer is None:
            exchange.run(self)
        else:
            self._answer(exchange, watch, admission, admission.answer)

    def _send_off(self, exchange: Exchange, watch: Watch, admission: Admission, request_id: Header) -> None:
        try:
            destination, request = self._openings.open(exchange.scope, admission, request_id, 0)
            head = request.head()
        except UpstreamError as error:
            answer = self._failure(admission, error.reason, error.retry_after_s)
            self._answer(exchange, watch, admission, answer, error.reason, error.detail)
            return
        connection = destination.pool.take() if destination.carrier is None else None
        if connection is None:
            self._run_judged(exchange, watch, admission)
            return
        private = self._private_cookies
        self._in_hand += 1
        Relay(self, exchange, watch, admission, destination, request, request_id, private, connection).begin(head)

    def _run_judged(self, exchange: Exchange, watch: Watch, admission: Admission) -> None:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            await self._serve_judged(scope, receive, send, watch, admission)

        exchange.run(serve)

    def _answer(
        self,
        exchange: Exchange,
        watch: Watch,
        admission: Admission,
        answer: Answer,
        reason: str = "",
        detail: str = "",
    ) -> None:
        headers = answer.headers if watch.request_id is None else (*answer.headers, watch.request_id)
        watch.status = answer.status
        exchange.respond(answer.status, headers, answer.body, recurs=answer.recurs and watch.request_id is None)
        watch.write(exchange.scope, admission, reason, detail)

    def finish(self, relay: Relay, detail: str = "") -> None:
        """The answer is out, or the client has gone."""
        self._in_hand -= 1
        relay.watch.write(relay.exchange.scope, relay.admission, "", detail)

    def take_over(self, relay: Relay) -> None:
        """It takes a task from here on."""

        async def go_on(scope: Scope, receive: Receive, send: Send) -> None:
            reason = detail = ""
            try:
                reason, detail = await self._carry(scope, receive, send, relay.watch, relay.admission, relay)
            finally:
                self._in_hand -= 1
                relay.watch.write(scope, relay.admission, reason, detail)

        relay.exchange.run(go_on)

    def fail(self, relay: Relay, error: Exception) -> None:
        """Passing the answer on failed."""
        self._in_hand -= 1
        _log.error("passing an answer on failed", exc_info=error)
        answer = self._failure(relay.admission, Reason.UNEXPECTED_ERROR)
        self._answer(
            relay.exchange, relay.watch, relay.admission, answer, Reason.UNEXPECTED_ERROR, type(error).__name__
        )

    def refuse(self, reason: Reason, client: str) -> tuple[int, Sequence[Header], bytes]:
        """Return the answer to what is no request, or one too many, and write it down.

        Args:
            reason: why.
            client: the address it comes from.
        """
        answer = answers.refusal(None, reason)
        watch = Watch(self._journal)
        watch.status = answer.status
        watch.write({}, Admission(answer, None, None, Verdict(State.SIGNED_OUT, reason), detail=f"from {client}"))
        return answer.status, answer.headers, answer.body

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

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = Watch(self._journal)
        watch.request_id = self._openings.request_id(scope)
        await self._serve_judged(scope, receive, send, watch, None)

    async def _serve_judged(
        self, scope: Scope, receive: Receive, send: Send, watch: Watch, judged: Admission | None
    ) -> None:
        self._in_hand += 1
        admission = judged or _NOT_ADMITTED
        reason = detail = ""
        has_failed = False
        try:
            try:
                admission = judged or await self._gate.admit(scope)
                if scope["type"] == "websocket":
                    open_socket = self._openings.open_socket
                    reason, detail = await self._sockets.serve(scope, send, watch, admission, open_socket)
                elif admission.answer is not None:
                    await send_answer(watch.wrap(send), admission.answer)
                else:
                    reason, detail = await self._carry(scope, receive, send, watch, admission)
            except Exception as error:
                _log.error("forwarding a request failed", exc_info=error)
                reason, detail = Reason.UNEXPECTED_ERROR, type(error).__name__
                has_failed = True
            if has_failed:
                await self._answer_failure(watch.wrap(send), watch, admission, reason)
        finally:
            self._in_hand -= 1
            watch.write(scope, admission, reason, detail)

    async def _carry(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        watch: Watch,
        admission: Admission,
        begun: Relay | None = None,
    ) -> tuple[str, str]:
        """Forward an admitted request and pass its answer on; return reason and detail for the access log."""
        try:
            if begun is not None:
                sink = AsgiSink(send, watch, begun.headers, direct_way(scope, receive, send))
                await forward(begun.destination.pool, begun.request, receive, sink, begun.connection)
            else:
                await self._forward(scope, receive, send, watch, admission)
        except UpstreamError as error:
            reason, detail, retry_after_s = error.reason, error.detail, error.retry_after_s
        except ClientGoneError as gone:
            if not gone.is_unfinished:
                return "", "the client went away"
            reason, detail = Reason.REQUEST_FRAMING_INVALID, "its body is broken, or the client went away within it"
            retry_after_s = 0
        else:
            return "", ""
        await self._answer_failure(watch.wrap(send), watch, admission, reason, retry_after_s)
        return reason, detail

    async def _forward(self, scope: Scope, receive: Receive, send: Send, watch: Watch, admission: Admission) -> None:
        length = body_length(scope, scope["headers"])
        request_id = watch.request_id or self._openings.request_id(scope)
        destination, request = self._openings.open(scope, admission, request_id, length)
        terms = destination.terms

        def back(headers: list[Header]) -> list[Header]:
            return headers_back(headers, destination, admission, request_id, self._private_cookies)

        sink = AsgiSink(send, watch, back, direct_way(scope, receive, send))
        if terms.max_body_bytes is not None and length is None:
            receive = BodyLimit(receive, terms.max_body_bytes).receive
        if destination.carrier is None:
            await forward(destination.pool, request, receive, sink)
        else:
            await destination.carrier.forward(request, receive, sink)

    async def _answer_failure(
        self, send: Send, watch: Watch, admission: Admission, reason: str, retry_after_s: int = 0
    ) -> None:
        if watch.status:
            # The answer has begun. Left unfinished, the server closes the connection: the only honest way to say
            # that it is not whole.
            return
        await send_answer(send, self._failure(admission, reason, retry_after_s))

    def _failure(self, admission: Admission, reason: str, retry_after_s: int = 0) -> Answer:
        """Return the answer to a request that was admitted, and that nobody behind the gateway answers."""
        answer = answers.refusal(admission.facts, reason).retrying_after(retry_after_s)
        return readable(answer, admission.facts, admission.route).with_cookies(admission.verdict.cookies)
