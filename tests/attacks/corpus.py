"""Raw requests, good and broken, each as one row that goes through the gateway and through nginx (``test_corpus.py``).

A row is sent as it is, on a connection of its own, which both sides are asked to close. :data:`MARK` stands for the
row's own mark, which tells whose bytes arrived; in targets and whole requests ``@`` is short for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

MARK = b"rowMARKx"
_LITERAL_AT = b"\xa4"


@dataclass(frozen=True)
class Row:
    """One request.

    Attributes:
        name: unique; rows of one kind begin alike (``target: …``).
        raw: the bytes, with :data:`MARK` for the mark.
    """

    name: str
    raw: bytes


def request(
    target: bytes = b"/@",
    *lines: bytes,
    method: bytes = b"GET",
    version: bytes = b"HTTP/1.1",
    host: bytes | None = b"Host: a",
    body: bytes = b"",
) -> bytes:
    """Return a request whose mark stands in its target and in a header."""
    start = method + b" " + _marked(target) + b" " + version
    head = [start, *([host] if host is not None else []), *lines, b"X-Row: " + MARK]
    return b"\r\n".join([*head, b"Connection: close", b"", body])


def _marked(data: bytes) -> bytes:
    return data.replace(b"@", MARK).replace(_LITERAL_AT, b"@")


def _name(data: bytes) -> str:
    text = data if len(data) <= 60 else data[:40] + b"...(%d bytes)" % len(data)
    return text.decode("latin-1").encode("unicode_escape").decode("ascii")


def _rows(kind: str, values: tuple[bytes, ...], *, make: Callable[[bytes], bytes]) -> list[Row]:
    return [Row(f"{kind}: {_name(value)}", make(value)) for value in values]


_TARGETS = (
    *(b"/@", b"/@?", b"/@?a=b&a=c", b"/@?a=%zz", b"/@?a=/../b", b"/@?a?b", b"/@?a#b", b"/@#b", b"/@%23b", b"/@%3Fb"),
    *(b"//@", b"/a//@", b"///evil.example/@", b"/a/../@", b"/a/./@", b"/./@", b"/../@", b"/@/..", b"/@/.", b"/@/..."),
    *(b"/%2e%2e/@", b"/a/%2e/@", b"/a/.%2e/@", b"/a%2f..%2f@", b"/a%2f@", b"/a%5c@", b"/a\\@", b"/a\\..\\@"),
    *(b"/@%00", b"/@%0a", b"/@%0d%0aX:1", b"/@%7f", b"/@%20", b"/@%09", b"/@%", b"/@%4", b"/@%zz", b"/@%u002f"),
    *(b"/@%252e", b"/@%2525", b"/@%c0%ae", b"/@%ff", b"/@%C3%A9", b"/@\xc3\xa9", b"/@\xff", b"/@%e2%82%ac"),
    *(b"/@;x", b"/@;x/..", b"/..;/@", b"/@%3b", b"/@:1", b"/@\xa4\xa4", b"/@!$&'()*+,;=", b"/@~", b"/%7E@", b"/%61@"),
    *(b"/@\x00", b"/@\x01", b"/@\x7f", b"/@\t", b"/@ b", b"/@<>", b'/@"', b"/@[1]", b"/@{1}", b"/@|", b"/@^", b"/@`"),
    *(
        b"/@?\x00",
        b"/@?\x7f",
        b"/@?\x80",
        b"/@?<>",
        b'/@?"',
        b"/@?[]{}|^`\\",
        b"/@?a b",
        b"@",
        b"a/@",
        b"?@",
        b"",
        b"*",
    ),
    *(
        b"http://a/@",
        b"http://other/@",
        b"https://a/@",
        b"HTTP://A/@",
        b"http://a:80/@",
        b"http://u:p\xa4a/@",
        b"ftp://a/@",
    ),
    *(b"http://a?@", b"http://a", b"http:///@", b"http:/@", b"a:80", b"http://a/@#f", b"javascript:@", b"//a:b\xa4c/@"),
    *(b"/" + b"a" * 4000 + b"/@", b"/" + b"a" * 9000 + b"/@", b"/@?" + b"a" * 9000, b"/" + b"a/" * 2000 + b"@"),
)

_METHODS = (
    *(b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"QUERY", b"PROPFIND", b"REPORT", b"M-SEARCH"),
    *(b"TRACE", b"CONNECT", b"get", b"Get", b"FOO", b"X" * 40, b"G\x00T", b"G T", b"GET\t", b"G:T", b"G/T", b"\xffGET"),
    *(b"", b" GET", b"\tGET", b"\r\nGET", b"\n\r\nGET", b"PRI", b"!#$%&'*+.^_`|~", b"(GET)", b"__"),
)

_VERSIONS = (
    *(b"HTTP/1.0", b"HTTP/1.1", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3", b"HTTP/1", b"HTTP/1."),
    *(b"HTTP/01.1", b"HTTP/1.01", b"HTTP/ 1.1", b"HTTP /1.1", b"http/1.1", b"HTTPS/1.1", b"HTTP/1.1 ", b"HTTP/1.1 x"),
    *(b"", b"HTTP", b"HTTP/1,1", b"HTTP/1.1\t", b"HTTP/11", b"ICY", b"HTTP/1.1\r", b"HTTP/1.1\x00", b"HTTP/-1.1"),
)

_HOSTS = (
    *(b"Host: a", b"Host:a", b"host: A", b"HOST: a.", b"Host: a:80", b"Host: a:8080", b"Host: a:0", b"Host: a:99999"),
    *(b"Host: a:", b"Host: a:b", b"Host: ", b"Host:", b"Host: a b", b"Host: a,b", b"Host: a/b", b"Host: a?b"),
    *(b"Host: a#b", b"Host: a@b", b"Host: u:p@a", b"Host: a\\b", b"Host: a%41", b"Host: \xc3\xa9", b"Host: xn--e1aybc"),
    *(
        b"Host: [::1]",
        b"Host: [::1]:80",
        b"Host: [::1",
        b"Host: [::g]",
        b"Host: [::1%25lo]",
        b"Host: ::1",
        b"Host: 1.2.3.4",
    ),
    *(
        b"Host: a_b",
        b"Host: -a",
        b"Host: a..b",
        b"Host: .a",
        b"Host: *",
        b"Host: a\x00",
        b"Host: a\x7f",
        b"Host: \ta\t",
    ),
    *(
        b"Host: a\r\nHost: a",
        b"Host: a\r\nHost: b",
        b"Host: a\r\nhOST: b",
        b"Host: a\r\nHost:",
        b"Host : a",
        b" Host: a",
    ),
    *(
        b"Host: a\r\n b",
        b"Host: <script>",
        b"Host: " + b"a" * 64,
        b"Host: " + b"a." * 127 + b"a",
        b"Host: " + b"a." * 200,
    ),
    *(b"X-Host: a", b"Host: a;b", b"Host: a'", b'Host: "a"', b"Host: http://a", b"Host: a!", b"Host: a%0d%0a"),
)

_FIELDS = (
    *(b"X-A: b", b"X-A:b", b"X-A:  b  ", b"X-A:\tb\t", b"X-A:", b"X-A: ", b"x-a: b", b"X-A: b\r\nX-A: c", b"X_A: b"),
    *(
        b"X.A: b",
        b"X!A: b",
        b"X-A : b",
        b"X-A\t: b",
        b" X-A: b",
        b": b",
        b"X-A",
        b"X-A b",
        b"X A: b",
        b"X(A): b",
        b"X/A: b",
    ),
    *(b"X@A: b", b"X\x00A: b", b"X\xc3\xa9: b", b"X\x7f: b", b'X"A: b', b"X-A: b\x00c", b"X-A: b\x01c", b"X-A: b\x7fc"),
    *(
        b"X-A: b\x80c",
        b"X-A: \xc3\xa9",
        b"X-A: b\rc",
        b"X-A: b\r\n c",
        b"X-A: b\r\n\tc",
        b"X-A: b\nX-B: c",
        b"X-A: b\x0bc",
    ),
    *(
        b"X-A: b\x1b[31m",
        b"X-A: " + b"b" * 4000,
        b"X-A: " + b"b" * 9000,
        b"X-" + b"a" * 300 + b": b",
        b"X-A: \x00",
        b"X-A: a,b,,c",
    ),
    *(
        b'X-A: "quo\\"ted"',
        b"X-A: (comment)",
        b"1: 2",
        b"-: b",
        b"_: b",
        b"X--A: b",
        b"X-A:: b",
        b"X-A: b: c",
        b":authority: a",
    ),
    *(b":path: /b", b"Accept-Encoding: gzip", b"Range: bytes=0-1", b'If-None-Match: "a"', b"If-Modified-Since: x"),
    *(
        b"If-Match: *",
        b"If-Range: x",
        b"Cookie: a=b",
        b"Cookie: a=b\r\nCookie: c=d",
        b"Cookie: a=\xff",
        b"Cookie: =;;=",
        b"Cookie:",
    ),
    *(
        b"Authorization: Basic YTpi",
        b"Authorization: Bearer opaque",
        b"Authorization: Digest a=b",
        b"Origin: null",
        b"Referer: x",
    ),
    *(
        b"User-Agent: \"'<>",
        b"Content-Type: text/plain",
        b"Content-Encoding: gzip",
        b"Content-Range: bytes 0-1/2",
        b"Date: x",
    ),
    *(b"Via: 1.1 x", b"Max-Forwards: 0", b"Cache-Control: no-cache", b"Pragma: no-cache", b"Warning: 1", b"From: a@b"),
    *(b"X-HTTP-Method-Override: DELETE", b"Accept: */*", b"DNT: 1", b"Sec-Fetch-Mode: cors", b"Traceparent: 00-a-b-01"),
)

_HOP_BY_HOP = (
    *(b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic YTpi", b"TE: trailers"),
    *(
        b"TE: gzip",
        b"Trailer: X-A",
        b"Upgrade: h2c",
        b"Upgrade: websocket",
        b"HTTP2-Settings: AAMAAABk",
        b"Proxy: http://evil",
    ),
    *(b"Proxy-Authenticate: Basic", b"Connection: X-A\r\nX-A: b", b"Connection: keep-alive, x-a\r\nX-A: b"),
    *(
        b"Connection: Host",
        b"Connection: Content-Length",
        b"Connection: X-Forwarded-For",
        b"Connection: ,,",
        b"Connection: \xff",
    ),
    *(
        b"Connection: Upgrade\r\nUpgrade: foo",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA",
    ),
    *(b"Expect: 100-continue", b"Expect: foo", b"Expect: 100-Continue, foo", b"Expect:", b"X-Forwarded-For: 1.2.3.4"),
    *(
        b"X-Forwarded-Host: evil",
        b"X-Forwarded-Proto: gopher",
        b"X-Forwarded-Prefix: /p",
        b"X-Forwarded-User: root",
        b"X_Forwarded_For: 1",
    ),
    *(
        b"Forwarded: for=1.2.3.4;host=evil",
        b"X-Real-IP: 1.2.3.4",
        b"X-Request-Id: mine",
        b"X-Original-URL: /p",
        b"X-Rewrite-URL: /p",
    ),
    *(
        b"X-Session-User-Id: root",
        b"x_session_user_id: root",
        b"X.Session.User.Id: root",
        b"X-Clerk-Auth-Status: signed-in",
    ),
    *(
        b"X-Middleware-Subrequest: x",
        b"X-Accel-Redirect: /p",
        b"True-Client-IP: 1.2.3.4",
        b"X-Cluster-Client-IP: 1.2.3.4",
    ),
)

_FRAMINGS = (
    *(
        b"Content-Length: 2\r\n\r\nab",
        b"content-length:2\r\n\r\nab",
        b"Content-Length: 02\r\n\r\nab",
        b"Content-Length: 0\r\n\r\n",
    ),
    *(
        b"Content-Length:\r\n\r\n",
        b"Content-Length: \r\n\r\nab",
        b"Content-Length: +2\r\n\r\nab",
        b"Content-Length: -2\r\n\r\nab",
    ),
    *(b"Content-Length: 0x2\r\n\r\nab", b"Content-Length: 2,2\r\n\r\nab", b"Content-Length: 2, 2\r\n\r\nab"),
    *(
        b"Content-Length: 2 2\r\n\r\nab",
        b"Content-Length: 2.0\r\n\r\nab",
        b"Content-Length: 2e0\r\n\r\nab",
        b"Content-Length: \xb2\r\n\r\nab",
    ),
    *(
        b"Content-Length: two\r\n\r\nab",
        b"Content-Length: 2;\r\n\r\nab",
        b"Content-Length: 2\x0b\r\n\r\nab",
        b'Content-Length: "2"\r\n\r\nab',
    ),
    *(b"Content-Length: 18446744073709551618\r\n\r\nab", b"Content-Length: 9223372036854775808\r\n\r\nab"),
    *(b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    *(
        b"Content-Length: 2\r\nContent_Length: 3\r\n\r\nab",
        b"Content-Length : 2\r\n\r\nab",
        b" Content-Length: 2\r\n\r\nab",
    ),
    *(
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity\r\n\r\n",
    ),
    *(
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"Transfer-Encoding: gzip\r\n\r\n",
    ),
)
_ENCODINGS = (
    *(b"chunked", b"Chunked", b"CHUNKED", b" chunked ", b"\tchunked", b"xchunked", b"chunkedx", b"chunked, identity"),
    *(
        b"identity, chunked",
        b"gzip, chunked",
        b"chunked, chunked",
        b"chunked,",
        b",chunked",
        b"chunked;q=1",
        b'"chunked"',
    ),
    *(b"\x0bchunked", b"chunked\x0b", b"chunk\x00ed", b"chunked\r\nTransfer-Encoding: chunked", b"", b"cow"),
    *(
        b"chunked\r\nTransfer-Encoding: identity",
        b"identity\r\nTransfer-Encoding: chunked",
        b"\r\n chunked",
        b"chunked\r\n",
    ),
)
_CHUNKS = (
    *(
        b"2\r\nab\r\n0\r\n\r\n",
        b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"02\r\nab\r\n0\r\n\r\n",
        b"A\r\n0123456789\r\n0\r\n\r\n",
    ),
    *(
        b"a\r\n0123456789\r\n0\r\n\r\n",
        b"2\r\nab\r\n000\r\n\r\n",
        b"2;x\r\nab\r\n0\r\n\r\n",
        b"2;x=y\r\nab\r\n0\r\n\r\n",
    ),
    *(
        b'2;x="y\\"z"\r\nab\r\n0\r\n\r\n',
        b"2 ;x\r\nab\r\n0\r\n\r\n",
        b"2 \r\nab\r\n0\r\n\r\n",
        b" 2\r\nab\r\n0\r\n\r\n",
        b"2\t\r\nab\r\n0\r\n\r\n",
    ),
    *(
        b"0x2\r\nab\r\n0\r\n\r\n",
        b"+2\r\nab\r\n0\r\n\r\n",
        b"-2\r\nab\r\n0\r\n\r\n",
        b"2\nab\n0\n\n",
        b"2\rab\r0\r\r",
        b"2\r\nabX0\r\n\r\n",
    ),
    *(
        b"2\r\nabc\r\n0\r\n\r\n",
        b"2\r\nab\n0\r\n\r\n",
        b"g\r\nab\r\n0\r\n\r\n",
        b"\r\n2\r\nab\r\n0\r\n\r\n",
        b"2;\nx\r\nab\r\n0\r\n\r\n",
    ),
    *(
        b"f" * 16 + b"\r\nab",
        b"f" * 17 + b"\r\nab",
        b"8000000000000000\r\nab",
        b"2;" + b"x" * 20_000 + b"\r\nab\r\n0\r\n\r\n",
    ),
    *(
        b"2\r\nab\r\n0\r\nX-A: b\r\n\r\n",
        b"2\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n",
        b"2\r\nab\r\n0\r\nHost: evil\r\n\r\n",
    ),
    *(
        b"2\r\nab\r\n0\r\nX-Session-User-Id: root\r\n\r\n",
        b"2\r\nab\r\n0\r\nbroken\r\n\r\n",
        b"2\r\nab\r\n0\r\n: b\r\n\r\n",
    ),
    *(
        b"2\r\nab\r\n0;x\r\n\r\n",
        b"2\x00\r\nab\r\n0\r\n\r\n",
        b"2;\x00\r\nab\r\n0\r\n\r\n",
        b"2,3\r\nab\r\n0\r\n\r\n",
        b"%32\r\nab\r\n0\r\n\r\n",
    ),
)
_WHOLE = (
    *(
        b"GET /@\r\n\r\n",
        b"GET /@ HTTP/1.1\nHost: a\nConnection: close\n\n",
        b"GET /@ HTTP/1.1\r\nHost: a\nConnection: close\r\n\n",
    ),
    *(
        b"GET /@ HTTP/1.1\rHost: a\r\r",
        b"GET  /@ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ),
    *(
        b"GET /@  HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET\t/@\tHTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ),
    *(
        b"GET /@ HTTP/1.1 \r\nHost: a\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 32,
        b"\r\n" * 50,
    ),
    *(
        b"GET /@ HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /@ HTTP/1.0\r\n\r\n",
        b"GET /@ HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n",
    ),
    *(
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nGET /@ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"hello\r\n\r\n",
    ),
)

_PAIR = b"GET /first@ HTTP/1.1\r\nHost: a\r\nX-Row: @\r\n\r\n"
_LAST = b"GET /last@ HTTP/1.1\r\nHost: a\r\nX-Row: @\r\nConnection: close\r\n\r\n"
_PIPELINES = (
    ("two", _PAIR + _LAST),
    ("five", _PAIR * 4 + _LAST),
    ("a body between", b"POST /p@ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + _LAST),
    (
        "chunks between",
        b"POST /p@ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n" + _LAST,
    ),
    (
        "a request in a body",
        b"POST /p@ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(_marked(_PAIR)) + _PAIR + _LAST,
    ),
    ("nothing after close", _LAST + _PAIR),
    ("a body of GET", b"GET /p@ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + _LAST),
    ("HEAD first", b"HEAD /p@ HTTP/1.1\r\nHost: a\r\n\r\n" + _LAST),
    ("a refused one first", b"GET /a/../../p@ HTTP/1.1\r\nHost: a\r\n\r\n" + _LAST),
    ("blank lines between", _PAIR + b"\r\n\r\n" + _LAST),
    ("junk after", _LAST + b"junk"),
    (
        "CL.TE",
        b"POST /p@ HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG" + _LAST,
    ),
    (
        "TE.CL",
        b"POST /p@ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + _LAST,
    ),
    (
        "TE.TE",
        b"POST /p@ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + _LAST,
    ),
)


def _chunked(body: bytes) -> bytes:
    return request(b"/@", b"Transfer-Encoding: chunked", method=b"POST", body=body)


def _framed(rest: bytes) -> bytes:
    return _marked(b"POST /@ HTTP/1.1\r\nHost: a\r\nX-Row: @\r\nConnection: close\r\n") + rest


REQUESTS: tuple[Row, ...] = (
    *_rows("target", _TARGETS, make=request),
    *_rows("method", _METHODS, make=lambda value: request(method=value)),
    *_rows("version", _VERSIONS, make=lambda value: request(version=value)),
    *_rows("host", _HOSTS, make=lambda value: request(host=value)),
    *_rows("field", _FIELDS, make=lambda value: request(b"/@", value)),
    *_rows("hop", _HOP_BY_HOP, make=lambda value: request(b"/@", value)),
    *_rows("framing", _FRAMINGS, make=_framed),
    *_rows(
        "encoding",
        _ENCODINGS,
        make=lambda value: _framed(b"Transfer-Encoding: " + value + b"\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    ),
    *_rows("chunks", _CHUNKS, make=_chunked),
    *_rows("whole", _WHOLE, make=_marked),
    *(Row(f"pipeline: {name}", _marked(raw)) for name, raw in _PIPELINES),
    Row("many: 90 headers", request(b"/@", *(b"X-%d: a" % number for number in range(90)))),
    Row("many: 200 headers", request(b"/@", *(b"X-%d: a" % number for number in range(200)))),
    Row("large: 30 KiB of cookies", request(b"/@", *(b"Cookie: a=" + b"b" * 5000 for _ in range(6)))),
    Row("large: 300 KiB of headers", request(b"/@", *(b"X-A: " + b"b" * 5000 for _ in range(60)))),
)
