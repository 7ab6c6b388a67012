"""The way of every request to a decision, the same through every door.

The order is policy and is written here alone: host, target, route, decision, the route's own terms.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from starlette.types import Scope

from gateway.authenticator.driver import Authenticator
from gateway.core import cors
from gateway.core.claims import SessionClaims
from gateway.core.header_names import MAX_HEAD_BYTES
from gateway.core.identity import IdentityHeaders
from gateway.core.machine_claims import MachineClaims
from gateway.core.policy import Pass, Redirect, SignIn, act
from gateway.core.reasons import Reason
from gateway.core.request import Header, PublicUrl, RequestFacts
from gateway.core.requirement import Requirement
from gateway.core.routes import Route, RouteTable
from gateway.core.satellites import asks_primary
from gateway.core.settings_model import Access, RouteSettings
from gateway.core.sockets import BadOfferError, is_foreign, offer_in, with_token
from gateway.core.target import TargetError
from gateway.core.token_class import TokenType
from gateway.core.trace import Trace
from gateway.core.trust import HostError, PublicOrigin, Trust
from gateway.core.verdict import State, Verdict
from gateway.surfaces import answers
from gateway.surfaces.answers import Answer
from gateway.surfaces.scope import Scanned, facts_of, origin_of

_log = logging.getLogger(__name__)


_NOT_ASKED: Final = Verdict(State.SIGNED_OUT)
_PUBLIC: Final = Access.PUBLIC  # members of an enum are slow to name
_UNREADABLE = {HostError: Reason.REQUEST_HOST_INVALID, TargetError: Reason.REQUEST_TARGET_INVALID}

# A tunnel would be a way around every decision, and TRACE shows what was added on the way (RFC 9110 section 9.3.8):
# a route for all methods does not take them.
_NAMED_ONLY: Final = frozenset({"CONNECT", "TRACE"})
_USUAL = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


@dataclass(init=False, slots=True)
class Admission:
    """What became of a request at the gate.

    Attributes:
        answer: what to answer instead of going on; None when the request passes.
        facts: what was read; None when the request could not be read.
        route: the route that takes it; None when there is none.
        verdict: the decision; signed out where none was asked for.
        identity: header pairs for whoever is behind the gate.
        detail: for the log.
    """

    answer: Answer | None
    facts: RequestFacts | None
    route: Route | None
    verdict: Verdict
    identity: tuple[Header, ...]
    detail: str

    def __init__(
        self,
        answer: Answer | None,
        facts: RequestFacts | None,
        route: Route | None,
        verdict: Verdict,
        identity: tuple[Header, ...] = (),
        detail: str = "",
    ) -> None:
        self.answer = answer
        self.facts = facts
        self.route = route
        self.verdict = verdict
        self.identity = identity
        self.detail = detail

    def with_answer(self, answer: Answer) -> "Admission":
        """Return the same admission with this answer."""
        return Admission(answer, self.facts, self.route, self.verdict, self.identity, self.detail)

    @property
    def session(self) -> SessionClaims | None:
        """The claims of the session, or None when nobody is signed in with one."""
        return self.verdict.claims

    @property
    def machine(self) -> MachineClaims | None:
        """The claims of the machine's token, or None where none was accepted."""
        return self.verdict.machine


