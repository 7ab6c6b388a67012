"""Text that may go to a terminal: what comes from elsewhere cannot steer it, and times are told in UTC."""

from datetime import UTC, datetime


def plain(text: str) -> str:
    """Replace control characters, so that an answer or a file cannot steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def time_text(unix_ms: int) -> str:
    """Return a time as people read it, in UTC."""
    try:
        return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(unix_ms)
