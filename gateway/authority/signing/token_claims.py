"""What stands in a token: the claims of session tokens (version 1 and 2) and of JWT templates.

Facts: Sessions API section 4. Pure: times and identifiers are arguments, nothing is looked up here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.authority.models import JwtTemplate, Membership, SessionRecord, User
from gateway.authority.signing.shortcodes import fill
from gateway.core.session_status import SessionStatus

AUTOMATIC_CLAIMS = frozenset({"azp", "exp", "iat", "iss", "jti", "nbf", "sub"})
"""Claims of every token; no template can set them."""

_V1_CLAIMS = {"org_id", "org_slug", "org_role", "org_permissions"}
SESSION_CLAIMS = AUTOMATIC_CLAIMS | {"sid", "fva", "act", "v", "sts", "pla", "fea", "o"} | _V1_CLAIMS
"""Claims of session tokens, of either version; nobody can set them, whether a token has them or not."""

# how far "not before" lies before "issued at"; as in the tokens of the real service
_SESSION_SKEW_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """Everything that goes into a token.

    Attributes:
        issuer: origin of the Frontend API.
        azp: origin that the token is made for; None leaves the claim out.
        session: the session.
        user: its user.
        membership: the user's membership in the active organization, or None for the personal account.
        issued_at_s: whole seconds.
        lifetime_s: None takes the template's.
        token_id: unique.
    """

    issuer: str
    azp: str | None
    session: SessionRecord
    user: User
    membership: Membership | None
    issued_at_s: int
    lifetime_s: int | None
    token_id: str


def session_claims(
    facts: TokenFacts, version: int, default_lifetime_s: int, custom: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The claims of a session token.

    Args:
        facts: what is known.
        version: 1 or 2.
        default_lifetime_s: used when the facts do not name a lifetime.
        custom: claims that are added, with shortcodes; those that session tokens have by themselves are left out.
    """
    claims = _common_claims(facts, facts.lifetime_s or default_lifetime_s, _SESSION_SKEW_S)
    claims["sid"] = facts.session.id
    claims["fva"] = [max(0, facts.issued_at_s - facts.session.first_factor_at_ms // 1000) // 60, -1]
    if facts.session.actor is not None:
        claims["act"] = dict(facts.session.actor)
    claims |= _version_1(facts) if version == 1 else _version_2(facts)
    return _filled(custom, facts, SESSION_CLAIMS) | claims if custom else claims


def template_claims(facts: TokenFacts, template: JwtTemplate) -> dict[str, object]:
    """The claims of a template's token: its own, and the automatic ones, which it cannot change."""
    automatic = _common_claims(facts, facts.lifetime_s or template.lifetime_s, template.allowed_clock_skew_s)
    return _filled(template.claims, facts, AUTOMATIC_CLAIMS) | automatic


def _filled(claims: Mapping[str, object], facts: TokenFacts, reserved: frozenset[str]) -> dict[str, object]:
    filled = fill({name: value for name, value in claims.items() if name not in reserved}, _shortcode_facts(facts))
    return filled if isinstance(filled, dict) else {}


def _common_claims(facts: TokenFacts, lifetime_s: int, skew_s: int) -> dict[str, object]:
    claims: dict[str, object] = {} if facts.azp is None else {"azp": facts.azp}
    return claims | {
        "exp": facts.issued_at_s + lifetime_s,
        "iat": facts.issued_at_s,
        "iss": facts.issuer,
        "jti": facts.token_id,
        "nbf": facts.issued_at_s - skew_s,
        "sub": facts.user.id,
    }


def _version_1(facts: TokenFacts) -> dict[str, object]:
    if facts.membership is None:
        return {}
    organization, role = facts.membership.organization, facts.membership.role
    features = set(organization.features)
    return {
        "org_id": organization.id,
        "org_slug": organization.slug,
        "org_role": role.key,
        "org_permissions": [key for key in role.permissions if _split_permission(key)[0] in features],
    }


def _version_2(facts: TokenFacts) -> dict[str, object]:
    claims: dict[str, object] = {
        "v": 2,
        "sts": SessionStatus.PENDING.value
        if facts.session.status is SessionStatus.PENDING
        else SessionStatus.ACTIVE.value,
    }
    features = [f"u:{name}" for name in facts.user.features]
    plan = f"u:{facts.user.plan}" if facts.user.plan else ""
    if facts.membership is not None:
        organization = facts.membership.organization
        features = [f"o:{name}" for name in organization.features] + features
        plan = f"o:{organization.plan}" if organization.plan else plan
        claims["o"] = _organization_claim(facts.membership)
    if plan:
        claims["pla"] = plan
    if features:
        claims["fea"] = ",".join(features)
    return claims


def _organization_claim(membership: Membership) -> dict[str, object]:
    organization, role = membership.organization, membership.role
    claim: dict[str, object] = {
        "id": organization.id,
        "slg": organization.slug,
        "rol": role.key.removeprefix("org:"),
    }
    names, masks = encode_permissions(role.permissions, organization.features)
    if names:
        claim |= {"per": ",".join(names), "fpm": ",".join(map(str, masks))}
    return claim


def encode_permissions(permissions: tuple[str, ...], features: tuple[str, ...]) -> tuple[list[str], list[int]]:
    """Write permissions as the claims ``per`` and ``fpm`` do.

    Args:
        permissions: keys such as ``org:teams:manage``; those of a feature that is not listed are left out.
        features: the organization's features, in the order of the claim ``fea``.

    Returns:
        The names, each once, and for each feature the mask whose bit i stands for name i.
    """
    granted = [_split_permission(key) for key in permissions]
    names = list(dict.fromkeys(name for feature, name in granted if feature in features))
    masks = [
        sum(1 << position for position, name in enumerate(names) if (feature, name) in granted) for feature in features
    ]
    return names, masks


def _split_permission(key: str) -> tuple[str, str]:
    feature, _, name = key.removeprefix("org:").partition(":")
    return feature, name


def _shortcode_facts(facts: TokenFacts) -> Mapping[str, object]:
    user, membership = facts.user, facts.membership
    known: dict[str, object] = {
        "user": {
            "id": user.id,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "full_name": user.full_name,
            "primary_email_address": user.email_address,
            "email_verified": True,
            "phone_number_verified": False,
            "created_at": user.created_at_ms,
            "public_metadata": user.public_metadata,
            "unsafe_metadata": user.unsafe_metadata,
        },
        "session": {"id": facts.session.id, "actor": facts.session.actor},
    }
    if membership is not None:
        organization = membership.organization
        known["org"] = {
            "id": organization.id,
            "name": organization.name,
            "slug": organization.slug,
            "role": membership.role.key,
            "public_metadata": organization.public_metadata,
        }
        known["org_membership"] = {"role": membership.role.key, "public_metadata": membership.public_metadata}
    return known
