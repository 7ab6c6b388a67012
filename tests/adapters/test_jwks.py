"""The key source: one load for all who wait, old keys through an outage, and a reason for each way of failing."""

import asyncio
import datetime
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.adapters.jwks import (
    DEFAULTS,
    EARLY_S,
    LIFETIME_S,
    MAX_UNKNOWN,
    RETRY_S,
    UNKNOWN_COOL_DOWNS,
    PinnedKeys,
    RemoteKeys,
)
from gateway.adapters.key_file import KeyFile
from gateway.adapters.key_load import public_jwks, unavailable
from gateway.authority import Authority, AuthorityConfig
from gateway.core.keys import KeyMaterialError, KeySet, key_set
from gateway.core.reasons import Reason
from gateway.core.secret import Secret
from gateway.core.settings_model import KeysSettings
from gateway.errors import ApiErrorItem, ApiFailed, ApiRefused, ApiUnreachable, KeysUnavailable
from gateway.sessions import SessionsClient
from tests.authenticator.engine_kit import KEY as INSTANCE
from tests.authenticator.engine_kit import Clock, jwks, settle, signer
from tests.sessions.sessions_kit import KEY, Naps, http_bytes, raw, serving

COOL_DOWN_S, STALE_S = DEFAULTS.cool_down_s, DEFAULTS.stale_s


class Source:
    """Answers with a document or an exception; waits for ``gate`` where there is one. Counts."""

    def __init__(self, document: object, gate: asyncio.Event | None = None) -> None:
        self.document = document
        self.gate = gate
        self.loads = 0

    async def __call__(self) -> object:
        self.loads += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.document, Exception):
            raise self.document
        return self.document


class Setting:
    """A key source with its surroundings."""

    def __init__(
        self,
        document: object,
        gate: asyncio.Event | None = None,
        *,
        chance: float = 1.0,
        file: KeyFile | None = None,
        settings: KeysSettings = DEFAULTS,
    ) -> None:
        self.clock = Clock()
        self.source = Source(document, gate)
        self.losses = 0
        self.keys = RemoteKeys(
            self.source, self._lost, self.clock, settings=settings, file=file, timeout_s=30, chance=lambda: chance
        )

    def _lost(self) -> None:
        self.losses += 1

    async def loaded(self) -> "Setting":
        assert (await self.keys.warm()).is_ready
        return self

    async def fails(self, document: object = ApiUnreachable("connect", "refused")) -> None:
        """From now on the source fails, and one request has noticed."""
        self.source.document = document
        self.clock.advance(LIFETIME_S + 1)
        await self.keys.find("key_1")


async def reason_of(keys: RemoteKeys, kid: str = "key_1") -> str:
    with pytest.raises(KeysUnavailable) as caught:
        await keys.find(kid)
    return caught.value.reason


# Loading


async def test_nothing_is_loaded_before_a_key_is_asked_for():
    setting = Setting(jwks("key_1"))
    assert setting.keys.cached("key_1") is None
    assert (setting.source.loads, setting.keys.status().is_ready) == (0, False)


async def test_a_cold_start_with_many_parallel_requests_makes_one_load():
    setting = Setting(jwks("key_1"), asyncio.Event())
    waiting = [asyncio.create_task(setting.keys.find("key_1")) for _ in range(500)]
    await settle()
    setting.source.gate.set()
    found = await asyncio.gather(*waiting)
    assert {key.kid for key in found} == {"key_1"}
    assert setting.source.loads == 1
    assert setting.keys.cached("key_1") is found[0]


async def test_a_client_that_leaves_does_not_stop_the_load_for_the_others():
    setting = Setting(jwks("key_1"), asyncio.Event())
    leaving, staying = (asyncio.create_task(setting.keys.find("key_1")) for _ in range(2))
    await settle()
    leaving.cancel()
    await settle()
    setting.source.gate.set()
    assert (await staying).kid == "key_1"
    assert leaving.cancelled()


async def test_a_fresh_key_is_at_hand_without_another_load():
    setting = await Setting(jwks("key_1")).loaded()
    setting.clock.advance(LIFETIME_S - EARLY_S)
    assert setting.keys.cached("key_1").kid == "key_1"
    await settle()
    assert setting.source.loads == 1


