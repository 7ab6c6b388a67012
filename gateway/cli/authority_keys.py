"""``gateway authority keys …``: the signing keys of an authority, changed in its file, also while it serves.

Decides what is asked before somebody is signed out, and what is printed: the keys to standard output, everything else
to standard error.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from gateway.authority.signing.key_life import MARGIN_S, OVERLAP_S, KeyRecord, Stage, moment
from gateway.authority.store.database import Database
from gateway.authority.store.ledger import Ledger, SessionFilter
from gateway.authority.store.signing_keys import SigningKeys
from gateway.cli.authority_database import open_database
from gateway.cli.common_options import database_option, json_option, print_json, yes_option
from gateway.cli.console import confirm
from gateway.cli.exit_codes import DATABASE_EPILOG
from gateway.cli.groups import Group
from gateway.cli.table import Table, print_table
from gateway.core.session_status import SessionStatus
from gateway.errors import ConfigurationError, Fault

_STYLES = {Stage.SIGNING: "green", Stage.PUBLISHED: "yellow", Stage.RETIRED: "dim"}
_CONSEQUENCE = (
    "Gateways and SDKs refuse what it signed from their next look at the keys on, after 5 minutes at most. "
    "Browsers get new tokens through the handshake when a page is loaded; whatever else holds one is signed out"
)


@click.group("keys", cls=Group, epilog=DATABASE_EPILOG)
def command() -> None:
    """List, rotate and retire the keys that sign tokens.

    A rotation signs nobody out. A key is published (in the JWKS, so that everybody gets to know it), then signing, then
    retiring (still in the JWKS, because tokens that it signed are still good), then retired (gone). Exactly one key
    signs. An authority that serves the file takes every change up by itself.

    \b
    The usual way, and the one for a key that others have:
      gateway authority keys rotate --db authority.db     now
      gateway authority keys retire --db authority.db     some day later
      gateway authority keys replace --db authority.db    at once; signs people out
    """


@command.command("list")
@database_option
@click.option("--all", "is_all", is_flag=True, help="The retired ones too.")
@json_option
def list_(db: str, *, is_all: bool, as_json: bool) -> None:
    """List the keys, the oldest first.

    \b
    Example:
      gateway authority keys list --db authority.db --json | jq -r '.data[] | select(.stage == "signing").kid'
    """
    with _opened(db) as (keys, _database):
        _show(keys, is_all=is_all, as_json=as_json)


@command.command("generate")
@database_option
@json_option
def generate(db: str, *, as_json: bool) -> None:
    """Publish a new key for a later rotation.

    Not needed before 'rotate', which makes a key itself: this is for a key that should be known long before.
    """
    with _opened(db) as (keys, _database):
        made = keys.generate()
        click.echo(f"{made.kid} is published; 'rotate' lets it sign", err=True)
        _show(keys, as_json=as_json)


@command.command("rotate")
@database_option
@click.option(
    "--sign-after",
    "sign_after_s",
    type=click.IntRange(0, 31_536_000),
    default=OVERLAP_S,
    show_default=True,
    metavar="SECONDS",
    help="How long the key is published before it signs; 0 is at once.",
)
@json_option
def rotate(db: str, *, sign_after_s: int, as_json: bool) -> None:
    """Publish a new key, and let it sign once everybody knows it.

    The key before it is retiring then. Gateways and official SDKs look at the keys every 5 minutes, and what is between
    them may keep the answer for one more. With --sign-after 0 they meet a key that they do not know, and ask for it: a
    gateway no more often than its keys.cool_down_s (10 seconds), so tokens may be refused for so long. A key made by
    'generate' is taken first.

    \b
    Example:
      gateway authority keys rotate --db authority.db --sign-after 3600
    """
    with _opened(db) as (keys, _database):
        chosen = keys.rotate(sign_after_s)
        when = "signs from now on" if chosen.stage is Stage.SIGNING else f"signs from {_time(chosen.sign_at_ms)} on"
        click.echo(
            f"{chosen.kid} {when}; then 'retire' takes the key before it out, when it is no longer needed", err=True
        )
        _show(keys, as_json=as_json)


@command.command("retire")
@database_option
@click.argument("kid", required=False)
@click.option("--force", "is_forced", is_flag=True, help="Although tokens that it signed are good. Signs people out.")
@yes_option
@json_option
def retire(db: str, kid: str | None, *, is_forced: bool, yes: bool, as_json: bool) -> None:
    """Take a key out of the JWKS for good.

    Without KID every one that is no longer needed. A key is needed as long as a token that it signed is good, or may be
    traded for a new one. The authority notes the last of them before it signs. A published key goes at any time, and a
    rotation to it with it.

    \b
    Examples:
      gateway authority keys retire --db authority.db
      gateway authority keys retire ins_2x9... --db authority.db --force
    """
    if is_forced and kid is None:
        raise click.UsageError("--force needs a KID")
    with _opened(db) as (keys, database):
        if kid is None:
            retired = keys.retire_unneeded()
            click.echo(f"retired: {', '.join(retired)}" if retired else "no key can be retired yet", err=True)
        else:
            record = next((key for key in keys.records() if key.kid == kid), None)
            if record is None:
                fix = "'gateway authority keys list --all' shows them"
                raise ConfigurationError([Fault("KID", kid, "there is no key with that id", fix)])
            if is_forced and record.stage is Stage.RETIRING and record.is_needed(keys.now_ms()):
                until = moment(record.needed_until_s + MARGIN_S)
                _confirm(f"{kid} is needed until {until}", database, keys.now_ms(), yes=yes)
            keys.retire(kid, is_forced=is_forced)
            click.echo(f"{kid} is retired", err=True)
        _show(keys, as_json=as_json)


@command.command("replace")
@database_option
@yes_option
@json_option
def replace(db: str, *, yes: bool, as_json: bool) -> None:
    """Let a new key sign at once and retire all others.

    For keys that somebody else has, or that are damaged. This signs people out. It also works when the authority
    refuses to start because of its keys.
    """
    with _opened(db) as (keys, database):
        _confirm("All keys are replaced", database, keys.now_ms(), yes=yes)
        made = keys.replace_all()
        click.echo(f"{made.kid} signs from now on; all other keys are retired", err=True)
        _show(keys, as_json=as_json)


@contextmanager
def _opened(db: str) -> Iterator[tuple[SigningKeys, Database]]:
    with open_database(db) as database:
        yield SigningKeys(database, time.time), database


def _confirm(what: str, database: Database, now_ms: int, *, yes: bool) -> None:
    if yes:
        return
    sessions = Ledger(database).count(SessionFilter(status=SessionStatus.ACTIVE), now_ms)
    confirm(f"{what}. {_CONSEQUENCE}. Sessions: {sessions}. Go on?", yes=yes)


def _show(keys: SigningKeys, *, as_json: bool, is_all: bool = False) -> None:
    shown = [key for key in keys.records() if is_all or key.stage is not Stage.RETIRED]
    if as_json:
        print_json({"data": [_as_json(key) for key in shown]})
    else:
        _print_table(shown, keys.now_ms())


def _as_json(key: KeyRecord) -> dict[str, object]:
    return {
        "kid": key.kid,
        "stage": key.stage.value,
        "created_at": key.created_at_ms,
        "sign_at": key.sign_at_ms,
        "needed_until": key.needed_until_s * 1000 or None,
        "retired_at": key.retired_at_ms,
    }


def _print_table(keys: list[KeyRecord], now_ms: int) -> None:
    headings = ("KEY", "STAGE", "PUBLISHED", "SIGNS FROM", "NEEDED")
    styles = {"STAGE": {stage.value: style for stage, style in _STYLES.items()}}
    rows = [
        (key.kid, key.stage.value, _time(key.created_at_ms), _time(key.sign_at_ms), _need(key, now_ms)) for key in keys
    ]
    print_table(Table(headings, ("PUBLISHED", "SIGNS FROM"), styles), rows)


def _need(key: KeyRecord, now_ms: int) -> str:
    if key.stage is Stage.RETIRING:
        return f"until {moment(key.needed_until_s + MARGIN_S)}" if key.is_needed(now_ms) else "no longer"
    return {Stage.SIGNING: "it signs", Stage.PUBLISHED: "soon"}.get(key.stage, "no longer")


def _time(unix_ms: int | None) -> str:
    return "" if unix_ms is None else moment(unix_ms // 1000)
