"""What a request is called, what it may expect, and how many there may be at once."""

import asyncio
from dataclasses import replace

import pytest

from gateway.core.reasons import Reason
from gateway.surfaces.opening import _forwarded
from tests.attacks.attack_kit import TRUSTED, Target, token
from tests.surfaces.proxy_kit import HOST, LIMITS, proxied
from tests.upstream.upstream_kit import until

UUID = "0b0c6f1e-7a1c-4e0e-9d3a-3f7d1d7f0a11"


def told(target: Target, *names: str, source: str = TRUSTED) -> str:
    """The one name that upstream and client are told of a request that came with these."""
    reply = target.get("/health/named", *(("X-Request-Id", name) for name in names), source=source)
    (name,) = target.upstream.requests[-1].values("x-request-id")
    assert reply.values("x-request-id") == [name]
    return name


def test_a_request_keeps_the_name_that_a_trusted_proxy_gave_it(proxy: Target) -> None:
    assert told(proxy, UUID) == UUID
    proxy.log.wait_for(f"id={UUID}")


@pytest.mark.parametrize(
    ("names", "source"),
    [
        ((UUID,), "127.0.0.1"),
        ((UUID, UUID), TRUSTED),
        (("a b",), TRUSTED),
        (("a" * 129,), TRUSTED),
        (("\x1b[31m",), TRUSTED),
        (("${jndi:x}",), TRUSTED),
        (("\xe9",), TRUSTED),
        (("",), TRUSTED),
        ((), TRUSTED),
    ],
)
def test_any_other_request_gets_a_name_of_ours(proxy: Target, names: tuple[str, ...], source: str) -> None:
    if "\x1b" in "".join(names):
        assert proxy.get("/health", ("X-Request-Id", names[0]), source=source).status == 400
        return
    first, second = told(proxy, *names, source=source), told(proxy, *names, source=source)
    assert first != second
    assert {first, second}.isdisjoint(names)
    assert first.isalnum()


def test_a_refused_request_is_told_its_name_too(proxy: Target) -> None:
    (name,) = proxy.get("/").values("x-request-id")
    proxy.log.wait_for(f"session-token-and-uat-missing.*id={name}")


def test_the_name_that_an_upstream_gives_does_not_come_back(proxy: Target) -> None:
    proxy.upstream.answers["/health/echo"] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Request-Id: theirs\r\n\r\n"
    (name,) = proxy.get("/health/echo").values("x-request-id")
    assert name != "theirs"


@pytest.mark.parametrize("value", ["foo", "100-continue, foo", "200-ok", "100-continue;a=b"])
def test_what_is_not_done_here_cannot_be_expected(proxy: Target, value: str) -> None:
    before = proxy.count
    reply = proxy.get("/", ("Expect", value), bearer=token())
    assert (reply.status, b"expectation-failed" in reply.body) == (417, True)
    assert proxy.arrived(before) == []


@pytest.mark.parametrize("name", ["Content_Length", "Transfer_Encoding", "content.length", "Proxy_Connection"])
def test_no_other_spelling_of_framing_goes_on(proxy: Target, name: str) -> None:
    proxy.get("/health/spelled", (name, "5"))
    assert proxy.upstream.requests[-1].cgi().keys().isdisjoint({"CONTENT_LENGTH", "TRANSFER_ENCODING"})
    assert proxy.upstream.requests[-1].cgi().keys().isdisjoint({"PROXY_CONNECTION"})


@pytest.mark.parametrize(
    ("client", "node"), [("127.0.0.1", b"for=127.0.0.1"), ("2001:db8::1", b'for="[2001:db8::1]"'), ("", b"for=unknown")]
)
def test_the_standard_header_is_written_as_its_rfc_has_it(client: str, node: bytes) -> None:
    headers = dict(_forwarded(client, "https", "a.example:8443", True))
    assert headers[b"forwarded"] == node + b';host="a.example:8443";proto=https'


async def test_a_clients_own_is_replaced_by_it_where_it_is_wanted() -> None:
    async with proxied() as world:
        await world.ask(b"/public", b"Forwarded: for=10.0.0.1;host=evil\r\n")
        assert world.got(b"forwarded") == []
        world.proxy._openings._has_forwarded = True
        await world.ask(b"/public", b"Forwarded: for=10.0.0.1;host=evil\r\n")
        assert world.got(b"forwarded") == [b'for=127.0.0.1;host="app.example.test";proto=http']


async def test_what_comes_on_top_of_too_many_requests_is_refused_early_and_health_is_told() -> None:
    async def silent(served, reader, writer):
        await served.request(reader)
        await reader.read()

    async with proxied(silent, replace(LIMITS, first_byte_s=30, connections=64)) as world:
        world.proxy.max_requests = 5
        waiting = [await world.connect() for _ in range(5)]
        for wire in waiting:
            wire.send(b"GET /public HTTP/1.1\r\n" + HOST + b"\r\n")
        await until(lambda: len(world.served.requests) == 5)
        refused = await asyncio.gather(*(world.ask(b"/public") for _ in range(20)))
        assert {(answer.status, answer["retry-after"]) for answer in refused} == {(503, "5")}
        assert all(Reason.GATEWAY_OVERLOADED.encode() in answer.body for answer in refused)
        assert (await world.ask(b"/.gateway/healthz")).status == 200
        assert len(world.served.requests) == 5
        for wire in waiting:
            wire.writer.close()
        await until(lambda: world.pool.in_use == 0)
        again = await world.connect()
        again.send(b"GET /public HTTP/1.1\r\n" + HOST + b"\r\n")
        await until(lambda: len(world.served.requests) == 6)
        again.writer.close()
