"""``gateway explain``: why one request is let in or refused."""

import asyncio
import json
import os
import sys
from ipaddress import ip_address
from pathlib import Path

import click
from rich.text import Text

from gateway.adapters.config import load
from gateway.cli.check import CONFIG_OPTION
from gateway.cli.console import errors, output
from gateway.cli.curl import read_curl
from gateway.cli.exit_codes import ExitCode
from gateway.cli.explain_view import document, report
from gateway.cli.requests import TypedRequest, read_request
from gateway.core.settings_model import Settings
from gateway.surfaces.explaining import Explanation, explain

MAX_BYTES = 1024 * 1024
"""More than any server takes as headers."""


@click.command("explain")
@CONFIG_OPTION
@click.option("--request", "file", metavar="FILE", help="A raw HTTP request; - is standard input.")
@click.option("--curl", "command_line", metavar="'curl …'", help="A curl command; - is standard input.")
@click.option(
    "--peer",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    callback=lambda _context, _option, value: _address(value),
    help="The other end of the connection, as the gateway sees it: the client, or the proxy in front.",
)
@click.option("--scheme", type=click.Choice(["http", "https"]), help="Of the connection, where the request is silent.")
@click.option(
    "--live", is_flag=True, help="Trade an expired token and take a handshake's answer; they are used up then."
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON document.")
def command(  # noqa: PLR0913 - one argument for each option
    config: Path,
    *,
    file: str | None,
    command_line: str | None,
    peer: str,
    scheme: str | None,
    live: bool,
    is_json: bool,
) -> int:
    """Say step by step why a request is let in or refused, and what to do.

    The request is judged as "gateway serve" would judge it, at this machine's time. Nothing is forwarded; the keys are
    loaded and the API is asked whether a machine's token is good, since neither spends anything; the Sessions API is
    asked with --live only. Tokens and cookies are never shown.

    \b
    Examples:
      gateway explain --config config.toml --request request.txt
      gateway explain --config config.toml --curl "curl https://app.example.com -H 'Authorization: Bearer …'"
      pbpaste | gateway explain --config config.toml --curl -
      gateway explain --config config.toml --request - --peer 10.0.0.7 --json < request.txt

    \b
    Where requests come from:
      browsers: developer tools, Network, right click, Copy: "Copy as cURL (bash)" or the raw request headers
      --peer    the proxy in front of the gateway, where there is one: X-Forwarded-* count from it alone

    \b
    Exit codes:
      0  it was explained, whatever the decision was
      2  wrong usage or configuration, or the request cannot be read
    """
    request = _read(file, command_line)
    settings = load(config, os.environ, needs_upstream=False)
    explanation = asyncio.run(_explain(settings, request, peer, scheme or "", live=live))
    warnings = [*request.notices, *_warnings(explanation)]
    if is_json:
        click.echo(json.dumps(document(explanation, warnings)))
        return ExitCode.OK
    output().print(report(explanation))
    for warning in warnings:
        errors().print(Text.assemble(("warning: ", "yellow"), warning))
    return ExitCode.OK


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no IP address; write one like 10.0.0.7, without a port") from None


def _read(file: str | None, command_line: str | None) -> TypedRequest:
    if (file is None) == (command_line is None):
        raise click.UsageError("give the request with --request or with --curl")
    if command_line is not None:
        return read_curl(_text("-") if command_line == "-" else os.fsencode(command_line).decode("latin-1"))
    return read_request(_text(file or "-"))


def _text(name: str) -> str:
    """Return what is in a file or comes from standard input; bytes count as they are, as on the wire."""
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if name == "-" else _head(Path(name))
    except OSError as error:
        raise click.UsageError(f"{name} cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise click.UsageError(f"the request is larger than {MAX_BYTES} bytes")
    return data.decode("latin-1")


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


async def _explain(settings: Settings, request: TypedRequest, peer: str, scheme: str, *, live: bool) -> Explanation:
    # Late: what it imports is not needed where the request cannot be read.
    from gateway.assemble import build  # noqa: PLC0415

    scope = request.scope(peer, scheme)
    engine = build(settings, writes=False)
    try:
        return await explain(engine.gate, scope, live=live)
    finally:
        await engine.close()


def _warnings(explanation: Explanation) -> list[str]:
    found = [f"{call}; --live asks" for call in explanation.not_asked]
    return [*found, explanation.clock] if explanation.clock else found
