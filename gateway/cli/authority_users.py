"""``gateway authority users …``: list, add and remove users, and give them passwords."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from gateway.authority import Authority, lifecycle
from gateway.authority.identifiers import new_id
from gateway.authority.models import User
from gateway.authority.store.passwords import hash_password, password_problem
from gateway.authority.store.seed_values import read_email_address
from gateway.cli.authority_people import find_user, open_authority, print_made, read_argument, refuse
from gateway.cli.common_options import database_option, json_option, print_json, yes_option
from gateway.cli.console import confirm
from gateway.cli.exit_codes import DATABASE_EPILOG
from gateway.cli.groups import Group
from gateway.cli.plain_text import plain
from gateway.cli.table import Table, print_table
from gateway.core.secret import Secret


@click.group("users", cls=Group, epilog=DATABASE_EPILOG)
def command() -> None:
    """List, add and remove users, and set their passwords.

    \b
    Examples:
      gateway authority users list --db authority.db --query ada
      gateway authority users add ada@example.com --first-name Ada --with-password --db authority.db
      gateway authority users remove ada@example.com --db authority.db
    """


@command.command("list")
@click.option("--query", default="", metavar="WORDS", help="Only users whose id, name or email address holds them.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, metavar="N", help="At most N.")
@click.option("--offset", type=click.IntRange(0), default=0, metavar="N", help="Skip N first.")
@database_option
@json_option
def list_users(db: str, query: str, limit: int, offset: int, *, as_json: bool) -> None:
    """List users in the order in which they were added."""
    with open_authority(db) as authority:
        directory = authority.realm.directory
        found, count = directory.found_users(query, limit, offset), directory.count_users(query)
        shown = [_user_json(authority, user) for user in found]
    if as_json:
        print_json({"data": shown, "total_count": count})
        return
    headings = ("ID", "NAME", "EMAIL ADDRESS", "PASSWORD", "ORGANIZATIONS")
    rows = [
        (user.id, user.full_name, user.email_address, "yes" if each["has_password"] else "no", _places(each))
        for user, each in zip(found, shown, strict=True)
    ]
    table = Table(headings, ("ORGANIZATIONS", "PASSWORD", "NAME"))
    more = f"; more with --offset {offset + len(found)}" if found and offset + len(found) < count else ""
    print_table(table, rows, f"{len(found)} of {count} users{more}")


@command.command("add")
@click.argument("email_address")
@click.option("--first-name", default="")
@click.option("--last-name", default="")
@click.option("--plan", default="", help="The user's own plan, as tokens name it.")
@click.option(
    "--feature", "features", multiple=True, metavar="NAME", help="A feature of the user's own; repeat it for more."
)
@click.option("--with-password", is_flag=True, help="Ask for a password.")
@click.option("--password-file", metavar="FILE", help="Read the password from FILE; - is standard input.")
@database_option
@json_option
def add_user(  # noqa: PLR0913, PLR0917 - one for each option
    db: str,
    email_address: str,
    first_name: str,
    last_name: str,
    plan: str,
    features: tuple[str, ...],
    with_password: bool,
    password_file: str | None,
    *,
    as_json: bool,
) -> None:
    """Add a user, who can sign in at once."""
    email_address = read_argument("EMAIL_ADDRESS", read_email_address, email_address)
    kept = _ask_password(password_file) if with_password or password_file else None
    now_ms = int(time.time() * 1000)
    user = User(
        id=new_id("user"),
        first_name=first_name,
        last_name=last_name,
        email_address=email_address,
        plan=plan,
        features=features,
        created_at_ms=now_ms,
    )
    with open_authority(db) as authority, authority.realm.database.transaction():
        if authority.realm.directory.user_by_email(email_address) is not None:
            refuse("EMAIL_ADDRESS", email_address, "a user has it already", "name another one")
        authority.realm.directory.add_user(user)
        if kept is not None:
            authority.realm.passwords.keep(user.id, kept, now_ms)
        shown = _user_json(authority, user)
    print_made(shown, as_json=as_json)


@command.command("set-password")
@click.argument("user")
@click.option("--password-file", metavar="FILE", help="Read it from FILE; - is standard input. Asked for if not given.")
@database_option
def set_password(db: str, user: str, password_file: str | None) -> None:
    """Give a user a password; sessions stay as they are.

    USER is an id or an email address.
    """
    with open_authority(db) as authority:
        found = find_user(authority, user)
        authority.realm.passwords.keep(found.id, _ask_password(password_file), int(time.time() * 1000))
    click.echo(f"{plain(found.email_address)} has a new password", err=True)


@command.command("remove")
@click.argument("user")
@yes_option
@database_option
def remove_user(db: str, user: str, *, yes: bool) -> None:
    """Remove a user and end all sessions.

    USER is an id or an email address.
    """
    with open_authority(db) as authority:
        found = find_user(authority, user)
        confirm(f"Remove {found.email_address} and end all sessions?", yes=yes)
        ended = lifecycle.remove_user(authority.realm, found.id)
    click.echo(f"removed {found.id}; {ended} sessions ended", err=True)


def _ask_password(file: str | None) -> str:
    password = Secret(_password_text(file))
    problem = password_problem(password)
    if problem:
        refuse("--password-file" if file else "password", "", problem, "choose another one")
    return hash_password(password)


def _password_text(file: str | None) -> str:
    if file is None:
        if not sys.stdin.isatty():
            raise click.UsageError("--password-file is missing, and there is no terminal to ask on")
        asked: str = click.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
        return asked
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "it is not UTF-8 text"
        refuse("--password-file", file, f"it cannot be read ({problem})", "name a readable file")
    return text.rstrip("\r\n")  # an editor ends the file with a new line; blanks belong to the password


def _user_json(authority: Authority, user: User) -> dict[str, object]:
    members = authority.realm.directory.memberships(user.id)
    return {
        "id": user.id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email_address": user.email_address,
        "plan": user.plan,
        "features": list(user.features),
        "has_password": authority.realm.passwords.of(user.id) is not None,
        "organizations": [
            {"id": each.organization.id, "slug": each.organization.slug, "role": each.role.key} for each in members
        ],
    }


def _places(user: Mapping[str, object]) -> str:
    found = user["organizations"]
    return ", ".join(f"{each['slug']} ({each['role']})" for each in found) if isinstance(found, Sequence) else ""
