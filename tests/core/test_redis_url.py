"""Which URLs of a Redis server are taken; and that a password in one is never repeated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.redis_url import check_url, redacted, shown, store
from gateway.core.secret import Secret
from gateway.core.settings import parse
from gateway.core.settings_values import BadValueError
from gateway.errors import ConfigurationError

TAKEN = {
    "redis://redis.internal": "redis://redis.internal",
    "redis://redis.internal:6380/3": "redis://redis.internal:6380/3",
    "redis://:hunter2@redis.internal:6379/0": "redis://redis.internal:6379/0",
    "rediss://gate:hunter2@redis.internal/": "rediss://redis.internal/",
    "redis://:hun%40ter%2F2@[::1]:6379": "redis://[::1]:6379",
    "redis://:hun@ter2@redis.internal": "redis://redis.internal",
    "rediss://redis.internal?ssl_ca_certs=/etc/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem": "rediss://redis.internal",
    "unix:///run/redis.sock": "unix:///run/redis.sock",
    "unix://gate:hunter2@/run/redis.sock?db=2": "unix:///run/redis.sock",
}

REFUSED = {
    "": "not the URL",
    "redis.internal:6379": "not the URL",
    "http://redis.internal": "not the URL",
    "redis:redis.internal": "not the URL",
    "redis://": "no host",
    "redis://:hunter2@": "no host",
    "redis://redis.internal:0": "port 0",
    "redis://redis.internal:65536": "cannot be read",
    "redis://redis.internal:six": "cannot be read",
    "redis://[::1": "cannot be read",
    "redis://redis.internal/sessions": "number of a database",
    "redis://redis.internal/0/1": "number of a database",
    "redis://:hun ter2@redis.internal": "blank",
    "redis://:hunter2@redis.internal\n": "blank",
    "redis://:hun#ter2@redis.internal": "fragment",
    "redis://:hun/ter2@redis.internal": "cannot be read",
    "redis://gate:12/ter2@redis.internal": "number of a database",
    "redis://gate:12?ter2@redis.internal": "options",
    "redis://gate:12?hunter2=@redis.internal": "options",
    "redis://redis.internal?socket_timeout=100": "options",
    "redis://redis.internal?decode_responses=true": "options",
    "redis://redis.internal?password=hunter2": "options",
    "rediss://redis.internal?ssl_cert_reqs=none": "options",
    "rediss://redis.internal?ssl_ca_certs=": "without a value",
    "redis://redis.internal?&": "options",
    "unix://run/redis.sock": "absolute path",
    "unix://": "absolute path",
    "unix:///": "absolute path",
    "unix:///run/redis.sock?db=first": "number of a database",
}


@pytest.mark.parametrize(("text", "expected"), TAKEN.items())
def test_the_url_of_a_server_is_taken_and_shown_without_secrets(text: str, expected: str):
    check_url(text)
    assert shown(text) == expected


@pytest.mark.parametrize(("text", "problem"), REFUSED.items())
def test_what_is_no_such_url_is_refused_with_a_fix(text: str, problem: str):
    with pytest.raises(BadValueError, match=problem) as caught:
        check_url(text)
    assert caught.value.fix
    said = f"{caught.value!r} {caught.value.problem} {caught.value.fix}"
    assert not [piece for piece in ("hunter2", "ter2", "hun@", "12") if piece in said]


def test_the_setting_is_the_url_of_a_server_or_none():
    assert store("none") == "none"
    assert store(" redis://:hunter2@redis.internal ") == Secret("redis://:hunter2@redis.internal")
    assert "hunter2" not in repr(store("redis://:hunter2@redis.internal"))
    for wrong in ("", 7, "http://redis.internal", "/run/gateway", "None"):
        with pytest.raises(BadValueError):
            store(wrong)


def test_a_setting_that_cannot_be_used_is_not_repeated():
    with pytest.raises(ConfigurationError) as caught:
        parse({"instance": {}, "refresh": {"store": "redis://:hun#ter2@redis.internal"}})
    said = next(str(fault) for fault in caught.value.faults if fault.setting == "refresh.store")
    assert said.startswith("refresh.store: it has a fragment; write #")
    assert said.endswith('or "none"')
    assert "ter2" not in said
    assert (redacted("none"), redacted("redis://x")) == ('"none"', "")


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x17F), min_size=1, max_size=12))
def test_no_piece_of_a_password_is_ever_repeated(password: str):
    url = f"redis://:Zq7{password}Zq7@redis.internal:6379/0"
    try:
        check_url(url)
        said = shown(url)
    except BadValueError as refused:
        said = f"{refused!r} {refused.fix}"
    assert "Zq7" not in said
