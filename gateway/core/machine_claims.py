"""What a machine's token says: of an API key, an M2M token or an OAuth access token, from a JWT or from the API.

Source: request-authentication section 15 (auth objects). What the API's answer says against a token counts, where the
reference does not look at it (quirk Q11).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.core.reasons import Reason
from gateway.core.token_class import TokenType

_USER, _ORGANIZATION = "user_", "org_"
# What a claim of the standard is no custom claim (RFC 7519 section 4.1), but for ``aud``, as in the reference.
_RESERVED = frozenset({"iss", "sub", "exp", "nbf", "iat", "jti"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineClaims:
    """The claims of one verified machine token.

    Attributes:
        type: ``api_key``, ``m2m_token`` or ``oauth_token``.
        id: of the token, never the token itself; empty where it has none.
        subject: for whom it acts: ``user_…``, ``org_…`` or ``mch_…``.
        scopes: what it was made for; of M2M tokens the machines that it may talk to.
        claims: custom ones; None where there are none.
        name: of an API key.
        client_id: of an OAuth application; empty otherwise.
        expires_at_s: Unix seconds; None for a token that does not expire.
    """

    type: TokenType
    id: str
    subject: str
    scopes: tuple[str, ...] = ()
    claims: Mapping[str, Any] | None = field(default=None, repr=False)
    name: str = ""
    client_id: str = ""
    expires_at_s: float | None = None

    @property
    def user_id(self) -> str:
        """The subject of an API key or an OAuth token that is a user; empty otherwise."""
        is_user = self.type is not TokenType.M2M_TOKEN and self.subject.startswith(_USER)
        return self.subject if is_user else ""

    @property
    def org_id(self) -> str:
        """The subject of an API key that is an organization; empty otherwise."""
        is_organization = self.type is TokenType.API_KEY and self.subject.startswith(_ORGANIZATION)
        return self.subject if is_organization else ""

    @property
    def machine_id(self) -> str:
        """The subject of an M2M token; empty otherwise."""
        return self.subject if self.type is TokenType.M2M_TOKEN else ""


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """What the API knows of an opaque token; it may well be of no use any more.

    Attributes:
        claims: that it would prove.
        is_revoked, is_expired: as the API says.
    """

    claims: MachineClaims
    is_revoked: bool = False
    is_expired: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a machine token is of no use, with one sentence for the operator."""

    reason: Reason
    message: str


EXPIRED = Refusal(Reason.MACHINE_TOKEN_EXPIRED, "it has expired")
REVOKED = Refusal(Reason.MACHINE_TOKEN_REVOKED, "it was revoked")


def judge(record: MachineRecord, now_s: float) -> MachineClaims | Refusal:
    """Return the claims that a record proves, or why it proves nothing."""
    if record.is_revoked:
        return REVOKED
    return EXPIRED if record.is_expired or has_expired(record.claims, now_s) else record.claims


def has_expired(claims: MachineClaims, now_s: float) -> bool:
    """Return whether a token is past its end; who verified it a moment ago knows the time, so no skew is granted."""
    return claims.expires_at_s is not None and claims.expires_at_s <= now_s


def m2m_claims(payload: Mapping[str, Any]) -> MachineClaims:
    """Read the claims of a verified M2M JWT."""
    custom = {name: value for name, value in payload.items() if name not in _RESERVED}
    scopes = payload.get("scopes")
    return MachineClaims(
        type=TokenType.M2M_TOKEN,
        id=_text(payload.get("jti")),
        subject=payload["sub"],
        scopes=_texts(payload.get("aud") if scopes is None else scopes),
        claims=custom or None,
        expires_at_s=payload["exp"],
    )


def oauth_claims(payload: Mapping[str, Any]) -> MachineClaims:
    """Read the claims of a verified OAuth access token (RFC 9068 section 2.2, RFC 8693 section 4.2)."""
    listed = payload.get("scp")
    return MachineClaims(
        type=TokenType.OAUTH_TOKEN,
        id=_text(payload.get("jti")),
        subject=payload["sub"],
        scopes=_texts(payload.get("scope") if listed is None else listed),
        client_id=_text(payload.get("client_id")),
        expires_at_s=payload["exp"],
    )


def _texts(value: object) -> tuple[str, ...]:
    """Return scopes from a list, or from one text with blanks between them (RFC 6749 section 3.3)."""
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(item for item in value if isinstance(item, str) and item) if isinstance(value, list) else ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
