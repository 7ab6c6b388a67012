"""Verification keys: JWK Sets (RFC 7517) and pinned PEMs, made into keys that agree with one algorithm.

A key that must not verify a session token (another type, for encryption, too small) is left out when the set is
loaded, so that no later step has to ask.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from jwt import InvalidKeyError
from jwt.algorithms import RSAAlgorithm

ALGORITHMS = {
    "RS256": RSAAlgorithm(RSAAlgorithm.SHA256),
    "RS384": RSAAlgorithm(RSAAlgorithm.SHA384),
    "RS512": RSAAlgorithm(RSAAlgorithm.SHA512),
}
"""The algorithms of session tokens (Sessions API section 4); anything else is refused by name."""

MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""

# RFC 7518 section 6.3.2. A set is public: whoever read a key's private half there can sign with it.
_PRIVATE_PARTS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


class KeyMaterialError(ValueError):
    """The material is no key that may verify session tokens."""


@dataclass(frozen=True, slots=True, eq=False)
class VerificationKey:
    """A public key and the algorithms that it may be used with.

    Attributes:
        kid: its id in the set; empty for a pinned PEM.
        algorithms: names from :data:`ALGORITHMS`.
    """

    kid: str
    algorithms: frozenset[str]
    public: RSAPublicKey

    def is_same(self, other: "VerificationKey") -> bool:
        """Return whether another key accepts exactly the same signatures."""
        return (self.public.public_numbers(), self.algorithms) == (other.public.public_numbers(), other.algorithms)

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Return whether the signature over the message is this key's (RFC 7518 section 3.3)."""
        return algorithm in self.algorithms and ALGORITHMS[algorithm].verify(message, self.public, signature)


KeySet = Mapping[str, VerificationKey]


def key_set(document: object) -> dict[str, VerificationKey]:
    """Make a key set of a JWK Set document.

    Args:
        document: the parsed JSON.

    Returns:
        the usable keys by ``kid``; a key that cannot verify session tokens is left out, and so are different keys of
        one ``kid``: nobody could say which of them is meant (RFC 7517 section 4.5).

    Raises:
        KeyMaterialError: when the document is no JWK Set at all.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise KeyMaterialError("the document has no list 'keys'")
    found: dict[str, VerificationKey] = {}
    ambiguous = set()
    for key in filter(None, map(_from_jwk, entries)):
        if not found.setdefault(key.kid, key).is_same(key):
            ambiguous.add(key.kid)
    return {kid: key for kid, key in found.items() if kid not in ambiguous}


def _is_for_signatures(jwk: Mapping[Any, Any]) -> bool:
    """Return whether a JWK is an RSA key that is published to verify signatures (RFC 7517 sections 4.1 to 4.3)."""
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("kty") == "RSA"
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and _PRIVATE_PARTS.isdisjoint(jwk)
    )


def _from_jwk(jwk: Any) -> VerificationKey | None:
    if not isinstance(jwk, dict) or not _is_for_signatures(jwk):
        return None
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    if not isinstance(kid, str) or not kid:
        return None
    if algorithm is not None and not (isinstance(algorithm, str) and algorithm in ALGORITHMS):
        return None
    try:
        public = RSAAlgorithm.from_jwk({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
    except (InvalidKeyError, KeyError, TypeError, ValueError):
        return None
    if not isinstance(public, RSAPublicKey) or public.key_size < MIN_RSA_BITS:
        return None
    return VerificationKey(kid, frozenset([algorithm] if algorithm else ALGORITHMS), public)


def to_jwk(key: VerificationKey) -> dict[str, str]:
    """Return a key as the JWK that :func:`key_set` makes the same key of."""
    material = RSAAlgorithm.to_jwk(key.public, as_dict=True)
    jwk = {"kty": "RSA", "use": "sig", "kid": key.kid, "n": material["n"], "e": material["e"]}
    # Without "alg" a key is good for every algorithm.
    return jwk | ({"alg": next(iter(key.algorithms))} if len(key.algorithms) == 1 else {})


def loses_any(old: KeySet, new: KeySet) -> bool:
    """Return whether a key of the old set is not in the new one as it was, so that what it verified may not count."""
    return any((found := new.get(kid)) is None or not found.is_same(key) for kid, key in old.items())


_ARMOUR = re.compile(r"-----(?:BEGIN|END) (?:RSA )?PUBLIC KEY-----|\\n|\s")


def pinned_key(pem: str) -> VerificationKey:
    """Make a key of a PEM public key (``instance.jwt_key``); it verifies RS256 whatever the token's ``kid``.

    Environment variables lose line ends and people lose the first and last line, so neither is needed
    (request-authentication section 4 item 3).

    Raises:
        KeyMaterialError: when it is no RSA public key of at least 2048 bits.
    """
    try:
        public = load_der_public_key(base64.b64decode(_ARMOUR.sub("", pem), validate=True))
    except (ValueError, UnsupportedAlgorithm):
        raise KeyMaterialError("it is no PEM public key") from None
    if not isinstance(public, RSAPublicKey) or public.key_size < MIN_RSA_BITS:
        raise KeyMaterialError(f"it is no RSA key of at least {MIN_RSA_BITS} bits")
    return VerificationKey("", frozenset(["RS256"]), public)
