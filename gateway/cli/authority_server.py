"""Serve the authority in one worker process and say when it accepts connections.

The worker opens its own database: SQLite connections do not survive a fork.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

import click
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.settings_model import Address

_EXIT_IN_USE = 3
_PROBE_PAUSE_S = 0.01


def run(load_app: Callable[[], ASGIApp], listen: Address, *, drain_s: float, on_ready: Callable[[], None]) -> int:
    """Serve until a signal comes.

    Args:
        load_app: makes the application, in the worker.
        listen: where; the port is not 0.
        drain_s: how long requests may take to finish after the signal.
        on_ready: called in the worker once connections are accepted.

    Returns:
        The exit code: 0, or 3 when the address cannot be had.
    """
    problem = _problem_with(listen)
    if problem:
        click.echo(f"error: --listen (is {listen}): {problem}; stop what listens there, or name another", err=True)
        return _EXIT_IN_USE
    server = Granian(
        "gateway.authority",
        address=listen.host,
        port=listen.port,
        interface=Interfaces.ASGI,
        workers=1,
        runtime_mode=RuntimeModes.st,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        log_enabled=False,
        websockets=False,
        workers_kill_timeout=int(drain_s),
    )
    server.serve(target_loader=lambda *_: announcing(load_app(), listen, on_ready), wrap_loader=False)
    return 0


def announcing(app: ASGIApp, listen: Address, on_ready: Callable[[], None]) -> ASGIApp:
    """An application that calls ``on_ready`` once its own address answers."""
    tasks: set[asyncio.Task[None]] = set()

    async def announce() -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection(listen.host, listen.port)
            except OSError:
                await asyncio.sleep(_PROBE_PAUSE_S)
                continue
            writer.close()
            on_ready()
            return

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            tasks.add(asyncio.create_task(announce()))
        await app(scope, receive, send)

    return wrapped


def _problem_with(listen: Address) -> str:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        with socket.create_server((listen.host, listen.port), family=family):
            return ""
    except OSError as error:
        return "the address is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
