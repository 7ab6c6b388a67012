"""Answers that are well-formed and wrong: foreign keys, tokens of another session, tokens that are over.

The tokens are signed by the instance's own keys, so only a reader who looks at what they say can tell.
"""

import json
import re
from collections.abc import Callable
from functools import cache

from gateway.authority.identifiers import new_id
from gateway.authority.realm import Realm
from gateway.authority.signing.keyring import Category, ForeignToken, SigningKey

_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_CATEGORIES = {category.value: category for category in Category}
_EXPIRED_AGE_S = 3600

Claims = dict[str, object]


def foreign_keys(text: str) -> str:
    """The JWKS with another RSA key under each id; a text that is no JWKS stays as it is."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        return text
    document["keys"] = [_foreign_key().to_jwk() | {"kid": key["kid"]} for key in keys]
    return json.dumps(document, separators=(",", ":"))


def other_session(realm: Realm, text: str) -> str:
    """The text with every token in it naming a session that does not exist, of the same user."""

    def change(claims: Claims) -> Claims:
        return claims | ({"sid": new_id("sess")} if "sid" in claims else {})

    return _retold(realm, text, change)


def expired(realm: Realm, text: str) -> str:
    """The text with every token in it as it would have been, had it expired an hour ago."""

    def change(claims: Claims) -> Claims:
        expires_at_s = claims.get("exp")
        if not isinstance(expires_at_s, int):
            return claims
        shift_s = expires_at_s - int(realm.clock()) + _EXPIRED_AGE_S
        moved = {name: value - shift_s for name in ("iat", "nbf", "exp") if isinstance(value := claims.get(name), int)}
        return claims | moved

    return _retold(realm, text, change)


def _retold(realm: Realm, text: str, change: Callable[[Claims], Claims]) -> str:
    def one(match: re.Match[str]) -> str:
        try:
            token = realm.keys.open(match[0])
        except ForeignToken:
            return match[0]
        claims = change(dict(token.payload))
        # a handshake's token holds cookies, and one of them the session token (request authentication section 10)
        directives = claims.get("handshake")
        if isinstance(directives, list):
            claims["handshake"] = [_retold(realm, str(directive), change) for directive in directives]
        return realm.keys.sign(claims, _CATEGORIES.get(str(token.header.get("cat"))))

    return _TOKEN.sub(one, text)


@cache
def _foreign_key() -> SigningKey:
    return SigningKey.generate("foreign")
