"""The client against a real server that misbehaves: every fault is one of our errors, soon, and bounded."""

import asyncio
import json
import socket
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.errors import ApiFailed, ApiUnreachable
from gateway.sessions import SessionsClient
from tests.sessions.sessions_kit import KEY, SESSION, SESSION_ID, Naps, http_bytes, raw, serving

GOOD = json.dumps(SESSION).encode()
TRADE = {"expired_token": "ey", "refresh_token": "r", "request_origin": "https://a.example", "request_headers": {}}


def once(api_url: str, timeout_s: float = 10.0) -> SessionsClient:
    return SessionsClient(KEY, api_url=api_url, timeout_s=timeout_s, backoff=Naps(attempts=1).backoff)


async def fault_of(script, timeout_s: float = 10.0):
    async with serving(script) as api_url, once(api_url, timeout_s) as client:
        with pytest.raises((ApiFailed, ApiUnreachable)) as caught:
            await client.get(SESSION_ID)
    return caught.value


async def drip(reader, writer):
    """Stays below every time-out of a single read."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(http_bytes(b"", length=1000))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silence(reader, writer):
    await reader.read()


async def flood(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def test_a_good_answer_arrives_over_a_real_connection():
    async with serving(raw(http_bytes(GOOD))) as api_url, once(api_url) as client:
        assert (await client.get(SESSION_ID)).id == SESSION_ID


async def test_a_dead_port_is_no_connection():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with once(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(ApiUnreachable) as caught:
            await client.get(SESSION_ID)
    assert caught.value.cause == "connect"


async def test_a_name_that_does_not_exist_is_a_dns_failure():
    async with once("http://nowhere.invalid") as client:
        with pytest.raises(ApiUnreachable) as caught:
            await client.get(SESSION_ID)
    assert caught.value.cause == "dns"


async def plain_http(reader, writer):
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    await reader.read()


async def test_a_server_without_tls_is_a_tls_failure():
    async with serving(plain_http) as api_url, once(api_url.replace("http:", "https:")) as client:
        with pytest.raises(ApiUnreachable, match="no TLS connection") as caught:
            await client.get(SESSION_ID)
    assert caught.value.cause == "tls"


@pytest.fixture
def self_signed(tmp_path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.now(UTC) - timedelta(hours=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_a_tls_failure_and_is_not_tried_again(self_signed):
    naps = Naps()
    async with (
        serving(silence, self_signed) as api_url,
        SessionsClient(KEY, api_url=api_url.replace("http:", "https:"), backoff=naps.backoff) as client,
    ):
        with pytest.raises(ApiUnreachable, match="certificate is not accepted") as caught:
            await client.get(SESSION_ID)
    assert caught.value.cause == "tls"
    assert naps.waits_s == []


@pytest.mark.parametrize("script", [silence, drip])
async def test_a_slow_or_dripping_answer_ends_with_the_timeout(script):
    started = asyncio.get_running_loop().time()
    fault = await fault_of(script, timeout_s=0.2)
    assert isinstance(fault, ApiUnreachable)
    assert fault.cause == "timeout"
    assert asyncio.get_running_loop().time() - started < 5


async def test_a_call_may_have_its_own_timeout():
    async with serving(silence) as api_url, once(api_url, timeout_s=60) as client:
        with pytest.raises(ApiUnreachable, match=r"0\.1 s"):
            await client.refresh(SESSION_ID, **TRADE, timeout_s=0.1)
        with pytest.raises(ApiUnreachable, match=r"0\.1 s"):
            await client.handshake_payload("nonce", timeout_s=0.1)


async def test_cancelling_the_caller_cancels_the_call():
    async with serving(silence) as api_url, once(api_url) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.get(SESSION_ID)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"this is not HTTP\r\n\r\n",
        http_bytes(GOOD[:-5], length=len(GOOD)),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        http_bytes(GOOD[:-5]),
    ],
)
async def test_a_truncated_or_foreign_answer_is_a_broken_transfer(answer):
    fault = await fault_of(raw(answer))
    assert isinstance(fault, ApiUnreachable)
    assert fault.cause == "protocol"


@pytest.mark.parametrize("script", [flood, raw(http_bytes(b"x" * 10 * 1024 * 1024))])
async def test_an_answer_without_measure_is_cut_off(script):
    fault = await fault_of(script)
    assert isinstance(fault, ApiFailed)
    assert "larger than 1048576 bytes" in str(fault)


async def test_a_redirect_is_not_followed():
    visits = []

    async def elsewhere(reader, writer):
        visits.append(await reader.read())

    async with serving(elsewhere) as other:
        head = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {other}/\r\nContent-Length: 0\r\n\r\n"
        fault = await fault_of(raw(head.encode()))
    assert isinstance(fault, ApiFailed)
    assert fault.status == 307
    assert visits == []


@pytest.mark.parametrize(
    "answer",
    [
        http_bytes(b"<html>Sign in to the Wi-Fi</html>", "text/html"),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        http_bytes(b"[]"),
        http_bytes(b"oops", "text/plain", "500 Internal Server Error"),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_an_answer_that_is_not_the_api_s_is_a_failure(answer):
    assert isinstance(await fault_of(raw(answer)), ApiFailed)


async def test_a_charset_parameter_does_no_harm():
    async with serving(raw(http_bytes(GOOD, "application/json; charset=utf-8"))) as api_url, once(api_url) as client:
        assert (await client.get(SESSION_ID)).id == SESSION_ID


async def test_the_next_call_works_after_every_kind_of_break():
    answers = [b"", http_bytes(GOOD[:5], length=99), b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", http_bytes(GOOD)]

    async def script(reader, writer):
        await raw(answers.pop(0))(reader, writer)

    naps = Naps(attempts=4)
    async with serving(script) as api_url, SessionsClient(KEY, api_url=api_url, backoff=naps.backoff) as client:
        assert (await client.get(SESSION_ID)).id == SESSION_ID
    assert len(naps.waits_s) == 3


async def test_many_callers_share_one_client():
    async with serving(raw(http_bytes(GOOD))) as api_url, once(api_url) as client:
        found = await asyncio.gather(*(client.get(SESSION_ID) for _ in range(50)))
    assert {item.id for item in found} == {SESSION_ID}
