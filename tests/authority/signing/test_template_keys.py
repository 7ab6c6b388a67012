"""The own key of a JWT template: which keys fit which algorithm, and what the tokens look like."""

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from gateway.authority.signing.keyring import UnusableKey
from gateway.authority.signing.template_keys import ALGORITHMS, require_fit, sign
from gateway.core.secret import Secret


def pem(key, encryption=None) -> Secret:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption or serialization.NoEncryption()
    )
    return Secret(text.decode())


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
CURVES = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}
ED = ed25519.Ed25519PrivateKey.generate()
PUBLIC_PEM = Secret(
    RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)
SECRETS = {"HS256": 32, "HS384": 48, "HS512": 64}
FITTING = {
    **{algorithm: (Secret("s" * size), "s" * size) for algorithm, size in SECRETS.items()},
    **{algorithm: (pem(RSA), RSA.public_key()) for algorithm in ALGORITHMS if algorithm[:2] in ("RS", "PS")},
    **{algorithm: (pem(key), key.public_key()) for algorithm, key in CURVES.items()},
    "EdDSA": (pem(ED), ED.public_key()),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_signs_what_its_own_key_verifies(algorithm):
    key, verifying = FITTING[algorithm]
    require_fit(algorithm, key)
    token = sign({"a": 1}, algorithm, key)
    assert jwt.decode(token, verifying, [algorithm]) == {"a": 1}
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "JWT", "cat": "cl_B7d4PD222AAA"}


def test_both_curves_of_eddsa_fit():
    require_fit("EdDSA", pem(ed448.Ed448PrivateKey.generate()))


NO_PEM = "it is no private key in PEM without a password"


@pytest.mark.parametrize(
    ("algorithm", "key", "said"),
    [
        *((algorithm, Secret("s" * (size - 1)), f"it has {size - 1} bytes") for algorithm, size in SECRETS.items()),
        ("HS256", PUBLIC_PEM, "it is a key in PEM"),
        ("HS256", pem(RSA), "it is a key in PEM"),
        ("RS256", pem(SHORT_RSA), "it has 1024 bits, and 2048 are the least"),
        ("PS512", pem(SHORT_RSA), "it has 1024 bits"),
        ("RS256", pem(ED), "it is not an RSA private key"),
        ("RS256", PUBLIC_PEM, NO_PEM),
        ("RS256", Secret("text"), NO_PEM),
        ("RS256", Secret(""), NO_PEM),
        ("RS256", Secret("\ud800"), NO_PEM),
        ("RS256", pem(RSA, serialization.BestAvailableEncryption(b"password")), NO_PEM),
        ("ES256", pem(CURVES["ES384"]), "it is not a private key on the curve secp256r1"),
        ("ES512", pem(RSA), "it is not a private key on the curve secp521r1"),
        ("EdDSA", pem(RSA), "it is not an Ed25519 or Ed448 private key"),
    ],
)
def test_a_key_that_does_not_fit_is_named_and_not_shown(algorithm, key, said):
    with pytest.raises(UnusableKey, match=said) as error:
        require_fit(algorithm, key)
    assert not key.reveal() or key.reveal() not in str(error.value)
