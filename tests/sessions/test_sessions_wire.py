"""From a call to a request: rows, path segments, query and body."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.sessions import BadArgument, wire


def test_rows_are_the_operations_of_the_api():
    rows = {
        row.name: (row.method, row.path)
        for row in vars(wire).values()
        if isinstance(row, wire.Operation) and row not in {wire.REFRESH_TOKEN, wire.REFRESH_COOKIES_EXACT}
    }
    assert rows == {
        "list": ("GET", "/sessions"),
        "create": ("POST", "/sessions"),
        "get": ("GET", "/sessions/{session_id}"),
        "refresh": ("POST", "/sessions/{session_id}/refresh"),
        "revoke": ("POST", "/sessions/{session_id}/revoke"),
        "verify": ("POST", "/sessions/{session_id}/verify"),
        "create_token": ("POST", "/sessions/{session_id}/tokens"),
        "create_token_from_template": ("POST", "/sessions/{session_id}/tokens/{template_name}"),
        "handshake_payload": ("GET", "/clients/handshake_payload"),
        "jwks": ("GET", "/jwks"),
    }


def test_no_post_is_ever_repeatable_and_neither_is_the_nonce():
    rows = [row for row in vars(wire).values() if isinstance(row, wire.Operation)]
    assert {row.name for row in rows if row.repeatable} == {"list", "get", "jwks"}
    assert all(row.method == "GET" for row in rows if row.repeatable)


@pytest.mark.parametrize(
    "text",
    [
        ".",
        "..",
        "../users",
        "sess_1/../../users",
        "sess_1/.",
        "..\\users",
        "%2e%2e",
        "%2E%2e%2Fusers",
        "%252e%252e",
        "%25252e.",
        "a%2f..%2fb",
        "a%5c..",
    ],
)
def test_dot_segments_are_refused_however_they_are_encoded(text):
    with pytest.raises(BadArgument, match="path segment") as caught:
        wire.path_segment("session_id", text)
    assert text not in str(caught.value).replace("'.' or '..'", "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "session_id is empty"),
        ("x" * 513, "longer than 512"),
        ("\udc80", "not valid Unicode"),
    ],
)
def test_unusable_segments_are_refused(text, problem):
    with pytest.raises(BadArgument, match=problem):
        wire.path_segment("session_id", text)


def test_bad_argument_is_both_a_gateway_error_and_a_value_error():
    assert issubclass(BadArgument, GatewayError)
    assert issubclass(BadArgument, ValueError)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("sess_2GbDB4", "sess_2GbDB4"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b\r\nX: y", "a%20b%0D%0AX%3A%20y"),
        ("...", "..."),
        ("a..b", "a..b"),
        ("ü", "%C3%BC"),
        ("a%2Fb", "a%252Fb"),
    ],
)
def test_segments_are_percent_encoded(text, encoded):
    assert wire.path_segment("session_id", text) == encoded


@given(st.text(min_size=1, max_size=60))
def test_a_segment_is_refused_or_stays_one_segment_that_decodes_to_itself(text):
    try:
        encoded = wire.path_segment("session_id", text)
    except BadArgument:
        return
    assert unquote(encoded) == text
    assert encoded.isascii()
    assert not set(encoded) & set("/?#\\ \r\n")
    assert encoded not in {".", ".."}


def test_absent_query_parameters_are_left_out_and_others_encoded():
    call = wire.prepare(wire.LIST, query={"user_id": "a&b=c", "status": None, "limit": 5})
    assert call.target == "/sessions?user_id=a%26b%3Dc&limit=5"


def test_content_type_is_sent_only_with_a_body():
    without = wire.prepare(wire.REVOKE, {"session_id": "sess_1"})
    assert without.body is None
    assert without.headers() == {"Accept": "application/json", "Clerk-API-Version": "2026-05-12"}
    given_body = wire.prepare(wire.CREATE, body={"user_id": "user_1"})
    assert given_body.body == b'{"user_id":"user_1"}'
    assert given_body.headers()["Content-Type"] == "application/json"


def test_verify_speaks_the_version_that_still_has_it():
    call = wire.prepare(wire.VERIFY, {"session_id": "sess_1"}, body={"token": "ey"})
    assert call.headers()["Clerk-API-Version"] == "2024-10-01"


def test_what_utf8_cannot_encode_is_escaped_in_a_body_and_refused_in_a_query():
    body = {"request_headers": {"cookie": ["a=\udc80"]}}
    assert wire.prepare(wire.CREATE, body=body).body == b'{"request_headers":{"cookie":["a=\\udc80"]}}'
    with pytest.raises(BadArgument, match="not valid Unicode"):
        wire.prepare(wire.HANDSHAKE_PAYLOAD, query={"nonce": "\udc80"})


def test_a_query_parameter_without_measure_is_refused():
    with pytest.raises(BadArgument, match="longer than 4096"):
        wire.prepare(wire.HANDSHAKE_PAYLOAD, query={"nonce": "x" * 4097})


@pytest.mark.parametrize("origin", ["", "https://a\r\nX: y", "https://ü.example", "a\x00"])
def test_an_origin_that_cannot_be_a_header_is_refused(origin):
    with pytest.raises(BadArgument, match="origin"):
        wire.prepare(wire.CREATE_TOKEN, {"session_id": "sess_1"}, origin=origin)


def test_a_call_shows_neither_body_nor_query():
    call = wire.prepare(
        wire.REFRESH_COOKIES, {"session_id": "sess_1"}, query={"nonce": "hidden"}, body={"refresh_token": "hidden"}
    )
    assert "hidden" not in repr(call)
