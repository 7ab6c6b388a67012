"""``gateway authority webhooks …``: who is told of sessions, and what became of it, in the file, also while it serves.

Decides what is printed: a signing secret when it is made or asked for, to standard output and nowhere else. A secret
that somebody else made comes from a file, because the command line is seen by everybody on the machine.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from gateway.authority.store.database import Database
from gateway.authority.webhooks.endpoints import Endpoint, read_url
from gateway.authority.webhooks.events import EventType
from gateway.authority.webhooks.history import Delivery, History
from gateway.authority.webhooks.outbox import DeliveryState, Outbox
from gateway.cli.authority_database import open_database
from gateway.cli.authority_webhook_secrets import read_secret_file
from gateway.cli.common_options import database_option, json_option, print_json
from gateway.cli.console import confirm
from gateway.cli.exit_codes import DATABASE_EPILOG, ExitCode
from gateway.cli.groups import Group
from gateway.cli.plain_text import time_text
from gateway.cli.table import Table, print_table
from gateway.core.instance import InstanceKind
from gateway.errors import ConfigurationError, Fault

_STYLES = {DeliveryState.DELIVERED: "green", DeliveryState.WAITING: "yellow", DeliveryState.FAILED: "red"}
_endpoint_argument = click.argument("endpoint", metavar="ENDPOINT")


@click.group("webhooks", cls=Group, epilog=DATABASE_EPILOG)
def command() -> None:
    """Tell applications of sessions that begin and end.

    Events are signed as Svix signs. An authority that serves the file takes every change up within a second. What
    fails is tried again for 28 hours: after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h. ENDPOINT is an id (ep_...)
    or a URL.

    \b
    Examples:
      gateway authority webhooks add http://127.0.0.1:3000/api/webhooks --db authority.db
      gateway authority webhooks messages --db authority.db --state failed
      gateway authority webhooks replay --failed --db authority.db
    """


@command.command("add")
@click.argument("url")
@database_option
@click.option(
    "--event",
    "events",
    multiple=True,
    type=click.Choice([event_type.value for event_type in EventType]),
    help="Only this event; repeat it for more. Without it: every one.",
)
@click.option("--secret-file", metavar="FILE", help="File with a signing secret (whsec_...); without it one is made.")
@json_option
def add(url: str, db: str, *, events: Sequence[str], secret_file: str | None, as_json: bool) -> None:
    """Add an endpoint and print its signing secret.

    \b
    Example:
      gateway authority webhooks add https://example.com/hook --event session.revoked --db authority.db
    """
    secret = read_secret_file(secret_file, "--secret-file") if secret_file else None
    with _opened(db) as (outbox, database):
        read_url(url, _kind(database), "URL")
        made = Endpoint.new(url, int(time.time() * 1000), secret, [EventType(name) for name in events])
        if not outbox.endpoints.add(made):
            raise ConfigurationError([Fault("URL", url, "there is an endpoint with this URL", "remove that one first")])
    if as_json:
        print_json(_as_json(made) | {"signing_secret": made.secret.reveal()})
    else:
        click.echo(f"{made.id}\nCLERK_WEBHOOK_SIGNING_SECRET={made.secret.reveal()}")


@command.command("list")
@database_option
@json_option
def list_(db: str, *, as_json: bool) -> None:
    """List the endpoints and how many messages they got."""
    with _opened(db) as (outbox, database):
        history = History(database)
        found = [(endpoint, history.counts(endpoint.id)) for endpoint in outbox.endpoints.all()]
    if as_json:
        data = [_as_json(endpoint) | {"deliveries": counts} for endpoint, counts in found]
        print_json({"data": data})
        return
    rows = [
        (
            endpoint.id,
            endpoint.url,
            ", ".join(endpoint.event_types) or "all",
            f"disabled: {endpoint.disabled_because}" if endpoint.disabled_because else "enabled",
            *(str(counts[state]) for state in DeliveryState),
        )
        for endpoint, counts in found
    ]
    headings = ("ENDPOINT", "URL", "EVENTS", "STATE", "WAITING", "DELIVERED", "FAILED")
    print_table(Table(headings, ("DELIVERED", "EVENTS", "WAITING", "ENDPOINT")), rows)


@command.command("secret")
@_endpoint_argument
@database_option
def secret_(endpoint: str, db: str) -> None:
    """Print the signing secret of an endpoint."""
    with _opened(db) as (outbox, _database):
        click.echo(_found(outbox, endpoint).secret.reveal())


@command.command("remove")
@_endpoint_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@database_option
def remove(endpoint: str, db: str, *, yes: bool) -> None:
    """Remove an endpoint, its secret and every message for it."""

    def remove_it(outbox: Outbox, found: Endpoint) -> None:
        confirm(f"Remove {found.url}, its secret and every message for it?", yes=yes)
        outbox.endpoints.remove(found.id)

    _change(db, endpoint, remove_it, "is removed")


@command.command("disable")
@_endpoint_argument
@database_option
def disable(endpoint: str, db: str) -> None:
    """Send nothing to an endpoint any more.

    What waits for it counts as failed.
    """
    _change(db, endpoint, lambda outbox, found: outbox.endpoints.disable(found.id, "by command"), "is disabled")


@command.command("enable")
@_endpoint_argument
@database_option
def enable(endpoint: str, db: str) -> None:
    """Send to an endpoint again, from now on.

    'replay' sends what failed before.
    """
    _change(db, endpoint, lambda outbox, found: outbox.endpoints.enable(found.id), "is enabled")


@command.command("messages")
@database_option
@click.option("--endpoint", metavar="ENDPOINT", help="Only for this endpoint.")
@click.option(
    "--state", type=click.Choice([state.value for state in DeliveryState]), help="Only messages in this state."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, metavar="N", help="At most N.")
@json_option
def messages(db: str, *, endpoint: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List messages, the newest first.

    Delivered ones are kept for 3 days, failed ones for 30.
    """
    with _opened(db) as (outbox, database):
        endpoint_id = _found(outbox, endpoint).id if endpoint else None
        found = History(database).page(limit, DeliveryState(state) if state else None, endpoint_id)
    if as_json:
        print_json({"data": [delivery.as_json() for delivery in found]})
    else:
        headings = ("MESSAGE", "EVENT", "SESSION", "ENDPOINT", "STATE", "ATTEMPTS", "LAST", "CREATED")
        styles = {"STATE": {state.value: style for state, style in _STYLES.items()}}
        table = Table(headings, ("ENDPOINT", "CREATED", "SESSION", "ATTEMPTS"), styles)
        print_table(table, [_row(delivery) for delivery in found])


