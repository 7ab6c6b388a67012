"""Reading the keys of an instance: publishable, secret, and the pinned public one."""

import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from gateway.core.instance import KeyFormatError, PublishableKey
from gateway.core.keys import MIN_RSA_BITS
from gateway.core.secret import Secret
from gateway.core.settings_values import BadValueError, text

_SECRET_KEY = re.compile(r"(?:sk_)?(?:test|live)_[A-Za-z0-9_.-]+")


def publishable_key(value: object) -> PublishableKey:
    """Read a publishable key."""
    try:
        return PublishableKey.parse(text(value))
    except KeyFormatError as error:
        raise BadValueError(str(error), "copy the publishable key of the instance: pk_test_… or pk_live_…") from None


def secret_key(value: object) -> Secret:
    """Read a secret key; its prefix tells whether it is one."""
    found = text(value)
    if not _SECRET_KEY.fullmatch(found):
        raise BadValueError(
            "it does not look like a secret key", "copy the secret key of the instance: sk_test_… or sk_live_…"
        )
    return Secret(found)


def machine_secret_key(value: object) -> Secret:
    """Read a machine's secret key; only what can stand in a header is one."""
    found = text(value)
    if not re.fullmatch(r"[!-~]+", found):
        raise BadValueError("it holds a blank or a character outside ASCII", "copy the machine's secret key again")
    kind = {"pk_": "a publishable key", "sk_": "the secret key of an instance"}.get(found[:3])
    if kind is not None:
        raise BadValueError(f"it is {kind}", "copy the machine's secret key: ak_…")
    return Secret(found)


def public_key(value: object) -> str:
    r"""Read an RSA public key as PEM and return it in one form.

    Environment variables often carry ``\n`` for line breaks, and dashboards show the body without its frame; both are
    mended here.
    """
    found = text(value).replace("\\n", "\n").replace("\\r", "")
    if "PRIVATE KEY" in found:
        raise BadValueError(
            "it is a private key", "give the PUBLIC key, and replace the pair: a private key was copied around"
        )
    if "-----" not in found:
        found = f"-----BEGIN PUBLIC KEY-----\n{found}\n-----END PUBLIC KEY-----"
    lines = [line.strip() for line in found.splitlines() if line.strip()]
    try:
        key = load_pem_public_key("\n".join(lines).encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadValueError(
            "it is no public key in PEM", 'copy it whole, from "-----BEGIN PUBLIC KEY-----" to the end line'
        ) from None
    if not isinstance(key, RSAPublicKey):
        raise BadValueError("it is not an RSA key", "copy the instance's JWKS public key, which is RSA")
    if key.key_size < MIN_RSA_BITS:
        raise BadValueError(f"it has {key.key_size} bits", f"use a key of at least {MIN_RSA_BITS} bits")
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
