"""One request in front of one instance's rules."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.core.cookies import CookieNames
from gateway.core.evidence import Evidence, VerifiedTokens, gather
from gateway.core.instance import InstanceKind
from gateway.core.organization_sync import NO_PATTERNS, OrganizationPatterns
from gateway.core.referrers import KnownPages
from gateway.core.request import RequestFacts
from gateway.core.satellites import Role, sync_of
from gateway.core.tokens import Expectations
from gateway.core.trace import NO_TRACE, Trace


@dataclass(frozen=True, slots=True)
class Rules:
    """One instance's rules, made once from the settings.

    Attributes:
        kind, names: from the publishable key.
        frontend_api: host of the site's own Frontend API.
        handshake_base: where handshakes go, ``https://host``, no trailing slash.
        expected: what claims have to agree with.
        refresh_methods: methods whose requests may be refreshed; None for any.
        has_refresh: expired tokens are refreshed.
        has_api: there is a secret key, so nonces can be looked up; without it handshakes bring a token.
        new_state: makes a random text that nobody guesses, 32 to 64 characters of base64url.
        known_pages: pages that people come from without a handshake; None for any.
        organizations: which pages are for which organization.
        role: what this site is among its instance's domains.
        proxy_path: browsers reach the Frontend API under this path of the site's own origin; empty for elsewhere.
    """

    kind: InstanceKind
    frontend_api: str
    names: CookieNames
    handshake_base: str
    expected: Expectations
    refresh_methods: frozenset[str] | None
    has_refresh: bool
    has_api: bool
    new_state: Callable[[], str]
    known_pages: KnownPages | None = None
    organizations: OrganizationPatterns = NO_PATTERNS
    role: Role | None = None
    proxy_path: str = ""

    def issuers(self, origin: str) -> frozenset[str]:
        """Return the issuers whose tokens count on this origin of the site; a proxy under a path is one of them."""
        known = self.expected.issuers
        return known | {f"{origin}{self.proxy_path}"} if self.proxy_path else known


class Case:
    """One request in front of the rules."""

    __slots__ = ("facts", "now_s", "rules", "trace", "verified")

    def __init__(
        self, facts: RequestFacts, rules: Rules, verified: VerifiedTokens, now_s: float, trace: Trace = NO_TRACE
    ) -> None:
        self.facts = facts
        self.rules = rules
        self.verified = verified
        self.now_s = now_s
        self.trace = trace

    @property
    def is_secure(self) -> bool:
        """Whether cookies get ``Secure``."""
        return self.facts.url.scheme == "https"

    @property
    def handshake_base(self) -> str:
        """Where this request's handshake goes, without a trailing slash."""
        rules = self.rules
        return f"{self.facts.url.origin}{rules.proxy_path}" if rules.proxy_path else rules.handshake_base

    def evidence(self) -> Evidence:
        """Read what cookies and URL say."""
        rules = self.rules
        found = gather(self.facts, rules.names, rules.kind, rules.frontend_api, self.verified, self.now_s)
        if rules.role is None:
            return found
        sync = sync_of(self.facts, rules.role, has_session=bool(found.token or found.client_uat_s))
        return found if sync is None else replace(found, sync=sync)
