"""The own key of a JWT template: which algorithms there are, which key fits one, and signing with it.

A key is judged once, when a template gets it (RFC 7518 sections 3.2 to 3.5 for the least sizes and the curves, RFC 8037
for EdDSA). Its tokens name no ``kid``: the key is published nowhere, and who verifies was given it.
"""

from collections.abc import Mapping

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from gateway.authority.signing.keyring import Category, UnusableKey
from gateway.core.secret import Secret

_LEAST_RSA_BITS = 2048
_LEAST_SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")

ALGORITHMS = (*_LEAST_SECRET_BYTES, *_RSA, *_CURVES, "EdDSA")
"""Every algorithm that a template may sign with."""


def require_fit(algorithm: str, key: Secret) -> None:
    """Check that the key can sign with the algorithm.

    Raises:
        UnusableKey: saying why, never repeating the key.
    """
    text = key.reveal()
    if algorithm in _LEAST_SECRET_BYTES:
        _require_long_secret(text, _LEAST_SECRET_BYTES[algorithm])
        return
    private_key = _read(text, is_known_good=False)
    if algorithm in _RSA:
        _require_long_rsa(private_key)
    elif algorithm in _CURVES:
        curve = _CURVES[algorithm]
        if not isinstance(private_key, ec.EllipticCurvePrivateKey) or private_key.curve.name != curve:
            raise UnusableKey(f"it is not a private key on the curve {curve}")
    elif not isinstance(private_key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        raise UnusableKey("it is not an Ed25519 or Ed448 private key")


def sign(claims: Mapping[str, object], algorithm: str, key: Secret) -> str:
    """A template's token, signed with the template's own key, which :func:`require_fit` has judged."""
    headers = {"cat": Category.TEMPLATE.value}
    if algorithm in _LEAST_SECRET_BYTES:
        return jwt.encode(dict(claims), key.reveal(), algorithm, headers)
    private_key = _read(key.reveal(), is_known_good=True)
    return jwt.encode(dict(claims), private_key, algorithm, headers)  # type: ignore[arg-type]  # judged before


def _read(text: str, *, is_known_good: bool) -> object:
    try:
        # OpenSSL takes far longer to check an RSA key than to sign with it.
        return serialization.load_pem_private_key(
            text.encode("utf-8", "surrogatepass"), password=None, unsafe_skip_rsa_key_validation=is_known_good
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("it is no private key in PEM without a password") from None


def _require_long_rsa(key: object) -> None:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UnusableKey("it is not an RSA private key")
    if key.key_size < _LEAST_RSA_BITS:
        raise UnusableKey(f"it has {key.key_size} bits, and {_LEAST_RSA_BITS} are the least")


def _require_long_secret(text: str, least: int) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size < least:
        raise UnusableKey(f"it has {size} bytes, and {least} are the least")
    if "-----BEGIN " in text:
        # PyJWT refuses it too: a public key as a secret is a secret that everybody has
        raise UnusableKey("it is a key in PEM, and this algorithm takes a secret text")
