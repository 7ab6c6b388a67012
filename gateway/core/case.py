"""One request in front of one instance's rules."""

from dataclasses import dataclass

from gateway.core.cookies import CookieNames
from gateway.core.evidence import Evidence, VerifiedTokens, gather
from gateway.core.instance import InstanceKind
from gateway.core.organization_sync import NO_PATTERNS, OrganizationPatterns
from gateway.core.referrers import KnownPages
from gateway.core.request import RequestFacts
from gateway.core.tokens import Expectations
from gateway.core.trace import NO_TRACE, Trace


@dataclass(frozen=True, slots=True)
class Rules:
    """One instance's rules, made once from the settings.

    Attributes:
        kind, frontend_api, names: from the publishable key.
        handshake_base: where handshakes go, ``https://host``, no trailing slash.
        expected: what claims have to agree with.
        refresh_methods: methods whose requests may be refreshed; None for any.
        has_refresh: expired tokens are refreshed.
        has_api: there is a secret key, so nonces can be looked up; without it handshakes bring a token.
        known_pages: pages that people come from without a handshake; None for any.
        organizations: which pages are for which organization.
    """

    kind: InstanceKind
    frontend_api: str
    names: CookieNames
    handshake_base: str
    expected: Expectations
    refresh_methods: frozenset[str] | None
    has_refresh: bool
    has_api: bool
    known_pages: KnownPages | None = None
    organizations: OrganizationPatterns = NO_PATTERNS


@dataclass(frozen=True, slots=True)
class Case:
    """One request in front of the rules."""

    facts: RequestFacts
    rules: Rules
    verified: VerifiedTokens
    now_s: float
    trace: Trace = NO_TRACE

    @property
    def is_secure(self) -> bool:
        """Whether cookies get ``Secure``."""
        return self.facts.url.scheme == "https"

    def evidence(self) -> Evidence:
        """Read what cookies and URL say."""
        rules = self.rules
        return gather(self.facts, rules.names, rules.kind, rules.frontend_api, self.now_s, self.verified)
