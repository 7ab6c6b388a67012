"""``gateway authority``: run the embedded session authority on its own, or look after its database.

Without a subcommand it serves. What is refused before anything listens, and warned of, is decided in
:mod:`gateway.cli.authority_start` and, for addresses beyond this machine, here. Standard output gets the description,
standard error everything else. The subcommands live in modules of their own (``authority_keys`` and so on).
"""

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click
from click.core import ParameterSource
from starlette.types import ASGIApp

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.authority.config import MEMORY
from gateway.authority.control import Clock
from gateway.authority.store.seed import empty_seed
from gateway.authority.store.seed_file import read_seed
from gateway.cli import authority_keys, authority_people, authority_webhooks
from gateway.cli.authority_control import control_address, control_option, serve_controlled, url_of, warn
from gateway.cli.authority_description import describe_for_people, form_lines
from gateway.cli.authority_start import ANYBODY, is_loopback, judge_keys, judge_origin, warn_anybody
from gateway.cli.authority_webhooks import add_webhooks, webhooks_of
from gateway.cli.console import print_warnings
from gateway.cli.exit_codes import EPILOG, ExitCode
from gateway.cli.serving import reachable, reserve, run
from gateway.cli.sign_in_check import load_check
from gateway.core.instance import InstanceKind
from gateway.core.settings_model import Address
from gateway.errors import ConfigurationError, Fault

