"""``gateway authority --control``: where it may listen, and what a client sees of each fault over a real socket."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import httpx
import pytest

from gateway.authority.control import Effect, Rule
from gateway.cli.authority_control import control_address
from gateway.cli.main import run
from gateway.core.instance import InstanceKind
from gateway.core.settings_model import Address
from gateway.errors import ConfigurationError
from gateway.sessions.client import SessionsClient

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("CLERK_")}
HEAD_END = b"\r\n\r\n"
ENDED, RESET, SILENT = "FIN", "RST", "nothing"


@dataclass
class Running:
    """A real ``gateway authority --control``."""

    told: dict
    process: subprocess.Popen[str]
    client: httpx.Client

    @property
    def api_url(self) -> str:
        return self.told["api_url"]

    def misbehave(self, **rule: object) -> None:
        assert self.client.delete(f"{self.told['control_url']}/faults").status_code == 200
        assert self.client.post(f"{self.told['control_url']}/faults", json=rule).status_code == 201

    def ask(self, path: str) -> tuple[bytes, bytes, str]:
        """Head and body as they came over a socket, and how it ended."""
        url = httpx.URL(self.api_url)
        received, ending = b"", ENDED
        with socket.create_connection((url.host, url.port), timeout=0.5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\n\r\n".encode())
            try:
                while more := connection.recv(65536):
                    received += more
            except ConnectionResetError:
                ending = RESET
            except TimeoutError:
                ending = SILENT
        head, _, body = received.partition(HEAD_END)
        return head.lower(), body, ending


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    command = [sys.executable, "-m", "gateway", "authority", "--listen", "127.0.0.1:0", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=CLEAN) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with started("--control", "127.0.0.1:0") as (process, told), httpx.Client(trust_env=False) as client:
        yield Running(told, process, client)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("effect", "begins", "ending"),
    [
        ("hang", False, SILENT),
        ("close", False, ENDED),
        ("reset", False, RESET),
        ("reset_midway", True, RESET),
        ("truncate", True, ENDED),
    ],
)
def test_what_a_socket_sees_of_each_effect(running, effect, begins, ending):
    running.misbehave(operation="frontend.getJWKS", effect=effect)
    whole = running.client.get(f"{running.api_url}/v1/jwks", headers=authorized(running)).content
    head, body, seen = running.ask("/.well-known/jwks.json")
    assert seen == ending
    assert head.startswith(b"http/1.1 200 ok") is begins
    if effect in ("reset_midway", "truncate"):
        assert body == whole[: len(whole) // 2]
        assert f"content-length: {len(whole)}".encode() in head


@pytest.mark.e2e
def test_a_dripping_answer_never_ends_and_no_single_wait_is_long(running):
    running.misbehave(operation="frontend.getJWKS", effect="drip", drip_ms=1)
    with (
        httpx.Client(trust_env=False, timeout=5) as client,
        client.stream("GET", running.told["jwks_url"]) as answer,
    ):
        assert answer.headers["transfer-encoding"] == "chunked"
        seen = b""
        for chunk in answer.iter_raw():
            seen += chunk
            if len(seen) >= 20:
                break
    assert not seen.strip()


def authorized(running: Running) -> dict[str, str]:
    return {"Authorization": f"Bearer {running.told['secret_key']}"}


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("effect", "raised"),
    [
        ("hang", httpx.ReadTimeout),
        ("close", httpx.RemoteProtocolError),
        ("reset", httpx.ReadError),
        ("reset_midway", httpx.ReadError),
        ("truncate", httpx.RemoteProtocolError),
    ],
)
def test_what_httpx_makes_of_each_effect(running, effect, raised):
    running.misbehave(operation="frontend.getJWKS", effect=effect, times=1)
    with httpx.Client(trust_env=False, timeout=0.5) as client:
        with pytest.raises(raised):
            client.get(running.told["jwks_url"])
        assert client.get(running.told["jwks_url"]).status_code == 200


@pytest.mark.e2e
def test_a_reset_after_the_operation_loses_the_answer_and_not_the_session(running):
    running.misbehave(operation="createSession", effect="reset", is_performed=True)
    sessions = f"{running.api_url}/v1/sessions"
    user_id = running.told["users"][1]["id"]
    with pytest.raises(httpx.ReadError):
        running.client.post(sessions, json={"user_id": user_id}, headers=authorized(running))
    listed = running.client.get(sessions, params={"user_id": user_id}, headers=authorized(running)).json()
    assert [each["status"] for each in listed] == ["active"]


@pytest.mark.e2e
async def test_our_own_client_waits_as_it_is_told_and_asks_again(running):
    running.misbehave(operation="GetSessionList", status=429, retry_after_s=0, times=1)
    async with SessionsClient(running.told["secret_key"], api_url=running.api_url) as client:
        await client.list()
    met = running.client.get(f"{running.told['control_url']}/faults").json()["faults"]
    assert [each["hits"] for each in met] == [1]


@pytest.mark.e2e
def test_the_clock_of_the_process_is_turned(running):
    clock = f"{running.told['control_url']}/clock"
    running.misbehave(operation="health", latency_ms=1)
    running.client.post(clock, json={"set_s": 1_900_000_000, "is_frozen": True})
    made = running.client.post(
        f"{running.api_url}/v1/sessions",
        json={"user_id": running.told["users"][0]["id"]},
        headers=authorized(running),
    )
    running.client.delete(clock)
    assert made.json()["created_at"] == 1_900_000_000_000


@pytest.mark.e2e
def test_it_is_announced_warned_of_and_ends_on_a_signal_while_a_client_hangs():
    with started("--control", "127.0.0.1:0") as (process, told), httpx.Client(trust_env=False) as client:
        client.post(f"{told['control_url']}/faults", json={"effect": "hang"})
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"{told['api_url']}/healthz", timeout=0.2)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    assert f"warning: {told['control_url']} turns the clock and the answers" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--control", "0.0.0.0:0"], "other machines could reach it"),
        (["--control", "0.0.0.0:0", "--allow-remote"], "other machines could reach it"),
        (["--control", "192.0.2.1:9001"], "write 127.0.0.1 for the host"),
        (["--control", "example.com:9001"], "other machines could reach it"),
        (["--control", "[::]:9001"], "other machines could reach it"),
        (["--control", "9001"], "it is no host and port"),
        (["--control", "127.0.0.1:99999"], "it is no host and port"),
    ],
)
def test_a_control_port_that_others_could_reach_is_refused(arguments, said, capsys, monkeypatch):
    for name in ("CLERK_SECRET_KEY", "CLERK_PUBLISHABLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert run(["authority", "--listen", "127.0.0.1:0", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_page_names_every_effect_and_member_of_a_rule():
    page = (Path(__file__).parents[2] / "docs" / "authority.md").read_text(encoding="utf-8")
    section = page.partition("## Tests and faults")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert {each.value for each in Effect} - {"answer"} <= named
    assert {each.name for each in fields(Rule)} <= named


def test_production_has_no_control_port():
    with pytest.raises(ConfigurationError, match="this one is of production"):
        control_address("127.0.0.1:0", InstanceKind.PRODUCTION, set())


def test_the_control_port_is_another_one_than_those_in_use():
    with pytest.raises(ConfigurationError, match="listens there already"):
        control_address("127.0.0.1:8001", InstanceKind.DEVELOPMENT, {8001})
    found = control_address("localhost:0", InstanceKind.DEVELOPMENT, {8001})
    assert found == Address("localhost", found.port)
    assert found.port not in (0, 8001)
