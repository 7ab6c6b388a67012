"""How ``gateway sessions`` puts sessions and errors into words for people, and errors into JSON for programs.

What comes from the API is shown as plain text: no control character of it reaches a terminal.
"""

import json

from gateway.cli.plain_text import plain, time_text
from gateway.errors import ApiAnswered, ApiUnreachable, SessionsApiError
from gateway.sessions.models import Session

_INDENT = "\n       "  # as wide as "error: "


def session_lines(session: Session) -> list[str]:
    """Return all that is known of one session, a line for each."""
    return [f"{name:<14}{plain(value)}" for name, value in details(session)]


def error_text(error: SessionsApiError, api_url: str) -> str:
    """Say what the API said, with its own codes and words.

    Args:
        error: what went wrong.
        api_url: who was asked.
    """
    if isinstance(error, ApiUnreachable):
        advice = "try again, or with a longer --timeout" if error.cause == "timeout" else "is the API URL right?"
        return f"the API at {api_url} does not answer ({error.cause}): {error.detail}; {advice}"
    trace_id = error.trace_id if isinstance(error, ApiAnswered) else ""
    trace = f"{_INDENT}trace id: {plain(trace_id)}" if trace_id else ""
    if not isinstance(error, ApiAnswered) or not error.errors:
        return f"{error}{trace}"
    lines = []
    for item in error.errors:
        words = " - ".join(dict.fromkeys(text for text in (item.message, item.long_message) if text))
        meta = "".join(f" ({name}: {value})" for name, value in item.meta)
        # here, because line breaks of ours are to stay, and one of theirs would look like a line of ours
        lines.append(plain(f"{item.code or 'no code'}: {words}{meta}"))
    return f"HTTP {error.status} {_INDENT.join(lines)}{trace}"


def error_json(error: SessionsApiError) -> dict[str, object]:
    """Return the same for programs."""
    if isinstance(error, ApiUnreachable):
        return {"cause": error.cause, "detail": error.detail}
    if isinstance(error, ApiAnswered) and error.errors:
        items = [
            {"code": item.code, "message": item.message, "long_message": item.long_message, "meta": dict(item.meta)}
            for item in error.errors
        ]
        return {"status": error.status, "errors": items, "clerk_trace_id": error.trace_id}
    if isinstance(error, ApiAnswered):
        return {"status": error.status, "detail": str(error), "clerk_trace_id": error.trace_id}
    return {"detail": str(error)}


def details(session: Session) -> list[tuple[str, str]]:
    """Return what is known of a session, as names and values."""
    rows = [
        ("id", session.id),
        ("status", session.status),
        ("tasks", ", ".join(task.key for task in session.tasks)),
        ("user", session.user_id),
        ("client", session.client_id),
        ("organization", session.last_active_organization_id or ""),
        ("actor", json.dumps(session.actor) if session.actor is not None else ""),
        ("created", time_text(session.created_at_ms)),
        ("last active", time_text(session.last_active_at_ms)),
        ("abandoned at", time_text(session.abandon_at_ms)),
        ("expires", time_text(session.expire_at_ms)),
    ]
    if activity := session.latest_activity:
        rows += [
            ("device", activity.device_type or ("mobile" if activity.is_mobile else "")),
            ("browser", " ".join(filter(None, [activity.browser_name, activity.browser_version]))),
            ("place", ", ".join(filter(None, [activity.city, activity.country, activity.ip_address]))),
        ]
    return [row for row in rows if row[1]]
