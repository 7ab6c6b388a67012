"""What the options of ``gateway authority`` amount to: the settings of an authority, and where it listens."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.authority import AuthorityConfig
from gateway.authority.config import MEMORY
from gateway.cli.authority_start import ANYBODY, is_loopback, read_listen
from gateway.cli.serving import reachable, reserve
from gateway.cli.sign_in_check import load_check
from gateway.core.instance import InstanceKind
from gateway.core.settings_model import Address
from gateway.errors import ConfigurationError, Fault

_OPTION_OF = {
    "origin": "--origin",
    "allowed_origins": "--allow-origin",
    "sign_in_check": "--sign-in-check",
    "trusted_proxies": "--trust-proxy",
    "session_claims": "--session-claims",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityOptions:
    """What was asked for on the command line."""

    listen: str
    origin: str | None
    db: str | None
    instance: str
    token_lifetime_s: int
    inactive_retention_s: int
    is_remote_allowed: bool
    control: str | None = None
    seed: str | None = None
    allowed_origins: tuple[str, ...] = ()
    sign_in_check: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    requires_organization: bool = False
    session_claims: str | None = None
    webhooks: tuple[str, ...] = ()
    webhook_secret_file: str | None = None


def read_config(options: AuthorityOptions, listen: Address) -> AuthorityConfig:
    """The settings that the options amount to.

    Raises:
        ConfigurationError: every option that cannot be used.
    """
    check = load_check(options.sign_in_check)
    claims = read_claims(options.session_claims) if options.session_claims is not None else {}
    try:
        return AuthorityConfig(
            origin=options.origin or f"http://{Address(reachable(listen.host), listen.port)}",
            database=options.db or MEMORY,
            kind=InstanceKind(options.instance),
            token_lifetime_s=options.token_lifetime_s,
            inactive_retention_s=options.inactive_retention_s,
            allowed_origins=options.allowed_origins,
            sign_in_check=check,
            trusted_proxies=options.trusted_proxies,
            requires_organization=options.requires_organization,
            session_claims=claims,
        )
    except ConfigurationError as error:
        faults = [replace(fault, setting=_OPTION_OF.get(fault.setting, fault.setting)) for fault in error.faults]
        raise ConfigurationError(faults) from None


def read_claims(path: str) -> dict[str, object]:
    """The claims that a file adds to session tokens.

    Raises:
        ConfigurationError: it cannot be read, or holds no JSON object.
    """
    try:
        claims = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            [Fault("--session-claims", path, f"it cannot be read ({error.strerror})", "name a JSON file")]
        ) from None
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        fix = 'write for example {"team": "{{org.slug}}"}'
        raise ConfigurationError([Fault("--session-claims", path, "it holds no JSON object", fix)])
    return claims


def resolve_listen(options: AuthorityOptions) -> Address:
    """The address to listen on; port 0 becomes a free one, because the publishable key names the port.

    Raises:
        ConfigurationError: it is no address, or it is not of this machine alone and that was not allowed.
        CannotListen: there is no free port.
    """
    listen = read_listen(options.listen, "--listen", "127.0.0.1:8001")
    if not is_loopback(listen.host) and not options.is_remote_allowed:
        danger = ANYBODY if options.sign_in_check is None else "it speaks http without encryption"
        problem = f"other machines could reach it, and {danger}"
        fix = "listen on 127.0.0.1, or add --allow-remote if the network is closed"
        raise ConfigurationError([Fault("--listen", options.listen, problem, fix)])
    return listen if listen.port else reserve(listen, "--listen")
