"""Session Gateway: an authenticating reverse proxy and ASGI middleware for Clerk-style session tokens.

The names below are the public surface. They are loaded when they are first used, so that ``gateway --help`` does not
import what the proxy needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from gateway.version import __version__

if TYPE_CHECKING:
    from gateway.adapters.config import load as load_settings
    from gateway.assemble import SessionMiddleware, proxy_app
    from gateway.core.authorization import Reverification
    from gateway.core.claims import Organization, SessionClaims
    from gateway.core.machine_claims import MachineClaims
    from gateway.core.settings import Settings
    from gateway.core.settings import parse as parse_settings
    from gateway.errors import ConfigurationError, GatewayError, SessionsApiError
    from gateway.sessions.client import SessionsClient
    from gateway.surfaces.require import AccessDenied, require

__all__ = [
    "AccessDenied",
    "ConfigurationError",
    "GatewayError",
    "MachineClaims",
    "Organization",
    "Reverification",
    "SessionClaims",
    "SessionMiddleware",
    "SessionsApiError",
    "SessionsClient",
    "Settings",
    "__version__",
    "load_settings",
    "parse_settings",
    "proxy_app",
    "require",
]

_HOMES = {
    "AccessDenied": ("gateway.surfaces.require", "AccessDenied"),
    "ConfigurationError": ("gateway.errors", "ConfigurationError"),
    "GatewayError": ("gateway.errors", "GatewayError"),
    "MachineClaims": ("gateway.core.machine_claims", "MachineClaims"),
    "Organization": ("gateway.core.claims", "Organization"),
    "Reverification": ("gateway.core.authorization", "Reverification"),
    "SessionClaims": ("gateway.core.claims", "SessionClaims"),
    "SessionMiddleware": ("gateway.assemble", "SessionMiddleware"),
    "SessionsApiError": ("gateway.errors", "SessionsApiError"),
    "SessionsClient": ("gateway.sessions.client", "SessionsClient"),
    "Settings": ("gateway.core.settings", "Settings"),
    "load_settings": ("gateway.adapters.config", "load"),
    "parse_settings": ("gateway.core.settings", "parse"),
    "proxy_app": ("gateway.assemble", "proxy_app"),
    "require": ("gateway.surfaces.require", "require"),
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gateway' has no attribute {name!r}")
    return getattr(import_module(home[0]), home[1])
