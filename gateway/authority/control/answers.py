"""An answer as a whole: the operation's own, caught before it is sent, or the one that a rule asks for."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.authority.control.rules import Rule
from gateway.authority.errors import Problem, answer

_PROBLEMS = {
    problem.value.status: problem.value.code
    for problem in (
        Problem.UNAUTHENTICATED,
        Problem.CROSS_SITE,
        Problem.SESSION_NOT_FOUND,
        Problem.GONE,
        Problem.PARAM_INVALID,
        Problem.INTERNAL,
        Problem.UNAVAILABLE,
    )
}
# Sessions API section 1: what a rate limit is answered with
_CODES = {429: "too_many_requests", **_PROBLEMS}
_BODILESS = (204, 304)
# texts that may hold a token or lead to one
_TELLING_HEADERS = (b"location", b"set-cookie")

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, header lines and body."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)

    @classmethod
    async def of(cls, app: ASGIApp, scope: Scope, receive: Receive) -> "Answer":
        """Run the application, and keep what it would send."""
        start: Message = {}
        body = bytearray()

        async def catch(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await app(scope, receive, catch)
        return cls(start["status"], list(start["headers"]), bytes(body))

    def with_body(self, body: bytes, media_type: str = "") -> "Answer":
        """The same answer with another body, and perhaps another media type."""
        headers = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        if media_type:
            headers = [(name, value) for name, value in headers if name.lower() != b"content-type"]
            headers.append((b"content-type", media_type.encode()))
        return Answer(self.status, [*headers, (b"content-length", str(len(body)).encode())], body)

    def retold(self, tell: Callable[[str], str]) -> "Answer":
        """The same answer with its body and the headers that may hold tokens told otherwise."""
        headers = [
            (name, tell(value.decode("latin-1")).encode("latin-1") if name.lower() in _TELLING_HEADERS else value)
            for name, value in self.headers
        ]
        return replace(self, headers=headers).with_body(tell(self.body.decode()).encode())

    async def send(self, send: Send) -> None:
        """Send all of it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})

    async def send_half(self, send: Send) -> None:
        """Send the head, which promises all of the body, and half of the body."""
        whole = self if len(self.body) > 1 else self.with_body(b" " * 100)
        await send({"type": "http.response.start", "status": whole.status, "headers": whole.headers})
        half = whole.body[: len(whole.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})

    async def send_head(self, send: Send) -> None:
        """Send the head, without a length."""
        headers = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})


def ordered(rule: Rule, status: int) -> Response:
    """The answer that a rule asks for: the API's error body, or the rule's own."""
    headers = dict(rule.headers)
    if rule.retry_after_s is not None:
        headers["Retry-After"] = str(rule.retry_after_s)
    if status in _BODILESS:
        return Response(status_code=status, headers=headers)
    if isinstance(rule.body, str):
        return Response(rule.body, status, headers, media_type="text/plain")
    if rule.body is not None:
        return answer(rule.body, status, headers)
    return _error(rule, status, headers)


def _error(rule: Rule, status: int, headers: Mapping[str, str]) -> Response:
    trace_id = secrets.token_hex(16)
    error = {
        "message": "Asked for",
        "long_message": "A rule of the control port asked for this answer.",
        "code": rule.code or _CODES.get(status, "injected_fault"),
    }
    body = {"errors": [error], "clerk_trace_id": trace_id}
    return answer(body, status, {"Clerk-Trace-Id": trace_id, **headers})
