"""``gateway authority roles …``: list and add the roles that members of organizations have."""

import click

from gateway.authority.models import Role
from gateway.authority.store.seed_values import read_permission, read_role_key
from gateway.cli.authority_people import open_authority, read_argument, refuse
from gateway.cli.common_options import database_option, json_option, print_json
from gateway.cli.exit_codes import DATABASE_EPILOG
from gateway.cli.groups import Group
from gateway.cli.table import Table, print_table


@click.group("roles", cls=Group, epilog=DATABASE_EPILOG)
def command() -> None:
    """List and add the roles that members of organizations have.

    \b
    Example:
      gateway authority roles add org:auditor --permission org:reports:read --db authority.db
    """


@command.command("list")
@database_option
@json_option
def list_roles(db: str, *, as_json: bool) -> None:
    """List roles and their permissions."""
    with open_authority(db) as authority:
        found = authority.realm.directory.roles()
    if as_json:
        data = [{"key": each.key, "name": each.name, "permissions": list(each.permissions)} for each in found]
        print_json({"data": data})
        return
    rows = [(each.key, each.name, ", ".join(each.permissions)) for each in found]
    print_table(Table(("KEY", "NAME", "PERMISSIONS"), ("NAME",)), rows)


@command.command("add")
@click.argument("key")
@click.option("--name", default="", help="For people; by default made of the key.")
@click.option(
    "--permission", "permissions", multiple=True, metavar="KEY", help="Such as org:teams:read; repeat it for more."
)
@database_option
def add_role(db: str, key: str, name: str, permissions: tuple[str, ...]) -> None:
    """Add a role."""
    key = read_argument("KEY", read_role_key, key)
    permissions = tuple(read_argument("--permission", read_permission, each) for each in permissions)
    with open_authority(db) as authority, authority.realm.database.transaction():
        if any(each.key == key for each in authority.realm.directory.roles()):
            refuse("KEY", key, "there is such a role already", "choose another key")
        authority.realm.directory.add_role(Role(key, name or key.removeprefix("org:").capitalize(), permissions))
    click.echo(f"added {key}", err=True)
