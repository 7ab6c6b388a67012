"""``gateway sessions list``: a page, or all pages as they come, as a table or as the API's own JSON.

However many sessions there are, no more than a page of them is held in memory.
"""

import json
import sys
from typing import Protocol

import click

from gateway.cli.sessions_access import Access, access_options
from gateway.core.session_status import SessionStatus
from gateway.sessions.client import SessionsClient
from gateway.sessions.models import Session, SessionList, session_json

# The API does not filter by pending (parameter status of operation GetSessionList).
_FILTERS = sorted(status.value for status in SessionStatus if status is not SessionStatus.PENDING)
_PAGE_SIZE = 500


class Listing(Protocol):
    """Where sessions are written, page by page."""

    def add(self, sessions: list[Session]) -> None:
        """Write more of them."""

    def end(self, total_count: int | None) -> None:
        """Write what stands behind the last one."""


@click.command("list")
@click.option("--user", "user_id", metavar="ID", help="Only sessions of this user.")
@click.option("--client", "client_id", metavar="ID", help="Only sessions of this client (device).")
@click.option("--status", type=click.Choice(_FILTERS), metavar="STATUS", help=f"Only {', '.join(_FILTERS)} ones.")
@click.option("--limit", type=click.IntRange(1, 500), metavar="N", help="At most N; 10 by default.")
@click.option("--offset", type=click.IntRange(0), metavar="N", help="Skip N first.")
@click.option("--all", "is_all", is_flag=True, help="All of them, page by page as they come.")
@access_options
def command(  # noqa: PLR0913, PLR0917 - one for each option
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
    listing: Listing = JsonListing() if access.as_json else TableListing(skipped)

    async def page(client: SessionsClient) -> SessionList:
        return await client.list(**filters, limit=limit or 10, offset=skipped)

    async def pages(client: SessionsClient) -> int:
        count, batch = 0, list[Session]()
        async for session in client.iterate(**filters, page_size=_PAGE_SIZE):
            batch.append(session)
            if len(batch) == _PAGE_SIZE:
                listing.add(batch)
                count, batch = count + len(batch), []
                _tell_progress(f"{count} sessions …")
        listing.add(batch)
        _tell_progress("")
        return count + len(batch)

    if is_all:
        listing.end(access.run(pages))
        return
    answer = access.run(page)
    listing.add([*answer.data])
    listing.end(answer.total_count)


class JsonListing:
    """The API's own form of a list; it is whole only when the command ends with 0."""

    def __init__(self) -> None:
        self._before = '{\n  "data": ['

    def add(self, sessions: list[Session]) -> None:
        """Write more of them."""
        for session in sessions:
            text = json.dumps(session_json(session), indent=2).replace("\n", "\n    ")
            click.echo(f"{self._before}\n    {text}", nl=False)
            self._before = ","

    def end(self, total_count: int | None) -> None:
        """Close the list and tell the count."""
        data = "\n  ]" if self._before == "," else f"{self._before}]"
        click.echo(f'{data},\n  "total_count": {json.dumps(total_count)}\n}}')


class TableListing:
    """A table on standard output, and on standard error how many there are and how to see more.

    Args:
        skipped: how many sessions stand before the first one.
    """

    def __init__(self, skipped: int) -> None:
        from gateway.cli.sessions_table import SessionTable  # noqa: PLC0415 - JSON does not need it

        self._table = SessionTable()
        self._skipped, self._count = skipped, 0

    def add(self, sessions: list[Session]) -> None:
        """Print more of them."""
        if sessions:
            self._table.print(sessions)
        self._count += len(sessions)

    def end(self, total_count: int | None) -> None:
        """Tell how many there are."""
        reached = self._skipped + self._count
        is_cut = self._count > 0 and (total_count is None or reached < total_count)
        of_all = "" if total_count is None else f" of {total_count}"
        more = f"; more with --offset {reached} or --all" if is_cut else ""
        click.echo(f"{self._count}{of_all} sessions{more}", err=True)
        if self._table.note:
            click.echo(self._table.note, err=True)


def _tell_progress(text: str) -> None:
    """Say how far it is where somebody waits at a terminal and sees nothing of the result."""
    if sys.stderr.isatty() and not sys.stdout.isatty():
        click.echo(f"\r{text:<24}" + ("" if text else "\r"), nl=False, err=True)
