"""WebSockets through the proxy: opened at the upstream before the client is told, and ended with their session."""

import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

from starlette.types import Scope, Send

from gateway.authenticator.driver import Authenticator
from gateway.authenticator.lifelines import Ask, Lifelines
from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.core.requirement import unmet
from gateway.core.response_headers import for_one_browser, response_headers, with_cache_rules
from gateway.core.settings_model import Access, WebSocketSettings
from gateway.core.sockets import offer_in
from gateway.core.verdict import State
from gateway.errors import UpstreamError
from gateway.ports import SessionStates
from gateway.server.errors import ClientGoneError
from gateway.server.websocket import EXTENSION, WebSocket
from gateway.surfaces import answers
from gateway.surfaces.answers import Answer, set_cookie_headers
from gateway.surfaces.bridge import STUCK_S, Bridge
from gateway.surfaces.exchange import Watch, send_refused_websocket
from gateway.surfaces.gate import Admission
from gateway.upstream.forward import Outgoing
from gateway.upstream.websocket import MakeHead, Refused, UpstreamWebSocket
from gateway.websocket.channel import Channel

_log = logging.getLogger(__name__)

# Ours towards the upstream: the key is the library's, and no extension is offered (RFC 6455 section 4.1).
_HANDSHAKE = b"sec-websocket-"
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_SAID_BY_US = _FRAMING | {b"x-request-id"}

Outcome = tuple[str, str]
"""Reason and detail for the access log."""

Connect = Callable[[MakeHead, tuple[str, ...], int], Awaitable[UpstreamWebSocket]]
"""Opens a WebSocket at a route's upstream, as :func:`gateway.upstream.websocket.connect` does."""

Back = Callable[[list[Header]], list[Header]]
"""Writes addresses in an answer's headers anew (:mod:`gateway.core.way_back`)."""


class Opening(NamedTuple):
    """How a WebSocket is opened at its upstream.

    Attributes:
        connect: opens it.
        request: as it goes there.
        back: for the headers of an answer that does not accept; None leaves them.
    """

    connect: Connect
    request: Outgoing
    back: Back | None


Open = Callable[[Scope, Admission, Header], Opening]


