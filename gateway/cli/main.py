"""The command ``gateway``: finds the subcommand, and turns every failure into a message and an exit code.

Subcommands are imported when they are asked for, so ``gateway --help`` answers at once. Each lives in its own module
and is called ``command`` there; it returns its exit code (None is success).
"""

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar

import click

from gateway import __version__
from gateway.cli.exit_codes import EPILOG, ExitCode
from gateway.cli.groups import LazyGroup
from gateway.errors import ApiUnreachable, ConfigurationError, GatewayError


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A subcommand that is not imported yet."""

    module: str
    group: str
    summary: str


SUBCOMMANDS = {
    "dev": Subcommand("gateway.cli.dev", "Try it", "Run everything on this machine: authority, demo app, gateway."),
    "authority": Subcommand(
        "gateway.cli.authority", "Try it", "Run the session authority, or tend its users and keys."
    ),
    "serve": Subcommand("gateway.cli.serve", "Run it", "Run the authenticating reverse proxy."),
    "check": Subcommand("gateway.cli.check", "Run it", "Name every fault of a configuration, or show its routes."),
    "explain": Subcommand("gateway.cli.explain", "Operate it", "Say why a request is let in or refused."),
    "sessions": Subcommand("gateway.cli.sessions", "Operate it", "List, inspect, revoke and mint sessions."),
}


class Gateway(LazyGroup):
    """The program; its help shows the subcommands by what they are for."""

    modules: ClassVar = {name: each.module for name, each in SUBCOMMANDS.items()}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for group in dict.fromkeys(each.group for each in SUBCOMMANDS.values()):
            with formatter.section(group):
                formatter.write_dl([(name, each.summary) for name, each in SUBCOMMANDS.items() if each.group == group])


def version() -> str:
    """Return the version, and whether the way of a request is compiled (docs/deployment.md)."""
    way = find_spec("gateway.surfaces.gate")
    is_compiled = way is not None and way.origin is not None and not way.origin.endswith(".py")
    return f"{__version__} (compiled)" if is_compiled else __version__


@click.group(cls=Gateway, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="gateway")
def command() -> None:
    """An authenticating reverse proxy for session tokens.

    \b
    Examples:
      gateway dev                            everything at once, no account needed
      gateway check --config config.toml     is this configuration good?
      gateway serve --config config.toml     run the proxy
    """


def run(arguments: Sequence[str] | None = None, group: click.Group = command) -> int:
    """Run the command line and return the exit code; never lets a known failure out as a traceback.

    Args:
        arguments: without the program's name; None takes those of the process.
        group: what they are given to.
    """
    try:
        result = group.main(args=arguments, prog_name="gateway", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except GatewayError as error:
        return _tell(error)
    except OSError as error:
        return _tell_os_error(error)
    return result if isinstance(result, int) else ExitCode.OK


def _tell(error: GatewayError) -> int:
    # Imported late: the table of faults and the server are not needed where nothing fails.
    from gateway.cli.console import print_error, print_faults  # noqa: PLC0415

    if isinstance(error, ConfigurationError):
        print_faults(error.faults)
        return ExitCode.CONFIGURATION
    print_error(str(error))
    code = getattr(error, "exit_code", ExitCode.FAILED)
    return ExitCode.UNREACHABLE if isinstance(error, ApiUnreachable) else int(code)


def _tell_os_error(error: OSError) -> int:
    from gateway.cli.console import print_error  # noqa: PLC0415

    if error.errno == errno.EPIPE:
        # The reader has gone (| head); what Python flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    print_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return ExitCode.FAILED
