"""Publishable keys."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.instance import InstanceKind, KeyFormatError, PublishableKey, cookie_suffix

HOST = "clerk.example.com"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("value", "kind", "host"),
    [
        (f"pk_live_{encoded(HOST + '$')}", InstanceKind.PRODUCTION, HOST),
        (f"pk_test_{encoded(HOST + '$')}", InstanceKind.DEVELOPMENT, HOST),
        (f"pk_test_{encoded(HOST + '$').rstrip('=')}", InstanceKind.DEVELOPMENT, HOST),
        (f"pk_test_{encoded('127.0.0.1:8001$')}", InstanceKind.DEVELOPMENT, "127.0.0.1:8001"),
        pytest.param(f"pk_live_{encoded('a.b$')}", InstanceKind.PRODUCTION, "a.b", id="no padding needed at all"),
    ],
)
def test_a_key_says_its_kind_and_its_frontend_api(value: str, kind: InstanceKind, host: str):
    key = PublishableKey.parse(value)
    assert (key.value, key.kind, key.frontend_api) == (value, kind, host)
    assert key.cookie_suffix == cookie_suffix(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param(f"sk_test_{encoded(HOST + '$')}", id="a secret key"),
        pytest.param(f"PK_TEST_{encoded(HOST + '$')}", id="upper case"),
        pytest.param(f"pk_test_{encoded(HOST + '$')}_x", id="a fourth part"),
        pytest.param(f"pk_test_{encoded(HOST)}", id="no dollar"),
        pytest.param(f"pk_test_{encoded(HOST + '$$')}", id="two dollars"),
        pytest.param(f"pk_test_{encoded('clerk$.com')}", id="a dollar inside"),
        pytest.param(f"pk_test_{encoded('localhost$')}", id="no dot"),
        pytest.param(f"pk_test_{encoded('a.b' + chr(10) + '$')}", id="a line feed in the host"),
        pytest.param(f"pk_test_{encoded('a. b$')}", id="a blank in the host"),
        pytest.param(f"pk_test_{encoded('clérk.com$')}", id="a host that is not ASCII"),
        pytest.param(f"pk_test_{encoded('ab.c$')}=", id="wrong padding"),
        pytest.param("pk_test_????", id="no base64"),
        pytest.param("pk_test_é", id="no ASCII"),
    ],
)
def test_what_is_no_publishable_key_is_refused(value: str):
    with pytest.raises(KeyFormatError) as caught:
        PublishableKey.parse(value)
    assert len(value) < 12 or value[8:] not in str(caught.value)


@given(st.text() | st.text().map(lambda text: f"pk_test_{text}") | st.binary().map(lambda b: f"pk_live_{b64(b)}"))
def test_any_text_is_a_key_or_a_key_format_error(text: str):
    try:
        key = PublishableKey.parse(text)
    except KeyFormatError:
        return
    assert "." in key.frontend_api
    assert key.frontend_api.isprintable()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)


@given(st.sampled_from(InstanceKind), LABEL, LABEL, st.none() | st.integers(1, 65535))
def test_encoding_and_reading_agree(kind: InstanceKind, name: str, domain: str, port: int | None):
    host = f"{name}.{domain}" + (f":{port}" if port else "")
    key = PublishableKey.encode(kind, host)
    assert (key.kind, key.frontend_api) == (kind, host)
    assert PublishableKey.parse(key.value) == key


@given(st.text("abcXYZ_019+/="))
def test_the_suffix_is_eight_url_safe_characters_of_the_sha1(text: str):
    digest = base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()
    assert cookie_suffix(text) == digest.replace("+", "-").replace("/", "_")[:8]
