"""A piece of a body goes into a socket at once, or not at all, or in part with the rest behind it."""

import asyncio
import os
import socket

import pytest

from gateway.passing import write_at_once

HUGE = memoryview(bytearray(32 * 1024 * 1024))


@pytest.fixture
async def pair():
    """A transport, its protocol, and the socket at its other end, which reads nothing by itself."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    yield transport, theirs
    transport.abort()
    theirs.close()


async def read(theirs, size):
    got = bytearray()
    async with asyncio.timeout(20):
        while len(got) < size:
            got += await asyncio.get_running_loop().sock_recv(theirs, 1024 * 1024)
    return got


async def test_what_there_is_room_for_is_there_at_once(pair):
    transport, theirs = pair
    assert write_at_once(transport, memoryview(b"hello"))
    assert theirs.recv(9) == b"hello"


async def test_what_there_is_no_room_for_follows_and_the_buffer_may_be_used_again(pair):
    transport, theirs = pair
    buffer = bytearray(os.urandom(1024)) * (8 * 1024)
    sent = bytes(buffer)
    assert write_at_once(transport, memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert transport.get_write_buffer_size() > 0
    assert not write_at_once(transport, memoryview(b"out of turn"))
    assert await read(theirs, len(sent)) == sent


async def test_nothing_is_taken_where_there_is_no_room_at_all(pair):
    transport, theirs = pair
    size = 0
    while True:
        try:
            size += os.write(transport.get_extra_info("socket").fileno(), HUGE)
        except BlockingIOError:
            break
    assert not write_at_once(transport, memoryview(b"more"))
    assert transport.get_write_buffer_size() == 0
    await read(theirs, size)
    assert write_at_once(transport, memoryview(b"more"))


async def test_nothing_is_taken_where_nobody_reads_any_more(pair):
    transport, theirs = pair
    theirs.close()
    assert not write_at_once(transport, memoryview(b"hello"))
    transport.abort()
    assert not write_at_once(transport, memoryview(b"hello"))
