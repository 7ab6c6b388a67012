"""The signing keys: one signs, all of them verify and are published.

RS256 with the key's id in ``kid``, because that is the one algorithm that every official SDK accepts (Sessions API
section 4). The ring takes several keys, so a rotation can overlap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.core.keys import VerificationKey, to_jwk
from gateway.core.tokens import ParsedToken, TokenError, check_signature, parse

_ALGORITHM = "RS256"
_KEY_BITS = 2048  # the least of RFC 7518 section 3.3; OpenSSL signs four times slower with the next size


class Category(StrEnum):
    """The class of a token, in the header ``cat``."""

    SESSION = "cl_B7d4PD111AAA"
    TEMPLATE = "cl_B7d4PD222AAA"


class ForeignToken(Exception):
    """The text is no JWT, or none of these keys signed it."""


class UnusableKey(Exception):
    """The text is no key that can sign; the message says why and never repeats the text."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its id."""

    kid: str
    private_key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def generate(cls, kid: str) -> "SigningKey":
        """Make a new RSA key."""
        return cls(kid, rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS))

    @classmethod
    def from_pem(cls, kid: str, pem: str, *, is_proven: bool = False) -> "SigningKey":
        """Read what :meth:`to_pem` wrote.

        Args:
            kid: its id.
            pem: as text.
            is_proven: it was read or made here before; proving the primes again takes 36 ms, the rest next to nothing.

        Raises:
            UnusableKey: it is no private key, not an RSA key, or too short.
        """
        try:
            key = serialization.load_pem_private_key(
                pem.encode("utf-8", "surrogatepass"), password=None, unsafe_skip_rsa_key_validation=is_proven
            )
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise UnusableKey("it is no private key in PEM") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise UnusableKey("it is not an RSA key")
        if key.key_size < _KEY_BITS:
            raise UnusableKey(f"it has {key.key_size} bits, and {_KEY_BITS} are the least")
        return cls(kid, key)

    def to_pem(self) -> str:
        """The private key as PKCS #8 PEM."""
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def verification_key(self) -> VerificationKey:
        """The public key, good for what this one signs."""
        return VerificationKey(self.kid, frozenset([_ALGORITHM]), self.private_key.public_key())

    def to_jwk(self) -> dict[str, str]:
        """The public key as JWK, with exactly the members of the closed schema."""
        return to_jwk(self.verification_key())


class KeyRing:
    """The keys of an instance.

    Args:
        keys: at least one; the first one signs.
    """

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._keys = tuple(keys)
        self._verifying = {key.kid: key.verification_key() for key in keys}

    def sign(self, claims: Mapping[str, object], category: Category | None) -> str:
        """A token with these claims.

        Args:
            claims: the payload.
            category: the class of the token, or None to leave the header out.
        """
        signing = self._keys[0]
        headers = {"kid": signing.kid} | ({"cat": category.value} if category else {})
        return jwt.encode(dict(claims), signing.private_key, _ALGORITHM, headers)

    def open(self, token: str) -> ParsedToken:
        """Check shape and signature as a gateway does, and nothing else: what it means is decided by who asks.

        Raises:
            ForeignToken: none of the keys made it.
        """
        try:
            parsed = parse(token)
            if (key := self._verifying.get(parsed.kid)) is None:
                raise ForeignToken
            check_signature(parsed, key)
        except TokenError:
            raise ForeignToken from None
        return parsed

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys."""
        return {"keys": [key.to_jwk() for key in self._keys]}