@command.command("replay")
@click.argument("message_id", required=False)
@database_option
@click.option("--failed", is_flag=True, help="Everything that failed.")
@click.option("--endpoint", metavar="ENDPOINT", help="Only for this endpoint.")
def replay(message_id: str | None, db: str, *, failed: bool, endpoint: str | None) -> int:
    """Send a message again, or with --failed all that failed.

    Each keeps its id.

    \b
    Examples:
      gateway authority webhooks replay msg_2x9... --db authority.db
      gateway authority webhooks replay --failed --endpoint ep_2x9... --db authority.db
    """
    if (message_id is None) is not failed:
        raise click.UsageError("name a MESSAGE_ID, or give --failed")
    with _opened(db) as (outbox, database):
        endpoint_id = _found(outbox, endpoint).id if endpoint else None
        number = History(database).replay(message_id, endpoint_id)
    click.echo(f"{number} to be sent again", err=True)
    if not number and message_id:
        click.echo("there is no such message any more, or its endpoint is disabled", err=True)
        return ExitCode.FAILED
    return ExitCode.OK


@contextmanager
def _opened(db: str) -> Iterator[tuple[Outbox, Database]]:
    with open_database(db) as database:
        yield Outbox(database), database


def _kind(database: Database) -> InstanceKind:
    row = database.row("SELECT kind FROM instance")
    return InstanceKind(row["kind"]) if row else InstanceKind.PRODUCTION


def _found(outbox: Outbox, name: str) -> Endpoint:
    found = outbox.endpoints.find(name)
    if found is None:
        raise ConfigurationError(
            [Fault("ENDPOINT", name, "there is no such endpoint", "'gateway authority webhooks list' shows them")]
        )
    return found


def _change(db: str, name: str, change: Callable[[Outbox, Endpoint], None], what: str) -> None:
    with _opened(db) as (outbox, _database):
        found = _found(outbox, name)
        change(outbox, found)
    click.echo(f"{found.id} {what}", err=True)


def _as_json(endpoint: Endpoint) -> dict[str, object]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.event_types),
        "disabled_because": endpoint.disabled_because,
        "created_at": endpoint.created_at_ms,
    }


def _row(delivery: Delivery) -> tuple[str, ...]:
    return (
        delivery.message_id,
        delivery.event_type.value,
        delivery.subject,
        delivery.endpoint_id,
        delivery.state.value,
        str(delivery.attempts),
        delivery.outcome or "",
        time_text(delivery.created_at_ms),
    )
