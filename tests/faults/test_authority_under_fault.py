"""The real authority is killed, shares its file, finds the disk full, finds the file locked: what it said stands."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.processes import free_port
from tests.faults.authority_kit import Caller, Service, calling

pytestmark = pytest.mark.e2e

CONNECTIONS = 16
DIED = (OSError, asyncio.IncompleteReadError)


@pytest.fixture
def db(tmp_path):
    return tmp_path / "authority.db"


def query(db, sql: str) -> list[tuple]:
    with sqlite3.connect(db) as connection:
        rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


async def in_parallel(service: Service, work: Callable[[Caller], Awaitable[None]], connections=CONNECTIONS) -> None:
    async def one() -> None:
        async with calling(service) as caller:
            await work(caller)

    await asyncio.gather(*(one() for _ in range(connections)))


class Ledger:
    """What was asked for and what was acknowledged: creates and revokes in turn, until so many were acknowledged."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.acknowledged = 0
        self.expected: dict[str, set[str]] = {}
        self.half = asyncio.Event()

    def note(self, session_id: str, *statuses: str) -> None:
        self.expected[session_id] = set(statuses)

    async def work(self, caller: Caller) -> None:
        try:
            while self.acknowledged < self.wanted:
                created = await caller.create()
                assert created.status == 200
                self.count(created.body["id"], "active")
                self.note(created.body["id"], "active", "revoked")  # it may be done before it is acknowledged
                revoked = await caller.revoke(created.body["id"])
                assert revoked.status == 200
                self.count(created.body["id"], "revoked")
                # every other session stays, so that there are some to lose
                self.count((await caller.create()).body["id"], "active")
        except DIED:
            pass

    def count(self, session_id: str, status: str) -> None:
        self.note(session_id, status)
        self.acknowledged += 1
        if self.acknowledged >= self.wanted // 2:
            self.half.set()


async def test_nothing_acknowledged_is_lost_when_it_is_killed_in_the_middle_of_ten_thousand_changes(db):
    ledger = Ledger(10_000)
    service = Service.start(db)
    working = asyncio.create_task(in_parallel(service, ledger.work))
    await ledger.half.wait()
    service.command.kill()
    await working
    assert 5_000 <= ledger.acknowledged < 10_000
    with service.command, Service(db, service.port).command as command:
        again = service  # the same port and keys
        async with calling(again) as caller:
            kept = await caller.everything()
        lost = {key: wanted for key, wanted in ledger.expected.items() if kept.get(key) not in wanted}
        assert lost == {}
        # what was done and not acknowledged is whole too, and no more than what was on its way
        assert len(kept.keys() - ledger.expected.keys()) <= CONNECTIONS
        await in_parallel(again, ledger.work)
        async with calling(again) as caller:
            kept = await caller.everything()
        assert {key: wanted for key, wanted in ledger.expected.items() if kept.get(key) not in wanted} == {}
        assert ledger.acknowledged >= 10_000
        assert command.process.poll() is None
    assert query(db, "PRAGMA integrity_check") == [("ok",)]
    assert query(db, "SELECT COUNT(*) FROM sessions WHERE client_id NOT IN (SELECT id FROM clients)") == [(0,)]


async def test_two_processes_on_one_file_see_each_others_changes_and_never_fail(db):
    first = Service.start(db)
    second = Service(db, free_port(), "--origin", f"http://127.0.0.1:{first.port}")
    expected: dict[str, str] = {}

    with first.command, second.command:
        assert first.secret_key == second.secret_key

        async def work(here: Service, there: Service) -> None:
            async with calling(here) as caller, calling(there) as other:
                for _ in range(40):
                    created = await caller.create()
                    assert created.status == 200
                    assert (await other.ask("GET", f"/v1/sessions/{created.body['id']}")).body == created.body
                    expected[created.body["id"]] = "active"
                    if len(expected) % 2:
                        assert (await other.revoke(created.body["id"])).body["status"] == "revoked"
                        expected[created.body["id"]] = "revoked"

        pairs = [(first, second), (second, first)] * 5
        await asyncio.gather(*(work(here, there) for here, there in pairs))
        for service in (first, second):
            async with calling(service) as caller:
                assert await caller.everything() == expected


async def test_a_full_disk_is_503_and_half_of_nothing_is_written(db):
    with (service := Service.start(db)).command:
        created: set[str] = set()
        async with calling(service) as caller:
            created.add((await caller.create()).body["id"])
            log = db.with_name("authority.db-wal")
            service.limit_files(max(log.stat().st_size, db.stat().st_size) + 30_000)
            refused = 0
            for _ in range(300):
                answer = await caller.create()
                if answer.status == 200:
                    created.add(answer.body["id"])
                    continue
                refused += 1
                assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "service_unavailable", "1")
                assert answer.body["errors"][0].keys() >= {"message", "long_message", "code"}
            assert refused > 100
            assert set(await caller.everything()) == created
            assert (await caller.ask("GET", "/healthz")).status == 200

            service.limit_files(2**40)
            for _ in range(20):
                answer = await caller.create()
                assert answer.status == 200
                created.add(answer.body["id"])
            assert set(await caller.everything()) == created
    assert query(db, "PRAGMA integrity_check") == [("ok",)]
    assert query(db, "SELECT COUNT(*) FROM clients WHERE id NOT IN (SELECT client_id FROM sessions)") == [(0,)]


async def test_a_locked_file_is_503_for_changes_and_holds_up_nobody_else(db):
    with (service := Service.start(db)).command:
        async with calling(service) as caller:
            session_id = (await caller.create()).body["id"]
            assert (await caller.ask("POST", f"/v1/sessions/{session_id}/tokens")).status == 200
        locker = sqlite3.connect(db, isolation_level=None)
        locker.execute("UPDATE roles SET name = name")  # so that the service has something to read again
        locker.execute("BEGIN IMMEDIATE")
        answers = []

        async def work(caller: Caller) -> None:
            answers.append(await caller.create())

        started = time.monotonic()
        changing = asyncio.create_task(in_parallel(service, work, connections=40))
        async with calling(service) as caller:
            for path in ("/healthz", f"/v1/sessions/{session_id}", "/v1/sessions", "/v1/jwks"):
                assert (await caller.ask("GET", path)).status == 200
            assert (await caller.ask("POST", f"/v1/sessions/{session_id}/tokens")).status == 200
            await changing
            # forty that wait one after the other, each for a quarter of a second, would be ten
            assert time.monotonic() - started < 5
            told = {(answer.status, answer.code, answer.headers["retry-after"]) for answer in answers}
            assert told == {(503, "service_unavailable", "1")}

            locker.execute("ROLLBACK")
            locker.close()
            assert (await caller.create()).status == 200
            assert len(await caller.everything()) == 2
