"""The authority as one object: open it, serve its application, say what it is, close it."""

import time
from collections.abc import Callable
from ipaddress import ip_network

from starlette.applications import Starlette

from gateway.authority.app import build_app
from gateway.authority.checking import Attempts, Checking
from gateway.authority.config import AuthorityConfig
from gateway.authority.cookies import Cookies
from gateway.authority.credentials import PASSWORD
from gateway.authority.realm import Realm
from gateway.authority.store.database import Database
from gateway.authority.store.directory import Directory
from gateway.authority.store.founding import Founding, settle
from gateway.authority.store.grants import Grants
from gateway.authority.store.keychain import Keychain
from gateway.authority.store.ledger import Ledger
from gateway.authority.store.passwords import PasswordCheck, Passwords
from gateway.authority.store.refresh_tokens import RefreshTokens
from gateway.authority.store.signing_keys import SigningKeys
from gateway.authority.store.templates import Templates
from gateway.authority.webhooks.delivery import Courier
from gateway.authority.webhooks.endpoints import Endpoint, read_url
from gateway.authority.webhooks.outbox import Outbox
from gateway.core.instance import PublishableKey
from gateway.core.secret import Secret
from gateway.core.trust import Trust

_DESCRIBED_USERS = 100


class Authority:
    """A session authority: Backend API, Frontend API and sign-in page of one instance.

    Attributes:
        app: the ASGI application.
        realm: its stores and keys, for whoever writes tests or tools inside the process.
    """

    def __init__(self, realm: Realm) -> None:
        self.realm = realm
        self.app: Starlette = build_app(realm)

    @classmethod
    def open(
        cls,
        config: AuthorityConfig,
        clock: Callable[[], float] = time.time,
        founding: Founding | None = None,
    ) -> "Authority":
        """Open the database and find the instance in it; an empty one becomes a new instance.

        Args:
            config: the settings.
            clock: returns Unix seconds.
            founding: the identity for an empty database; None makes one.

        Raises:
            ConfigurationError: the database cannot be used, or holds another instance.
        """
        database = Database.open(config.database)
        try:
            identity = settle(database, config, founding, int(clock() * 1000))
            signing_keys = SigningKeys(database, clock)
            keys = Keychain(database, signing_keys, config.database, config.expired_token_age_limit_s)
        except BaseException:
            database.close()
            raise
        database.hurry()
        directory, passwords = Directory(database), Passwords(database)
        ledger = Ledger(database, config.inactive_retention_s * 1000)
        realm = Realm(
            config=config,
            instance_id=identity.instance_id,
            secret_key=identity.secret_key,
            keys=keys,
            signing_keys=signing_keys,
            cookies=Cookies(config.publishable_key()),
            database=database,
            ledger=ledger,
            grants=Grants(database),
            templates=Templates(database),
            outbox=Outbox(database),
            refresh_tokens=RefreshTokens(database, config.refresh_grace_s * 1000),
            directory=directory,
            passwords=passwords,
            checking=_checking(config, directory, ledger, passwords),
            trust=Trust(networks=tuple(map(ip_network, config.trusted_proxies))),
            clock=clock,
        )
        return cls(realm)

    @property
    def publishable_key(self) -> PublishableKey:
        """Names the instance to gateways and browsers."""
        return self.realm.cookies.key

    @property
    def secret_key(self) -> Secret:
        """Opens the Backend API."""
        return self.realm.secret_key

    @property
    def signing_keys(self) -> SigningKeys:
        """The keys that sign the tokens: generate, rotate, retire them while it serves."""
        return self.realm.signing_keys

    @property
    def api_url(self) -> str:
        """Base of the Backend API, without ``/v1``."""
        return self.realm.config.origin

    @property
    def frontend_api_url(self) -> str:
        """Base of the Frontend API; also the issuer of the tokens."""
        return self.realm.config.origin

    @property
    def jwks_url(self) -> str:
        """The public keys, without authentication."""
        return f"{self.realm.config.origin}/.well-known/jwks.json"

    def describe(self) -> dict[str, object]:
        """What somebody needs to use it, the secret key included; of many users, the first hundred."""
        directory = self.realm.directory
        return {
            "api_url": self.api_url,
            "frontend_api_url": self.frontend_api_url,
            "jwks_url": self.jwks_url,
            "publishable_key": self.publishable_key.value,
            "secret_key": self.secret_key.reveal(),
            "users": [
                {
                    "id": user.id,
                    "first_name": user.first_name,
                    "last_name": user.last_name,
                    "email_address": user.email_address,
                    "organizations": [
                        {"id": member.organization.id, "slug": member.organization.slug, "role": member.role.key}
                        for member in directory.memberships(user.id)
                    ],
                }
                for user in directory.users(_DESCRIBED_USERS)
            ],
            "jwt_templates": self.realm.templates.names(),
        }

    def add_webhook(self, url: str, secret: Secret | None = None, setting: str = "url") -> Endpoint:
        """Post every session event to this URL, from now on.

        Args:
            url: of the receiver; when it is known already, that endpoint stays.
            secret: ``whsec_…``, signs the events; None makes one, or keeps the one that the URL has.
            setting: how the user calls the URL, for the message.

        Raises:
            ConfigurationError: events cannot be posted there.
        """
        read_url(url, self.realm.config.kind, setting)
        return self.realm.outbox.endpoints.ensure(url, secret, self.realm.now_ms())

    async def deliver_webhooks(self) -> None:
        """Make one attempt at every event that is due, for tests: a served application does so by itself."""
        courier = Courier(self.realm.outbox, self.realm.clock)
        await courier.deliver_due()
        await courier.stop()

    def close(self) -> None:
        """Close the database; the application must not be used after that."""
        self.realm.database.close()


def _checking(config: AuthorityConfig, directory: Directory, ledger: Ledger, passwords: Passwords) -> Checking | None:
    if config.sign_in_check is None:
        return None
    own = config.sign_in_check
    check = PasswordCheck(directory, passwords) if own == PASSWORD else own
    # counted by the real time: a clock that a test or an operator sets back must lock nobody out
    return Checking(check, directory, ledger, Attempts(time.monotonic))
