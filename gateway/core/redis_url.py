"""The URL of a Redis server, with the setting that holds one: which are taken, and how one is shown.

It may hold a password, and where one holds a character that should have been escaped, any part of the URL may be a
piece of it. So nothing that was seen is repeated in what is said about it. Options that could undo the bounds of time
and size, or the check of a certificate, are not taken.
"""

import re
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from gateway.core.secret import Secret
from gateway.core.settings_values import BadValueError, text

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0]")
_DATABASE = re.compile(r"/?|/[0-9]{1,4}")
_DIGITS = re.compile(r"[0-9]{1,4}")
_OPTIONS = {
    "redis": frozenset[str](),
    "rediss": frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}),
    "unix": frozenset({"db"}),
}
_EXAMPLE = 'write one like "redis://:password@redis.internal:6379/0", "rediss://…" for TLS or "unix:///run/redis.sock"'
_ESCAPED = "write # / ? @ and blanks of a user name or password as %23 %2F %3F %40 and %20"


def store(value: object) -> Secret | Literal["none"]:
    """Read what several processes share: the URL of a server, or ``none``."""
    found = text(value)
    if found == "none":
        return "none"
    try:
        check_url(found)
    except BadValueError as bad:
        raise BadValueError(bad.problem, f'{bad.fix}; or "none"') from None
    return Secret(found)


def redacted(value: object) -> str:
    """Return what may be shown of the setting: nothing of a URL, since any part may be a piece of a password."""
    return '"none"' if value == "none" else ""


def check_url(url: str) -> None:
    """Check that a text is the URL of a Redis server.

    Options after ``?``: ``rediss`` takes ``ssl_ca_certs``, ``ssl_certfile`` and ``ssl_keyfile``, ``unix`` takes ``db``.

    Raises:
        BadValueError: it is none; says what is wrong, and how to write it.
    """
    if _UNPRINTABLE.search(url):
        raise BadValueError("it holds a blank or a control character", _ESCAPED)
    if "#" in url:
        raise BadValueError("it has a fragment", _ESCAPED)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadValueError("its host or port cannot be read", _ESCAPED) from None
    if parts.scheme not in _OPTIONS or "://" not in url:
        raise BadValueError("it is not the URL of a Redis server", _EXAMPLE)
    if parts.scheme == "unix":
        _check_socket(parts)
    elif not host or port == 0:
        raise BadValueError("it has no host, or port 0", _EXAMPLE)
    elif not _DATABASE.fullmatch(parts.path):
        raise BadValueError("its path is not the number of a database", f"{_EXAMPLE}; {_ESCAPED}")
    _check_options(parts)


def shown(url: str) -> str:
    """Return a URL that :func:`check_url` takes without user name, password and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check_socket(parts: SplitResult) -> None:
    if parts.netloc.rpartition("@")[2] or parts.path in {"", "/"}:
        raise BadValueError("it is not the absolute path of a socket", 'write one like "unix:///run/redis.sock"')


def _check_options(parts: SplitResult) -> None:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not options.keys() <= _OPTIONS[parts.scheme] or (parts.query and not options):
        known = ", ".join(sorted(_OPTIONS[parts.scheme])) or "none"
        raise BadValueError("it has options that are not taken", f"leave them out (taken: {known}); {_ESCAPED}")
    if not all(options.values()):
        raise BadValueError("it has an option without a value", "give it one, or leave it out")
    if "db" in options and not _DIGITS.fullmatch(options["db"]):
        raise BadValueError("its db is not the number of a database", 'write one like "unix:///run/redis.sock?db=0"')
