"""What a publishable key says: the kind of instance, its Frontend API, and the suffix of its cookies.

Facts: request-authentication of ``@clerk/backend`` section 1; Sessions API section 3 (refresh cookie).
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import StrEnum

API_URL = "https://api.clerk.com"
"""The Backend API, unless the settings name another."""

API_VERSION = "2026-05-12"
"""The version of both APIs that is spoken here."""


class InstanceKind(StrEnum):
    """Development instances sign in over plain http with a dev browser; production ones share cookies by domain."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


_PREFIXES = {InstanceKind.DEVELOPMENT: "pk_test_", InstanceKind.PRODUCTION: "pk_live_"}


class KeyFormatError(ValueError):
    """The text is no publishable key; the message says why and never holds more than its prefix."""


@dataclass(frozen=True, slots=True)
class PublishableKey:
    """A well-formed publishable key and what can be read from it.

    Attributes:
        value: the key as it was written.
        kind: development or production, by its prefix alone.
        frontend_api: ``host`` or ``host:port`` of the Frontend API.
        cookie_suffix: first eight characters of base64url(SHA-1(value)); names this instance's cookies.
    """

    value: str
    kind: InstanceKind
    frontend_api: str
    cookie_suffix: str

    @classmethod
    def parse(cls, value: str) -> "PublishableKey":
        """Read ``pk_test_<base64 of 'host$'>`` or ``pk_live_…``.

        Raises:
            KeyFormatError: for anything else.
        """
        kind = next((kind for kind, prefix in _PREFIXES.items() if value.startswith(prefix)), None)
        if kind is None:
            raise KeyFormatError("it must start with pk_test_ or pk_live_")
        return cls(value, kind, _frontend_api(value.removeprefix(_PREFIXES[kind])), cookie_suffix(value))

    @classmethod
    def encode(cls, kind: InstanceKind, frontend_api: str) -> "PublishableKey":
        """Make the key that names this Frontend API host (``host`` or ``host:port``, with a dot in it)."""
        encoded = base64.b64encode(f"{frontend_api}$".encode()).decode().rstrip("=")
        return cls.parse(f"{_PREFIXES[kind]}{encoded}")


def _frontend_api(encoded: str) -> str:
    padded = encoded if encoded.endswith("=") else encoded + "=" * (-len(encoded) % 4)
    try:
        text = base64.b64decode(padded, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise KeyFormatError("the part after the prefix is not base64") from None
    host, end, rest = text.partition("$")
    if not end or rest:
        raise KeyFormatError("it must decode to a host that ends in exactly one $")
    if not host.isprintable() or " " in host:
        raise KeyFormatError("the host in it has blanks or control characters")
    if "." not in host:
        raise KeyFormatError("the host in it has no dot")
    return host


def cookie_suffix(publishable_key: str) -> str:
    """Return the suffix of this instance's cookies, e.g. ``__session_<suffix>``."""
    digest = hashlib.sha1(publishable_key.encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest)[:8].decode()