class WebSockets:
    """Serves WebSockets that the gate has judged.

    Args:
        authenticator: judged them; asked again about machines.
        sessions: tells whether a session lives; None where there is no secret key.
        settings: sizes, times and numbers.
        private_cookies: cookies that an upstream may not set.
        lifelines: ends them with their sessions.
        stuck_s: seconds in which either end has to take one message.

    Attributes:
        open: how many there are, with those that are being opened.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        sessions: SessionStates | None,
        settings: WebSocketSettings,
        private_cookies: frozenset[bytes],
        lifelines: Lifelines | None = None,
        stuck_s: float = STUCK_S,
    ) -> None:
        self._authenticator = authenticator
        self._sessions = sessions
        self._settings = settings
        self._private_cookies = private_cookies
        self._lifelines = lifelines or Lifelines(settings)
        self._stuck_s = stuck_s
        self.open = 0

    async def serve(self, scope: Scope, send: Send, watch: Watch, admission: Admission, make: Open) -> Outcome:
        """Serve one WebSocket to its end.

        Args:
            scope, send: of the server.
            watch: notes the status.
            admission: what the gate says.
            make: makes the request to the upstream.
        """
        try:
            return await self._serve(scope, send, watch, admission, make)
        except ClientGoneError:
            return "", "the client went away"

    async def _serve(self, scope: Scope, send: Send, watch: Watch, admission: Admission, make: Open) -> Outcome:
        if admission.answer is not None:
            await send_refused_websocket(scope, watch.wrap(send), admission.answer)
            return "", ""
        if self.open >= self._settings.max_open:
            return await self._refuse(scope, watch.wrap(send), admission, Reason.WEBSOCKET_LIMIT_REACHED)
        self.open += 1
        try:
            return await self._carry(scope, send, watch, admission, make)
        except ClientGoneError:
            raise
        except UpstreamError as error:
            wait_s = error.retry_after_s
            return await self._refuse(scope, watch.wrap(send), admission, error.reason, error.detail, wait_s)
        except Exception as error:
            _log.exception("forwarding a WebSocket failed")
            return await self._refuse(
                scope,
                watch.wrap(send),
                admission,
                Reason.UNEXPECTED_ERROR,
                type(error).__name__,
                is_open=watch.status > 0,
            )
        finally:
            self.open -= 1

    async def _refuse(  # noqa: PLR0913 - what a refusal is made of
        self,
        scope: Scope,
        send: Send,
        admission: Admission,
        reason: str,
        detail: str = "",
        retry_after_s: int = 0,
        *,
        is_open: bool = False,
    ) -> Outcome:
        if not is_open:
            answer = answers.refusal(admission.facts, reason).retrying_after(retry_after_s)
            await send_refused_websocket(scope, send, answer.with_cookies(admission.verdict.cookies))
        return reason, detail

    async def _carry(self, scope: Scope, send: Send, watch: Watch, admission: Admission, make: Open) -> Outcome:
        offer = offer_in(scope["headers"], _token_protocol(admission))
        if watch.request_id is None:
            raise UpstreamError(Reason.UNEXPECTED_ERROR, "a request that is forwarded has a name")
        connect, request, back = make(scope, admission, watch.request_id)
        kept = [
            header for header in request.headers if not header[0].startswith(_HANDSHAKE) and header[0] not in _FRAMING
        ]

        def head(headers: list[Header]) -> bytes:
            return Outgoing("GET", request.target, [*kept, *headers], 0).head()

        try:
            upstream = await connect(head, offer.protocols, self._settings.max_message_bytes)
        except Refused as refused:
            await send_refused_websocket(scope, watch.wrap(send), self._relayed(refused, admission, back))
            return "", "the upstream did not accept the WebSocket"
        try:
            socket: WebSocket = scope["extensions"][EXTENSION]
            socket.max_message_bytes = self._settings.max_message_bytes
            channel = socket.accept(offer.answer(upstream.subprotocol), set_cookie_headers(admission.verdict.cookies))
            watch.status = 101
            return await self._bridge(channel, upstream, admission)
        finally:
            upstream.close(1001, "")

    async def _bridge(self, client: Channel, upstream: Channel, admission: Admission) -> Outcome:
        bridge = Bridge(client, upstream, self._settings, self._stuck_s)
        release = self._hold(admission, bridge)
        try:
            end = await bridge.run()
        finally:
            release()
        return end.reason, end.detail

    def _hold(self, admission: Admission, bridge: Bridge) -> Callable[[], None]:
        """Tie a WebSocket to what it was let in by; who is nobody has nothing that could end."""
        name: Hashable
        ask: Ask | None
        if admission.session is not None:
            name = admission.session.session_id or object()
            ask = self._session_question(admission.session.session_id)
        elif admission.machine is not None:
            name, ask = object(), self._machine_question(admission)
        else:
            return lambda: None
        return self._lifelines.hold(name, ask, bridge.cut)

    def _session_question(self, session_id: str) -> Ask | None:
        sessions = self._sessions
        if sessions is None or not session_id:
            return None

        async def lives() -> bool:
            if await sessions.is_active(session_id):
                return True
            self._authenticator.end_session(session_id)  # its tokens count no more for requests either
            return False

        return lives

    def _machine_question(self, admission: Admission) -> Ask | None:
        facts, route = admission.facts, admission.route
        if facts is None or route is None:
            return None
        terms = route.settings

        async def counts() -> bool | None:
            verdict = await self._authenticator.authenticate(facts, (), terms.accepts)
            if verdict.machine is None:
                return None if verdict.state is State.UNKNOWN else False
            # Unlike that about a session, the answer says what it may do by now.
            return terms.require is None or unmet(terms.require, None, verdict.machine.scopes) is None

        return counts

    def _relayed(self, refused: Refused, admission: Admission, back: Back | None) -> Answer:
        headers = response_headers(refused.headers, self._private_cookies)
        if back is not None:
            headers = back(headers)
        if admission.route is not None and admission.route.settings.access is not Access.PUBLIC:
            headers = with_cache_rules(headers)
        if admission.verdict.cookies:
            headers = for_one_browser(headers)
        kept = [header for header in headers if header[0] not in _SAID_BY_US and not header[0].startswith(_HANDSHAKE)]
        length = (b"content-length", str(len(refused.body)).encode())
        return Answer(refused.status, (*kept, length), refused.body).with_cookies(admission.verdict.cookies)

    async def close(self) -> None:
        """Stop asking about sessions."""
        await self._lifelines.close()


def _token_protocol(admission: Admission) -> str | None:
    return admission.route.settings.websocket_token_protocol if admission.route is not None else None
