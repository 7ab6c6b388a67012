"""One client's connection: its requests one after the other, each with what it is owed (RFC 9112 section 9).

Nothing is read ahead of the request in hand beyond one piece: a client that sends more waits. Times are looked at by
the listener, which keeps connections in the order in which they will have waited too long.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from starlette.types import Scope

from gateway.core.header_names import MAX_HEAD_BYTES
from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.passing import TURN_PIECES
from gateway.server.answer import AnswerHead, answer_head
from gateway.server.body import Body, ChunkedBody, SizedBody
from gateway.server.errors import ClientGoneError
from gateway.server.exchange import Exchange
from gateway.server.head import END, BadRequestError, Head, HeadReader, has_bare_line_feed, may_begin
from gateway.server.line import WINDOW_BYTES, ClientLine
from gateway.server.scope import connection_scope, request_scope
from gateway.server.websocket import WebSocket, accepts
from gateway.websocket.channel import Channel

if TYPE_CHECKING:
    from gateway.server.listener import Listener


class ClientConnection(ClientLine):
    """One client's connection.

    Args:
        listener: that accepted it.
    """

    __slots__ = (
        "_body",
        "_exchange",
        "_heads",
        "_is_old",
        "_keeps_alive",
        "_listener",
        "_partial",
        "_passed",
        "_pending",
        "_scope",
    )

    def __init__(self, listener: "Listener") -> None:
        super().__init__()
        self._listener = listener
        self._heads = HeadReader()
        self._scope: Scope = {}
        self._exchange: Exchange | WebSocket | None = None
        self._body: Body | None = None
        self._partial: bytearray | None = None
        self._passed = 0
        self._pending = b""
        self._is_old = False
        self._keeps_alive = True

    # ── asyncio.BufferedProtocol ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it where there are too many."""
        self._transport = transport = cast("asyncio.Transport", transport)
        self.write = transport.write
        transport.set_write_buffer_limits(len(self._listener.window.view))
        self._scope = connection_scope(transport)
        if self._scope["client"] is not None:
            self.address = self._scope["client"][0]
        if not self._listener.take(self):
            self.refuse(Reason.GATEWAY_OVERLOADED)
        elif self._listener.is_stopping:
            self.close()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return where the next bytes go."""
        return self._listener.window.view

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes: of a head, of the body in hand, or of what comes after."""
        if self._is_ending:
            return  # what is left of a request that was refused
        if self._body is not None:
            self._feed(self._listener.window.view[:nbytes])
        elif self._exchange is not None:
            self._pending += bytes(self._listener.window.view[:nbytes])
            self._pause()
        else:
            self._read_head(bytes(self._listener.window.view[:nbytes]))

    def eof_received(self) -> bool:
        """End what the client does not wait for any more; a body that breaks off can still be answered."""
        if self._body is not None and self._exchange is not None:
            self._body.is_broken = True
            self._body = None
            self._keeps_alive = False
            self._exchange.wake()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell whoever works for this client."""
        self._listener.forget(self)
        self._heads.let_go()
        self._is_ending = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.lose()
        self._release_writer()

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self.is_write_paused = True
        self._listener.note_slow(self)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.is_write_paused = False
        if self._is_ending:
            self._listener.note_slow(self)  # the rest of its last answer is not kept for ever either
        else:
            self._listener.note_caught_up(self)
        self._release_writer()
        if self._exchange is not None:
            return
        if self._pending:
            self._go_on()
        else:
            self._unpause()

    # ── requests ──

    def _read_head(self, data: bytes) -> None:
        partial = self._partial
        if partial is not None:
            searched = len(partial) - len(END) + 1
            partial += data
            at = partial.find(END, max(searched, 0))
            if at < 0:
                self._judge_partial(len(partial), is_sound=not has_bare_line_feed(data))
                return
            data, self._partial = bytes(partial), None
        else:
            if data.startswith((b"\r", b"\n")):
                data = data.lstrip(b"\r\n")  # RFC 9112 section 2.2
                if not data:
                    return
            at = data.find(END)
            if at < 0:
                self._partial = bytearray(data)
                self._listener.note_reading(self)
                self._judge_partial(len(data), is_sound=may_begin(data))
                return
        end = at + len(END)
        if end == len(data):
            self._begin(data, b"")
        else:
            self._begin(data[:end], data[end:])

    def _judge_partial(self, size: int, *, is_sound: bool) -> None:
        if size > MAX_HEAD_BYTES:
            self.refuse(Reason.REQUEST_HEADERS_TOO_LARGE)
        elif not is_sound:
            self.refuse(Reason.REQUEST_FRAMING_INVALID)

    def _begin(self, data: bytes, rest: bytes) -> None:
        try:
            if len(data) > MAX_HEAD_BYTES:
                raise BadRequestError(Reason.REQUEST_HEADERS_TOO_LARGE)
            head = self._heads.read(data)
        except BadRequestError as bad:
            self.refuse(bad.reason)
            return
        self._listener.note_busy(self)
        if self._is_read_paused and not rest:
            self._unpause()  # it came behind another request: its body is to come, or the client's end
        if head.is_websocket:
            self._begin_websocket(head, rest)
            return
        self._is_old = head.version == "1.0"
        self._keeps_alive = head.keeps_alive
        self._pending = rest
        if head.length != 0:
            self._body = ChunkedBody() if head.length is None else SizedBody(head.length)
        exchange = Exchange(
            self,
            request_scope(self._scope, head),
            self._body,
            has_answer_body=head.method != "HEAD",
            expects_continue=head.expects_continue and not rest,
        )
        self._exchange = exchange
        if self._body is not None and rest:
            self._pending = b""
            self._feed(memoryview(rest))
        elif rest:
            self._pause()
        self._listener.begin(exchange)

    def _begin_websocket(self, head: Head, rest: bytes) -> None:
        self._keeps_alive = False
        try:
            accept = accepts(head)
        except BadRequestError as bad:
            more = [(b"sec-websocket-version", b"13")] if bad.reason is Reason.WEBSOCKET_VERSION_UNSUPPORTED else []
            self.refuse(bad.reason, more)
            return
        self._pending = rest
        if rest:
            self._pause()
        self._exchange = WebSocket(self, request_scope(self._scope, head), accept)
        self._listener.begin(self._exchange)

    def _feed(self, data: memoryview) -> None:
        body, exchange = self._body, self._exchange
        if body is None:
            return
        if isinstance(exchange, Exchange) and body.pass_by(data, exchange.pass_by):
            self._give_way()
            return
        used = body.feed(data)
        if used < len(data):
            self._pending += bytes(data[used:])
        if body.is_complete:
            self._body = None
            if isinstance(body, ChunkedBody) and body.has_surplus:
                self._keeps_alive = False
        if body.held > min(WINDOW_BYTES, len(self._listener.window.view)) or self._pending:
            self._pause()
        if exchange is None:
            self._drop(body)
        else:
            exchange.wake()

    def _give_way(self) -> None:
        """Let others have their turn when many pieces have passed: the transport reads on while there is anything."""
        self._passed = (self._passed + 1) % TURN_PIECES
        if not self._passed:
            self._pause()
            self._listener.loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._body is not None:
            self.resume()

    def _drop(self, body: Body) -> None:
        """Read what is left of a body that nobody wants."""
        body.take()
        if body.is_complete:
            self._listener.note_busy(self)
            self._wait_for_next()

    def _wait_for_next(self) -> None:
        self._listener.note_idle(self)
        if self.is_write_paused:
            self._pause()  # whatever it asks for before it takes its answers would be answered into memory
        elif self._pending:
            # Not at once: a client that sends many requests in one piece must not keep the others waiting.
            self._listener.loop.call_soon(self._go_on)
        else:
            self._unpause()

    def _go_on(self) -> None:
        if self._exchange is None and self._pending and not self._is_ending:
            data, self._pending = self._pending, b""
            self._read_head(data)
            if not self._pending and self.is_idle:
                self._unpause()

    def refuse(self, reason: Reason, more: Iterable[Header] = ()) -> None:
        """Answer what cannot be served, and close.

        Args:
            reason: why.
            more: headers beside those that the reason has.
        """
        self._keeps_alive = False
        self._listener.note_busy(self)
        status, headers, body = self._listener.refusal(reason, self.address)
        head = self.head_of(status, [*headers, *more], len(body))
        self.write(head.data + body)
        self.close(lingers=True)

    # ── server.exchange.Line ──

    def resume(self) -> None:
        """Read on, the body has been taken."""
        if not self._pending:
            self._unpause()

    def head_of(self, status: int, headers: Iterable[Header], size: int | None, *, recurs: bool = False) -> AnswerHead:
        """Return the head of an answer to the request in hand."""
        exchange = self._exchange
        keeps_alive = self._keeps_alive and not self._listener.is_stopping
        if keeps_alive and isinstance(exchange, Exchange) and self._body is not None:
            keeps_alive = self._is_worth_reading(exchange)
        return answer_head(
            status,
            headers,
            date=self._listener.date,
            size=size,
            has_body=exchange is None or exchange.scope.get("method") != "HEAD",
            is_old=self._is_old,
            keeps_alive=keeps_alive,
            recurs=recurs,
        )

    def _is_worth_reading(self, exchange: Exchange) -> bool:
        """Whether what is left of a body that nobody asked for is little enough to be read for the next request."""
        body = self._body
        if not isinstance(body, SizedBody) or body.missing > WINDOW_BYTES:
            return False
        # Whoever expects something may keep its body, and send its next request where the body was to be.
        return all(name != b"expect" for name, _ in exchange.scope["headers"])

    def finish(self, *, keeps_alive: bool) -> None:
        """Go on to the next request, or close."""
        self._exchange = None
        if self._transport is None or self._is_ending:
            return
        body = self._body
        if not keeps_alive or not self._keeps_alive or self._listener.is_stopping:
            # Its head may have promised more before the client broke off, or the server was told to end.
            self.close(lingers=body is not None or bool(self._pending))
        elif body is None:
            self._wait_for_next()
        else:
            body.take()
            self._listener.note_reading(self)
            self._unpause()

    def close(self, *, lingers: bool = False) -> None:
        """Close when everything is written.

        Args:
            lingers: the client may be sending still; closed at once, the system would take the answer back (RFC 9112
                section 9.6). Its bytes are dropped until it stops, or for some seconds.
        """
        self._is_ending = True
        if self._transport is None:
            return
        self._unpause()
        if lingers and self._listener.note_lingering(self):
            self._transport.write_eof()
            return
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._listener.note_slow(self)  # what nobody takes is not kept for ever

    @property
    def has_begun(self) -> bool:
        """Whether something of a head is there."""
        return self._partial is not None

    @property
    def is_idle(self) -> bool:
        """Whether no request is in hand."""
        return self._exchange is None

    # ── server.websocket.Line ──

    def switch(self, channel: Channel, headers: Iterable[Header]) -> bytes:
        """Accept a WebSocket and hand the transport over; the connection is counted until :meth:`lose`.

        Args:
            channel: takes the transport.
            headers: of the answer.

        Returns:
            What the client has sent behind its request.
        """
        transport = self._transport
        if transport is None or self._is_ending:
            raise ClientGoneError("the client went away")
        transport.write(answer_head(101, headers, date=self._listener.date, size=None, has_body=False).data)
        self._pause()  # how bytes are handed over is settled when reading begins
        transport.set_protocol(channel)
        channel.connection_made(transport)
        if self.is_write_paused:
            channel.pause_writing()
            self._listener.note_caught_up(self)
        self._unpause()
        early, self._pending = self._pending, b""
        return early

    def lose(self) -> None:
        """Note that the transport which was handed over has gone."""
        self.connection_lost(None)

    def stop(self) -> None:
        """End what is in hand, there is no more time for it."""
        if isinstance(self._exchange, WebSocket):
            self._exchange.stop()
        else:
            self.abort()
