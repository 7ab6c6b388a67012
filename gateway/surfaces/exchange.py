"""Sending answers over ASGI, and watching what is sent for the access log."""

import time
from dataclasses import dataclass, replace

from starlette.types import Message, Scope, Send

from gateway.core.cors import without_cors
from gateway.core.request import Header
from gateway.core.response_headers import for_one_browser, with_cache_rules
from gateway.ports import Entry, Journal
from gateway.surfaces.answers import Answer
from gateway.surfaces.gate import Admission


async def send_answer(send: Send, answer: Answer) -> None:
    """Send a complete answer."""
    await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body})


async def send_refused_websocket(scope: Scope, send: Send, answer: Answer) -> None:
    """Refuse a WebSocket before it is accepted: with the whole answer where the server can, otherwise with 403."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": answer.status, "headers": list(answer.headers)})
        await send({"type": "websocket.http.response.body", "body": answer.body})
    else:
        await send(_close(answer))


def _close(answer: Answer) -> Message:
    """Return the end of a WebSocket for which there is no answer any more; 44xx like the status of HTTP."""
    code, reason = (4403, "forbidden") if answer.status == 403 else (4401, "not signed in")
    return {"type": "websocket.close", "code": code, "reason": reason}


def adding_headers(scope: Scope, send: Send, headers: tuple[Header, ...]) -> Send:
    """Return a ``send`` that adds headers to the start of the answer."""
    if not headers:
        return send
    is_open = "websocket.http.response" not in scope.get("extensions", ())

    async def send_with_headers(message: Message) -> None:
        nonlocal is_open
        if message["type"] in {"http.response.start", "websocket.accept", "websocket.http.response.start"}:
            is_open = True
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        elif message["type"] == "websocket.close" and not is_open:
            # A close that refuses has no headers, and the server would make an answer of its own of it.
            await send_refused_websocket(scope, send, Answer(403, ((b"content-length", b"0"), *headers)))
            return
        await send(message)

    return send_with_headers


def replacing_cors(send: Send, headers: tuple[Header, ...]) -> Send:
    """Return a ``send`` that says these headers of CORS in the application's place."""

    async def send_replaced(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*without_cors(message.get("headers", ())), *headers]}
        await send(message)

    return send_replaced


def guarding_caches(send: Send, *, has_cookies: bool) -> Send:
    """Return a ``send`` whose answer depends on who asks, and says so to caches as the proxy does.

    Args:
        send: the way out.
        has_cookies: cookies of ours go with it, so nobody keeps it, whatever the application allows.
    """

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = with_cache_rules([(name.lower(), value) for name, value in message.get("headers", ())])
            message = {**message, "headers": for_one_browser(headers) if has_cookies else headers}
        await send(message)

    return send_guarded


_START = frozenset({"http.response.start", "websocket.http.response.start"})
_WRITTEN_ANEW = frozenset({b"www-authenticate", b"cache-control", b"retry-after"})


@dataclass(slots=True)
class Denial:
    """The answer to a request that was let through and that the application refuses by an exception.

    A framework makes an answer of the exception, with its headers and a body of its own kind. The headers name the
    reason; by it that answer is known and replaced. An application that answers without it is left alone.

    Attributes:
        reason: why.
        answer: ours.
        scope: of the request.
        is_sent: whether it went out.
    """

    reason: str
    answer: Answer
    scope: Scope
    is_sent: bool = False

    def is_named_in(self, message: Message) -> bool:
        """Return whether this is the start of an answer with our reason."""
        named = (b"x-clerk-auth-reason", self.reason.encode())
        return message["type"] in _START and named in (
            (name.lower(), value) for name, value in message.get("headers", ())
        )

    def in_place_of(self, message: Message) -> Answer:
        """Return our answer, with what others on the way have added to theirs, such as CORS headers."""
        ours = self.answer.headers
        theirs = ((name.lower(), value) for name, value in message.get("headers", ()))
        kept = [
            pair
            for pair in theirs
            if pair not in ours and pair[0] not in _WRITTEN_ANEW and not pair[0].startswith((b"content-", b"x-clerk-"))
        ]
        return replace(self.answer, headers=(*ours, *kept))


class Watch:
    """Remembers the status that went out and writes the entry of the access log.

    Args:
        journal: the access log; None for none.

    Attributes:
        status: that went out; 0 while none did.
        denial: that waits for its turn, or took it.
        request_id: the header that names the request, for answers of ours and the log; None for none.
    """

    __slots__ = ("_journal", "_started_s", "denial", "request_id", "status")

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._started_s = time.perf_counter() if journal is not None else 0.0
        self.status = 0
        self.denial: Denial | None = None
        self.request_id: Header | None = None

    def wrap(self, send: Send) -> Send:
        """Return a ``send`` that notes the status."""

        async def noting(message: Message) -> None:
            if self.denial is not None and await self._replaces(self.denial, message, noting):
                return
            if message["type"] in _START:
                self.status = message["status"]
                if self.request_id is not None:
                    message = {**message, "headers": [*message.get("headers", ()), self.request_id]}
            elif message["type"] == "websocket.accept":
                self.status = 101
            elif message["type"] == "websocket.close" and not self.status:
                self.status = 403  # what servers make of a close before the accept (ASGI, "Close - send event")
            await send(message)

        return noting

    async def _replaces(self, denial: Denial, message: Message, send: Send) -> bool:
        if not denial.is_sent and denial.is_named_in(message):
            await self.deny(denial, denial.in_place_of(message), send)
            return True
        return denial.is_sent  # what is left of the other answer

    async def deny(self, denial: Denial, answer: Answer, send: Send) -> None:
        """Send the answer of a denial; nothing that comes later goes out.

        Args:
            denial: by which it is known.
            answer: ours.
            send: made by :meth:`wrap`.
        """
        self.denial = None
        if denial.scope["type"] != "websocket":
            await send_answer(send, answer)
        elif self.status:
            await send(_close(answer))
        else:
            await send_refused_websocket(denial.scope, send, answer)
        denial.is_sent = True
        self.denial = denial

    def write(self, scope: Scope, admission: Admission, reason: str = "", detail: str = "") -> None:
        """Write the entry.

        Args:
            scope: for method and path of requests that could not be read.
            admission: what became of the request.
            reason: overrides the decision's reason, e.g. when the upstream failed.
            detail: overrides the admission's detail.
        """
        if self._journal is None:
            return
        facts, verdict = admission.facts, admission.verdict
        if self.denial is not None and self.denial.is_sent:
            reason = self.denial.reason
        self._journal.record(
            Entry(
                status=self.status,
                method=facts.method if facts else str(scope.get("method", "-")),
                path=facts.url.path if facts else str(scope.get("path", "-")),
                route=admission.route.name if admission.route else "",
                state=verdict.state,
                reason=reason or verdict.reason,
                how=verdict.how,
                duration_ms=(time.perf_counter() - self._started_s) * 1000,
                detail=detail or admission.detail,
                cause=verdict.loop.cause if verdict.loop is not None else "",
                request_id=self.request_id[1].decode("ascii") if self.request_id is not None else "",
            )
        )
