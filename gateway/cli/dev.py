"""``gateway dev``: the whole product on this machine, with no account and no network.

Three servers on three ports of one process: the embedded authority, the demo upstream and the gateway in front.
"""

import os
import time
import webbrowser
from collections.abc import Collection

import click
import uvloop

from gateway.authority import Authority, AuthorityConfig
from gateway.authority.config import MEMORY
from gateway.authority.control import Clock
from gateway.authority.control.api import Control
from gateway.cli.authority_control import control_address, warn
from gateway.cli.authority_serving import found, warn_seed
from gateway.cli.authority_start import judge_keys, warn_anybody
from gateway.cli.authority_webhook_secrets import webhooks_of
from gateway.cli.common_options import control_option, seed_option, webhook_option
from gateway.cli.dev_description import describe
from gateway.cli.dev_stage import HOST, Places, Stage
from gateway.cli.serving import CannotListenError, reserve
from gateway.core.settings_addresses import server as read_server
from gateway.core.settings_model import Address
from gateway.core.settings_values import BadValueError, show
from gateway.errors import ConfigurationError, Fault

MAX_PORT = 65535


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
@seed_option
@click.option("--db", metavar="FILE", help="Keep the authority's users, sessions and keys in this file.")
@control_option
@webhook_option
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
        return read_server(value)
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
