"""Sending answers over ASGI, and watching what is sent for the access log."""

import time

from starlette.types import Message, Scope, Send

from gateway.core.headers import for_one_browser, with_cache_rules
from gateway.core.request import Header
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
        await send({"type": "websocket.close", "code": 4401, "reason": "not signed in"})


def adding_headers(send: Send, headers: tuple[Header, ...]) -> Send:
    """Return a ``send`` that adds headers to the start of the answer."""
    if not headers:
        return send

    async def send_with_headers(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.accept", "websocket.http.response.start"}:
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return send_with_headers


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


class Watch:
    """Remembers the status that went out and writes the entry of the access log."""

    __slots__ = ("_journal", "_started_s", "status")

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._started_s = time.perf_counter()
        self.status = 0

    def wrap(self, send: Send) -> Send:
        """Return a ``send`` that notes the status."""

        async def noting(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                self.status = message["status"]
            elif message["type"] == "websocket.accept":
                self.status = 101
            elif message["type"] == "websocket.close" and not self.status:
                self.status = 403  # what servers make of a close before the accept (ASGI, "Close - send event")
            await send(message)

        return noting

    def write(self, scope: Scope, admission: Admission, reason: str = "", detail: str = "") -> None:
        """Write the entry.

        Args:
            scope: for method and path of requests that could not be read.
            admission: what became of the request.
            reason: overrides the decision's reason, e.g. when the upstream failed.
            detail: overrides the admission's detail.
        """
        facts, verdict = admission.facts, admission.verdict
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
            )
        )
