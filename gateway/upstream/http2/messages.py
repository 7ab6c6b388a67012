"""A request's head in HTTP/2, and what of an answer can be believed (RFC 9113 section 8). No network.

The library's own check of headers would end the whole connection for one bad answer, and with it what others asked. So
it is done here, and costs that answer alone.
"""

import re
from collections.abc import Iterable

from hpack import Decoder, HeaderTuple

from gateway.core.header_names import HOP_BY_HOP
from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.errors import UpstreamError
from gateway.upstream.exchange import Answer
from gateway.upstream.forward import WITH_BODY, Outgoing
from gateway.upstream.incoming import HELD_BYTES, LINE_OVERHEAD, broken

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch  # RFC 9110 section 5.6.2, small letters
_VALUE = re.compile(rb"[^\0\r\n]*").fullmatch
_STATUS = re.compile(rb"[1-9][0-9][0-9]").fullmatch
_LENGTH = re.compile(rb"[0-9]{1,18}").fullmatch
_CONNECTION = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
_NO_BODY = frozenset({204, 304})
_HIDDEN = b"content-length\0"


class LengthHidingDecoder(Decoder):
    """Decodes headers, with lengths under a name that the library does not know.

    It would end the whole connection for a length that is not true; here that costs the one answer.
    """

    def decode(self, data: bytes, raw: bool = False) -> Iterable[Header]:  # type: ignore[override]
        """Return the headers of a block."""
        return [
            HeaderTuple(_HIDDEN, value) if name == b"content-length" else HeaderTuple(name, value)
            for name, value in super().decode(data, raw)
        ]


def head_of(request: Outgoing, scheme: bytes) -> list[Header]:
    """Return a request's headers, ``:authority`` from its Host (RFC 9113 section 8.3.1).

    Raises:
        UpstreamError: when it is none in HTTP/2, or a line break hides in it: the upstream may pass it on in HTTP/1.1.
    """
    if request.method == "CONNECT":
        raise UpstreamError(Reason.METHOD_NOT_ALLOWED, "in HTTP/2 CONNECT has no path (RFC 9113 section 8.5)")
    authority = [value for name, value in request.headers if name == b"host"]
    found = [(b":method", request.method.encode("ascii")), (b":scheme", scheme), (b":path", request.target)]
    found += [(b":authority", value) for value in authority[:1]]
    others = [header for header in request.headers if header[0] not in HOP_BY_HOP and header[0] != b"host"]
    if any(name.startswith(b":") for name, _ in others):
        raise UpstreamError(Reason.REQUEST_FRAMING_INVALID, "a header of the request has a name of HTTP/2's own")
    found += others
    if request.length or (request.length == 0 and request.method in WITH_BODY):
        found.append((b"content-length", b"%d" % request.length))
    if not all(_VALUE(value) for _, value in found):
        raise UpstreamError(Reason.REQUEST_FRAMING_INVALID, "a line break or NUL inside of the request's head")
    return found


class Incoming(Answer):
    """An answer in HTTP/2.

    Args:
        is_head: it answers a HEAD request, so it has no body.
        header_bytes: most that its headers may take, with the interim answers before them; each counts 32 at least.

    Attributes:
        is_untouched: nothing of it has come.
    """

    is_untouched = True
    _received = 0
    _length: int | None = None

    def __init__(self, *, is_head: bool, header_bytes: int) -> None:
        super().__init__()
        self._is_head = is_head
        self._header_limit = header_bytes

    def begin(self, headers: Iterable[Header]) -> None:
        """Take the headers of the final answer, or of an interim one, which are passed over.

        Raises:
            UpstreamError: when they cannot be passed on.
        """
        self.is_untouched = False
        found = list(headers)
        self._header_limit -= sum(max(HELD_BYTES, len(name) + len(value) + LINE_OVERHEAD) for name, value in found)
        if self._header_limit < 0:
            raise broken("its headers are too large")
        status = _status(found)
        if status == 101:
            raise broken("it switched protocols, which HTTP/2 has not")
        if status < 200:
            return
        fields = _judged(found[1:])
        self._length = _length(fields)
        if status == 204:
            # RFC 9110 section 8.6: there must be none, and whoever believed it would wait for a body.
            fields = [header for header in fields if header[0] != b"content-length"]
        if self._is_head or status in _NO_BODY:
            self._length = 0
        self.status, self.headers, self.has_head = status, fields, True

    def data(self, piece: bytes) -> None:
        """Hold a piece of the body.

        Raises:
            UpstreamError: when there is more of it than was said.
        """
        self._received += len(piece)
        if self._length is not None and self._received > self._length:
            raise broken("its body is longer than it said")
        if piece:
            self.chunks.append(piece)
            self.held += len(piece)

    def end(self) -> None:
        """All is there; trailers are dropped.

        Raises:
            UpstreamError: when it is less than was said.
        """
        if self._length is not None and self._received < self._length:
            raise broken("its body is shorter than it said")
        self.is_complete = True


def _status(headers: list[Header]) -> int:
    """Return the status, which is the first header and the only one of its kind (RFC 9113 section 8.3.2)."""
    name, value = headers[0] if headers else (b"", b"")
    if name != b":status" or not _STATUS(value):
        raise broken("its answer has no status")
    return int(value)


def _judged(headers: list[Header]) -> list[Header]:
    """Return the headers; one that HTTP/1.1 could not carry would end the answer to the client in its midst."""
    found = []
    for raw_name, value in headers:
        name = b"content-length" if raw_name == _HIDDEN else raw_name
        if not _NAME(name) or not _VALUE(value):
            raise broken("a name or value of its headers is not valid")
        if name in _CONNECTION:
            raise broken("its headers speak of the connection, which HTTP/2 forbids")
        found.append((bytes(name), bytes(value).strip(b" \t")))
    return found


def _length(headers: Iterable[Header]) -> int | None:
    lengths = [value for name, value in headers if name == b"content-length"]
    if len(lengths) > 1 or not all(map(_LENGTH, lengths)):
        raise broken("its content-length is not one number")
    return int(lengths[0]) if lengths else None
