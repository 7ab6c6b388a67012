"""gateway check."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.adapters.key_file import KeyFile
from gateway.cli.main import run
from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.keys import key_set
from tests.authenticator.engine_kit import jwks, signer
from tests.sessions.sessions_kit import error_body, http_bytes, raw, serving

KEY = PublishableKey.encode(InstanceKind.DEVELOPMENT, "clerk.example.com").value
GOOD = f"""
[instance]
publishable_key = "{KEY}"
secret_key = "sk_test_Private"
clock_skew_s = 90
[[routes]]
upstream = "http://127.0.0.1:9000"
[[routes]]
path = "/admin"
upstream = "http://127.0.0.1:9000"
[routes.require]
role = "org:admin"
reverification = {{ level = "second_factor", after_minutes = 10 }}
[[routes]]
path = "/admin/users"
upstream = "http://127.0.0.1:9000"
[[routes]]
path = "/health"
host = "*.example.com"
methods = ["GET", "POST"]
access = "public"
upstream = "http://127.0.0.1:9001"
"""
BAD = GOOD.replace('"public"', '"private"') + "[server]\nworkers = 0\nlistn = 1\n"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "MACHINE_SECRET_KEY", "PUBLISHABLE_KEY", "JWT_KEY"):
        monkeypatch.delenv(f"CLERK_{name}", raising=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_a_good_configuration_is_shown_as_routes(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(GOOD)
    assert run(["check", "--config", str(config)]) == 0
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.splitlines()]
    asked = "role org:admin, reverification second_factor 10 min"
    assert rows == [
        ["host", "path", "methods", "access", "requires", "signed", "out", "upstream"],
        ["any", "/", "any", "required", "-", "auto", "http://127.0.0.1:9000"],
        ["any", "/admin", "any", "required", *asked.split(), "auto", "http://127.0.0.1:9000"],
        ["any", "/admin/users", "any", "required", "-", "auto", "http://127.0.0.1:9000"],
        ["*.example.com", "/health", "GET,POST", "public", "-", "-", "http://127.0.0.1:9001"],
    ]
    warning = f"warning: routes[2] /admin/users is required, inside of /admin, which is required ({asked})"
    assert warning in " ".join(shown.err.split())
    assert "warning: instance.clock_skew_s = 90" in shown.err
    assert "*.example.com/health [GET,POST] is public, inside of /, which is required" in shown.err
    assert "write loosens = true if it is meant" in shown.err
    assert "good: 4 routes, development instance at clerk.example.com, to listen on 127.0.0.1:8000" in shown.err
    assert "Private" not in shown.out + shown.err


def test_what_a_route_is_known_by_is_shown_however_narrow_the_terminal(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    config.write_text(GOOD.replace('role = "org:admin"', 'role = "org:admin"\nno_impersonation = true'))
    assert run(["check", "--config", str(config)]) == 0
    shown = capsys.readouterr().out
    for known_by in ("*.example.com", "/admin/users", "GET,POST", "http://127.0.0.1:9001", "second_factor"):
        assert known_by in shown
    assert "…" not in shown


def test_a_route_of_machines_is_shown_as_one(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machines = GOOD.replace('path = "/admin/users"', 'path = "/admin/users"\naccepts = ["api_key", "m2m_token"]')
    config.write_text(machines + '[[routes]]\npath = "/any"\naccepts = "any"\nupstream = "http://127.0.0.1:9000"\n')
    assert run(["check", "--config", str(config)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "/admin/users any required, by api_key or m2m_token - auto" in shown
    assert "/any any required, by any token - auto" in shown
    assert run(["check", "--config", str(config), "--json"]) == 0
    routes = json.loads(capsys.readouterr().out)["routes"]
    assert [route["accepts"] for route in routes[1:3]] == [["session_token"], ["api_key", "m2m_token"]]


def test_a_looser_route_that_is_meant_so_is_not_warned_of(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(GOOD.replace('access = "public"', 'access = "public"\nloosens = true'))
    assert run(["check", "--config", str(config)]) == 0
    shown = capsys.readouterr().err
    assert "routes[2]" in shown
    assert "routes[3]" not in shown


def test_an_exact_route_and_one_that_writes_paths_anew_are_shown_as_such(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(
        GOOD.replace('path = "/admin/users"', 'path = "/admin/users"\nexact = true\nreplace_prefix = "/u"')
    )
    assert run(["check", "--config", str(config)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "any =/admin/users any required - auto http://127.0.0.1:9000 at /u" in shown


def test_every_fault_is_named_at_once(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(BAD)
    assert run(["check", "--config", str(config)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    for expected in ("server.listn\n", "server.workers = 0\n", 'routes[3].access = "private"\n', "3 faults"):
        assert expected in shown.err


def test_json_holds_the_same(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(GOOD)
    assert run(["check", "--config", str(config), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is True
    assert result["loosened"] == [
        {"route": "/admin/users", "outer": "/admin", "through": False},
        {"route": "*.example.com/health [GET,POST]", "outer": "/", "through": False},
    ]
    assert [route["access"] for route in result["routes"]] == ["required", "required", "required", "public"]
    assert [route["require"] and route["require"]["role"] for route in result["routes"]] == [
        *(None, "org:admin", None, None)
    ]
    assert result["routes"][1]["require"]["reverification"] == {"level": "second_factor", "after_minutes": 10}
    assert [warning["setting"] for warning in result["warnings"]] == ["instance.clock_skew_s", "routes[2]", "routes[3]"]
    config.write_text(BAD)
    assert run(["check", "--config", str(config), "--json"]) == 2
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is False
    assert [fault["setting"] for fault in result["faults"]] == ["server.listn", "server.workers", "routes[3].access"]


def test_the_file_may_be_named_by_a_variable(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check"]) == 2
    assert "GATEWAY_CONFIG" in capsys.readouterr().err
    config.write_text(GOOD)
    monkeypatch.setenv("GATEWAY_CONFIG", str(config))
    monkeypatch.setenv("GATEWAY_SERVER_LISTEN", "0.0.0.0:8080")
    assert run(["check"]) == 0
    assert "to listen on 0.0.0.0:8080" in capsys.readouterr().err


def test_a_missing_file_is_a_fault(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", str(config)]) == 2
    assert "cannot be read" in capsys.readouterr().err


# Keys


def write_with_keys(config: Path, api_url: str, path: Path | None = None) -> None:
    keys = f'[keys]\ncache_file = "{path}"\n' if path else ""
    config.write_text(GOOD.replace("clock_skew_s = 90\n", f'api_url = "{api_url}"\n') + keys)


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        (raw(http_bytes(json.dumps(jwks("key_1")).encode())), 0, "/v1/jwks; asked: fresh"),
        (
            raw(http_bytes(json.dumps(error_body("clerk_key_invalid")).encode(), status="401 No")),
            2,
            "secret-key-invalid",
        ),
        (raw(http_bytes(b"<html>", "text/html")), 4, "What answers at instance.api_url"),
        (raw(http_bytes(b"<html>", "text/html")), 4, "jwk-remote-invalid"),
        (raw(http_bytes(b"no", status="404 Not Found")), 4, "jwk-remote-failed-to-load"),
    ],
    ids=["good", "refused", "what to do", "HTML", "404"],
)
async def test_the_source_is_asked_where_that_is_wanted(config: Path, capsys, script, code: int, said: str) -> None:
    async with serving(script) as url:
        write_with_keys(config, url)
        assert await asyncio.to_thread(run, ["check", "--config", str(config)]) == 0
        assert f"keys: from {url}/v1/jwks\n" in capsys.readouterr().err
        assert await asyncio.to_thread(run, ["check", "--config", str(config), "--keys"]) == code
        assert said in capsys.readouterr().err
        assert await asyncio.to_thread(run, ["check", "--config", str(config), "--keys", "--json"]) == code
        result = json.loads(capsys.readouterr().out)
        assert (result["ok"], result["keys"]["source"]) == (code == 0, f"{url}/v1/jwks")
        assert (result["keys"]["state"] == "fresh") is (code == 0)


async def test_what_the_key_file_holds_is_said_and_nothing_is_written(config: Path, capsys, caplog) -> None:
    path = config.with_name("keys.json")
    write_with_keys(config, "http://127.0.0.1:9", path)

    def said() -> str:
        assert run(["check", "--config", str(config)]) == 0
        return str(capsys.readouterr().err)

    write_with_keys(config, "http://127.0.0.1:9", config.with_name("no") / "keys.json")
    assert "keys.json cannot be written: its folder is not there; make it" in " ".join(said().split())
    write_with_keys(config, "http://127.0.0.1:9", path)
    assert f"{path} is not there yet" in said()
    assert not path.exists()
    await KeyFile(path, KEY, 3600).keep(key_set(jwks("key_1")))
    assert re.search(rf"{path} holds keys of \d+ s ago", said())
    path.chmod(0o666)
    assert f"{path} holds no keys that can be used" in said()
    assert "others may write it" in caplog.text


def test_a_pinned_key_comes_from_the_settings(config: Path, capsys, monkeypatch) -> None:
    key = signer("key_1").private_key.public_key()
    monkeypatch.setenv("CLERK_JWT_KEY", key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
    config.write_text(GOOD)
    assert run(["check", "--config", str(config), "--keys"]) == 0
    assert "keys: from instance.jwt_key; asked: pinned" in capsys.readouterr().err


def test_the_fronts_that_may_ask_are_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = '[decide]\nfronts = ["nginx", "caddy"]\ntrusted = ["127.0.0.1/32", "10.0.0.0/8"]\n'
    config.write_text(GOOD + asked)
    assert run(["check", "--config", str(config)]) == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert "decisions: for nginx, caddy, asked from 127.0.0.1/32, 10.0.0.0/8" in shown
    assert run(["check", "--config", str(config), "--json"]) == 0
    decide = json.loads(capsys.readouterr().out)["decide"]
    assert decide == {"fronts": ["nginx", "caddy"], "trusted": ["127.0.0.1/32", "10.0.0.0/8"]}
