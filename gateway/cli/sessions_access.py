"""How ``gateway sessions`` gets to the API: where key and URL come from, and which exit code a failure has.

1 = the API refused or failed, 2 = usage or configuration, 4 = no answer. Failures are told on standard error.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, NoReturn, ParamSpec, TypeVar

import click

from gateway.cli.common_options import json_option
from gateway.cli.plain_text import plain
from gateway.cli.sessions_view import error_json, error_text
from gateway.core.instance import API_URL
from gateway.core.secret import Secret
from gateway.errors import ApiUnreachable, ConfigurationError, Fault, SessionsApiError
from gateway.sessions.client import SessionsClient
from gateway.sessions.wire import BadArgument

T = TypeVar("T")
P = ParamSpec("P")

EXIT_API, EXIT_USAGE, EXIT_UNREACHABLE = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API, and in which form to answer.

    Attributes:
        timeout_s: seconds for one attempt.
        has_taken_stdin: the secret key came from standard input, which is read to its end.
    """

    secret_key: Secret
    api_url: str
    timeout_s: float
    as_json: bool
    has_taken_stdin: bool = False

    def run(self, action: Callable[[SessionsClient], Awaitable[T]]) -> T:
        """Do something with a client; end the command with its exit code when it fails."""

        async def work() -> T:
            async with SessionsClient(self.secret_key, api_url=self.api_url, timeout_s=self.timeout_s) as client:
                return await action(client)

        try:
            return asyncio.run(work())
        except (ConfigurationError, BadArgument) as error:
            fail(str(error), EXIT_USAGE)
        except SessionsApiError as error:
            report(error, self)
            sys.exit(exit_code(error))


def access_options(function: Callable[Concatenate[Access, P], None]) -> Callable[P, None]:
    """Add the options that say how to reach the API, and hand the command an :class:`Access` instead."""

    @click.option("--secret-key-file", metavar="FILE", help="Read the secret key from FILE; - is standard input.")
    @click.option("--api-url", metavar="URL", help=f"Base URL of the API; else CLERK_API_URL, else {API_URL}.")
    @click.option("--config", metavar="FILE", help="Take secret key and API URL from a gateway configuration.")
    @click.option(
        "--timeout",
        type=click.FloatRange(0.1, 600),
        default=10.0,
        metavar="SECONDS",
        help="Patience with one attempt; 10 by default.",
    )
    @json_option
    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        given = {name: kwargs.pop(name) for name in ("secret_key_file", "api_url", "config", "timeout", "as_json")}
        try:
            secret_key, api_url = _credentials(given, os.environ)
        except ConfigurationError as error:
            fail(str(error), EXIT_USAGE)
        timeout_s, has_taken_stdin = float(str(given["timeout"])), given["secret_key_file"] == "-"
        access = Access(secret_key, api_url, timeout_s, bool(given["as_json"]), has_taken_stdin)
        function(access, *args, **kwargs)

    return wrapper


def read_private(name: str, file: str | None) -> str:
    """Read a token from its file or, without one, ask for it on the terminal without showing it."""
    option = f"--{name}-file"
    if file is None and not sys.stdin.isatty():
        raise click.UsageError(f"{option} is missing, and there is no terminal to ask on")
    if file is None:
        answer: str = click.prompt(name, hide_input=True, err=True)
        return answer.strip()
    try:
        return _read_word(option, file)
    except ConfigurationError as error:
        fail(str(error), EXIT_USAGE)


def report(error: SessionsApiError, access: Access, about: str = "") -> None:
    """Tell on standard error what the API said.

    Args:
        error: what went wrong.
        access: says in which form.
        about: the session that it is about, where there are several.
    """
    if access.as_json:
        click.echo(json.dumps({"session_id": about, **error_json(error)} if about else error_json(error)), err=True)
    else:
        text = error_text(error, access.api_url)
        _tell(f"{about}: {text}" if about else text)


def exit_code(error: SessionsApiError) -> int:
    """Return the exit code that a failure has."""
    return EXIT_UNREACHABLE if isinstance(error, ApiUnreachable) else EXIT_API


def fail(text: str, code: int) -> NoReturn:
    """Tell what went wrong and end."""
    _tell(text)
    sys.exit(code)


def _tell(text: str) -> None:
    click.echo("\n".join(map(plain, f"error: {text}".splitlines())), err=True)


def _credentials(given: Mapping[str, object], environ: Mapping[str, str]) -> tuple[Secret, str]:
    """Settle key and URL: options first, then the configuration, then the environment, then the default URL."""
    options = {name: value for name, value in given.items() if isinstance(value, str) and value}
    secret_key, api_url = None, options.get("api_url")
    if "secret_key_file" in options:
        secret_key = Secret(_read_word("--secret-key-file", options["secret_key_file"]))
    if "config" in options:
        from gateway.adapters.config import load  # noqa: PLC0415 - needed with this option only

        instance = load(Path(options["config"]), environ, needs_upstream=False).instance
        secret_key, api_url = secret_key or instance.secret_key, api_url or instance.api_url
    if not secret_key and (key_file := environ.get("CLERK_SECRET_KEY_FILE")):
        secret_key = Secret(_read_word("CLERK_SECRET_KEY_FILE", key_file))
    secret_key = secret_key or Secret(environ.get("CLERK_SECRET_KEY", "").strip())
    if not secret_key:
        fix = "set CLERK_SECRET_KEY, or name a file with --secret-key-file or --config"
        raise ConfigurationError([Fault("secret_key", "", "there is none", fix)])
    return secret_key, api_url or environ.get("CLERK_API_URL") or API_URL


def _read_word(option: str, name: str) -> str:
    """Read a secret from a file or, for ``-``, from standard input."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        raise ConfigurationError(
            [Fault(option, name, f"it cannot be read ({problem})", "name a readable file")]
        ) from None
    if len(text.split()) != 1:
        raise ConfigurationError([Fault(option, name, "it must hold one word", "write the value and nothing else")])
    return text.strip()
