"""The gate for other proxies: they ask at ``/.gateway/decide/<front>`` whether a request may pass, and forward it.

An answer of 200 lets the request pass, and carries every identity header, empty where there is nothing to say, so that
the front overwrites what a client sent (CVE-2026-30851). Any other status is the answer that the client gets: fronts
relay it as it is. What fails here denies. Two fronts need it put otherwise:

- ``ngx_http_auth_request_module`` knows 2xx, 401 and 403, and hands on headers by name, the first of each. So the
  status stands in ``X-Gateway-Status``, each cookie in a header of its own, and the body is asked for at
  ``/.gateway/decide/nginx/answer``.
- Caddy joins the ``Set-Cookie`` lines of an answer that it does not relay; so with a 200 it gets them in headers of
  their own, too.
"""

import logging
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache, partial

from starlette.types import Scope

from gateway.core.original import Front, Original, OriginalError, original
from gateway.core.reasons import TABLE, Reason
from gateway.core.request import Header
from gateway.core.settings_model import Network
from gateway.core.sockets import opens_websocket
from gateway.core.target import TargetError
from gateway.core.trust import Forwarded, HostError, Trust
from gateway.core.verdict import State, Verdict
from gateway.server.answer import MAX_RECURRING
from gateway.surfaces import answers
from gateway.surfaces.answers import Answer, set_cookie_headers
from gateway.surfaces.gate import Admission, Gate
from gateway.surfaces.scope import Scanned, facts_of, origin_of, peer

_log = logging.getLogger(__name__)

PREFIX = b"/.gateway/decide/"
_RESERVED = "/.gateway/"
_NGINX_ANSWER = b"/answer"
_NO_BODY: Header = (b"content-length", b"0")
_OF_EVERY_YES: tuple[Header, ...] = ((b"cache-control", b"no-store"), _NO_BODY)
# Of the body, which nginx asks for, with its challenge, when it needs it.
_OF_THE_BODY = frozenset({b"content-length", b"content-type", b"www-authenticate"})
STATUS_HEADER = b"x-gateway-status"
REASON_HEADER = b"x-gateway-reason"
COOKIE_HEADER = b"x-gateway-set-cookie-"
MAX_COOKIES = 12
"""How many cookies have a header of their own; there are no more names that we set (:mod:`gateway.core.cookies`)."""