async def test_shortly_before_its_end_the_set_is_loaded_in_the_background_and_nobody_waits():
    setting = await Setting(jwks("key_1")).loaded()
    setting.clock.advance(LIFETIME_S - EARLY_S + 1)
    for _ in range(3):
        assert setting.keys.cached("key_1").kid == "key_1"
    await settle()
    assert setting.source.loads == 2
    setting.clock.advance(LIFETIME_S - EARLY_S)
    assert setting.keys.cached("key_1").kid == "key_1"


async def test_early_loads_that_fail_are_cooled_down():
    setting = await Setting(jwks("key_1")).loaded()
    setting.source.document = ApiUnreachable("connect", "refused")
    setting.clock.advance(LIFETIME_S - EARLY_S + 1)
    for _ in range(5):
        setting.keys.cached("key_1")
        await settle()
    assert setting.source.loads == 2
    setting.clock.advance(COOL_DOWN_S + 1)
    setting.keys.cached("key_1")
    await settle()
    assert setting.source.loads == 3


async def test_after_its_end_the_set_is_loaded_before_a_key_of_it_is_used():
    setting = await Setting(jwks("key_1", "key_2")).loaded()
    setting.source.document = jwks("key_2")
    setting.clock.advance(LIFETIME_S + 1)
    assert setting.keys.cached("key_1") is None
    assert await setting.keys.find("key_1") is None


# Keys that come and go


async def test_a_key_that_vanished_is_refused_after_the_reload_and_the_caller_is_told():
    setting = await Setting(jwks("key_1", "key_2")).loaded()
    assert setting.losses == 0
    setting.source.document = jwks("key_2")
    setting.clock.advance(LIFETIME_S - EARLY_S + 1)
    setting.keys.cached("key_1")
    await settle()
    assert setting.losses == 1
    assert setting.keys.cached("key_1") is None
    assert await setting.keys.find("key_1") is None
    assert setting.keys.cached("key_2").kid == "key_2"


async def test_a_reload_that_brings_the_same_set_changes_nothing():
    setting = await Setting(jwks("key_1")).loaded()
    before = setting.keys.cached("key_1")
    setting.clock.advance(LIFETIME_S + 1)
    assert await setting.keys.find("key_1") is before
    assert (setting.source.loads, setting.losses) == (2, 0)


@pytest.mark.parametrize("changed", [{"alg": "RS512"}, {"n": signer("key_2").to_jwk()["n"]}], ids=["algorithm", "key"])
async def test_another_key_or_algorithm_under_the_same_id_is_a_change(changed):
    setting = await Setting(jwks("key_1")).loaded()
    setting.source.document = {"keys": [signer("key_1").to_jwk() | changed]}
    setting.clock.advance(LIFETIME_S + 1)
    await setting.keys.find("key_1")
    assert setting.losses == 1


async def test_a_new_key_is_found_by_one_load_as_soon_as_the_cool_down_is_over():
    setting = await Setting(jwks("key_1")).loaded()
    setting.source.document = jwks("key_1", "key_2")
    assert await setting.keys.find("key_2") is None
    setting.clock.advance(COOL_DOWN_S)
    assert (await setting.keys.find("key_2")).kid == "key_2"
    assert setting.source.loads == 2


async def test_a_flood_of_unknown_ids_causes_one_load_for_each_cool_down():
    setting = await Setting(jwks("key_1")).loaded()
    for second in range(31):
        for number in range(30):
            assert await setting.keys.find(f"random_{second}_{number}") is None
            assert setting.keys.cached("key_1") is not None
        setting.clock.advance(1)
    assert setting.source.loads == 1 + 3


async def test_parallel_unknown_ids_share_one_load():
    setting = await Setting(jwks("key_1")).loaded()
    setting.clock.advance(COOL_DOWN_S)
    found = await asyncio.gather(*(setting.keys.find(f"random_{number}") for number in range(100)))
    assert set(found) == {None}
    assert setting.source.loads == 2


# Unknown ids


async def test_an_id_that_a_load_did_not_bring_causes_fewer_loads_than_new_ids_do():
    setting = await Setting(jwks("key_1")).loaded()
    for _ in range(int(COOL_DOWN_S * UNKNOWN_COOL_DOWNS)):
        setting.clock.advance(1)
        assert await setting.keys.find("gone") is None
    assert setting.source.loads == 2
    assert await setting.keys.find("another") is None
    assert setting.source.loads == 3


async def test_an_unknown_id_is_found_as_soon_as_any_load_brings_it():
    setting = await Setting(jwks("key_1")).loaded()
    setting.clock.advance(COOL_DOWN_S)
    assert await setting.keys.find("key_2") is None
    setting.source.document = jwks("key_1", "key_2")
    setting.clock.advance(COOL_DOWN_S)
    await setting.keys.find("another")
    assert (await setting.keys.find("key_2")).kid == "key_2"


