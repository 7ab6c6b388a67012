"""Two hosts with two workers each share one Redis: an expired token is traded once, and without Redis they go on."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.adapters.redis_kit import RedisServer
from tests.authenticator.engine_kit import KEY, NAMES, directives, mint
from tests.e2e.processes import Command, free_port
from tests.faults.fault_kit import SECRET_KEY, FaultyApi, browser, whole

pytestmark = pytest.mark.e2e

PASSWORD = "hunter2-hunter2"
REQUESTS = 200
WORKERS = 2

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def config_of(api: str, listen: str, store: str) -> str:
    return f"""
[instance]
publishable_key = "{KEY.value}"
secret_key = "{SECRET_KEY}"
api_url = "{api}"
proxy_url = "{api}"

[server]
listen = "{listen}"
workers = {WORKERS}

[refresh]
budget_ms = 20000
store = "{store}"

[[routes]]
path = "/"
upstream = "{api}"
"""


def expired(number: int = 0) -> str:
    now_s = int(time.time())
    return mint(iat=now_s - 120, nbf=now_s - 130, exp=now_s - 60, jti=f"old-{number}")


class Hosts:
    """Two gateways, the Redis between them, and the API and upstream behind them; ports of the gateways.

    Attributes:
        may_trade: the API answers a refresh while it is set.
        most: by expired token, how many trades of it were in hand at once.
    """

    def __init__(self, api: FaultyApi, redis: RedisServer) -> None:
        self.api = api
        self.redis = redis
        self.ports = [free_port(), free_port()]
        self.commands: list[Command] = []
        self.may_trade = asyncio.Event()
        self.most: Counter[str] = Counter()
        self._in_hand: Counter[str] = Counter()
        self._trade_began = asyncio.Event()
        self._numbers = itertools.count()
        api.behaviour = {"/page": whole({"ok": True}), **api.behaviour, "/refresh": self._trade}

    async def _trade(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        token = json.loads(self.api.body)["expired_token"]
        self._in_hand[token] += 1
        self.most[token] = max(self.most[token], self._in_hand[token])
        self._trade_began.set()
        await self.may_trade.wait()
        self._in_hand[token] -= 1
        now_s = int(time.time())
        token = mint(iat=now_s - 5, nbf=now_s - 15, exp=now_s + 600, jti=f"new-{next(self._numbers)}")
        await whole({"object": "cookies", "cookies": list(directives(token))})(reader, writer)

    @property
    def calls(self) -> int:
        return self.api.calls["/refresh"]

    async def each_began(self, tokens: set[str]) -> None:
        """Wait until the API was asked for every one of these."""
        while not tokens <= self.most.keys():
            self._trade_began.clear()
            await self._trade_began.wait()

    async def send(self, tokens: list[str]) -> list[Connection]:
        """Put one request for each token on its way, to the two in turn."""
        sent = []
        for port, token in zip(itertools.cycle(self.ports), tokens, strict=False):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = ["GET /page HTTP/1.1", "Host: app.example.test", "Connection: close", f"Cookie: {browser(token)}"]
            writer.write("\r\n".join([*head, "", ""]).encode())
            await writer.drain()
            sent.append((reader, writer))
        return sent


@pytest.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[Hosts]:
    api = FaultyApi()
    await api.start()
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(requirepass=PASSWORD))
        hosts = Hosts(api, redis)
        for port in hosts.ports:
            config = tmp_path / f"{port}.toml"
            config.write_text(config_of(api.origin, f"127.0.0.1:{port}", redis.url.replace("//", f"//:{PASSWORD}@")))
            hosts.commands.append(stack.enter_context(Command("serve", "--config", str(config))))
        for command in hosts.commands:
            await asyncio.to_thread(command.wait_for, "listens on")
        yield hosts
        hosts.may_trade.set()
        for command in hosts.commands:
            command.signal(15)
            await asyncio.to_thread(command.wait)
            assert PASSWORD not in command.output
    await api.stop()


async def read(sent: list[Connection]) -> tuple[list[str], list[str]]:
    """The statuses, and the session cookies that were set."""
    answers = [answer.decode("latin-1") for answer in await asyncio.gather(*(reader.read() for reader, _ in sent))]
    for _, writer in sent:
        writer.close()
        await writer.wait_closed()
    statuses = [answer.partition("\r\n")[0].split(" ")[1] for answer in answers]
    start = f"set-cookie: {NAMES.session}="
    lines = [line for answer in answers for line in answer.partition("\r\n\r\n")[0].split("\r\n")]
    cookies = [line[len(start) :].partition(";")[0] for line in lines if line.lower().startswith(start.lower())]
    return statuses, cookies


async def test_one_expired_token_over_two_hosts_is_one_call_and_one_cookie(hosts: Hosts) -> None:
    sent = await hosts.send([expired()] * REQUESTS)
    hosts.may_trade.set()
    statuses, cookies = await read(sent)

    assert statuses == ["200"] * REQUESTS
    assert len(cookies) == REQUESTS
    assert len(set(cookies)) == 1
    assert hosts.calls == 1


async def test_who_comes_later_at_the_other_host_gets_the_same_answer(hosts: Hosts) -> None:
    hosts.may_trade.set()
    token = expired()
    found = [(await read(await hosts.send([token] * 2)))[1] for _ in range(10)]

    assert len({cookie for cookies in found for cookie in cookies}) == 1
    assert hosts.calls == 1


async def test_when_redis_dies_under_load_each_process_goes_on_alone(hosts: Hosts) -> None:
    one = [expired()] * REQUESTS
    several = [expired(1 + number // 10) for number in range(REQUESTS)]
    for tokens in (one, several):
        hosts.may_trade.clear()
        sent = await hosts.send(tokens)
        await hosts.each_began(set(tokens))
        hosts.redis.kill()
        hosts.may_trade.set()
        statuses, cookies = await read(sent)
        assert statuses == ["200"] * REQUESTS
        assert len(cookies) == REQUESTS

    # Not the number of trades: on a busy machine requests may come when what a process remembers is over.
    assert max(hosts.most.values()) <= 2 * WORKERS


async def test_redis_is_used_again_when_it_is_back(hosts: Hosts) -> None:
    hosts.may_trade.set()
    hosts.redis.kill()
    statuses, _ = await read(await hosts.send([expired()] * 8))
    assert statuses == ["200"] * 8
    hosts.redis.start()
    # Each process may leave Redis alone for a while; until then new tokens are traded more than once.
    async with asyncio.timeout(60):
        for number in itertools.count(1):
            calls = hosts.calls
            statuses, cookies = await read(await hosts.send([expired(number)] * 16))
            assert statuses == ["200"] * 16
            if len(set(cookies)) == 1 and hosts.calls == calls + 1:
                break
