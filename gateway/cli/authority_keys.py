"""``gateway authority keys …``: the signing keys of an authority, on its file, while it runs or not."""

import json
from datetime import UTC, datetime

import click

from gateway.cli.authority_database import database_option, open_database


@click.group("keys")
def command() -> None:
    """List the keys that sign the tokens."""


@command.command("list")
@database_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_(db: str, *, as_json: bool) -> None:
    """List the signing keys, the one that signs first."""
    with open_database(db) as database:
        rows = database.rows("SELECT kid, created_at, signs FROM signing_keys ORDER BY signs DESC, created_at DESC")
    if as_json:
        click.echo(json.dumps([dict(row) for row in rows], indent=2))
        return
    for row in rows:
        created = datetime.fromtimestamp(row["created_at"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        click.echo(f"{row['kid']}  {'signing' if row['signs'] else 'published'}  {created}")
