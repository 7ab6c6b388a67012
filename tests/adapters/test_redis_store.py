"""The store in Redis against a real server: one lease for all, fenced, forgotten in time; and servers that fail."""

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.adapters.redis_store import MAX_BYTES, MAX_CONNECTIONS, RedisStore
from gateway.core.secret import Secret
from gateway.core.settings_values import BadValueError
from gateway.errors import StoreUnavailable
from gateway.ports import Claim
from tests.adapters.redis_kit import RedisServer, certificate, pretender
from tests.adapters.store_suite import KEY, LEASE_S, OURS, THEIRS, StoreSuite, answered

PASSWORD = "hunter2-hunter2"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    store = patient(server.url)
    yield store
    await store.close()


def patient(url: str) -> RedisStore:
    """With a time-out that a busy machine does not exceed."""
    return RedisStore(Secret(url), timeout_s=10.0)


async def until(store: RedisStore, wanted: Claim, key: bytes = KEY) -> None:
    """Ask until the server has forgotten."""
    async with asyncio.timeout(10):
        while await store.claim(key, b"late", LEASE_S) != wanted:
            pass


class Shared:
    """Stores over one server, whose clock is its own."""

    short_s = 0.05

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._opened: list[RedisStore] = []

    def open(self) -> RedisStore:
        self._opened.append(patient(self._server.url))
        return self._opened[-1]

    async def pass_short(self) -> None:
        """Wait for a lease that began later than all others that are as short."""
        store = self.open()
        await store.claim(b"the last one", b"stage", self.short_s)
        await until(store, OURS, b"the last one")

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


class TestRedis(StoreSuite):
    @pytest.fixture
    async def stage(self, server: RedisServer) -> AsyncIterator[Shared]:
        made = Shared(server)
        yield made
        await made.close()


async def refusal(store: RedisStore) -> str:
    """What is said about a server that fails, in every way in which it may be shown."""
    with pytest.raises(StoreUnavailable) as caught:
        await store.claim(KEY, b"holder", LEASE_S)
    await store.close()
    shown = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in f"{caught.value!r} {caught.value.detail} {shown} {store!r} {store} {vars(store)}"
    return caught.value.detail


async def test_an_answer_that_looks_like_a_lease_is_none(store: RedisStore):
    await store.claim(KEY, b"first", LEASE_S)
    await store.settle(KEY, b"first", b"Lsecond", LEASE_S)
    await store.release(KEY, b"second")
    assert await store.claim(KEY, b"third", LEASE_S) == answered(b"Lsecond")


async def test_work_whose_lease_ended_is_not_settled_even_if_nobody_else_took_it(
    store: RedisStore, server: RedisServer
):
    await store.claim(KEY, b"first", LEASE_S)
    server.command("flushall")
    await store.settle(KEY, b"first", b"too late", LEASE_S)
    assert await store.claim(KEY, b"second", LEASE_S) == OURS


async def test_the_server_keeps_nothing_for_ever(store: RedisStore, server: RedisServer):
    assert await store.claim(b"shortest", b"first", 0.0001) == OURS
    await store.claim(b"lease", b"first", 100.5)
    await store.claim(b"answer", b"first", LEASE_S)
    await store.settle(b"answer", b"first", b"answer", 200.5)
    await until(store, OURS, b"shortest")
    assert 0 < int(server.command("pttl", "gateway:refresh:lease")) <= 100_500
    assert 100_500 < int(server.command("pttl", "gateway:refresh:answer")) <= 200_500


async def test_an_answer_beyond_the_bound_is_neither_left_nor_taken(store: RedisStore, server: RedisServer):
    await store.claim(KEY, b"first", LEASE_S)
    with pytest.raises(StoreUnavailable, match="65537 bytes"):
        await store.settle(KEY, b"first", bytes(MAX_BYTES + 1), LEASE_S)
    server.command("set", "gateway:refresh:large", "A" + "x" * (MAX_BYTES + 1))
    with pytest.raises(StoreUnavailable, match="none of ours"):
        await store.claim(b"large", b"first", LEASE_S)


