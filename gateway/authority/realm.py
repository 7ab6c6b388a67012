"""Everything that an operation of the authority works with, in one record."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from gateway.authority.checking import Checking
from gateway.authority.config import AuthorityConfig
from gateway.authority.cookies import Cookies
from gateway.authority.errors import Problem, Refusal
from gateway.authority.models import JwtTemplate, SessionRecord
from gateway.authority.signing import template_keys
from gateway.authority.signing.keyring import Category
from gateway.authority.signing.token_claims import TokenFacts, session_claims, template_claims
from gateway.authority.store.database import Database
from gateway.authority.store.directory import Directory
from gateway.authority.store.grants import Grants
from gateway.authority.store.keychain import Keychain
from gateway.authority.store.ledger import Ledger
from gateway.authority.store.passwords import Passwords
from gateway.authority.store.refresh_tokens import RefreshTokens
from gateway.authority.store.signing_keys import SigningKeys
from gateway.authority.store.templates import Templates
from gateway.authority.versions import ApiVersion
from gateway.authority.webhooks.outbox import Outbox
from gateway.core.secret import Secret
from gateway.core.trust import Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOrder:
    """What a token is wanted for.

    Attributes:
        azp: the origin that will use it, or None.
        now_ms: when.
        lifetime_s: None takes the usual one.
    """

    azp: str | None
    now_ms: int
    lifetime_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """One instance: its settings, its keys, its stores, its clock."""

    config: AuthorityConfig
    instance_id: str
    secret_key: Secret
    keys: Keychain
    signing_keys: SigningKeys
    cookies: Cookies
    database: Database
    directory: Directory
    ledger: Ledger
    grants: Grants
    templates: Templates
    outbox: Outbox
    refresh_tokens: RefreshTokens
    passwords: Passwords
    checking: Checking | None
    trust: Trust
    clock: Callable[[], float]

    def now_ms(self) -> int:
        """The time, in Unix milliseconds."""
        return int(self.clock() * 1000)

    def session_token(self, session: SessionRecord, order: TokenOrder, version: ApiVersion) -> str:
        """Make a session token.

        Raises:
            Refusal: the user is gone.
        """
        claims = session_claims(
            self._facts(session, order),
            version.token_version,
            self.config.token_lifetime_s,
            self.config.session_claims,
        )
        return self.keys.sign(claims, Category.SESSION)

    def template_token(self, session: SessionRecord, order: TokenOrder, template: JwtTemplate) -> str:
        """Make a token from a JWT template, with the template's key or else the instance's.

        Raises:
            Refusal: the user is gone.
        """
        claims = template_claims(self._facts(session, order), template)
        if template.signing_algorithm is not None and template.signing_key is not None:
            return template_keys.sign(claims, template.signing_algorithm, template.signing_key)
        return self.keys.sign(claims, Category.TEMPLATE)

    def _facts(self, session: SessionRecord, order: TokenOrder) -> TokenFacts:
        user = self.directory.user(session.user_id)
        if user is None:
            raise Refusal(Problem.USER_NOT_FOUND, id=session.user_id)
        organization_id = session.last_active_organization_id
        return TokenFacts(
            issuer=self.config.origin,
            azp=order.azp,
            session=session,
            user=user,
            # looked up each time: a membership that ended is not in the next token
            membership=self.directory.membership(user.id, organization_id) if organization_id else None,
            issued_at_s=order.now_ms // 1000,
            lifetime_s=order.lifetime_s,
            token_id=secrets.token_hex(10),
        )
