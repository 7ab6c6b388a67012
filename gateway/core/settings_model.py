"""The settings as frozen records, and the only place where a default is written.

What each one means stands beside its key in :mod:`gateway.core.settings_keys`; reading and judging is
:mod:`gateway.core.settings`.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from gateway.core.instance import API_URL, PublishableKey
from gateway.core.original import Front
from gateway.core.requirement import Requirement
from gateway.core.secret import Secret
from gateway.core.token_class import SESSION_ONLY, TokenType
from gateway.errors import Fault

Network = IPv4Network | IPv6Network


class Access(StrEnum):
    """Who may pass on a route."""

    PUBLIC = "public"
    OPTIONAL = "optional"
    REQUIRED = "required"

    @property
    def strictness(self) -> int:
        """Return 0 for public, 1 for optional, 2 for required."""
        return list(Access).index(self)


class OnSignedOut(StrEnum):
    """What a signed-out request gets where a session is required."""

    AUTO = "auto"
    REDIRECT = "redirect"
    UNAUTHORIZED = "401"


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on; port 0 asks for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSettings:
    """Which instance's sessions count, and how to reach its APIs."""

    publishable_key: PublishableKey
    secret_key: Secret | None = None
    machine_secret_key: Secret | None = None
    api_url: str = API_URL
    jwt_key: str | None = None
    authorized_parties: tuple[str, ...] = ()
    sign_in_url: str | None = None
    proxy_url: str | None = None
    is_satellite: bool = False
    domain: str | None = None
    satellite_auto_sync: bool = False
    satellite_origins: tuple[str, ...] = ()
    clock_skew_s: float = 5.0
    organization_patterns: tuple[str, ...] = ()
    personal_patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the gateway listens and whom it believes."""

    listen: Address = Address("127.0.0.1", 8000)
    workers: int = 1
    trusted_proxies: tuple[Network, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    drain_s: float = 30.0
    max_requests: int = 4096
    head_timeout_s: float = 10.0
    keep_alive_s: float = 75.0
    max_connections: int = 10_000
    max_connections_per_address: int = 0
    forwarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """What the upstream is told about the session."""

    prefix: str = "X-Session-"
    claims: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideSettings:
    """Which other proxies ask for decisions, and from where."""

    fronts: tuple[Front, ...] = ()
    trusted: tuple[Network, ...] = ()
    grpc_listen: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysSettings:
    """How long keys are used while their source is down, and where they outlive a restart."""

    stale_s: float = 3600.0
    cool_down_s: float = 10.0
    cache_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSettings:
    """Whether and how an expired token is traded for a new one."""

    enabled: bool = True
    budget_ms: int = 2000
    methods: tuple[str, ...] | None = None
    max_concurrent: int = 64
    store: Secret | Literal["none"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """How much each worker process remembers of verified tokens."""

    max_tokens: int = 100_000
    max_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSettings:
    """How long the API's answers about machine tokens count, and how much it may be asked."""

    cache_s: float = 30.0
    negative_cache_s: float = 10.0
    budget_ms: int = 2000
    new_tokens_per_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketSettings:
    """How much WebSockets may take, and how soon they end with their session."""

    max_message_bytes: int = 1024 * 1024
    max_open: int = 2048
    idle_s: float = 3600.0
    ping_s: float = 30.0
    recheck_s: float = 60.0
    unchecked_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is written about requests and by whom it is to be read."""

    access: bool = False
    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOfUpstream:
    """One server of several."""

    url: str
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """How servers are asked whether they are well."""

    path: str = "/"
    interval_s: float = 10.0
    timeout_s: float = 2.0
    healthy: int = 2
    unhealthy: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EjectionSettings:
    """When a server is left alone for a while."""

    failures: int = 5
    first_s: float = 10.0
    longest_s: float = 300.0
    share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSettings:
    """Several servers under one name."""

    name: str
    servers: tuple[ServerOfUpstream, ...]
    balance: Literal["round_robin", "least_connections"] = "round_robin"
    health: HealthSettings | None = None
    ejection: EjectionSettings = EjectionSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsSettings:
    """Which pages of other origins may read a route's answers."""

    origins: tuple[str, ...]
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ("Authorization", "Content-Type")
    expose: tuple[str, ...] = ()
    credentials: bool = False
    max_age_s: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """One rule: which requests, where to, and who may pass."""

    path: str = "/"
    exact: bool = False
    host: str | None = None
    methods: tuple[str, ...] = ()
    upstream: str | None = None
    access: Access = Access.REQUIRED
    accepts: tuple[TokenType, ...] = SESSION_ONLY
    require: Requirement | None = None
    on_signed_out: OnSignedOut = OnSignedOut.AUTO
    keep_credentials: bool = False
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 60.0
    idle_timeout_s: float = 60.0
    total_timeout_s: float = 0.0
    keep_alive_s: float = 15.0
    max_connections: int = 1024
    http: Literal["1.1", "2"] = "1.1"
    tls_ca_file: str | None = None
    tls_certificate_file: str | None = None
    tls_key_file: str | None = None
    tls_name: str | None = None
    websocket_token_protocol: str | None = None
    strip_prefix: str | None = None
    replace_prefix: str | None = None
    rewrite_answers: bool = True
    host_header: str = "keep"
    identity: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    cors: CorsSettings | None = None
    max_body_bytes: int | None = None
    max_header_bytes: int | None = None
    loosens: bool = False

    def __post_init__(self) -> None:
        if self.require is not None and self.access is not Access.REQUIRED:
            raise ValueError("a requirement is asked of sessions, so the route has to require one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set.

    Attributes:
        warnings: what can be used but deserves a look; shaped like faults.
    """

    instance: InstanceSettings
    server: ServerSettings = ServerSettings()
    identity: IdentitySettings = IdentitySettings()
    decide: DecideSettings = DecideSettings()
    keys: KeysSettings = KeysSettings()
    refresh: RefreshSettings = RefreshSettings()
    cache: CacheSettings = CacheSettings()
    machines: MachineSettings = MachineSettings()
    websocket: WebSocketSettings = WebSocketSettings()
    log: LogSettings = LogSettings()
    upstreams: tuple[UpstreamSettings, ...] = ()
    routes: tuple[RouteSettings, ...] = (RouteSettings(),)
    warnings: tuple[Fault, ...] = ()
