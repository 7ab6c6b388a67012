"""RSA PKCS #1 v1.5 and JWS, forged: each class with its verdict."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.keys import VerificationKey, key_set
from gateway.core.reasons import Reason
from gateway.core.tokens import TokenError, check_signature, parse
from tests.core.forging import (
    FORGERIES,
    SIZE,
    SPELLINGS,
    bleichenbacher,
    cube_root,
    digest_info,
    garbage_in_parameters,
    good,
    modulus,
    padded,
    raw,
)
from tests.core.minting import b64, claims_of, jwk, mint, private_key, sign

KEYS = key_set({"keys": [jwk("key_1"), jwk("cubic"), jwk("any", alg=...)]})
INVALID, ALGORITHM = Reason.TOKEN_INVALID, Reason.TOKEN_INVALID_ALGORITHM
SIGNATURE, FAILED = Reason.TOKEN_INVALID_SIGNATURE, Reason.TOKEN_VERIFICATION_FAILED


def signing_input(key: str = "key_1", algorithm: str = "RS256", **claims: object) -> str:
    header = {"alg": algorithm, "kid": key, "typ": "JWT"}
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims_of(**claims)).encode())}"


def verdict(token: str, key: VerificationKey | None = None) -> Reason | None:
    try:
        parsed = parse(token)
        check_signature(parsed, key or KEYS[parsed.kid])
    except TokenError as error:
        return error.reason
    return None


def forged(forge: Callable[[bytes, str], bytes], key: str) -> Reason | None:
    text = signing_input(key)
    return verdict(f"{text}.{b64(forge(text.encode(), key))}")


@pytest.mark.parametrize("key", ["key_1", "cubic"])
def test_the_one_good_signature_is_the_one_that_the_library_makes(key: str):
    """So that the forgeries fail for what is wrong with them, and for nothing else."""
    message = signing_input(key).encode()
    assert good(message, key) == private_key(key).sign(message, padding.PKCS1v15(), SHA256())
    assert forged(good, key) is None


@pytest.mark.parametrize("key", ["key_1", "cubic"])
@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_signature_is_refused(forge: Callable[[bytes, str], bytes], key: str):
    # An empty signature is no token of three parts; anything else is a signature that is not the key's.
    assert forged(forge, key) is (INVALID if not forge(b"", key) else SIGNATURE)


@pytest.mark.parametrize("forge", [bleichenbacher, garbage_in_parameters])
def test_a_cube_that_begins_like_a_signature_is_none(forge: Callable[[bytes, str], bytes]):
    """Exponent 3, no private key (CVE-2006-4339 and its like)."""
    text = signing_input("cubic")
    number = int.from_bytes(forge(text.encode(), "cubic"), "big")
    assert number**3 < modulus("cubic")
    assert (number**3).to_bytes(SIZE, "big").startswith(b"\x00\x01\xff\xff\xff\xff")
    assert forged(forge, "cubic") is SIGNATURE


def test_the_forger_of_cubes_can_count():
    assert [cube_root(number) for number in (0, 1, 7, 8, 9, 27, 10**30)] == [0, 1, 2, 2, 3, 3, 10**10]


def numbered(wanted: Callable[[int], bool]) -> tuple[str, int]:
    """A signing input whose good signature is a number as wanted."""
    for attempt in count():
        text = signing_input(jti=attempt)
        number = int.from_bytes(private_key("key_1").sign(text.encode(), padding.PKCS1v15(), SHA256()), "big")
        if wanted(number):
            return text, number
    raise AssertionError


def test_a_signature_and_its_modulus_are_no_second_spelling_even_where_both_fit():
    text, number = numbered(lambda found: found + modulus("key_1") < 1 << 8 * SIZE)
    assert verdict(f"{text}.{b64(number.to_bytes(SIZE, 'big'))}") is None
    assert verdict(f"{text}.{b64((number + modulus('key_1')).to_bytes(SIZE, 'big'))}") is SIGNATURE


def test_a_signature_keeps_its_leading_zero():
    text, number = numbered(lambda found: found >> 8 * (SIZE - 1) == 0)
    assert verdict(f"{text}.{b64(number.to_bytes(SIZE, 'big'))}") is None
    assert verdict(f"{text}.{b64(number.to_bytes(SIZE - 1, 'big'))}") is SIGNATURE


@given(st.integers(0, SIZE - 1), st.integers(1, 255))
def test_any_byte_of_the_encoded_message_counts(place: int, change: int):
    text = signing_input()
    encoded = bytearray(padded(digest_info(text.encode())))
    encoded[place] ^= change
    # A first byte that is not zero may make a number beyond the modulus; raw RSA reduces it.
    assert verdict(f"{text}.{b64(raw(bytes(encoded), 'key_1'))}") is SIGNATURE


@given(st.binary(max_size=300))
def test_no_other_bytes_are_a_signature(signature: bytes):
    assert verdict(f"{signing_input()}.{b64(signature)}") is (SIGNATURE if signature else INVALID)


@pytest.mark.parametrize("claimed", ["RS256", "RS384", "RS512"])
@pytest.mark.parametrize("used", ["RS256", "RS384", "RS512"])
def test_a_hash_counts_under_its_own_algorithm_only(claimed: str, used: str):
    header = json.dumps({"alg": claimed, "kid": "any", "typ": "JWT"}).encode()
    token = sign(header, json.dumps(claims_of()).encode(), key="any", algorithm=used)
    assert verdict(token) is (None if claimed == used else SIGNATURE)
    pinned = verdict(token, key_set({"keys": [jwk("any")]})["any"])
    assert pinned is (FAILED if claimed != "RS256" else None if used == "RS256" else SIGNATURE)


def test_a_pss_signature_is_none_of_ours():
    text = signing_input()
    pss = private_key("key_1").sign(text.encode(), padding.PSS(padding.MGF1(SHA256()), 32), SHA256())
    assert verdict(f"{text}.{b64(pss)}") is SIGNATURE


# ── JWS ──


def public(encoding: Encoding, form: PublicFormat) -> bytes:
    return private_key("key_1").public_key().public_bytes(encoding, form)


PEM = public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
SECRETS = {
    "PEM": PEM,
    "PEM without its last line end": PEM.rstrip(),
    "PEM with Windows line ends": PEM.replace(b"\n", b"\r\n"),
    "PEM in one line": PEM.replace(b"\n", b"\\n"),
    "base64 of the PEM": b"".join(PEM.splitlines()[1:-1]),
    "PKCS #1 PEM": public(Encoding.PEM, PublicFormat.PKCS1),
    "DER": public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "PKCS #1 DER": public(Encoding.DER, PublicFormat.PKCS1),
    "SSH": public(Encoding.OpenSSH, PublicFormat.OpenSSH),
    "JWK": json.dumps(jwk("key_1")).encode(),
    "JWK, compact": json.dumps(jwk("key_1"), separators=(",", ":"), sort_keys=True).encode(),
    "modulus": modulus("key_1").to_bytes(SIZE, "big"),
    "modulus in base64url": str(jwk("key_1")["n"]).encode(),
    "key id": b"key_1",
    "nothing": b"",
    "zero": b"\x00",
}


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_the_public_key_is_no_shared_secret_in_any_encoding(secret: bytes, algorithm: str):
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
    text = signing_input(algorithm=algorithm)
    assert verdict(f"{text}.{b64(hmac.digest(secret, text.encode(), digest))}") is ALGORITHM
    # The same under an algorithm that is taken: its bytes are no RSA signature.
    text = signing_input()
    assert verdict(f"{text}.{b64(hmac.digest(secret, text.encode(), digest))}") is SIGNATURE


def headed(key: str = "key_1", *, remove: str = "", **header: object) -> str:
    full = {"alg": "RS256", "kid": key, "typ": "JWT", **header}
    full.pop(remove, None)
    return sign(json.dumps(full).encode(), json.dumps(claims_of()).encode(), key="mallory" if key == "key_1" else key)


EMBEDDED = {
    "jwk": jwk("mallory"),
    "jku": "https://evil.test/jwks.json",
    "x5u": "https://evil.test/cert.pem",
    "x5c": [base64.b64encode(b"certificate").decode()],
    "x5t": b64(hashlib.sha1(b"certificate", usedforsecurity=False).digest()),
    "x5t#S256": b64(hashlib.sha256(b"certificate").digest()),
    "zip": "DEF",
    "enc": "A256GCM",
    "cty": "JWT",
    "epk": {"kty": "RSA"},
    "p2c": 10**9,
    "iss": "https://clerk.example.test",
    "b64": True,
    "nonce": "x",
    "url": "https://evil.test",
}


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_key_that_a_token_brings_along_is_not_used(name: str):
    assert verdict(headed(**{name: EMBEDDED[name]})) is SIGNATURE


@pytest.mark.parametrize("crit", [["b64"], ["exp"], ["x"], [], None, "b64", {}, ["alg", "kid"]])
@pytest.mark.parametrize("is_encoded", [True, False, ...])
def test_a_token_that_asks_for_an_extension_is_refused_before_its_signature(crit: object, is_encoded: object):
    more = {} if is_encoded is ... else {"b64": is_encoded}
    assert verdict(mint(header={"crit": crit, **more})) is INVALID


def test_a_payload_that_is_not_encoded_is_no_token():
    """RFC 7797: signed as it is, with b64 false."""
    payload = json.dumps(claims_of())
    header = b64(b'{"alg":"RS256","kid":"key_1","b64":false,"crit":["b64"]}')
    signature = private_key("key_1").sign(f"{header}.{payload}".encode(), padding.PKCS1v15(), SHA256())
    assert verdict(f"{header}.{payload}.{b64(signature)}") is INVALID


H, P, S = mint().split(".")
SHAPES = {
    "detached payload": f"{H}..{S}",
    "no signature": f"{H}.{P}.",
    "no signature, no dot": f"{H}.{P}",
    "no header": f".{P}.{S}",
    "four parts": f"{H}.{P}.{S}.{S}",
    "five parts, as encrypted tokens have": f"{H}.{P}.{S}.{S}.{S}",
    "a token in a token": f"{H}.{b64(mint().encode())}.{S}",
    "JSON serialization, flattened": json.dumps({"protected": H, "payload": P, "signature": S}),
    "JSON serialization, general": json.dumps({"payload": P, "signatures": [{"protected": H, "signature": S}]}),
    "JSON serialization in base64url": b64(json.dumps({"protected": H, "payload": P, "signature": S}).encode()),
    "with its scheme": f"Bearer {H}.{P}.{S}",
    "in quotes": f'"{H}.{P}.{S}"',
    "in a list": f"{H}.{P}.{S},{H}.{P}.{S}",
    "dots in another width": f"{H}．{P}．{S}",
    "dots encoded": f"{H}%2E{P}%2E{S}",
}


@pytest.mark.parametrize("token", SHAPES.values(), ids=SHAPES.keys())
def test_only_the_compact_form_is_a_token(token: str):
    assert verdict(mint()) is None
    assert verdict(token, KEYS["key_1"]) is INVALID


def respelled(part: int, change: Callable[[str], str]) -> str:
    parts = mint().split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "payload", "signature"])
@pytest.mark.parametrize("change", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_token_has_one_spelling(part: int, change: Callable[[str], str]):
    """A second one would be a second token to a cache or a deny list."""
    assert verdict(respelled(part, change), KEYS["key_1"]) in {INVALID, SIGNATURE}


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.parametrize("filler", ["", "x", "xx"], ids=["no spare bits", "two or four", "four or two"])
@pytest.mark.parametrize("part", [0, 1, 2], ids=["header", "payload", "signature"])
def test_spare_bits_are_zero_in_every_part(part: int, filler: str):
    """The last character of a part has none, two or four bits that decoders throw away."""
    parts = mint(header={"x": filler}, x=filler).split(".")
    tail = parts[part][-1]
    decoded = base64.urlsafe_b64decode(parts[part] + "==")
    twins = [
        letter
        for letter in ALPHABET
        if letter != tail and base64.urlsafe_b64decode(f"{parts[part][:-1]}{letter}==") == decoded
    ]
    assert len(twins) == {0: 0, 2: 15, 3: 3}[len(parts[part]) % 4]
    for letter in twins:
        spelled = [*parts]
        spelled[part] = f"{parts[part][:-1]}{letter}"
        assert verdict(".".join(spelled)) is INVALID


def test_a_key_verifies_nothing_under_an_algorithm_of_another_kind():
    """Key and algorithm have to agree even where a caller forgets to compare them."""
    for name in ("HS256", "ES256", "PS256", "EdDSA", "none", "rs256", ""):
        assert not KEYS["any"].verifies(name, b"m", good(b"m", "any"))
