"""What an authority refuses, and warns of, before anything listens; for ``gateway authority`` and ``gateway dev``.

Keys in the environment that belong to another instance mean that somebody takes this authority for the service behind
them. Live ones are refused: nothing may come near them. Test keys are another matter, because a developer has those of
other projects exported, and those of the last run of this very command; they are warned of, since every program that is
started from the same shell will read them.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gateway.cli.console import print_alarm, print_warnings
from gateway.core.secret import Secret
from gateway.core.settings_model import Address
from gateway.errors import ConfigurationError, Fault

ANYBODY = "the sign-in page lets anybody be anybody: it asks for no password"
# Clerk's own variables, those of its frontend SDKs (NEXT_PUBLIC_CLERK_…, VITE_CLERK_…), and the gateway's
_NAMES = ("CLERK", "GATEWAY_INSTANCE_")
_STARTS = ("sk_live_", "pk_live_", "sk_test_", "pk_test_")
_FILE_HEAD = 256
_LISTEN = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


def judge_keys(environment: Mapping[str, str], secret_key: Secret, publishable_key: str) -> None:
    """Refuse the live keys of another instance, and warn of its test keys.

    Args:
        environment: the environment variables.
        secret_key: the authority's own.
        publishable_key: the authority's own.

    Raises:
        ConfigurationError: naming every variable that holds a live one, never the key.
    """
    own = (secret_key.reveal(), publishable_key)
    foreign = [(name, key) for name, key in _keys(environment) if key not in own]
    live = "it is a live key of another instance, and this authority is not the service behind it"
    test = "it is a test key of another instance; what is started from this shell asks that one, not this authority"
    raised = [_fault(name, key, live) for name, key in foreign if "_live_" in key[:8]]
    if raised:
        raise ConfigurationError(raised)
    print_warnings(_fault(name, key, test) for name, key in foreign)


def judge_origin(origin: str | None, *, is_remote_allowed: bool, has_check: bool) -> None:
    """Refuse a public name for an authority where anybody can be anybody.

    Whoever names another host has a proxy or a tunnel there, and then loopback protects nothing.

    Args:
        origin: of ``--origin``; None if there was none.
        is_remote_allowed: of ``--allow-remote``.
        has_check: whether somebody checks who signs in.

    Raises:
        ConfigurationError: it names another machine.
    """
    host = urlsplit(origin).hostname if origin else None
    if not host or is_loopback(host) or is_remote_allowed or has_check:
        return
    problem = f"other machines could reach it under this name, and {ANYBODY}"
    fix = "leave it out, name who checks with --sign-in-check, or add --allow-remote if the network is closed"
    raise ConfigurationError([Fault("--origin", str(origin), problem, fix)])


def warn_anybody(sign_in_url: str, *, remote: str = "") -> None:
    """Say loudly, at each start, that the sign-in is open.

    Args:
        sign_in_url: where the page is.
        remote: where it listens, if other machines reach it there.
    """
    reach = (
        f"Other machines reach it at {remote}: use it in closed networks only."
        if remote
        else "It is for development and tests on this machine; put nothing in front of it that others can reach."
    )
    print_alarm(
        ANYBODY,
        f"Whoever can open {sign_in_url} signs in as any user,",
        "and every gateway and application that trusts this authority lets them in.",
        reach,
    )


def read_listen(text: str, setting: str, example: str) -> Address:
    """Read an address to listen on.

    Args:
        text: host and port, as written.
        setting: how the user calls it, for the message.
        example: a good one.

    Raises:
        ConfigurationError: it is none.
    """
    match = _LISTEN.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        fix = f"write for example {example}, or port 0 for any free one"
        raise ConfigurationError([Fault(setting, text, "it is no host and port", fix)])
    return Address(match["host"].strip("[]").lower(), int(match["port"]))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a listener there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3


def _keys(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in sorted(environment.items()):
        if not any(part in name for part in _NAMES):
            continue
        text = _read(value) if name.endswith("_FILE") else value.strip()
        if text.startswith(_STARTS):
            yield name, text


def _read(path: str) -> str:
    try:
        with Path(path.strip()).open(encoding="utf-8") as file:
            return file.read(_FILE_HEAD).strip()
    except (OSError, ValueError):  # whoever needs the file says what is wrong with it
        return ""


def _fault(name: str, key: str, problem: str) -> Fault:
    return Fault(name, f"{key[:8]}…", problem, f"unset {name}, or set it to the key that this authority prints")
