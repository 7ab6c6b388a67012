"""A session made into headers."""

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.claims import session_claims
from gateway.core.identity import IDENTITY_HEADERS, MAX_VALUE_BYTES, IdentityHeaders, encode
from gateway.core.machine_claims import MachineClaims
from gateway.core.request_headers import IdentityNamespace
from gateway.core.token_class import TokenType
from tests.core.minting import claims_of


def headers(*claims: tuple[str, str], prefix: str = "X-Session-", **changes: object) -> dict[bytes, bytes]:
    pairs = IdentityHeaders(prefix, claims).of(session_claims(claims_of(**changes)))
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_a_personal_session():
    assert headers() == {
        b"x-session-user-id": b"user_1",
        b"x-session-id": b"sess_1",
        b"x-session-status": b"signed-in",
    }


def test_a_session_with_an_organization():
    o = {"id": "org_1", "slg": "acme", "rol": "admin", "per": "read,write", "fpm": "3"}
    found = headers(fea="o:teams", o=o)
    assert found[b"x-session-org-id"] == b"org_1"
    assert found[b"x-session-org-slug"] == b"acme"
    assert found[b"x-session-org-role"] == b"org:admin"
    assert found[b"x-session-org-permissions"] == b"org:teams:read,org:teams:write"


@pytest.mark.parametrize(
    ("act", "header"),
    [
        ({"sub": "user_9"}, b"user_9"),
        ({"sub": "é"}, b"%C3%A9"),
        ({}, b"unknown"),
        ({"sub": ""}, b"unknown"),
        ({"sub": 7}, b"unknown"),
        ("user_9", b"unknown"),
    ],
)
def test_whoever_impersonates_the_user_is_named(act: object, header: bytes):
    assert headers(act=act)[b"x-session-actor"] == header


def test_what_the_session_does_not_have_is_not_there():
    found = headers(o={"id": "org_1"}, sid=...)
    assert sorted(found) == [b"x-session-org-id", b"x-session-status", b"x-session-user-id"]


def test_nobody():
    assert IdentityHeaders("X-Auth-").signed_out == ((b"x-auth-status", b"signed-out"),)


def test_another_prefix():
    assert headers(prefix="X-Auth-")[b"x-auth-user-id"] == b"user_1"


META = {"plan": "gold", "n": 7, "f": 0.5, "yes": True, "no": False, "none": None, "list": [1, "é"], "o": {"a": "b"}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("meta.plan", b"gold"),
        ("meta.n", b"7"),
        ("meta.f", b"0.5"),
        ("meta.yes", b"true"),
        ("meta.no", b"false"),
        ("meta.list", b'[1,"%C3%A9"]'),
        ("meta.o", b'{"a":"b"}'),
        ("meta.o.a", b"b"),
        ("meta.none", None),
        ("meta.nothing", None),
        ("meta.plan.deeper", None),
        ("meta.list.0", None),
        ("nothing", None),
        ("", None),
    ],
)
def test_further_claims_by_their_path(path: str, value: bytes | None):
    assert headers(("X-Claim", path), meta=META).get(b"x-claim") == value


def test_what_is_too_long_is_left_out_and_named():
    found = headers(("X-Fits", "fits"), ("X-Long", "long"), ("X-Emoji", "emoji"), sid="s" * (MAX_VALUE_BYTES + 1),
                    fits="x" * MAX_VALUE_BYTES, long="x" * (MAX_VALUE_BYTES + 1), emoji="😀" * 400)  # fmt: skip
    assert found[b"x-session-truncated"] == b"x-session-id,x-long,x-emoji"
    assert len(found[b"x-fits"]) == MAX_VALUE_BYTES
    assert not {b"x-session-id", b"x-long", b"x-emoji"} & set(found)
    assert found[b"x-session-status"] == b"signed-in"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("user_1", b"user_1"),
        ('a b,c;d="e"', b'a b,c;d="e"'),
        ("", b""),
        ("100%", b"100%25"),
        ("%41", b"%2541"),
        ("a\r\nX-Evil: 1", b"a%0D%0AX-Evil: 1"),
        ("\x00\x7f\t", b"%00%7F%09"),
        ("é 😀", b"%C3%A9 %F0%9F%98%80"),
        ("\u202eevil", b"%E2%80%AEevil"),
        (" a b ", b"%20a%20b%20"),
        (" ", b"%20"),
        ("\ud800", b"?"),
    ],
)
def test_encoding(text: str, value: bytes):
    assert encode(text) == value


@given(st.text() | st.text("a %\r\n\té"))
def test_decoding_gives_back_the_claim_and_the_value_is_a_header_s(text: str):
    value = encode(text)
    assert unquote(value.strip(b" \t").decode("ascii"), errors="strict") == text
    assert all(0x20 <= code < 0x7F for code in value)


