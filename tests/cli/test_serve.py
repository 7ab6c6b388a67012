"""gateway serve, as a process."""

import http.client
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.cli.main import run
from gateway.cli.serve import _shared_folder, ready_line, start_logging
from gateway.cli.serving import reserve
from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.settings import Address, LogSettings, parse

KEY = PublishableKey.encode(InstanceKind.DEVELOPMENT, "clerk.example.com").value
# The API's address is one that nobody listens on, so nothing leaves this machine.
CONFIG = f"""
[instance]
publishable_key = "{KEY}"
secret_key = "sk_test_abc"
api_url = "http://127.0.0.1:9"
[server]
listen = "127.0.0.1:0"
drain_s = 2
[[routes]]
upstream = "http://127.0.0.1:9"
"""
DEADLINE_S = 20


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(CONFIG)
    return file


def environ(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "CLERK_"))}
    return {**kept, **changes}


def serve(config: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ(**variables),
    )


@pytest.fixture
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    process = serve(config)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.e2e
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_serves_and_stops(running: subprocess.Popen[str], stop: signal.Signals) -> None:
    assert running.stderr
    line = running.stderr.readline()
    found = re.fullmatch(
        r"Session Gateway listens on http://127\.0\.0\.1:(\d+) \(1 route, development instance, 1 worker\)\n", line
    )
    assert found, line
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=DEADLINE_S)
    connection.request("GET", "/.gateway/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    running.send_signal(stop)
    assert running.wait(DEADLINE_S) == 0
    assert "Traceback" not in running.stderr.read()


@pytest.mark.e2e
@pytest.mark.parametrize("bound", ["MAX_CONNECTIONS", "MAX_CONNECTIONS_PER_ADDRESS"])
def test_connections_are_bounded_by_the_settings(config: Path, bound: str) -> None:
    process = serve(config, **{f"GATEWAY_SERVER_{bound}": "1"})
    try:
        assert process.stderr
        port = int(process.stderr.readline().partition("http://127.0.0.1:")[2].split()[0])
        first, second = (http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S) for _ in range(2))
        statuses = []
        for connection in (first, second):
            connection.request("GET", "/.gateway/healthz")
            answer = connection.getresponse()
            statuses.append((answer.status, answer.getheader("x-clerk-auth-reason")))
        assert statuses == [(200, None), (503, "gateway-overloaded")]
        first.close()
        second.close()
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)


@pytest.mark.e2e
def test_heads_and_idle_connections_have_the_time_that_the_settings_say(config: Path) -> None:
    process = serve(config, GATEWAY_SERVER_HEAD_TIMEOUT_S="0.1", GATEWAY_SERVER_KEEP_ALIVE_S="1")
    try:
        assert process.stderr
        port = int(process.stderr.readline().partition("http://127.0.0.1:")[2].split()[0])
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
            client.sendall(b"GET / HT")
            assert client.recv(65_536).startswith(b"HTTP/1.1 408 ")
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
            client.sendall(b"GET /.gateway/healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
            assert client.recv(65_536) == b""
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)


@pytest.mark.e2e
def test_for_machines_every_line_is_an_object(config: Path) -> None:
    config.write_text(CONFIG + '[log]\nformat = "json"\n')
    process = serve(config)
    try:
        assert process.stderr
        lines = [json.loads(process.stderr.readline()) for _ in range(2)]
    finally:
        process.terminate()  # killed, it would leave its worker behind
        process.communicate(timeout=DEADLINE_S)
    said = {line["level"]: line["message"] for line in lines}
    assert said["info"].startswith("Session Gateway listens on http://127.0.0.1:")
    assert said["warning"].startswith("the keys cannot be loaded: jwk-remote-unreachable: ")
    assert "(http://127.0.0.1:9/v1/jwks)" in said["warning"]


@pytest.mark.e2e
def test_a_faulty_configuration_is_exit_2_with_every_fault(config: Path) -> None:
    process = serve(config, GATEWAY_SERVER_WORKERS="0", GATEWAY_LOG_LEVEL="loud")
    _, shown = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2
    assert "server.workers (from GATEWAY_SERVER_WORKERS) = 0" in shown
    assert "log.level" in shown
    assert "Traceback" not in shown


@pytest.mark.e2e
def test_a_port_in_use_is_exit_3(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        process = serve(config, GATEWAY_SERVER_LISTEN=listen)
        _, shown = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 3
    assert shown == f"error: server.listen = {listen}: another program listens there; stop it, or choose another port\n"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_it_runs_in_this_process_too(
    config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in environ().keys() ^ os.environ.keys():
        monkeypatch.delenv(name)
    address = reserve(Address("127.0.0.1", 0))
    monkeypatch.setenv("GATEWAY_SERVER_LISTEN", str(address))
    kept = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def stop_when_ready() -> None:
        deadline = time.monotonic() + DEADLINE_S
        shown = ""
        while "listens on" not in shown and time.monotonic() < deadline:
            shown += capfd.readouterr().err
        os.kill(os.getpid(), signal.SIGTERM)

    stopping = threading.Thread(target=stop_when_ready)
    stopping.start()
    try:
        assert run(["serve", "--config", str(config)]) == 0
    finally:
        stopping.join()
        for each, handler in kept.items():
            signal.signal(each, handler)


def test_workers_without_a_place_for_a_folder_serve_and_a_warning_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    instance = {"publishable_key": KEY, "secret_key": "sk_test_a"}
    settings = parse({"instance": instance, "server": {"workers": 2}}, needs_upstream=False)
    with ExitStack() as until_the_end:
        assert _shared_folder(settings, until_the_end) is None
    shown = capsys.readouterr().err
    assert "warning: refresh.store" in shown
    assert "the workers cannot share refreshes: no folder for temporary files" in shown
    assert "fix: set TMPDIR" in shown


def test_the_line_counts_routes_and_workers() -> None:
    settings = parse(
        {
            "instance": {"publishable_key": KEY, "secret_key": "sk_test_a"},
            "server": {"workers": 3},
            "routes": [{"path": path, "upstream": "http://127.0.0.1:9"} for path in ("/a", "/b")],
        }
    )
    assert ready_line(settings, Address("::1", 80)) == (
        "Session Gateway listens on http://[::1]:80 (2 routes, development instance, 3 workers)"
    )


def test_the_log_level_is_the_least_that_the_gateway_says() -> None:
    own = logging.getLogger("gateway")
    kept = own.level
    try:
        start_logging(LogSettings(level="error"))
        assert not own.getChild("surfaces.gate").isEnabledFor(logging.WARNING)
        start_logging(LogSettings(level="debug"))
        assert own.getChild("adapters.jwks").isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("httpcore").isEnabledFor(logging.INFO)
    finally:
        own.setLevel(kept)
