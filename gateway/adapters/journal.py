"""The access log: one line per request, for people or for programs.

Whatever came from a client is escaped and cut, so that no request can write a line or a field of its own (log
injection). A log that cannot be written, such as a pipe whose reader has gone, costs its lines and no answer.
"""

import json
import logging
import sys
import time
from contextlib import suppress
from typing import TextIO

from gateway.core.reasons import meaning
from gateway.ports import Entry

MAX_FIELD = 200
"""Characters of one field; the rest is cut off."""

_COLOURS = {2: "32", 3: "36", 4: "33", 5: "31"}


class TextJournal:
    """Writes ``status method path route state reason how ms``, aligned for the eye.

    Args:
        stream: where to; colour is used only when it is a terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._has_colour = self._stream.isatty()

    def record(self, entry: Entry) -> None:
        """Write one line."""
        status = str(entry.status)
        if self._has_colour:
            status = f"\x1b[{_COLOURS.get(entry.status // 100, '0')}m{status}\x1b[0m"
        fields = (
            status,
            f"{_word(entry.method):<4}",
            f"{_word(entry.path):<24}",
            f"route={_plain(entry.route) or '-'}",
            entry.state or "-",
            _plain(entry.reason) or "-",
            entry.how,
            f"{entry.duration_ms:.1f}ms",
        )
        line = "  ".join(fields)
        if entry.request_id:
            line += f"  id={_word(entry.request_id)}"
        if entry.cause:
            line += f"  loop={entry.cause}"
        _write(self._stream, f"{line}  {_plain(entry.detail)}" if entry.detail else line)


class JsonJournal:
    """Writes one JSON object per line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout

    def record(self, entry: Entry) -> None:
        """Write one line."""
        document = {
            "time": round(time.time(), 3),
            "level": meaning(entry.reason).level if entry.reason else "info",
            "status": entry.status,
            "method": entry.method[:MAX_FIELD],
            "path": entry.path[:MAX_FIELD],
            "route": entry.route,
            "state": entry.state,
            "reason": entry.reason,
            "how": entry.how,
            "duration_ms": round(entry.duration_ms, 3),
        }
        if entry.request_id:
            document["request_id"] = entry.request_id
        if entry.cause:
            document["cause"] = entry.cause
        if entry.detail:
            document["detail"] = entry.detail[:MAX_FIELD]
        _write(self._stream, json.dumps(document))


class JsonLines(logging.Formatter):
    """Makes what the gateway itself has to say one JSON object per line, as the access log's lines are."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        document = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document)


def _write(stream: TextIO, line: str) -> None:
    with suppress(OSError, ValueError):  # closed by the other side, or by us
        stream.write(f"{line}\n")
        stream.flush()


def _plain(text: str) -> str:
    head = text[:MAX_FIELD]
    escaped = head if head.isascii() and head.isprintable() else head.encode("unicode_escape").decode("ascii")
    is_whole = len(text) <= MAX_FIELD and len(escaped) <= MAX_FIELD
    return escaped if is_whole else f"{escaped[:MAX_FIELD]}..."


def _word(text: str) -> str:
    """Return text that holds no blank, for a field in the middle of a line."""
    return _plain(text).replace(" ", "\\x20")
