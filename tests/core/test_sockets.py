"""Sub-protocols that carry a token, and the codes that WebSockets end with."""

from dataclasses import replace

import pytest

from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.sockets import (
    NO_CODE,
    NORMAL,
    BadOfferError,
    Offer,
    may_be_sent,
    offer_in,
    opens_websocket,
    relayed,
    with_token,
)

FACTS = RequestFacts("GET", PublicUrl("https", "app.example.test"))


def offer(*values: bytes, marker: str | None = "bearer") -> Offer:
    return offer_in([(b"host", b"a"), *((b"sec-websocket-protocol", value) for value in values)], marker)


@pytest.mark.parametrize(
    ("values", "protocols", "token"),
    [
        ((), (), None),
        ((b"app.v1",), ("app.v1",), None),
        ((b"app.v1, app.v2", b"app.v3"), ("app.v1", "app.v2", "app.v3"), None),
        ((b"bearer, a.b.c",), (), "a.b.c"),
        ((b"bearer,a.b.c,app.v1",), ("app.v1",), "a.b.c"),
        ((b"app.v1, bearer", b"a.b.c\t"), ("app.v1",), "a.b.c"),
        ((b"app.v1, bearer",), ("app.v1",), ""),
    ],
)
def test_the_token_is_taken_out_of_the_offer(values, protocols, token):
    found = offer(*values)
    assert (found.protocols, found.token) == (protocols, token)


def test_no_token_is_taken_where_the_route_names_no_marker():
    assert offer(b"bearer, a.b.c", marker=None) == Offer(("bearer", "a.b.c"))


@pytest.mark.parametrize("value", [b"", b"a,", b"a b", b"a, a", b"\x80\xff", b'"a"', b"a/b", b"a\x00"])
def test_what_is_no_list_of_different_tokens_is_refused(value):
    with pytest.raises(BadOfferError):
        offer(value)


@pytest.mark.parametrize(
    ("found", "chosen", "told"),
    [
        (Offer(("app.v1",), "t", "bearer"), "app.v1", "app.v1"),
        (Offer((), "t", "bearer"), None, "bearer"),
        (Offer(("app.v1",)), None, None),
        (Offer(), None, None),
    ],
)
def test_the_client_is_told_something_that_it_offered(found, chosen, told):
    assert found.answer(chosen) == told


def test_the_token_of_an_offer_is_the_bearer_token():
    assert with_token(FACTS, Offer(token="t")).bearer == "t"
    assert with_token(FACTS, Offer()) is FACTS


def test_of_two_tokens_none_is_believed():
    assert with_token(replace(FACTS, bearer="u"), Offer(token="t")).bearer == ""


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        *[(code, False) for code in (999, 1004, 1005, 1006, 1015, 2999, 5000)],
        *[(code, True) for code in (1000, 1007, 1014, 3000, 4999)],
    ],
)
def test_codes_that_a_frame_may_carry(code, passes):
    assert may_be_sent(code) is passes
    assert relayed(code).to_client == (code if passes or code == NO_CODE else NORMAL)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"upgrade", b"websocket", True),
        (b"upgrade", b"h2c, WebSocket", True),
        (b"sec-websocket-key", b"", True),
        (b"sec-websocket-version", b"13", True),
        (b"upgrade", b"h2c", False),
        (b"connection", b"websocket", False),
        (b"sec-websocket-protocol", b"chat", False),
    ],
)
def test_a_websocket_is_known_by_what_no_proxy_takes_away(name: bytes, value: bytes, expected: bool) -> None:
    assert opens_websocket([(b"host", b"a"), (name, value)]) is expected
