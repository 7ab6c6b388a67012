"""JWK Sets and pinned keys."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.keys import ALGORITHMS, KeyMaterialError, key_set, loses_any, pinned_key, to_jwk
from tests.core.minting import jwk, private_key

PEM = private_key("key_1").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
PKCS1 = private_key("key_1").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
BARE = "".join(PEM.splitlines()[1:-1])


def signature(message: bytes) -> bytes:
    return private_key("key_1").sign(message, padding.PKCS1v15(), SHA256())


def test_a_key_verifies_what_it_signed_and_nothing_else():
    key = key_set({"keys": [jwk("key_1")]})["key_1"]
    good = signature(b"message")
    assert key.verifies("RS256", b"message", good)
    assert not key.verifies("RS256", b"massage", good)
    assert not key.verifies("RS256", b"message", good[:-1])
    assert not key.verifies("RS256", b"message", b"")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "HS256", "none", ""])
def test_a_key_of_one_algorithm_verifies_no_other(algorithm: str):
    key = key_set({"keys": [jwk("key_1")]})["key_1"]
    assert key.algorithms == {"RS256"}
    assert not key.verifies(algorithm, b"message", signature(b"message"))


def test_a_key_without_alg_takes_all_three():
    assert key_set({"keys": [jwk("key_1", alg=...)]})["key_1"].algorithms == set(ALGORITHMS)


EC = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "k"}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(jwk("key_1", use="enc"), id="for encryption"),
        pytest.param(jwk("key_1", use=None), id="for null"),
        pytest.param(jwk("key_1", key_ops=["sign"]), id="for signing"),
        pytest.param(jwk("key_1", key_ops=["encrypt", "wrapKey"]), id="for encryption, by its operations"),
        pytest.param(jwk("key_1", key_ops=[]), id="for nothing"),
        pytest.param(jwk("key_1", key_ops="verify"), id="operations that are no list"),
        pytest.param(jwk("key_1", key_ops=None), id="operations that are null"),
        pytest.param(jwk("key_1", d="AAAA"), id="with its private exponent"),
        pytest.param(jwk("key_1", p="AAAA", q="AAAA"), id="with its primes"),
        pytest.param(jwk("key_1", qi=None), id="with a private part that is null"),
        pytest.param(EC, id="elliptic curve"),
        pytest.param(EC | {"alg": "RS256"}, id="elliptic curve that says RS256"),
        pytest.param({"kty": "oct", "k": "AAAA", "kid": "k", "alg": "HS256"}, id="symmetric"),
        pytest.param(jwk("key_1", kty=...), id="no type"),
        pytest.param(jwk("key_1", alg="HS256"), id="RSA that says HS256"),
        pytest.param(jwk("key_1", alg="PS256"), id="RSA that says PS256"),
        pytest.param(jwk("key_1", alg="none"), id="RSA that says none"),
        pytest.param(jwk("key_1", alg=""), id="an empty algorithm"),
        pytest.param(jwk("key_1", alg=["RS256"]), id="a list of algorithms"),
        pytest.param(jwk("key_1", kid=...), id="no id"),
        pytest.param(jwk("key_1", kid=""), id="an empty id"),
        pytest.param(jwk("key_1", kid=7), id="an id that is no text"),
        pytest.param(jwk("key_1", n=...), id="no modulus"),
        pytest.param(jwk("key_1", n=7), id="a modulus that is no text"),
        pytest.param(jwk("key_1", n="!"), id="a modulus that is no base64"),
        pytest.param(jwk("key_1", n="é"), id="a modulus that is not ASCII"),
        pytest.param(jwk("key_1", n="\ud800"), id="a modulus that is no Unicode"),
        pytest.param(jwk("key_1", n=""), id="an empty modulus"),
        pytest.param(jwk("key_1", e="AQ"), id="exponent 1"),
        pytest.param(jwk("key_1", e="Ag"), id="an even exponent"),
        pytest.param(jwk("key_1", e=["AQAB"]), id="an exponent that is no text"),
        pytest.param(jwk("key_1", e="AQAB" * 100), id="a huge exponent"),
        pytest.param(jwk("small", n=jwk("key_1")["e"]), id="a modulus of 17 bits"),
        pytest.param("key", id="no object"),
        pytest.param(None, id="null"),
    ],
)
def test_a_key_that_must_not_verify_session_tokens_is_left_out(entry: object):
    found = key_set({"keys": [entry, jwk("key_2")]})
    assert list(found) == ["key_2"]


def test_a_key_of_1024_bits_is_left_out():
    public = private_key("small").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert key_set({"keys": [jwk("small")]}) == {}
    with pytest.raises(KeyMaterialError, match="2048"):
        pinned_key(pem)


def test_a_key_for_verifying_among_other_things_is_kept():
    found = key_set({"keys": [jwk("key_1", key_ops=["verify", "encrypt"], use=..., x5c=["AAAA"], nbf=1)]})
    assert found["key_1"].verifies("RS256", b"m", signature(b"m"))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(
    "twin",
    [jwk("key_2", kid="key_1"), jwk("key_1", alg="RS512"), jwk("key_1", alg=...)],
    ids=["another key", "another algorithm", "any algorithm"],
)
def test_different_keys_of_one_id_are_both_left_out(twin: dict[str, object], order: tuple[int, int]):
    entries = [jwk("key_1"), twin]
    found = key_set({"keys": [*(entries[index] for index in order), jwk("key_2")]})
    assert list(found) == ["key_2"]


def test_one_key_listed_twice_is_one_key():
    assert list(key_set({"keys": [jwk("key_1"), jwk("key_1")]})) == ["key_1"]


def test_an_unusable_key_does_not_spoil_a_good_one_of_the_same_id():
    found = key_set({"keys": [jwk("key_2", kid="key_1", use="enc"), jwk("key_1"), EC | {"kid": "key_1"}]})
    assert found["key_1"].verifies("RS256", b"m", signature(b"m"))


@pytest.mark.parametrize("document", [None, [], "keys", {}, {"keys": None}, {"keys": {}}, {"keys": "x"}])
def test_a_document_without_a_list_of_keys_is_no_key_set(document: object):
    with pytest.raises(KeyMaterialError, match="no list"):
        key_set(document)


def test_an_empty_list_is_an_empty_set():
    assert key_set({"keys": []}) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ENTRY = st.fixed_dictionaries(
    {"kty": st.just("RSA"), "kid": st.just("k")},
    optional={"use": JSON, "alg": JSON, "n": JSON | st.text("AQ-_", max_size=400), "e": JSON | st.just("AQAB")},
)


@given(JSON | st.builds(lambda entries: {"keys": entries}, st.lists(ENTRY | JSON, max_size=3)))
def test_any_document_is_a_key_set_or_a_key_material_error(document: object):
    try:
        found = key_set(document)
    except KeyMaterialError:
        return
    assert all(key.public.key_size >= 2048 for key in found.values())


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param(PEM, id="as OpenSSL writes it"),
        pytest.param(PEM.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(PEM.replace("\n", "\\n"), id="line ends as two characters, as in environment variables"),
        pytest.param(PEM.replace("\n", " "), id="blanks for line ends"),
        pytest.param(BARE, id="neither header nor line ends"),
        pytest.param(f"\n  {BARE}\n", id="blanks around"),
        pytest.param(PKCS1, id="PKCS #1"),
    ],
)
def test_a_pinned_key_verifies_rs256_whatever_its_spelling(pem: str):
    key = pinned_key(pem)
    assert (key.kid, key.algorithms) == ("", {"RS256"})
    assert key.verifies("RS256", b"message", signature(b"message"))


def other(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param("", id="nothing"),
        pytest.param("garbage", id="garbage"),
        pytest.param("ключ", id="not ASCII"),
        pytest.param(PEM[:200], id="cut off"),
        pytest.param(PEM + PEM, id="two keys"),
        pytest.param(other(ec.generate_private_key(ec.SECP256R1())), id="an elliptic curve"),
        pytest.param(other(ed25519.Ed25519PrivateKey.generate()), id="Ed25519"),
        pytest.param(
            private_key("key_1").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            id="a private key",
        ),
        pytest.param(
            private_key("key_1").public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(), id="SSH"
        ),
    ],
)
def test_what_is_no_rsa_public_key_cannot_be_pinned(pem: str):
    with pytest.raises(KeyMaterialError) as caught:
        pinned_key(pem)
    assert len(str(caught.value)) < 60


@given(st.text() | st.text("ABab12+/=").map(lambda body: f"-----BEGIN PUBLIC KEY-----\n{body}"))
def test_any_text_is_refused_as_a_key(text: str):
    with pytest.raises(KeyMaterialError):
        pinned_key(text)


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", ...])
def test_a_key_as_a_jwk_becomes_the_same_key_again(algorithm):
    key = key_set({"keys": [jwk("key_1", alg=algorithm)]})["key_1"]
    again = key_set({"keys": [to_jwk(key)]})["key_1"]
    assert (again.kid, again.is_same(key)) == ("key_1", True)


@pytest.mark.parametrize(
    ("old", "new", "loses"),
    [
        ([], [], False),
        ([], ["key_1"], False),
        (["key_1"], ["key_1"], False),
        (["key_1"], ["key_2", "key_1"], False),
        (["key_1", "key_2"], ["key_1"], True),
        (["key_1"], [], True),
    ],
)
def test_a_set_that_only_grows_loses_nothing(old, new, loses):
    assert loses_any(*(key_set({"keys": list(map(jwk, kids))}) for kids in (old, new))) is loses


@pytest.mark.parametrize(
    "changes", [{"n": jwk("key_2")["n"]}, {"alg": "RS512"}, {"alg": ...}], ids=["n", "RS512", "any"]
)
def test_another_key_under_the_same_id_is_a_loss(changes):
    old, new = key_set({"keys": [jwk("key_1")]}), key_set({"keys": [jwk("key_1", **changes)]})
    assert loses_any(old, new)
