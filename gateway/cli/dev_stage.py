"""The servers of ``gateway dev`` in one process: gateway, authority, its control port, and the demo upstream."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import quote

from starlette.types import ASGIApp

from gateway.adapters.journal import TextJournal
from gateway.assemble import proxy_app
from gateway.authority import Authority
from gateway.authority.control.api import Control
from gateway.cli.serving import serve_embedded, stop_on_signal
from gateway.core.settings_model import (
    Address,
    InstanceSettings,
    RouteSettings,
    ServerSettings,
    Settings,
)
from gateway.demo.whoami import whoami_app
from gateway.sessions.client import SessionsClient

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is."""

    gateway: str
    authority: str
    upstream: str

    @property
    def origins(self) -> tuple[str, str]:
        """The gateway in both spellings that people type."""
        return self.gateway, self.gateway.replace(HOST, "localhost")


class Stage:
    """The servers of ``gateway dev``.

    Args:
        authority: open.
        places: where everything is.
        token_lifetime_s: for the explanations on the demo page.
        runs_whoami: serve the demo upstream.
        control: what turns the authority, if anything; the gateway goes by the same clock.
    """

    def __init__(
        self,
        authority: Authority,
        places: Places,
        token_lifetime_s: int,
        *,
        runs_whoami: bool,
        control: Control | None = None,
    ) -> None:
        self._authority = authority
        self._places = places
        self._token_lifetime_s = token_lifetime_s
        self._runs_whoami = runs_whoami
        self._control = control

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM."""
        stop = stop_on_signal()
        async with AsyncExitStack() as stack:
            stack.callback(self._authority.close)
            control, clock = self._control, self._authority.realm.clock
            apps: list[tuple[ASGIApp, Address]] = [
                (proxy_app(self._settings(), TextJournal(), clock), address_of(self._places.gateway)),
                (control.app if control else self._authority.app, address_of(self._places.authority)),
            ]
            if control:
                apps.append((control.api, control.listen))
            if self._runs_whoami:
                client = await stack.enter_async_context(
                    SessionsClient(self._authority.secret_key, api_url=self._authority.api_url)
                )
                apps.append((self._whoami(client), address_of(self._places.upstream)))
            await serve_embedded(apps, ready, stop)

    def _settings(self) -> Settings:
        authority, places = self._authority, self._places
        instance = InstanceSettings(
            publishable_key=authority.publishable_key,
            secret_key=authority.secret_key,
            api_url=authority.api_url,
            proxy_url=authority.frontend_api_url,
            sign_in_url=f"{authority.frontend_api_url}/sign-in",
            authorized_parties=places.origins,  # tokens are made for the one that the browser came by
            clock_skew_s=0.0,  # one machine, one clock: a short --token-lifetime means what it says
        )
        server = ServerSettings(listen=address_of(places.gateway), allowed_hosts=(HOST, "localhost"))
        return Settings(instance=instance, server=server, routes=(RouteSettings(upstream=places.upstream),))

    def _whoami(self, client: SessionsClient) -> ASGIApp:
        revoke = revoker(client)
        back = quote(f"{self._places.gateway}/", safe="")
        sign_out_url = f"{self._places.authority}/sign-out?redirect_url={back}"
        return whoami_app(revoke=revoke, sign_out_url=sign_out_url, token_lifetime_s=self._token_lifetime_s)


def revoker(client: SessionsClient) -> Callable[[str], Awaitable[None]]:
    """Return what revokes a session by its id, as an application's own backend would."""

    async def revoke(session_id: str) -> None:
        await client.revoke(session_id)

    return revoke


def address_of(url: str) -> Address:
    """Return where to listen for one of our own URLs."""
    host, _, port = url.removeprefix("http://").partition(":")
    return Address(host, int(port))
