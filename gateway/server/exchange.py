"""One request and its answer: as ASGI's ``receive`` and ``send``, or answered at once without a task."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from starlette.types import ASGIApp, Message, Scope

from gateway.core.request import Header
from gateway.passing import Take
from gateway.server.answer import AnswerHead
from gateway.server.body import Body
from gateway.server.errors import ClientGoneError

_log = logging.getLogger(__name__)

EXTENSION = "gateway.connection"
"""Where a scope's extensions hold what breaks the connection: ``abort()`` and ``close()`` of :class:`Exchange`."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PLAIN: list[Header] = [(b"content-type", b"text/plain; charset=utf-8")]


class Line(Protocol):
    """The connection, as an exchange sees it."""

    is_write_paused: bool

    def write(self, data: bytes) -> None:
        """Write without waiting."""
        ...

    def write_at_once(self, data: memoryview) -> bool:
        """Write a piece of a body where nothing waits to be written (:data:`gateway.passing.Take`)."""
        ...

    def drained(self) -> Awaitable[None]:
        """Wait until the client has taken enough of what was written."""
        ...

    def resume(self) -> None:
        """Read on, the body has been taken."""
        ...

    def head_of(self, status: int, headers: Iterable[Header], size: int | None, *, recurs: bool = False) -> AnswerHead:
        """Return the head of an answer to the request in hand."""
        ...

    def finish(self, *, keeps_alive: bool) -> None:
        """Go on to the next request, or close."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...

    def reset(self) -> None:
        """Close at once, and have the client see that something broke."""
        ...


class Exchange:
    """One request and its answer.

    Args:
        line: the connection.
        scope: the request (ASGI, "HTTP connection scope").
        body: of the request; None where it has none.
        has_answer_body: false for HEAD.
        expects_continue: the client waits for ``100 Continue``.

    Attributes:
        on_gone: called once if the client goes away before it has its answer.
        is_over: the answer is out, or the client gone.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_has_answer_body",
        "_is_end_told",
        "_line",
        "_missing",
        "_started",
        "_taker",
        "_waiter",
        "_waits_for_continue",
        "is_gone",
        "is_over",
        "on_gone",
        "scope",
    )

    def __init__(
        self, line: Line, scope: Scope, body: Body | None, *, has_answer_body: bool, expects_continue: bool
    ) -> None:
        self._line = line
        self.scope = scope
        self._body = body
        self._has_answer_body = has_answer_body
        self._waits_for_continue = expects_continue
        self._started: tuple[int, Iterable[Header]] | None = None
        self._answer: AnswerHead | None = None
        self._missing = 0
        self._taker: Take | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_end_told = False
        self.is_gone = self.is_over = False
        self.on_gone: Callable[[], None] | None = None

    @property
    def has_body(self) -> bool:
        """Whether the request has a body."""
        return self._body is not None

    @property
    def has_unread_body(self) -> bool:
        """Whether something of the request's body has not come yet."""
        return self._body is not None and not self._body.is_complete

    # ── without a task ──

    def respond(self, status: int, headers: Iterable[Header], body: bytes, *, recurs: bool = False) -> None:
        """Answer whole; does nothing when the client has gone.

        Args:
            status: the final one.
            headers: names in lower case; without ``transfer-encoding`` and ``connection``.
            body: left out where the request or the status forbids one.
            recurs: the same answer is given again and again, so its head is kept.
        """
        if self.is_over:
            return
        line, size = self._line, len(body)
        head = line.head_of(status, headers, size, recurs=recurs)
        if head.length and head.length != size:
            line.write(head.data)
            self._break()
            return
        line.write(head.data + body if head.length else head.data)
        self._end(keeps_alive=head.keeps_alive)

    def run(self, app: ASGIApp) -> asyncio.Task[None]:
        """Serve the request by an application, in a task."""
        return asyncio.get_running_loop().create_task(self._run(app))

    async def _run(self, app: ASGIApp) -> None:
        self.scope["extensions"] = {EXTENSION: self}
        try:
            await app(self.scope, self.receive, self.send)
        except ClientGoneError:
            pass
        except Exception:
            _log.exception("an application failed")
        if self.is_over:
            return
        if self._answer is None:
            self.respond(500, PLAIN, b"Internal Server Error")
        else:
            self._break()

    # ── without an answer ──

    def abort(self) -> None:
        """Tear the connection down, whatever was said: the client gets RST."""
        self._give_up()
        self._line.reset()

    def close(self) -> None:
        """Close the connection in good order behind what was said, whole or not."""
        self._give_up()
        self._line.finish(keeps_alive=False)

    def _give_up(self) -> None:
        self.is_gone = self.is_over = True
        self.wake()

    # ── ASGI ──

    async def receive(self) -> Message:
        """Return the next piece of the body, or at last that the client has gone or been answered."""
        body = self._body
        if not self._is_end_told and body is not None:
            if self._waits_for_continue and self._answer is None and not self.is_over:
                self._waits_for_continue = False
                self._line.write(_CONTINUE)
            while not (body.held or body.is_complete or body.is_broken or self.is_over):
                await self._wait()
            if body.is_broken or self.is_gone:
                return {"type": "http.disconnect"}
            if not self.is_over:
                return self._take_piece(body)
        elif not self._is_end_told:
            self._is_end_told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        while not self.is_over:
            await self._wait()
        return {"type": "http.disconnect"}

    def _take_piece(self, body: Body) -> Message:
        data = body.next_piece()
        self._is_end_told = body.is_complete and not body.held
        if not body.held:
            self._line.resume()
        return {"type": "http.request", "body": data, "more_body": not self._is_end_told}

    async def send(self, message: Message) -> None:
        """Take a part of the answer; returns when more can be taken.

        Raises:
            ClientGoneError: there is nobody to answer.
        """
        if self.is_gone:
            raise ClientGoneError("the client went away")
        if message["type"] == "http.response.body":
            if self._started is None:
                raise RuntimeError("an answer begins with its status")
            data, has_more = message.get("body", b""), message.get("more_body", False)
            if self._answer is None and not has_more:
                self.respond(*self._started, data)
                return
            self._write_piece(data, has_more=has_more)
            if self._line.is_write_paused and has_more:
                await self._line.drained()
                if self.is_gone:
                    raise ClientGoneError("the client went away")
        elif message["type"] == "http.response.start" and self._started is None:
            self._started = message["status"], message.get("headers", ())
            # Head and body go out together where the body is there already.
            asyncio.get_running_loop().call_soon(self._begin_answer)
        else:
            raise RuntimeError(f"{message['type']} is not what comes next")

    def _begin_answer(self) -> None:
        """Write the head of an answer whose body is not there as a whole."""
        if self._answer is None and self._started is not None and not self.is_over:
            self._answer = answer = self._line.head_of(*self._started, None)
            self._missing = answer.length or 0
            self._line.write(answer.data)

    def _write_piece(self, data: bytes, *, has_more: bool) -> None:
        self._begin_answer()
        answer = self._answer
        if answer is None or self.is_over:
            return
        if not self._has_answer_body:
            data = b""
        elif answer.is_chunked:
            data = _chunk(data, is_last=not has_more)
        elif answer.length is not None:
            self._missing -= len(data)
            if self._missing < 0 or (self._missing and not has_more):
                self._break()
                return
        if data:
            self._line.write(data)
        if not has_more:
            self._end(keeps_alive=answer.keeps_alive)

    # ── pieces that pass at once (gateway.passing.Direct) ──

    def take(self, data: memoryview) -> bool:
        """Take a piece of an answer whose length was said; the last one is left to :meth:`send`."""
        if self.is_over or self._answer is None or not self._has_answer_body or len(data) >= self._missing:
            return False
        if not self._line.write_at_once(data):
            return False
        self._missing -= len(data)
        return True

    def divert(self, take: Take | None) -> None:
        """Have pieces of the request's body taken while :meth:`receive` waits for them."""
        self._taker = take

    def pass_by(self, data: memoryview) -> bool:
        """Have a piece of the request's body taken, where somebody waits for it."""
        return self._taker is not None and self._waiter is not None and not self._waiter.done() and self._taker(data)

    # ── the connection's word ──

    def wake(self) -> None:
        """Something of the body has come, or it is broken."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def lose(self) -> None:
        """The client has gone."""
        if self.is_over:
            return
        self.is_gone = self.is_over = True
        self.wake()
        if self.on_gone is not None:
            self.on_gone()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _end(self, *, keeps_alive: bool) -> None:
        self.is_over = True
        if self._waiter is not None:
            self.wake()
        self._line.finish(keeps_alive=keeps_alive)

    def _break(self) -> None:
        """Close, the only honest way to say that an answer is not whole."""
        self.is_over = True
        self.wake()
        self._line.abort()


def _chunk(data: bytes, *, is_last: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
    return chunk + b"0\r\n\r\n" if is_last else chunk
