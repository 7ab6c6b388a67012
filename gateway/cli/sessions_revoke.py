"""``gateway sessions revoke``: one session or many; on a terminal it shows whose they are and asks first.

Nothing is revoked unless every identifier can be sent. What the API does not know is told, and the others go on; where
the API refuses the key, fails or does not answer, it stops there and says which were not tried.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from gateway.cli.plain_text import plain
from gateway.cli.sessions_access import EXIT_API, EXIT_USAGE, Access, access_options, exit_code, fail, report
from gateway.cli.sessions_view import session_lines
from gateway.errors import ApiAnswered, SessionsApiError
from gateway.sessions.client import SessionsClient
from gateway.sessions.models import Session, session_json
from gateway.sessions.wire import BadArgument, path_segment


@dataclass(slots=True)
class Outcome:
    """What became of each session."""

    revoked: list[Session] = field(default_factory=list)
    failed: list[tuple[str, SessionsApiError]] = field(default_factory=list)
    untried: Sequence[str] = ()


@click.command("revoke")
@click.argument("session_ids", nargs=-1, required=True, metavar="SESSION_ID...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@access_options
def command(access: Access, /, session_ids: tuple[str, ...], yes: bool) -> None:
    """Revoke sessions: their users must sign in again.

    Asks first on a terminal, not in a script. With - the identifiers come from standard input, one a line; then nobody
    can be asked, and it takes --yes. Tokens that were minted live on until they expire, by default a minute at most.

    \b
    Examples:
      gateway sessions revoke sess_2x9...
      gateway sessions list --user user_2x9... --status active --all --json \\
        | jq -r '.data[].id' | gateway sessions revoke - --yes
    """
    ids = _identifiers(access, session_ids, is_sure=yes)
    if not yes and sys.stdin.isatty():
        _ask(access, ids)
    outcome = access.run(lambda client: _revoke(client, ids))
    for session_id, error in outcome.failed:
        report(error, access, about=session_id if len(ids) > 1 else "")
    _print_revoked(access, outcome.revoked, is_one=len(ids) == 1)
    if len(ids) > 1:
        untried = f"; not tried: {' '.join(map(plain, outcome.untried))}" if outcome.untried else ""
        click.echo(f"{len(outcome.revoked)} of {len(ids)} sessions revoked{untried}", err=True)
    if outcome.failed:
        sys.exit(exit_code(outcome.failed[-1][1]))


def _identifiers(access: Access, given: tuple[str, ...], *, is_sure: bool) -> list[str]:
    """Settle what is to be revoked, each once and in order."""
    ids = [each for each in given if each != "-"]
    if "-" in given:
        if access.has_taken_stdin:
            raise click.UsageError("standard input cannot hold both the secret key and the identifiers")
        if not is_sure:
            raise click.UsageError("add --yes: standard input holds the identifiers, so nobody can be asked")
        ids += sys.stdin.read().split()
    if not ids:
        raise click.UsageError("standard input holds no identifier")
    try:
        for each in ids:
            path_segment("session_id", each)
    except BadArgument as error:
        fail(str(error), EXIT_USAGE)
    return list(dict.fromkeys(ids))


def _ask(access: Access, ids: Sequence[str]) -> None:
    """Show whose sessions they are, and end the command unless they are to be revoked."""

    async def fetch(client: SessionsClient) -> list[Session]:
        return [await client.get(each) for each in ids]

    for session in access.run(fetch):
        click.echo("\n".join(session_lines(session)) + "\n", err=True)
    what = "this session? Its user" if len(ids) == 1 else f"these {len(ids)} sessions? Their users"
    if not click.confirm(f"Revoke {what} must sign in again.", err=True):
        fail("nothing was revoked", EXIT_API)


async def _revoke(client: SessionsClient, ids: Sequence[str]) -> Outcome:
    outcome = Outcome()
    for place, session_id in enumerate(ids, 1):
        try:
            outcome.revoked.append(await client.revoke(session_id))
        except SessionsApiError as error:
            outcome.failed.append((session_id, error))
            if not (isinstance(error, ApiAnswered) and error.knows_nothing):
                outcome.untried = ids[place:]
                break
    return outcome


def _print_revoked(access: Access, sessions: Sequence[Session], *, is_one: bool) -> None:
    if access.as_json:
        documents = [session_json(session) for session in sessions]
        if documents or not is_one:
            click.echo(json.dumps(documents[0] if is_one else {"data": documents}, indent=2))
    elif sessions:
        from gateway.cli.sessions_table import SessionTable, print_session  # noqa: PLC0415 - not for JSON

        if is_one:
            print_session(sessions[0])
        else:
            SessionTable().print(sessions)