class Gate:
    """Judges requests by routes and sessions.

    Args:
        authenticator: decides about sessions.
        routes: which terms hold where.
        trust: whose forwarding headers are believed.
        identity: makes headers of a session.
        sign_in: where people sign in.
    """

    def __init__(
        self, authenticator: Authenticator, routes: RouteTable, trust: Trust, identity: IdentityHeaders, sign_in: SignIn
    ) -> None:
        self.authenticator = authenticator
        self.identity = identity
        self.trust = trust
        self.routes = routes
        self._sign_in = sign_in
        self._cookie_names = authenticator.rules.names.read
        self._has_cors = any(route.settings.cors is not None for route in routes.routes)
        self._own_origins = authenticator.rules.expected.authorized_parties

    def explaining(self, trace: Trace, *, live: bool) -> "Gate":
        """Return a gate that judges alike and says how; see :meth:`Authenticator.explaining`."""
        authenticator = self.authenticator.explaining(trace, live=live)
        return Gate(authenticator, self.routes, self.trust, self.identity, self._sign_in)

    async def admit(self, scope: Scope) -> Admission:
        """Judge one request; never raises for anything that a client can send."""
        read = self._read(scope)
        if isinstance(read, Admission):
            return read
        facts, scanned, route = read
        try:
            if scope["type"] == "websocket":
                return await self._admit_socket(scope, scanned, facts, route)
            if route.settings.access is Access.PUBLIC:
                return await self._open(facts, route)
            accepts = route.settings.accepts
            verdict = self.authenticator.recall(facts, scanned.cookies, accepts)
            if verdict is None:
                verdict = await self.authenticator.authenticate(facts, scanned.cookies, accepts)
            return self._conclude(facts, route, verdict)
        except Exception:
            return _failed(facts, route)

    def admit_at_once(self, scope: Scope) -> Admission | None:
        """Judge one request of HTTP if nothing has to be waited for; None where :meth:`admit` is needed."""
        read = self._read(scope)
        if isinstance(read, Admission):
            return read
        facts, scanned, route = read
        terms = route.settings
        try:
            if terms.access is _PUBLIC:
                return None if asks_primary(facts, self.authenticator.rules.role) else self._opened(facts, route)
            verdict = self.authenticator.decide_at_once(facts, scanned.cookies, terms.accepts)
            return None if verdict is None else self._conclude(facts, route, verdict)
        except Exception:
            return _failed(facts, route)

    def _read(self, scope: Scope) -> "Admission | tuple[RequestFacts, Scanned, Route]":
        """Return what a request says and which route takes it, or the answer to it."""
        scanned = Scanned(scope["headers"])
        if scanned.size > MAX_HEAD_BYTES:
            # The server bounds its buffer, and may go beyond that by one read.
            detail = f"{scanned.size} bytes, {MAX_HEAD_BYTES} are allowed"
            return _unreadable(scope, scanned, Reason.REQUEST_HEADERS_TOO_LARGE, detail)
        try:
            origin = origin_of(scope, scanned, self.trust)
            facts = facts_of(scope, scanned, origin, self.trust, self._cookie_names)
        except (HostError, TargetError) as error:
            return _unreadable(scope, scanned, _UNREADABLE[type(error)], error.reason)
        if self._has_cors and facts.method == "OPTIONS" and (admission := self._preflight(facts, origin)) is not None:
            return admission
        route = self.routes.match(origin.hostname, facts.url.path.encode("ascii"), facts.method)
        if route is None or (facts.method in _NAMED_ONLY and facts.method not in route.settings.methods):
            return self._no_route(facts, origin)
        if route.is_bounded and (reason := _beyond(route.settings, scanned.size, scope["headers"])):
            return _stopped(answers.refusal(facts, reason), facts, route, _refused(reason))
        return facts, scanned, route

    def _preflight(self, facts: RequestFacts, origin: PublicOrigin) -> Admission | None:
        """Answer a CORS preflight (core/cors.py), or return None where it is the upstream's business."""
        asks, method = facts.header("origin"), facts.header("access-control-request-method")
        route = self.routes.match(origin.hostname, facts.url.path.encode("ascii"), method) if asks and method else None
        if route is None or (terms := route.settings.cors) is None:
            return None
        own = self.routes.match(origin.hostname, facts.url.path.encode("ascii"), "OPTIONS")
        if own is not None and own.settings.cors is None and "OPTIONS" in own.settings.methods:
            return None  # the route for preflights leaves them to the upstream
        if not cors.is_allowed(terms, asks):
            refused = answers.refusal(facts, Reason.CORS_ORIGIN_REFUSED)
            return _stopped(refused, facts, route, _refused(Reason.CORS_ORIGIN_REFUSED))
        headers = cors.preflight_headers(terms, asks, route.settings.methods)
        return Admission(Answer(204, headers), facts, route, _NOT_ASKED)

    async def _admit_socket(self, scope: Scope, scanned: Scanned, facts: RequestFacts, route: Route) -> Admission:
        """Judge the opening request of a WebSocket, before it is accepted."""
        terms, fault = route.settings, None
        try:
            facts = with_token(facts, offer_in(scope["headers"], terms.websocket_token_protocol))
        except BadOfferError:
            fault = Reason.WEBSOCKET_OFFER_INVALID
        if fault is None and terms.access is not Access.PUBLIC and is_foreign(facts, self._own_origins):
            fault = Reason.WEBSOCKET_ORIGIN_REFUSED
        if fault is not None:
            return Admission(answers.refusal(facts, fault), facts, route, _refused(fault))
        if terms.access is Access.PUBLIC:
            return await self._open(facts, route)
        return self._conclude(
            facts, route, await self.authenticator.authenticate(facts, scanned.cookies, terms.accepts)
        )

    def _conclude(self, facts: RequestFacts, route: Route, verdict: Verdict) -> Admission:
        terms = route.settings
        match act(verdict, facts, terms, self._sign_in):
            case Pass():
                identity = (verdict.identity or self._identity(verdict)) if terms.identity else ()
                if verdict.state is State.HANDSHAKE:
                    verdict = replace(verdict, cookies=())  # they belong to a redirect that is not made here
                return Admission(None, facts, route, verdict, identity)
            case Redirect(location):
                return _stopped(answers.redirect(location, verdict), facts, route, verdict, verdict.message)
            case refused:
                answer = self.refusal(facts, route, verdict, refused.reason, terms.require)
                # The log names the reason for a refusal also where somebody is signed in.
                verdict = replace(verdict, reason=refused.reason)
                return _stopped(answer, facts, route, verdict, _detail(verdict, terms.require))

    def refusal(
        self,
        facts: RequestFacts | None,
        route: Route | None,
        verdict: Verdict,
        reason: str,
        requirement: Requirement | None,
    ) -> Answer:
        """Return the answer to a request whose session, or the lack of one, does not do.

        Args:
            facts: the request.
            route: that takes it; where it asks for a machine, nobody is offered to sign in.
            verdict: who is signed in, or why nobody is.
            reason: why the request is refused.
            requirement: what was asked for beyond a session.
        """
        can_sign_in = route is not None and TokenType.SESSION_TOKEN in route.settings.accepts
        sign_in = self._sign_in.location(facts.url, verdict.dev_browser.reveal()) if facts and can_sign_in else ""
        return answers.refusal(facts, reason, verdict=verdict, sign_in=sign_in, requirement=requirement)

    def _identity(self, verdict: Verdict) -> tuple[Header, ...]:
        if verdict.claims is not None:
            return self.identity.of(verdict.claims)
        return self.identity.of_machine(verdict.machine) if verdict.machine is not None else self.identity.signed_out

    async def _open(self, facts: RequestFacts, route: Route) -> Admission:
        """Let a request through that needs no session, unless it comes from a satellite to the primary's sign-in."""
        if asks_primary(facts, self.authenticator.rules.role):
            verdict = await self.authenticator.authenticate(facts)
            if verdict.reason == Reason.PRIMARY_RESPONDS_TO_SYNCING and verdict.location:
                return Admission(answers.redirect(verdict.location, verdict), facts, route, verdict)
        return self._opened(facts, route)

    def _opened(self, facts: RequestFacts, route: Route) -> Admission:
        return Admission(None, facts, route, _NOT_ASKED, self.identity.signed_out if route.settings.identity else ())

    def _no_route(self, facts: RequestFacts, origin: PublicOrigin) -> Admission:
        methods = self.routes.methods(origin.hostname, facts.url.path.encode("ascii"))
        if not methods and facts.method in _NAMED_ONLY:
            methods = _USUAL
        reason = Reason.METHOD_NOT_ALLOWED if methods else Reason.ROUTE_NOT_FOUND
        allow = [(b"allow", ", ".join(methods).encode())] if methods else []
        return Admission(answers.refusal(facts, reason, headers=allow), facts, None, _refused(reason))


