"""Opening an authority: what it is known by, what a file keeps, and what it refuses to open."""

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.secret import Secret
from gateway.errors import ConfigurationError

ORIGIN = "http://127.0.0.1:8001"


def at(path: Path, **changes) -> AuthorityConfig:
    return AuthorityConfig(**{"origin": ORIGIN, "database": str(path), **changes})


def faults(error: pytest.ExceptionInfo[ConfigurationError]) -> list[str]:
    return [fault.setting for fault in error.value.faults]


def test_it_says_what_somebody_needs_to_use_it(authority):
    told = authority.describe()
    key = PublishableKey.parse(told["publishable_key"])
    assert (key.kind, key.frontend_api) == (InstanceKind.DEVELOPMENT, "127.0.0.1:8001")
    assert told["secret_key"].startswith("sk_test_")
    assert told["api_url"] == told["frontend_api_url"] == ORIGIN
    assert told["jwks_url"] == f"{ORIGIN}/.well-known/jwks.json"
    assert told["jwt_templates"] == ["custom_hasura"]
    shown = {
        user["first_name"]: [(member["slug"], member["role"]) for member in user["organizations"]]
        for user in told["users"]
    }
    assert shown == {
        "Ada": [("acme", "org:admin"), ("globex", "org:member")],
        "Grace": [("acme", "org:member")],
        "Alan": [],
        "Zoë": [("globex", "org:admin")],
    }


def test_the_secret_key_is_not_in_any_repr(authority):
    assert authority.secret_key.reveal() not in f"{authority.realm!r}{authority!r}{authority.realm.config!r}"


def test_a_production_authority_has_live_keys():
    authority = Authority.open(AuthorityConfig(origin=ORIGIN, kind=InstanceKind.PRODUCTION, sign_in_check="password"))
    assert authority.publishable_key.value.startswith("pk_live_")
    assert authority.secret_key.reveal().startswith("sk_live_")
    authority.close()


def test_the_identity_can_be_announced_by_one_process_and_served_by_another(clock):
    config = AuthorityConfig(origin=ORIGIN)
    founding = Founding.generate(config, 0)
    first, second = Authority.open(config, clock, founding), Authority.open(config, clock, founding)
    assert first.describe() == second.describe()
    assert first.realm.keys.jwks() == second.realm.keys.jwks()
    assert founding.secret_key.reveal() not in repr(founding)
    first.close()
    second.close()


def test_a_file_keeps_keys_seed_and_sessions_over_a_restart(tmp_path, clock):
    path = tmp_path / "authority.db"
    first = Authority.open(at(path), clock)
    told, keys = first.describe(), first.realm.keys.jwks()
    client, token = first.realm.ledger.add_client(1)
    first.close()
    second = Authority.open(at(path), clock)
    assert second.describe() == told
    assert second.realm.keys.jwks() == keys
    assert second.realm.ledger.client_by_token(token) == client
    second.close()


def test_one_file_opened_twice_shares_everything_at_once(tmp_path, clock):
    path = tmp_path / "authority.db"
    first, second = Authority.open(at(path), clock), Authority.open(at(path), clock)
    nonce = first.realm.grants.store_handshake(["a=b"], 0, 1000)
    assert second.realm.grants.fetch_handshake(nonce, 0) == ["a=b"]
    assert first.realm.grants.fetch_handshake(nonce, 0) is None
    first.close()
    second.close()


def test_authorities_that_open_a_new_file_at_the_same_time_agree_on_one_identity(tmp_path, clock):
    opened: list[Authority] = []
    threads = [
        threading.Thread(target=lambda: opened.append(Authority.open(at(tmp_path / "authority.db"), clock)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert len({authority.secret_key.reveal() for authority in opened}) == 1
    for authority in opened:
        authority.close()


def test_nobody_else_can_read_the_file(tmp_path):
    Authority.open(at(tmp_path / "authority.db")).close()
    assert stat.S_IMODE((tmp_path / "authority.db").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"kind": InstanceKind.PRODUCTION, "sign_in_check": "password"}, "--instance"),
        ({"origin": "http://127.0.0.1:8002"}, "--listen"),
        ({"secret_key": Secret("sk_test_other")}, "secret_key"),
    ],
)
def test_a_file_of_another_instance_is_refused(tmp_path, changes, setting):
    Authority.open(at(tmp_path / "authority.db")).close()
    with pytest.raises(ConfigurationError) as error:
        Authority.open(at(tmp_path / "authority.db", **changes))
    assert faults(error) == [setting]
    assert "sk_test_other" not in str(error.value)


def test_a_given_secret_key_is_used():
    authority = Authority.open(AuthorityConfig(origin=ORIGIN, secret_key=Secret("sk_test_given")))
    assert authority.secret_key.reveal() == "sk_test_given"
    authority.close()


def test_files_of_others_are_refused_and_not_touched(tmp_path):
    text, other = tmp_path / "text", tmp_path / "other.db"
    text.write_text("not a database, but long enough to be taken for one" * 40)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    for path in (text, other, tmp_path, tmp_path / "missing" / "authority.db"):
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(ConfigurationError) as error:
            Authority.open(at(path))
        assert faults(error) == ["--db"]
        assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"origin": "http://localhost:8001"}, "origin"),
        ({"origin": "http://127.0.0.1:8001/"}, "origin"),
        ({"origin": "127.0.0.1:8001"}, "origin"),
        ({"allowed_origins": ("http://a.example/x",)}, "allowed_origins"),
        ({"token_lifetime_s": 0}, "token_lifetime_s"),
        ({"refresh_grace_s": -1}, "refresh_grace_s"),
        ({"session_claims": {"sub": "x"}}, "session_claims"),
        ({"session_claims": {"o": {}}}, "session_claims"),
        ({"session_claims": {"a": float("nan")}}, "session_claims"),
        ({"secret_key": Secret("sk_live_secret")}, "secret_key"),
    ],
)
def test_settings_that_cannot_be_used_are_named(changes, setting):
    with pytest.raises(ConfigurationError) as error:
        AuthorityConfig(**{"origin": ORIGIN, **changes})
    assert faults(error) == [setting]
    assert "sk_live_secret" not in str(error.value)


def test_a_failed_transaction_leaves_nothing(authority):
    database = authority.realm.database

    def fail() -> None:
        with database.transaction():
            authority.realm.ledger.add_client(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert database.rows("SELECT * FROM clients") == []


def test_lists_and_lookups_use_an_index(authority):
    for condition in ("user_id = 'x'", "client_id = 'x'", "TRUE"):
        sql = f"SELECT * FROM sessions WHERE {condition} ORDER BY created_at DESC, seq DESC LIMIT 10"
        plan = " ".join(row["detail"] for row in authority.realm.database.rows(f"EXPLAIN QUERY PLAN {sql}"))
        assert "USING INDEX sessions_by" in plan
        assert "TEMP B-TREE" not in plan


def test_a_membership_that_ends_is_not_in_the_next_token(world):
    directory = world.authority.realm.directory
    organization_id = world.organization("Grace", "acme")
    directory.remove_member(world.users["Grace"], organization_id)
    assert directory.membership(world.users["Grace"], "acme") is None
    assert directory.memberships(world.users["Ada"])
