"""Which pages of other origins may read a route's answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.cors import answer_headers, is_allowed, preflight_headers, without_cors
from gateway.core.settings_cors import cors
from gateway.core.settings_model import CorsSettings
from gateway.core.settings_values import BadTableError, BadValueError

APP = "https://app.example.com"
EXACT = CorsSettings(origins=(APP,))
BELOW = CorsSettings(origins=("https://*.example.com", "https://*.example.org:8443"))
ANY = CorsSettings(origins=("*",), expose=("X-Total",))


@pytest.mark.parametrize(
    ("settings", "origin", "allowed"),
    [
        (EXACT, APP, True),
        (EXACT, "https://APP.example.com", False),
        (EXACT, "https://app.example.com:444", False),
        (EXACT, "https://app.example.com.evil", False),
        (EXACT, "http://app.example.com", False),
        (EXACT, "https://x.app.example.com", False),
        (EXACT, "null", False),
        (EXACT, "", False),
        (BELOW, "https://a.example.com", True),
        (BELOW, "https://a.b.example.com", True),
        (BELOW, "https://example.com", False),
        (BELOW, "https://.example.com", False),
        (BELOW, "https://a.example.com:8443", False),
        (BELOW, "https://a.example.org:8443", True),
        (BELOW, "https://a.example.org", False),
        (BELOW, "https://evil/.example.com", False),
        (BELOW, "https://evil#.example.com", False),
        (BELOW, "https://evil@a.example.com", False),
        (BELOW, "https://evil:1.example.com", False),
        (BELOW, "https://notexample.com", False),
        (BELOW, "http://a.example.com", False),
        (BELOW, "null", False),
        (ANY, "https://whoever.example", True),
        (ANY, "null", False),
        (ANY, "", False),
    ],
)
def test_origins_are_compared_letter_by_letter(settings: CorsSettings, origin: str, allowed: bool) -> None:
    assert is_allowed(settings, origin) is allowed


@given(st.text(max_size=40), st.sampled_from(["https://", "http://", ""]), st.sampled_from([".example.com", ""]))
def test_whatever_a_wildcard_allows_is_a_host_below_it(middle: str, start: str, end: str) -> None:
    origin = f"{start}{middle}{end}"
    if is_allowed(BELOW, origin):
        host = origin.removeprefix("https://")
        assert host.endswith((".example.com", ".example.org:8443"))
        assert not set(host) & set("/@#?\\ ")


def test_answers_name_the_origin_that_asked_and_vary_by_it() -> None:
    free = (b"access-control-allow-origin", APP.encode())
    vary = (b"vary", b"Origin")
    assert answer_headers(EXACT, APP) == (free, vary)
    assert answer_headers(EXACT, "https://evil.example") == (vary,)
    assert answer_headers(EXACT, "") == (vary,)
    credentials = CorsSettings(origins=(APP,), credentials=True, expose=("X-A", "X-B"))
    assert answer_headers(credentials, APP) == (
        *(free, vary, (b"access-control-allow-credentials", b"true")),
        (b"access-control-expose-headers", b"X-A, X-B"),
    )
    assert answer_headers(ANY, APP) == (
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", b"X-Total"),
    )


@pytest.mark.parametrize(
    ("settings", "methods", "allowed"),
    [
        (EXACT, (), b"GET, HEAD, POST, PUT, PATCH, DELETE"),
        (EXACT, ("GET", "POST"), b"GET, POST"),
        (CorsSettings(origins=(APP,), methods=("PUT",)), ("GET", "PUT"), b"PUT"),
    ],
)
def test_a_preflight_is_told_what_may_be_sent(settings: CorsSettings, methods: tuple[str, ...], allowed: bytes) -> None:
    headers = dict(preflight_headers(settings, APP, methods))
    assert headers[b"access-control-allow-methods"] == allowed
    assert headers[b"access-control-allow-headers"] == b"Authorization, Content-Type"
    assert headers[b"access-control-max-age"] == b"600"
    assert headers[b"access-control-allow-origin"] == APP.encode()
    assert headers[b"vary"] == b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    assert b"access-control-expose-headers" not in dict(preflight_headers(ANY, APP, ()))


def test_what_an_upstream_says_of_cors_is_taken_out() -> None:
    kept = [(b"vary", b"Accept"), (b"x-access-control", b"1")]
    assert without_cors([(b"Access-Control-Allow-Origin", b"*"), *kept, (b"access-control-max-age", b"1")]) == kept


def test_settings_are_read() -> None:
    given = {"origins": [APP, "https://*.example.com"], "methods": ["GET"], "headers": ["X-A"], "expose": ["X-B"]}
    found = cors({**given, "credentials": True, "max_age_s": 60})
    assert found == CorsSettings(
        origins=(APP, "https://*.example.com"),
        methods=("GET",),
        headers=("X-A",),
        expose=("X-B",),
        credentials=True,
        max_age_s=60,
    )
    assert cors(found) is found
    assert cors({"origins": ["*"]}).origins == ("*",)
    assert cors({"origins": ["https://*.example.com:8443"]}).origins == ("https://*.example.com:8443",)


@pytest.mark.parametrize(
    "given",
    [
        "*",
        {},
        {"origins": []},
        {"origins": "*"},
        {"origins": ["null"]},
        {"origins": ["app.example.com"]},
        {"origins": ["https://app.example.com/"]},
        {"origins": ["https://App.example.com"]},
        {"origins": ["https://*"]},
        {"origins": ["https://*.com"]},
        {"origins": ["https://a.*.example.com"]},
        {"origins": ["https://*example.com"]},
        {"origins": ["https://**.example.com"]},
        {"origins": ["http://*.example.com"]},
        {"origins": ["https://*.example.com:0"]},
        {"origins": ["https://*.example.com:443"]},
        {"origins": ["*", APP]},
        {"origins": ["*"], "credentials": True},
        {"origins": [APP], "headers": ["X A"]},
        {"origins": [APP], "methods": ["get"]},
        {"origins": [APP], "max_age_s": -1},
        {"origins": [APP], "ages": 1},
        {"origins": [5]},
    ],
)
def test_unsafe_settings_are_refused_with_a_fix(given: object) -> None:
    with pytest.raises((BadValueError, BadTableError)) as refused:
        cors(given)
    error = refused.value
    assert error.fix if isinstance(error, BadValueError) else all(entry.fix for entry in error.entries)
