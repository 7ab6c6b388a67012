"""The records of the authority. Times are Unix milliseconds, as on the wire (Backend API, Session)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.secret import Secret
from gateway.core.session_status import SessionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who can sign in."""

    id: str
    first_name: str
    last_name: str
    email_address: str
    plan: str = ""
    features: tuple[str, ...] = ()
    public_metadata: Mapping[str, object] = field(default_factory=dict)
    unsafe_metadata: Mapping[str, object] = field(default_factory=dict)
    created_at_ms: int = 0

    @property
    def full_name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """An organization, with the features that its plan gives it, in the order of the token."""

    id: str
    name: str
    slug: str
    plan: str = ""
    features: tuple[str, ...] = ()
    public_metadata: Mapping[str, object] = field(default_factory=dict)
    created_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Role:
    """A role such as ``org:admin`` and its permissions such as ``org:teams:manage``."""

    key: str
    name: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """That a user belongs to an organization, and as what."""

    user_id: str
    organization: Organization
    role: Role
    public_metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A browser, or whatever else holds sessions."""

    id: str
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session; its status is the one at the time of reading."""

    id: str
    user_id: str
    client_id: str
    status: SessionStatus
    last_active_organization_id: str | None
    actor: Mapping[str, object] | None
    first_factor_at_ms: int
    last_active_at_ms: int
    expire_at_ms: int
    abandon_at_ms: int
    created_at_ms: int
    updated_at_ms: int

    @property
    def is_live(self) -> bool:
        """Whether tokens may still be made from it."""
        return self.status in (SessionStatus.ACTIVE, SessionStatus.PENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtTemplate:
    """A named shape of token (Backend API, JWT templates); algorithm and key only where it has a key of its own."""

    id: str
    name: str
    claims: Mapping[str, object]
    lifetime_s: int = 60
    allowed_clock_skew_s: int = 5
    signing_algorithm: str | None = None
    signing_key: Secret | None = None
    created_at_ms: int = 0
    updated_at_ms: int = 0
