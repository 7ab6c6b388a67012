"""Running ASGI applications on Granian: the one place that knows the server and its limits.

:func:`run` serves with worker processes until a signal comes; :func:`serve_embedded` serves several applications in the
running event loop. Both bound what a client may send before the application sees it.
"""

import asyncio
import errno
import gc
import math
import multiprocessing
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.server.embed import Server
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.cli.console import print_error
from gateway.cli.exit_codes import ExitCode
from gateway.core.headers import MAX_HEAD_BYTES
from gateway.core.settings_model import Address
from gateway.errors import GatewayError

# Granian applies one time-out to slow heads and to idle keep-alive connections. Short enough for the first, and long
# enough that a load balancer's pool does not meet closed connections all the time.
HEAD_TIMEOUT_S = 30
_BACKLOG = 2048
# Requests in the application at once, per worker; more wait in the server.
_MAX_CONCURRENT = 16_384
_PROBE_PAUSE_S = 0.02


class CannotListenError(GatewayError):
    """The address to listen on cannot be had; the text names setting, value, problem and fix."""

    exit_code = ExitCode.CANNOT_LISTEN

    def __init__(self, setting: str, listen: Address, problem: str, fix: str) -> None:
        super().__init__(f"{setting} = {listen}: {problem}; {fix}")


def reserve(listen: Address, setting: str = "server.listen") -> Address:
    """Return the address with port 0 replaced by a free port, after trying that it can be bound.

    Granian shares the port between its workers (SO_REUSEPORT), so it would not notice another gateway on it.

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
    on_ready: Callable[[], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; then requests in flight finish and no new ones are taken.

    Args:
        load_app: makes the application; called in each worker process.
        listen: as :func:`reserve` returned it.
        workers: how many processes; a lost one is replaced where there are several.
        drain_s: seconds that requests in flight get; then they are cut.
        on_ready: called in a thread of this process once connections are accepted.

    Returns:
        The exit code.

    Raises:
        CannotListenError: before anything is started.
    """
    reserve(listen)
    # Workers inherit the loader, which is no module-level function.
    multiprocessing.set_start_method("fork", force=True)
    server = Granian(
        "gateway",
        address=_resolve(listen)[1],
        port=listen.port,
        interface=Interfaces.ASGI,
        workers=workers,
        runtime_mode=RuntimeModes.st,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=_limits(),
        backlog=_BACKLOG,
        backpressure=_MAX_CONCURRENT,
        log_enabled=False,
        workers_kill_timeout=math.ceil(drain_s),
    )
    over = threading.Event()

    def accepting() -> None:
        # Not before: a worker that cannot even start would be started over and over.
        server.respawn_failed_workers = workers > 1
        if on_ready:
            on_ready()

    announcer = threading.Thread(target=_announce, args=(listen, accepting, over), daemon=True)
    announcer.start()
    try:
        server.serve(target_loader=lambda: _loaded(load_app), wrap_loader=False)
    except SystemExit:
        print_error("a worker process ended by itself; the server stopped")
        return ExitCode.FAILED
    finally:
        over.set()
        announcer.join()
    return ExitCode.OK


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
        GatewayError: an application did not start, or ended by itself.
    """
    servers = [_embedded(app, listen) for app, listen in apps]
    running = [asyncio.create_task(server.serve()) for server in servers]
    try:
        for (_, listen), task in zip(apps, running, strict=True):
            await _until_accepting(listen, task)
        ready()
        await _first(asyncio.create_task(stop.wait()), *running)
    finally:
        for server, task in zip(servers, running, strict=True):
            server.stop()  # type: ignore[no-untyped-call]
            await asyncio.wait([task], timeout=drain_s)
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def stop_on_signal() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set from now on; for :func:`serve_embedded`."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _limits() -> HTTP1Settings:
    return HTTP1Settings(header_read_timeout=HEAD_TIMEOUT_S * 1000, max_buffer_size=MAX_HEAD_BYTES)


def _embedded(app: ASGIApp, listen: Address) -> Server:
    return Server(
        reporting(app),
        address=_resolve(listen)[1],
        port=listen.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=_limits(),
        backlog=_BACKLOG,
        backpressure=_MAX_CONCURRENT,
        log_enabled=False,
    )


def _loaded(load_app: Callable[[], ASGIApp]) -> ASGIApp:
    """Make the application in the worker; what it refuses is a line, not a traceback."""
    try:
        app = reporting(load_app())
        _set_aside()
        return app
    except (GatewayError, OSError) as error:
        print_error(str(error))
        raise SystemExit(ExitCode.FAILED) from None


def _set_aside() -> None:
    """Spare the collector what was made at the start and stays, and let it look for cycles less often.

    By its own measure it looks at everything again and again, since each request allocates some hundred objects, which
    go without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)


def reporting(app: ASGIApp) -> ASGIApp:
    """Return the application with its start-up failures told, and fatal.

    Granian takes an exception at start-up for an application without a lifespan, and serves on.
    """

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if message["type"].endswith(".failed"):
                print_error(message.get("message") or "the application did not start or stop well")
            await send(message)

        try:
            await app(scope, receive, tell)
        except Exception as error:
            detail = str(error) if isinstance(error, GatewayError | OSError) else f"{type(error).__name__}: {error}"
            await tell({"type": "lifespan.startup.failed", "message": f"the application did not start: {detail}"})

    def dispatch(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return lifespan(scope, receive, send) if scope["type"] == "lifespan" else app(scope, receive, send)

    return dispatch


def _announce(listen: Address, accepting: Callable[[], None], over: threading.Event) -> None:
    family, address = _resolve(listen)
    while not over.wait(_PROBE_PAUSE_S):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if probe.connect_ex((reachable(address), listen.port)) == 0:
                accepting()
                return


async def _until_accepting(listen: Address, task: asyncio.Task[None]) -> None:
    address = reachable(_resolve(listen)[1])
    while True:
        if task.done():
            _raise_failure(task)
        try:
            _, writer = await asyncio.open_connection(address, listen.port)
        except OSError:
            await asyncio.sleep(_PROBE_PAUSE_S)
        else:
            writer.close()
            return


async def _first(stop: asyncio.Task[Any], *running: asyncio.Task[None]) -> None:
    done, _ = await asyncio.wait([stop, *running], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    for task in done - {stop}:
        _raise_failure(task)


def _raise_failure(task: asyncio.Task[None]) -> None:
    # Granian's own text is a trace of its insides; what an application had to say was told by then.
    raise GatewayError("a server ended by itself") from task.exception()


def _resolve(listen: Address) -> tuple[socket.AddressFamily, str]:
    """Return family and numeric address; Granian takes no names."""
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
