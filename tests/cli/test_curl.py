"""curl commands as browsers copy them."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.curl import read_curl

CHROME = r"""curl 'https://app.example.test/page?x=1&y=2' \
  -H 'accept: text/html,application/xhtml+xml;q=0.9' \
  -H 'accept-language: en-GB,en;q=0.9' \
  -b '__session=abc.def.ghi; other=$'\''x' \
  -H 'sec-fetch-dest: document' \
  --compressed"""
FIREFOX = (
    "curl 'https://app.example.test/api' -X POST -H 'Accept: */*' -H $'X-Odd: it\\'s \\u00e9\\x41\\101\\n' "
    "--data-raw '{\"a\":1}' -k -L"
)


def test_a_command_from_chrome():
    request = read_curl(CHROME)
    assert (request.method, request.scheme, request.target) == ("GET", "https", "/page?x=1&y=2")
    assert request.headers == [
        ("Host", "app.example.test"),
        ("accept", "text/html,application/xhtml+xml;q=0.9"),
        ("accept-language", "en-GB,en;q=0.9"),
        ("Cookie", "__session=abc.def.ghi; other=$'x"),
        ("sec-fetch-dest", "document"),
    ]


def test_a_command_with_ansi_quotes():
    request = read_curl(FIREFOX.replace("\\n'", "'"))
    assert (request.method, request.target) == ("POST", "/api")
    assert ("X-Odd", "it's \xc3\xa9AA") in request.headers


@pytest.mark.parametrize(
    ("options", "method", "target"),
    [
        ("", "GET", "/x"),
        ("-I", "HEAD", "/x"),
        ("--head", "HEAD", "/x"),
        ("-X DELETE", "DELETE", "/x"),
        ("-XDELETE", "DELETE", "/x"),
        ("--request PUT -d a=1", "PUT", "/x"),
        ("-d a=1", "POST", "/x"),
        ("--data-binary @file", "POST", "/x"),
        ("--json '{}'", "POST", "/x"),
        ("-F a=1", "POST", "/x"),
        ("-G -d a=1 -d b=2", "GET", "/x?a=1&b=2"),
        ("-sSLG --data a=1", "GET", "/x?a=1"),
        ("-sSkLd a=1", "POST", "/x"),
        ("-T file", "PUT", "/x"),
        ("-o /dev/null -w '%{http_code}' -m 5", "GET", "/x"),
    ],
)
def test_method_and_target(options: str, method: str, target: str):
    request = read_curl(f"curl {options} http://a.test/x")
    assert (request.method, request.target) == (method, target)


def test_headers_come_from_several_options():
    text = (
        "/usr/bin/curl -A me -e https://from.test/ -H 'X-Empty;' -H 'Accept:' -H 'Host: b.test' --url a.test "
        "-u name:password --cookie 'a=1'"
    )
    request = read_curl(text)
    assert (request.scheme, request.target) == ("http", "/")
    assert request.headers == [
        ("User-Agent", "me"),
        ("Referer", "https://from.test/"),
        ("X-Empty", ""),
        ("Host", "b.test"),
        ("Cookie", "a=1"),
        ("Accept", "*/*"),
    ]
    assert request.notices == ["-u is ignored: the gateway does not look at Basic credentials"]


def test_the_rest_of_a_query_given_as_data_is_added():
    assert read_curl("curl -G -d b=2 'http://a.test/x?a=1'").target == "/x?a=1&b=2"
    assert read_curl("curl -G http://a.test/x").target == "/x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'does not begin with "curl"'),
        ("wget http://a.test", 'does not begin with "curl"'),
        ("curl", "no addresses"),
        ("curl http://a.test http://b.test", "2 addresses"),
        ("curl 'http://a.test", "a quote that does not end"),
        ('curl "http://a.test" ^\r\n  -H "Secret: x" ^\r\n', "for cmd"),
        ('curl ^"http://a.test^" ^\n  -H ^"Secret: x^"', "for cmd"),
        ("curl http://a.test -H", "--header has no value"),
        ("curl http://a.test -H secret", "--header is not like"),
        ("curl http://a.test -H 'sec ret: x'", "--header is not like"),
        ("curl http://a.test -H 'sec ret;'", "--header is not like"),
        ("curl http://a.test -H $'X: a\\nSecret: b'", "--header is not like"),
        ("curl http://a.test -X 'A B'", "--request is no method"),
        ("curl http://a.test -b secret.txt", "--cookie names a file"),
        ("curl http://a.test --frobnicate", "--frobnicate is not known"),
        ("curl http://a.test -Z", "-Z is not known"),
        ("curl http://a.test '--secret value'", "in it is not known"),
        ("curl ftp://a.test/", "no http or https URL"),
        ("curl http:///x", "no http or https URL"),
    ],
)
def test_what_cannot_be_read_is_named_and_not_repeated(text: str, message: str):
    with pytest.raises(click.UsageError, match=message) as caught:
        read_curl(text)
    assert "secret" not in caught.value.message.lower()


@pytest.mark.parametrize(
    ("escape", "expected"),
    [
        (r"\t", "\t"),
        (r"\'", "'"),
        (r"\\", "\\"),
        (r"\q", "q"),
        (r"\xz", "xz"),
        (r"\U0001F600", "\xf0\x9f\x98\x80"),
        (r"\UFFFFFFFF", "\xf4\x8f\xbf\xbf"),
        (r"\ud800", "?"),
        (r"\400", "\x00"),
    ],
)
def test_ansi_escapes(escape: str, expected: str):
    assert read_curl(f"curl http://a.test -H $'X: a{escape}b'").headers[1] == ("X", f"a{expected}b")


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_any_text_is_read_or_refused(text: str):
    for command in (text, f"curl {text}", f"curl http://a.test {text}"):
        try:
            scope = read_curl(command).scope("127.0.0.1")
        except click.UsageError:
            continue
        assert scope["headers"]
