"""Raw answers of an upstream, good and broken, each as one row that comes back through the gateway and nginx."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AnswerRow:
    """One answer.

    Attributes:
        name: unique; rows of one kind begin alike.
        raw: the bytes; the upstream closes behind them.
        method: of the request that it answers.
    """

    name: str
    raw: bytes
    method: str = "GET"


def answer(*lines: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1", body: bytes = b"ab") -> bytes:
    """Return an answer whose length is said, unless a line says otherwise."""
    said = b"".join(lines).lower()
    length = [] if b"content-length" in said or b"transfer-encoding" in said else [b"Content-Length: %d" % len(body)]
    return b"\r\n".join([version + b" " + status, *length, *lines, b"", body])


def _name(data: bytes) -> str:
    text = data if len(data) <= 60 else data[:40] + b"...(%d bytes)" % len(data)
    return text.strip(b"\x00").decode("latin-1").encode("unicode_escape").decode("ascii")


_STATUSES = (
    *(
        b"200 OK",
        b"200 ",
        b"200",
        b"201 Created",
        b"202 Accepted",
        b"206 Partial Content",
        b"207 Multi-Status",
        b"226 IM Used",
    ),
    *(
        b"300 Multiple Choices",
        b"301 Moved",
        b"302 Found",
        b"303 See Other",
        b"307 Temporary",
        b"308 Permanent",
        b"299 Odd",
    ),
    *(
        b"400 Bad",
        b"401 No",
        b"402 Pay",
        b"403 No",
        b"404 No",
        b"405 No",
        b"407 No",
        b"408 Slow",
        b"409 No",
        b"410 Gone",
    ),
    *(
        b"411 No",
        b"412 No",
        b"413 No",
        b"416 No",
        b"418 Teapot",
        b"421 No",
        b"426 Upgrade",
        b"428 No",
        b"429 Slow",
        b"431 No",
    ),
    *(
        b"451 Law",
        b"499 Odd",
        b"500 Oops",
        b"501 No",
        b"502 Bad",
        b"503 Busy",
        b"504 Slow",
        b"505 No",
        b"511 No",
        b"599 Odd",
    ),
    *(
        b"600 Odd",
        b"999 Odd",
        b"1000 Odd",
        b"099 Odd",
        b"20 Odd",
        b"-200 Odd",
        b"2x0 Odd",
        b"",
        b"OK",
        b"200 O\rK",
        b"200 O\x00K",
    ),
    *(b"200 " + b"x" * 300, b"200 \xc3\xa9", b"200\tOK", b" 200 OK", b"200  OK"),
)
_VERSIONS = (
    *(
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"HTTP/1.2",
        b"HTTP/2.0",
        b"HTTP/0.9",
        b"HTTP/1",
        b"http/1.1",
        b"ICY",
        b"",
        b"HTTPS/1.1",
    ),
    *(b"\r\nHTTP/1.1", b" HTTP/1.1", b"junk\r\nHTTP/1.1", b"HTTP/01.1"),
)
_FIELDS = (
    *(
        b"X-A: b",
        b"X-A:b",
        b"X-A:  b  ",
        b"X-A:",
        b"X-A: b\r\nX-A: c",
        b"X-A : b",
        b" X-A: b",
        b": b",
        b"X-A",
        b"X A: b",
    ),
    *(
        b"X_A: b",
        b"X.A: b",
        b"X\x00A: b",
        b"X\xc3\xa9: b",
        b"X-A: b\x00c",
        b"X-A: b\x01c",
        b"X-A: b\x7fc",
        b"X-A: \xc3\xa9",
    ),
    *(b"X-A: b\rc", b"X-A: b\r\n c", b"X-A: b\nX-B: c", b"X-A: " + b"b" * 3000, b"X-A: " + b"b" * 9000, b"X(A): b"),
    *(
        b"Set-Cookie: a=b",
        b"Set-Cookie: a=b\r\nSet-Cookie: c=d",
        b"Set-Cookie: a=\xff",
        b"Set-Cookie: ",
        b"Location: /b",
    ),
    *(
        b"Location: //evil",
        b"Location: http://a/\r\nLocation: /b",
        b"WWW-Authenticate: Basic\r\nWWW-Authenticate: Bearer",
    ),
    *(b"Cache-Control: public", b"Vary: Accept", b'ETag: "a"', b"Expires: 0", b"Age: 5", b"Content-Type: text/html"),
    *(
        b"Content-Type:",
        b"Content-Encoding: gzip",
        b"Content-Language: de",
        b"Link: </a>; rel=preload",
        b"Date: Thu, 01 Jan 1970 00:00:00 GMT",
    ),
    *(b"Server: up", b"Via: 1.1 x", b'Alt-Svc: h2=":443"', b"Strict-Transport-Security: max-age=1", b"Refresh: 0"),
    *(
        b"Connection: close",
        b"Connection: keep-alive",
        b"Connection: X-A\r\nX-A: b",
        b"Keep-Alive: timeout=5",
        b"TE: gzip",
    ),
    *(b"Trailer: X-A", b"Upgrade: h2c", b"Proxy-Authenticate: Basic", b"Proxy-Connection: close", b"Status: 500 Evil"),
    *(
        b"X-Accel-Redirect: /internal",
        b"X-Accel-Buffering: no",
        b"X-Accel-Expires: 10",
        b"X-Accel-Limit-Rate: 10",
        b"X-Accel-Charset: x",
    ),
    *(
        b"X-Middleware-Next: 1",
        b"X-Sendfile: /etc/passwd",
        b"X-Request-Id: theirs",
        b"Set-Cookie: __session=evil",
        b"Set-Cookie: =__session=evil",
    ),
    *(
        b"Set-Cookie: __client_uat=1; Domain=a",
        b"X-Session-User-Id: root",
        b'Clear-Site-Data: "*"',
        b"Access-Control-Allow-Origin: *",
    ),
)
_FRAMINGS = (
    *(
        b"Content-Length: 2\r\n\r\nab",
        b"Content-Length: 1\r\n\r\nab",
        b"Content-Length: 3\r\n\r\nab",
        b"Content-Length: 0\r\n\r\nab",
    ),
    *(b"Content-Length: 0\r\n\r\n", b"\r\nab", b"\r\n", b"Content-Length:\r\n\r\nab", b"Content-Length: +2\r\n\r\nab"),
    *(
        b"Content-Length: -2\r\n\r\nab",
        b"Content-Length: 0x2\r\n\r\nab",
        b"Content-Length: 02\r\n\r\nab",
        b"Content-Length: 2, 2\r\n\r\nab",
    ),
    *(b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    *(
        b"Content-Length: 99999999999999999999\r\n\r\nab",
        b"Content-Length: 2 2\r\n\r\nab",
        b"Content-Length: two\r\n\r\nab",
    ),
    *(
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip\r\n\r\nab",
    ),
    *(
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity\r\n\r\nab",
    ),
    *(
        b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ),
    *(
        b"Transfer-Encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"Transfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ),
    *(b"Transfer-Encoding : chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", b"Transfer-Encoding:\r\n\r\nab"),
    *(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",),
)
_CHUNKS = (
    *(
        b"2\r\nab\r\n0\r\n\r\n",
        b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"2\r\nab\r\n",
        b"2\r\na",
        b"2\r\nab\r\n0\r\n",
    ),
    *(
        b"2;x=y\r\nab\r\n0\r\n\r\n",
        b"2 ;x\r\nab\r\n0\r\n\r\n",
        b"02\r\nab\r\n0\r\n\r\n",
        b"0x2\r\nab\r\n0\r\n\r\n",
        b"+2\r\nab\r\n0\r\n\r\n",
    ),
    *(
        b"-2\r\nab\r\n0\r\n\r\n",
        b"g\r\nab\r\n0\r\n\r\n",
        b"2\nab\n0\n\n",
        b"2\r\nabX\r\n0\r\n\r\n",
        b"2\r\nabc\r\n0\r\n\r\n",
        b"2 \r\nab\r\n0\r\n\r\n",
    ),
    *(
        b"f" * 17 + b"\r\nab",
        b"ffffffffffffffff\r\nab",
        b"2\r\nab\r\n0\r\nX-A: b\r\n\r\n",
        b"2\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n",
    ),
    *(
        b"2\r\nab\r\n0\r\nX-Session-User-Id: root\r\n\r\n",
        b"2\r\nab\r\n0\r\nbroken\r\n\r\n",
        b"2\r\nab\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ),
    *(b"\r\n2\r\nab\r\n0\r\n\r\n", b"2\r\nab\r\n0\r\n\r\njunk"),
)
_BODILESS = (*(b"204 No Content", b"304 Not Modified", b"205 Reset Content"),)
_INTERIM = (
    *(
        b"100 Continue",
        b"102 Processing",
        b"103 Early Hints\r\nLink: </a>; rel=preload",
        b"199 Odd",
        b"101 Switching Protocols",
    ),
    *(
        b"101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade",
        b"101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade",
    ),
)
_WHOLE = (
    *(
        b"",
        b"\r\n",
        b"junk",
        b"junk\r\n\r\n",
        b"HTTP",
        b"HTTP/1.1",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\n",
    ),
    *(
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab",
    ),
    *(
        b"<html>",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x00" * 64,
        b"HTTP/2.0 200\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
)


def _answers(kind: str, values: tuple[bytes, ...], start: bytes, method: str = "GET") -> list[AnswerRow]:
    return [AnswerRow(f"{kind}: {_name(value)}", start + value, method) for value in values]


_OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS: tuple[AnswerRow, ...] = (
    *(AnswerRow(f"status: {_name(status)}", answer(status=status)) for status in _STATUSES),
    *(AnswerRow(f"version: {_name(version)}", answer(version=version)) for version in _VERSIONS),
    *(AnswerRow(f"field: {_name(field)}", answer(field)) for field in _FIELDS),
    *_answers("framing", _FRAMINGS, _OK),
    *_answers("framing of 1.0", _FRAMINGS[:6], b"HTTP/1.0 200 OK\r\n"),
    *_answers("chunks", _CHUNKS, _OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    *_answers("chunks of 1.0", _CHUNKS[:1], b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    *(AnswerRow(f"bodiless: {_name(status)}, length 2", answer(status=status)) for status in _BODILESS),
    *(AnswerRow(f"bodiless: {_name(status)}", answer(status=status, body=b"")) for status in _BODILESS),
    *(AnswerRow(f"bodiless: {_name(status)}, no length", b"HTTP/1.1 " + status + b"\r\n\r\n") for status in _BODILESS),
    *(
        AnswerRow(
            f"bodiless: {_name(status)}, chunks",
            b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        )
        for status in _BODILESS
    ),
    *(AnswerRow(f"interim: {_name(start)}", b"HTTP/1.1 " + start + b"\r\n\r\n" + answer()) for start in _INTERIM),
    *(AnswerRow(f"interim alone: {_name(start)}", b"HTTP/1.1 " + start + b"\r\n\r\n") for start in _INTERIM),
    *_answers("whole", _WHOLE, b""),
    AnswerRow("head: length 2, no body", answer(b"Content-Length: 2", body=b""), "HEAD"),
    AnswerRow("head: length 2, body", answer(), "HEAD"),
    AnswerRow("head: chunks, no body", answer(b"Transfer-Encoding: chunked", body=b""), "HEAD"),
    AnswerRow("head: no length", _OK + b"\r\n", "HEAD"),
    AnswerRow("head: 204", b"HTTP/1.1 204 No Content\r\n\r\n", "HEAD"),
    AnswerRow("split: two answers", answer() + answer(body=b"evil")),
    AnswerRow("split: line ends in a value", answer(b"X-A: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")),
    AnswerRow("many: 90 headers", answer(*(b"X-%d: a" % number for number in range(90)))),
    AnswerRow("many: 20 KiB of headers", answer(*(b"X-%d: " % number + b"a" * 1000 for number in range(20)))),
    AnswerRow("many: 200 KiB of headers", answer(*(b"X-%d: " % number + b"a" * 1000 for number in range(200)))),
    AnswerRow("large: 1 MiB", answer(body=b"a" * 1_048_576)),
)
