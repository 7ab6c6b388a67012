"""Which addresses a browser may be sent back to, also for texts that nobody thought of."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.return_urls import origin_of, parse_return_url


@pytest.mark.parametrize(
    ("text", "shown", "origin"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("HTTPS://App.Example.COM:443/A?b=C#d", "https://app.example.com/A?b=C", "https://app.example.com"),
        ("http://[::1]:80/x", "http://[::1]/x", "http://[::1]"),
        ("http://localhost?x", "http://localhost/?x", "http://localhost"),
        ("http://a_b.example./", "http://a_b.example./", "http://a_b.example."),
        ("http://a/?__clerk_db_jwt=1&x=1&__clerk_help=1", "http://a/?x=1", "http://a"),
        ("http://a//evil.example/", "http://a//evil.example/", "http://a"),
        ("http://a/k|s{}", "http://a/k|s{}", "http://a"),
    ],
)
def test_plain_addresses_are_read(text, shown, origin):
    url = parse_return_url(text)
    assert url is not None
    assert (url.text, url.origin) == (shown, origin)


@pytest.mark.parametrize(
    "text",
    ["", "http:", "http:///x", "http://u@h/", "http://h:x/", "http://h:080/", "http://h:/", "http://h:70000/",
     "http://[::1/", "http://[::1]x/", "http://h\\x/", 'http://h/"', "http://h/<", "http://-\u212a/", "file:///etc",
     "http://h%00/", "http://h/ x", " http://h/", "http://h/\n", "http://*/", "http://a..b/", "blob:http://h/"],
)  # fmt: skip
def test_odd_addresses_are_refused_and_not_repaired(text):
    assert parse_return_url(text) is None


@given(st.one_of(st.text(), st.builds("http{}//{}{}".format, st.sampled_from([":", "s:"]), st.text(), st.text())))
def test_whatever_is_accepted_leads_where_the_origin_says(text):
    url = parse_return_url(text)
    if url is not None:
        parts = urlsplit(url.text)
        assert parts.scheme in ("http", "https")
        assert f"{parts.scheme}://{parts.netloc}" == url.origin
        assert url.text.isascii()
        assert "@" not in parts.netloc
        assert parse_return_url(url.text) == url


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://h", "http://h"),
        ("http://h/", "http://h"),
        ("HTTPS://H:443", "https://h"),
        ("http://h/x", None),
        ("http://h?x", None),
        ("http://h#x", None),
        ("http://h//", None),
        ("h", None),
    ],
)
def test_an_origin_is_an_address_and_nothing_more(text, origin):
    assert origin_of(text) == origin


@given(st.text(min_size=1))
def test_a_parameter_is_added_so_that_it_can_be_read_again(value):
    for text in ("http://h/", "http://h/?a=b"):
        url = parse_return_url(text)
        assert url is not None
        added = url.plus("__clerk_db_jwt", value.encode("utf-8", "replace").decode())
        assert added.startswith(f"{text}{'&' if '?' in text else '?'}__clerk_db_jwt=")
        assert parse_return_url(added) == url
