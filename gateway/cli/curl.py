"""A curl command, as browsers copy it, made into a request; nothing is run and no file is read.

The form is that of POSIX shells ("Copy as cURL (bash)"), with ``$'…'`` quoting.
"""

import re
import shlex
from dataclasses import dataclass, field

import click

from gateway.cli.requests import IS_WORD, TypedRequest, split_address

_FLAGS = frozenset(
    {
        "--compressed", "--insecure", "--location", "--silent", "--show-error", "--include", "--verbose",
        "--fail", "--globoff", "--http1.0", "--http1.1", "--http2", "--http2-prior-knowledge", "--http3",
        "--ipv4", "--ipv6", "--no-buffer", "--path-as-is", "--tlsv1.2", "--tlsv1.3", "--no-keepalive",
        "--fail-with-body", "--location-trusted", "--raw", "--ssl-no-revoke", "--no-progress-meter",
        "--progress-bar",
    }
)  # fmt: skip
_IGNORED_WITH_VALUE = frozenset(
    {
        "--output", "--max-time", "--connect-timeout", "--proxy", "--resolve", "--cacert", "--cert", "--key",
        "--retry", "--write-out", "--interface", "--cookie-jar", "--dump-header", "--limit-rate",
        "--ciphers", "--connect-to", "--max-redirs", "--noproxy",
    }
)  # fmt: skip
_DATA = frozenset(
    {
        "--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode", "--json", "--form",
        "--form-string",
    }
)  # fmt: skip
_SHORT = {
    "k": "--insecure", "L": "--location", "s": "--silent", "S": "--show-error", "i": "--include", "v": "--verbose",
    "f": "--fail", "g": "--globoff", "0": "--http1.0", "4": "--ipv4", "6": "--ipv6", "N": "--no-buffer",
    "#": "--progress-bar", "I": "--head", "G": "--get", "X": "--request", "H": "--header", "b": "--cookie",
    "A": "--user-agent", "e": "--referer", "u": "--user", "d": "--data", "F": "--form", "o": "--output",
    "m": "--max-time", "x": "--proxy", "E": "--cert", "w": "--write-out", "c": "--cookie-jar", "D": "--dump-header",
    "T": "--upload-file",
}  # fmt: skip
_TAKES_NOTHING = _FLAGS | {"--head", "--get"}
_HEADERS = {"--user-agent": "User-Agent", "--referer": "Referer"}
_KNOWN = frozenset({*_TAKES_NOTHING, *_IGNORED_WITH_VALUE, *_DATA, *_HEADERS, *_SHORT.values(), "--url"})

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|.)", re.DOTALL)
# The other ways to quote stand first, so that a $' inside of them is only text.
_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\$'((?:[^'\\]|\\.)*)'|\\\r?\n|\\.""", re.DOTALL)
_FOR_CMD = re.compile(r"\^ *\r?\n\s*-")


@dataclass(slots=True)
class _Command:
    method: str = ""
    urls: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    is_head: bool = False
    is_get: bool = False
    notices: list[str] = field(default_factory=list)


def read_curl(text: str) -> TypedRequest:
    """Read a curl command.

    Args:
        text: each character is one byte (latin-1).

    Raises:
        click.UsageError: naming the option, never its value.
    """
    if _FOR_CMD.search(text):
        raise click.UsageError('the command is for cmd, with ^ at the ends of lines; copy it as "Copy as cURL (bash)"')
    words = _words(text)
    if not words or words[0].rpartition("/")[2] not in {"curl", "curl.exe"}:
        raise click.UsageError('the command does not begin with "curl"; copy it as "Copy as cURL (bash)"')
    command = _Command()
    rest = iter(words[1:])
    for word in rest:
        for option, attached in _options(word):
            if not option:
                command.urls.append(word)
            elif option in _TAKES_NOTHING:
                _switch(command, option)
            else:
                value = attached or next(rest, None)
                if value is None:
                    raise click.UsageError(f"the curl option {option} has no value")
                _take(command, option, value)
    return _request(command)