_DRAIN_S = 5.0
_LISTEN = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_OPTION_OF = {
    "origin": "--origin",
    "allowed_origins": "--allow-origin",
    "sign_in_check": "--sign-in-check",
    "trusted_proxies": "--trust-proxy",
    "session_claims": "--session-claims",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityOptions:
    """What was asked for on the command line."""

    listen: str
    origin: str | None
    db: str | None
    instance: str
    token_lifetime_s: int
    inactive_retention_s: int
    is_remote_allowed: bool
    control: str | None = None
    seed: str | None = None
    allowed_origins: tuple[str, ...] = ()
    sign_in_check: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    requires_organization: bool = False
    session_claims: str | None = None
    webhooks: tuple[str, ...] = ()
    webhook_secret_file: str | None = None


@click.group("authority", epilog=EPILOG, invoke_without_command=True, subcommand_metavar="[COMMAND [ARGS]...]")
@click.option(
    "--listen", default="127.0.0.1:8001", show_default=True, metavar="HOST:PORT", help="Port 0: any free one."
)
@click.option("--origin", metavar="URL", help="How browsers reach it, if not at the address it listens on.")
@click.option("--seed", metavar="FILE", help="TOML file that says who is in a new database (docs/authority.md).")
@click.option("--db", metavar="FILE", help="SQLite file that keeps keys and sessions; without it they end with it.")
@click.option(
    "--instance",
    type=click.Choice([kind.value for kind in InstanceKind]),
    default=InstanceKind.DEVELOPMENT.value,
    show_default=True,
    help="Production sets Secure cookies, knows no dev browser, and begins with nobody.",
)
@click.option(
    "--token-lifetime",
    "token_lifetime_s",
    type=click.IntRange(1, 315_360_000),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Lifetime of session tokens.",
)
@click.option(
    "--keep-inactive",
    "inactive_retention_s",
    type=click.IntRange(1, 315_360_000),
    default=30 * 24 * 60 * 60,
    show_default=True,
    metavar="SECONDS",
    help="How long sessions that are over are still listed; then they are purged.",
)
@click.option(
    "--allow-origin",
    "allowed_origins",
    multiple=True,
    metavar="URL",
    help="An origin that browsers may return to, and whose pages may call the Frontend API; repeat it for more. Without"
    " it: any for development, or with a sign-in check those of this machine; for production only the authority's own.",
)
@click.option(
    "--sign-in-check",
    metavar="password|MODULE:FUNCTION",
    help="Ask for email address and password, and check them: 'password' against the hashes in the database, or with"
    " an async function of your own that returns a user id or None. Production needs one; without it anybody can be"
    " anybody.",
)
@click.option(
    "--trust-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="NETWORK",
    help="A proxy in front whose X-Forwarded-For names the browser, where sign-in attempts are counted.",
)
@click.option(
    "--require-organization",
    "requires_organization",
    is_flag=True,
    help="A session stays pending until its user chooses an organization.",
)
@click.option(
    "--session-claims",
    metavar="FILE",
    help='Add the claims of this JSON file to session tokens, e.g. {"team": "{{org.slug}}"}, as in a JWT template.',
)
@click.option(
    "--allow-remote", "is_remote_allowed", is_flag=True, help="Let other machines reach it, in a closed network."
)
@control_option
@click.option(
    "--webhook", "webhooks", metavar="URL", multiple=True, help="Post session events to this URL; repeat it for more."
)
@click.option(
    "--webhook-secret-file",
    metavar="FILE",
    help="File with the secret that signs them (whsec_...); without it one is made and printed.",
)
@click.option("--json", "is_json", is_flag=True, help="Print one line of JSON once it accepts connections.")
@click.pass_context
def command(ctx: click.Context, /, *, is_json: bool, **options: str | int | bool | tuple[str, ...] | None) -> int:
    """Run a session authority: Backend API, Frontend API and a sign-in page for development.

    It has users, organizations and keys of its own and needs no network. Without --sign-in-check anybody who can
    reach it can sign in as anybody, so it listens on this machine only. The commands below look after its database,
    also while it runs.

    \b
    Examples:
      gateway authority
      gateway authority --db authority.db --listen 127.0.0.1:9001
      gateway authority --listen 127.0.0.1:0 --json | jq -r .publishable_key
      gateway authority --db authority.db --instance production --sign-in-check password \\
        --origin https://auth.example.com --allow-origin https://app.example.com
      gateway authority --webhook http://127.0.0.1:3000/api/webhooks
      gateway authority keys list --db authority.db
    """
    if ctx.invoked_subcommand is not None:
        refuse_options_of_serving(ctx)
        return ExitCode.OK
    return _serve(AuthorityOptions(**options), is_json=is_json)  # type: ignore[arg-type]  # click has checked them


# one line for each group of subcommands
command.add_command(authority_people.users)
command.add_command(authority_people.organizations)
command.add_command(authority_people.roles)
command.add_command(authority_keys.command)
command.add_command(authority_webhooks.command)


def refuse_options_of_serving(ctx: click.Context) -> None:
    """Refuse what stands before a subcommand: it would have no effect there.

    Raises:
        click.UsageError: naming the option and where the subcommand's own go.
    """
    for parameter in ctx.command.params:
        if parameter.name and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            problem = (
                f"{parameter.opts[0]} is an option of serving; the options of '{ctx.invoked_subcommand}' follow it"
            )
            raise click.UsageError(problem, ctx)


def _serve(options: AuthorityOptions, *, is_json: bool) -> int:
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


def read_config(options: AuthorityOptions, listen: Address) -> AuthorityConfig:
    """The settings that the options amount to.

    Raises:
        ConfigurationError: every option that cannot be used.
    """
    check = load_check(options.sign_in_check)
    claims = read_claims(options.session_claims) if options.session_claims is not None else {}
    try:
        return AuthorityConfig(
            origin=options.origin or f"http://{Address(reachable(listen.host), listen.port)}",
            database=options.db or MEMORY,
            kind=InstanceKind(options.instance),
            token_lifetime_s=options.token_lifetime_s,
            inactive_retention_s=options.inactive_retention_s,
            allowed_origins=options.allowed_origins,
            sign_in_check=check,
            trusted_proxies=options.trusted_proxies,
            requires_organization=options.requires_organization,
            session_claims=claims,
        )
    except ConfigurationError as error:
        faults = [replace(fault, setting=_OPTION_OF.get(fault.setting, fault.setting)) for fault in error.faults]
        raise ConfigurationError(faults) from None


def read_claims(path: str) -> dict[str, object]:
    """The claims that a file adds to session tokens.

    Raises:
        ConfigurationError: it cannot be read, or holds no JSON object.
    """
    try:
        claims = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            [Fault("--session-claims", path, f"it cannot be read ({error.strerror})", "name a JSON file")]
        ) from None
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        fix = 'write for example {"team": "{{org.slug}}"}'
        raise ConfigurationError([Fault("--session-claims", path, "it holds no JSON object", fix)])
    return claims


def resolve_listen(options: AuthorityOptions) -> Address:
    """The address to listen on; port 0 becomes a free one, because the publishable key names the port.

    Raises:
        ConfigurationError: it is no address, or it is not of this machine alone and that was not allowed.
        CannotListen: there is no free port.
    """
    match = _LISTEN.fullmatch(options.listen)
    if match is None or int(match["port"]) > 65535:
        fix = "write for example 127.0.0.1:8001, or port 0 for any free one"
        raise ConfigurationError([Fault("--listen", options.listen, "it is no host and port", fix)])
    listen = Address(match["host"].strip("[]").lower(), int(match["port"]))
    if not is_loopback(listen.host) and not options.is_remote_allowed:
        danger = ANYBODY if options.sign_in_check is None else "it speaks http without encryption"
        problem = f"other machines could reach it, and {danger}"
        fix = "listen on 127.0.0.1, or add --allow-remote if the network is closed"
        raise ConfigurationError([Fault("--listen", options.listen, problem, fix)])
    return listen if listen.port else reserve(listen, "--listen")
