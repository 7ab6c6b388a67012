"""Tables of every command: whole identifiers, as many columns as fit, and nothing that steers a terminal."""

import io

import pytest
from rich.console import Console

from gateway.cli.table import Table, print_table

HEADINGS = ("ID", "NAME", "NOTE")
ROWS = [("key_" + "x" * 20, "Ada", "signing"), ("key_2", "", "")]


def shown(width: int) -> tuple[list[str], Table]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=width)
    table = Table(HEADINGS, ("NOTE", "NAME"), {"NOTE": {"signing": "green"}}, console)
    table.print(ROWS)
    return out.getvalue().splitlines(), table


@pytest.mark.parametrize(
    ("width", "heading", "note"),
    [
        (80, "ID                        NAME  NOTE", ""),
        (35, "ID                        NAME", "no room for NOTE; a wider terminal or --json shows all"),
        (10, "ID", "no room for NOTE, NAME; a wider terminal or --json shows all"),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns(width, heading, note):
    lines, table = shown(width)
    assert (lines[0], table.note) == (heading, note)
    assert ROWS[0][0] in lines[1]


def test_no_line_ends_in_blanks():
    assert not any(line.endswith(" ") for line in shown(80)[0])


def test_a_pipe_gets_every_column_and_no_colour(capsys):
    print_table(Table(HEADINGS, ("NOTE", "NAME")), [("x" * 300, "\x1b[31m", "b")], "1 of 1")
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1] == "x" * 300 + "  \N{REPLACEMENT CHARACTER}[31m  b"
    assert captured.err == "1 of 1\n"


def test_an_empty_table_has_its_heading(capsys):
    print_table(Table(HEADINGS), [])
    assert capsys.readouterr() == ("ID  NAME  NOTE\n", "")
