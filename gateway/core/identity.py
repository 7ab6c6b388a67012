"""A session, or a machine's token, made into the headers that an upstream reads.

Values are ASCII: anything else is percent-encoded as UTF-8 (RFC 3986 section 2.1), ``%`` included, so that decoding
gives back exactly what the claim says. What does not fit the budget is left out and named in ``<prefix>Truncated``.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gateway.core.claims import SessionClaims
from gateway.core.machine_claims import MachineClaims
from gateway.core.request import Header

MAX_VALUE_BYTES = 4096
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
UNKNOWN_ACTOR = "unknown"
IDENTITY_HEADERS = (
    *("User-Id", "Id", "Actor", "Org-Id", "Org-Slug", "Org-Role", "Org-Permissions", "Status", "Truncated"),
    *("Token-Type", "Subject", "Scopes", "Machine-Id", "Client-Id"),
)
"""What stands behind the prefix."""

SIGNED_IN, SIGNED_OUT = b"signed-in", b"signed-out"


class IdentityHeaders:
    """Makes the identity headers of one configuration.

    Args:
        prefix: ``identity.prefix``, e.g. ``X-Session-``.
        claims: further headers: name and dotted path of the claim, e.g. ``("X-User-Email", "email")``.
    """

    def __init__(self, prefix: str = "X-Session-", claims: Sequence[tuple[str, str]] = ()) -> None:
        self.prefix = prefix.lower().encode("ascii")
        self._claims = tuple((name.lower().encode("ascii"), tuple(path.split("."))) for name, path in claims)
        self.names = tuple(name for name, _ in self._claims)
        own = (self.prefix + name.lower().encode("ascii") for name in IDENTITY_HEADERS)
        self._empty = dict.fromkeys((*own, *self.names), b"")
        self.signed_out: tuple[Header, ...] = ((self.prefix + b"status", SIGNED_OUT),)

    def complete(self, pairs: Sequence[Header]) -> tuple[Header, ...]:
        """Return every header that there can be, empty where these have none: whoever copies them overwrites all."""
        return tuple({**self._empty, **dict(pairs)}.items())

    def of(self, claims: SessionClaims) -> tuple[Header, ...]:
        """Return the headers of a signed-in session; what the session does not have is not there."""
        organization = claims.organization
        named = [("user-id", claims.user_id), ("id", claims.session_id), ("actor", actor_of(claims))]
        if organization is not None:
            named += [
                ("org-id", organization.id),
                ("org-slug", organization.slug),
                ("org-role", organization.role),
                ("org-permissions", ",".join(organization.permissions)),
            ]
        pairs = [(self.prefix + name.encode(), encode(text)) for name, text in named if text]
        if self._claims:
            raw = claims.raw
            pairs += [(name, encode(text)) for name, path in self._claims if (text := _at(raw, path))]
        return self._within_budget(pairs)

    def of_machine(self, machine: MachineClaims) -> tuple[Header, ...]:
        """Return the headers of a machine's token; ``identity.claims`` are claims of sessions and not among them."""
        named = [
            ("token-type", machine.type),
            ("subject", machine.subject),
            ("user-id", machine.user_id),
            ("org-id", machine.org_id),
            ("machine-id", machine.machine_id),
            ("client-id", machine.client_id),
        ]
        pairs = [(self.prefix + name.encode(), encode(text)) for name, text in named if text]
        if machine.scopes:
            pairs.append((self.prefix + b"scopes", b" ".join(map(_encode_word, machine.scopes))))
        return self._within_budget(pairs)

    def _within_budget(self, pairs: Sequence[Header]) -> tuple[Header, ...]:
        kept = [pair for pair in pairs if len(pair[1]) <= MAX_VALUE_BYTES]
        if len(kept) < len(pairs):
            missing = b",".join(name for name, value in pairs if len(value) > MAX_VALUE_BYTES)
            kept.append((self.prefix + b"truncated", missing))
        return (*kept, (self.prefix + b"status", SIGNED_IN))


def actor_of(claims: SessionClaims) -> str:
    """Return who impersonates the user, :data:`UNKNOWN_ACTOR` where the token does not say; empty for nobody."""
    if claims.actor is None:
        return ""
    subject = claims.actor.get("sub")
    return subject if isinstance(subject, str) and subject else UNKNOWN_ACTOR


def encode(text: str) -> bytes:
    """Return a header value that holds the text: visible ASCII as it is, the rest percent-encoded."""
    if text.isascii() and text.isprintable() and "%" not in text and text == text.strip(" "):
        return text.encode("ascii")
    # Blanks at the ends are no part of a field value (RFC 9110 section 5.5): a text that has them encodes its blanks.
    safe = _PLAIN if text == text.strip(" ") else _PLAIN.replace(" ", "")
    return quote(text, safe=safe, errors="replace").encode("ascii")


def _encode_word(text: str) -> bytes:
    """Return a scope without a blank of its own: blanks part scopes (RFC 6749 section 3.3)."""
    return encode(text).replace(b" ", b"%20")


def _at(claims: Mapping[str, Any], path: Sequence[str]) -> str:
    value: Any = claims
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    match value:
        case None:
            return ""
        case str():
            return value
        case bool() | int() | float():
            return json.dumps(value)
        case _:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
