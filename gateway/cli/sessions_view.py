"""How ``gateway sessions`` shows sessions and errors: tables and lines for people, JSON for programs.

What comes from the API is shown as plain text: no control character of it reaches a terminal.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.errors import ApiAnswered, ApiRefused, ApiUnreachable, SessionsApiError
from gateway.sessions.models import Session

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_STYLES = {"active": "green", "pending": "yellow"}
_INDENT = "\n       "  # as wide as "error: "


def plain(text: str) -> str:
    """Replace control characters, so that an answer cannot steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def print_session(session: Session) -> None:
    """Print all that is known of one session, a line for each."""
    from rich.table import Table  # noqa: PLC0415 - scripts that ask for JSON do not need it

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for name, value in _details(session):
        table.add_row(name, _cell(value, _STYLES.get(value, "") if name == "status" else ""))
    _print_table(table)


def print_sessions(sessions: Sequence[Session]) -> None:
    """Print a line for each session."""
    from rich.table import Table  # noqa: PLC0415 - scripts that ask for JSON do not need it

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("ID", "STATUS", "USER", "CLIENT", "LAST ACTIVE", "CREATED"):
        table.add_column(heading, no_wrap=True)
    for session in sessions:
        status = _cell(session.status, _STYLES.get(session.status, "dim"))
        times = (_cell(_time(session.last_active_at_ms)), _cell(_time(session.created_at_ms)))
        table.add_row(_cell(session.id), status, _cell(session.user_id), _cell(session.client_id), *times)
    _print_table(table)


def error_text(error: SessionsApiError) -> str:
    """Say what the API said, with its own codes and words."""
    if isinstance(error, ApiUnreachable):
        return f"the API does not answer: {error}; is the API URL right?"
    trace_id = error.trace_id if isinstance(error, ApiAnswered) else ""
    trace = f"{_INDENT}trace id: {trace_id}" if trace_id else ""
    if not isinstance(error, ApiRefused):
        return f"{error}{trace}"
    lines = []
    for item in error.errors:
        words = " - ".join(dict.fromkeys(text for text in (item.message, item.long_message) if text))
        meta = "".join(f" ({name}: {value})" for name, value in item.meta)
        lines.append(f"{item.code or 'no code'}: {words}{meta}")
    return f"HTTP {error.status} {_INDENT.join(lines)}{trace}"


def error_json(error: SessionsApiError) -> dict[str, object]:
    """Return the same for programs."""
    if isinstance(error, ApiUnreachable):
        return {"cause": error.cause, "detail": error.detail}
    if isinstance(error, ApiRefused):
        items = [
            {"code": item.code, "message": item.message, "long_message": item.long_message, "meta": dict(item.meta)}
            for item in error.errors
        ]
        return {"status": error.status, "errors": items, "clerk_trace_id": error.trace_id}
    return {"status": error.status if isinstance(error, ApiAnswered) else None, "detail": str(error)}


def _details(session: Session) -> list[tuple[str, str]]:
    rows = [
        ("id", session.id),
        ("status", session.status),
        ("tasks", ", ".join(task.key for task in session.tasks)),
        ("user", session.user_id),
        ("client", session.client_id),
        ("organization", session.last_active_organization_id or ""),
        ("actor", json.dumps(session.actor) if session.actor is not None else ""),
        ("created", _time(session.created_at_ms)),
        ("last active", _time(session.last_active_at_ms)),
        ("abandoned at", _time(session.abandon_at_ms)),
        ("expires", _time(session.expire_at_ms)),
    ]
    if activity := session.latest_activity:
        rows += [
            ("device", activity.device_type or ("mobile" if activity.is_mobile else "")),
            ("browser", " ".join(filter(None, [activity.browser_name, activity.browser_version]))),
            ("place", ", ".join(filter(None, [activity.city, activity.country, activity.ip_address]))),
        ]
    return [row for row in rows if row[1]]


def _print_table(table: "Table") -> None:
    from rich.console import Console  # noqa: PLC0415 - scripts that ask for JSON do not need it

    console = Console(file=sys.stdout, highlight=False)
    # As wide as its content, never cut: an identifier is there to be copied. A narrow terminal folds the line itself.
    widest = Console(file=sys.stdout, width=10_000)
    console.width = max(console.width, widest.measure(table).maximum)
    console.print(table)


def _cell(text: str, style: str = "") -> "Text":
    from rich.text import Text  # noqa: PLC0415 - scripts that ask for JSON do not need it

    return Text(plain(text), style=style)  # not markup: the API's texts may hold brackets


def _time(unix_ms: int) -> str:
    try:
        return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(unix_ms)
