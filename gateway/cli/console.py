"""How the commands write to the terminal: results to standard output, everything else to standard error.

Colour and cropping only on a terminal; ``NO_COLOR`` is honoured. What is printed is text: nothing in a value of the
settings is taken for markup.
"""

import sys
from collections.abc import Iterable
from typing import TextIO

import click
from rich.console import Console
from rich.text import Text

from gateway.cli.plain_text import plain
from gateway.errors import Fault, GatewayError

_ARGUMENTS = ("EMAIL_ADDRESS", "ENDPOINT", "KEY", "KID", "ORGANIZATION", "URL", "USER")
# Wide enough that no table is folded in a pipe or a log.
_PIPE_WIDTH = 240


def output() -> Console:
    """Return a console for results."""
    return _console(sys.stdout)


def errors() -> Console:
    """Return a console for faults, warnings and progress."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    return Console(file=stream, width=None if stream.isatty() else _PIPE_WIDTH, highlight=False, soft_wrap=True)


def print_error(message: str) -> None:
    """Say in one line what ended the command."""
    errors().print(Text.assemble(("error: ", "bold red"), plain(message)))


def print_faults(faults: Iterable[Fault]) -> None:
    """List faults: key, value seen, problem, fix."""
    listed = list(faults)
    for fault in listed:
        errors().print(_fault_text(fault, "bold red"))
    if all(_is_typed(fault) for fault in listed):
        return  # what stands on the command line is no configuration, and is seen at once
    count = "1 fault" if len(listed) == 1 else f"{len(listed)} faults"
    errors().print(Text(f"{count} in the configuration", style="bold"))


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone: on a terminal, not in a script.

    Args:
        question: what is about to happen, as a question.
        yes: there is nothing to ask.

    Raises:
        GatewayError: the answer was no.
    """
    if not yes and sys.stdin.isatty() and not click.confirm(plain(question), err=True):
        raise GatewayError("nothing was changed")


def print_warnings(warnings: Iterable[Fault]) -> None:
    """List what can be used but deserves a look."""
    for warning in warnings:
        errors().print(Text.assemble(("warning: ", "yellow"), _fault_text(warning, "bold yellow")))


def print_alarm(heading: str, *lines: str) -> None:
    """Warn of what must not be overlooked: a marked heading, and lines under it."""
    errors().print(Text.assemble(("warning: ", "bold red"), (plain(heading), "bold reverse red")))
    for line in lines:
        errors().print(Text.assemble(("  ! ", "bold red"), plain(line)))


def _is_typed(fault: Fault) -> bool:
    return fault.setting.startswith("--") or fault.setting in _ARGUMENTS


def _fault_text(fault: Fault, style: str) -> Text:
    seen = f" = {fault.seen}" if fault.seen else ""
    first = Text.assemble((plain(fault.setting), style), plain(seen))
    return Text.assemble(first, "\n  ", plain(fault.problem), "\n  fix: ", (plain(fault.fix), "green"))
