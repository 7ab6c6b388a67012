"""``gateway authority``: one run as a process, and everything that it refuses before it listens."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from gateway import parse_settings
from gateway.authority import Authority, AuthorityConfig
from gateway.authority.store.database import Database
from gateway.authority.store.passwords import hash_password
from gateway.cli.authority_description import describe_for_people, form_lines
from gateway.cli.authority_options import AuthorityOptions, resolve_listen
from gateway.cli.authority_serving import found, warn_seed
from gateway.cli.main import run
from gateway.core.instance import InstanceKind
from gateway.core.secret import Secret

START = [sys.executable, "-m", "gateway", "authority"]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("CLERK_")}


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*START, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def stop(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@pytest.mark.e2e
def test_it_prints_one_line_of_json_when_it_accepts_connections_and_stops_on_a_signal(tmp_path):
    database = tmp_path / "authority.db"
    with running("--listen", "127.0.0.1:0", "--json", "--db", str(database), "--token-lifetime", "7") as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        key = {"Authorization": f"Bearer {told['secret_key']}"}
        with httpx.Client(base_url=told["api_url"], headers=key, trust_env=False) as client:
            made = client.post("/v1/sessions", json={"user_id": told["users"][0]["id"]})
            assert made.status_code == 200
            token = client.post(f"/v1/sessions/{made.json()['id']}/tokens")
            assert token.json()["object"] == "token"
            assert "Ada Lovelace" in client.get("/sign-in").text
        assert set(told) == {
            "api_url", "frontend_api_url", "jwks_url", "publishable_key", "secret_key", "users", "jwt_templates",
        }  # fmt: skip
        code, rest, warnings = stop(process)
        assert (code, rest) == (0, "")
        assert "anybody be anybody" in warnings
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT id FROM sessions").fetchall() == [(made.json()["id"],)]
    connection.close()


@pytest.mark.e2e
def test_without_a_file_the_announced_keys_are_those_of_the_worker():
    with running(
        "--listen", "127.0.0.1:0", "--json", "--instance", "production", "--sign-in-check", "password"
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["publishable_key"].startswith("pk_live_")
        key = {"Authorization": f"Bearer {told['secret_key']}"}
        assert httpx.get(f"{told['api_url']}/v1/jwks", headers=key, trust_env=False).status_code == 200
        assert stop(process)[0] == 0


@pytest.fixture
def invoke(capsys, monkeypatch):
    """Run the command in this process, with these variables in the environment."""

    def call(*arguments: str, **environment: str) -> tuple[int, str, str]:
        for name in ("CLERK_SECRET_KEY", "CLERK_PUBLISHABLE_KEY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        code = run(["authority", *arguments])
        return code, *capsys.readouterr()

    return call


def test_an_address_in_use_is_exit_code_3(invoke):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = invoke("--listen", listen)
    assert (code, out) == (3, "")
    assert f"--listen = {listen}: another program listens there" in err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLERK_SECRET_KEY", "sk_live_abcdefghij"),
        ("CLERK_SECRET_KEY", " sk_live_abc_defghij"),
        ("CLERK_PUBLISHABLE_KEY", "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"),
    ],
)
def test_live_keys_of_others_in_the_environment_are_refused_and_not_shown(invoke, name, value):
    code, out, err = invoke("--listen", "127.0.0.1:0", **{name: value})
    assert (code, out) == (2, "")
    assert f"{name} = {value.strip()[:8]}…" in err
    assert f"unset {name}" in err
    assert value.strip()[8:] not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "0.0.0.0:8001"], "--allow-remote"),
        (["--listen", "192.0.2.1:8001"], "--allow-remote"),
        (["--listen", "example.com:8001"], "--allow-remote"),
        (["--listen", "8001"], "it is no host and port"),
        (["--listen", "127.0.0.1:99999"], "it is no host and port"),
        (["--listen", "localhost:8001"], "use a host with a dot"),
        (
            ["--listen", "127.0.0.1:0", "--origin", "https://auth.example.com/path"],
            "--origin = https://auth.example.com/path",
        ),
        (["--listen", "127.0.0.1:0", "--control", "nowhere"], "--control = nowhere"),
        (["--listen", "127.0.0.1:0", "--origin", "https://auth.example.com"], "anybody be anybody"),
        (["--listen", "127.0.0.1:0", "--db", "/nonexistent/directory/a.db"], "--db = /nonexistent/directory/a.db"),
        (["--instance", "staging"], "--instance"),
        (["--token-lifetime", "0"], "--token-lifetime"),
    ],
)
def test_what_cannot_be_used_is_exit_code_2_and_named(invoke, arguments, said):
    code, out, err = invoke(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "warning" not in err  # who is refused is not warned of what does not begin


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "No such file"), ("[1]", "it holds no JSON object"), ("{", "it holds no JSON object"),
     ('{"sid": "x"}', "every token has sid by itself")],
)  # fmt: skip
def test_claims_for_session_tokens_that_cannot_be_are_named(invoke, tmp_path, text, said):
    path = tmp_path / "claims.json"
    if text is not None:
        path.write_text(text)
    code, out, err = invoke("--listen", "127.0.0.1:0", "--session-claims", str(path))
    assert (code, out) == (2, "")
    assert "--session-claims" in err
    assert said in err


def test_a_file_of_another_kind_names_the_option(invoke, tmp_path):
    path = str(tmp_path / "authority.db")
    Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001", database=path)).close()
    code, _, err = invoke(
        "--db", path, "--instance", "production", "--sign-in-check", "password", "--listen", "127.0.0.1:0"
    )
    assert code == 2
    assert "--instance = production" in err
    assert "start with --instance development" in err


def options(**changes: object) -> AuthorityOptions:
    values = {
        "listen": "127.0.0.1:8001",
        "origin": None,
        "db": None,
        "instance": "development",
        "token_lifetime_s": 60,
        "inactive_retention_s": 60,
        "is_remote_allowed": False,
        **changes,
    }
    return AuthorityOptions(**values)


def test_options_of_serving_before_a_subcommand_are_refused(invoke, tmp_path):
    code, out, err = invoke("--db", str(tmp_path / "a.db"), "keys", "list")
    assert (code, out) == (2, "")
    assert "--db is an option of serving; the options of 'keys' follow it" in err


def test_a_subcommand_names_what_is_wrong_with_its_file(invoke, tmp_path):
    path = str(tmp_path / "a.db")
    code, out, err = invoke("keys", "list", "--db", path)
    assert (code, out) == (2, "")
    assert f"--db = {path}\n  there is no such file" in err
    Database.open(path).close()
    assert "no authority has started with it yet" in invoke("keys", "list", "--db", path)[2]
    assert invoke("keys", "list")[0] == 2
    assert "No such command" in invoke("kyes")[2]


def test_listening_beyond_the_machine_can_be_allowed():
    listen = resolve_listen(options(listen="0.0.0.0:8001", is_remote_allowed=True))
    assert str(listen) == "0.0.0.0:8001"


def test_port_0_becomes_a_port_that_the_keys_can_name():
    assert resolve_listen(options(listen="127.0.0.1:0")).port > 0
    assert str(resolve_listen(options(listen="[::1]:8001"))) == "[::1]:8001"


def test_people_are_told_the_keys_and_the_users():
    authority = Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001"))
    text = describe_for_people(authority.describe(), InstanceKind.DEVELOPMENT)
    assert f"CLERK_SECRET_KEY={authority.secret_key.reveal()}" in text
    assert "Sign in at http://127.0.0.1:8001/sign-in as" in text
    settings = tomllib.loads("\n".join(line for line in text.splitlines() if ' = "' in line))
    assert parse_settings({"instance": settings, "routes": [{"path": "/"}]}, needs_upstream=False)
    assert settings["proxy_url"] == settings["api_url"] == "http://127.0.0.1:8001"
    assert "Ada Lovelace, acme (org:admin), globex (org:member)" in text
    assert "Alan Turing, no organization" in text
    authority.close()


def test_the_name_of_a_user_does_not_steer_the_terminal():
    authority = Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001"))
    told = authority.describe() | {"users": [{"first_name": "\x1b[31m", "last_name": "a\nb\x07", "organizations": []}]}
    line = describe_for_people(told, InstanceKind.DEVELOPMENT).splitlines()[-1]
    assert line == "  \ufffd[31m a\ufffdb\ufffd, no organization"
    authority.close()


def test_who_has_no_last_name_or_no_name_at_all_is_listed_too():
    users = [
        {"first_name": "Plato", "last_name": "", "email_address": "p@example.com", "organizations": []},
        {"first_name": "", "last_name": "", "email_address": "x@example.com", "organizations": []},
    ]
    told = {"users": users, "api_url": "", "frontend_api_url": "", "publishable_key": "", "secret_key": ""}
    lines = describe_for_people(told, InstanceKind.DEVELOPMENT).splitlines()
    assert lines[-2:] == ["  Plato, no organization", "  x@example.com, no organization"]


def test_with_a_check_nobody_is_listed_and_it_is_said_how_the_first_password_is_set(tmp_path):
    path = str(tmp_path / "authority.db")
    config = AuthorityConfig(origin="http://127.0.0.1:8001", database=path, sign_in_check="password")
    authority = Authority.open(config)
    form = form_lines(authority)
    assert form[0] == "Sign in at http://127.0.0.1:8001/sign-in with email address and password"
    assert (
        f"nobody has a password yet: gateway authority users add EMAIL_ADDRESS --with-password --db {path}" in form[1]
    )
    assert "Ada" not in describe_for_people(authority.describe(), InstanceKind.DEVELOPMENT, form)
    user = authority.realm.directory.users()[0]
    authority.realm.passwords.keep(user.id, hash_password(Secret("correct horse battery")), 0)
    assert form_lines(authority) == form[:1]
    authority.close()


def test_a_production_instance_begins_with_nobody():
    production = AuthorityConfig(
        origin="https://auth.example.com", kind=InstanceKind.PRODUCTION, sign_in_check="password"
    )
    seed = found(production, None).seed
    assert (seed.users, seed.organizations, seed.memberships) == ((), (), ())
    assert [role.key for role in seed.roles] == ["org:admin", "org:member"]


def test_a_seed_that_changes_nothing_is_told(tmp_path, capsys):
    people = tmp_path / "people.toml"
    people.write_text('[[users]]\nfirst_name = "Milton"\nemail_address = "milton@initech.test"\n')
    config = AuthorityConfig(origin="http://127.0.0.1:8001", database=str(tmp_path / "authority.db"))
    for said in ("", f"warning: --seed = {people}\n  nothing of it is taken: "):
        founding = found(config, str(people))
        authority = Authority.open(config, founding=founding)
        warn_seed(str(people), founding, authority)
        authority.close()
        assert capsys.readouterr().err.startswith(said)
    warn_seed(None, founding, authority)
    assert capsys.readouterr().err == ""
