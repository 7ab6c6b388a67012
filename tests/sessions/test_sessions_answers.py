"""What each answer means: a model, a refusal with the API's codes, a failure, or no answer at all."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ApiFailed, ApiRefused, ApiUnreachable, SessionsApiError
from gateway.sessions import wire
from gateway.sessions.answers import Answer, read_answer, read_retry_after
from tests.sessions.sessions_kit import SESSION, error_body

NOW_S = 1_800_000_000.0
JSON = {"content-type": "application/json"}
COOKIES = json.dumps({"object": "cookies", "cookies": ["__session=ey"]}).encode()


def read(body, status=200, operation=wire.GET, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_answer(operation, Answer(status, {**JSON, **named}, content), NOW_S)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, ApiRefused) for status in (400, 401, 404, 410, 422)),
        *((status, ApiFailed) for status in (402, 403, 405, 409, 413, 415, 429, 500, 502, 503, 504)),
    ],
)
def test_a_list_of_errors_reaches_the_caller_whatever_the_status(status, kind):
    with pytest.raises(kind) as caught:
        read(error_body("some_code", "Nope", param_name="user_id"), status)
    error = caught.value
    assert (error.status, error.code, error.trace_id) == (status, "some_code", "trace_1")
    assert str(error) == f"HTTP {status} some_code: Long: Nope"
    assert error.errors[0].message == "Nope"
    assert error.errors[0].long_message == "Long: Nope"
    assert error.errors[0].meta == (("param_name", "user_id"),)


def test_all_errors_of_the_list_are_kept_in_order():
    body = {"errors": [{"code": "a", "message": "A"}, {"code": "b", "message": "B"}]}
    with pytest.raises(ApiRefused) as caught:
        read(body, 422)
    assert [item.code for item in caught.value.errors] == ["a", "b"]


def test_an_error_without_code_keeps_its_message():
    with pytest.raises(ApiRefused) as caught:
        read({"errors": [{"message": "odd", "code": 5, "meta": []}]}, 400)
    assert (caught.value.code, caught.value.errors[0].message, caught.value.errors[0].meta) == ("", "odd", ())


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        ({"clerk_trace_id": "from-header", "cf_ray": "ray"}, "from-header"),
        ({"cf_ray": "ray"}, "ray"),
        ({}, ""),
    ],
)
def test_trace_id_comes_from_a_header_when_the_body_has_none(headers, trace_id):
    with pytest.raises(ApiRefused) as caught:
        read({"errors": [{"code": "a", "message": ""}]}, 400, **headers)
    assert caught.value.trace_id == trace_id


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (500, b"<h1>Oops</h1>", "text/html"),
        (502, b"", "text/plain"),
        (404, b"{}", "application/json"),
        (401, b'{"errors": []}', "application/json"),
        (401, b'{"errors": "x"}', "application/json"),
        (401, b'{"errors": ["x"]}', "application/json"),
        (500, b'{"errors": [', "application/json"),
        (401, json.dumps(error_body("hidden")).encode(), "text/plain"),
        (302, json.dumps(error_body("hidden")).encode(), "application/json"),
        (304, b"", "application/json"),
        (199, b"", "application/json"),
    ],
)
def test_any_other_refusal_is_a_failure(status, body, content_type):
    with pytest.raises(ApiFailed) as caught:
        read(body, status, content_type=content_type, cf_ray="ray", retry_after="7")
    error = caught.value
    assert (error.status, error.retry_after_s, error.errors, error.code) == (status, 7.0, (), "")
    assert "hidden" not in str(error)
    assert "Oops" not in str(error)


def test_a_redirect_says_that_it_was_not_followed():
    with pytest.raises(ApiFailed, match="redirects, which is not followed"):
        read(b"", 307, location="https://elsewhere.example/")


@pytest.mark.parametrize(
    ("status", "body", "headers", "detail"),
    [
        (204, b"", {}, "no body"),
        (200, b"", {"content_type": "text/plain"}, "no body"),
        (200, b"<html>", {"content_type": "text/html"}, "not JSON by its Content-Type"),
        (200, json.dumps(SESSION).encode(), {"content_type": "text/json"}, "not JSON by its Content-Type"),
        (200, b"[]", {}, "unexpected answer"),
        (200, b'"text"', {}, "unexpected answer"),
        (200, b"true", {}, "unexpected answer"),
        (200, b'{"object": "session"}', {}, "id is not a text"),
    ],
)
def test_a_success_that_is_not_what_was_promised_is_a_failure(status, body, headers, detail):
    with pytest.raises(ApiFailed, match=detail) as caught:
        read(body, status, **headers)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "body", [b"{", b'{"object": "session"', b"\xff", b"nonsense", b"NaN", b"[" * 100_000, b"null", b"5", b"1.5"]
)
def test_a_success_without_a_usable_document_is_no_answer(body):
    with pytest.raises(ApiUnreachable) as caught:
        read(body)
    assert caught.value.cause == "protocol"


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/vnd.a+json"],
)
def test_json_is_recognised_by_its_media_type(content_type):
    assert read(SESSION, content_type=content_type).id == SESSION["id"]


def test_refreshed_cookies_may_need_the_exact_content_type():
    assert read(COOKIES, operation=wire.REFRESH_COOKIES_EXACT).cookies == ("__session=ey",)
    with pytest.raises(ApiFailed) as caught:
        read(COOKIES, operation=wire.REFRESH_COOKIES_EXACT, content_type="application/json; charset=utf-8")
    assert caught.value.status == 200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Fri, 15 Jan 2027 08:00:30 -0000", 30.0),
        ("Fri, 99 Jan 2027 08:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert read_retry_after(value, NOW_S) == seconds


@given(st.text())
def test_any_retry_after_is_a_number_of_seconds_or_nothing(value):
    seconds = read_retry_after(value, NOW_S)
    assert seconds is None or seconds >= 0


@given(st.integers(100, 599), st.binary(max_size=80), st.sampled_from(["application/json", "text/html", ""]))
def test_any_answer_gives_a_model_or_one_of_ours(status, body, content_type):
    try:
        read_answer(wire.JWKS, Answer(status, {"content-type": content_type}, body), NOW_S)
    except SessionsApiError:
        return
    assert status < 300