LEAF = (
    st.text(max_size=20)
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.none()
)
VALUE = LEAF | st.lists(LEAF, max_size=3) | st.dictionaries(st.text(max_size=3), LEAF, max_size=3)


@given(st.dictionaries(st.text("abc.", max_size=3), VALUE, max_size=4))
def test_any_claim_makes_a_clean_header(meta: dict[str, object]):
    value = headers(("X-Claim", "meta"), meta=meta)[b"x-claim"]
    assert all(0x20 <= code < 0x7F for code in value)
    assert json.loads(unquote(value.decode())) == meta


def test_every_name_that_is_written_is_kept_from_clients():
    identity = IdentityHeaders("X-Session-", [("X-User-Email", "email")])
    namespace = IdentityNamespace(identity.prefix, identity.names)
    o = {"id": "org_1", "slg": "acme", "rol": "admin", "per": "p", "fpm": "1"}
    pairs = identity.of(session_claims(claims_of(email="a@b.test", fea="o:f", o=o, sid="x" * 5000)))
    assert len(pairs) == 8
    assert namespace.strip([*pairs, *identity.signed_out]) == []


# Machines


def machine_headers(kind: TokenType, subject: str, prefix: str = "X-Session-", **changes: object) -> dict[bytes, bytes]:
    claims = MachineClaims(type=kind, id="id_1", subject=subject, **changes)
    return dict(IdentityHeaders(prefix, [("X-Team", "team")]).of_machine(claims))


def test_an_api_key_of_a_user():
    assert machine_headers(TokenType.API_KEY, "user_1", scopes=("read", "write"), name="ci", claims={"team": "a"}) == {
        b"x-session-token-type": b"api_key",
        b"x-session-subject": b"user_1",
        b"x-session-user-id": b"user_1",
        b"x-session-scopes": b"read write",
        b"x-session-status": b"signed-in",
    }


def test_an_api_key_of_an_organization():
    found = machine_headers(TokenType.API_KEY, "org_1")
    assert found[b"x-session-org-id"] == b"org_1"
    assert b"x-session-user-id" not in found
    assert b"x-session-scopes" not in found


def test_an_m2m_token():
    assert machine_headers(TokenType.M2M_TOKEN, "mch_1", prefix="X-My-") == {
        b"x-my-token-type": b"m2m_token",
        b"x-my-subject": b"mch_1",
        b"x-my-machine-id": b"mch_1",
        b"x-my-status": b"signed-in",
    }


def test_an_oauth_token():
    found = machine_headers(TokenType.OAUTH_TOKEN, "user_1", client_id="client_1")
    assert (found[b"x-session-client-id"], found[b"x-session-user-id"]) == (b"client_1", b"user_1")


@pytest.mark.parametrize(
    ("scopes", "value"),
    [
        (("a b", "c"), b"a%20b c"),
        (("a%20b", "c"), b"a%2520b c"),
        (("é",), b"%C3%A9"),
        (("a,b",), b"a,b"),
        (("a\r\nX-Evil: 1",), b"a%0D%0AX-Evil:%201"),
    ],
)
def test_a_scope_is_one_word_whatever_it_holds(scopes: tuple[str, ...], value: bytes):
    found = machine_headers(TokenType.API_KEY, "user_1", scopes=scopes)[b"x-session-scopes"]
    assert found == value
    assert tuple(map(unquote, found.decode().split(" "))) == scopes


def test_what_does_not_fit_is_named_for_machines_too():
    found = machine_headers(TokenType.API_KEY, "user_1", scopes=("x" * (MAX_VALUE_BYTES + 1),))
    assert b"x-session-scopes" not in found
    assert found[b"x-session-truncated"] == b"x-session-scopes"


def test_every_identity_header_is_one_that_no_claim_may_take():
    subjects = {TokenType.API_KEY: "org_1", TokenType.M2M_TOKEN: "mch_1", TokenType.OAUTH_TOKEN: "user_1"}
    taken = {f"x-session-{name}".lower().encode() for name in IDENTITY_HEADERS}
    for kind, subject in subjects.items():
        assert set(machine_headers(kind, subject, scopes=("a",), client_id="c")) <= taken


def test_the_complete_set_holds_every_name_once_and_empties_where_there_is_nothing() -> None:
    made = IdentityHeaders("X-Session-", [("X-Team", "team")])
    names = [*(f"x-session-{name.lower()}" for name in IDENTITY_HEADERS), "x-team"]
    complete = made.complete(((b"x-session-user-id", b"user_1"), (b"x-team", b"red")))
    assert [name.decode() for name, _ in complete] == names
    assert {name: value for name, value in complete if value} == {b"x-session-user-id": b"user_1", b"x-team": b"red"}
