"""Attack 47 on real processes: however many workers and hosts get an expired token, it is traded once."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.adapters.redis_kit import RedisServer
from tests.attacks.attack_kit import Authority, Reply, Upstream, browser, config_of, expired_token, token
from tests.core.minting import NAMES
from tests.e2e.processes import Command, clean_environment, free_port

REQUESTS = 200
DEADLINE_S = 60.0


class Once(dict[str, list[str]]):
    """New cookies by refresh token, handed out once: the second trade is refused."""

    def get(self, key: str, default: object = None) -> list[str]:
        return self.pop(key, [])


class Site:
    """The authority and the upstream, and gateways between them that end with the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.authority, self.upstream = Authority(), Upstream()
        self.ports: list[int] = []
        self.workers = 0
        self.commands: list[Command] = []
        for server in (self.authority, self.upstream):
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        stack.callback(self.authority.trades.set)
        self.temporary = folder / "temporary"
        self.temporary.mkdir()

    def start(self, refresh: str, workers: int = 2) -> Command:
        port = free_port()
        config = self.folder / f"{port}.toml"
        text = config_of(
            self.authority, self.upstream.url, port, f"workers = {workers}\ndrain_s = 2\n[refresh]\n{refresh}"
        )
        config.write_text(text)
        config.chmod(0o600)
        environ = clean_environment(TMPDIR=str(self.temporary))
        command = self.stack.enter_context(Command("serve", "--config", str(config), env=environ))
        command.wait_for("listens on")
        self.ports.append(port)
        self.commands.append(command)
        self.workers += workers
        # The first worker's word is enough for that line; each one asks for the keys when it starts.
        self.until(lambda: sum("/jwks" in line for line in self.authority.calls) == self.workers)
        return command

    @property
    def calls(self) -> int:
        return sum("/refresh" in line for line in self.authority.calls)

    def until(self, done: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not done():
            assert time.monotonic() < deadline_s, [command.output for command in self.commands]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


async def ask(port: int, expired: str, refresh: str) -> Reply:
    """One request of the browser, on a connection of its own."""
    cookies = "; ".join(f"{name}={value}" for name, value in browser(expired, refresh=refresh).items())
    lines = ("GET / HTTP/1.1", "Host: app.example.test", "Connection: close", f"Cookie: {cookies}", "", "")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join(lines).encode())
    try:
        return Reply.parse(await reader.read())
    except ConnectionError:
        return Reply(b"")
    finally:
        writer.close()


async def ask_at_once(site: Site, expired: str, refresh: str) -> list[Reply]:
    """All requests in parallel, over all gateways; the authority answers when the first call has come."""
    site.authority.trades.clear()
    before = site.calls
    ports = (site.ports[turn % len(site.ports)] for turn in range(REQUESTS))
    waiting = [asyncio.create_task(ask(port, expired, refresh)) for port in ports]
    await asyncio.to_thread(site.until, lambda: site.calls > before)
    site.authority.trades.set()
    return await asyncio.gather(*waiting)


def new_cookies() -> list[str]:
    return [f"{NAMES.session}={token()}; Path=/; HttpOnly", f"{NAMES.refresh}=rt_next; Path=/; HttpOnly"]


@pytest.mark.e2e
@pytest.mark.parametrize("hosts", [1, 2])
async def test_two_hundred_parallel_requests_make_one_call_and_get_one_cookie(site: Site, hosts: int):
    refresh = "budget_ms = 30000\n"
    if hosts > 1:
        server = site.stack.enter_context(RedisServer())
        refresh += f'store = "{server.url}"\n'
    for _ in range(hosts):
        site.start(refresh)
    cookies = new_cookies()
    site.authority.refreshed = Once(rt_shared=cookies)
    expired = expired_token()
    replies = await ask_at_once(site, expired, "rt_shared")
    assert [reply.status for reply in replies] == [200] * REQUESTS
    assert {tuple(sorted(value.partition(";")[0] for value in reply.values("set-cookie"))) for reply in replies} == {
        tuple(sorted(value.partition(";")[0] for value in cookies))
    }
    assert site.calls == 1
    late = [await ask(port, expired, "rt_shared") for port in site.ports for _ in range(10)]
    assert {reply.status for reply in late} == {200}
    assert site.calls == 1


