"""Whether somebody may sign in: how often it may be tried, then the check, then whether the user exists.

Every wrong attempt is told in the same words. Tries are counted per account and per address, before the check runs: ten
at once for an account and then one a minute, fifty for an address and then one in ten seconds. An IPv6 network of 64
bits counts as one address, because whoever has one has all of it. Counted are the latest 10,000 accounts and addresses
(some 3 MB). What an address tries beyond its limit is not counted for the account, so nobody has an account forgotten
by naming others; whoever uses more addresses than that makes the oldest be forgotten.

A browser in which the account has been signed in before is counted by itself. So somebody who keeps trying an account
keeps its owner out of new browsers only.
"""

import hashlib
import logging
import math
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from cachetools import LRUCache

from gateway.authenticator.bucket import Bucket
from gateway.authority.credentials import Credentials, SignInCheck
from gateway.authority.errors import Problem, Refusal
from gateway.authority.models import Client
from gateway.authority.store.directory import Directory
from gateway.authority.store.ledger import Ledger
from gateway.core.secret import Secret

_log = logging.getLogger("gateway.authority")

_REMEMBERED = 10_000
_ACCOUNT_BURST, _ACCOUNT_PER_S = 10, 1 / 60
_ADDRESS_BURST, _ADDRESS_PER_S = 50, 1 / 10
_IPV6_BITS = 64
_LATEST_SESSIONS = 10


class Attempts:
    """How often a sign-in was tried.

    Args:
        timer: seconds; only differences count.
        remembered: how many accounts, and how many addresses, are counted at most.
    """

    def __init__(self, timer: Callable[[], float], remembered: int = _REMEMBERED) -> None:
        self._timer = timer
        self._accounts: LRUCache[str, Bucket] = LRUCache(remembered)
        self._addresses: LRUCache[str, Bucket] = LRUCache(remembered)

    def take(self, credentials: Credentials, browser: str = "") -> float:
        """Count one try; returns 0, or the seconds until the next one may be made.

        Args:
            credentials: what is tried.
            browser: id of the client, where the account has been signed in on it before; empty elsewhere.
        """
        return self._address(credentials).take() or self._account(credentials, browser).take()

    def give_back(self, credentials: Credentials, browser: str = "") -> None:
        """Uncount a try that succeeded."""
        self._address(credentials).give_back()
        self._account(credentials, browser).give_back()

    def _account(self, credentials: Credentials, browser: str) -> Bucket:
        # a digest, so that a long text takes no more room than a short one
        text = f"{browser} {_name(credentials.identifier)}"
        name = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        return self._accounts.setdefault(name, Bucket(_ACCOUNT_PER_S, _ACCOUNT_BURST, self._timer))

    def _address(self, credentials: Credentials) -> Bucket:
        name = _party(credentials.address)
        return self._addresses.setdefault(name, Bucket(_ADDRESS_PER_S, _ADDRESS_BURST, self._timer))


def _name(identifier: str) -> str:
    return identifier.strip().casefold()


def _party(address: str) -> str:
    """Whom an address stands for: itself, or the network that its holder picks addresses from (RFC 6177)."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed, _IPV6_BITS), strict=False))


class Checking:
    """Judges who signs in.

    Args:
        check: the deployment's check, or the built-in one.
        directory: who exists.
        ledger: who has been signed in where.
        attempts: counts the tries.
    """

    def __init__(
        self,
        check: SignInCheck,
        directory: Directory,
        ledger: Ledger,
        attempts: Attempts,
    ) -> None:
        self._check = check
        self._directory = directory
        self._ledger = ledger
        self._attempts = attempts

    async def user_id(self, address: str, client: Client | None, identifier: str, password: str) -> str:
        """Return the id of the user who signs in.

        Args:
            address: of the browser; empty if unknown.
            client: what the browser's cookie stands for.
            identifier: whom it claims to be.
            password: what shall prove it.

        Raises:
            Refusal: too many tries, or not that user's password, or there is no such user.
        """
        credentials = Credentials(identifier.strip(), Secret(password), address)
        browser = client.id if client and self._knows(client, identifier) else ""
        if wait_s := self._attempts.take(credentials, browser):
            _log.warning("too many attempts to sign in from %s", credentials.address or "an unknown address")
            raise Refusal(Problem.TOO_MANY_ATTEMPTS, retry_after_s=math.ceil(wait_s))
        user_id = await self._check(credentials)
        if user_id is not None and self._directory.user(user_id) is None:
            _log.error("the sign-in check named a user that does not exist; add the user, or correct the check")
            user_id = None
        if user_id is None:
            _log.info("a wrong attempt to sign in from %s", credentials.address or "an unknown address")
            raise Refusal(Problem.CREDENTIALS_WRONG)
        self._attempts.give_back(credentials, browser)
        return user_id

    def _knows(self, client: Client, identifier: str) -> bool:
        """Whether the client has had a session of this account; nothing is looked up by what was typed."""
        users = map(self._directory.user, self._ledger.users_of(client.id, _LATEST_SESSIONS))
        return any(_name(user.email_address) == _name(identifier) for user in users if user)
