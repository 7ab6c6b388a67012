"""Which organization a URL is for, so that the session's active organization can follow it.

Patterns are the documented part of path-to-regexp: ``/orgs/:slug``, ``/orgs/:id/(.*)``, ``/app/:any/orgs/:slug``
(request-authentication section 11). They are matched segment by segment, in time linear in the path; case and one
slash at the end do not count.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.claims import Organization, SessionClaims
from gateway.core.handshake import MAX_REDIRECTS, is_eligible, redirect_count
from gateway.core.request import RequestFacts

_REST = "(.*)"
_SEGMENT = re.compile(r":[A-Za-z_][A-Za-z0-9_]*|[A-Za-z0-9_~!$&',;=@%.-]+")


class PatternError(ValueError):
    """The text is no pattern; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern.

    Attributes:
        segments: literals in lower case, and names with their colon.
        has_rest: anything may follow after one more slash.
    """

    segments: tuple[str, ...]
    has_rest: bool

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Read a pattern.

        Raises:
            PatternError: when it is none.
        """
        if not text.startswith("/"):
            raise PatternError('it does not start with "/"')
        parts = text[1:].split("/") if text != "/" else []
        has_rest = bool(parts) and parts[-1] == _REST
        segments = parts[:-1] if has_rest else parts
        odd = next((part for part in segments if not _SEGMENT.fullmatch(part)), None)
        if odd is not None:
            raise PatternError('a segment is neither plain text nor a name like ":slug"')
        names = [part for part in segments if part.startswith(":")]
        if len(set(names)) != len(names):
            raise PatternError("a name appears twice")
        return cls(tuple(part if part.startswith(":") else part.lower() for part in segments), has_rest)

    @property
    def names_organization(self) -> bool:
        """Whether it holds ``:id`` or ``:slug``."""
        return ":id" in self.segments or ":slug" in self.segments

    def match(self, path: str) -> Mapping[str, str] | None:
        """Return the values of the names, percent-encoded as they stand, or None where the path does not match."""
        parts = path[1:].split("/")
        count = len(self.segments)
        if self.has_rest:
            if len(parts) <= count:
                return None
        elif parts[count:] not in ([], [""]) or len(parts) < count:
            return None
        found: dict[str, str] = {}
        for segment, part in zip(self.segments, parts, strict=False):
            if not segment.startswith(":"):
                if segment != part.lower():
                    return None
            elif part:
                found[segment[1:]] = part
            else:
                return None
        return found


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL is for: an organization by id or slug, or the personal account when both are empty."""

    id: str = ""
    slug: str = ""

    @property
    def parameter(self) -> str:
        """The value of ``organization_id`` in a handshake."""
        return self.id or self.slug

    def is_active(self, organization: Organization | None) -> bool:
        """Return whether a session with this organization active is the right one."""
        if not self.parameter:
            return organization is None
        if organization is None:
            return False
        return organization.id == self.id if self.id else organization.slug == self.slug


@dataclass(frozen=True, slots=True)
class OrganizationPatterns:
    """The patterns of an application.

    Attributes:
        organization: for pages of an organization; asked first.
        personal: for pages of the personal account.
    """

    organization: tuple[Pattern, ...] = ()
    personal: tuple[Pattern, ...] = ()

    def target(self, path: str) -> Target | None:
        """Return what a path is for, or None where no pattern matches."""
        for pattern in self.organization:
            found = pattern.match(path)
            if found is not None:
                return Target(id=found["id"]) if "id" in found else Target(slug=found["slug"])
        if any(pattern.match(path) is not None for pattern in self.personal):
            return Target()
        return None


NO_PATTERNS = OrganizationPatterns()


def needs_other_organization(facts: RequestFacts, claims: SessionClaims, patterns: OrganizationPatterns) -> bool:
    """Whether the browser should fetch a session with another organization active before this page opens.

    After three handshakes in a row the page opens as it is: the organization is not this user's, and the application
    says so better.
    """
    if claims.is_pending or not claims.user_id or not is_eligible(facts):
        return False
    target = patterns.target(facts.url.path)
    if target is None or target.is_active(claims.organization):
        return False
    return redirect_count(facts) < MAX_REDIRECTS