async def test_a_value_of_another_kind_is_an_error(store: RedisStore, server: RedisServer):
    server.command("rpush", "gateway:refresh:list", PASSWORD)
    with pytest.raises(StoreUnavailable, match="answered with an error") as caught:
        await store.claim(b"list", b"first", LEASE_S)
    assert PASSWORD not in str(caught.value)


async def test_of_a_hundred_at_once_over_two_stores_one_has_the_work(store: RedisStore, server: RedisServer):
    other = patient(server.url)
    claims = await asyncio.gather(
        *((store, other)[turn % 2].claim(KEY, str(turn).encode(), LEASE_S) for turn in range(100))
    )
    assert sorted(claims, key=lambda claim: claim.is_ours) == [THEIRS] * 99 + [OURS]
    holder = str(claims.index(OURS)).encode()
    await (store, other)[claims.index(OURS) % 2].settle(KEY, holder, b"answer", LEASE_S)
    found = await asyncio.gather(*(each.claim(KEY, b"late", LEASE_S) for each in (store, other) for _ in range(50)))
    assert found == [answered(b"answer")] * 100
    assert (
        int(server.command("info", "clients").partition("connected_clients:")[2].split()[0]) <= 2 * MAX_CONNECTIONS + 1
    )
    await other.close()


async def test_stores_with_other_prefixes_do_not_meet(store: RedisStore, server: RedisServer):
    other = RedisStore(Secret(server.url), timeout_s=10.0, prefix=b"other:")
    assert await store.claim(KEY, b"first", LEASE_S) == OURS
    assert await other.claim(KEY, b"first", LEASE_S) == OURS
    await other.close()


async def test_a_server_that_was_killed_is_used_again_when_it_is_back(store: RedisStore, server: RedisServer):
    await asyncio.gather(*(store.claim(str(turn).encode(), b"first", LEASE_S) for turn in range(20)))
    server.kill()
    for call in (
        store.claim(KEY, b"first", LEASE_S),
        store.settle(KEY, b"first", b"answer", LEASE_S),
        store.release(KEY, b"first"),
    ):
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await call
    server.start()
    assert await store.claim(KEY, b"first", LEASE_S) == OURS
    claims = await asyncio.gather(*(store.claim(str(turn).encode(), b"first", LEASE_S) for turn in range(20)))
    assert claims == [OURS] * 20


async def test_a_server_that_hangs_is_not_waited_for_and_used_again_when_it_answers(server: RedisServer):
    store = RedisStore(Secret(server.url), timeout_s=0.5)
    await until(store, OURS)
    server.command("client", "pause", "60000", "write")
    started_s = time.monotonic()
    refused = await asyncio.gather(
        *(store.claim(b"hung", b"first", LEASE_S) for _ in range(10 * MAX_CONNECTIONS)), return_exceptions=True
    )
    assert time.monotonic() - started_s < 4, "they did not wait all at the same time"
    assert {type(each) for each in refused} == {StoreUnavailable}
    server.command("client", "unpause")
    await until(store, OURS, b"after")
    await store.close()


