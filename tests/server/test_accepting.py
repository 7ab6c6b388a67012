"""Connections are taken many at a time, and none is lost where one fails."""

import asyncio
import errno
import resource
import socket
from contextlib import ExitStack, closing, contextmanager

import pytest

from gateway.server import accepting
from gateway.server.accepting import Acceptor


class Listening(socket.socket):
    """A listening socket whose next looks for connections fail."""

    fails = ()

    def accept(self):
        if self.fails:
            first, *self.fails = self.fails
            raise first
        return super().accept()


class Greeting(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"hello")


@contextmanager
def accepting_for(make=Greeting, *, fails=()):
    """Accept on a free port, and return it with the socket."""
    listening = Listening(fileno=socket.create_server(("127.0.0.1", 0), backlog=600).detach())
    listening.fails = list(fails)
    acceptor = Acceptor(listening, make)
    with closing(acceptor):
        yield listening, listening.getsockname()
    assert listening.fileno() == -1


async def read(address):
    reader, writer = await asyncio.open_connection(*address)
    with closing(writer):
        return await reader.read(5)


async def test_a_hundred_connections_do_not_wait_for_a_hundred_turns_of_the_loop():
    made = []

    def make():
        made.append(Greeting())
        return made[-1]

    with ExitStack() as stack, accepting_for(make) as (_, address):
        for _ in range(100):
            stack.enter_context(closing(socket.create_connection(address)))
        turns = 0
        while len(made) < 100:
            turns += 1
            assert turns < 50
            await asyncio.sleep(0)


async def test_more_than_are_taken_at_once_are_taken_too(monkeypatch):
    monkeypatch.setattr(accepting, "_AT_ONCE", 3)
    with accepting_for() as (_, address):
        assert await asyncio.gather(*(read(address) for _ in range(10))) == [b"hello"] * 10


async def test_a_client_that_has_gone_meanwhile_stops_nothing():
    with accepting_for(fails=[ConnectionAbortedError(), InterruptedError()]) as (_, address):
        assert await read(address) == b"hello"


async def test_without_descriptors_connections_wait(monkeypatch, caplog):
    monkeypatch.setattr(accepting, "_PAUSE_S", 0.0)
    none_left = OSError(errno.EMFILE, "Too many open files")
    with accepting_for(fails=[none_left, none_left]) as (listening, address):
        assert await read(address) == b"hello"
        assert not listening.fails
    assert caplog.text.count("connections wait") == 2
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert f"a limit of {most} open files; raise that limit, or lower server.max_connections" in caplog.text


async def test_the_end_may_come_while_connections_wait(monkeypatch, caplog):
    monkeypatch.setattr(accepting, "_PAUSE_S", 0.01)
    with ExitStack() as stack, accepting_for(fails=[OSError(errno.ENFILE, "")]) as (listening, address):
        stack.enter_context(closing(socket.create_connection(address)))
        while listening.fails:  # noqa: ASYNC110 - nothing says so
            await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    assert caplog.text.count("connections wait") == 1


async def test_a_connection_that_cannot_be_made_is_closed_and_said(caplog):
    def make():
        if not caplog.text:
            raise ValueError("odd")
        return Greeting()

    with accepting_for(make) as (_, address):
        assert await read(address) == b""
        assert await read(address) == b"hello"
    assert "taking a connection failed" in caplog.text


@pytest.mark.parametrize("kind", ["unix", "ipv6"])
async def test_other_addresses_are_taken_from_too(kind, tmp_path):
    if kind == "unix":
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(tmp_path / "s"))
    else:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    with closing(Acceptor(listening, Greeting)), closing(socket.socket(listening.family)) as client:
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, listening.getsockname())
        assert await asyncio.get_running_loop().sock_recv(client, 5) == b"hello"
