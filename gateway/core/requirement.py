"""What a route or an endpoint asks for beyond a session, and the first thing of it that does not hold.

All that is asked must hold. A session has no scopes, a machine token has nothing but scopes: each is refused where the
other's is asked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

from gateway.core.authorization import Grants, Reverification, holds
from gateway.core.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What is asked for; at least one thing.

    Attributes:
        role, permission, feature, plan, reverification: as in :func:`gateway.core.authorization.has`; None: not asked.
        scopes: all of them, of a machine token.
        no_impersonation: the user in person, not somebody who acts as them (claim ``act``).
    """

    role: str | None = None
    permission: str | None = None
    feature: str | None = None
    plan: str | None = None
    reverification: str | Reverification | None = None
    scopes: tuple[str, ...] = ()
    no_impersonation: bool = False

    def __post_init__(self) -> None:
        if not self.asked:
            raise ValueError("a requirement asks for something")

    @property
    def asked(self) -> Mapping[str, object]:
        """What is asked for, by the name of the field."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name))}

    @property
    def is_of_sessions(self) -> bool:
        """Whether something is asked for that no machine's token has."""
        return any(name in _OF_SESSIONS for name in self.asked)

    @property
    def reverification_config(self) -> str | Mapping[str, object]:
        """The asked reverification as Clerk's front end writes it: a preset, or ``{level, afterMinutes}``."""
        match self.reverification:
            case Reverification(level, minutes):
                return {"level": level, "afterMinutes": minutes}
            case preset:
                return preset or ""

    def covers(self, other: "Requirement") -> bool:
        """Return whether whoever meets this one meets the other, as far as the same words show."""
        mine = self.asked
        return set(other.scopes) <= set(self.scopes) and all(
            mine.get(name) == value for name, value in other.asked.items() if name != "scopes"
        )

    def __str__(self) -> str:
        return ", ".join(map(_shown, self.asked, self.asked.values()))


def _shown(name: str, value: object) -> str:
    match value:
        case Reverification(level, minutes):
            return f"{name} {level} {minutes:g} min"
        case tuple():
            return f"{name} {' '.join(value)}"
        case True:
            return name
        case _:
            return f"{name} {value}"


# In the order of the answers: what a person cannot mend comes before what they can.
_OF_SESSIONS = {
    "role": Reason.MISSING_ROLE,
    "permission": Reason.MISSING_PERMISSION,
    "feature": Reason.MISSING_FEATURE,
    "plan": Reason.MISSING_PLAN,
    "reverification": Reason.REVERIFICATION_REQUIRED,
}


def unmet(requirement: Requirement, session: Grants | None, scopes: Collection[str] | None = None) -> Reason | None:
    """Return the reason for the first thing that does not hold, or None when all of it holds.

    Args:
        requirement: what is asked for.
        session: of a person; None for a machine token, or nobody.
        scopes: of a machine token; None for a session, or nobody.
    """
    is_in_person = scopes is not None if session is None else session.actor is None
    if requirement.no_impersonation and not is_in_person:
        return Reason.IMPERSONATION_REFUSED
    if not set(requirement.scopes) <= set(scopes or ()):
        return Reason.MISSING_SCOPE
    for name, reason in _OF_SESSIONS.items():
        asked = getattr(requirement, name)
        if asked is not None and (session is None or not holds(session, name, asked)):
            return reason
    return None
