"""The answer to one request, as its bytes come in: what belongs to it, where it ends, whether it can be believed.

The parser is httptools (llhttp) in its strict mode: it refuses repeated lengths, a length beside chunks, bare line
feeds. Decided here is what a parser cannot know: that HEAD has no body, which interim answers are passed over
(RFC 9110 section 15.2), and that nothing may follow an answer (RFC 9112 section 9.3). No network.
"""

import httptools

from gateway.core.header_names import USUAL
from gateway.core.reasons import Reason
from gateway.core.window import few
from gateway.errors import UpstreamError
from gateway.passing import Take
from gateway.upstream.exchange import Answer

LINE_OVERHEAD = len(b": \r\n")
HELD_BYTES = 32
"""What one header takes at least, however short it is (RFC 7541 section 4.1 has the same number)."""


def broken(detail: str) -> UpstreamError:
    """Return the error of an upstream that does not keep to the protocol."""
    return UpstreamError(Reason.UPSTREAM_PROTOCOL_ERROR, detail)


class Incoming(Answer):
    """An answer in HTTP/1.1.

    Args:
        is_head: it answers a HEAD request, so it ends with its headers.
        header_bytes: most that its headers, with the interim answers before them, and its trailers may take; each
            counts 32 at least.

    Attributes:
        received: bytes that came at all.
    """

    received = 0
    _missing = 0
    _trailer_bytes = 0
    _barren_bytes = 0
    _is_kept = False
    _has_surplus = False
    _is_doubtful = False
    _problem = ""
    __deletable__ = ("_parser",)  # for the compiler

    def __init__(self, *, is_head: bool, header_bytes: int) -> None:
        super().__init__()
        self._parser = httptools.HttpResponseParser(self)
        self._is_head = is_head
        self._header_limit = header_bytes

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes.

        Raises:
            UpstreamError: when they are no answer, or it is none that can be passed on.
        """
        self.received += len(data)
        if self._missing:
            self._feed_sized(data)
            return
        had_head, held = self.has_head, self.held
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse("it switched protocols without being asked")
        except httptools.HttpParserError as error:
            self._refuse(f"it does not speak HTTP/1.1 ({type(error).__name__})")
        if not self.is_complete:
            self._bound(len(data), had_head=had_head, held=held)
            self.chunks = few(self.chunks)
        if self._problem:
            raise broken(self._problem)
        if self.has_head is not had_head and not self.is_complete:
            self._missing = self._length() - self.held

    def _length(self) -> int:
        """Return the length that a body has by its head, or that of what is held where the head says none."""
        return next((int(value) for name, value in self.headers if name == b"content-length"), self.held)

    def _feed_sized(self, data: bytes | memoryview) -> None:
        """Take bytes of a body whose length is known, which need no parser."""
        piece = bytes(data[: self._missing])
        self._missing -= len(piece)
        self.chunks.append(piece)
        self.held += len(piece)
        if self._missing:
            self.chunks = few(self.chunks)
        else:
            self._complete()
            self._has_surplus = len(piece) < len(data)

    def pass_by(self, data: memoryview, take: Take) -> bool:
        """Have a piece taken that is the body's, and neither its end nor behind a piece that is held."""
        size = len(data)
        if self.held or size >= self._missing or not take(data):
            return False
        self.received += size
        self._missing -= size
        return True

    def _bound(self, size: int, *, had_head: bool, held: int) -> None:
        """Refuse an answer that does not come to its body, or within it goes on without any."""
        if not self.has_head and (self.received > self._header_limit or self._has_too_many):
            self._refuse_size()
        if had_head:
            # An endless trailer or chunk extension: the parser holds the first until it ends, and counts neither.
            self._barren_bytes = self._barren_bytes + size if self.held == held else 0
            if self._barren_bytes > self._header_limit:
                self._refuse_size()

    def end(self) -> None:
        """The connection has ended, which completes a body that nothing else delimits."""
        if self.has_head and not self._is_framed:
            self.is_complete = True

    def let_go(self) -> None:
        """Give up the parser: the two hold each other, and all headers, until the collector comes by, which is late."""
        del self._parser

    @property
    def may_reuse(self) -> bool:
        """Whether the connection is fit for another exchange."""
        return self.is_complete and self._is_kept and not (self._has_surplus or self._is_doubtful)

    @property
    def _is_framed(self) -> bool:
        return any(name in {b"content-length", b"transfer-encoding"} for name, _ in self.headers)

    @property
    def _size(self) -> int:
        return sum(len(name) + len(value) + LINE_OVERHEAD for name, value in self.headers)

    @property
    def _has_too_many(self) -> bool:
        return len(self.headers) * HELD_BYTES > self._header_limit

    def _refuse(self, problem: str) -> None:
        # An answer that is whole stands; what is wrong behind it costs only the connection.
        if self.is_complete:
            self._has_surplus = True
        else:
            self._problem = self._problem or problem

    def _refuse_size(self) -> None:
        self._refuse(f"its headers exceed {self._header_limit} bytes")

    # ── httptools callbacks ──

    def on_message_begin(self) -> None:
        """Note a second answer to the one request."""
        if self.is_complete:
            self._has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; what comes after the body are trailers, which are counted and dropped."""
        if not self.has_head:
            self.headers.append((USUAL.get(name) or name.lower(), value))
            return
        self._trailer_bytes += len(name) + len(value) + LINE_OVERHEAD
        if self._trailer_bytes > self._header_limit:
            self._refuse_size()

    def on_headers_complete(self) -> None:
        """Take the head, unless it is that of an interim answer."""
        status = self._parser.get_status_code()
        if self.has_head or self._problem or 102 <= status < 200 or status == 100:
            return
        if status < 200:
            self._refuse(f"it answered with status {status} without being asked")
            return
        # Only when more than that came at all can the headers be it; usually it is the body.
        if (self.received > self._header_limit and self._size > self._header_limit) or self._has_too_many:
            self._refuse_size()
            return
        encodings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if encodings:
            if any(value != b"chunked" for value in encodings):
                self._refuse("it used a transfer-encoding other than chunked")
                return
            # Where there may be no chunks, what follows is anybody's guess (RFC 9112 section 6.1).
            is_odd = len(encodings) > 1 or status in {204, 304}
            self._is_doubtful = is_odd or self._parser.get_http_version() != "1.1"
        self.status = status
        self.has_head = True
        if status == 204:
            self._drop_length()
        if self._is_head:
            self._complete()

    def _drop_length(self) -> None:
        """Forget the length of what has no body: whoever believed it would wait for one (RFC 9110 section 8.6)."""
        lengths = {int(value) for name, value in self.headers if name == b"content-length"}
        self.headers = [header for header in self.headers if header[0] != b"content-length"]
        # A body that comes all the same would be the answer to the next request.
        self._is_doubtful = self._is_doubtful or bool(lengths - {0})

    def on_chunk_header(self) -> None:
        """Note a body in answer to HEAD, even an empty one."""
        if self.is_complete:
            self._has_surplus = True

    def on_body(self, body: bytes) -> None:
        """Hold a piece of the body."""
        if self.is_complete:
            self._has_surplus = True
        else:
            self.chunks.append(body)
            self.held += len(body)

    def on_message_complete(self) -> None:
        """End the answer; an interim one is forgotten."""
        if not self.has_head:
            self.headers.clear()
        elif not self.is_complete:
            self._complete()

    def _complete(self) -> None:
        self.is_complete = True
        self._is_kept = bool(self._parser.should_keep_alive())
