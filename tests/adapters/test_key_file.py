"""The key file: written whole, read only when nobody else can have written it, and never more than a stale set."""

import json
import logging
import os
from pathlib import Path

import pytest

from gateway.adapters.key_file import MAX_BYTES, KeyFile
from gateway.core.keys import key_set
from tests.authenticator.engine_kit import KEY, NOW, Clock, jwks, signer

STALE_S = 3600.0


class Setting:
    """A file in a folder, and what was said about it."""

    def __init__(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.path = path
        self.clock = Clock()
        self.file = self.again()
        self._caplog = caplog

    def again(self, instance: str = KEY.value) -> KeyFile:
        return KeyFile(self.path, instance, STALE_S, self.clock)

    @property
    def said(self) -> list[str]:
        return [record.getMessage() for record in self._caplog.records if record.levelno >= logging.WARNING]

    def put(self, **changes: object) -> None:
        document = {"instance": KEY.value, "fetched_at_s": int(NOW), **jwks("key_1"), **changes}
        self.write(json.dumps({name: value for name, value in document.items() if value is not ...}).encode())

    def write(self, content: bytes) -> None:
        self.path.write_bytes(content)
        self.path.chmod(0o600)


@pytest.fixture
def setting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Setting:
    return Setting(tmp_path / "keys.json", caplog)


async def test_what_is_kept_is_read_by_the_next_start(setting: Setting):
    keys = key_set({"keys": [signer("key_1").to_jwk(), {**signer("key_2").to_jwk(), "alg": "RS512"}]})
    await setting.file.keep(keys)
    setting.clock.advance(100)
    kept = setting.again().read()
    assert (kept.age_s, sorted(kept.keys)) == (100, ["key_1", "key_2"])
    assert all(kept.keys[kid].is_same(keys[kid]) for kid in keys)
    assert setting.said == []


async def test_the_file_is_for_our_user_alone_and_nothing_is_left_beside_it(setting: Setting):
    await setting.file.keep(key_set(jwks("key_1")))
    assert setting.path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in setting.path.parent.iterdir()] == ["keys.json"]


async def test_the_file_holds_no_more_than_public_keys_and_where_they_are_from(setting: Setting):
    await setting.file.keep(key_set(jwks("key_1")))
    document = json.loads(setting.path.read_bytes())
    assert document.keys() == {"instance", "fetched_at_s", "keys"}
    assert (document["instance"], document["fetched_at_s"]) == (KEY.value, int(NOW))
    assert [key.keys() for key in document["keys"]] == [{"kty", "use", "kid", "alg", "n", "e"}]


async def test_it_is_written_when_the_set_changed_or_a_quarter_of_its_time_has_passed(setting: Setting):
    async def is_written(*kids: str) -> bool:
        setting.path.unlink(missing_ok=True)
        await setting.file.keep(key_set(jwks(*kids)))
        return setting.path.exists()

    assert await is_written("key_1")
    assert not await is_written("key_1")
    assert await is_written("key_1", "key_2")
    assert await is_written("key_2")
    setting.clock.advance(STALE_S / 4 - 1)
    assert not await is_written("key_2")
    setting.clock.advance(1)
    assert await is_written("key_2")
    setting.clock.advance(-86_400)  # the clock was set right: the file would be of the future
    assert await is_written("key_2")


async def test_what_was_read_is_not_written_again_at_once(setting: Setting):
    await setting.file.keep(key_set(jwks("key_1")))
    again = setting.again()
    again.read()
    setting.path.unlink()
    await again.keep(key_set(jwks("key_1")))
    assert not setting.path.exists()


def test_no_file_is_nothing_to_speak_of(setting: Setting):
    assert setting.file.read() is None
    assert setting.said == []


def test_a_file_from_the_future_is_not_newer_than_now(setting: Setting):
    setting.put(fetched_at_s=int(NOW) + 10_000_000)
    assert setting.file.read().age_s == 0


def test_a_file_is_read_up_to_its_limit_and_not_beyond(setting: Setting):
    setting.put()
    setting.clock.advance(STALE_S)
    assert setting.again().read().age_s == STALE_S
    setting.clock.advance(1)
    assert setting.again().read() is None
    (said,) = setting.said
    assert said == (
        f"keys.cache_file {setting.path} is not used: its keys are 3601 s old and count for 3600 s (keys.stale_s); "
        "nothing to do: it is written anew when the source answers"
    )


