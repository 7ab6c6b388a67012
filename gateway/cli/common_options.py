"""Options that commands of several groups have, and how they are obeyed."""

import json

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
database_option = click.option(
    "--db", required=True, metavar="FILE", help="SQLite file of the authority; it may be running."
)
seed_option = click.option(
    "--seed", metavar="FILE", help="TOML file that says who is in a new database (docs/authority.md)."
)
control_option = click.option(
    "--control",
    metavar="HOST:PORT",
    help="For tests: turn its clock and its faults over HTTP there, on this machine only. Port 0: any free one.",
)
webhook_option = click.option(
    "--webhook", "webhooks", metavar="URL", multiple=True, help="Post session events to this URL; repeat it for more."
)


def print_json(document: object) -> None:
    """Print what ``--json`` asks for."""
    click.echo(json.dumps(document, indent=2))
