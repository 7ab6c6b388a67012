"""The browser handshake: who may be sent, where to, and what comes back."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import handshake
from gateway.core.cookies import REDIRECT_COUNT, SetCookie
from gateway.core.handshake import (
    clean_url,
    count_cookie,
    delivered_session,
    is_eligible,
    location,
    query_value,
    query_values,
    redirect_count,
    takes_answer,
    with_query,
    with_query_set,
)
from gateway.core.request import PublicUrl, RequestFacts
from tests.core.minting import FETCH, NAMES, PAGE, request


@pytest.mark.parametrize(
    ("method", "headers", "eligible"),
    [
        ("GET", PAGE, True),
        ("GET", {"sec-fetch-dest": "iframe"}, True),
        ("GET", {"accept": "text/html"}, True),
        ("GET", FETCH, False),
        ("GET", {}, False),
        ("get", PAGE, False),
        ("HEAD", PAGE, False),
        ("POST", PAGE, False),
    ],
)
def test_only_a_get_that_navigates_is_eligible(method: str, headers: dict[str, str], eligible: bool):
    assert is_eligible(request(method=method, headers=headers)) is eligible


@pytest.mark.parametrize(
    ("method", "headers", "count", "takes"),
    [
        pytest.param("GET", PAGE, "", True, id="a page"),
        pytest.param("GET", {"accept": "text/html"}, "", True, id="a page of an old browser"),
        pytest.param("POST", PAGE, "1", False, id="a form"),
        pytest.param("GET", FETCH, "1", False, id="a script's request"),
        pytest.param("GET", {"sec-fetch-dest": "iframe"}, "", False, id="a frame that was not sent away"),
        pytest.param("GET", {"sec-fetch-dest": "iframe"}, "0", False, id="a frame with a counter at rest"),
        pytest.param("GET", {"sec-fetch-dest": "iframe"}, "1", True, id="a frame that comes back"),
    ],
)
def test_an_answer_is_taken_where_a_handshake_can_come_back(
    method: str, headers: dict[str, str], count: str, takes: bool
):
    assert takes_answer(request({REDIRECT_COUNT: count}, method=method, headers=headers)) is takes


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("0", 0),
        ("1", 1),
        ("3", 3),
        ("9999", 9999),
        ("0003", 3),
        pytest.param("99999", handshake.MAX_REDIRECTS, id="more digits than anybody needs stop the loop"),
        ("-1", 0),
        ("1.5", 0),
        ("abc", 0),
        ("²", 0),
        ("٣", 0),
    ],
)
def test_the_loop_counter(text: str, count: int):
    assert redirect_count(request({REDIRECT_COUNT: text})) == count


@given(st.text(min_size=1))
def test_any_counter_can_be_read(text: str):
    assert redirect_count(request({REDIRECT_COUNT: text})) >= 0


def test_the_counter_cookie_lives_two_seconds():
    expected = SetCookie(REDIRECT_COUNT, "2", max_age_s=2, http_only=True, secure=True)
    assert count_cookie(2, secure=True) == expected
    assert count_cookie(2, secure=True).header().startswith(b"__clerk_redirect_count=2; Path=/; Max-Age=2; HttpOnly")


def test_the_address_of_the_handshake():
    back = clean_url(request(query="a=%20b&c").url)
    address = location("https://clerk.example.test", back, [("x", "1&2"), ("y", "")])
    assert address == (
        "https://clerk.example.test/v1/client/handshake"
        "?redirect_url=https%3A%2F%2Fapp.example.test%2Fpage%3Fa%3D%2520b%26c&x=1%262&y="
    )


@given(st.text(), st.text(st.characters(codec="latin-1")), st.text(st.characters(categories=["L", "Cs"])))
def test_the_address_of_the_handshake_is_always_a_header_value(value: str, query: str, odd: str):
    back = clean_url(request(query=query).url)
    address = location("https://clerk.example.test", back, [("x", value), ("y", odd)])
    assert address.isascii()
    assert address.isprintable()
    assert " " not in address


@pytest.mark.parametrize(
    ("query", "cleaned"),
    [
        ("", ""),
        ("a=1", "?a=1"),
        pytest.param("a=%20+~*&&b&=c&d=", "?a=%20+~*&&b&=c&d=", id="other bytes stay as they are"),
        pytest.param("__other=1&x__y=2", "?__other=1&x__y=2", id="other names stay"),
        pytest.param("__clerk_synced=true&a", "?__clerk_synced=true&a", id="what satellites need stays"),
        ("__clerk_db_jwt=x", ""),
        ("__clerk_handshake=x&a=1", "?a=1"),
        ("a=1&__clerk_handshake_nonce=x&b=2", "?a=1&b=2"),
        ("__clerk_help=1&__dev_session=2&__clerk_db_jwt&z", "?z"),
        ("__gateway_state=1.x&z", "?z"),
        pytest.param("a&__clerk_db_jwt=1&__clerk_db_jwt=2", "?a", id="all of them"),
        pytest.param("__clerk_d%62_jwt=1&a", "?a", id="an encoded letter"),
        pytest.param("%5F%5fclerk%5fdb%5Fjwt=1&a", "?a", id="encoded underscores"),
        pytest.param("a=\xe9&b=%E9", "?a=%E9&b=%E9", id="a byte beyond ASCII is encoded by itself"),
        pytest.param("a=b c\r\n\x7f", "?a=b%20c%0D%0A%7F", id="nothing breaks a header"),
    ],
)
def test_a_clean_url_has_lost_what_handshakes_leave_and_nothing_else(query: str, cleaned: str):
    assert clean_url(PublicUrl("https", "a.test", "/p", query)) == f"https://a.test/p{cleaned}"


QUERY = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="#\x7f"))


@given(QUERY)
def test_cleaning_twice_is_cleaning_once(query: str):
    once = clean_url(PublicUrl("https", "a.test", "/p", query))
    assert once == clean_url(PublicUrl("https", "a.test", "/p", once.partition("?")[2]))


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", None),
        ("a=1", None),
        ("__clerk_db_jwt", ""),
        ("__clerk_db_jwt=", ""),
        ("a&__clerk_db_jwt=1&__clerk_db_jwt=2", "1"),
        ("__clerk_db_jwt=a%20b+c%3D=", "a b c=="),
        ("%5f_clerk_db_jwt=1", "1"),
        ("x__clerk_db_jwt=1", None),
        ("__clerk_db_jwt_x=1", None),
        ("a=__clerk_db_jwt", None),
        ("a=%26__clerk_db_jwt=1", None),
        ("__clerk_db_jwt=%ff", "�"),
    ],
)
def test_a_query_parameter_is_read_by_its_decoded_name(query: str, value: str | None):
    assert query_value(PublicUrl("https", "a.test", "/", query), "__clerk_db_jwt") == value


@given(QUERY)
def test_a_cleaned_url_has_none_of_the_parameters(query: str):
    cleaned = PublicUrl("https", "a.test", "/", clean_url(PublicUrl("https", "a.test", "/", query)).partition("?")[2])
    for name in ("__clerk_db_jwt", "__clerk_handshake", "__clerk_handshake_nonce"):
        assert query_value(cleaned, name) is None


@pytest.mark.parametrize(
    ("address", "result"),
    [
        ("https://a.test/in", "https://a.test/in?r=x%26y"),
        ("https://a.test/in?b=1", "https://a.test/in?b=1&r=x%26y"),
        ("https://a.test/#/in", "https://a.test/?r=x%26y#/in"),
        ("https://a.test/?b#/in?c", "https://a.test/?b&r=x%26y#/in?c"),
    ],
)
def test_a_parameter_is_added_in_front_of_the_fragment(address: str, result: str):
    assert with_query(address, "r", "x&y") == result


@given(st.text())
def test_an_added_parameter_comes_back_as_it_was(value: str):
    assert parse_qsl(urlsplit(with_query("https://a.test/in", "r", value)).query, keep_blank_values=True) == [
        ("r", value.encode(errors="replace").decode())
    ]


@pytest.mark.parametrize(
    ("cookies", "token"),
    [
        ([], ""),
        ([("__client_uat", "1")], ""),
        ([("__session", "a")], "a"),
        ([(NAMES.session, "a")], "a"),
        ([("__session", "a"), (NAMES.session, "b"), ("__client_uat", "1")], "b"),
        ([(NAMES.session, "b"), ("__session", "")], ""),
        ([("__session_other", "x"), ("__sessionfoo", "y")], ""),
    ],
)
def test_the_last_session_cookie_of_ours_is_the_one_delivered(cookies: list[tuple[str, str]], token: str):
    assert delivered_session([SetCookie(*pair) for pair in cookies], NAMES) == token


@given(st.text(st.characters(codec="latin-1")), st.sampled_from(["GET", "POST"]))
def test_any_query_can_be_looked_at(query: str, method: str):
    facts = RequestFacts(method, PublicUrl("https", "a.test", "/", query), headers=PAGE)
    value = query_value(facts.url, "__clerk_handshake")
    assert value is None or isinstance(value, str)


@pytest.mark.parametrize(
    ("address", "result"),
    [
        ("https://a.test", "https://a.test?r=x%26"),
        ("https://a.test?b=1#c", "https://a.test?b=1&r=x%26#c"),
        ("https://a.test?r=1&b&r=2&%72=3", "https://a.test?r=x%26&b"),
        ("https://a.test?b&r#r=1", "https://a.test?b&r=x%26#r=1"),
        ("https://a.test?", "https://a.test?&r=x%26"),
    ],
)
def test_a_parameter_is_set_in_place_of_the_first_of_its_name(address: str, result: str):
    assert with_query_set(address, "r", "x&") == result


def test_all_values_of_a_parameter_are_read_in_order():
    assert query_values(PublicUrl("https", "a.test", "/", "a=1&b=2&%61=%263&a"), "a") == ["1", "&3", ""]
