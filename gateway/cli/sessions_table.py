"""How ``gateway sessions`` shows sessions to people: a line for each in a table, or all of one in lines.

What comes from the API is shown as plain text: no control character of it reaches a terminal. An identifier is there to
be copied and never cut: a terminal that is too narrow gets fewer columns, everything else gets them all.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gateway.cli.sessions_view import details, plain, time_text
from gateway.sessions.models import Session

_STYLES = {"active": "green", "pending": "yellow"}
_GAP = 2

_COLUMNS: dict[str, Callable[[Session], str]] = {
    "ID": lambda session: session.id,
    "STATUS": lambda session: session.status,
    "USER": lambda session: session.user_id,
    "CLIENT": lambda session: session.client_id,
    "LAST ACTIVE": lambda session: time_text(session.last_active_at_ms),
    "CREATED": lambda session: time_text(session.created_at_ms),
}
_LEFT_OUT_FIRST = ("CREATED", "CLIENT", "USER", "LAST ACTIVE")


def console_of(*, is_result: bool) -> Console:
    """Return a console on standard output for results, on standard error for the rest."""
    # rich keeps bold and dim where NO_COLOR is set; who sets it wants plain text (https://no-color.org).
    return Console(stderr=not is_result, highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")


@dataclass(slots=True)
class SessionTable:
    """A table that may be printed page by page, under one heading.

    Attributes:
        console: where it goes.
        columns: what is shown; settled with the first page.
        left_out: the columns that a narrow terminal has no room for.
    """

    console: Console
    columns: list[str] = field(default_factory=lambda: list(_COLUMNS))
    left_out: list[str] = field(default_factory=list)
    _widths: dict[str, int] = field(default_factory=dict)

    def print(self, sessions: Sequence[Session]) -> None:
        """Print a page; the first one brings the heading."""
        is_first = not self._widths
        rows = [{name: plain(read(session)) for name, read in _COLUMNS.items()} for session in sessions]
        for name in _COLUMNS:
            cells = [self._widths.get(name, cell_len(name)), *(cell_len(row[name]) for row in rows)]
            self._widths[name] = max(cells)
        if is_first:
            self._fit()
            self._print_row({name: (name, "bold") for name in _COLUMNS})
        for row in rows:
            status = row["STATUS"]
            styles = {"STATUS": _STYLES.get(status, "dim")}
            self._print_row({name: (text, styles.get(name, "")) for name, text in row.items()})

    def _fit(self) -> None:
        for name in _LEFT_OUT_FIRST if self.console.is_terminal else ():
            if sum(self._widths[each] + _GAP for each in self.columns) - _GAP <= self.console.width:
                return
            self.columns.remove(name)
            self.left_out.append(name)

    def _print_row(self, cells: dict[str, tuple[str, str]]) -> None:
        line = Text()
        for name in self.columns:
            text, style = cells[name]
            line.append(text, style)
            if name != self.columns[-1]:
                line.append(" " * (self._widths[name] - cell_len(text) + _GAP))
        self.console.print(line, soft_wrap=True)


def print_session(session: Session) -> None:
    """Print all that is known of one session, a line for each."""
    console, rows = console_of(is_result=True), details(session)
    width = max(len(name) for name, _ in rows) + _GAP
    for name, value in rows:
        style = _STYLES.get(value, "") if name == "status" else ""
        # Text is not markup: what comes from the API may hold brackets.
        console.print(Text.assemble(name.ljust(width), (plain(value), style)), soft_wrap=True)
