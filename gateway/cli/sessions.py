"""``gateway sessions …``: the operations of the Sessions API for people and for scripts.

Decides what is asked before something is undone, and what is printed: results go to standard output and everything
else to standard error, so that ``--json`` and ``token`` can be piped.
"""

import json
import sys
import warnings
from typing import Literal

import click

from gateway.cli.sessions_access import Access, access_options, read_private
from gateway.cli.sessions_view import plain, print_session, print_sessions
from gateway.sessions.client import SessionsClient
from gateway.sessions.models import RefreshedCookies, Session, SessionList, SessionStatus, Token, session_json

# The API does not filter by pending (parameter status of operation GetSessionList).
_FILTERS = sorted(status.value for status in SessionStatus if status is not SessionStatus.PENDING)
_LIFETIME_S = click.IntRange(30, 315_360_000)
_PAGE_SIZE = 500


@click.group("sessions")
def command() -> None:
    """List, inspect, revoke and mint sessions through the Sessions API.

    The secret key comes from --secret-key-file, from the file given with --config, or from the environment variable
    CLERK_SECRET_KEY (or the file named by CLERK_SECRET_KEY_FILE). It is never an argument: other users of the machine
    can read those.

    \b
    Examples:
      gateway sessions list --user user_2x9... --status active
      gateway sessions revoke sess_2x9...
      gateway sessions list --client client_2x9... --all --json | jq -r '.data[].id'
      curl -H "Authorization: Bearer $(gateway sessions token sess_2x9...)" http://localhost:8000/

    \b
    Exit codes:
      0  done
      1  the API refused or failed
      2  wrong usage or configuration
      4  the API could not be reached
    """


@command.command("list")
@click.option("--user", "user_id", metavar="ID", help="Only sessions of this user.")
@click.option("--client", "client_id", metavar="ID", help="Only sessions of this client (device).")
@click.option("--status", type=click.Choice(_FILTERS), help="Only sessions with this status.")
@click.option("--limit", type=click.IntRange(1, 500), help="At most so many; 10 by default.")
@click.option("--offset", type=click.IntRange(0), help="Skip so many first.")
@click.option("--all", "is_all", is_flag=True, help="All of them, however many pages.")
@access_options
def list_(  # noqa: PLR0913, PLR0917 - one for each option
    access: Access,
    /,
    user_id: str | None,
    client_id: str | None,
    status: str | None,
    limit: int | None,
    offset: int | None,
    is_all: bool,
) -> None:
    """List sessions, newest first. The API wants --user or --client.

    \b
    Examples:
      gateway sessions list --user user_2x9...
      gateway sessions list --user user_2x9... --status active --all
    """
    if is_all and (limit is not None or offset is not None):
        raise click.UsageError("--all cannot be combined with --limit or --offset")
    filters = {"user_id": user_id, "client_id": client_id, "status": status}
    skipped = offset or 0

    async def fetch(client: SessionsClient) -> SessionList:
        if not is_all:
            return await client.list(**filters, limit=limit or 10, offset=skipped)
        found = [session async for session in client.iterate(**filters, page_size=_PAGE_SIZE)]
        return SessionList(tuple(found), len(found))

    page = access.run(fetch)
    if access.as_json:
        _print_json({"data": [session_json(session) for session in page.data], "total_count": page.total_count})
        return
    if page.data:
        print_sessions(page.data)
    shown = skipped + len(page.data)
    more = f"; more with --offset {shown} or --all" if page.data and shown < (page.total_count or 0) else ""
    click.echo(f"{len(page.data)} of {page.total_count} sessions{more}", err=True)


@command.command("get")
@click.argument("session_id")
@access_options
def get(access: Access, /, session_id: str) -> None:
    """Show one session.

    \b
    Example:
      gateway sessions get sess_2x9...
    """
    _show(access, access.run(lambda client: client.get(session_id)))


@command.command("create")
@click.argument("user_id")
@click.option("--organization", metavar="ID", help="Make this organization the active one.")
@access_options
def create(access: Access, /, user_id: str, organization: str | None) -> None:
    """Create a session for a user. For tests: production instances refuse it.

    \b
    Example:
      gateway sessions create user_2x9...
    """
    _show(access, access.run(lambda client: client.create(user_id, active_organization_id=organization)))


