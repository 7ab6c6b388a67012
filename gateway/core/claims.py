"""What a session token says, v1 and v2 made one (Sessions API section 4, request-authentication section 16)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from gateway.core.authorization import NOT_ASKED, NotAsked, Reverification, has

PENDING = "pending"

_FAR_MIN = 1e12
"""Minutes beyond which a number is no age of a factor."""


@dataclass(frozen=True, slots=True)
class Organization:
    """The organization that is active in a session.

    Attributes:
        role: with its ``org:`` prefix; empty where the token names none.
        permissions: ``org:<feature>:<permission>``, in the order of the token.
    """

    id: str
    slug: str = ""
    role: str = ""
    permissions: tuple[str, ...] = ()

    def __reduce__(self) -> "_Making":
        return _making(self)


@dataclass(frozen=True, slots=True)
class SessionClaims:
    """The claims of one verified session token.

    Attributes:
        user_id: ``sub``.
        session_id: ``sid``; empty where the token has none.
        issuer: ``iss``.
        authorized_party: ``azp``, the origin that the token was made for; may be empty.
        issued_at_s, expires_at_s: ``iat`` and ``exp``, Unix seconds.
        not_before_s: ``nbf``, Unix seconds; 0 where absent.
        status: ``sts``; ``pending`` means signed in with tasks open.
        organization: None for a personal session.
        actor: ``act``, who impersonates the user; None for the user in person, empty where the claim names nobody.
        factor_ages_min: ``fva``, minutes since the first and the second factor, -1 for never; None if not told.
        features, plans: ``fea`` and ``pla`` as they stand in the token, e.g. ``o:dashboard,u:export``; see :meth:`has`.
        encoded: all claims as they stand in the token, as JSON; see :attr:`raw`.
    """

    user_id: str
    session_id: str
    issuer: str
    authorized_party: str
    issued_at_s: float
    expires_at_s: float
    not_before_s: float = 0.0
    status: str = ""
    organization: Organization | None = None
    actor: Mapping[str, Any] | None = None
    factor_ages_min: tuple[float, float] | None = None
    features: str = ""
    plans: str = ""
    encoded: bytes = field(default=b"{}", repr=False)

    def __reduce__(self) -> "_Making":
        return _making(self)

    @property
    def raw(self) -> dict[str, Any]:
        """All claims as they stand in the token.

        Decoded anew each time: they are seldom read, and as objects they would take three times the bytes in the cache
        of verified tokens.
        """
        claims: dict[str, Any] = json.loads(self.encoded.decode())
        return claims

    @property
    def is_session(self) -> bool:
        """True: claims are only made of tokens of the session class."""
        return True

    @property
    def is_pending(self) -> bool:
        """Whether tasks are open, so that the session does not count as signed in."""
        return self.status == PENDING

    def has(
        self,
        *,
        role: str | NotAsked = NOT_ASKED,
        permission: str | NotAsked = NOT_ASKED,
        feature: str | NotAsked = NOT_ASKED,
        plan: str | NotAsked = NOT_ASKED,
        reverification: str | Reverification | NotAsked = NOT_ASKED,
    ) -> bool:
        """Return whether the session has everything that is asked for; nothing asked is no, and None is a question.

        Args:
            role: in the active organization, e.g. ``org:admin``.
            permission: likewise, e.g. ``org:articles:publish``.
            feature: ``name``, ``org:name`` or ``user:name``.
            plan: likewise.
            reverification: ``strict_mfa``, ``strict``, ``moderate``, ``lax`` or a :class:`Reverification`.
        """
        return has(self, role=role, permission=permission, feature=feature, plan=plan, reverification=reverification)


_Making = tuple[type, tuple[object, ...]]


def _making(record: Organization | SessionClaims) -> _Making:
    """Return how a copy is made; compiled, what is frozen would otherwise be filled in, which nobody may."""
    return type(record), tuple(getattr(record, each.name) for each in fields(record))


def session_claims(payload: Mapping[str, Any], encoded: bytes | None = None) -> SessionClaims:
    """Read the claims of a payload whose types :func:`gateway.core.tokens.check_claims` has accepted.

    Args:
        payload: the claims.
        encoded: the same as JSON; made of them where it is not at hand.
    """
    return SessionClaims(
        user_id=payload["sub"],
        session_id=_text(payload.get("sid")),
        issuer=_text(payload.get("iss")),
        authorized_party=_text(payload.get("azp")),
        issued_at_s=payload.get("iat", 0),
        expires_at_s=payload["exp"],
        not_before_s=payload.get("nbf", 0),
        status=_text(payload.get("sts")),
        organization=_organization_v2(payload) if payload.get("v") == 2 else _organization_v1(payload),
        actor=_actor(payload.get("act")),
        factor_ages_min=_factor_ages(payload.get("fva")),
        features=_text(payload.get("fea")),
        plans=_text(payload.get("pla")),
        encoded=json.dumps(payload).encode() if encoded is None else encoded,
    )


def _organization_v1(payload: Mapping[str, Any]) -> Organization | None:
    identifier = _text(payload.get("org_id"))
    if not identifier:
        return None
    permissions = payload.get("org_permissions")
    return Organization(
        id=identifier,
        slug=_text(payload.get("org_slug")),
        role=_text(payload.get("org_role")),
        permissions=tuple(filter(_text, permissions)) if isinstance(permissions, list) else (),
    )


def _organization_v2(payload: Mapping[str, Any]) -> Organization | None:
    claim = payload.get("o")
    if not isinstance(claim, dict) or not (identifier := _text(claim.get("id"))):
        return None
    role = _text(claim.get("rol"))
    return Organization(
        id=identifier,
        slug=_text(claim.get("slg")),
        role=f"org:{role}" if role else "",
        permissions=tuple(_permissions(_text(payload.get("fea")), _text(claim.get("per")), _text(claim.get("fpm")))),
    )


def _permissions(features: str, permissions: str, masks: str) -> Sequence[str]:
    """Decode ``fea``, ``per`` and ``fpm``: one decimal bit mask per organization feature, bit k = permission k.

    Place counts: an empty entry takes one and grants nothing, it never moves a mask to the next feature.
    """
    names = _list(permissions)
    scoped = (item.partition(":") for item in _list(features))
    organization_features = [name for scope, _, name in scoped if scope in {"o", "ou", "uo"}]
    return [
        f"org:{feature}:{name}"
        for feature, mask in zip(organization_features, _list(masks), strict=False)
        if mask.isascii() and mask.isdigit() and len(mask) <= 100
        for bit, name in enumerate(names)
        if name and int(mask) >> bit & 1
    ]


def _list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _actor(claim: object) -> Mapping[str, Any] | None:
    """Return the actor; a claim that is there and cannot be read still says that it is not the user in person."""
    if claim is None:
        return None
    return claim if isinstance(claim, dict) else {}


def _factor_ages(claim: object) -> tuple[float, float] | None:
    # Compiled, a pattern would take four times as long.
    if not isinstance(claim, list) or len(claim) != 2:
        return None
    first, second = claim
    return (first, second) if _is_age(first) and _is_age(second) else None


def _is_age(number: object) -> bool:
    """Return whether a number is an age; a whole number may have thousands of digits, and is no age then."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return False
    return 0 <= number < _FAR_MIN or number == -1


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
