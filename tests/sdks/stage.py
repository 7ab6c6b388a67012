"""The authorities that the SDKs call, on real ports, and what has to be there before a call."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.authority import Authority, AuthorityConfig
from gateway.authority.errors import answer
from gateway.authority.signing.keyring import Category
from gateway.cli.serving import reserve, serve_embedded
from gateway.core.instance import InstanceKind
from gateway.core.settings_model import Address

APP = "http://127.0.0.1:8000"
LIMITED = "sess_limited"
RETRY_AFTER_S = 7


@dataclass
class Clock:
    """The system's clock, at a distance."""

    ahead_s: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


@dataclass(frozen=True)
class Traded:
    """What a gateway holds for a signed-in browser whose token has expired."""

    session_id: str
    token: str
    refresh_token: str
    cookies: dict[str, str]

    def arguments(self, **changes: Any) -> dict[str, Any]:
        given = {
            "session_id": self.session_id,
            "expired_token": self.token,
            "refresh_token": self.refresh_token,
            "request_origin": APP,
            "request_headers": {"host": ["127.0.0.1:8000"]},
        }
        return {name: value for name, value in {**given, **changes}.items() if value is not ...}


@dataclass
class Stage:
    """One development authority, one of production, and one whose database lost its sessions."""

    authority: Authority
    clock: Clock
    production: Authority
    broken: Authority

    @property
    def url(self) -> str:
        return self.authority.api_url

    @property
    def key(self) -> str:
        return self.authority.secret_key.reveal()

    def user(self, name: str = "Ada") -> str:
        return next(user.id for user in self.authority.realm.directory.users() if user.first_name == name)

    def organization(self, slug: str = "acme") -> str:
        membership = self.authority.realm.directory.membership(self.user(), slug)
        assert membership is not None
        return membership.organization.id

    def ask(self, method: str, path: str, **body: Any) -> Any:
        with httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, trust_env=False, verify=False
        ) as http:
            told = http.request(method, path, json=body or None)
        assert told.status_code == 200, told.text
        return told.json()

    def session(self, user: str = "Ada", **body: Any) -> str:
        return str(self.ask("POST", "/v1/sessions", user_id=self.user(user), **body)["id"])

    def sessions_of(self, user: str, number: int) -> list[str]:
        """So many new sessions of somebody, the newest first."""
        return [self.session(user) for _ in range(number)][::-1]

    def revoked(self) -> str:
        return str(self.ask("POST", f"/v1/sessions/{self.session()}/revoke")["id"])

    def token(self, session_id: str) -> str:
        return str(self.ask("POST", f"/v1/sessions/{session_id}/tokens")["jwt"])

    @contextmanager
    def signed_in(self) -> Iterator[httpx.Client]:
        """A browser that has signed in as Ada."""
        with httpx.Client(base_url=self.url, trust_env=False, verify=False) as browser:
            told = browser.post("/sign-in", data={"user_id": self.user(), "redirect_url": f"{APP}/page"})
            assert told.status_code == 303, told.text
            yield browser

    def nonce(self) -> str:
        """What a signed-in browser brings back from a handshake."""
        with self.signed_in() as browser:
            query = {"redirect_url": f"{APP}/page", "format": "nonce"}
            told = browser.get("/v1/client/handshake", params=query)
        return parse_qs(urlsplit(told.headers["location"]).query)["__clerk_handshake_nonce"][0]

    def traded(self, ahead_s: float = -90) -> Traded:
        """Sign a browser in at another time, so that by now its token has expired."""
        self.clock.ahead_s = ahead_s
        try:
            directives = self.ask("GET", f"/v1/clients/handshake_payload?nonce={self.nonce()}")["directives"]
        finally:
            self.clock.ahead_s = 0
        pairs = [directive.partition(";")[0].partition("=") for directive in directives]
        cookies = {name: value for name, _, value in pairs}
        suffix = self.authority.publishable_key.cookie_suffix
        token = cookies["__session"]
        return Traded(str(self.claims(token)["sid"]), token, cookies[f"__refresh_{suffix}"], cookies)

    def spent(self) -> Traded:
        """A token that was traded before."""
        traded = self.traded()
        body = traded.arguments()
        self.ask("POST", f"/v1/sessions/{body.pop('session_id')}/refresh", **body)
        return traded

    def forged(self, traded: Traded, **changes: Any) -> str:
        """The expired token with other claims, signed by the right key; ``...`` leaves a claim out."""
        claims = {**self.claims(traded.token), **changes}
        kept = {name: value for name, value in claims.items() if value is not ...}
        return self.authority.realm.keys.sign(kept, Category.SESSION)

    def claims(self, token: str) -> dict[str, Any]:
        """Check a token's signature with the keys of the authority."""
        (key,) = self.authority.realm.keys.jwks()["keys"]  # type: ignore[misc]
        read: dict[str, Any] = jwt.decode(token, jwt.PyJWK(key), ["RS256"], options={"verify_exp": False})
        return read


def limited(app: ASGIApp) -> ASGIApp:
    """The application, but for one session that is asked for too often: the real service has rate limits."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if LIMITED not in scope.get("path", ""):
            await app(scope, receive, send)
            return
        error = {"message": "Too many requests", "long_message": "Wait.", "code": "too_many_requests"}
        told = answer(
            {"errors": [error], "clerk_trace_id": "trace_limited"},
            429,
            {"Retry-After": str(RETRY_AFTER_S), "Clerk-Trace-Id": "trace_limited"},
        )
        await told(scope, receive, send)

    return dispatch


@contextmanager
def staged() -> Iterator[Stage]:
    """Serve the authorities until the block ends."""
    clock = Clock()
    places = [reserve(Address("127.0.0.1", 0)) for _ in range(3)]
    origins = [f"http://127.0.0.1:{place.port}" for place in places]
    kinds = (InstanceKind.DEVELOPMENT, InstanceKind.PRODUCTION, InstanceKind.DEVELOPMENT)
    authorities = [
        Authority.open(AuthorityConfig(origin=origin, kind=kind, sign_in_check=check), clock)
        for origin, kind, check in zip(origins, kinds, (None, "password", None), strict=True)
    ]
    stage = Stage(authorities[0], clock, *authorities[1:])
    stage.broken.realm.database.write("DROP TABLE sessions", {})
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    apps = [(limited(authority.app), place) for authority, place in zip(authorities, places, strict=True)]
    thread = threading.Thread(target=loop.run_until_complete, args=[serve_embedded(apps, ready.set, stop)])
    thread.start()
    try:
        assert ready.wait(20)
        yield stage
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
        for authority in authorities:
            authority.close()
