"""Upstreams that fail and clients that vanish, many of each: the stated answer, and not a connection or file leaked."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.upstream_faults import FAULTS, LEAVINGS, ask, leave, path_of, serve
from tests.surfaces.proxy_kit import LIMITS, World, proxied
from tests.upstream.upstream_kit import until

AT_ONCE, TIMES = 25, 100
PATIENT = replace(LIMITS, connections=64, first_byte_s=20, idle_s=20)
HASTY = replace(LIMITS, connections=64)


async def script(served: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await serve(reader, writer)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def settled(world: World, files: int) -> None:
    """Wait until nothing is in use and what is open is what was open, but for a few kept connections (both ends)."""
    await until(lambda: world.pool.in_use == 0)
    await until(lambda: open_files() <= files + 2 * world.pool.idle + 4)


async def many(one: object, times: int) -> None:
    assert callable(one)
    for _ in range(times // AT_ONCE):
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))


@pytest.mark.parametrize("name", FAULTS)
async def test_an_upstream_that_fails_is_answered_for_and_leaks_nothing(name: str) -> None:
    fault = FAULTS[name]
    async with proxied(script, HASTY if fault.is_slow else PATIENT) as world:
        files, answers = open_files(), []

        async def one() -> None:
            answers.append(await ask(world.port, path_of(name)))

        await many(one, AT_ONCE if fault.is_slow or name == "sends much" else TIMES)
        await settled(world, files)
        heads = {answer.partition(b"\r\n")[0].split(b" ")[1] for answer in answers}
        reasons = {entry.reason for entry in world.journal.entries}
        assert (heads, reasons) == ({b"%d" % fault.status}, {fault.reason})
        assert world.pool.idle == 0 or (fault.stays and not fault.in_upload)
        assert not any(b"evil" in answer or b"early hints" in answer.lower() for answer in answers)
        assert b"200 OK" in await ask(world.port, path_of("ok"))


@pytest.mark.parametrize("name", LEAVINGS)
async def test_a_client_that_vanishes_leaks_nothing(name: str) -> None:
    async with proxied(script, PATIENT) as world:
        files = open_files()
        await many(lambda: leave(world.port, name), AT_ONCE * 2)
        await settled(world, files)
        assert b"200 OK" in await ask(world.port, path_of("ok"))


async def test_an_answer_before_the_end_of_the_request_is_passed_on_and_costs_the_connection() -> None:
    head = b"POST /public/ok HTTP/1.1\r\nHost: app.example.test\r\nContent-Length: 1000000\r\n\r\n"
    async with proxied(script, PATIENT) as world:
        files = open_files()

        async def one() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            writer.write(head + b"a" * 1000)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.close()

        await many(one, TIMES)
        await settled(world, files)
        assert world.pool.idle == 0