async def test_unknown_ids_are_remembered_as_digests_and_in_a_bounded_number():
    setting = await Setting(jwks("key_1")).loaded()
    setting.clock.advance(COOL_DOWN_S)
    await asyncio.gather(*(setting.keys.find(f"{number}" + "x" * 6000) for number in range(MAX_UNKNOWN + 500)))
    assert len(setting.keys._unknown) == MAX_UNKNOWN
    assert {len(digest) for digest in setting.keys._unknown} == {16}


async def test_the_cool_down_is_a_setting():
    setting = await Setting(jwks("key_1"), settings=KeysSettings(cool_down_s=100)).loaded()
    for number in range(99):
        setting.clock.advance(1)
        await setting.keys.find(f"random_{number}")
    assert setting.source.loads == 1
    setting.clock.advance(1)
    await setting.keys.find("random")
    assert setting.source.loads == 2


# Chance


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
async def test_workers_that_started_together_do_not_ask_together(chance):
    setting = Setting(jwks("key_1"), chance=chance)
    await setting.loaded()
    early_s = EARLY_S * (0.5 + chance / 2)
    setting.clock.advance(LIFETIME_S - early_s)
    setting.keys.cached("key_1")
    await settle()
    assert setting.source.loads == 1
    setting.clock.advance(1)
    setting.keys.cached("key_1")
    await settle()
    assert setting.source.loads == 2


# The file


