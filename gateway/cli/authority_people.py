"""``gateway authority users|organizations|roles …``: who is in an authority's file, while it runs or not.

Removing somebody ends the sessions as everything else does, with its events, so a whole authority is opened for it.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from gateway.authority import Authority, AuthorityConfig, lifecycle
from gateway.authority.credentials import PASSWORD
from gateway.authority.identifiers import new_id
from gateway.authority.models import Organization, Role, User
from gateway.authority.store.passwords import hash_password, password_problem
from gateway.authority.store.seed_file import read_email_address, read_permission, read_role_key, read_slug
from gateway.cli.authority_database import database_option, open_database
from gateway.cli.console import confirm
from gateway.cli.exit_codes import DATABASE_EPILOG
from gateway.cli.sessions_view import plain
from gateway.cli.table import Table, print_table
from gateway.core.instance import InstanceKind
from gateway.core.secret import Secret
from gateway.core.settings_values import BadValueError
from gateway.errors import ConfigurationError, Fault

_Command = TypeVar("_Command", bound=Callable[..., Any])
_KEEP_ALL_S = 315_360_000  # what a running authority keeps is not for a command to purge


@click.group("users", epilog=DATABASE_EPILOG)
def users() -> None:
    """List, add and remove users, and set their passwords.

    \b
    Examples:
      gateway authority users list --db authority.db --query ada
      gateway authority users add ada@example.com --first-name Ada --with-password --db authority.db
      gateway authority users remove ada@example.com --db authority.db
    """


@click.group("organizations", epilog=DATABASE_EPILOG)
def organizations() -> None:
    """List, add and remove organizations and their members.

    \b
    Examples:
      gateway authority organizations add Acme --slug acme --plan pro --feature teams --db authority.db
      gateway authority organizations add-member acme ada@example.com --role org:admin --db authority.db
      gateway authority organizations members acme --db authority.db
    """


@click.group("roles", epilog=DATABASE_EPILOG)
def roles() -> None:
    """List and add the roles that members of organizations have.

    \b
    Example:
      gateway authority roles add org:auditor --permission org:reports:read --db authority.db
    """


def _options(function: _Command) -> _Command:
    return database_option(click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function))


@users.command("list")
@click.option("--query", default="", metavar="WORDS", help="Only users whose id, name or email address holds them.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, metavar="N", help="At most N.")
@click.option("--offset", type=click.IntRange(0), default=0, metavar="N", help="Skip N first.")
@_options
def list_users(db: str, query: str, limit: int, offset: int, *, as_json: bool) -> None:
    """List users in the order in which they were added."""
    with _open(db) as authority:
        directory = authority.realm.directory
        found, count = directory.found_users(query, limit, offset), directory.count_users(query)
        shown = [_user_json(authority, user) for user in found]
    if as_json:
        _print_json({"data": shown, "total_count": count})
        return
    headings = ("ID", "NAME", "EMAIL ADDRESS", "PASSWORD", "ORGANIZATIONS")
    rows = [
        (user.id, user.full_name, user.email_address, "yes" if each["has_password"] else "no", _places(each))
        for user, each in zip(found, shown, strict=True)
    ]
    table = Table(headings, ("ORGANIZATIONS", "PASSWORD", "NAME"))
    more = f"; more with --offset {offset + len(found)}" if found and offset + len(found) < count else ""
    print_table(table, rows, f"{len(found)} of {count} users{more}")


@users.command("add")
@click.argument("email_address")
@click.option("--first-name", default="")
@click.option("--last-name", default="")
@click.option("--plan", default="", help="The user's own plan, as tokens name it.")
@click.option(
    "--feature", "features", multiple=True, metavar="NAME", help="A feature of the user's own; repeat it for more."
)
@click.option("--with-password", is_flag=True, help="Ask for a password.")
@click.option("--password-file", metavar="FILE", help="Read the password from FILE; - is standard input.")
@_options
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
    email_address = _read("EMAIL_ADDRESS", read_email_address, email_address)
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
    with _open(db) as authority, authority.realm.database.transaction():
        if authority.realm.directory.user_by_email(email_address) is not None:
            _refuse("EMAIL_ADDRESS", email_address, "a user has it already", "name another one")
        authority.realm.directory.add_user(user)
        if kept is not None:
            authority.realm.passwords.keep(user.id, kept, now_ms)
        shown = _user_json(authority, user)
    _print_made(shown, as_json=as_json)


@users.command("set-password")
@click.argument("user")
@click.option("--password-file", metavar="FILE", help="Read it from FILE; - is standard input. Asked for if not given.")
@database_option
def set_password(db: str, user: str, password_file: str | None) -> None:
    """Give a user a password; sessions stay as they are.

    USER is an id or an email address.
    """
    with _open(db) as authority:
        found = _find_user(authority, user)
        authority.realm.passwords.keep(found.id, _ask_password(password_file), int(time.time() * 1000))
    click.echo(f"{plain(found.email_address)} has a new password", err=True)


@users.command("remove")
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@database_option
def remove_user(db: str, user: str, *, yes: bool) -> None:
    """Remove a user and end all sessions.

    USER is an id or an email address.
    """
    with _open(db) as authority:
        found = _find_user(authority, user)
        confirm(f"Remove {found.email_address} and end all sessions?", yes=yes)
        ended = lifecycle.remove_user(authority.realm, found.id)
    click.echo(f"removed {found.id}; {ended} sessions ended", err=True)


@organizations.command("list")
@_options
def list_organizations(db: str, *, as_json: bool) -> None:
    """List organizations in the order in which they were added."""
    with _open(db) as authority:
        found = authority.realm.directory.organizations()
    if as_json:
        _print_json({"data": [_organization_json(each) | {"members": count} for each, count in found]})
        return
    rows = [(each.id, each.name, each.slug, each.plan, ", ".join(each.features), str(n)) for each, n in found]
    print_table(Table(("ID", "NAME", "SLUG", "PLAN", "FEATURES", "MEMBERS"), ("FEATURES", "PLAN", "MEMBERS")), rows)


@organizations.command("add")
@click.argument("name")
@click.option("--slug", required=True, help="What stands in addresses.")
@click.option("--plan", default="", help="Its plan, as tokens name it.")
@click.option("--feature", "features", multiple=True, metavar="NAME", help="A feature of the plan; repeat it for more.")
@_options
def add_organization(db: str, name: str, slug: str, plan: str, features: tuple[str, ...], *, as_json: bool) -> None:
    """Add an organization."""
    slug = _read("--slug", read_slug, slug)
    made = Organization(
        id=new_id("org"), name=name, slug=slug, plan=plan, features=features, created_at_ms=int(time.time() * 1000)
    )
    with _open(db) as authority, authority.realm.database.transaction():
        if authority.realm.directory.organization(slug) is not None:
            _refuse("--slug", slug, "an organization has it already", "choose another one")
        authority.realm.directory.add_organization(made)
    _print_made(_organization_json(made), as_json=as_json)


@organizations.command("remove")
@click.argument("organization")
@click.option("--yes", is_flag=True, help="Do not ask.")
@database_option
def remove_organization(db: str, organization: str, *, yes: bool) -> None:
    """Remove an organization and its memberships.

    ORGANIZATION is an id or a slug. The members' next tokens no longer have it.
    """
    with _open(db) as authority:
        found = _find_organization(authority, organization)
        confirm(f"Remove {found.name} and all memberships?", yes=yes)
        authority.realm.directory.remove_organization(found.id)
    click.echo(f"removed {found.id}", err=True)


@organizations.command("members")
@click.argument("organization")
@_options
def list_members(db: str, organization: str, *, as_json: bool) -> None:
    """List the members of an organization and their roles."""
    with _open(db) as authority:
        found = authority.realm.directory.members(_find_organization(authority, organization).id)
    if as_json:
        data = [{"user_id": u.id, "email_address": u.email_address, "role": role} for u, role in found]
        _print_json({"data": data})
        return
    rows = [(user.id, user.full_name, user.email_address, role) for user, role in found]
    print_table(Table(("ID", "NAME", "EMAIL ADDRESS", "ROLE"), ("NAME", "ID")), rows)


@organizations.command("add-member")
@click.argument("organization")
@click.argument("user")
@click.option("--role", required=True, metavar="KEY", help="The key of a role, such as org:member.")
@database_option
def add_member(db: str, organization: str, user: str, role: str) -> None:
    """Make a user a member, or give a member another role.

    ORGANIZATION is an id or a slug, USER an id or an email address.
    """
    with _open(db) as authority, authority.realm.database.transaction():
        directory = authority.realm.directory
        place, who = _find_organization(authority, organization), _find_user(authority, user)
        known = [each.key for each in directory.roles()]
        if role not in known:
            _refuse(
                "--role",
                role,
                "there is no such role",
                f"name one of {', '.join(known)}, or add it with 'gateway authority roles add'",
            )
        directory.remove_member(who.id, place.id)
        directory.add_member(who.id, place.id, role)
    click.echo(f"{plain(who.email_address)} is {role} of {place.slug}", err=True)


@organizations.command("remove-member")
@click.argument("organization")
@click.argument("user")
@database_option
def remove_member(db: str, organization: str, user: str) -> None:
    """End a membership.

    ORGANIZATION is an id or a slug, USER an id or an email address. The user's next token no longer has it.
    """
    with _open(db) as authority:
        place, who = _find_organization(authority, organization), _find_user(authority, user)
        if authority.realm.directory.membership(who.id, place.id) is None:
            _refuse(
                "USER",
                user,
                f"the user is not a member of {place.slug}",
                f"'gateway authority organizations members {place.slug}' shows who is",
            )
        authority.realm.directory.remove_member(who.id, place.id)
    click.echo(f"{plain(who.email_address)} is no longer in {place.slug}", err=True)


@roles.command("list")
@_options
def list_roles(db: str, *, as_json: bool) -> None:
    """List roles and their permissions."""
    with _open(db) as authority:
        found = authority.realm.directory.roles()
    if as_json:
        data = [{"key": each.key, "name": each.name, "permissions": list(each.permissions)} for each in found]
        _print_json({"data": data})
        return
    rows = [(each.key, each.name, ", ".join(each.permissions)) for each in found]
    print_table(Table(("KEY", "NAME", "PERMISSIONS"), ("NAME",)), rows)


@roles.command("add")
@click.argument("key")
@click.option("--name", default="", help="For people; by default made of the key.")
@click.option(
    "--permission", "permissions", multiple=True, metavar="KEY", help="Such as org:teams:read; repeat it for more."
)
@database_option
def add_role(db: str, key: str, name: str, permissions: tuple[str, ...]) -> None:
    """Add a role."""
    key = _read("KEY", read_role_key, key)
    permissions = tuple(_read("--permission", read_permission, each) for each in permissions)
    with _open(db) as authority, authority.realm.database.transaction():
        if any(each.key == key for each in authority.realm.directory.roles()):
            _refuse("KEY", key, "there is such a role already", "choose another key")
        authority.realm.directory.add_role(Role(key, name or key.removeprefix("org:").capitalize(), permissions))
    click.echo(f"added {key}", err=True)


@contextmanager
def _open(path: str) -> Iterator[Authority]:
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


def _find_user(authority: Authority, named: str) -> User:
    directory = authority.realm.directory
    found = directory.user_by_email(named) if "@" in named else directory.user(named)
    if found is None:
        _refuse("USER", named, "there is no such user", "'gateway authority users list' shows them")
    return found


def _find_organization(authority: Authority, named: str) -> Organization:
    found = authority.realm.directory.organization(named)
    if found is None:
        _refuse(
            "ORGANIZATION", named, "there is no such organization", "'gateway authority organizations list' shows them"
        )
    return found


def _ask_password(file: str | None) -> str:
    password = Secret(_password_text(file))
    problem = password_problem(password)
    if problem:
        _refuse("--password-file" if file else "password", "", problem, "choose another one")
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
        _refuse("--password-file", file, f"it cannot be read ({problem})", "name a readable file")
    return text.rstrip("\r\n")  # an editor ends the file with a new line; blanks belong to the password


def _read(setting: str, read: Callable[[object], str], value: str) -> str:
    try:
        return read(value)
    except BadValueError as bad:
        _refuse(setting, value, bad.problem, bad.fix)


def _refuse(setting: str, seen: str, problem: str, fix: str) -> NoReturn:
    raise ConfigurationError([Fault(setting, seen, problem, fix)])


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


def _organization_json(each: Organization) -> dict[str, object]:
    return {"id": each.id, "name": each.name, "slug": each.slug, "plan": each.plan, "features": list(each.features)}


def _places(user: Mapping[str, object]) -> str:
    found = user["organizations"]
    return ", ".join(f"{each['slug']} ({each['role']})" for each in found) if isinstance(found, Sequence) else ""


def _print_made(made: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        _print_json(made)
    else:
        click.echo(str(made["id"]))


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2))
