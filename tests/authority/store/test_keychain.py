"""The keys of a running authority: changed under it by another process, kept over crashes, refused when damaged."""

import contextlib
import sqlite3
import threading

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.authority import Authority, AuthorityConfig
from gateway.authority.errors import Refusal
from gateway.authority.signing.key_life import MARGIN_S, OVERLAP_S, KeyRefusal
from gateway.authority.signing.keyring import Category, ForeignToken
from gateway.authority.store.database import Database
from gateway.authority.store.signing_keys import SigningKeys
from gateway.errors import ConfigurationError

ORIGIN = "http://127.0.0.1:8001"
DAY_S = 86_400


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "authority.db")


@pytest.fixture
def authority(path, clock, founding):
    opened = Authority.open(AuthorityConfig(origin=ORIGIN, database=path), clock, founding)
    yield opened
    opened.close()


@pytest.fixture
def command(path, clock, authority):
    """What another process does to the same file."""
    database = Database.open(path)
    yield SigningKeys(database, clock)
    database.close()


def token(authority, clock, lifetime_s=60, category=Category.TEMPLATE) -> str:
    now_s = int(clock())
    return authority.realm.keys.sign({"iat": now_s, "exp": now_s + lifetime_s}, category)


def kid(text: str) -> str:
    return jwt.get_unverified_header(text)["kid"]


def published(authority) -> list[str]:
    return [key["kid"] for key in authority.realm.keys.jwks()["keys"]]


def stages(keys: SigningKeys) -> list[str]:
    return [key.stage.value for key in keys.records()]


def test_the_first_key_is_named_after_the_instance_and_later_ones_are_not(authority):
    assert published(authority) == [authority.realm.instance_id]
    assert authority.signing_keys.generate().kid.startswith("key_")


def test_a_running_authority_takes_up_what_another_process_changes(authority, command, clock):
    first = token(authority, clock)
    new = command.rotate(OVERLAP_S)
    assert published(authority) == [kid(first), new.kid]
    assert kid(token(authority, clock)) == kid(first)
    clock.advance(OVERLAP_S)
    second = token(authority, clock)
    assert kid(second) == new.kid
    assert published(authority) == [new.kid, kid(first)]
    assert stages(command) == ["retiring", "signing"]  # it was written down by the one that signed
    assert authority.realm.keys.open(first)
    command.retire(kid(first), is_forced=True)
    with pytest.raises(ForeignToken):
        authority.realm.keys.open(first)
    assert published(authority) == [new.kid]


def test_keys_in_memory_are_rotated_from_within(clock, founding):
    authority = Authority.open(AuthorityConfig(origin=ORIGIN), clock, founding)
    old = token(authority, clock)
    new = authority.signing_keys.rotate(0)
    assert kid(token(authority, clock)) == new.kid
    assert authority.realm.keys.open(old)
    authority.close()


def test_a_session_token_holds_its_key_until_it_can_no_longer_be_traded(authority, command, clock):
    old = kid(token(authority, clock, category=Category.SESSION))
    command.rotate(0)
    with pytest.raises(KeyRefusal, match="is needed until"):
        command.retire(old)
    clock.advance(DAY_S)
    assert command.retire_unneeded() == []
    clock.advance(60 + MARGIN_S + 1)
    assert command.retire_unneeded() == [old]
    assert command.retire_unneeded() == []


def test_the_longest_token_counts_and_short_ones_after_it_write_nothing(authority, command, clock):
    long = token(authority, clock, lifetime_s=315_360_000)
    before = authority.signing_keys.changes
    for _ in range(3):
        token(authority, clock)
    assert authority.signing_keys.changes == before
    command.rotate(0)
    clock.advance(315_360_000)
    with pytest.raises(KeyRefusal):
        command.retire(kid(long))


def test_what_a_key_signs_is_noted_once_a_minute(authority, clock):
    for _ in range(120):
        token(authority, clock)
        clock.advance(1)
    assert authority.signing_keys.changes == 2


def test_a_handshake_without_an_end_holds_its_key_for_now(authority, command, clock):
    authority.realm.keys.sign({"handshake": []}, Category.SESSION)
    (record,) = command.records()
    assert record.needed_until_s >= int(clock())


def test_what_an_undone_transaction_noted_is_noted_again(authority, command, clock):
    with contextlib.suppress(ZeroDivisionError), authority.realm.database.transaction():
        token(authority, clock)
        raise ZeroDivisionError
    assert command.records()[0].needed_until_s == 0
    token(authority, clock)
    assert command.records()[0].needed_until_s > int(clock())


def test_a_retired_key_is_gone_and_no_clock_brings_it_back(authority, command, clock, path):
    old = kid(token(authority, clock))
    command.rotate(0)
    clock.advance(DAY_S)
    command.retire(old)
    clock.advance(-2 * DAY_S)
    assert old not in published(authority)
    assert kid(token(authority, clock)) != old
    assert command.private_key(old).reveal() == ""
    assert command.private_key("unknown").reveal() == ""
    again = Authority.open(AuthorityConfig(origin=ORIGIN, database=path), clock)
    assert published(again) == published(authority)
    again.close()


def test_of_two_rotations_at_once_one_is_refused(path, clock, authority):
    outcomes: list[str] = []

    def rotate() -> None:
        database = Database.open(path)
        try:
            SigningKeys(database, clock).rotate(OVERLAP_S)
            outcomes.append("planned")
        except KeyRefusal:
            outcomes.append("refused")
        finally:
            database.close()

    threads = [threading.Thread(target=rotate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["planned", "refused", "refused"]
    assert stages(authority.signing_keys) == ["signing", "published"]


def pem(key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


SHORT = pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))
CURVE = pem(ec.generate_private_key(ec.SECP256R1()))
SIGNING = "INSERT INTO signing_keys VALUES ('second', 'x', 'signing', 1, 1, 0, NULL)"


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE signing_keys SET private_pem = 'not a key'", "cannot be used: it is no private key in PEM"),
        ("UPDATE signing_keys SET private_pem = ''", "it is no private key in PEM"),
        (f"UPDATE signing_keys SET private_pem = '{SHORT}'", "it has 1024 bits, and 2048 are the least"),
        (f"UPDATE signing_keys SET private_pem = '{CURVE}'", "it is not an RSA key"),
        ("UPDATE signing_keys SET stage = 'retiring'", "none of its keys signs; there must be one"),
        ("DELETE FROM signing_keys", "none of its keys signs"),
        (SIGNING, "2 of its keys sign"),
    ],
)
def test_keys_that_cannot_be_used_are_named_and_can_be_replaced(authority, command, clock, path, sql, said):
    with sqlite3.connect(path) as connection:
        connection.execute(sql)
    connection.close()
    config = AuthorityConfig(origin=ORIGIN, database=path)
    with pytest.raises(ConfigurationError) as error:
        Authority.open(config, clock)
    assert said in str(error.value)
    assert f"gateway authority keys replace --db {path}" in str(error.value)
    assert "BEGIN" not in str(error.value)
    if "signs" in said or "sign" in said.split():  # the running one knows its key, and reads what changed about it
        with pytest.raises(Refusal):
            authority.realm.keys.jwks()
    new = command.replace_all()
    assert published(authority) == [new.kid]
    Authority.open(config, clock).close()
