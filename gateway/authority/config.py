"""How one authority is set up: where it answers, where it keeps its state, and how long things live.

What the public facts leave open is decided here, one field each: how old an expired token may be and still be traded,
how long a rotated refresh token stays good, how long a handshake nonce waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from gateway.authority.credentials import PASSWORD, SignIn
from gateway.authority.return_urls import origin_of
from gateway.authority.signing.template_form import TemplateFault, require_good_claims
from gateway.authority.signing.token_claims import SESSION_CLAIMS
from gateway.core.instance import InstanceKind, KeyFormatError, PublishableKey
from gateway.core.secret import Secret
from gateway.errors import ConfigurationError, Fault

MEMORY = ":memory:"
_DAY_S = 24 * 60 * 60
_SECRET_PREFIXES = {InstanceKind.DEVELOPMENT: "sk_test_", InstanceKind.PRODUCTION: "sk_live_"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityConfig:
    """The settings of an authority.

    Attributes:
        origin: where browsers and backends reach it, e.g. ``http://127.0.0.1:8001``; the publishable key names its
            host and port, and the tokens' issuer is this text.
        database: path of the SQLite file, or ``:memory:``.
        kind: development signs in without https and with a dev browser; production needs https in real browsers.
        token_lifetime_s: lifetime of a session token.
        session_lifetime_s: after that a session is ``expired``, whatever happened.
        abandon_after_s: after that without activity a session is ``abandoned``.
        expired_token_age_limit_s: how long after its ``iat`` a session token may still be traded by a refresh.
        refresh_grace_s: how long a rotated refresh token stays good, for tabs that refresh at the same time.
        inactive_retention_s: how long a session that is over is still listed, and a client without sessions is known;
            afterwards it is purged, a few with each new one.
        nonce_lifetime_s: how long a handshake payload waits to be fetched.
        allowed_origins: origins that a browser may be sent back to, and whose pages may call the Frontend API. Empty:
            for development any http(s) origin, or with a sign-in check those of this machine; for production only the
            authority's own.
        sign_in_check: judges who signs in; ``"password"`` is the built-in check of email address and password. None
            lets anybody be anybody, which production does not allow.
        trusted_proxies: networks of the proxies in front, whose ``X-Forwarded-For`` names the browser's address; the
            limit of sign-in attempts and the events of webhooks go by it.
        requires_organization: a session without an organization is ``pending`` until its user chooses one.
        session_claims: claims that every session token gets besides its own, with shortcodes as in a JWT template.
        secret_key: the Backend API key of a new database; None makes one.

    Raises:
        ConfigurationError: with every field that cannot be used.
    """

    origin: str
    database: str = MEMORY
    kind: InstanceKind = InstanceKind.DEVELOPMENT
    token_lifetime_s: int = 60
    session_lifetime_s: int = 7 * _DAY_S
    abandon_after_s: int = 30 * _DAY_S
    expired_token_age_limit_s: int = _DAY_S
    refresh_grace_s: int = 10
    inactive_retention_s: int = 30 * _DAY_S
    nonce_lifetime_s: int = 60
    allowed_origins: tuple[str, ...] = ()
    sign_in_check: SignIn = None
    trusted_proxies: tuple[str, ...] = ()
    requires_organization: bool = False
    session_claims: Mapping[str, object] = field(default_factory=dict)
    secret_key: Secret | None = None

    def __post_init__(self) -> None:
        faults = [*self._origin_faults(), *self._number_faults(), *self._secret_faults(), *self._sign_in_faults()]
        faults += self._claim_faults()
        if faults:
            raise ConfigurationError(faults)

    @property
    def host(self) -> str:
        """Host, and port where it is not the default: what the publishable key names."""
        return urlsplit(self.origin).netloc

    def serves(self, origin: str) -> bool:
        """Whether a browser may be sent back to this origin, and its pages may call the Frontend API.

        Args:
            origin: as :func:`gateway.authority.return_urls.origin_of` writes it.
        """
        if self.allowed_origins:
            return origin in self.allowed_origins
        if self.kind is InstanceKind.PRODUCTION or origin == self.origin:
            return origin == self.origin
        # where somebody checks, a session is worth stealing, and any site can send a browser to the handshake
        return self.sign_in_check is None or _is_of_this_machine(origin)

    @property
    def secret_prefix(self) -> str:
        """How a secret key of this kind of instance starts."""
        return _SECRET_PREFIXES[self.kind]

    def publishable_key(self) -> PublishableKey:
        """The key that names this authority."""
        return PublishableKey.encode(self.kind, self.host)

    def _origin_faults(self) -> list[Fault]:
        example = "write an origin like http://127.0.0.1:8001"
        faults = [
            Fault(name, text, "it is not a plain http or https origin", example)
            for name, text in [("origin", self.origin), *(("allowed_origins", text) for text in self.allowed_origins)]
            if origin_of(text) != text
        ]
        if not faults:
            try:
                self.publishable_key()
            except KeyFormatError as error:
                fix = "use a host with a dot, e.g. 127.0.0.1 instead of localhost"
                faults.append(Fault("origin", self.origin, f"no publishable key can name it: {error}", fix))
        return faults

    def _number_faults(self) -> list[Fault]:
        least = {
            "token_lifetime_s": 1,
            "session_lifetime_s": 1,
            "abandon_after_s": 1,
            "expired_token_age_limit_s": 1,
            "refresh_grace_s": 0,
            "inactive_retention_s": 1,
            "nonce_lifetime_s": 1,
        }
        seen = {name: int(getattr(self, name)) for name in least}
        return [
            Fault(name, str(value), "it is too small", f"write a number of seconds of at least {least[name]}")
            for name, value in seen.items()
            if value < least[name]
        ]

    def _secret_faults(self) -> list[Fault]:
        if self.secret_key is None or self.secret_key.reveal().startswith(self.secret_prefix):
            return []
        problem = f"a {self.kind} authority's secret key starts with {self.secret_prefix}"
        return [Fault("secret_key", self.secret_key.hint(), problem, "use a key of that kind, or leave it out")]

    def _claim_faults(self) -> list[Fault]:
        try:
            require_good_claims(self.session_claims, SESSION_CLAIMS)
        except TemplateFault as fault:
            return [Fault("session_claims", "", fault.problem, "name other claims, with JSON values")]
        return []

    def _sign_in_faults(self) -> list[Fault]:
        faults = []
        if self.sign_in_check is None and self.kind is InstanceKind.PRODUCTION:
            problem = "a production instance cannot let anybody be anybody, and nothing checks who signs in"
            fix = f'use "{PASSWORD}" (email address and password), or a function of your own as module:function'
            faults.append(Fault("sign_in_check", "none", problem, fix))
        for network in self.trusted_proxies:
            try:
                ip_network(network)
            except ValueError:
                fix = "write an address or a network like 10.0.0.0/8"
                faults.append(Fault("trusted_proxies", network, "it is not a network", fix))
        return faults


def _is_of_this_machine(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3