class DecisionService:
    """Answers the proxies that ask.

    Args:
        gate: judges.
        fronts: who is answered.
        trusted: the networks that may ask.
    """

    def __init__(self, gate: Gate, fronts: Collection[Front], trusted: tuple[Network, ...]) -> None:
        self._gate = gate
        self._fronts = {front.encode("ascii"): front for front in fronts}
        # Fronts are few and ask again and again; their clients come back.
        self._is_trusted = lru_cache(1024)(Trust(trusted).is_trusted)
        # Other proxies of ours may stand in front of the one that asks.
        self._client = lru_cache(4096)(partial(_client, Trust((*trusted, *gate.trust.networks))))
        # The same sessions are asked about again and again, and nothing of the answer is another request's.
        self._yes = lru_cache(MAX_RECURRING)(self._make_yes)

    async def admit(self, scope: Scope, path: bytes) -> Admission:
        """Return what becomes of a question whose path starts with :data:`PREFIX`; there is always an answer."""
        read = self._read(scope, path)
        if isinstance(read, Admission):
            return read
        front, asked = read
        return self._answered(front, scope, await self.decide(peer(scope), asked))

    def admit_at_once(self, scope: Scope, path: bytes) -> Admission | None:
        """Do the same if nothing has to be waited for; None where :meth:`admit` is needed."""
        read = self._read(scope, path)
        if isinstance(read, Admission):
            return read
        front, asked = read
        admission = self._decide_at_once(peer(scope), asked)
        return None if admission is None else self._answered(front, scope, admission)

    def _read(self, scope: Scope, path: bytes) -> Admission | tuple[Front, Original]:
        """Return what is asked, or the answer to what is no question."""
        name, slash, rest = path.removeprefix(PREFIX).partition(b"/")
        front = self._fronts.get(name)
        if front is None or not _is_asked(front, slash + rest):
            return denied(Reason.ROUTE_NOT_FOUND)
        if not self.is_trusted(peer(scope)):
            return _told(front, scope, denied(Reason.DECISION_PEER_REFUSED))
        is_answer = front is Front.NGINX and bool(rest)
        try:
            asked = original(front, scope["method"], _target(scope, slash + rest), scope["headers"])
        except OriginalError as error:
            admission = denied(error.reason, error.detail)
            return admission if is_answer else _told(front, scope, admission)
        if not is_answer:
            return front, asked
        try:
            return self._refusal(scope, asked)
        except Exception:
            _log.exception("answering for another proxy failed")
            return _told(front, scope, denied(Reason.UNEXPECTED_ERROR))

    def _answered(self, front: Front, scope: Scope, admission: Admission) -> Admission:
        """Return the admission with an answer for the front, which is a yes where there is none for the client."""
        if admission.answer is not None:
            return _told(front, scope, admission)
        yes = self._yes(admission.identity)
        cookies = set_cookie_headers(admission.verdict.cookies)
        if not cookies:
            # As nearly every question is answered: it needs no other words for any front.
            return admission.with_answer(yes)
        return _told(front, scope, admission.with_answer(Answer(200, (*yes.headers, *cookies))))

    def _make_yes(self, identity: tuple[Header, ...]) -> Answer:
        return Answer(200, (*self._gate.identity.complete(identity), *_OF_EVERY_YES), recurs=True)

    def is_trusted(self, asker: str) -> bool:
        """Return whether this address may ask."""
        return self._is_trusted(asker)

    async def decide(self, asker: str, asked: Original) -> Admission:
        """Return what becomes of a request: with an answer for the client, or without one where it may pass.

        Args:
            asker: the address of the front, which may ask.
            asked: what it asks about.
        """
        try:
            admission = await self._gate.admit(self._original_scope(asker, asked))
        except Exception:
            return _failed()
        return _relayed(admission)

    def _decide_at_once(self, asker: str, asked: Original) -> Admission | None:
        try:
            scope = self._original_scope(asker, asked)
            admission = None if scope["type"] == "websocket" else self._gate.admit_at_once(scope)
        except Exception:
            return _failed()
        return None if admission is None else _relayed(admission)

    def identity(self, admission: Admission) -> tuple[Header, ...]:
        """Return every identity header of a request that may pass, empty where there is nothing to say."""
        return self._gate.identity.complete(admission.identity)

    def _original_scope(self, asker: str, asked: Original) -> Scope:
        return {
            "type": "websocket" if opens_websocket(asked.headers) else "http",
            "http_version": "1.1",
            "method": asked.method,
            "scheme": asked.scheme,
            "path": "",
            "raw_path": asked.path,
            "query_string": asked.query,
            "headers": asked.headers,
            "client": (self._client(asker, asked.clients), 0),
        }

    def _refusal(self, scope: Scope, asked: Original) -> Admission:
        """Return the page or the document about a refusal of a moment ago, which nginx names; nothing is decided."""
        inner = self._original_scope(peer(scope), asked)
        told = dict(scope["headers"])
        reason = told.get(REASON_HEADER, b"").decode("latin-1")
        state = State.SIGNED_IN if told.get(b"x-gateway-state") == State.SIGNED_IN.encode() else State.SIGNED_OUT
        gate, scanned = self._gate, Scanned(inner["headers"])
        verdict = Verdict(state, reason if reason in TABLE else Reason.SESSION_TOKEN_AND_UAT_MISSING)
        try:
            origin = origin_of(inner, scanned, gate.trust)
            facts = facts_of(inner, scanned, origin, gate.trust, gate.authenticator.rules.names.read)
        except (HostError, TargetError):
            return Admission(answers.refusal(None, verdict.reason, verdict=verdict), None, None, verdict)
        route = gate.routes.match(origin.hostname, facts.url.path.encode("ascii"), facts.method)
        requirement = route.settings.require if route is not None else None
        answer = gate.refusal(facts, route, verdict, verdict.reason, requirement)
        return Admission(_framed(answer, scope), facts, route, verdict)


