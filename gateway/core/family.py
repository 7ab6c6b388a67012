"""Which of the two families of cookies to believe: plain, or suffixed with the instance's own suffix.

Two instances on one parent domain overwrite each other's plain cookies; the suffixed ones are ours for certain but may
be missing or older. The rules and their order are request-authentication section 3. No signature is looked at here.
"""

from dataclasses import dataclass
from enum import IntEnum
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


class FamilyRule(IntEnum):
    """The rules by their numbers in request-authentication section 3; the first that applies decides."""

    PLAIN_UNREADABLE = 1
    PLAIN_FOREIGN = 2
    NO_SUFFIXED = 3
    PLAIN_NEWER = 4
    SUFFIXED_SIGNED_OUT = 5
    SUFFIXED_OVER = 6
    SUFFIXED_WITHOUT_CLIENT = 7
    OTHERWISE = 8

    @property
    def prefers_suffixed(self) -> bool:
        """Whether the suffixed cookies are the ones to believe."""
        return self is FamilyRule.PLAIN_FOREIGN or self is FamilyRule.OTHERWISE

    @property
    def when(self) -> str:
        """When it applies, in words."""
        return _WHEN[self]


_WHEN = {
    FamilyRule.PLAIN_UNREADABLE: "the plain session cookie cannot be read or names no issuer",
    FamilyRule.PLAIN_FOREIGN: "the plain session cookie is of another instance",
    FamilyRule.NO_SUFFIXED: "there are no suffixed cookies",
    FamilyRule.PLAIN_NEWER: "the plain session is the newer one",
    FamilyRule.SUFFIXED_SIGNED_OUT: "the suffixed client is signed out, the plain one is not",
    FamilyRule.SUFFIXED_OVER: "development: the plain client is signed out, and the suffixed session has expired",
    FamilyRule.SUFFIXED_WITHOUT_CLIENT: "there is a suffixed session without its client",
    FamilyRule.OTHERWISE: "nothing speaks against the suffixed cookies",
}


def family_rule(facts: FamilyFacts, kind: InstanceKind, frontend_api: str, now_s: float) -> FamilyRule:
    """Return the rule that decides which cookies to believe."""
    if facts.has_plain:
        if facts.plain is None or not facts.plain.issuer:
            return FamilyRule.PLAIN_UNREADABLE
        if not is_own(facts.plain.issuer, frontend_api):
            return FamilyRule.PLAIN_FOREIGN
    if not facts.suffixed_uat and not facts.has_suffixed:
        return FamilyRule.NO_SUFFIXED
    return _compare(facts, kind, now_s)


def _compare(facts: FamilyFacts, kind: InstanceKind, now_s: float) -> FamilyRule:
    plain_active, suffixed_active = facts.plain_uat != "0", facts.suffixed_uat != "0"
    if suffixed_active and plain_active and _issued(facts.plain) > _issued(facts.suffixed):
        return FamilyRule.PLAIN_NEWER
    if not suffixed_active and plain_active:
        return FamilyRule.SUFFIXED_SIGNED_OUT
    if kind is InstanceKind.DEVELOPMENT and suffixed_active and not plain_active and _is_over(facts.suffixed, now_s):
        return FamilyRule.SUFFIXED_OVER
    if facts.has_suffixed and not facts.suffixed_uat:
        return FamilyRule.SUFFIXED_WITHOUT_CLIENT
    return FamilyRule.OTHERWISE


def is_own(issuer: str, frontend_api: str) -> bool:
    """Return whether an issuer is the instance's own Frontend API, with or without its scheme."""
    return issuer.removeprefix("https://").removeprefix("http://") == frontend_api


def _issued(stamp: Stamp | None) -> float:
    return stamp.issued_at_s if stamp else 0


def _is_over(stamp: Stamp | None, now_s: float) -> bool:
    return stamp is not None and stamp.expires_at_s <= int(now_s)
