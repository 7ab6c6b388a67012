"""Whether somebody may sign in: how often it may be tried, then the check, then whether the user exists.

Every wrong attempt is told in the same words. Tries are counted per account and per address, before the check runs: ten
at once for an account and then one a minute, fifty for an address and then one in ten seconds. An IPv6 network of 64
bits counts as one address, because whoever has one has all of it. Counted are the latest 10,000 accounts and addresses
(some 3 MB). What an address tries beyond its limit is not counted for the account, so nobody has an account forgotten
by naming others; whoever uses more addresses than that makes the oldest be forgotten.
"""

import hashlib
import logging
import math
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from cachetools import LRUCache
from starlette.requests import Request

from gateway.authenticator.bucket import Bucket
from gateway.authority.credentials import Credentials, SignInCheck
from gateway.authority.errors import Problem, Refusal
from gateway.authority.store.directory import Directory
from gateway.core.secret import Secret
from gateway.core.trust import Forwarded, Trust

_log = logging.getLogger("gateway.authority")

_REMEMBERED = 10_000
_ACCOUNT_BURST, _ACCOUNT_PER_S = 10, 1 / 60
_ADDRESS_BURST, _ADDRESS_PER_S = 50, 1 / 10
_IPV6_BITS = 64


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

    def take(self, credentials: Credentials) -> float:
        """Count one try; returns 0, or the seconds until the next one may be made."""
        return self._address(credentials).take() or self._account(credentials).take()

    def give_back(self, credentials: Credentials) -> None:
        """Uncount a try that succeeded."""
        self._address(credentials).give_back()
        self._account(credentials).give_back()

    def _account(self, credentials: Credentials) -> Bucket:
        # a digest, so that a long text takes no more room than a short one
        name = hashlib.sha256(credentials.identifier.strip().casefold().encode("utf-8", "replace")).hexdigest()
        return self._accounts.setdefault(name, Bucket(_ACCOUNT_PER_S, _ACCOUNT_BURST, self._timer))

    def _address(self, credentials: Credentials) -> Bucket:
        name = _party(credentials.address)
        return self._addresses.setdefault(name, Bucket(_ADDRESS_PER_S, _ADDRESS_BURST, self._timer))


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
        attempts: counts the tries.
        trusted_proxies: networks whose ``X-Forwarded-For`` is believed.
    """

    def __init__(
        self, check: SignInCheck, directory: Directory, attempts: Attempts, trusted_proxies: tuple[str, ...] = ()
    ) -> None:
        self._check = check
        self._directory = directory
        self._attempts = attempts
        self._trust = Trust(networks=tuple(ip_network(text) for text in trusted_proxies))

    async def user_id(self, request: Request, identifier: str, password: str) -> str:
        """Return the id of the user who signs in.

        Raises:
            Refusal: too many tries, or not that user's password, or there is no such user.
        """
        credentials = Credentials(identifier.strip(), Secret(password), self._address(request))
        if wait_s := self._attempts.take(credentials):
            _log.warning("too many attempts to sign in from %s", credentials.address or "an unknown address")
            raise Refusal(Problem.TOO_MANY_ATTEMPTS, retry_after_s=math.ceil(wait_s))
        user_id = await self._check(credentials)
        if user_id is not None and self._directory.user(user_id) is None:
            _log.error("the sign-in check named a user that does not exist; add the user, or correct the check")
            user_id = None
        if user_id is None:
            _log.info("a wrong attempt to sign in from %s", credentials.address or "an unknown address")
            raise Refusal(Problem.CREDENTIALS_WRONG)
        self._attempts.give_back(credentials)
        return user_id

    def _address(self, request: Request) -> str:
        if request.client is None:
            return ""
        forwarded = [value.encode("latin-1") for value in request.headers.getlist("x-forwarded-for")]
        return self._trust.client_address(request.client.host, Forwarded(client=forwarded))
