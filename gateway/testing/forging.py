"""Keys of a test run, tokens that the instance signs with claims at will, and tokens that it never would."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.authority.signing.keyring import SigningKey

_OWN, _STRANGER = "own", "stranger"


@cache
def _key(owner: str) -> rsa.RSAPrivateKey:
    # Made once for each process: an RSA key takes a tenth of a second. Worlds are told apart by the key's id.
    return SigningKey.generate(owner).private_key


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs as the instance does.

    Attributes:
        kid: id of the key.
    """

    kid: str

    @property
    def pem(self) -> str:
        """The instance's key, for the authority's database."""
        return SigningKey(self.kid, _key(_OWN)).to_pem()

    def sign(self, claims: Mapping[str, object], header: Mapping[str, object]) -> str:
        """Return a token with these claims and members of its header; ``kid`` and ``alg`` are added."""
        return jwt.encode(dict(claims), _key(_OWN), "RS256", {"kid": self.kid, **header})


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token; nothing is verified."""
    return _part(token, 1)


def header_of(token: str) -> dict[str, Any]:
    """Return the header of a token; nothing is verified."""
    return _part(token, 0)


def tampered(token: str, **claims: object) -> str:
    """Return a token with other claims under its old signature.

    Args:
        token: a good one.
        claims: to change; by default somebody else's ``sub``.
    """
    header, _, signature = token.split(".")
    return ".".join((header, _encode(claims_of(token) | (claims or {"sub": "user_somebody_else"})), signature))


def unsigned(token: str, **claims: object) -> str:
    """Return a token with ``alg: none`` and no signature.

    Args:
        token: a good one.
        claims: to change.
    """
    return f"{_encode(header_of(token) | {'alg': 'none'})}.{_encode(claims_of(token) | claims)}."


def signed_by_stranger(token: str, **claims: object) -> str:
    """Return a token that says it is of the instance's key and is signed by another one.

    Args:
        token: a good one.
        claims: to change.
    """
    return jwt.encode(claims_of(token) | claims, _key(_STRANGER), "RS256", header_of(token))


def _part(token: str, place: int) -> dict[str, Any]:
    text = token.split(".")[place]
    part: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return part


def _encode(part: Mapping[str, object]) -> str:
    data = json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
