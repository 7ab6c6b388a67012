"""The head of a request as its bytes say it, read one way or refused (RFC 9112 sections 2 to 6). No network.

The parser is httptools (llhttp) in its strict mode: it refuses bare line feeds, folded lines, blanks before a colon,
repeated lengths, and a length beside chunks. Refused here is what it lets pass and others read differently: other
versions, blanks beyond one, fragments, chunks in HTTP/1.0, and a target that names another host than ``Host``.
"""

import re
from dataclasses import dataclass
from typing import Final

import httptools

from gateway.core.header_names import MAX_HEADER_LINES, USUAL
from gateway.core.reasons import Reason
from gateway.core.request import Header

END: Final = b"\r\n\r\n"

_UPGRADE_LINE = re.compile(rb"\r\n[Uu][Pp][Gg][Rr][Aa][Dd][Ee]:[^\r]*")
_BEGINNING = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: (?:[!-~]+(?: [HTP0-9./]*)?)?)?(?:\r?\Z|\r\n)").match
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n").search
_ABSOLUTE = re.compile(rb"([Hh][Tt][Tt][Pp][Ss]?)://([^/?#]*)([^#]*)").fullmatch
_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.[01]\r\n").match
_BLANKS: Final = b" \t"
_BLANK: Final = ord(" ")
_SLASH: Final = ord("/")
_FRAGMENT: Final = ord("#")
_PORTS = {b"http": b":80", b"https": b":443"}


