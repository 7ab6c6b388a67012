"""Makes the tables of docs/authentication.md from the code that they describe.

    python -m tests.docs.tables        writes them into the page

The page holds each table between two marks; a test compares them (test_authentication_page.py).
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from gateway.core.cookie_rows import COOKIE_ROWS, Row
from gateway.core.reasons import TABLE, Reason, RefreshFailure
from tests.conformance.differences import DIFFERENCES
from tests.conformance.machine_differences import MACHINE_DIFFERENCES, READINGS
from tests.conformance.stated import STATED

PAGE = Path(__file__).parents[2] / "docs" / "authentication.md"
_MARKED = re.compile(r"(<!-- table: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_PARAMETER = re.compile(r"__clerk_[a-z_]+(?:=[a-z]+)?")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(heads)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def cookie_rows() -> str:
    """The rows that decide about cookies before anything is verified."""
    return _table(
        ("step", "where", "when", "reason", "then"),
        (
            (
                str(row.step),
                _where(row),
                _PARAMETER.sub(r"`\g<0>`", row.when),
                f"`{row.reason}`",
                "renewed, else signed out" if row.renews else "signed out",
            )
            for row in COOKIE_ROWS
        ),
    )


def _where(row: Row) -> str:
    sites = {True: "satellites", False: "not satellites", None: ""}[row.satellite]
    return ", ".join(filter(None, ["development" if row.development else "", sites])) or "everywhere"


def reasons() -> str:
    """What each reason is on the wire."""
    return _table(
        ("reason", "status", "`WWW-Authenticate` error", "log level", "what a person reads"),
        (
            (f"`{reason}`", str(what.status), f"`{what.challenge}`" if what.challenge else "", what.level, what.text)
            for reason in Reason
            if (what := TABLE[reason])
        ),
    )


def refresh_failures() -> str:
    """Why an expired token was not refreshed."""
    return ", ".join(f"`{failure}`" for failure in RefreshFailure) + "\n"


def differences() -> str:
    """Where the reference decides otherwise about sessions."""
    restored = [(each.name, each.why, each.restored_by) for each in (*DIFFERENCES, *STATED)]
    return _differences(restored)


def machine_differences() -> str:
    """Where the reference decides otherwise about tokens of machines."""
    exact = [(each.name, each.why, each.restored_by) for each in MACHINE_DIFFERENCES]
    return _differences([*exact, *((each.name, each.why, "") for each in READINGS)])


def _differences(rows: Iterable[tuple[str, str, str]]) -> str:
    return _table(
        ("difference", "why", "what restores the reference's way"),
        ((f"`{name}`", why, restored_by or "nothing") for name, why, restored_by in rows),
    )


TABLES: dict[str, Callable[[], str]] = {
    "cookie-rows": cookie_rows,
    "reasons": reasons,
    "refresh-failures": refresh_failures,
    "differences": differences,
    "machine-differences": machine_differences,
}


def filled(text: str) -> str:
    """Return the page with its tables made anew."""
    return _MARKED.sub(lambda mark: f"{mark[1]}{TABLES[mark['name']]()}{mark[3]}", text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
