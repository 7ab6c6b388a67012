"""The access log: one line per request, for people or for programs.

Whatever came from a client is escaped and cut, so that no request can write a line of its own (log injection).
"""

import json
import sys
import time
from typing import TextIO

from gateway.ports import Entry

MAX_FIELD = 200
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
            f"{_plain(entry.method):<4}",
            f"{_plain(entry.path):<24}",
            f"route={_plain(entry.route) or '-'}",
            entry.state or "-",
            _plain(entry.reason) or "-",
            entry.how,
            f"{entry.duration_ms:.1f}ms",
        )
        line = "  ".join(fields)
        self._stream.write(f"{line}  {_plain(entry.detail)}\n" if entry.detail else f"{line}\n")
        self._stream.flush()


class JsonJournal:
    """Writes one JSON object per line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout

    def record(self, entry: Entry) -> None:
        """Write one line."""
        document = {
            "time": round(time.time(), 3),
            "status": entry.status,
            "method": entry.method[:MAX_FIELD],
            "path": entry.path[:MAX_FIELD],
            "route": entry.route,
            "state": entry.state,
            "reason": entry.reason,
            "how": entry.how,
            "duration_ms": round(entry.duration_ms, 3),
        }
        if entry.detail:
            document["detail"] = entry.detail[:MAX_FIELD]
        self._stream.write(json.dumps(document) + "\n")
        self._stream.flush()


class NoJournal:
    """Writes nothing."""

    def record(self, entry: Entry) -> None:
        """Do nothing."""


def _plain(text: str) -> str:
    cut = text if len(text) <= MAX_FIELD else f"{text[:MAX_FIELD]}…"
    return cut if cut.isprintable() and cut.isascii() else cut.encode("unicode_escape").decode("ascii")
