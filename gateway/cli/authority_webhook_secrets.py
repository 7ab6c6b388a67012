"""The endpoints that ``--webhook`` of a serving command asks for, and where their signing secrets come from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.authority.config import MEMORY, AuthorityConfig
from gateway.authority.webhooks.endpoints import new_signing_secret, read_signing_secret, read_url
from gateway.core.secret import Secret
from gateway.errors import ConfigurationError, Fault

if TYPE_CHECKING:
    from gateway.authority import Authority

_WEBHOOK, _SECRET_FILE = "--webhook", "--webhook-secret-file"


def read_secret_file(path: str, setting: str) -> Secret:
    """A signing secret from a file.

    Raises:
        ConfigurationError: it cannot be read, or holds none.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        problem = f"it cannot be read ({reason})"
        raise ConfigurationError([Fault(setting, path, problem, "name a file that holds a whsec_... secret")]) from None
    return read_signing_secret(text, setting)


def webhooks_of(urls: Sequence[str], secret_file: str | None, config: AuthorityConfig) -> dict[str, Secret | None]:
    """What ``--webhook`` of a command that serves asks for: URLs with their secrets; None is left to the database.

    Args:
        urls: where to.
        secret_file: path of the file with the secret for all of them, or None.
        config: of the authority.

    Raises:
        ConfigurationError: a URL or the secret cannot be used, or there is nothing that the secret could sign.
    """
    for url in urls:
        read_url(url, config.kind, _WEBHOOK)
    secret: Secret | None = None
    if secret_file is not None:
        if not urls:
            problem, fix = f"there is no {_WEBHOOK} to sign for", f"add {_WEBHOOK} URL, or leave it out"
            raise ConfigurationError([Fault(_SECRET_FILE, secret_file, problem, fix)])
        secret = read_secret_file(secret_file, _SECRET_FILE)
    # without a file the worker must sign with what the first process prints
    return {url: secret or (new_signing_secret() if config.database == MEMORY else None) for url in urls}


def add_webhooks(authority: "Authority", webhooks: Mapping[str, Secret | None]) -> dict[str, object]:
    """Add the endpoints that are not there yet, and say what their receivers need; nothing without endpoints."""
    added = [authority.add_webhook(url, secret, _WEBHOOK) for url, secret in webhooks.items()]
    shown = [{"url": endpoint.url, "signing_secret": endpoint.secret.reveal()} for endpoint in added]
    return {"webhooks": shown} if shown else {}
