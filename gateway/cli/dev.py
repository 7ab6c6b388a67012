"""``gateway dev``: the whole product on this machine, with no account and no network.

Three servers on three ports of one process: the embedded authority, the demo upstream and the gateway in front.
"""

import os
import shutil
import sys
import time
import webbrowser
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import click
import uvloop
from starlette.types import ASGIApp

from gateway.adapters.journal import TextJournal
from gateway.assemble import proxy_app
from gateway.authority import Authority, AuthorityConfig
from gateway.authority.config import MEMORY
from gateway.authority.control import Clock
from gateway.authority.control.api import Control
from gateway.cli.authority import found, warn_seed
from gateway.cli.authority_control import control_address, control_option, warn
from gateway.cli.authority_start import judge_keys, warn_anybody
from gateway.cli.authority_webhooks import webhooks_of
from gateway.cli.serving import CannotListenError, reserve, serve_embedded, stop_on_signal
from gateway.core.settings_addresses import upstream as read_upstream
from gateway.core.settings_model import (
    Address,
    InstanceSettings,
    RouteSettings,
    ServerSettings,
    Settings,
)
from gateway.core.settings_values import BadValueError, show
from gateway.demo.whoami import whoami_app
from gateway.errors import ConfigurationError, Fault
from gateway.sessions.client import SessionsClient

HOST = "127.0.0.1"
MAX_PORT = 65535


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


@click.command("dev")
@click.option("--port", type=click.IntRange(1, MAX_PORT), default=8000, show_default=True, help="Port of the gateway.")
@click.option(
    "--token-lifetime",
    "token_lifetime_s",
    type=click.IntRange(1, 3600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Life of a session token; short ones show the refresh sooner.",
)
@click.option(
    "--upstream",
    metavar="URL",
    callback=lambda _context, _option, value: judged_upstream(value),
    help="Put the gateway before your own application instead of whoami.",
)
@click.option("--open", "opens_browser", is_flag=True, help="Open the address in a browser.")
@click.option("--seed", metavar="FILE", help="TOML file that says who is in a new database (docs/authority.md).")
@click.option("--db", metavar="FILE", help="Keep the authority's users, sessions and keys in this file.")
@control_option
@click.option(
    "--webhook", "webhooks", metavar="URL", multiple=True, help="Post session events to this URL; repeat it for more."
)
def command(  # noqa: PLR0913 - one for each option
    *,
    port: int,
    token_lifetime_s: int,
    upstream: str | None,
    opens_browser: bool,
    db: str | None,
    seed: str | None,
    control: str | None,
    webhooks: tuple[str, ...],
) -> None:
    """Run everything on this machine: sign-in, gateway and a demo service behind it.

    Needs no account and no network. Every request is printed: status, method, path, route, state, reason, how it was
    decided, and milliseconds.

    \b
    Examples:
      gateway dev
      gateway dev --token-lifetime 10 --open
      gateway dev --upstream http://127.0.0.1:3000
    """
    reserve(Address(HOST, port), "--port")
    authority_port = reserve_near(port + 1, {port})
    upstream_port = reserve_near(port + 2, {port, authority_port})
    places = Places(
        gateway=f"http://{HOST}:{port}",
        authority=f"http://{HOST}:{authority_port}",
        upstream=upstream or f"http://{HOST}:{upstream_port}",
    )
    config = AuthorityConfig(
        origin=places.authority,
        database=db or MEMORY,
        token_lifetime_s=token_lifetime_s,
        allowed_origins=places.origins,  # any page may send a browser to the handshake; what it brings is for us alone
    )
    webhooks_of(webhooks, None, config)  # refused before anything is written
    authority, turned = open_authority(config, seed, control, {port, authority_port, upstream_port})
    endpoints = [authority.add_webhook(url, setting="--webhook") for url in webhooks]
    stage = Stage(authority, places, token_lifetime_s, runs_whoami=upstream is None, control=turned)

    def ready() -> None:
        click.echo(describe(places, authority, token_lifetime_s, shows_whoami=upstream is None))
        for endpoint in endpoints:
            click.echo(
                f"  CLERK_WEBHOOK_SIGNING_SECRET={endpoint.secret.reveal()}    # signs events for {endpoint.url}\n"
            )
        if opens_browser:
            webbrowser.open(places.gateway)

    uvloop.run(stage.run(ready))


def open_authority(
    config: AuthorityConfig, seed: str | None, control: str | None, taken: Collection[int]
) -> tuple[Authority, Control | None]:
    """Open the authority, and what turns it if that is asked for; judge the environment, and warn.

    Args:
        config: of the authority.
        seed: what ``--seed`` says.
        control: what ``--control`` says.
        taken: ports that are in use here.

    Raises:
        ConfigurationError: the database or the control port cannot be used, or a live key of others is exported.
    """
    listen = None if control is None else control_address(control, config.kind, taken)
    clock = Clock()
    founding = found(config, seed) if seed else None
    authority = Authority.open(config, clock if listen else time.time, founding)
    warn_seed(seed, founding, authority)
    try:
        judge_keys(os.environ, authority.secret_key, authority.publishable_key.value)
    except ConfigurationError:
        authority.close()
        raise
    warn_anybody(f"{authority.frontend_api_url}/sign-in")
    if listen is None:
        return authority, None
    warn(listen)
    return authority, Control(authority, clock, listen)


def judged_upstream(value: str | None) -> str | None:
    """Return the upstream as the settings would have it.

    Raises:
        ConfigurationError: it is no address that requests can be forwarded to.
    """
    if value is None:
        return None
    try:
        return read_upstream(value)
    except BadValueError as bad:
        raise ConfigurationError([Fault("--upstream", show(value), bad.problem, bad.fix)]) from None


def reserve_near(port: int, taken: Collection[int]) -> int:
    """Return this port if it is free, otherwise any that is; stable ports keep cookies and ``--db`` files usable."""
    if port <= MAX_PORT and port not in taken:
        try:
            return reserve(Address(HOST, port)).port
        except CannotListenError:
            pass
    return reserve(Address(HOST, 0)).port


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


def own_name() -> str:
    """Return how this command is called here; a newcomer has not activated the environment and pastes what is shown."""
    if shutil.which("gateway"):
        return "gateway"
    script = Path(sys.executable).with_name("gateway")
    return str(script) if script.exists() else f"{sys.executable} -m gateway"


def describe(places: Places, authority: Authority, token_lifetime_s: int, *, shows_whoami: bool) -> str:
    """Return the addresses and what to try, as text."""
    upstream = "whoami, shows what it received" if shows_whoami else "your application"
    key = authority.secret_key.reveal()
    gateway = own_name()
    bearer = f"Authorization: Bearer $({gateway} sessions token SESSION_ID --origin {places.gateway})"
    return "\n".join(
        (
            "",
            "  Session Gateway, development mode (anybody can sign in as anybody)",
            "",
            f"  gateway    {places.gateway}    open this one",
            f"  authority  {places.authority}    sign-in, Sessions API, keys",
            f"  upstream   {places.upstream}    {upstream}",
            "",
            "  Try",
            f"    open {places.gateway} and sign in; reload after {token_lifetime_s} s: the session is refreshed",
            f"    curl -i {places.gateway}    401, and the reason why",
            f"    export CLERK_SECRET_KEY={key} CLERK_API_URL={places.authority}",
            f"    {gateway} sessions list    the session that you signed in with",
            f'    curl -i -H "{bearer}" {places.gateway}    200',
            f"    {gateway} sessions revoke SESSION_ID    then reload: back to the sign-in page",
            "",
            "  Ctrl-C ends it. One line per request:",
            "",
        )
    )