class BadRequestError(Exception):
    """The bytes are no request that can be served; the connection ends with the answer.

    Attributes:
        reason: the stable reason code.
    """

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(init=False, slots=True)
class Head:
    """A request's head.

    Attributes:
        method: as sent.
        target: origin form, or what else was sent in its place (``*``, an authority).
        version: ``1.1`` or ``1.0``.
        headers: names in lower case, values without blanks around them.
        length: of the body in bytes; None where chunks tell its end, 0 for none.
        keeps_alive: the client means to use the connection again.
        is_websocket: it asks for a WebSocket (RFC 6455 section 4.1).
        expects_continue: the client waits for ``100 Continue`` before it sends its body.
    """

    method: str
    target: bytes
    version: str
    headers: list[Header]
    length: int | None
    keeps_alive: bool
    is_websocket: bool
    expects_continue: bool

    def __init__(  # noqa: PLR0913, PLR0917 - made for each request, by position
        self,
        method: str,
        target: bytes,
        version: str,
        headers: list[Header],
        length: int | None,
        keeps_alive: bool,
        is_websocket: bool = False,
        expects_continue: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        self.length = length
        self.keeps_alive = keeps_alive
        self.is_websocket = is_websocket
        self.expects_continue = expects_continue


class HeadReader:
    """Reads the heads of one connection's requests, one after the other."""

    __slots__ = ("_headers", "_is_whole", "_keeps_alive", "_parser", "_target")

    def __init__(self) -> None:
        self._parser: httptools.HttpRequestParser | None = None
        self._headers: list[Header] = []
        self._target = b""
        self._is_whole = self._keeps_alive = False

    def read(self, data: bytes) -> Head:
        """Return what a head says.

        Args:
            data: from the first byte of the request line to the empty line, which ends it.

        Raises:
            BadRequestError: when it can be read in no way, or in several.
        """
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
        headers: list[Header] = []
        self._headers = headers
        self._target, self._is_whole = b"", False
        asks_for_another = self._parse(parser, data)
        if _FRAGMENT in self._target:
            raise BadRequestError(Reason.REQUEST_TARGET_INVALID)
        if asks_for_another:
            return self._read_upgrade(parser, data)
        method = parser.get_method()
        version = self._version(method, data)
        length: int | None = 0
        expects_continue = False
        if not self._is_whole:
            self._keeps_alive = parser.should_keep_alive()
            self._parser = None  # it waits for the body, which is read elsewhere
            length = _body_length(headers, version)
            expects_continue = _expects_continue(headers, version)
        target = self._target if self._target[0] == _SLASH else _origin_form(self._target, headers)
        # By position, which is faster than by name.
        return Head(method.decode(), target, version, headers, length, self._keeps_alive, False, expects_continue)

    def let_go(self) -> None:
        """Give up the parser: the two hold each other until the collector comes by, which is late."""
        self._parser = None

    def _parse(self, parser: httptools.HttpRequestParser, data: bytes) -> bool:
        """Have the parser call back; return whether the head asks for another protocol, or for a tunnel."""
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return True
        except httptools.HttpParserInvalidMethodError:
            # A name that the parser does not know (RFC 9110 section 9.1), unless the line is none at all.
            is_line = _REQUEST_LINE(data)
            raise BadRequestError(Reason.METHOD_NOT_ALLOWED if is_line else Reason.REQUEST_FRAMING_INVALID) from None
        except httptools.HttpParserCallbackError:
            raise BadRequestError(Reason.REQUEST_HEADERS_TOO_LARGE) from None  # of on_header, which alone raises
        except httptools.HttpParserInvalidURLError:
            raise BadRequestError(Reason.REQUEST_TARGET_INVALID) from None
        except httptools.HttpParserError:
            raise BadRequestError(Reason.REQUEST_FRAMING_INVALID) from None
        return False

    def _version(self, method: bytes, data: bytes) -> str:
        """Return the version, having made sure of the one form of a request line (RFC 9112 section 3)."""
        if data.startswith(b"%b %b HTTP/1.1\r\n" % (method, self._target)):
            return "1.1"
        if data.startswith(b"%b %b HTTP/1.0\r\n" % (method, self._target)):
            return "1.0"
        raise BadRequestError(Reason.REQUEST_FRAMING_INVALID)

    def _read_upgrade(self, parser: httptools.HttpRequestParser, data: bytes) -> Head:
        """Read a head that asks for another protocol, or for a tunnel: the parser stops behind it."""
        self._parser = None
        headers, method = self._headers, parser.get_method()
        version = self._version(method, data)
        if method == b"CONNECT":
            return Head(method.decode(), self._target, version, headers, 0, keeps_alive=False)
        asked = b",".join(value for name, value in headers if name == b"upgrade").lower()
        if b"websocket" not in [part.strip(_BLANKS) for part in asked.split(b",")]:
            # A server may ignore the wish (RFC 9110 section 7.8); without it the parser sees the framing.
            return self.read(_UPGRADE_LINE.sub(b"", data))
        if _body_length(headers, version) != 0:
            raise BadRequestError(Reason.REQUEST_FRAMING_INVALID)
        target = _origin_form(self._target, headers)
        return Head(method.decode(), target, version, headers, 0, keeps_alive=False, is_websocket=True)

    # ── httptools callbacks ──

    def on_url(self, url: bytes) -> None:
        """Keep the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, unless there are too many."""
        if len(self._headers) == MAX_HEADER_LINES:
            raise BadRequestError(Reason.REQUEST_HEADERS_TOO_LARGE)
        if value and value[-1] <= _BLANK:
            value = value.rstrip(_BLANKS)
        self._headers.append((USUAL.get(name) or name.lower(), value))

    def on_message_complete(self) -> None:
        """Note that there is no body, and whether the connection is to be used again, which the parser forgets next."""
        self._is_whole = True
        if self._parser is not None:
            self._keeps_alive = self._parser.should_keep_alive()


def may_begin(data: bytes) -> bool:
    """Return whether a request's head may begin like this; what cannot would be waited for in vain."""
    return _BEGINNING(data) is not None and not has_bare_line_feed(data)


def has_bare_line_feed(data: bytes) -> bool:
    """Return whether a line ends in a way that this server does not know, behind the first byte."""
    return _BARE_LINE_FEED(data, 1) is not None


def _body_length(headers: list[Header], version: str) -> int | None:
    """Return the body's length, of headers that the parser has found to be at one about it."""
    length: int | None = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            # HTTP/1.0 has no chunks: whoever sends them there may be read either way (RFC 9112 section 6.1).
            if version != "1.1" or value.lower() != b"chunked":
                raise BadRequestError(Reason.REQUEST_FRAMING_INVALID)
            length = None
        elif name == b"content-length":
            length = int(value)
    return length


def _expects_continue(headers: list[Header], version: str) -> bool:
    return version == "1.1" and any(name == b"expect" and value.lower() == b"100-continue" for name, value in headers)


def _origin_form(target: bytes, headers: list[Header]) -> bytes:
    """Return the target without scheme and host (RFC 9112 section 3.2.2); other forms stay as they are.

    The host in it would count instead of ``Host``. Programs behind read either, so both have to say the same.
    """
    match = _ABSOLUTE(target)
    if match is None:
        return target
    scheme, authority, rest = match.groups()
    port = _PORTS[scheme.lower()]
    hosts = [value.lower().removesuffix(port) for name, value in headers if name == b"host"]
    if hosts != [authority.lower().removesuffix(port)]:
        raise BadRequestError(Reason.REQUEST_HOST_INVALID)
    return rest if rest.startswith(b"/") else b"/" + rest
