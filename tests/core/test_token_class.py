"""The class of a token, told before anything is verified."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.token_class import (
    ANY,
    CATEGORY_IGNORE,
    CATEGORY_M2M,
    CATEGORY_SESSION,
    CATEGORY_TEMPLATE,
    MAX_OPAQUE_CHARS,
    SESSION_ONLY,
    TokenClass,
    TokenType,
    class_of,
    has_machines,
    is_well_formed,
    machine_type,
    opaque_type,
)


@pytest.mark.parametrize(
    ("header", "payload", "kind"),
    [
        ({}, {}, TokenClass.SESSION),
        ({"cat": CATEGORY_SESSION}, {"sub": "user_1"}, TokenClass.SESSION),
        ({"cat": CATEGORY_IGNORE}, {"sub": 7}, TokenClass.SESSION),
        ({"cat": CATEGORY_TEMPLATE}, {}, TokenClass.TEMPLATE),
        ({"cat": CATEGORY_M2M}, {"sub": "user_1"}, TokenClass.OTHER),
        ({"cat": None}, {}, TokenClass.OTHER),
        ({"cat": [CATEGORY_SESSION]}, {}, TokenClass.OTHER),
        ({"cat": "unheard of"}, {}, TokenClass.OTHER),
        ({"cat": CATEGORY_SESSION}, {"sub": "mch_1"}, TokenClass.M2M),
        ({"typ": "at+jwt"}, {"sub": "mch_1"}, TokenClass.M2M),
        ({"typ": "at+jwt", "cat": CATEGORY_SESSION}, {}, TokenClass.OAUTH),
        ({"typ": "application/at+jwt"}, {}, TokenClass.OAUTH),
        ({"typ": "AT+JWT"}, {}, TokenClass.OTHER),
        ({"typ": ["at+jwt"]}, {}, TokenClass.SESSION),
    ],
)
def test_a_jwt_has_one_class(header, payload, kind):
    assert class_of(header, payload) is kind


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("mt_1", TokenType.M2M_TOKEN),
        ("oat_1", TokenType.OAUTH_TOKEN),
        ("ak_1", TokenType.API_KEY),
        ("mt_a.b.c", TokenType.M2M_TOKEN),
        ("ak_live_1", TokenType.API_KEY),
        ("AK_1", None),
        (" ak_1", None),
        ("ak", None),
        ("sk_live_1", None),
        ("", None),
    ],
)
def test_an_opaque_token_is_known_by_how_it_begins(token, kind):
    assert opaque_type(token) is kind


@pytest.mark.parametrize("token", ["ak_1", "ak_LCWG/daM+8=", "mt_~-_", "oat_" + "x" * (MAX_OPAQUE_CHARS - 4)])
def test_the_api_is_asked_about_what_can_be_a_token(token):
    assert is_well_formed(token)


@pytest.mark.parametrize(
    "token", ["ak_a.b.c", "ak_ä", "ak_\x00", "ak_a b", "ak_\n", "ak_=a", "oat_" + "x" * MAX_OPAQUE_CHARS, "ak_a\n"]
)
def test_the_api_is_never_asked_about_anything_else(token):
    assert not is_well_formed(token)


@given(st.text())
def test_every_text_has_a_type_or_none(token):
    assert opaque_type(token) in {None, *TokenType}
    is_well_formed(token)


def test_only_two_classes_are_machines():
    assert {kind: machine_type(kind) for kind in TokenClass if machine_type(kind)} == {
        TokenClass.M2M: TokenType.M2M_TOKEN,
        TokenClass.OAUTH: TokenType.OAUTH_TOKEN,
    }


def test_a_route_takes_machines_where_one_type_is_a_machines():
    assert has_machines(ANY)
    assert not has_machines(SESSION_ONLY)
    assert not has_machines(())
    for first, second in product(TokenType, TokenType):
        assert has_machines((first, second)) == ({first, second} != {TokenType.SESSION_TOKEN})