class Folder:
    """Where key sources of one instance keep their file, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path / "keys.json"
        self.wall = Clock()

    def file(self) -> KeyFile:
        return KeyFile(self.path, INSTANCE.value, STALE_S, self.wall)

    async def run(self, *kids: str) -> None:
        """A gateway that loaded a set and stopped."""
        setting = await Setting(jwks(*kids), file=self.file()).loaded()
        await setting.keys.close()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def test_a_start_during_an_outage_verifies_with_the_keys_of_the_file(folder: Folder):
    await folder.run("key_1")
    folder.wall.advance(600)
    setting = Setting(ApiUnreachable("connect", "refused"), file=folder.file())
    for _ in range(3):
        assert (await setting.keys.find("key_1")).kid == "key_1"
        await settle()
    status = setting.keys.status()
    assert (status.state, status.is_stale, status.age_s, status.usable_for_s) == ("from-file", True, 600, STALE_S - 600)
    assert setting.source.loads == 1
    setting.clock.advance(STALE_S - 600 + 1)
    assert await reason_of(setting.keys) == Reason.JWK_REMOTE_UNREACHABLE
    assert setting.keys.status().state == "missing"


async def test_with_keys_of_the_file_nobody_waits_and_the_source_is_asked_at_once(folder: Folder):
    await folder.run("key_1", "key_2")
    setting = Setting(jwks("key_2"), asyncio.Event(), file=folder.file())
    assert setting.keys.cached("key_1") is None
    async with asyncio.timeout(5):
        assert (await setting.keys.find("key_1")).kid == "key_1"
    assert setting.keys.fresh_for_s() == RETRY_S
    setting.source.gate.set()
    await settle()
    assert (setting.source.loads, setting.losses) == (1, 1)
    assert await setting.keys.find("key_1") is None
    assert setting.keys.cached("key_2").kid == "key_2"
    assert setting.keys.status().state == "fresh"
    await setting.keys.close()


async def test_an_id_that_the_file_does_not_have_waits_for_the_source(folder: Folder):
    await folder.run("key_1")
    down = Setting(ApiUnreachable("dns", "unknown"), file=folder.file())
    assert await reason_of(down.keys, "key_2") == Reason.JWK_REMOTE_DNS
    down.source.document = jwks("key_1", "key_2")
    down.clock.advance(RETRY_S)
    assert (await down.keys.find("key_2")).kid == "key_2"
    await down.keys.close()


async def test_readiness_asks_the_source_while_the_keys_are_of_the_file(folder: Folder):
    await folder.run("key_1")
    setting = Setting(jwks("key_1"), file=folder.file())
    assert (await setting.keys.warm()).state == "from-file"
    await settle()
    assert (await setting.keys.warm()).state == "fresh"
    assert setting.source.loads == 1
    await setting.keys.close()


async def test_nobody_waits_for_the_disk():
    class Slow(KeyFile):
        def __init__(self) -> None:
            self.gate = asyncio.Event()
            self.kept: list[list[str]] = []

        def read(self) -> None:
            return None

        async def keep(self, keys: KeySet) -> None:
            self.kept.append(sorted(keys))
            await self.gate.wait()

    file = Slow()
    setting = Setting(jwks("key_1"), file=file)
    async with asyncio.timeout(5):
        assert (await setting.keys.find("key_1")).kid == "key_1"
        setting.source.document = jwks("key_2")
        setting.clock.advance(LIFETIME_S + 1)
        assert (await setting.keys.find("key_2")).kid == "key_2"
    await settle()
    assert file.kept == [["key_1"]]
    closing = asyncio.create_task(setting.keys.close())
    await settle()
    assert not closing.done()
    file.gate.set()
    await closing


# The log


async def test_an_outage_and_its_end_are_said_once_each(caplog):
    setting = await Setting(jwks("key_1")).loaded()
    await setting.fails()
    for _ in range(5):
        setting.clock.advance(RETRY_S)
        await setting.keys.find("key_1")
        await settle()
    setting.source.document = jwks("key_1")
    setting.clock.advance(RETRY_S)
    await setting.keys.find("key_1")
    await settle()
    broken, mended = (record.getMessage() for record in caplog.records)
    assert broken.startswith("the keys cannot be loaded: jwk-remote-unreachable: refused; ")
    assert broken.endswith("the set of 301 s ago is used for 3299 s more (keys.stale_s)")
    assert mended == "the keys can be loaded again"


async def test_without_keys_an_outage_says_what_becomes_of_requests(caplog):
    await reason_of(Setting(ApiRefused(401, [ApiErrorItem("clerk_key_invalid", "")])).keys)
    assert "secret-key-invalid: the API refuses instance.secret_key" in caplog.text
    assert "requests that need a session get 503. Correct instance.secret_key, or instance.api_url" in caplog.text


# Outages


async def test_old_keys_serve_through_an_outage_and_no_longer_than_the_limit():
    setting = await Setting(jwks("key_1")).loaded()
    await setting.fails()
    setting.clock.advance(STALE_S - LIFETIME_S - 2)
    assert (await setting.keys.find("key_1")).kid == "key_1"
    assert setting.keys.status().is_stale
    setting.clock.advance(2)
    assert await reason_of(setting.keys) == Reason.JWK_REMOTE_UNREACHABLE
    assert not setting.keys.status().is_ready
    assert setting.losses == 0


async def test_during_an_outage_nobody_with_a_known_key_waits_for_the_network():
    setting = await Setting(jwks("key_1")).loaded()
    await setting.fails()
    setting.source.gate = asyncio.Event()
    setting.clock.advance(COOL_DOWN_S + 1)
    async with asyncio.timeout(5):
        for _ in range(3):
            assert (await setting.keys.find("key_1")).kid == "key_1"
    await settle()
    assert setting.source.loads == 3
    await setting.keys.close()


async def test_an_old_failure_does_not_let_a_removed_key_in_after_an_idle_time():
    setting = await Setting(jwks("key_1", "key_2")).loaded()
    await setting.fails()
    setting.source.document = jwks("key_2")
    setting.clock.advance(EARLY_S + 1)
    found = await asyncio.gather(*(setting.keys.find("key_1") for _ in range(3)))
    assert found == [None, None, None]


async def test_an_unknown_id_during_an_outage_is_not_called_unknown_because_it_might_be_new():
    setting = await Setting(jwks("key_1")).loaded()
    await setting.fails()
    assert await reason_of(setting.keys, "key_2") == Reason.JWK_REMOTE_UNREACHABLE
    setting.source.document = jwks("key_1")
    setting.clock.advance(COOL_DOWN_S)
    assert await setting.keys.find("key_2") is None


async def test_after_an_outage_the_source_is_used_again():
    setting = await Setting(jwks("key_1")).loaded()
    await setting.fails()
    setting.source.document = jwks("key_2")
    setting.clock.advance(COOL_DOWN_S + 1)
    assert (await setting.keys.find("key_2")).kid == "key_2"
    status = setting.keys.status()
    assert (status.is_ready, status.is_stale, status.reason) == (True, False, "")


async def test_without_any_key_a_failure_is_tried_again_after_a_second():
    setting = Setting(ApiUnreachable("connect", "refused"))
    for _ in range(3):
        assert await reason_of(setting.keys) == Reason.JWK_REMOTE_UNREACHABLE
    assert setting.source.loads == 1
    setting.clock.advance(1)
    setting.source.document = jwks("key_1")
    assert (await setting.keys.find("key_1")).kid == "key_1"


@pytest.mark.parametrize("document", [{"keys": []}, {}, [], None, {"keys": [{"kty": "EC"}]}, ApiFailed(200, "HTML")])
async def test_a_source_that_answers_nonsense_does_not_replace_a_good_set(document):
    setting = await Setting(jwks("key_1")).loaded()
    await setting.fails(document)
    assert (await setting.keys.find("key_1")).kid == "key_1"
    assert setting.losses == 0


async def test_a_fault_of_ours_while_loading_is_logged_and_does_not_end_the_loading(caplog):
    setting = Setting(RuntimeError("a fault"))
    assert await reason_of(setting.keys) == Reason.JWK_REMOTE_FAILED_TO_LOAD
    assert "loading the keys failed" in caplog.text
    setting.source.document = jwks("key_1")
    setting.clock.advance(1)
    assert (await setting.keys.find("key_1")).kid == "key_1"


async def test_a_source_that_never_answers_is_a_timeout():
    source = Source(jwks("key_1"), asyncio.Event())
    keys = RemoteKeys(source, lambda: None, timeout_s=0.01)
    assert await reason_of(keys) == Reason.JWK_REMOTE_TIMEOUT


# Readiness


async def test_warming_loads_once_and_then_only_reports():
    setting = Setting(jwks("key_1"))
    for _ in range(3):
        assert (await setting.keys.warm()).is_ready
    assert setting.source.loads == 1


async def test_warming_says_why_there_are_no_keys_and_is_cooled_down():
    setting = Setting(ApiUnreachable("dns", "the name cannot be resolved"))
    for _ in range(3):
        status = await setting.keys.warm()
        assert (status.is_ready, status.reason) == (False, Reason.JWK_REMOTE_DNS)
        assert status.detail == "the name cannot be resolved"
    assert setting.source.loads == 1


async def test_readiness_probes_alone_keep_an_idle_gateway_ready():
    setting = await Setting(jwks("key_1")).loaded()
    for _ in range(100):
        setting.clock.advance(STALE_S / 50)
        assert (await setting.keys.warm()).is_ready
        await settle()
    assert not setting.keys.status().is_stale


async def test_a_gateway_that_was_idle_beyond_the_limit_becomes_ready_by_the_first_probe():
    setting = await Setting(jwks("key_1")).loaded()
    setting.clock.advance(STALE_S * 5)
    assert not setting.keys.status().is_ready
    assert (await setting.keys.warm()).is_ready


# Closing


async def test_closing_stops_a_running_load():
    setting = Setting(jwks("key_1"), asyncio.Event())
    asking = asyncio.create_task(setting.keys.find("key_1"))
    await settle()
    await setting.keys.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_closing_an_idle_source_does_nothing():
    setting = await Setting(jwks("key_1")).loaded()
    await setting.keys.close()
    assert setting.keys.status().is_ready


# A pinned key


async def test_a_pinned_key_is_every_ids_key_and_always_ready():
    key = key_set(jwks("key_1"))["key_1"]
    keys = PinnedKeys(key)
    assert keys.cached("whatever") is key
    assert await keys.find("") is key
    assert keys.status() == await keys.warm()
    assert keys.status().is_ready
    await keys.close()


# Why it failed


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiUnreachable("dns", ""), Reason.JWK_REMOTE_DNS),
        (ApiUnreachable("connect", ""), Reason.JWK_REMOTE_UNREACHABLE),
        (ApiUnreachable("tls", ""), Reason.JWK_REMOTE_TLS),
        (ApiUnreachable("timeout", ""), Reason.JWK_REMOTE_TIMEOUT),
        (ApiUnreachable("protocol", ""), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (ApiUnreachable("new cause", ""), Reason.JWK_REMOTE_UNREACHABLE),
        (ApiRefused(401, [ApiErrorItem("clerk_key_invalid", "")]), Reason.SECRET_KEY_INVALID),
        (ApiRefused(403, [ApiErrorItem("forbidden", "")]), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (ApiFailed(500, ""), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (ApiFailed(200, "HTML"), Reason.JWK_REMOTE_INVALID),
        (KeyMaterialError("no list"), Reason.JWK_REMOTE_INVALID),
    ],
    ids=repr,
)
def test_each_cause_has_its_reason(error, reason):
    assert unavailable(error).reason == reason


def test_a_wrong_secret_key_is_not_tried_again_at_once():
    assert unavailable(ApiRefused(401, [ApiErrorItem("clerk_key_invalid", "")])).retry_after_s == 30


# Over real sockets


@pytest.fixture
async def transport() -> AsyncIterator[httpx.AsyncHTTPTransport]:
    async with httpx.AsyncHTTPTransport(trust_env=False) as opened:
        yield opened


def closed_port() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def by_secret_key(url: str, transport: httpx.AsyncBaseTransport, timeout_s: float = 30) -> RemoteKeys:
    client = SessionsClient(KEY, api_url=url, transport=transport, backoff=Naps().backoff, timeout_s=timeout_s)
    return RemoteKeys(client.jwks, lambda: None, timeout_s=timeout_s * 5)


def by_public_address(url: str, transport: httpx.AsyncBaseTransport, timeout_s: float = 30) -> RemoteKeys:
    load = public_jwks(f"{url}/.well-known/jwks.json", transport, timeout_s)
    return RemoteKeys(load, lambda: None, timeout_s=timeout_s * 5)


Ways = pytest.mark.parametrize("way", [by_secret_key, by_public_address])
Way = Callable[..., RemoteKeys]


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a head and then one byte at a time, forever: no single read is slow, and the whole never ends."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100_000)
    await reader.read()


@Ways
async def test_a_good_document_is_loaded_over_a_socket(way: Way, transport):
    async with serving(raw(http_bytes(json.dumps(jwks("key_1")).encode()))) as url:
        assert (await way(url, transport).find("key_1")).kid == "key_1"


@Ways
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (silent, Reason.JWK_REMOTE_TIMEOUT),
        (dripping, Reason.JWK_REMOTE_TIMEOUT),
        (raw(b""), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (raw(b"SSH-2.0-x\r\n"), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (raw(http_bytes(b'{"keys":', length=500)), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (raw(http_bytes(b"no", status="500 Oops")), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (raw(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"), Reason.JWK_REMOTE_FAILED_TO_LOAD),
        (raw(http_bytes(b" " * 1_100_000)), Reason.JWK_REMOTE_INVALID),
        (raw(http_bytes(b'"keys"')), Reason.JWK_REMOTE_INVALID),
        (raw(http_bytes(b'{"keys": {}}')), Reason.JWK_REMOTE_INVALID),
        (raw(http_bytes(b'{"keys": []}')), Reason.JWK_REMOTE_MISSING),
    ],
    ids=["silent", "dripping", "closed", "not-http", "truncated", "500", "redirect", "huge", "text", "object", "empty"],
)
async def test_a_faulty_source_is_told_apart_over_a_socket(way: Way, script, reason, transport):
    async with serving(script) as url:
        timeout_s = 0.1 if reason is Reason.JWK_REMOTE_TIMEOUT else 30
        assert await reason_of(way(url, transport, timeout_s)) == reason


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"\xff"], ids=["html", "nested", "not UTF-8"])
async def test_a_public_document_that_is_no_json_is_invalid(body, transport):
    async with serving(raw(http_bytes(body))) as url:
        assert await reason_of(by_public_address(url, transport)) == Reason.JWK_REMOTE_INVALID


@Ways
async def test_a_closed_port_is_unreachable(way: Way, transport):
    assert await reason_of(way(closed_port(), transport)) == Reason.JWK_REMOTE_UNREACHABLE


def self_signed(path) -> ssl.SSLContext:
    key = signer("tls").private_key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    file = path / "tls.pem"
    file.write_text(signer("tls").to_pem() + certificate.public_bytes(Encoding.PEM).decode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@Ways
async def test_a_certificate_that_nobody_signed_is_a_tls_fault(way: Way, transport, tmp_path):
    async with serving(raw(http_bytes(b"{}")), tls=self_signed(tmp_path)) as url:
        address = url.replace("http://", "https://")
        assert await reason_of(way(address, transport)) == Reason.JWK_REMOTE_TLS


async def test_a_wrong_secret_key_is_said_to_be_wrong():
    authority = Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001"))
    client = SessionsClient(
        Secret("sk_test_of_somebody_else"),
        api_url=authority.api_url,
        transport=httpx.ASGITransport(authority.app),
        backoff=Naps().backoff,
    )
    assert await reason_of(RemoteKeys(client.jwks, lambda: None)) == Reason.SECRET_KEY_INVALID
    authority.close()
