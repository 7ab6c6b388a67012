"""``gateway authority organizations …``: list, add and remove organizations, and their members."""

import time

import click

from gateway.authority.identifiers import new_id
from gateway.authority.models import Organization
from gateway.authority.store.seed_values import read_slug
from gateway.cli.authority_people import (
    find_organization,
    find_user,
    open_authority,
    print_made,
    read_argument,
    refuse,
)
from gateway.cli.common_options import database_option, json_option, print_json, yes_option
from gateway.cli.console import confirm
from gateway.cli.exit_codes import DATABASE_EPILOG
from gateway.cli.groups import Group
from gateway.cli.plain_text import plain
from gateway.cli.table import Table, print_table


@click.group("organizations", cls=Group, epilog=DATABASE_EPILOG)
def command() -> None:
    """List, add and remove organizations and their members.

    \b
    Examples:
      gateway authority organizations add Acme --slug acme --plan pro --feature teams --db authority.db
      gateway authority organizations add-member acme ada@example.com --role org:admin --db authority.db
      gateway authority organizations members acme --db authority.db
    """


@command.command("list")
@database_option
@json_option
def list_organizations(db: str, *, as_json: bool) -> None:
    """List organizations in the order in which they were added."""
    with open_authority(db) as authority:
        found = authority.realm.directory.organizations()
    if as_json:
        print_json({"data": [_organization_json(each) | {"members": count} for each, count in found]})
        return
    rows = [(each.id, each.name, each.slug, each.plan, ", ".join(each.features), str(n)) for each, n in found]
    print_table(Table(("ID", "NAME", "SLUG", "PLAN", "FEATURES", "MEMBERS"), ("FEATURES", "PLAN", "MEMBERS")), rows)


@command.command("add")
@click.argument("name")
@click.option("--slug", required=True, help="What stands in addresses.")
@click.option("--plan", default="", help="Its plan, as tokens name it.")
@click.option("--feature", "features", multiple=True, metavar="NAME", help="A feature of the plan; repeat it for more.")
@database_option
@json_option
def add_organization(db: str, name: str, slug: str, plan: str, features: tuple[str, ...], *, as_json: bool) -> None:
    """Add an organization."""
    slug = read_argument("--slug", read_slug, slug)
    made = Organization(
        id=new_id("org"), name=name, slug=slug, plan=plan, features=features, created_at_ms=int(time.time() * 1000)
    )
    with open_authority(db) as authority, authority.realm.database.transaction():
        if authority.realm.directory.organization(slug) is not None:
            refuse("--slug", slug, "an organization has it already", "choose another one")
        authority.realm.directory.add_organization(made)
    print_made(_organization_json(made), as_json=as_json)


@command.command("remove")
@click.argument("organization")
@yes_option
@database_option
def remove_organization(db: str, organization: str, *, yes: bool) -> None:
    """Remove an organization and its memberships.

    ORGANIZATION is an id or a slug. The members' next tokens no longer have it.
    """
    with open_authority(db) as authority:
        found = find_organization(authority, organization)
        confirm(f"Remove {found.name} and all memberships?", yes=yes)
        authority.realm.directory.remove_organization(found.id)
    click.echo(f"removed {found.id}", err=True)


@command.command("members")
@click.argument("organization")
@database_option
@json_option
def list_members(db: str, organization: str, *, as_json: bool) -> None:
    """List the members of an organization and their roles."""
    with open_authority(db) as authority:
        found = authority.realm.directory.members(find_organization(authority, organization).id)
    if as_json:
        data = [{"user_id": u.id, "email_address": u.email_address, "role": role} for u, role in found]
        print_json({"data": data})
        return
    rows = [(user.id, user.full_name, user.email_address, role) for user, role in found]
    print_table(Table(("ID", "NAME", "EMAIL ADDRESS", "ROLE"), ("NAME", "ID")), rows)


@command.command("add-member")
@click.argument("organization")
@click.argument("user")
@click.option("--role", required=True, metavar="KEY", help="The key of a role, such as org:member.")
@database_option
def add_member(db: str, organization: str, user: str, role: str) -> None:
    """Make a user a member, or give a member another role.

    ORGANIZATION is an id or a slug, USER an id or an email address.
    """
    with open_authority(db) as authority, authority.realm.database.transaction():
        directory = authority.realm.directory
        place, who = find_organization(authority, organization), find_user(authority, user)
        known = [each.key for each in directory.roles()]
        if role not in known:
            refuse(
                "--role",
                role,
                "there is no such role",
                f"name one of {', '.join(known)}, or add it with 'gateway authority roles add'",
            )
        directory.remove_member(who.id, place.id)
        directory.add_member(who.id, place.id, role)
    click.echo(f"{plain(who.email_address)} is {role} of {place.slug}", err=True)


@command.command("remove-member")
@click.argument("organization")
@click.argument("user")
@database_option
def remove_member(db: str, organization: str, user: str) -> None:
    """End a membership.

    ORGANIZATION is an id or a slug, USER an id or an email address. The user's next token no longer has it.
    """
    with open_authority(db) as authority:
        place, who = find_organization(authority, organization), find_user(authority, user)
        if authority.realm.directory.membership(who.id, place.id) is None:
            refuse(
                "USER",
                user,
                f"the user is not a member of {place.slug}",
                f"'gateway authority organizations members {place.slug}' shows who is",
            )
        authority.realm.directory.remove_member(who.id, place.id)
    click.echo(f"{plain(who.email_address)} is no longer in {place.slug}", err=True)


def _organization_json(each: Organization) -> dict[str, object]:
    return {"id": each.id, "name": each.name, "slug": each.slug, "plan": each.plan, "features": list(each.features)}