def _words(text: str) -> list[str]:
    def unquote(match: re.Match[str]) -> str:
        if match[1] is not None:
            return shlex.quote(_ESCAPE.sub(_unescaped, match[1]))
        return " " if match[0].startswith("\\") and match[0].endswith("\n") else match[0]

    try:
        return shlex.split(_QUOTED.sub(unquote, text))
    except ValueError:
        raise click.UsageError("the curl command has a quote that does not end") from None


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "xuU" and len(code) > 1:
        number = int(code[1:], 16)
        if code[0] == "x":
            return chr(number)
        return chr(min(number, 0x10FFFF)).encode("utf-8", "replace").decode("latin-1")
    return chr(int(code, 8) & 0xFF) if code[0] in "01234567" else _ESCAPES.get(code, code)


def _options(word: str) -> list[tuple[str, str]]:
    """Return the options in a word, each with the value that is written into the same word; none for an address."""
    if word == "-" or not word.startswith("-"):
        return [("", "")]
    if word.startswith("--"):
        return [(_known(word), "")]
    found: list[tuple[str, str]] = []
    for place, letter in enumerate(word[1:], 2):
        option = _known(_SHORT.get(letter, f"-{letter}"))
        if option not in _TAKES_NOTHING:
            return [*found, (option, word[place:])]
        found.append((option, ""))
    return found


def _known(option: str) -> str:
    if option not in _KNOWN:
        name = option if re.fullmatch(r"--?[a-z0-9.-]{1,30}", option, re.IGNORECASE) else "in it"
        raise click.UsageError(f"the curl option {name} is not known here; leave it out")
    return option


def _switch(command: _Command, option: str) -> None:
    command.is_head = command.is_head or option == "--head"
    command.is_get = command.is_get or option == "--get"


def _take(command: _Command, option: str, value: str) -> None:
    taker = _TAKERS.get(option)
    if taker is not None:
        taker(command, value)
    elif option in _HEADERS:
        command.headers.append((_HEADERS[option], value))
    elif option in _DATA:
        command.data.append(value)


def _method(command: _Command, value: str) -> None:
    if not IS_WORD(value):
        raise click.UsageError("the curl option --request is no method")
    command.method = value


def _url(command: _Command, value: str) -> None:
    command.urls.append(value)


def _user(command: _Command, value: str) -> None:  # noqa: ARG001 - a password, which nobody looks at
    command.notices.append("-u is ignored: the gateway does not look at Basic credentials")


def _upload(command: _Command, value: str) -> None:  # noqa: ARG001 - a file, which is not read
    command.method = command.method or "PUT"


def _cookie(command: _Command, value: str) -> None:
    if "=" not in value:
        raise click.UsageError("the curl option --cookie names a file, which is not read; give name=value pairs")
    command.headers.append(("Cookie", value))


def _header(command: _Command, line: str) -> None:
    """Take ``Name: value``; ``Name;`` sends an empty one, and ``Name:`` none at all."""
    name, colon, value = line.partition(":")
    if not colon and line.endswith(";") and IS_WORD(line[:-1]):
        command.headers.append((line[:-1], ""))
    elif not IS_WORD(name) or not colon or "\n" in value or "\r" in value:
        raise click.UsageError('a curl option --header is not like "Name: value"')
    elif value.strip():
        command.headers.append((name, value.strip()))


_TAKERS = {
    "--request": _method,
    "--header": _header,
    "--cookie": _cookie,
    "--url": _url,
    "--user": _user,
    "--upload-file": _upload,
}


def _request(command: _Command) -> TypedRequest:
    if len(command.urls) != 1:
        raise click.UsageError(f"the curl command has {len(command.urls) or 'no'} addresses; give one")
    address = command.urls[0] if "://" in command.urls[0] else f"http://{command.urls[0]}"
    scheme, host, target = split_address(address)
    if not host:
        raise click.UsageError("the address of the curl command is no http or https URL")
    if command.is_get and command.data:
        target += ("&" if "?" in target else "?") + "&".join(command.data)
    default = "HEAD" if command.is_head else "POST" if command.data and not command.is_get else "GET"
    request = TypedRequest(command.method or default, target, scheme, command.headers, command.notices)
    if not request.has("host"):
        request.headers.insert(0, ("Host", host))
    if not request.has("accept"):
        request.headers.append(("Accept", "*/*"))  # what curl sends by itself
    return request