def _failed(facts: RequestFacts, route: Route) -> Admission:
    """Refuse a request about which deciding failed: a fault of ours must not let anything in.

    The traceback is the operator's, not the client's.
    """
    _log.exception("deciding about a request failed")
    return _stopped(answers.unexpected(facts), facts, route, _refused(Reason.UNEXPECTED_ERROR))


def _stopped(answer: Answer, facts: RequestFacts, route: Route, verdict: Verdict, detail: str = "") -> Admission:
    return Admission(readable(answer, facts, route), facts, route, verdict, detail=detail)


def readable(answer: Answer, facts: RequestFacts | None, route: Route | None) -> Answer:
    """Return an answer of ours as pages of the route's allowed origins can read it."""
    if facts is None or route is None or route.settings.cors is None:
        return answer
    return answer.with_headers(cors.answer_headers(route.settings.cors, facts.header("origin")))


def _beyond(terms: RouteSettings, head_bytes: int, headers: Iterable[Header]) -> Reason | None:
    """Return which bound of the route a request says itself to be beyond."""
    if terms.max_header_bytes is not None and head_bytes > terms.max_header_bytes:
        return Reason.REQUEST_HEADERS_TOO_LARGE
    if terms.max_body_bytes is not None:
        for name, value in headers:
            # Whatever is no number is refused later, as framing.
            if name == b"content-length" and value.isdigit() and int(value[:19]) > terms.max_body_bytes:
                return Reason.REQUEST_BODY_TOO_LARGE
    return None


def _detail(verdict: Verdict, requirement: Requirement | None) -> str:
    """Return what the log says beside the reason."""
    if verdict.state is State.SIGNED_IN:
        return f"the route asks for {requirement}"
    known = verdict.loop.facts if verdict.loop is not None else ()
    return "; ".join(filter(None, (verdict.message, *(f"{label}: {value}" for label, value in known))))


def _refused(reason: Reason) -> Verdict:
    """Return the verdict on a request that never came to a decision."""
    return Verdict(State.SIGNED_OUT, reason)


def _unreadable(scope: Scope, scanned: Scanned, reason: Reason, detail: str) -> Admission:
    facts = RequestFacts(method=scope.get("method", "GET"), url=PublicUrl("http", ""), headers=scanned)
    return Admission(answers.refusal(facts, reason), None, None, _refused(reason), detail=detail)
