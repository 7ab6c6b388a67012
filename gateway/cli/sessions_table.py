"""How ``gateway sessions`` shows sessions to people: a line for each in a table, or all of one in lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from gateway.cli.plain_text import plain, time_text
from gateway.cli.sessions_view import details
from gateway.cli.table import Table, console_of
from gateway.core.session_status import SessionStatus
from gateway.sessions.models import Session

_COLOURS = {SessionStatus.ACTIVE: "green", SessionStatus.PENDING: "yellow"}
_STYLES = {status.value: _COLOURS.get(status, "dim") for status in SessionStatus}
_GAP = 2

_COLUMNS: dict[str, Callable[[Session], str]] = {
    "ID": lambda session: session.id,
    "STATUS": lambda session: session.status,
    "USER": lambda session: session.user_id,
    "CLIENT": lambda session: session.client_id,
    "LAST ACTIVE": lambda session: time_text(session.last_active_at_ms),
    "CREATED": lambda session: time_text(session.created_at_ms),
}


@dataclass(slots=True)
class SessionTable:
    """A table of sessions that may be printed page by page.

    Attributes:
        console: where it goes.
    """

    console: Console = field(default_factory=lambda: console_of(is_result=True))
    _table: Table = field(init=False)

    def __post_init__(self) -> None:
        left_out_first = ("CREATED", "CLIENT", "USER", "LAST ACTIVE")
        self._table = Table(tuple(_COLUMNS), left_out_first, {"STATUS": _STYLES}, self.console)

    @property
    def left_out(self) -> list[str]:
        """The columns that the terminal has no room for."""
        return self._table.left_out

    @property
    def note(self) -> str:
        """What is to be said of columns that are not shown; empty when all are."""
        return self._table.note

    def print(self, sessions: Sequence[Session]) -> None:
        """Print a page; the first one brings the heading."""
        self._table.print([read(session) for read in _COLUMNS.values()] for session in sessions)


def print_session(session: Session) -> None:
    """Print all that is known of one session, a line for each."""
    console, rows = console_of(is_result=True), details(session)
    width = max(len(name) for name, _ in rows) + _GAP
    for name, value in rows:
        style = _STYLES.get(value, "") if name == "status" else ""
        # Text is not markup: what comes from the API may hold brackets.
        console.print(Text.assemble(name.ljust(width), (plain(value), style)), soft_wrap=True)
