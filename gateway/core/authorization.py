"""What a session may do: the questions of Clerk's ``has()`` (request-authentication section 16).

Decides about one role, permission, feature, plan or reverification at a time. Evidence that is missing or malformed
says no, and so does a question that is: asking for None is asking, not leaving out (CVE-2026-42349).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Protocol, get_args

Level = Literal["first_factor", "second_factor", "multi_factor"]
LEVELS: tuple[str, ...] = get_args(Level)


class NotAsked(Enum):
    """Stands for a question that is left out; None does not."""

    NOT_ASKED = "not asked"


NOT_ASKED = NotAsked.NOT_ASKED


@dataclass(frozen=True, slots=True)
class Reverification:
    """How recently a person must have proved who they are.

    Attributes:
        level: which factor counts: ``first_factor``, ``second_factor`` or ``multi_factor`` (both).
        after_minutes: minutes after which the proof is too old; above 0.
    """

    level: Level
    after_minutes: float

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"level is not one of {', '.join(LEVELS)}")
        minutes: object = self.after_minutes
        if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes < math.inf:
            raise ValueError("after_minutes is not a number above 0")


PRESETS: Mapping[str, Reverification] = {
    "strict_mfa": Reverification("multi_factor", 10),
    "strict": Reverification("second_factor", 10),
    "moderate": Reverification("second_factor", 60),
    "lax": Reverification("second_factor", 1440),
}


class OrganizationGrants(Protocol):
    """What is read of the active organization."""

    @property
    def role(self) -> str: ...
    @property
    def permissions(self) -> tuple[str, ...]: ...


class Grants(Protocol):
    """What is read of a session; :class:`gateway.core.claims.SessionClaims` has it."""

    @property
    def user_id(self) -> str: ...
    @property
    def is_pending(self) -> bool: ...
    @property
    def organization(self) -> OrganizationGrants | None: ...
    @property
    def features(self) -> str: ...
    @property
    def plans(self) -> str: ...
    @property
    def factor_ages_min(self) -> tuple[float, float] | None: ...
    @property
    def actor(self) -> Mapping[str, Any] | None: ...


def has(
    grants: Grants,
    *,
    role: str | NotAsked = NOT_ASKED,
    permission: str | NotAsked = NOT_ASKED,
    feature: str | NotAsked = NOT_ASKED,
    plan: str | NotAsked = NOT_ASKED,
    reverification: str | Reverification | NotAsked = NOT_ASKED,
) -> bool:
    """Return whether a session has everything that is asked for; nothing asked is no.

    Args:
        grants: the session.
        role: in the active organization, with or without ``org:``.
        permission: likewise, ``org:<feature>:<permission>``.
        feature: ``name``, ``org:name`` or ``user:name``.
        plan: likewise.
        reverification: a preset (:data:`PRESETS`) or a :class:`Reverification`.
    """
    asked = {
        "role": role,
        "permission": permission,
        "feature": feature,
        "plan": plan,
        "reverification": reverification,
    }
    answers = [holds(grants, name, what) for name, what in asked.items() if what is not NOT_ASKED]
    return bool(answers) and all(answers)


def holds(grants: Grants, name: str, asked: object) -> bool:
    """Return the answer to one question.

    Args:
        grants: the session.
        name: ``role``, ``permission``, ``feature``, ``plan`` or ``reverification``.
        asked: what is asked for; of any type, since only the right ones can be answered with yes.
    """
    return bool(grants.user_id) and not grants.is_pending and _QUESTIONS[name](grants, asked)


def _has_role(grants: Grants, asked: object) -> bool:
    organization = grants.organization
    if not isinstance(asked, str) or organization is None or not organization.role:
        return False
    return _prefixed(organization.role) == _prefixed(asked)


def _has_permission(grants: Grants, asked: object) -> bool:
    organization = grants.organization
    if not isinstance(asked, str) or organization is None:
        return False
    return _prefixed(asked) in organization.permissions


def _prefixed(name: str) -> str:
    while name.startswith("org:"):
        name = name.removeprefix("org:")
    return f"org:{name}"


# The scope of an entry (``o:dashboard``), by the scope of the question (``org:dashboard``).
_ORGANIZATION, _USER = frozenset({"o", "ou", "uo"}), frozenset({"u", "ou", "uo"})
ENTITLEMENT_SCOPES: Mapping[str, frozenset[str]] = {
    "o": _ORGANIZATION,
    "org": _ORGANIZATION,
    "organization": _ORGANIZATION,
    "u": _USER,
    "user": _USER,
}


def _is_entitled(claim: str, asked: object) -> bool:
    entries = [entry.strip().partition(":") for entry in claim.split(",")]
    if not isinstance(asked, str) or not all(colon for _, colon, _ in entries):
        return False  # one entry without a scope, and the claim says nothing
    scope, colon, rest = asked.partition(":")
    scopes = ENTITLEMENT_SCOPES.get(scope, frozenset()) if colon else _ORGANIZATION | _USER
    name = rest.partition(":")[0] or scope  # what follows a second colon does not count
    return any(entry_scope in scopes and value == name for entry_scope, _, value in entries)


def _is_fresh(grants: Grants, asked: object) -> bool:
    wanted = PRESETS.get(asked) if isinstance(asked, str) else asked
    ages = grants.factor_ages_min
    if not isinstance(wanted, Reverification) or ages is None:
        return False
    first, second = (age != -1 and age < wanted.after_minutes for age in ages)
    if wanted.level == "first_factor" or ages[1] == -1:
        return first  # who has no second factor proves the first
    if wanted.level == "multi_factor":
        return first and second
    return second


_QUESTIONS: Mapping[str, Callable[[Grants, object], bool]] = {
    "role": _has_role,
    "permission": _has_permission,
    "feature": lambda grants, asked: _is_entitled(grants.features, asked),
    "plan": lambda grants, asked: _is_entitled(grants.plans, asked),
    "reverification": _is_fresh,
}
