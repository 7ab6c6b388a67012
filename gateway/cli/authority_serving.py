"""``gateway authority`` without a subcommand: the authority is opened, described and served.

What is refused before anything listens, and warned of, is decided in :mod:`gateway.cli.authority_start` and, for
addresses beyond this machine, in :mod:`gateway.cli.authority_options`.
"""

import json
import os
import time
from collections.abc import Callable

import click
from starlette.types import ASGIApp

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.authority.control import Clock
from gateway.authority.store.seed import empty_seed
from gateway.authority.store.seed_file import read_seed
from gateway.cli.authority_control import control_address, serve_controlled, url_of, warn
from gateway.cli.authority_description import describe_for_people, form_lines
from gateway.cli.authority_options import AuthorityOptions, read_config, resolve_listen
from gateway.cli.authority_start import is_loopback, judge_keys, judge_origin, warn_anybody
from gateway.cli.authority_webhook_secrets import add_webhooks, webhooks_of
from gateway.cli.console import print_warnings
from gateway.cli.serving import reserve, run
from gateway.core.instance import InstanceKind
from gateway.errors import Fault

_DRAIN_S = 5.0


def serve(options: AuthorityOptions, *, is_json: bool) -> int:
    """Serve until a signal comes; returns the exit code.

    Args:
        options: what was asked for.
        is_json: describe it in a line of JSON.

    Raises:
        ConfigurationError: an option cannot be used, or a live key of others is exported.
        CannotListenError: there is no such port to be had.
    """
    listen = resolve_listen(options)
    config = read_config(options, listen)
    has_check = config.sign_in_check is not None
    judge_origin(options.origin, is_remote_allowed=options.is_remote_allowed, has_check=has_check)
    reserve(listen, "--listen")
    # The worker is another process. Without a file it gets the identity as data.
    founding = found(config, options.seed)
    webhooks = webhooks_of(options.webhooks, options.webhook_secret_file, config)
    announced = Authority.open(config, founding=founding)
    warn_seed(options.seed, founding, announced)
    description = announced.describe() | add_webhooks(announced, webhooks)
    form = form_lines(announced)
    announced.close()
    judge_keys(os.environ, announced.secret_key, announced.publishable_key.value)
    control = None if options.control is None else control_address(options.control, config.kind, {listen.port})
    if not has_check:
        remote = "" if is_loopback(listen.host) else str(listen)
        warn_anybody(f"{announced.frontend_api_url}/sign-in", remote=remote)
    elif options.is_remote_allowed:
        click.echo(f"warning: {listen} may be reached from other machines; use it in closed networks only", err=True)

    if control is not None:
        description["control_url"] = url_of(control)
        warn(control)

    def opened(clock: Callable[[], float] = time.time) -> Authority:
        authority = Authority.open(config, clock, founding)
        add_webhooks(authority, webhooks)
        return authority

    def load_app() -> ASGIApp:
        return opened().app

    def on_ready() -> None:
        click.echo(json.dumps(description) if is_json else describe_for_people(description, config.kind, form))

    if control is not None:
        clock = Clock()
        return serve_controlled(opened(clock), clock, (listen, control), on_ready)
    return run(load_app, listen, drain_s=_DRAIN_S, on_ready=on_ready)


def found(config: AuthorityConfig, seed: str | None) -> Founding:
    """The identity for an empty database, with whom the seed file names.

    Raises:
        ConfigurationError: the seed file cannot be used.
    """
    now_ms = int(time.time() * 1000)
    if seed:
        return Founding.generate(config, now_ms, read_seed(seed, now_ms))
    return Founding.generate(config, now_ms, empty_seed(now_ms) if config.kind is InstanceKind.PRODUCTION else None)


def warn_seed(seed: str | None, founding: Founding | None, authority: Authority) -> None:
    """Say that a seed file has changed nothing, because the database was not new.

    Args:
        seed: of ``--seed``; None if there was none.
        founding: made with it.
        authority: opened with it.
    """
    if seed and founding and founding.instance_id != authority.realm.instance_id:
        db = authority.realm.config.database
        fix = "use 'gateway authority users', 'organizations' and 'roles', or another --db"
        print_warnings([Fault("--seed", seed, f"nothing of it is taken: {db} holds an authority already", fix)])
