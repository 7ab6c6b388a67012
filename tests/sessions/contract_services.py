"""Whom the contract is tested with: a recording of the API, the embedded authority, and on demand a real instance.

The real one takes part when both ``SESSIONS_LIVE_SECRET_KEY`` and ``SESSIONS_LIVE_USER_ID`` are set: the secret key of
a development instance made for tests, and a user of it, whose sessions are created and revoked. Nothing else in the
environment makes it take part, least of all ``CLERK_SECRET_KEY``. What it has no way to do (a browser's sign-in) it
leaves to the other two.
"""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt

from gateway.authority import Authority
from gateway.core.instance import API_URL
from gateway.sessions import SessionsClient
from tests.sessions.recordings import Alongside, Replay
from tests.sessions.sessions_kit import KEY, Naps

ORIGIN = "http://127.0.0.1:8001"
APP = "http://127.0.0.1:8000"
LIVE = ("SESSIONS_LIVE_SECRET_KEY", "SESSIONS_LIVE_USER_ID")


@dataclass(frozen=True)
class SignedIn:
    """A browser that signed in some time ago: what a server with its cookies has."""

    session_id: str
    expired_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass
class Service:
    """One service, and what is to be known about it before the first call."""

    transport: httpx.AsyncBaseTransport
    key: str
    user_id: str
    organization_id: str = ""
    template_name: str = ""
    api_url: str = API_URL
    handshake: Callable[[], Awaitable[str]] | None = None
    sign_in: Callable[[], Awaitable[SignedIn]] | None = None

    def client(self, key: str = "") -> SessionsClient:
        return SessionsClient(
            key or self.key, api_url=self.api_url, transport=self.transport, backoff=Naps(attempts=1).backoff
        )


def names() -> list[str]:
    """The services that take part in this run."""
    return ["recorded", "authority", *(["live"] if all(map(os.environ.get, LIVE)) else [])]


def recorded(story: str) -> Service:
    async def nonce() -> str:
        return "nonce_2GbDB4enNdCa5vS1zpC3Xzg9tK4"

    async def signed_in() -> SignedIn:
        return SignedIn("sess_2GbDB4enNdCa5vS1zpC3Xzg9tK9", "expired.session.token", "refresh-cookie")

    return Service(
        Replay(story),
        KEY,
        "user_2GbDB4enNdCa5vS1zpC3Xzg9tK8",
        "org_2GbDB4enNdCa5vS1zpC3Xzg9tK6",
        "hasura",
        handshake=nonce,
        sign_in=signed_in,
    )


def living(authority: Authority, now: list[float], story: str) -> Service:
    directory = authority.realm.directory
    ada = next(user.id for user in directory.users() if user.first_name == "Ada")
    browser = Browser(authority, ada, now)
    return Service(
        Alongside(story, httpx.ASGITransport(authority.app)),
        authority.secret_key.reveal(),
        ada,
        directory.memberships(ada)[0].organization.id,
        authority.realm.templates.names()[0],
        ORIGIN,
        browser.handshake,
        browser.sign_in,
    )


def live() -> Service:
    key, user_id = (os.environ[name] for name in LIVE)
    return Service(httpx.AsyncHTTPTransport(trust_env=False), key, user_id)


class Browser:
    """Signs in at the authority's page, with its own way to it."""

    def __init__(self, authority: Authority, user_id: str, now: list[float]) -> None:
        self._authority, self._user_id, self._now = authority, user_id, now
        self._transport = httpx.ASGITransport(authority.app)

    async def handshake(self) -> str:
        """Sign in, go through the handshake, and return its nonce."""
        page = f"{APP}/page"
        async with httpx.AsyncClient(transport=self._transport, base_url=ORIGIN) as browser:
            form = {"user_id": self._user_id, "organization_id": "", "redirect_url": page}
            await browser.post("/sign-in", data=form)
            query = {"redirect_url": page, "format": "nonce", "suffixed_cookies": "true"}
            answer = await browser.get("/v1/client/handshake", params=query)
        return httpx.URL(answer.headers["location"]).params["__clerk_handshake_nonce"]

    async def sign_in(self) -> SignedIn:
        """Sign in, and wait until the first token has expired."""
        nonce = await self.handshake()
        key = self._authority.secret_key.reveal()
        async with SessionsClient(key, api_url=ORIGIN, transport=self._transport) as api:
            cookies = values_of(await api.handshake_payload(nonce))
        session_id = claims_of(cookies["__session"])["sid"]
        self._now[0] += 90
        suffix = self._authority.publishable_key.cookie_suffix
        return SignedIn(session_id, cookies["__session"], cookies[f"__refresh_{suffix}"])


def claims_of(token: str, keys: dict[str, object] | None = None) -> dict[str, Any]:
    """The claims of a token, held to its signature when there are keys; never to the clock of this machine."""
    if keys is None:
        return jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    (key,) = (jwt.PyJWK(key) for key in keys["keys"] if key["kid"] == kid)
    unchecked = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    return jwt.decode(token, key, ["RS256"], options=unchecked)


def values_of(directives: tuple[str, ...]) -> dict[str, str]:
    """The cookies that directives set."""
    pairs = [directive.partition(";")[0].partition("=") for directive in directives]
    return {name: value for name, _, value in pairs}