async def test_a_server_that_never_answers_ends_in_time():
    async with pretender(None) as url:
        store = RedisStore(Secret(url.replace("//", f"//:{PASSWORD}@")), timeout_s=0.2)
        started_s = time.monotonic()
        assert await refusal(store) == f"{url} did not answer in time"
        assert time.monotonic() - started_s < 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
        b":x\r\n",
        b"$x\r\n",
        b"-\xff\xfe\r\n",
        b"*-5\r\n",
        b"*1\r\n" * 20_000,
        b"$99999999999\r\n",
        b"+OK\r\n" * 50,
        b"*2\r\n:1\r\n:2\r\n" * 50,
        b":7\r\n" * 50,
        b"$-1\r\n" * 50,
        b"-ERR unknown command 'AUTH', with args beginning with: 'hunter2-hunter2'\r\n" * 50,
        b"-WRONGPASS hunter2-hunter2\r\n" * 50,
        b"-hunter2-hunter2 hunter2-hunter2\r\n" * 50,
    ],
)
@pytest.mark.parametrize("user", ["", f":{PASSWORD}@"])
async def test_whatever_a_server_answers_that_is_no_redis_is_one_error(
    answer: bytes, user: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    async with pretender(answer) as url:
        detail = await refusal(RedisStore(Secret(url.replace("//", f"//{user}")), timeout_s=0.5))
    assert detail.startswith(url)
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("user", ["", ":wrong-hunter2-hunter2@", f"somebody:{PASSWORD}@"])
async def test_a_wrong_password_is_said_to_be_one(user: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    with RedisServer(requirepass="secret-of-the-server") as server:
        url = server.url.replace("//", f"//{user}")
        assert await refusal(patient(url)) == f"{server.url} refuses the user or password"
    assert PASSWORD not in caplog.text


async def test_the_right_password_opens():
    with RedisServer(requirepass="pass/word@1") as server:
        store = patient(server.url.replace("//", "//:pass%2Fword%401@"))
        assert await store.claim(KEY, b"first", LEASE_S) == OURS
        await store.close()


async def test_what_the_server_does_not_let_us_do_is_named(server: RedisServer):
    server.command("acl", "setuser", "guest", "on", f">{PASSWORD}", "~*", "+get")
    assert "lets this user not run" in await refusal(patient(server.url.replace("//", f"//guest:{PASSWORD}@")))
    server.command("replicaof", "127.0.0.1", "1")
    assert "is a replica" in await refusal(patient(server.url))
    server.command("replicaof", "no", "one")
    server.command("config", "set", "maxmemory", "1")
    assert "is out of memory" in await refusal(patient(server.url))


async def test_nobody_listening_is_said_at_once():
    server = RedisServer()
    assert await refusal(patient(server.url)) == f"{server.url} cannot be reached"


async def test_tls_checks_the_certificate(tmp_path: Path):
    cert, key = certificate(tmp_path)
    tls = {"tls_cert_file": str(cert), "tls_key_file": str(key), "tls_auth_clients": "no", "port": "0"}
    server = RedisServer()
    with RedisServer(**tls, tls_port=str(server.port)):
        url = server.url.replace("redis:", "rediss:")
        store = patient(f"{url}?ssl_ca_certs={cert}")
        assert await store.claim(KEY, b"first", LEASE_S) == OURS
        await store.close()
        assert "certificate that does not count" in await refusal(patient(url))
        assert "certificate that does not count" in await refusal(
            patient(f"{url.replace('127.0.0.1', 'localhost')}?ssl_ca_certs={cert}")
        )


def test_a_certificate_that_cannot_be_read_makes_no_store(tmp_path: Path):
    (tmp_path / "no.pem").write_text("no certificate")
    for path in (tmp_path / "missing.pem", tmp_path / "no.pem"):
        for option in ("ssl_ca_certs", "ssl_certfile"):
            with pytest.raises(BadValueError, match="cannot be used") as caught:
                RedisStore(Secret(f"rediss://:{PASSWORD}@redis.internal?{option}={path}"))
            assert PASSWORD not in f"{caught.value!r} {caught.value.fix}"


async def test_tls_to_a_server_without_it_is_an_error(server: RedisServer):
    detail = await refusal(RedisStore(Secret(server.url.replace("redis:", "rediss:")), timeout_s=2))
    assert detail.startswith("rediss://127.0.0.1")


async def test_a_unix_socket_is_spoken_to(tmp_path: Path):
    path = tmp_path / "redis.sock"
    with RedisServer(unixsocket=str(path)):
        store = patient(f"unix://{path}")
        assert await store.claim(KEY, b"first", LEASE_S) == OURS
        await store.close()
    assert await refusal(patient(f"unix://{path}")) == f"unix://{path} cannot be reached"


async def test_closing_leaves_no_connection(server: RedisServer):
    store = patient(server.url)
    await asyncio.gather(*(store.claim(KEY, b"first", LEASE_S) for _ in range(20)))
    await store.close()
    await store.close()
    deadline_s = time.monotonic() + 10
    while server.command("client", "list").count("\n"):  # one line is of the asker itself
        assert time.monotonic() < deadline_s


def test_what_is_no_url_of_a_server_makes_no_store():
    with pytest.raises(BadValueError, match="not the URL of a Redis server"):
        RedisStore(Secret(f"http://:{PASSWORD}@redis.internal"))