def test_another_instances_keys_are_refused(setting: Setting):
    setting.put(instance="pk_live_of_somebody_else")
    assert setting.file.read() is None
    (said,) = setting.said
    assert "it holds the keys of another instance; give each instance a file of its own" in said


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"null",
        b"{}",
        json.dumps({"instance": KEY.value, "fetched_at_s": int(NOW)}).encode(),
        json.dumps({"instance": KEY.value, "fetched_at_s": int(NOW), "keys": {}}).encode(),
    ],
    ids=["empty", "text", "not UTF-8", "nested", "list", "null", "object", "no keys", "keys are no list"],
)
def test_what_the_gateway_did_not_write_is_refused(setting: Setting, content):
    setting.write(content)
    assert setting.file.read() is None
    (said,) = setting.said
    assert "it is not what the gateway writes; delete it" in said


@pytest.mark.parametrize("fetched_at_s", [..., None, "1800000000", True, -1, float("nan"), float("inf"), 10**400, []])
def test_a_time_that_is_none_is_refused(setting: Setting, fetched_at_s):
    setting.put(fetched_at_s=fetched_at_s)
    assert setting.file.read() is None
    assert "it is not what the gateway writes" in setting.said[0]


@pytest.mark.parametrize("keys", [[], [{"kty": "oct", "k": "AAAA", "kid": "key_1"}], [None]])
def test_keys_are_judged_like_those_of_the_source(setting: Setting, keys):
    setting.put(keys=keys)
    assert setting.file.read() is None
    assert len(setting.said) == 1


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777])
def test_a_file_that_others_may_write_is_refused(setting: Setting, mode):
    setting.put()
    setting.path.chmod(mode)
    assert setting.file.read() is None
    assert f"others may write it; delete it, or chmod 600 {setting.path} if nobody did" in setting.said[0]


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o644])
def test_a_file_that_others_may_read_is_no_secret(setting: Setting, mode):
    setting.put()
    setting.path.chmod(mode)
    assert setting.file.read() is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(setting: Setting):
    setting.put()
    os.chown(setting.path, 12345, 12345)
    assert setting.file.read() is None
    assert "it belongs to another user" in setting.said[0]


def test_a_symbolic_link_is_refused(setting: Setting):
    setting.put()
    setting.path.rename(setting.path.with_name("elsewhere"))
    setting.path.symlink_to("elsewhere")
    assert setting.file.read() is None
    assert "it is a symbolic link" in setting.said[0]


def test_a_pipe_is_refused_without_waiting_for_a_writer(setting: Setting):
    os.mkfifo(setting.path, 0o600)
    assert setting.file.read() is None
    assert "it is not a file" in setting.said[0]


def test_a_folder_in_its_place_is_refused(setting: Setting):
    setting.path.mkdir(mode=0o700)
    assert setting.file.read() is None
    assert len(setting.said) == 1


def test_a_large_file_is_not_read(setting: Setting):
    setting.write(b" " * (MAX_BYTES + 1))
    assert setting.file.read() is None
    assert f"it is larger than {MAX_BYTES} bytes" in setting.said[0]


def test_a_file_that_cannot_be_read_is_said(setting: Setting):
    setting.path.touch()
    setting.path = setting.path / "keys.json"  # not even root finds a file in a file
    assert setting.again().read() is None
    assert "it cannot be read" in setting.said[0]


async def test_a_file_that_cannot_be_written_is_said_once_until_it_can_be(setting: Setting):
    folder = setting.path.parent / "missing"
    setting.path = folder / "keys.json"
    file = setting.again()
    for _ in range(3):
        await file.keep(key_set(jwks("key_1")))
    (said,) = setting.said
    assert said.startswith(f"keys.cache_file {setting.path} cannot be written: No such file or directory; ")
    folder.mkdir()
    await file.keep(key_set(jwks("key_1")))
    assert setting.path.exists()
    setting.path.unlink()
    folder.rmdir()
    for _ in range(3):
        await file.keep(key_set(jwks("key_2")))
    assert len(setting.said) == 2


async def test_a_write_that_fails_leaves_the_old_file_and_no_other(setting: Setting):
    setting.path.mkdir()  # a file cannot take a folder's place
    (setting.path / "kept").touch()
    await setting.file.keep(key_set(jwks("key_1")))
    assert [each.name for each in setting.path.parent.iterdir()] == ["keys.json"]
    assert [each.name for each in setting.path.iterdir()] == ["kept"]
    assert len(setting.said) == 1


async def test_who_only_looks_writes_nothing(setting: Setting):
    looking = KeyFile(setting.path, KEY.value, STALE_S, setting.clock, writes=False)
    await looking.keep(key_set(jwks("key_1")))
    assert not setting.path.exists()
    setting.put()
    assert sorted(looking.read().keys) == ["key_1"]
