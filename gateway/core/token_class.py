"""Which class a token is of, told apart in this one place and before anything else is asked of it.

One instance signs session tokens, tokens of JWT templates, M2M tokens and OAuth access tokens with the same keys, so a
good signature says nothing about what a token may be used for. Opaque machine tokens are known by how they begin.
Source: request-authentication section 5.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

CATEGORY_SESSION = "cl_B7d4PD111AAA"
CATEGORY_TEMPLATE = "cl_B7d4PD222AAA"
CATEGORY_M2M = "cl_B7d4PD333AAA"
CATEGORY_IGNORE = "cl_I7d4PD111III"

JWT_TYPES = frozenset({"JWT"})
OAUTH_TYPES = frozenset({"at+jwt", "application/at+jwt"})
"""``typ`` of OAuth access tokens (RFC 9068 section 2.1)."""

MACHINE_SUBJECT = "mch_"

MAX_OPAQUE_CHARS = 1024
# What RFC 6750 section 2.1 allows in a Bearer token, without the dots that only a JWT has.
_OPAQUE = re.compile(r"[A-Za-z0-9_~+/-]+=*").fullmatch


class TokenType(StrEnum):
    """What a route can accept, in Clerk's own words (``acceptsToken``)."""

    SESSION_TOKEN = "session_token"
    API_KEY = "api_key"
    M2M_TOKEN = "m2m_token"
    OAUTH_TOKEN = "oauth_token"


class TokenClass(StrEnum):
    """What a JWT is by its own word; nothing is verified."""

    SESSION = "session"
    TEMPLATE = "template"
    M2M = "m2m"
    OAUTH = "oauth"
    OTHER = "other"
    """Of a category that nobody knows; good for nothing."""


Accepts = tuple[TokenType, ...]

SESSION_ONLY: Accepts = (TokenType.SESSION_TOKEN,)
ANY: Accepts = tuple(TokenType)

_OPAQUE_TYPES = {"mt_": TokenType.M2M_TOKEN, "oat_": TokenType.OAUTH_TOKEN, "ak_": TokenType.API_KEY}
_OPAQUE_PREFIXES = tuple(_OPAQUE_TYPES)

_MACHINE_CLASSES = {TokenClass.M2M: TokenType.M2M_TOKEN, TokenClass.OAUTH: TokenType.OAUTH_TOKEN}


def class_of(header: Mapping[str, Any], payload: Mapping[str, Any]) -> TokenClass:
    """Return the class of a decoded JWT."""
    subject = payload.get("sub")
    if isinstance(subject, str) and subject.startswith(MACHINE_SUBJECT):
        return TokenClass.M2M
    kind = header.get("typ")
    if isinstance(kind, str) and kind.lower() in OAUTH_TYPES:
        # Media types have no case (RFC 2045 section 5.1): no spelling makes a session token, one an OAuth token.
        return TokenClass.OAUTH if kind in OAUTH_TYPES else TokenClass.OTHER
    category = header.get("cat", CATEGORY_SESSION)
    if category in (CATEGORY_SESSION, CATEGORY_IGNORE):
        return TokenClass.SESSION
    return TokenClass.TEMPLATE if category == CATEGORY_TEMPLATE else TokenClass.OTHER


def machine_type(kind: TokenClass) -> TokenType | None:
    """Return what a JWT of this class is to a route, or None where it is no machine's."""
    return _MACHINE_CLASSES.get(kind)


def opaque_type(token: str) -> TokenType | None:
    """Return what an opaque machine token is, or None for a token of another kind."""
    if not token.startswith(_OPAQUE_PREFIXES):
        return None
    return _OPAQUE_TYPES[token[: token.index("_") + 1]]


def is_well_formed(token: str) -> bool:
    """Return whether the API can be asked about an opaque token; no other text is ever sent to it."""
    return len(token) <= MAX_OPAQUE_CHARS and _OPAQUE(token) is not None


def has_machines(accepts: Accepts) -> bool:
    """Return whether a route takes any token of a machine."""
    return any(kind is not TokenType.SESSION_TOKEN for kind in accepts)
