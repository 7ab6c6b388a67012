"""Who is in an authority's file, for ``gateway authority users|organizations|roles …``, while it runs or not.

Removing somebody ends the sessions as everything else does, with its events, so a whole authority is opened for it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import click

from gateway.authority import Authority, AuthorityConfig
from gateway.authority.credentials import PASSWORD
from gateway.authority.models import Organization, User
from gateway.cli.authority_database import open_database
from gateway.cli.common_options import print_json
from gateway.core.instance import InstanceKind
from gateway.core.settings_values import BadValueError
from gateway.errors import ConfigurationError, Fault

_KEEP_ALL_S = 315_360_000  # what a running authority keeps is not for a command to purge


@contextmanager
def open_authority(path: str) -> Iterator[Authority]:
    """Open the authority whose file it is, with everything in it.

    Raises:
        ConfigurationError: it cannot be used.
    """
    with open_database(path) as database:
        row = database.row("SELECT kind, origin FROM instance")
    if row is None:
        raise AssertionError("the file was just found to hold an authority")
    config = AuthorityConfig(
        origin=row["origin"],
        database=path,
        kind=InstanceKind(row["kind"]),
        sign_in_check=PASSWORD,
        inactive_retention_s=_KEEP_ALL_S,
    )
    authority = Authority.open(config)
    try:
        yield authority
    finally:
        authority.close()


def find_user(authority: Authority, named: str) -> User:
    """The user with this id or email address.

    Raises:
        ConfigurationError: there is none.
    """
    directory = authority.realm.directory
    found = directory.user_by_email(named) if "@" in named else directory.user(named)
    if found is None:
        refuse("USER", named, "there is no such user", "'gateway authority users list' shows them")
    return found


def find_organization(authority: Authority, named: str) -> Organization:
    """The organization with this id or slug.

    Raises:
        ConfigurationError: there is none.
    """
    found = authority.realm.directory.organization(named)
    if found is None:
        refuse(
            "ORGANIZATION", named, "there is no such organization", "'gateway authority organizations list' shows them"
        )
    return found


def read_argument(setting: str, read: Callable[[object], str], value: str) -> str:
    """Read an argument or option as the seed file's reader does.

    Raises:
        ConfigurationError: it cannot be used.
    """
    try:
        return read(value)
    except BadValueError as bad:
        refuse(setting, value, bad.problem, bad.fix)


def refuse(setting: str, seen: str, problem: str, fix: str) -> NoReturn:
    """End the command with one fault."""
    raise ConfigurationError([Fault(setting, seen, problem, fix)])


def print_made(made: Mapping[str, object], *, as_json: bool) -> None:
    """Print what was added: its id, or all of it."""
    if as_json:
        print_json(made)
    else:
        click.echo(str(made["id"]))
