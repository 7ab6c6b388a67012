"""One reading of a request's head, or a reason to refuse it."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.header_names import MAX_HEADER_LINES
from gateway.core.reasons import Reason
from gateway.server.head import BadRequestError, Head, HeadReader

HOST = b"Host: a.test\r\n"


def read(line: bytes = b"GET / HTTP/1.1", lines: bytes = HOST) -> Head:
    return HeadReader().read(line + b"\r\n" + lines + b"\r\n")


def reason(line: bytes = b"GET / HTTP/1.1", lines: bytes = HOST) -> Reason:
    with pytest.raises(BadRequestError) as refused:
        read(line, lines)
    return refused.value.reason


def test_a_head_says_what_its_bytes_say():
    head = read(b"PATCH /a%2Fb?c=d HTTP/1.1", HOST + b"X-One: 1 \t\r\nx-ONE:2\r\nEmpty:\r\nContent-Length: 12\r\n")
    assert head == Head(
        method="PATCH",
        target=b"/a%2Fb?c=d",
        version="1.1",
        headers=[(b"host", b"a.test"), (b"x-one", b"1"), (b"x-one", b"2"), (b"empty", b""), (b"content-length", b"12")],
        length=12,
        keeps_alive=True,
    )


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        (b"", 0),
        (b"Content-Length: 0\r\n", 0),
        (b"Content-Length: 1\r\n", 1),
        (b"content-length:\t7\r\n", 7),
        (b"Transfer-Encoding: chunked\r\n", None),
        (b"Transfer-Encoding: Chunked\r\n", None),
    ],
)
def test_the_length_of_the_body(lines, length):
    assert read(b"POST / HTTP/1.1", HOST + lines).length == length


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 1\r\nContent-Length: 1\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: 1, 1\r\n",
        b"Content-Length: +1\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x1\r\n",
        b"Content-Length: 1 1\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding:\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked;a=b\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b" Content-Length: 1\r\n",
        b"X: a\r\n b\r\n",
        b"X: a\n",
        b"X: a\nContent-Length: 1\r\n",
        b"X: a\rb\r\n",
        b"X: a\x00b\r\n",
        b"X y: a\r\n",
        b"X\r\n",
        b": a\r\n",
    ],
)
def test_what_others_might_read_otherwise_is_refused(lines):
    assert reason(b"POST / HTTP/1.1", HOST + lines) is Reason.REQUEST_FRAMING_INVALID


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1.10",
        b"GET / http/1.1",
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET\t/ HTTP/1.1",
        b"GET /",
        b"GET",
    ],
)
def test_a_request_line_has_one_form(line):
    assert reason(line) is Reason.REQUEST_FRAMING_INVALID


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"FROB / HTTP/1.1", Reason.METHOD_NOT_ALLOWED),
        (b"GET /\x01 HTTP/1.1", Reason.REQUEST_TARGET_INVALID),
        (b"GET /#a HTTP/1.1", Reason.REQUEST_TARGET_INVALID),
        (b"GET http://a.test/#a HTTP/1.1", Reason.REQUEST_TARGET_INVALID),
        (b"GET http://b.test/ HTTP/1.1", Reason.REQUEST_HOST_INVALID),
        (b"GET http://u@a.test/ HTTP/1.1", Reason.REQUEST_HOST_INVALID),
    ],
)
def test_each_refusal_has_its_reason(line, expected):
    assert reason(line) is expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/", b"/"),
        (b"/a?b", b"/a?b"),
        (b"//a", b"//a"),
        (b"http://a.test", b"/"),
        (b"HTTPS://A.test/b?c", b"/b?c"),
        (b"http://a.test?c", b"/?c"),
    ],
)
def test_the_target_is_in_origin_form(target, expected):
    assert read(b"GET " + target + b" HTTP/1.1").target == expected


def test_a_target_of_no_path_stays_for_others_to_refuse():
    assert read(b"OPTIONS * HTTP/1.1").target == b"*"
    tunnel = read(b"CONNECT a.test:443 HTTP/1.1")
    assert (tunnel.method, tunnel.target, tunnel.keeps_alive) == ("CONNECT", b"a.test:443", False)


@pytest.mark.parametrize("hosts", [b"", b"Host: a.test\r\nHost: a.test\r\n", b"Host: b.test\r\n"])
def test_an_absolute_target_asks_for_one_host_that_says_the_same(hosts):
    assert reason(b"GET http://a.test/ HTTP/1.1", hosts) is Reason.REQUEST_HOST_INVALID


@pytest.mark.parametrize(
    ("version", "lines", "keeps_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: Keep-Alive\r\n", True),
        (b"1.1", b"Connection: x, CLOSE\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_whether_the_connection_is_used_again(version, lines, keeps_alive):
    head = read(b"GET / HTTP/" + version, HOST + lines)
    assert (head.version, head.keeps_alive) == (version.decode(), keeps_alive)


def test_http_1_0_has_no_chunks():
    assert reason(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked\r\n") is Reason.REQUEST_FRAMING_INVALID


@pytest.mark.parametrize(
    ("version", "lines", "expects"),
    [
        (b"1.1", b"Content-Length: 1\r\nExpect: 100-continue\r\n", True),
        (b"1.1", b"Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\n", True),
        (b"1.1", b"Expect: 100-continue\r\n", False),  # no body is to come
        (b"1.1", b"Content-Length: 1\r\nExpect: x\r\n", False),
        (b"1.0", b"Content-Length: 1\r\nExpect: 100-continue\r\n", False),
    ],
)
def test_who_waits_for_100_continue(version, lines, expects):
    assert read(b"POST / HTTP/" + version, HOST + lines).expects_continue is expects


def test_the_number_of_lines_is_bounded():
    for line in (b"GET / HTTP/1.1", b"POST / HTTP/1.1"):
        most = HOST + b"X: y\r\n" * (MAX_HEADER_LINES - 1)
        assert len(read(line, most).headers) == MAX_HEADER_LINES
        assert reason(line, most + b"X: y\r\n") is Reason.REQUEST_HEADERS_TOO_LARGE
        # None of them is read: the odd one at their end is not found.
        assert reason(line, most + b"X: y\r\n" * 20_000 + b"X y\r\n") is Reason.REQUEST_HEADERS_TOO_LARGE


def test_a_websocket_is_asked_for():
    upgrade = b"Connection: Upgrade\r\nUpgrade: x, WebSocket\r\n"
    head = read(b"GET /ws HTTP/1.1", HOST + upgrade)
    assert (head.is_websocket, head.keeps_alive, head.target, head.length) == (True, False, b"/ws", 0)
    assert read(b"GET http://a.test/ws HTTP/1.1", HOST + upgrade).target == b"/ws"
    assert reason(lines=HOST + upgrade + b"Content-Length: 1\r\n") is Reason.REQUEST_FRAMING_INVALID


@pytest.mark.parametrize("wish", [b"websocket", b"h2c"])
def test_who_asks_for_another_protocol_is_bound_like_everybody(wish):
    lines = HOST + b"Connection: Upgrade\r\nUpgrade: " + wish + b"\r\n"
    many = b"".join(b"x-%d: 1\r\n" % number for number in range(MAX_HEADER_LINES))
    assert reason(lines=lines + many) == Reason.REQUEST_HEADERS_TOO_LARGE
    assert reason(b"GET /?a#b HTTP/1.1", lines) == Reason.REQUEST_TARGET_INVALID


@pytest.mark.parametrize("wish", [b"h2c", b"TLS/1.0", b"websocketx", b""])
def test_another_protocol_is_ignored_and_the_body_still_framed(wish):
    lines = HOST + b"Connection: Upgrade\r\nUpgrade: " + wish + b"\r\nContent-Length: 3\r\n"
    head = read(b"POST / HTTP/1.1", lines)
    assert (head.is_websocket, head.length) == (False, 3)
    assert b"upgrade" not in dict(head.headers) or not wish


def test_the_requests_of_one_connection_do_not_mix():
    reader = HeadReader()
    first = reader.read(b"GET /1 HTTP/1.1\r\nA: 1\r\n\r\n")
    second = reader.read(b"POST /2 HTTP/1.1\r\nB: 2\r\nContent-Length: 5\r\n\r\n")
    third = reader.read(b"GET /3 HTTP/1.0\r\nC: 3\r\n\r\n")
    assert [(head.target, head.version, head.headers) for head in (first, second, third)] == [
        (b"/1", "1.1", [(b"a", b"1")]),
        (b"/2", "1.1", [(b"b", b"2"), (b"content-length", b"5")]),
        (b"/3", "1.0", [(b"c", b"3")]),
    ]
    reader.let_go()


TOKEN = st.text("abcXYZ09-_.", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=30).filter(lambda value: not set(value) & {*range(32), 127} - {9})


@given(
    st.sampled_from(["GET", "HEAD", "DELETE", "OPTIONS"]),
    st.lists(st.tuples(TOKEN.map(lambda name: b"x-" + name), VALUE), max_size=8),
)
@example("GET", [(b"x-a", b"\xff\x80")])
def test_whatever_is_well_formed_is_read_as_it_was_written(method, headers):
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    head = read(method.encode() + b" /a HTTP/1.1", lines)
    assert (head.method, head.target, head.length) == (method, b"/a", 0)
    assert head.headers == [(name.lower(), value.strip(b" \t")) for name, value in headers]


@given(st.binary(max_size=200))
@example(b"GET / HTTP/1.1")
@example(b"PRI * HTTP/2.0")
@example(b"")
def test_whatever_comes_is_read_or_refused(data):
    with suppress(BadRequestError):
        head = HeadReader().read(data.replace(b"\r\n\r\n", b"\r\n") + b"\r\n\r\n")
        assert head.version in {"1.0", "1.1"}
