"""Groups of commands: a wrong name gets the nearest right one, and modules are imported when they are asked for.

click suggests commands from its release 8.4 on, and only those that are loaded.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import ClassVar

import click


class Group(click.Group):
    """A group that names the nearest of its commands for a name that is none of them."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        near = get_close_matches(args[0], known, n=1)
        if args[0] not in known and near and not ctx.resilient_parsing:
            ctx.fail(f"No such command '{args[0]}'. Did you mean '{near[0]}'?")
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group whose subcommands are each the ``command`` of a module; a subclass says which.

    Attributes:
        modules: by the name of the subcommand, in the order of the help.
    """

    modules: ClassVar[Mapping[str, str]]

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.modules:
            return None
        found: click.Command = import_module(self.modules[cmd_name]).command
        return found
