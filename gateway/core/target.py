"""One canonical form of the request path. What is matched is what is forwarded.

The server hands over the path as raw bytes, without the query. This module gives back the one spelling that both the
route table and the upstream get to see, or refuses. It never guesses: whatever two programs are known to read
differently is refused, not resolved (RFC 3986 sections 3.3 and 6.2.2; RFC 9110 section 7.1 for the form of the target).

==========================================  ==========================================================================
what comes                                  single stated result
==========================================  ==========================================================================
``/a/%7Eb``, ``/%61``                       escaped unreserved characters are decoded: ``/a/~b``, ``/a``
``/a%3ab``                                  other escapes stay, in upper case: ``/a%3Ab`` (routes match both spellings)
``/a[1]|x``                                 characters that a path may not hold raw are escaped: ``/a%5B1%5D%7Cx``
``//a///b``, ``//evil.example/x``           slashes are merged: ``/a/b``, ``/evil.example/x``; never read as a host
``/a/../b``, ``/./``, ``/%2e%2e/``, ``..;`` refused: ``dot-segment``; also ``..%3B`` and ``..%253B``
``/a%2fb``, ``/a%5cb``, ``/a\\b``            refused: ``encoded-slash``, ``backslash``
``/%00``, ``/a%0d%0a``, ``/%7f``            refused: ``control-character``
``/%252e``, ``/%25252f``, ``/%255c``        refused: ``double-encoding`` (a second decoding would yield what is refused)
``/100%2525``, ``/%253F``                   kept: decoded again it yields no dot, slash, backslash or control character
``/%zz``, ``/%4``                           refused: ``bad-escape``
``/%ff``, ``/%c0%ae``                       refused: ``not-utf-8`` (overlong forms are not UTF-8)
raw blank, control, byte over 0x7f, ``#``   refused: ``bad-character`` (``%23``, ``%3F`` stay escaped: part of the path)
``http://h/``, ``*``, ``h:443``, empty      refused: ``not-origin-form``
``/ADMIN``, ``/admin.``, ``/admin%20``      other paths than ``/admin``: case, dots and blanks inside a name count
``/admin;x``                                kept; the segment is ``admin;x``, which is not ``admin``
more than 8 KiB                             refused: ``too-long``
==========================================  ==========================================================================
"""

import re
from urllib.parse import unquote_to_bytes

MAX_PATH_BYTES = 8192

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_CHARACTER = rb"A-Za-z0-9_~!$&'()*+,;=:@-"
# Segments that do not begin with a dot, nothing escaped, no empty segment: already canonical. Linear: a slash is
# never inside a segment.
_plain = re.compile(rb"(?:/[%b][.%b]*)+/?|/" % (_CHARACTER, _CHARACTER)).fullmatch

_RAW = re.compile(rb"[!-~]+").fullmatch
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_SLASHES = re.compile(rb"//+")
_MUST_ESCAPE = re.compile(rb'["<>^`{|}\[\]]')
_CONTROL = re.compile(rb"%(?:[01][0-9A-F]|7F)").search
_TWICE = re.compile(rb"%25(?:25)*(?:2[EFef]|5[Cc]|[01][0-9A-Fa-f]|7[Ff])").search
# A parameter after the dots is cut off by some programs, also where its semicolon is escaped once or twice.
_DOT_SEGMENT = re.compile(rb"/\.\.?(?:(?:;|%(?:25)*3[Bb])[^/]*)?(?:/|\Z)").search


class TargetError(ValueError):
    """The request target is refused.

    Attributes:
        reason: a stable code from the table of this module; holds nothing of what was sent.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def canonical(raw_path: bytes) -> bytes:
    """Return the canonical form of a raw path; the very same object where it is canonical already.

    Raises:
        TargetError: with the reason for which it is refused.
    """
    if len(raw_path) > MAX_PATH_BYTES:
        raise TargetError("too-long")
    if _plain(raw_path):
        return raw_path
    return _rewrite(raw_path)


def _rewrite(raw_path: bytes) -> bytes:
    _refuse_raw(raw_path)
    path = _ESCAPE.sub(_normalise_escape, raw_path)
    path = _MUST_ESCAPE.sub(lambda match: b"%%%02X" % match[0][0], path)
    _refuse_escaped(path)
    path = _SLASHES.sub(b"/", path)
    if _DOT_SEGMENT(path):
        raise TargetError("dot-segment")
    # Escaping lengthens the path; the limit holds for what is forwarded as well.
    if len(path) > MAX_PATH_BYTES:
        raise TargetError("too-long")
    return path


def _refuse_raw(path: bytes) -> None:
    if not path.startswith(b"/"):
        raise TargetError("not-origin-form")
    if b"\\" in path:
        raise TargetError("backslash")
    if not _RAW(path) or b"#" in path or b"?" in path:
        raise TargetError("bad-character")
    if _BAD_ESCAPE(path):
        raise TargetError("bad-escape")


def _normalise_escape(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    character = bytes((int(escape[1:], 16),))
    return character if character in _UNRESERVED else escape.upper()


def _refuse_escaped(path: bytes) -> None:
    if b"%2F" in path:
        raise TargetError("encoded-slash")
    if b"%5C" in path:
        raise TargetError("backslash")
    if _CONTROL(path):
        raise TargetError("control-character")
    if _TWICE(path):
        raise TargetError("double-encoding")
    try:
        unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise TargetError("not-utf-8") from None