@pytest.mark.e2e
async def test_workers_that_share_nothing_sign_people_out(site: Site):
    """What the others are about: without a store the same requests reach both workers, and one is refused."""
    site.start('budget_ms = 30000\nstore = "none"\n')
    for turn in range(10):
        before, refresh = site.calls, f"rt_alone_{turn}"
        site.authority.refreshed = Once({refresh: new_cookies()})
        replies = await ask_at_once(site, expired_token(), refresh)
        if site.calls - before == 2:  # at first one worker may not listen yet
            break
    assert site.calls - before == 2
    assert {reply.status for reply in replies} == {200, 401}


@pytest.mark.e2e
async def test_a_refusal_is_asked_for_once_too(site: Site):
    site.start("budget_ms = 30000\n")
    site.authority.codes["rt_bad"] = "session_refresh_expired_session_token_not_valid"
    replies = await ask_at_once(site, expired_token(), "rt_bad")
    assert {reply.status for reply in replies} == {401}
    assert site.calls == 1


@pytest.mark.e2e
async def test_a_worker_that_is_killed_over_a_refresh_is_waited_for_no_longer_than_its_lease(site: Site):
    site.start("budget_ms = 2000\n")
    site.authority.refreshed["rt_dead"] = new_cookies()
    site.authority.trades.clear()
    expired = expired_token()
    first = asyncio.create_task(ask(site.ports[0], expired, "rt_dead"))
    await asyncio.to_thread(site.until, lambda: site.authority.peers)
    started_s = time.monotonic()
    os.kill(owner_of(site.authority.peers[0], site.authority.server_port), signal.SIGKILL)
    site.authority.trades.set()
    assert (await first).status == 0
    statuses = [(await ask(site.ports[0], expired, "rt_dead")).status]
    while 200 not in statuses:
        assert time.monotonic() - started_s < DEADLINE_S
        statuses.append((await ask(site.ports[0], expired, "rt_dead")).status)
    assert time.monotonic() - started_s > 2.5, "the lease is as long as a call may take, and a little longer"
    assert site.calls == 2


@pytest.mark.e2e
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_folder_that_workers_share_is_theirs_alone_and_gone_at_the_end(site: Site, stop: signal.Signals):
    command = site.start("")
    (folder,) = site.temporary.iterdir()
    assert re.fullmatch("session-gateway-[a-z0-9_]+", folder.name)
    assert folder.stat().st_mode & 0o777 == 0o700
    command.signal(stop)
    assert command.wait() == 0
    assert list(site.temporary.iterdir()) == []


@pytest.mark.e2e
@pytest.mark.parametrize(("refresh", "workers"), [('store = "none"', 2), ("enabled = false", 2), ("", 1)])
def test_no_folder_is_made_where_nothing_is_shared(site: Site, refresh: str, workers: int):
    site.start(refresh, workers)
    assert list(site.temporary.iterdir()) == []


def owner_of(peer: tuple[str, int], port: int) -> int:
    """Return the process that has the other end of a connection to one of our ports (Linux: proc(5))."""
    address = f"{int.from_bytes(bytes(map(int, peer[0].split('.'))), 'little'):08X}"
    # Both ends are compared: connections to other ports may go out from the same one.
    ends = [f"{address}:{peer[1]:04X}", f"{address}:{port:04X}"]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = {row[9] for row in rows if row[1:3] == ends}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) == f"socket:[{inode}]":
                return int(link.parts[2])
        except OSError:
            continue
    raise AssertionError("nobody has it")
