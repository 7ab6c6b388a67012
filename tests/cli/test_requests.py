"""Raw requests as dumps and developer tools give them."""

import click
import pytest

from gateway.cli.requests import read_request


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_request_is_read_until_its_headers_end(end: str):
    lines = ["GET /a?b=1 HTTP/1.1", "Host: app.example.test", "Cookie:a=1; b=2", "X-Empty:", "", "body: is not read"]
    request = read_request(end.join(lines))
    assert (request.method, request.target, request.scheme) == ("GET", "/a?b=1", "")
    assert request.headers == [("Host", "app.example.test"), ("Cookie", "a=1; b=2"), ("X-Empty", "")]


@pytest.mark.parametrize(
    ("line", "method", "target", "scheme", "host"),
    [
        ("GET / HTTP/1.1", "GET", "/", "", None),
        ("POST /x HTTP/2", "POST", "/x", "", None),
        ("GET /without/version", "GET", "/without/version", "", None),
        ("GET https://app.example.test/x?y=1#z HTTP/1.1", "GET", "/x?y=1", "https", "app.example.test"),
        ("GET HTTP://app.example.test:8000?y HTTP/1.0", "GET", "/?y", "http", "app.example.test:8000"),
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*", "", None),
    ],
)
def test_the_first_line_has_many_forms(line: str, method: str, target: str, scheme: str, host: str | None):
    request = read_request(f"\ufeff\n{line}\nAccept: */*")
    assert (request.method, request.target, request.scheme) == (method, target, scheme)
    assert dict(request.headers).get("Host") == host
    assert request.has("accept")


def test_the_host_of_the_address_replaces_the_header():
    request = read_request("GET https://app.example.test/ HTTP/1.1\nhost: other.test\nAccept: */*\n")
    assert request.headers == [("Host", "app.example.test"), ("Accept", "*/*")]


def test_pseudo_headers_are_the_first_line():
    text = ":authority: app.example.test\n:method: POST\n:path: /x?y=1\n:scheme: https\nAccept: */*\n"
    request = read_request(text)
    assert (request.method, request.target, request.scheme) == ("POST", "/x?y=1", "https")
    assert request.headers == [("Host", "app.example.test"), ("Accept", "*/*")]
    request = read_request(":path: /\n\n")
    assert (request.method, request.target, request.scheme, request.headers) == ("GET", "/", "", [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the request is empty"),
        (" \r\n\n", "the request is empty"),
        ("GET", "line 1"),
        ("GET  /two/blanks HTTP/1.1", "line 1"),
        ("<html>", "line 1"),
        ("GET /a b HTTP/1.1", "line 1"),
        ("G(T / HTTP/1.1", "line 1"),
        ("GET / HTTP/1.1\nHost: a\nsecret-without-colon\n", "line 3"),
        ("GET / HTTP/1.1\nHost: a\n folded: secret\n", "line 3"),
        (":method: GET\n:path: /\nAccept\n", "line 3"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line_and_not_repeated(text: str, message: str):
    with pytest.raises(click.UsageError, match=message) as caught:
        read_request(text)
    assert "secret" not in caught.value.message


def test_the_scope_is_what_a_server_hands_over():
    scope = read_request("GET /%61?q=%20\xe9 HTTP/1.1\nHost: a.test\nX-Odd: \xe9\n").scope("192.0.2.1")
    assert (scope["scheme"], scope["path"], scope["raw_path"]) == ("http", "/a", b"/%61")
    assert scope["query_string"] == b"q=%20\xe9"
    assert scope["headers"] == [(b"host", b"a.test"), (b"x-odd", b"\xe9")]
    assert scope["client"] == ("192.0.2.1", 0)
    assert read_request("GET https://a.test/ HTTP/1.1").scope("")["scheme"] == "https"
    assert read_request("GET https://a.test/ HTTP/1.1").scope("", "http")["scheme"] == "http"
