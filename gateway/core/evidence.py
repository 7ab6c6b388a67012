"""What cookies and URL say about a session before any signature is checked.

Read once per request into one record; the rows of :mod:`gateway.core.cookie_rows` look at nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.claims import SessionClaims
from gateway.core.cookies import CLIENT_UAT, DEV_BROWSER, MAX_VALUES, SESSION, CookieNames
from gateway.core.family import FamilyFacts, FamilyRule, family_rule, is_own
from gateway.core.handshake import query_value
from gateway.core.instance import InstanceKind
from gateway.core.request import RequestFacts
from gateway.core.satellites import Sync
from gateway.core.tokens import ParsedToken, TokenError, parse


class VerifiedTokens(Protocol):
    """The tokens whose signature was checked before; looking one up has no effect."""

    def get(self, token: str, now_s: float) -> SessionClaims | None:
        """Return the claims of a token that was verified and may still be used at this time (Unix seconds), or None."""
        ...

    def has_ended(self, session_id: str, issued_at_s: float) -> bool:
        """Return whether a token of this session, issued then (Unix seconds), counts no more."""
        ...


@dataclass(frozen=True, slots=True)
class Peeked:
    """What an unverified token says of itself; good for choosing, never for believing.

    Attributes:
        parsed: the token, to be verified without being read again.
    """

    issuer: str
    session_id: str
    user_id: str
    issued_at_s: float
    expires_at_s: float
    is_session: bool = True
    parsed: ParsedToken | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One request's cookies and URL, the family of cookies chosen.

    Attributes:
        is_development: the kind of instance.
        family: the rule that chose the cookies.
        suffixed: whether the suffixed cookies are believed.
        token: the session cookie; empty for none.
        peeked: what it says; None when it cannot be read.
        is_ambiguous: there are session cookies of two different sessions.
        client_uat_s: Unix seconds of the client's last change; 0 means no active client.
        dev_browser: the development browser's token; empty for none.
        syncs_dev_browser: the URL brings a development browser token.
        sync: what the request has to do with satellites; None for nothing.
    """

    is_development: bool
    family: FamilyRule
    suffixed: bool
    token: str = field(repr=False)
    peeked: Peeked | SessionClaims | None
    is_ambiguous: bool
    client_uat_s: int
    dev_browser: str = field(repr=False)
    syncs_dev_browser: bool
    sync: Sync | None = None

    @property
    def unverified(self) -> ParsedToken | None:
        """The session cookie as it was read; None for one that was verified before, or cannot be read."""
        return self.peeked.parsed if isinstance(self.peeked, Peeked) else None


def gather(
    facts: RequestFacts,
    names: CookieNames,
    kind: InstanceKind,
    frontend_api: str,
    verified: VerifiedTokens,
    now_s: float,
) -> Evidence:
    """Read the evidence of a request that carries no Bearer token."""
    plain_values, suffixed_values = facts.cookies.get(SESSION, ()), facts.cookies.get(names.session, ())
    plain = _choose(plain_values, frontend_api, verified, now_s)
    # As a rule both families hold the same token.
    is_same = suffixed_values == plain_values
    suffixed = plain if is_same else _choose(suffixed_values, frontend_api, verified, now_s)
    plain_uat, suffixed_uat = facts.cookie(CLIENT_UAT), facts.cookie(names.client_uat)
    rule = family_rule(
        FamilyFacts(plain.peeked, suffixed.peeked, bool(plain.token), bool(suffixed.token), plain_uat, suffixed_uat),
        kind,
        frontend_api,
        now_s,
    )
    use_suffixed = rule.prefers_suffixed
    chosen = suffixed if use_suffixed else plain
    in_url = query_value(facts.url, DEV_BROWSER)
    return Evidence(
        is_development=kind is InstanceKind.DEVELOPMENT,
        family=rule,
        suffixed=use_suffixed,
        token=chosen.token,
        peeked=chosen.peeked,
        is_ambiguous=chosen.is_ambiguous,
        client_uat_s=client_uat(suffixed_uat if use_suffixed else plain_uat),
        dev_browser=in_url or facts.cookie(names.dev_browser if use_suffixed else DEV_BROWSER),
        syncs_dev_browser=in_url is not None,
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    token: str = field(repr=False)
    peeked: Peeked | SessionClaims | None
    is_ambiguous: bool = False


_NONE = _Choice("", None)


def _choose(values: Sequence[str], frontend_api: str, verified: VerifiedTokens, now_s: float) -> _Choice:
    """Choose among session cookies of one name: of one session the newest; of several, say that it is ambiguous.

    Another instance on a parent domain may have set one of them; where there are tokens of our own, its do not count.
    """
    if not values:
        return _NONE
    if len(values) == 1:
        return _Choice(values[0], peek(values[0], verified, now_s))
    if len(values) > MAX_VALUES:
        return _Choice(values[0], None, is_ambiguous=True)
    read = [(peeked, value) for value in values if (peeked := peek(value, verified, now_s)) is not None]
    if not read:
        return _Choice(values[0], None)
    read = [item for item in read if is_own(item[0].issuer, frontend_api)] or read
    newest, token = max(read, key=lambda item: item[0].issued_at_s)
    # The user counts too: of tokens that name no session, only that tells two people apart.
    whose = {(peeked.session_id, peeked.user_id) for peeked, _ in read}
    return _Choice(token, newest, is_ambiguous=len(whose) > 1)


def peek(token: str, verified: VerifiedTokens, now_s: float) -> Peeked | SessionClaims | None:
    """Return what a token says of itself, or None when it has not the shape of one."""
    known = verified.get(token, now_s)
    if known is not None:
        return known
    try:
        parsed = parse(token)
    except TokenError:
        return None
    payload = parsed.payload
    return Peeked(
        issuer=_issuer(payload.get("iss")),
        session_id=_text(payload.get("sid")),
        user_id=_text(payload.get("sub")),
        issued_at_s=_seconds(payload.get("iat")),
        expires_at_s=_seconds(payload.get("exp")),
        is_session=parsed.is_session,
        parsed=parsed,
    )


_LEADING_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,15})")


def client_uat(text: str) -> int:
    """Read ``__client_uat`` as JavaScript's parseInt does: the leading integer, otherwise 0."""
    match = _LEADING_INTEGER.match(text)
    return int(match[1]) if match else 0


def _issuer(value: object) -> str:
    """Return the issuer; one that is no text but something is an issuer that is not ours (section 3 rule 2)."""
    if isinstance(value, str):
        return value
    is_nothing = value is None or (isinstance(value, int | float) and not value)
    return "" if is_nothing else "not a text"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


_FAR_S = 1e12
"""Seconds beyond which one time is as good as another."""


def _seconds(value: object) -> float:
    """Return a time; a whole number may have thousands of digits, with which no float can be reckoned."""
    return max(-_FAR_S, min(_FAR_S, value)) if isinstance(value, int | float) and not isinstance(value, bool) else 0
