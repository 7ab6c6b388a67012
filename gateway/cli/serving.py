"""Running ASGI applications.

:func:`run` serves with worker processes until a signal comes; :func:`serve_embedded` serves several applications in the
running event loop.
"""

import asyncio
import errno
import gc
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import uvloop
from starlette.types import ASGIApp

from gateway.cli.console import print_error
from gateway.cli.exit_codes import ExitCode
from gateway.core.settings_model import Address
from gateway.errors import GatewayError
from gateway.server.listener import Limits
from gateway.server.processes import Workers
from gateway.server.serving import serving


class CannotListenError(GatewayError):
    """The address to listen on cannot be had; the text names setting, value, problem and fix."""

    exit_code = ExitCode.CANNOT_LISTEN

    def __init__(self, setting: str, listen: Address, problem: str, fix: str) -> None:
        super().__init__(f"{setting} = {listen}: {problem}; {fix}")


def reserve(listen: Address, setting: str = "server.listen") -> Address:
    """Return the address with port 0 replaced by a free port, after trying that it can be bound.

    Workers share the port (SO_REUSEPORT), so they would not notice another gateway on it.

    Args:
        listen: a host name or address, and a port.
        setting: how the user calls it, for the message.

    Raises:
        CannotListenError: in use, not permitted, not an address of this machine.
    """
    try:
        family, address = _resolve(listen)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, listen.port))
            probe.listen(1)
            return Address(listen.host, int(probe.getsockname()[1]))
    except OSError as error:
        raise CannotListenError(setting, listen, *_explain(error)) from error


def run(
    load_app: Callable[[], ASGIApp],
    listen: Address,
    *,
    workers: int = 1,
    drain_s: float = 30.0,
    on_ready: Callable[[], None] = lambda: None,
    limits: Limits | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; then requests in flight finish and no new ones are taken.

    Args:
        load_app: makes the application; called in each worker process.
        listen: as :func:`reserve` returned it.
        workers: how many processes; a lost one is replaced where there are several.
        drain_s: seconds that requests in flight get; then they are cut.
        on_ready: called once connections are accepted.
        limits: what clients may take.

    Returns:
        The exit code.

    Raises:
        CannotListenError: before anything is started.
    """
    reserve(listen)

    def work(listening: socket.socket, ready: Callable[[], None], parent_gone: int | None = None) -> int:
        try:
            uvloop.run(_work(load_app, listening, limits, drain_s, ready, parent_gone))
        except (GatewayError, OSError) as error:
            print_error(str(error))
            return ExitCode.FAILED
        return ExitCode.OK

    if workers == 1:
        with _bound(listen) as listening:
            return work(listening, on_ready)
    sockets = [_bound(listen, is_shared=True) for _ in range(workers)]
    if not Workers(work, sockets, drain_s, on_ready).run():
        print_error("a worker process ended by itself; the server stopped")
        return ExitCode.FAILED
    return ExitCode.OK


async def _work(
    load_app: Callable[[], ASGIApp],
    listening: socket.socket,
    limits: Limits | None,
    drain_s: float,
    ready: Callable[[], None],
    parent_gone: int | None,
) -> None:
    stop = stop_on_signal()
    if parent_gone is not None:
        asyncio.get_running_loop().add_reader(parent_gone, stop.set)
    app = load_app()
    async with serving(app, [listening], limits=limits, drain_s=drain_s):
        _set_aside()
        ready()
        await stop.wait()


async def serve_embedded(
    apps: Sequence[tuple[ASGIApp, Address]],
    ready: Callable[[], object],
    stop: asyncio.Event,
    *,
    drain_s: float = 5.0,
) -> None:
    """Serve several applications in this event loop until ``stop`` is set.

    Args:
        apps: each with an address as :func:`reserve` returned it. They are stopped in this order, so the one in front
            comes first.
        ready: called once all of them accept connections.
        stop: ends it.
        drain_s: seconds that each one's requests in flight get.

    Raises:
        GatewayError: an application did not start.
        CannotListenError: an address was taken meanwhile.
    """
    async with AsyncExitStack() as running:
        for app, listen in reversed(apps):
            await running.enter_async_context(serving(app, [_bound(listen)], drain_s=drain_s))
        ready()
        await stop.wait()


def stop_on_signal() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set from now on; for :func:`serve_embedded`."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _bound(listen: Address, *, is_shared: bool = False) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        CannotListenError: the address was taken meanwhile.
    """
    family, address = _resolve(listen)
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((address, listen.port))
    except OSError as error:
        bound.close()
        raise CannotListenError("server.listen", listen, *_explain(error)) from error
    return bound


def _set_aside() -> None:
    """Spare the collector what was made at the start and stays, and let it look for cycles less often.

    By its own measure it looks at everything again and again, since each request allocates some hundred objects, which
    go without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)


def _resolve(listen: Address) -> tuple[socket.AddressFamily, str]:
    """Return family and numeric address."""
    family, _, _, _, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return family, str(address[0])


def reachable(address: str) -> str:
    """Return where this machine reaches a listener on that address: nobody can connect to "every interface"."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - compared, not bound


def _explain(error: OSError) -> tuple[str, str]:
    if isinstance(error, socket.gaierror):
        return "the host name is not known here", "name an address of this machine"
    known = {
        errno.EADDRINUSE: ("another program listens there", "stop it, or choose another port"),
        errno.EACCES: ("not permitted; ports below 1024 need a privilege", "choose a port from 1024 up"),
        errno.EADDRNOTAVAIL: ("this machine has no such address", "use 127.0.0.1, or 0.0.0.0 for every interface"),
    }
    return known.get(error.errno or 0, (error.strerror or str(error), "choose another address"))
