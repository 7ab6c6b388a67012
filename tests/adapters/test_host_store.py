"""The store of one host: what every store does, and what a file may suffer."""

import asyncio
import multiprocessing
import os
import sqlite3
import stat
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.host_store import FILE_NAME, MAX_BYTES, HostStore, _opened, folder_for_workers
from gateway.errors import StoreUnavailable
from gateway.ports import AnswerStore
from tests.adapters.store_suite import KEY, LEASE_S, OURS, THEIRS, MemoryStore, StoreSuite, answered
from tests.authenticator.engine_kit import Clock

Step = tuple[str, bytes, bytes, int]


class Memory:
    """The fake: it has to pass what it stands for."""

    short_s = 5.0

    def __init__(self) -> None:
        self._rows, self._clock = {}, Clock()

    def open(self) -> AnswerStore:
        return MemoryStore(self._rows, self._clock)

    async def pass_short(self) -> None:
        self._clock.advance(5.0)


class Folder:
    """Stores over one folder, with one clock."""

    short_s = 5.0

    def __init__(self, path: Path) -> None:
        path.chmod(0o700)
        self.path, self.clock, self._opened = path, Clock(), []

    def open(self, timeout_s: float = 20.0) -> HostStore:
        """With a time-out that a busy machine does not exceed."""
        self._opened.append(HostStore(self.path, self.clock, timeout_s=timeout_s))
        return self._opened[-1]

    async def pass_short(self) -> None:
        self.clock.advance(5.0)

    async def close(self) -> None:
        for store in self._opened:
            await store.close()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.path / FILE_NAME)
        found = connection.execute(sql).fetchall()
        connection.commit()
        connection.close()
        return found


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Folder]:
    made = Folder(tmp_path)
    yield made
    await made.close()


class TestMemory(StoreSuite):
    @pytest.fixture
    def stage(self) -> Memory:
        return Memory()


class TestHost(StoreSuite):
    @pytest.fixture
    def stage(self, folder: Folder) -> Folder:
        return folder


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "settle", "release", "wait"]),
        st.sampled_from([b"k1", b"k2"]),
        st.sampled_from([b"h1", b"h2", b"h3"]),
        st.integers(1, 4),
    ),
    max_size=30,
)


async def take(store: AnswerStore, step: str, key: bytes, holder: bytes, seconds: int) -> object:
    match step:
        case "claim":
            return await store.claim(key, holder, seconds)
        case "settle":
            return await store.settle(key, holder, b"of " + holder, seconds)
        case _:
            return await store.release(key, holder)


@given(steps=STEPS)
def test_whatever_is_done_it_says_what_the_fake_says(tmp_path_factory: pytest.TempPathFactory, steps: list[Step]):
    clock = Clock()
    store, fake = HostStore(tmp_path_factory.mktemp("store"), clock, timeout_s=20.0), MemoryStore({}, clock)

    async def check() -> None:
        for step, key, holder, seconds in steps:
            if step == "wait":
                clock.advance(seconds)
            else:
                assert await take(store, step, key, holder, seconds) == await take(fake, step, key, holder, seconds)
        await store.close()

    asyncio.run(check())


async def test_what_is_over_is_deleted_on_the_way(folder: Folder):
    store = folder.open()
    for turn in range(50):
        await store.claim(str(turn).encode(), b"first", 5.0)
    folder.clock.advance(5.0)
    assert await store.claim(KEY, b"first", LEASE_S) == OURS
    assert folder.rows("SELECT key FROM answers") == [(KEY,)]


async def test_the_file_is_bounded_and_goes_on_once_there_is_room(folder: Folder):
    store = folder.open()
    answer = os.urandom(MAX_BYTES)

    async def fill() -> None:
        for turn in range(2000):
            await store.claim(b"%d" % turn, b"first", LEASE_S)
            await store.settle(b"%d" % turn, b"first", answer, LEASE_S)

    with pytest.raises(StoreUnavailable, match="full"):
        await fill()
    folder.clock.advance(LEASE_S)
    assert await store.claim(KEY, b"first", LEASE_S) == OURS


async def test_an_answer_beyond_the_bound_is_not_left(folder: Folder):
    store = folder.open()
    await store.claim(KEY, b"first", LEASE_S)
    with pytest.raises(StoreUnavailable, match="65537 bytes"):
        await store.settle(KEY, b"first", bytes(MAX_BYTES + 1), LEASE_S)