@command.command("revoke")
@click.argument("session_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@access_options
def revoke(access: Access, /, session_id: str, yes: bool) -> None:
    """Revoke a session: its user must sign in again.

    Asks first on a terminal, not in a script. Tokens that were minted live on until they expire, by default a minute
    at most.

    \b
    Example:
      gateway sessions revoke sess_2x9...
    """
    if not yes and sys.stdin.isatty():
        click.confirm(f"Revoke session {plain(session_id)}? Its user must sign in again.", abort=True, err=True)
    _show(access, access.run(lambda client: client.revoke(session_id)))


@command.command("token")
@click.argument("session_id")
@click.option("--template", metavar="NAME", help="Use this JWT template of the instance.")
@click.option("--expires-in", type=_LIFETIME_S, metavar="SECONDS", help="Lifetime instead of the default.")
@click.option("--origin", metavar="URL", help="Origin that the token is for; becomes its azp claim.")
@access_options
def token(access: Access, /, session_id: str, template: str | None, expires_in: int | None, origin: str | None) -> None:
    """Mint a token of a session and print it, and nothing else.

    \b
    Examples:
      gateway sessions token sess_2x9... --origin https://app.example.com
      gateway sessions token sess_2x9... --template hasura --expires-in 3600
    """

    async def mint(client: SessionsClient) -> Token:
        if template is None:
            return await client.create_token(session_id, expires_in_s=expires_in, origin=origin)
        return await client.create_token_from_template(session_id, template, expires_in_s=expires_in, origin=origin)

    _print_token(access, access.run(mint))


@command.command("verify", deprecated=True)
@click.argument("session_id")
@click.option("--token-file", metavar="FILE", help="The session token; - is standard input. Asked for if not given.")
@access_options
def verify(access: Access, /, session_id: str, token_file: str | None) -> None:
    """Ask the API whether a token belongs to a session that is signed in.

    The API has deprecated this: verify tokens by their signature.

    \b
    Example:
      gateway sessions verify sess_2x9... --token-file token.txt
    """
    session_token = read_private("token", token_file)

    async def ask(client: SessionsClient) -> Session:
        with warnings.catch_warnings():  # the command line has said so already
            warnings.simplefilter("ignore", DeprecationWarning)
            return await client.verify(session_id, session_token)

    _show(access, access.run(ask))


@command.command("refresh")
@click.argument("session_id")
@click.option("--expired-token-file", metavar="FILE", help="The expired session token; - is standard input.")
@click.option("--refresh-token-file", metavar="FILE", help="The value of the refresh cookie; - is standard input.")
@click.option("--origin", metavar="URL", required=True, help="Origin of the page, which is the token's azp.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of the browser's request.")
@click.option("--format", "form", type=click.Choice(["token", "cookie"]), default="token", show_default=True)
@click.option("--suffixed-cookies", is_flag=True, help="With --format cookie: under the instance's suffix.")
@access_options
def refresh(  # noqa: PLR0913, PLR0917 - one for each option
    access: Access,
    /,
    session_id: str,
    expired_token_file: str | None,
    refresh_token_file: str | None,
    origin: str,
    headers: tuple[str, ...],
    form: Literal["token", "cookie"],
    suffixed_cookies: bool,
) -> None:
    """Trade an expired session token and a refresh token for a new session token.

    A token whose file is not given is asked for.

    \b
    Example:
      gateway sessions refresh sess_2x9... --origin https://app.example.com \\
        --expired-token-file expired.jwt --refresh-token-file refresh.txt
    """
    browser_headers = _parse_headers(headers)
    expired_token = read_private("expired-token", expired_token_file)
    refresh_token = read_private("refresh-token", refresh_token_file)

    async def trade(client: SessionsClient) -> Token | RefreshedCookies:
        return await client.refresh(
            session_id,
            expired_token=expired_token,
            refresh_token=refresh_token,
            request_origin=origin,
            request_headers=browser_headers,
            format=form,
            suffixed_cookies=suffixed_cookies,
        )

    answer = access.run(trade)
    if isinstance(answer, Token):
        _print_token(access, answer)
    elif access.as_json:
        _print_json({"object": "cookies", "cookies": list(answer.cookies)})
    else:
        click.echo("\n".join(map(plain, answer.cookies)))


def _parse_headers(lines: tuple[str, ...]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise click.UsageError("--header must look like 'Name: value'")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    return headers


def _show(access: Access, session: Session) -> None:
    if access.as_json:
        _print_json(session_json(session))
    else:
        print_session(session)


def _print_token(access: Access, answer: Token) -> None:
    if access.as_json:
        _print_json({"object": "token", "jwt": answer.jwt})
    else:
        click.echo(plain(answer.jwt))


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2))
