"""``gateway serve``: the reverse proxy in front of real services."""

import logging
import os
from contextlib import ExitStack
from pathlib import Path

import click
from starlette.types import ASGIApp

from gateway.adapters.config import load
from gateway.adapters.journal import JsonLines
from gateway.cli.check import CONFIG_OPTION
from gateway.cli.console import errors, print_warnings
from gateway.cli.serving import reserve, run
from gateway.core.settings_model import Address, LogSettings, ServerSettings, Settings
from gateway.errors import Fault, StoreUnavailable
from gateway.server.listener import Limits

_TEXT = "%(levelname)s %(name)s: %(message)s"


@click.command("serve")
@CONFIG_OPTION
def command(config: Path) -> int:
    """Run the authenticating reverse proxy.

    Settings come from the file, overridden by GATEWAY_<SECTION>_<KEY>; CLERK_SECRET_KEY, CLERK_PUBLISHABLE_KEY,
    CLERK_JWT_KEY and CLERK_MACHINE_SECRET_KEY are read where the file is silent. On SIGTERM requests in flight finish
    and no new ones are taken.

    \b
    Examples:
      gateway serve --config config.toml
      GATEWAY_SERVER_LISTEN=0.0.0.0:8080 gateway serve --config config.toml

    \b
    Exit codes:
      0  stopped by SIGTERM or Ctrl-C
      1  a worker process failed
      2  wrong usage or configuration
      3  the address to listen on cannot be had
    """
    settings = load(config, os.environ)
    print_warnings(settings.warnings)
    server = settings.server
    listen = reserve(server.listen)

    def load_app() -> ASGIApp:
        # In the worker: it makes the connections, which do not survive a fork.
        from gateway.assemble import proxy_app  # noqa: PLC0415

        start_logging(settings.log)
        return proxy_app(settings, asks_at_start=True, folder=folder)

    def on_ready() -> None:
        line = ready_line(settings, listen)
        if settings.log.format == "json":
            said = {"name": "gateway", "levelname": "INFO", "msg": line}
            click.echo(JsonLines().format(logging.makeLogRecord(said)), err=True)
        else:
            errors().print(line, markup=False)

    with ExitStack() as until_the_end:
        folder = _shared_folder(settings, until_the_end)
        return run(
            load_app,
            listen,
            workers=server.workers,
            drain_s=server.drain_s,
            on_ready=on_ready,
            limits=_limits(server),
        )


def _limits(server: ServerSettings) -> Limits:
    return Limits(
        head_s=server.head_timeout_s,
        keep_alive_s=server.keep_alive_s,
        connections=server.max_connections,
        connections_per_address=server.max_connections_per_address,
    )


def _shared_folder(settings: Settings, until_the_end: ExitStack) -> Path | None:
    """Return a folder for what the workers share, or None where they share none."""
    refreshes = settings.refresh.enabled and settings.instance.secret_key is not None
    if settings.server.workers == 1 or settings.refresh.store is not None or not refreshes:
        return None
    from gateway.adapters.host_store import folder_for_workers  # noqa: PLC0415 - one worker does without SQLite

    try:
        return until_the_end.enter_context(folder_for_workers())
    except StoreUnavailable as error:
        problem = f"the workers cannot share refreshes: {error.detail}"
        fix = 'set TMPDIR to a folder for temporary files, or the store to a Redis server or "none"'
        print_warnings([Fault("refresh.store", "", problem, fix)])
        return None


def start_logging(log: LogSettings) -> None:
    """Write what the gateway itself has to say, from ``log.level`` up and in ``log.format``, to standard error.

    Of other packages only warnings: what they say below that may hold headers.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log.format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("gateway").setLevel(log.level.upper())


def ready_line(settings: Settings, listen: Address) -> str:
    """Return what is said once connections are accepted."""
    routes, workers = len(settings.routes), settings.server.workers
    return (
        f"Session Gateway listens on http://{listen} "
        f"({routes} route{'s' * (routes != 1)}, {settings.instance.publishable_key.kind} instance, "
        f"{workers} worker{'s' * (workers != 1)})"
    )
