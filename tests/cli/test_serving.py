"""Serving applications: readiness, draining, failures at start, limits."""

import asyncio
import contextlib
import errno
import http.client
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.types import ASGIApp

from gateway.cli.exit_codes import ExitCode
from gateway.cli.serving import CannotListenError, reachable, reserve, run, serve_embedded
from gateway.core.header_names import MAX_HEAD_BYTES
from gateway.core.settings_model import Address
from gateway.errors import GatewayError
from gateway.server.listener import Limits

# Workers are forked beside the threads of the test runner.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
DEADLINE_S = 20


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """Several workers leave the handlers of their parent; give back those of the test runner."""
    kept = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in kept.items():
        signal.signal(each, handler)


@pytest.fixture
def address() -> Address:
    return reserve(Address("127.0.0.1", 0))


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the process id first, and go on once the request's body has ended."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{os.getpid()}\n".encode(), "more_body": True})
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.body", "body": b"done"})


def load_echo() -> ASGIApp:
    return echo


def get(address: Address, path: str = "/", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=DEADLINE_S)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Client(threading.Thread):
    """What a client does once the server is ready, beside it; then the server is told to end."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act = act
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._act()
        except BaseException as error:
            self._error = error
        finally:
            terminate()

    def end(self) -> None:
        self.join()
        if self._error is not None:
            raise self._error


def serve(address: Address, act: Callable[[], None], **options: Any) -> None:
    """Serve while a client does something."""
    client = Client(act)
    assert run(load_echo, address, on_ready=client.start, **options) == ExitCode.OK
    client.end()


def is_refused(address: Address) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address.host, address.port)) == errno.ECONNREFUSED


def test_port_0_becomes_a_free_port() -> None:
    found = reserve(Address("localhost", 0))
    assert found.host == "localhost"
    assert reserve(found) == found


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_port_in_use_is_refused_also_when_its_owner_shares_it(is_shared: bool) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, is_shared)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenError) as refused:
            run(load_echo, Address("127.0.0.1", port))
    assert str(refused.value).startswith(f"server.listen = 127.0.0.1:{port}: another program listens there; stop it")
    assert refused.value.exit_code is ExitCode.CANNOT_LISTEN


@pytest.mark.parametrize(
    ("host", "problem"), [("192.0.2.1", "no such address"), ("nowhere.invalid", "host name is not known")]
)
def test_an_address_that_is_not_here_is_refused(host: str, problem: str) -> None:
    with pytest.raises(CannotListenError, match=problem) as refused:
        reserve(Address(host, 0), "--listen")
    assert str(refused.value).startswith(f"--listen = {host}:0: ")


def test_sigterm_ends_the_server_well(address: Address) -> None:
    seen = []
    serve(address, lambda: seen.append(get(address)[0]))
    assert seen == [200]
    assert is_refused(address)


def test_an_address_that_is_taken_between_is_refused_when_it_is_bound(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.serving.reserve", lambda listen: listen)
    taken = socket.create_server((address.host, address.port))
    with taken, pytest.raises(CannotListenError, match="another program listens there"):
        run(load_echo, address)


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_in_flight_finish_and_new_ones_are_refused(address: Address, workers: int) -> None:
    received = []

    def act() -> None:
        with socket.create_connection((address.host, address.port), timeout=DEADLINE_S) as client:
            client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\n1")
            received.append(client.recv(65536))
            terminate()
            while not is_refused(address):
                pass
            client.sendall(b"2")
            received.append(client.makefile("rb").read())

    serve(address, act, drain_s=DEADLINE_S, workers=workers)
    first, rest = received
    assert first.startswith(b"HTTP/1.1 200")
    assert b"done" in rest


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_that_do_not_finish_are_cut_after_the_drain(address: Address, workers: int) -> None:
    received = []

    def act() -> None:
        with socket.create_connection((address.host, address.port), timeout=DEADLINE_S) as client:
            client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")
            received.append(client.recv(65536))
            terminate()
            with contextlib.suppress(ConnectionError):
                received.append(client.makefile("rb").read())

    serve(address, act, drain_s=0.1, workers=workers)
    assert received[0].startswith(b"HTTP/1.1 200")
    assert b"done" not in b"".join(received)


def test_clients_get_what_the_limits_say(address: Address) -> None:
    seen = []

    def act() -> None:
        with socket.create_connection((address.host, address.port), timeout=DEADLINE_S) as held:
            held.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")
            held.recv(65536)
            seen.append(get(address)[0])

    serve(address, act, limits=Limits(connections=1), drain_s=0.1)
    assert seen == [503]


def test_a_lost_worker_is_replaced_where_there_are_several(address: Address) -> None:
    seen = []

    def act() -> None:
        lost = int(get(address)[1].split()[0])
        os.kill(lost, signal.SIGKILL)
        pids: set[int] = set()
        while len(pids) < 2:
            with contextlib.suppress(OSError, http.client.HTTPException):
                pids.add(int(get(address)[1].split()[0]))
        seen.append((lost, pids))

    serve(address, act, workers=2)
    ((lost, pids),) = seen
    assert len(pids - {lost}) == 2


def refuse_to_load() -> ASGIApp:
    raise GatewayError("the database is locked")


async def refuse_to_start(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no keys"})


async def break_at_start(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("odd")


async def break_of_ours_at_start(scope: Any, receive: Any, send: Any) -> None:
    raise OSError(errno.EACCES, "Permission denied")


BROKEN = [
    (refuse_to_load, "error: the database is locked"),
    (lambda: refuse_to_start, "error: no keys"),
    (lambda: break_at_start, "error: the application did not start: ValueError: odd"),
    (lambda: break_of_ours_at_start, "error: the application did not start: [Errno 13] Permission denied"),
]


@pytest.mark.parametrize(("load_app", "said"), BROKEN)
@pytest.mark.parametrize("workers", [1, 2])
def test_an_application_that_does_not_start_ends_the_server_with_a_message(
    address: Address, load_app: Any, said: str, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    ready: list[str] = []
    assert run(load_app, address, workers=workers, on_ready=lambda: ready.append("")) == ExitCode.FAILED
    shown = capfd.readouterr().err
    assert said in shown
    assert ("a worker process ended by itself" in shown) == (workers > 1)
    # A second worker is terminated while it starts; what is then shown may be the coverage tool's.
    assert workers > 1 or "Traceback" not in shown
    assert ready == []


async def test_a_head_that_is_too_large_is_431_and_a_large_one_is_served(address: Address) -> None:
    stop = asyncio.Event()
    seen = []

    async def ask() -> None:
        for size in (MAX_HEAD_BYTES // 2, MAX_HEAD_BYTES * 2):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * size + b"\r\n\r\n")
            seen.append((await reader.readline()).split()[1])
            writer.close()
        stop.set()

    asking: list[asyncio.Task[None]] = []
    await serve_embedded([(echo, address)], lambda: asking.append(asyncio.create_task(ask())), stop)
    await asking[0]
    assert seen == [b"200", b"431"]


async def test_several_applications_share_one_loop_and_stop_together() -> None:
    addresses = [reserve(Address("127.0.0.1", 0)), reserve(Address("localhost", 0))]
    stop = asyncio.Event()
    answers = []

    async def ask() -> None:
        answers.extend([await asyncio.to_thread(get, address) for address in addresses])
        stop.set()

    asking: list[asyncio.Task[None]] = []
    await serve_embedded(
        [(echo, address) for address in addresses], lambda: asking.append(asyncio.create_task(ask())), stop
    )
    await asking[0]
    assert [status for status, _ in answers] == [200, 200]
    assert {int(body.split()[0]) for _, body in answers} == {os.getpid()}
    assert all(is_refused(Address("127.0.0.1", address.port)) for address in addresses)


async def test_an_embedded_application_that_does_not_start_ends_all(address: Address) -> None:
    other = reserve(Address("127.0.0.1", 0))
    ready: list[str] = []
    with pytest.raises(GatewayError, match="the application did not start: ValueError: odd"):
        await serve_embedded(
            [(break_at_start, address), (echo, other)], lambda: ready.append(""), asyncio.Event(), drain_s=1
        )
    assert ready == []
    assert is_refused(address)
    assert is_refused(other)


async def test_an_embedded_address_that_was_taken_meanwhile_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(CannotListenError, match="another program listens there"):
            await serve_embedded([(echo, Address("127.0.0.1", port))], lambda: None, asyncio.Event(), drain_s=1)


async def test_cancelling_stops_the_embedded_servers(address: Address) -> None:
    ready = asyncio.Event()
    serving = asyncio.create_task(serve_embedded([(echo, address)], ready.set, asyncio.Event()))
    await ready.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert is_refused(address)


@pytest.mark.skipif(sys.platform != "linux", reason="IPv6 loopback is a matter of the platform")
async def test_ipv6_is_served() -> None:
    try:
        address = reserve(Address("::1", 0))
    except CannotListenError:
        return
    stop = asyncio.Event()
    await serve_embedded([(echo, address)], stop.set, stop)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.1", "192.0.2.1")],
)
def test_where_a_listener_on_every_interface_is_reached(address: str, expected: str) -> None:
    assert reachable(address) == expected