def _client(hops: Trust, asker: str, clients: tuple[bytes, ...]) -> str:
    return hops.client_address(asker, Forwarded(client=clients))


def _is_asked(front: Front, rest: bytes) -> bool:
    """Return whether something is answered there; Envoy puts the original path behind its own."""
    return not rest or front is Front.ENVOY or (front is Front.NGINX and rest == _NGINX_ANSWER)


def _target(scope: Scope, rest: bytes) -> bytes:
    query: bytes = scope.get("query_string", b"")
    return rest + b"?" + query if query else rest


def denied(reason: Reason, detail: str = "") -> Admission:
    """Return the refusal of a question that nothing was decided about.

    Args:
        reason: why.
        detail: for the log.
    """
    return Admission(answers.refusal(None, reason), None, None, Verdict(State.SIGNED_OUT, reason), detail=detail)


def _failed() -> Admission:
    """Deny, and tell the operator why."""
    _log.exception("deciding for another proxy failed")
    return denied(Reason.UNEXPECTED_ERROR)


def _relayed(admission: Admission) -> Admission:
    """Return the admission as a front can relay it."""
    if admission.facts is not None and admission.facts.url.path.startswith(_RESERVED):
        return denied(Reason.ROUTE_NOT_FOUND, f"{_RESERVED} is not forwarded")
    if admission.answer is not None and admission.answer.status < 300:
        # To the front it would mean that the request may pass.
        return _not_relayed(admission)
    return admission


def _not_relayed(admission: Admission) -> Admission:
    """Deny what we would answer with 2xx: a preflight, or what nobody foresaw."""
    is_preflight = admission.facts is not None and admission.facts.method == "OPTIONS"
    reason = Reason.CORS_PREFLIGHT_UNANSWERED if is_preflight else Reason.UNEXPECTED_ERROR
    verdict = Verdict(State.SIGNED_OUT, reason)
    return replace(
        admission,
        answer=answers.refusal(admission.facts, reason),
        verdict=verdict,
        detail="an answer of ours cannot be relayed",
    )


def _told(front: Front, scope: Scope, admission: Admission) -> Admission:
    """Return the admission with its answer as this front understands it."""
    answer = admission.answer or answers.refusal(None, Reason.UNEXPECTED_ERROR)
    if front is Front.NGINX:
        answer = _for_nginx(answer)
    elif front is Front.CADDY and answer.status == 200:
        answer = _with_numbered_cookies(answer)
    else:
        answer = _framed(answer, scope)
    return admission.with_answer(answer)


def _framed(answer: Answer, scope: Scope) -> Answer:
    """Return an answer whose length is that of its body: the question may be a GET about a HEAD, which has none."""
    if scope["method"] == "HEAD":
        return replace(answer, body=b"")
    length = (b"content-length", str(len(answer.body)).encode())
    return replace(answer, headers=(*(pair for pair in answer.headers if pair[0] != b"content-length"), length))


def _for_nginx(answer: Answer) -> Answer:
    said = answer.status if answer.status in {200, 401, 403} else 401 if answer.status < 400 else 403
    kept = [pair for pair in answer.headers if pair[0] not in _OF_THE_BODY]
    status = (STATUS_HEADER, str(answer.status).encode())
    return _with_numbered_cookies(Answer(said, (*kept, status, _NO_BODY)))


def _with_numbered_cookies(answer: Answer) -> Answer:
    """Return the answer with each cookie in a header of its own; of several for one name browsers keep the last."""
    lines = (value for name, value in answer.headers if name == b"set-cookie")
    cookies = list({line.partition(b"=")[0]: line for line in lines}.values())[:MAX_COOKIES]
    numbered = ((COOKIE_HEADER + str(number).encode(), value) for number, value in enumerate(cookies, 1))
    return replace(answer, headers=(*(pair for pair in answer.headers if pair[0] != b"set-cookie"), *numbered))
