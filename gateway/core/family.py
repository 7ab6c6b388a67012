"""Which of the two families of cookies to believe: plain, or suffixed with the instance's own suffix.

Two instances on one parent domain overwrite each other's plain cookies; the suffixed ones are ours for certain but may
be missing or older. The rules and their order are request-authentication section 3. No signature is looked at here.
"""

from dataclasses import dataclass
from typing import Protocol

from gateway.core.instance import InstanceKind


class Stamp(Protocol):
    """What is read off an unverified session token to choose between the families."""

    @property
    def issuer(self) -> str:
        """Return ``iss``, or the empty text."""
        ...

    @property
    def issued_at_s(self) -> float:
        """Return ``iat``, Unix seconds, or 0."""
        ...

    @property
    def expires_at_s(self) -> float:
        """Return ``exp``, Unix seconds, or 0."""
        ...


@dataclass(frozen=True, slots=True)
class FamilyFacts:
    """The two session tokens and the two ``__client_uat`` texts.

    Attributes:
        plain, suffixed: the tokens as far as they could be read; None for absent or unreadable.
        has_plain, has_suffixed: whether the session cookies are there at all.
        plain_uat, suffixed_uat: the texts of the cookies; empty for absent.
    """

    plain: Stamp | None
    suffixed: Stamp | None
    has_plain: bool
    has_suffixed: bool
    plain_uat: str
    suffixed_uat: str


def prefers_suffixed(facts: FamilyFacts, kind: InstanceKind, frontend_api: str, now_s: float) -> bool:
    """Return whether the suffixed cookies are the ones to believe."""
    if facts.has_plain:
        if facts.plain is None or not facts.plain.issuer:
            return False
        if not is_own(facts.plain.issuer, frontend_api):
            return True
    if not facts.suffixed_uat and not facts.has_suffixed:
        return False
    return _compare(facts, kind, now_s)


def _compare(facts: FamilyFacts, kind: InstanceKind, now_s: float) -> bool:
    plain_active, suffixed_active = facts.plain_uat != "0", facts.suffixed_uat != "0"
    if suffixed_active and plain_active and _issued(facts.plain) > _issued(facts.suffixed):
        return False
    if not suffixed_active and plain_active:
        return False
    if kind is InstanceKind.DEVELOPMENT and suffixed_active and not plain_active and _is_over(facts.suffixed, now_s):
        return False
    return not (facts.has_suffixed and not facts.suffixed_uat)


def is_own(issuer: str, frontend_api: str) -> bool:
    """Return whether an issuer is the instance's own Frontend API, with or without its scheme."""
    return issuer.removeprefix("https://").removeprefix("http://") == frontend_api


def _issued(stamp: Stamp | None) -> float:
    return stamp.issued_at_s if stamp else 0


def _is_over(stamp: Stamp | None, now_s: float) -> bool:
    return stamp is not None and stamp.expires_at_s <= int(now_s)
