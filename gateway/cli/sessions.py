"""``gateway sessions …``: the operations of the Sessions API for people and for scripts.

Decides what is printed: results go to standard output and everything else to standard error, so that ``--json`` and
``token`` can be piped.
"""

import json
import warnings
from typing import Literal

import click

from gateway.cli import sessions_list, sessions_revoke
from gateway.cli.exit_codes import API_EPILOG
from gateway.cli.groups import Group
from gateway.cli.plain_text import plain
from gateway.cli.sessions_access import Access, access_options, read_private
from gateway.sessions.client import SessionsClient
from gateway.sessions.models import RefreshedCookies, Session, Token, session_json

_LIFETIME_S = click.IntRange(30, 315_360_000)


@click.group("sessions", cls=Group, epilog=API_EPILOG)
def command() -> None:
    """List, inspect, revoke and mint sessions through the Sessions API.

    The secret key comes from --secret-key-file, from the file given with --config, or from the environment variable
    CLERK_SECRET_KEY (or the file named by CLERK_SECRET_KEY_FILE). It is never an argument: other users of the machine
    can read those.

    \b
    Examples:
      gateway sessions list --user user_2x9... --status active
      gateway sessions revoke sess_2x9... sess_3y0...
      gateway sessions list --user user_2x9... --all --json | jq -r '.data[].id'
      curl http://localhost:8000/ \\
        -H "Authorization: Bearer $(gateway sessions token sess_2x9...)"
    """


command.add_command(sessions_list.command)
command.add_command(sessions_revoke.command)


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


@command.command("verify", short_help="Deprecated: ask the API whether a token is good.")
@click.argument("session_id")
@click.option("--token-file", metavar="FILE", help="The session token; - is standard input. Asked for if not given.")
@access_options
def verify(access: Access, /, session_id: str, token_file: str | None) -> None:
    """Deprecated: ask the API whether a token belongs to a session that is signed in.

    The API has deprecated this operation and newer versions do not have it. Verify tokens by their signature, with the
    keys of the instance's JWKS; the gateway and its middleware do.

    \b
    Example:
      gateway sessions verify sess_2x9... --token-file token.txt
    """
    click.echo("warning: the API has deprecated this operation; verify tokens by their signature", err=True)
    session_token = read_private("token", token_file)

    async def ask(client: SessionsClient) -> Session:
        with warnings.catch_warnings():  # the command line has said so already
            warnings.simplefilter("ignore", DeprecationWarning)
            return await client.verify(session_id, session_token)

    _show(access, access.run(ask))


@command.command("refresh", short_help="Trade an expired session token for a new one.")
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
        from gateway.cli.sessions_table import print_session  # noqa: PLC0415 - scripts that ask for JSON do not need it

        print_session(session)


def _print_token(access: Access, answer: Token) -> None:
    if access.as_json:
        _print_json({"object": "token", "jwt": answer.jwt})
    else:
        click.echo(plain(answer.jwt))


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2))
