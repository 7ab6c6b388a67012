"""A whole authority with a clock that the tests move, a backend that holds the secret key, and a browser."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.core.instance import InstanceKind
from tests.authority.documented import check_documented

ORIGIN = "http://127.0.0.1:8001"
APP = "http://127.0.0.1:8000"
START = 1_800_000_000.25


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = START

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass
class World:
    """The authority and everybody around it. Identifiers are those of the seed."""

    authority: Authority
    clock: Clock
    api: httpx.AsyncClient
    browser: httpx.AsyncClient

    @property
    def users(self) -> dict[str, str]:
        return {user.first_name: user.id for user in self.authority.realm.directory.users()}

    def organization(self, user: str, slug: str) -> str:
        membership = self.authority.realm.directory.membership(self.users[user], slug)
        assert membership is not None
        return membership.organization.id

    def claims(self, token: str) -> dict:
        """Check the token against the published keys, as an application would."""
        (key,) = self.authority.realm.keys.jwks()["keys"]
        return jwt.decode(
            token,
            jwt.PyJWK(key),
            ["RS256"],
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
        )

    async def create(self, user: str = "Ada", **body: object) -> dict:
        answer = await self.api.post("/v1/sessions", json={"user_id": self.users[user], **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def sign_in(self, user: str = "Ada", slug: str = "", redirect_url: str = f"{APP}/page") -> httpx.Response:
        organization_id = self.organization(user, slug) if slug else ""
        form = {"user_id": self.users[user], "organization_id": organization_id, "redirect_url": redirect_url}
        answer = await self.browser.post("/sign-in", data=form)
        assert answer.status_code == 303, answer.text
        return answer

    async def handshake(self, **query: str) -> list[str]:
        """The browser goes to the handshake, a gateway fetches the payload; returns the directives."""
        query = {"redirect_url": f"{APP}/page", "format": "nonce", **query}
        answer = await self.browser.get("/v1/client/handshake", params=query)
        assert answer.status_code == 307, answer.text
        nonce = parse_qs(urlsplit(answer.headers["location"]).query)["__clerk_handshake_nonce"][0]
        payload = await self.api.get("/v1/clients/handshake_payload", params={"nonce": nonce})
        assert payload.status_code == 200, payload.text
        return payload.json()["directives"]

    async def signed_in_cookies(self, user: str = "Ada", slug: str = "") -> dict[str, str]:
        """Sign in, do the handshake, and return what the browser then holds for the gateway."""
        await self.sign_in(user, slug)
        return cookie_values(await self.handshake())


def cookie_values(directives: list[str]) -> dict[str, str]:
    """Name to value; a later directive of the same name wins."""
    pairs = [directive.partition(";")[0].partition("=") for directive in directives]
    return {name: value for name, _, value in pairs}


@pytest.fixture
def read_cookies():
    return cookie_values


@pytest.fixture(scope="session")
def founding() -> Founding:
    """Making a key takes longer than most tests, so all of them share one."""
    return Founding.generate(AuthorityConfig(origin=ORIGIN), int(START * 1000))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config() -> AuthorityConfig:
    """Replaced by parametrized tests that need another one."""
    return AuthorityConfig(origin=ORIGIN)


@pytest.fixture
def authority(config: AuthorityConfig, clock: Clock, founding: Founding) -> Iterator[Authority]:
    opened = Authority.open(config, clock, founding if config.kind is InstanceKind.DEVELOPMENT else None)
    yield opened
    opened.close()


@pytest.fixture
async def world(authority: Authority, clock: Clock) -> AsyncIterator[World]:
    transport = httpx.ASGITransport(authority.app)
    hooks = {"response": [check_documented]}
    key = {"Authorization": f"Bearer {authority.secret_key.reveal()}"}
    async with (
        httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=key, event_hooks=hooks) as api,
        httpx.AsyncClient(transport=transport, base_url=ORIGIN, event_hooks=hooks) as browser,
    ):
        yield World(authority, clock, api, browser)
