"""``gateway check``: say everything that is wrong with a configuration, or show what it means."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from gateway.adapters.config import CONFIG_VARIABLE, load
from gateway.cli.console import errors, output, print_faults, print_warnings
from gateway.cli.exit_codes import ExitCode
from gateway.core.loosening import loosenings
from gateway.core.rewriting import Rewriting
from gateway.core.routes import Route, RouteTable
from gateway.core.settings_model import Access, RouteSettings, Settings
from gateway.core.token_class import ANY, SESSION_ONLY
from gateway.errors import ConfigurationError

CONFIG_OPTION = click.option(
    "--config",
    "config",
    type=click.Path(path_type=Path),
    required=True,
    envvar=CONFIG_VARIABLE,
    show_envvar=True,
    metavar="FILE",
    help="The configuration, TOML.",
)


@click.command("check")
@CONFIG_OPTION
@click.option("--json", "is_json", is_flag=True, help="Print the result as one JSON document.")
@click.option("--keys", "asks", is_flag=True, help="Ask for the keys too, as the gateway would.")
def command(config: Path, *, is_json: bool, asks: bool) -> int:
    """Name every fault of a configuration at once, or show its routes.

    Reads the file, the environment and the secret files exactly as "gateway serve" does. Nothing is started, and
    without --keys nothing is sent.

    \b
    Examples:
      gateway check --config config.toml
      gateway check --config config.toml --keys
      gateway check --config config.toml --json | jq '.routes[] | select(.access == "public")'

    \b
    Exit codes:
      0  the configuration can be used
      2  it cannot, or the API refuses the secret key
      4  the keys cannot be had
    """
    try:
        settings = load(config, os.environ)
    except ConfigurationError as error:
        if not is_json:
            print_faults(error.faults)
        else:
            click.echo(json.dumps({"ok": False, "faults": [asdict(fault) for fault in error.faults]}))
        return ExitCode.CONFIGURATION
    table = RouteTable.build(settings.routes)
    # The whole engine, which "gateway serve" loads in its workers only.
    from gateway.cli.keys_view import look_at_keys  # noqa: PLC0415

    keys = look_at_keys(settings, asks=asks)
    if is_json:
        click.echo(json.dumps({**_described(settings, table), "ok": keys.exit_code is ExitCode.OK, "keys": keys.shown}))
    else:
        _print(settings, table)
        keys.print()
    return keys.exit_code


def _print(settings: Settings, table: RouteTable) -> None:
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("host", "path", "methods", "access", "requires", "signed out", "upstream"):
        # What is required may be long; the rest is what a route is known by.
        shown.add_column(column, no_wrap=column not in {"access", "requires"}, overflow="fold")
    for route in table.routes:
        shown.add_row(*map(Text, _row(route)))
    output().print(shown)
    print_warnings(settings.warnings)
    if settings.decide.fronts:
        trusted = ", ".join(map(str, settings.decide.trusted))
        errors().print(f"decisions: for {', '.join(settings.decide.fronts)}, asked from {trusted}", markup=False)
    count = len(table.routes)
    instance = settings.instance.publishable_key
    errors().print(
        f"good: {count} route{'s' * (count != 1)}, {instance.kind} instance at {instance.frontend_api}, "
        f"to listen on {settings.server.listen}",
        markup=False,
    )


def _row(route: Route) -> tuple[str, ...]:
    settings = route.settings
    signed_out = str(settings.on_signed_out) if settings.access is Access.REQUIRED else "-"
    methods = ",".join(settings.methods) or "any"
    terms = _access(settings), str(settings.require or "-"), signed_out
    path = f"={settings.path}" if settings.exact else settings.path
    return settings.host or "any", path, methods, *terms, _upstream(settings)


def _upstream(settings: RouteSettings) -> str:
    rewriting = Rewriting.of(settings)
    return f"{settings.upstream or '-'} at {rewriting.image}" if rewriting is not None else settings.upstream or "-"


def _access(settings: RouteSettings) -> str:
    if settings.accepts == SESSION_ONLY:
        return str(settings.access)
    return (
        f"{settings.access}, by {'any token' if set(settings.accepts) == set(ANY) else ' or '.join(settings.accepts)}"
    )


def _described(settings: Settings, table: RouteTable) -> dict[str, object]:
    return {
        "ok": True,
        "faults": [],
        "warnings": [asdict(warning) for warning in settings.warnings],
        "loosened": [
            {"route": found.route.name, "outer": found.around.name, "through": found.is_through}
            for found in loosenings(table.routes)
        ],
        "instance": str(settings.instance.publishable_key.kind),
        "frontend_api": settings.instance.publishable_key.frontend_api,
        "listen": str(settings.server.listen),
        "decide": {"fronts": list(settings.decide.fronts), "trusted": list(map(str, settings.decide.trusted))},
        "routes": [{"name": route.name, **asdict(route.settings)} for route in table.routes],
    }