async def test_nobody_else_may_read_what_is_written(folder: Folder):
    await folder.open().claim(KEY, b"first", LEASE_S)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.path.iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
async def test_a_folder_that_others_may_look_into_is_not_used(folder: Folder, mode: int):
    folder.path.chmod(mode)
    with pytest.raises(StoreUnavailable, match="not the gateway's own; chmod 700"):
        await folder.open().claim(KEY, b"first", LEASE_S)


async def test_a_folder_that_is_gone_is_an_error(folder: Folder):
    folder.path.rmdir()
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        await folder.open().claim(KEY, b"first", LEASE_S)
    folder.path.mkdir()


async def test_a_file_of_something_else_is_an_error_until_it_is_gone(folder: Folder):
    file, store = folder.path / FILE_NAME, folder.open()
    file.write_bytes(b"no database" * 1000)
    for call in (store.claim(KEY, b"a", LEASE_S), store.settle(KEY, b"a", b"", LEASE_S), store.release(KEY, b"a")):
        with pytest.raises(StoreUnavailable, match="cannot be used"):
            await call
    file.unlink()
    assert await store.claim(KEY, b"first", LEASE_S) == OURS


async def test_a_symbolic_link_is_not_followed(folder: Folder, tmp_path_factory: pytest.TempPathFactory):
    (folder.path / FILE_NAME).symlink_to(tmp_path_factory.mktemp("elsewhere") / "file")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        await folder.open().claim(KEY, b"first", LEASE_S)


async def test_a_process_that_holds_the_file_is_not_waited_for_too_long(folder: Folder):
    await folder.open().claim(b"other", b"first", LEASE_S)
    blocker = sqlite3.connect(folder.path / FILE_NAME, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await folder.open().claim(KEY, b"first", LEASE_S)
    with pytest.raises(StoreUnavailable, match="not free in time"):
        await folder.open(timeout_s=0.01).claim(KEY, b"first", LEASE_S)
    # Who waits for an answer only looks, and looking goes on.
    assert await folder.open().claim(b"other", b"second", LEASE_S) == THEIRS
    blocker.execute("ROLLBACK")
    blocker.close()
    assert await folder.open().claim(KEY, b"first", LEASE_S) in {OURS, THEIRS}


async def test_a_file_that_cannot_be_opened_for_long_is_an_error(folder: Folder):
    blocker = sqlite3.connect(folder.path / FILE_NAME, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await folder.open().claim(KEY, b"first", LEASE_S)
    blocker.close()


def test_many_open_a_new_file_at_once(tmp_path: Path):
    tmp_path.chmod(0o700)
    for turn in range(20):
        path = tmp_path / str(turn)
        path.mkdir(0o700)
        with ThreadPoolExecutor(8) as pool:
            for connection in pool.map(_opened, [path] * 8):
                connection.close()


async def test_a_closed_store_says_so(folder: Folder):
    store = folder.open()
    await store.close()
    with pytest.raises(StoreUnavailable, match="was closed"):
        await store.claim(KEY, b"first", LEASE_S)


def claim_alone(path: Path, holder: bytes) -> list[bool]:
    """In a process of its own: open and claim at once."""

    async def claim() -> bool:
        store = HostStore(path, timeout_s=20.0)
        claims = [await store.claim(b"%d" % turn, holder, LEASE_S) for turn in range(50)]
        await store.close()
        return [claim.is_ours for claim in claims]

    return asyncio.run(claim())


def test_of_several_processes_that_start_at_once_one_has_each_work():
    # Its processes end by themselves; a multiprocessing.Pool would end them by a signal that coverage handles.
    spawn = multiprocessing.get_context("spawn")
    with folder_for_workers() as path, ProcessPoolExecutor(4, mp_context=spawn) as pool:
        results = list(pool.map(claim_alone, [path] * 8, [b"%d" % number for number in range(8)]))
    assert [sum(each) for each in zip(*results, strict=True)] == [1] * 50


def test_the_folder_of_the_workers_is_private_and_gone_at_the_end():
    with folder_for_workers() as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert (path / FILE_NAME).exists()
    assert not path.exists()


def test_no_place_for_a_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StoreUnavailable, match="no folder for temporary files"), folder_for_workers():
        pass


async def test_the_answer_of_another_process_is_read(folder: Folder):
    one, other = folder.open(), folder.open()
    await one.claim(KEY, b"first", LEASE_S)
    await one.settle(KEY, b"first", b"answer", LEASE_S)
    assert await other.claim(KEY, b"second", LEASE_S) == answered(b"answer")
