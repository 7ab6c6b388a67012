"""Tables for people: a line for each thing, in as many columns as the terminal has room for.

An identifier is there to be copied and never cut: a terminal that is too narrow gets fewer columns, everything else
gets them all. What is shown is plain text: no control character of it reaches a terminal.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import click
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from gateway.cli.plain_text import plain

_GAP = 2


def console_of(*, is_result: bool) -> Console:
    """Return a console on standard output for results, on standard error for the rest."""
    # rich keeps bold and dim where NO_COLOR is set; who sets it wants plain text (https://no-color.org).
    return Console(stderr=not is_result, highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")


@dataclass(slots=True)
class Table:
    """A table that may be printed page by page, under one heading.

    Attributes:
        headings: of all columns.
        left_out_first: which columns go, one after the other, until the rest fits a narrow terminal.
        styles: for columns that have them, the style of each text.
        console: where it goes.
        left_out: the columns that the terminal has no room for; settled with the first page.
    """

    headings: Sequence[str]
    left_out_first: Sequence[str] = ()
    styles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    console: Console = field(default_factory=lambda: console_of(is_result=True))
    left_out: list[str] = field(default_factory=list)
    _widths: dict[str, int] = field(default_factory=dict)

    def print(self, rows: Iterable[Sequence[str]]) -> None:
        """Print a page, with a text for each column; the first one brings the heading."""
        is_first = not self._widths
        page = [dict(zip(self.headings, map(plain, row), strict=True)) for row in rows]
        for name in self.headings:
            self._widths[name] = max(self._widths.get(name, cell_len(name)), *(cell_len(row[name]) for row in page), 0)
        if is_first:
            self._fit()
            self._print_row({name: (name, "bold") for name in self.headings})
        for row in page:
            self._print_row({name: (text, self.styles.get(name, {}).get(text, "")) for name, text in row.items()})

    @property
    def note(self) -> str:
        """What is to be said of columns that are not shown; empty when all are."""
        hidden = ", ".join(self.left_out)
        return f"no room for {hidden}; a wider terminal or --json shows all" if hidden else ""

    def _columns(self) -> list[str]:
        return [name for name in self.headings if name not in self.left_out]

    def _fit(self) -> None:
        for name in self.left_out_first if self.console.is_terminal else ():
            if sum(self._widths[each] + _GAP for each in self._columns()) - _GAP <= self.console.width:
                return
            self.left_out.append(name)

    def _print_row(self, cells: Mapping[str, tuple[str, str]]) -> None:
        line = Text()
        for name in self._columns():
            text, style = cells[name]
            line.append(text, style)
            line.append(" " * (self._widths[name] - cell_len(text) + _GAP))
        line.rstrip()
        self.console.print(line, soft_wrap=True)


def print_table(table: Table, rows: Iterable[Sequence[str]], count: str = "") -> None:
    """Print a whole table and, on standard error, what is to be said of it.

    Args:
        table: nothing of it printed yet.
        rows: a text for each of its columns.
        count: how many there are, in words; empty to say nothing.
    """
    table.print(rows)
    for line in filter(None, (count, table.note)):
        click.echo(line, err=True)
