"""``--control``: the port on which a test turns the clock and the faults of an authority. Off unless it is asked for.

Decides where it may listen, which is on this machine and nowhere else, and of what it may be part: never of an instance
of production. The authority is then served by the process itself, because the control API changes its memory.
"""

from collections.abc import Callable, Collection

import click
import uvloop

from gateway.authority import Authority
from gateway.authority.control import Clock
from gateway.authority.control.api import Control
from gateway.cli.authority_start import is_loopback, read_listen
from gateway.cli.exit_codes import ExitCode
from gateway.cli.serving import reserve, serve_embedded, stop_on_signal
from gateway.core.instance import InstanceKind
from gateway.core.settings_model import Address
from gateway.errors import ConfigurationError, Fault

_OPTION = "--control"


def control_address(text: str, kind: InstanceKind, taken: Collection[int]) -> Address:
    """The address of the control port; port 0 becomes a free one.

    Args:
        text: host and port, as written.
        kind: of the authority.
        taken: ports that are this command's own already.

    Raises:
        ConfigurationError: it is no address of loopback, or the instance is one of production.
        CannotListenError: it cannot be had.
    """
    listen = read_listen(text, _OPTION, "127.0.0.1:9001")
    if kind is InstanceKind.PRODUCTION:
        problem = "who can reach it breaks the authority at will, and this one is of production"
        raise ConfigurationError([Fault(_OPTION, text, problem, "leave it out, or use --instance development")])
    if not is_loopback(listen.host):
        problem = "other machines could reach it, and nothing protects it from them"
        raise ConfigurationError([Fault(_OPTION, text, problem, "write 127.0.0.1 for the host")])
    if listen.port in taken:
        raise ConfigurationError([Fault(_OPTION, text, "this command listens there already", "choose another port")])
    found = reserve(listen, _OPTION)
    while found.port in taken:  # a port that is only promised so far looks free
        found = reserve(listen, _OPTION)
    return found


def serve_controlled(
    authority: Authority, clock: Clock, addresses: tuple[Address, Address], on_ready: Callable[[], None]
) -> int:
    """Serve an authority and its control port in this process until a signal comes.

    Args:
        authority: opened with the clock; closed here.
        clock: the one to turn.
        addresses: of the authority and of the control port.
        on_ready: called once both accept connections.

    Returns:
        The exit code.
    """
    listen, control_listen = addresses
    control = Control(authority, clock, control_listen)

    async def serve() -> None:
        stop = stop_on_signal()
        await serve_embedded([(control.app, listen), (control.api, control.listen)], on_ready, stop)

    try:
        uvloop.run(serve())
    finally:
        authority.close()
    return ExitCode.OK


def url_of(listen: Address) -> str:
    """Where the control API is."""
    return f"http://{listen}/control"


def warn(listen: Address) -> None:
    """Say that the port is open."""
    click.echo(
        f"warning: {url_of(listen)} turns the clock and the answers of this authority; it is for tests", err=True
    )
