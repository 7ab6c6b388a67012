"""Keys, tokens, clocks and ports for tests of the engine: constructed, scripted, nothing patched."""

import asyncio
from collections.abc import Mapping
from functools import cache

import jwt

from gateway.authority.signing.keyring import SigningKey
from gateway.core.case import Rules
from gateway.core.cookies import CookieNames
from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.keys import VerificationKey, key_set
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.token_class import CATEGORY_SESSION
from gateway.core.tokens import Expectations
from gateway.core.verdict import NeedRefresh
from gateway.ports import KeysStatus

NOW = 1_800_000_000.0
HOST = "clerk.example.test"
STATE = "s" * 43
ISSUER = f"https://{HOST}"
APP = "https://app.example.test"
KEY = PublishableKey.encode(InstanceKind.PRODUCTION, HOST)
NAMES = CookieNames.of(KEY.cookie_suffix)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self, now_s: float = NOW) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@cache
def signer(kid: str) -> SigningKey:
    """One key pair for each id; making one takes longer than most tests."""
    return SigningKey.generate(kid)


def jwks(*kids: str) -> dict[str, object]:
    return {"keys": [signer(kid).to_jwk() for kid in kids]}


def mint(kid: str = "key_1", *, header: Mapping[str, object] | None = None, **changes: object) -> str:
    """A session token that is good at NOW; ``...`` leaves a claim out."""
    claims: dict[str, object] = {
        "iss": ISSUER,
        "sub": "user_1",
        "sid": "sess_1",
        "azp": APP,
        "iat": int(NOW) - 5,
        "nbf": int(NOW) - 15,
        "exp": int(NOW) + 55,
        "v": 2,
        "sts": "active",
    }
    claims = {name: value for name, value in (claims | changes).items() if value is not ...}
    headers = {"kid": kid, "cat": CATEGORY_SESSION, **(header or {})}
    return jwt.encode(claims, signer(kid).private_key, "RS256", headers)


def expired(**changes: object) -> str:
    return mint(**{"iat": int(NOW) - 120, "nbf": int(NOW) - 130, "exp": int(NOW) - 60, **changes})


def directives(token: str) -> tuple[str, ...]:
    """What a refresh answers."""
    return (f"{NAMES.refresh}=rt_2; Path=/; HttpOnly", f"{NAMES.session}={token}; Path=/; Max-Age=600")


def rules(**changes: object) -> Rules:
    settings: dict[str, object] = {
        "kind": KEY.kind,
        "frontend_api": HOST,
        "names": NAMES,
        "handshake_base": ISSUER,
        "expected": Expectations(frozenset({ISSUER}), frozenset(), 5.0),
        "refresh_methods": None,
        "has_refresh": True,
        "has_api": True,
        "new_state": lambda: STATE,
    }
    return Rules(**(settings | changes))


def bearer_request(token: str, method: str = "GET") -> RequestFacts:
    return RequestFacts(method=method, url=PublicUrl("https", "app.example.test"), bearer=token)


def cookie_request(token: str, *, refresh: str = "rt_1", query: str = "", method: str = "GET") -> RequestFacts:
    """A browser's request, signed in with the suffixed cookies."""
    cookies = {NAMES.session: (token,), NAMES.client_uat: ("1700000000",), NAMES.refresh: (refresh,)}
    if "handshake" in query:
        cookies["__Host-gateway_state"] = (STATE,)
        query += f"&__gateway_state=1.{STATE}"
    url = PublicUrl("https", "app.example.test", "/page", query)
    return RequestFacts(method=method, url=url, cookies=cookies, headers={"sec-fetch-dest": "document"})


class Keys:
    """A key source with a fixed set; counts what is asked. An exception in it is raised."""

    def __init__(self, *kids: str, error: Exception | None = None) -> None:
        self.set = key_set(jwks(*kids))
        self.error = error
        self.found: list[str] = []
        self.is_closed = False

    def cached(self, kid: str) -> VerificationKey | None:
        return self.set.get(kid)

    def fresh_for_s(self) -> float:
        return 300.0

    async def find(self, kid: str) -> VerificationKey | None:
        self.found.append(kid)
        if self.error is not None:
            raise self.error
        return self.set.get(kid)

    def status(self) -> KeysStatus:
        return KeysStatus(is_ready=bool(self.set))

    async def close(self) -> None:
        self.is_closed = True


class Api:
    """The Sessions API as a script: an answer, or an exception; waits for ``gate`` when there is one."""

    def __init__(self, answer: tuple[str, ...] | Exception = (), gate: asyncio.Event | None = None) -> None:
        self.answer = answer
        self.gate = gate
        self.refreshes: list[NeedRefresh] = []
        self.nonces: list[str] = []

    async def refresh_cookies(self, need: NeedRefresh) -> tuple[str, ...]:
        self.refreshes.append(need)
        return await self._answer()

    async def handshake_payload(self, nonce: str) -> tuple[str, ...]:
        self.nonces.append(nonce)
        return await self._answer()

    async def _answer(self) -> tuple[str, ...]:
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def settle(turns: int = 10) -> None:
    """Let every task run until it waits for something from outside."""
    for _ in range(turns):
        await asyncio.sleep(0)
