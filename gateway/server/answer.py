"""The head of an answer as bytes, with its framing (RFC 9112 sections 4 and 6). No network."""

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from gateway.core.header_names import hides_break
from gateway.core.request import Header

_STATUS_LINES = {code: f"HTTP/1.1 {code} ".encode() for code in range(100, 1000)} | {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus
}
_BODILESS: Final = frozenset({204, 304})
MAX_RECURRING = 2048
"""How many heads of answers that recur are kept, the last ones used."""


@dataclass(init=False, slots=True)
class AnswerHead:
    """An answer's head.

    Attributes:
        data: as it goes out.
        length: bytes of the body that have to follow; None where chunks or the connection's end tell.
        is_chunked: the body follows in chunks.
        keeps_alive: the connection may be used again.
    """

    data: bytes
    length: int | None
    is_chunked: bool
    keeps_alive: bool

    def __init__(self, data: bytes, length: int | None, is_chunked: bool, keeps_alive: bool) -> None:
        self.data = data
        self.length = length
        self.is_chunked = is_chunked
        self.keeps_alive = keeps_alive


def answer_head(  # noqa: PLR0913 - what decides about framing
    status: int,
    headers: Iterable[Header],
    *,
    date: bytes,
    size: int | None,
    has_body: bool = True,
    is_old: bool = False,
    keeps_alive: bool = True,
    recurs: bool = False,
) -> AnswerHead:
    """Return an answer's head.

    Args:
        status: the final one.
        headers: names in lower case; without ``transfer-encoding`` and ``connection``.
        date: the line to say where the headers name no date (RFC 9110 section 6.6.1).
        size: of the body, where all of it is at hand; None where it comes in pieces.
        has_body: false for the answer to HEAD.
        is_old: the client speaks HTTP/1.0, which has no chunks.
        keeps_alive: the connection shall be used again.
        recurs: the same answer is given again and again, so what was made of it is kept.

    Raises:
        ValueError: a line break or NUL hides in a header, or its length is none.
    """
    head, length, has_date = _kept_lines(status, tuple(headers)) if recurs else _lines(status, headers)
    is_chunked = False
    added = b"\r\n" if has_date else date
    if length is not None:
        pass
    elif status in _BODILESS or (not has_body and not size):
        length = 0  # nobody knows how long the body would be
    elif size is not None:
        length = size
        added += b"content-length: %d\r\n" % size
    else:
        is_chunked = not is_old
        keeps_alive = keeps_alive and is_chunked
        added += b"transfer-encoding: chunked\r\n" if is_chunked else b""
    if status in _BODILESS or not has_body:
        length = 0
    if not keeps_alive:
        added += b"connection: close\r\n"
    elif is_old:
        added += b"connection: keep-alive\r\n"
    return AnswerHead(b"%b%b\r\n" % (head, added), length, is_chunked, keeps_alive)


def date_line(now_s: float) -> bytes:
    """Return the line that names the time, with the line break before it.

    Args:
        now_s: Unix seconds.
    """
    return b"\r\ndate: %b\r\n" % formatdate(now_s, usegmt=True).encode()


def _lines(status: int, headers: Iterable[Header]) -> tuple[bytes, int | None, bool]:
    """Return status line and headers as they go out, the length that they say, and whether they name a date."""
    length: int | None = None
    has_date = False
    lines = [_STATUS_LINES[status]]
    for name, value in headers:
        if name == b"content-length":
            before, length = length, _number(value)
            if before not in {None, length}:
                raise ValueError("two lengths")
        elif name == b"date":
            has_date = True
        lines.append(name + b": " + value)
    if hides_break(lines):
        raise ValueError("a line break or NUL inside of a header")
    return b"\r\n".join(lines), length, has_date


_kept_lines = lru_cache(MAX_RECURRING)(_lines)


def _number(text: bytes) -> int:
    if not text.isdigit() and not (text := text.rstrip(b" \t")).isdigit():
        raise ValueError("a content-length that is no number")
    return int(text)
