"""The facts of one request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.request import READ_HEADERS, PublicUrl, RequestFacts, bearer


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Bearer abc", "abc"),
        (b"bearer abc", "abc"),
        (b"BEARER abc", "abc"),
        pytest.param(b"Bearer   abc  ", "abc", id="more blanks"),
        pytest.param(b" Bearer abc", "abc", id="a blank in front, which servers may leave"),
        pytest.param(b"\tBearer abc", "abc", id="a tab in front"),
        pytest.param(b"Bearer", "", id="no token is a bad token, not an absent one"),
        pytest.param(b"Bearer ", "", id="a blank token"),
        pytest.param(b"Bearer\tabc", "abc", id="a tab between, which others may read as a blank"),
        pytest.param(b"Bearer a b", "a b", id="two words are one bad token"),
        pytest.param(b"Bearer \xe9", "é", id="not ASCII"),
        pytest.param(b"Basic dXNlcjpw", None, id="another scheme"),
        pytest.param(b"abc.def.ghi", None, id="a bare token"),
        pytest.param(b"Bearerabc", None, id="no blank"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_bearer_token(value: bytes, token: str | None):
    assert bearer(value) == token


@given(st.binary())
def test_any_authorization_value_can_be_read(value: bytes):
    token = bearer(value)
    assert token is None or token == token.strip(" ")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (PublicUrl("https", "a.test"), "https://a.test/"),
        (PublicUrl("http", "a.test:8000", "/p", "a=1&b"), "http://a.test:8000/p?a=1&b"),
    ],
)
def test_a_url_is_written_as_it_was_read(url: PublicUrl, text: str):
    assert str(url) == text
    assert text.startswith(url.origin + "/")


@pytest.mark.parametrize(
    ("headers", "navigates", "html"),
    [
        ({"sec-fetch-dest": "document"}, True, True),
        ({"sec-fetch-dest": "iframe"}, True, True),
        ({"sec-fetch-dest": "Document"}, False, False),
        ({"sec-fetch-dest": "frame"}, False, False),
        ({"sec-fetch-dest": "empty", "accept": "text/html"}, False, True),
        ({"sec-fetch-dest": "", "accept": "text/html,*/*"}, True, True),
        ({"accept": "text/html"}, True, True),
        ({"accept": "application/json, text/html"}, False, True),
        ({"accept": "*/*"}, False, False),
        ({}, False, False),
    ],
)
def test_navigation_is_told_by_fetch_metadata_then_by_accept(headers: dict[str, str], navigates: bool, html: bool):
    facts = RequestFacts("GET", PublicUrl("https", "a.test"), headers=headers)
    assert (facts.is_navigation, facts.wants_html) == (navigates, html)


def test_the_first_value_of_a_cookie_and_the_text_of_a_header_are_at_hand():
    facts = RequestFacts(
        "GET", PublicUrl("https", "a.test"), cookies={"a": ("1", "2"), "b": ()}, headers={"accept": "x"}
    )
    assert (facts.cookie("a"), facts.cookie("b"), facts.cookie("c")) == ("1", "", "")
    assert (facts.header("accept"), facts.header("origin")) == ("x", "")


def test_no_header_that_carries_a_credential_is_among_the_facts():
    assert not READ_HEADERS & {b"cookie", b"authorization", b"proxy-authorization"}


def test_facts_do_not_print_tokens_cookies_or_queries():
    facts = RequestFacts(
        "GET",
        PublicUrl("https", "a.test", "/p", "__clerk_handshake_nonce=n0nce"),
        bearer="t0ken",
        cookies={"__session": ("c00kie",)},
    )
    assert not any(secret in repr(facts) for secret in ("n0nce", "t0ken", "c00kie"))
