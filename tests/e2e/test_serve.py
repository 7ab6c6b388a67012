"""``gateway serve`` in front of a real upstream, with a real authority as another process."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.processes import Command, clean_environment, free_port

pytestmark = pytest.mark.e2e


class Upstream(ThreadingHTTPServer):
    """Answers what it received; ``/slow`` waits until :attr:`may_answer` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.may_answer = threading.Event()
        self.is_waiting = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Upstream)
        if self.path == "/slow":
            self.server.is_waiting.set()
            self.server.may_answer.wait(20)
        body = json.dumps({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Site:
    """An authority, an upstream and a gateway between them."""

    authority: Command
    described: dict[str, Any]
    upstream: Upstream
    gateway: Command
    url: str

    def mint(self, lifetime_s: int | None = 300) -> str:
        """A session token from the authority's Sessions API; None for the authority's own lifetime."""
        headers = {"authorization": f"Bearer {self.described['secret_key']}"}
        with httpx.Client(base_url=self.described["api_url"], headers=headers, trust_env=False) as api:
            session = api.post("/v1/sessions", json={"user_id": self.described["users"][0]["id"]}).json()
            body = {"expires_in_seconds": lifetime_s} if lifetime_s else {}
            token: str = api.post(f"/v1/sessions/{session['id']}/tokens", json=body).json()["jwt"]
            return token


def config_of(described: dict[str, Any], upstream: str, listen: str, more: str = "") -> str:
    return f"""
[instance]
publishable_key = "{described["publishable_key"]}"
secret_key = "{described["secret_key"]}"
api_url = "{described["api_url"]}"
proxy_url = "{described["frontend_api_url"]}"
sign_in_url = "{described["frontend_api_url"]}/sign-in"

[server]
listen = "{listen}"

[refresh]
budget_ms = 1000

[log]
access = true

[[routes]]
path = "/"
upstream = "{upstream}"

[[routes]]
path = "/down"
access = "public"
upstream = "http://127.0.0.1:9"
{more}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    upstream = Upstream()
    with Command("authority", "--listen", "127.0.0.1:0", "--json", "--token-lifetime", "2") as authority:
        described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        port = free_port()
        config = tmp_path / "config.toml"
        config.write_text(config_of(described, upstream.url, f"127.0.0.1:{port}"))
        with Command("serve", "--config", str(config)) as gateway:
            gateway.wait_for("listens on")
            yield Site(authority, described, upstream, gateway, f"http://127.0.0.1:{port}")
    upstream.shutdown()
    upstream.server_close()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_session_token_opens_the_way_and_its_claims_arrive(site: Site) -> None:
    answer = httpx.get(f"{site.url}/a?b=c", headers=bearer(site.mint()), trust_env=False)

    assert answer.status_code == 200
    assert answer.json()["path"] == "/a?b=c"
    headers = answer.json()["headers"]
    assert headers["x-session-user-id"] == site.described["users"][0]["id"]
    assert headers["x-session-status"] == "signed-in"
    assert "authorization" not in headers
    site.gateway.wait_for("200 +GET +/a .*signed-in .*signature")


def test_the_gateways_own_endpoints_answer(site: Site) -> None:
    assert httpx.get(f"{site.url}/.gateway/healthz", trust_env=False).status_code == 200
    assert httpx.get(f"{site.url}/.gateway/readyz", trust_env=False).json()["status"] == "ready"
    assert httpx.get(f"{site.url}/.gateway/whoami", trust_env=False).status_code == 401
    whoami = httpx.get(f"{site.url}/.gateway/whoami", headers=bearer(site.mint()), trust_env=False)
    assert whoami.json()["user_id"] == site.described["users"][0]["id"]


def test_signed_in_requests_go_on_when_the_authority_is_killed_and_a_refresh_fails_in_bounded_time(site: Site) -> None:
    token = site.mint()
    assert httpx.get(site.url, headers=bearer(token), trust_env=False).status_code == 200
    session = httpx.get(f"{site.url}/.gateway/whoami", headers=bearer(token), trust_env=False).json()
    assert session["how"] == "cache"
    other = site.mint()
    expired = site.mint(None)

    site.authority.kill()

    assert httpx.get(site.url, headers=bearer(token), trust_env=False).status_code == 200
    assert httpx.get(site.url, headers=bearer(other), trust_env=False).status_code == 200
    # The token's own time has to pass: two seconds, and the five of clock_skew_s.
    deadline = time.monotonic() + 30
    suffix = suffix_of(site.described["publishable_key"])
    cookies = {"cookie": f"__refresh_{suffix}=anything"}
    while True:
        started = time.monotonic()
        answer = httpx.get(site.url, headers={**bearer(expired), **cookies}, trust_env=False, timeout=10)
        if answer.status_code != 200:
            break
        assert time.monotonic() < deadline
        time.sleep(0.25)
    assert answer.status_code == 401
    assert answer.json()["reason"] == "session-token-expired-refresh-fetch-error"
    assert time.monotonic() - started < 3
    assert httpx.get(site.url, headers=bearer(token), trust_env=False).status_code == 200


def suffix_of(publishable_key: str) -> str:
    import base64
    import hashlib

    return base64.urlsafe_b64encode(hashlib.sha1(publishable_key.encode()).digest())[:8].decode()


def test_an_upstream_that_is_down_is_a_502_with_a_reason(site: Site) -> None:
    answer = httpx.get(f"{site.url}/down", trust_env=False)
    assert answer.status_code == 502
    assert answer.json()["reason"] == "upstream-unreachable"
    page = httpx.get(f"{site.url}/down", headers={"accept": "text/html"}, trust_env=False)
    assert page.headers["content-type"].startswith("text/html")
    assert "upstream-unreachable" in page.text


def test_on_sigterm_requests_in_flight_finish_and_new_ones_are_refused(site: Site) -> None:
    token = site.mint()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.get, f"{site.url}/slow", headers=bearer(token), trust_env=False, timeout=20)
        assert site.upstream.is_waiting.wait(10)
        site.gateway.signal(signal.SIGTERM)
        host, port = site.url.removeprefix("http://").split(":")
        while True:
            try:
                socket.create_connection((host, int(port)), 1).close()
            except OSError:
                break
        site.upstream.may_answer.set()
        assert slow.result(20).status_code == 200
    assert site.gateway.wait() == 0


@pytest.mark.parametrize(
    "cookie",
    ["__session=%", "__session=" + "a" * 3000, "__session=\x80\xff", "=", ";;;", "__session=a.b.c; __session=d.e.f"],
    ids=["a lone percent", "long", "not ASCII", "no name", "nothing", "twice"],
)
def test_a_malformed_cookie_is_a_401_and_never_a_500(site: Site, cookie: str) -> None:
    with socket.create_connection(("127.0.0.1", int(site.url.rsplit(":", 1)[1])), 5) as raw:
        raw.sendall(
            b"GET / HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\nCookie: " + cookie.encode("latin-1") + b"\r\n\r\n"
        )
        answer = b""
        while piece := raw.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 401"), answer[:200]


def test_wrong_and_missing_settings_are_listed_at_once(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[instance]\npublishable_key = "pk_live_x"\nsekret_key = "a"\n[[routes]]\npath = "x"\nacces = "public"\n'
    )
    for command in ("check", "serve"):
        with Command(command, "--config", str(config)) as done:
            assert done.wait() == 2
        for name in ("instance.publishable_key", "instance.sekret_key", "routes[0].path", "routes[0].acces"):
            assert name in done.output.replace("\n", ""), done.output
        assert "Traceback" not in done.output


def test_a_port_in_use_is_exit_code_3(site: Site, tmp_path: Path) -> None:
    config = tmp_path / "second.toml"
    config.write_text(config_of(site.described, site.upstream.url, site.url.removeprefix("http://")))
    with Command("serve", "--config", str(config)) as done:
        assert done.wait() == 3
    assert "server.listen" in done.output
    assert "Traceback" not in done.output


def test_a_wrong_secret_key_or_an_api_out_of_reach_is_a_503_with_its_reason_and_not_ready(
    site: Site, tmp_path: Path
) -> None:
    token = site.mint()
    wrong = {**site.described, "secret_key": "sk_test_wrong"}
    dead = {**site.described, "api_url": "http://127.0.0.1:9"}
    for described, reason in ((wrong, "secret-key-invalid"), (dead, "jwk-remote-unreachable")):
        port = free_port()
        config = tmp_path / f"{reason}.toml"
        config.write_text(config_of(described, site.upstream.url, f"127.0.0.1:{port}"))
        with Command("serve", "--config", str(config)) as gateway:
            gateway.wait_for("listens on")
            base = f"http://127.0.0.1:{port}"
            ready = httpx.get(f"{base}/.gateway/readyz", trust_env=False, timeout=15)
            answer = httpx.get(base, headers=bearer(token), trust_env=False, timeout=15)
            assert ready.status_code == 503
            assert ready.json()["keys"]["reason"] == reason
            assert answer.status_code == 503
            assert answer.json()["reason"] == reason
            assert int(answer.headers["retry-after"]) > 0
            assert "sk_test_wrong" not in gateway.output


def test_settings_from_the_environment_and_secrets_from_files(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(site.described["secret_key"] + "\n")
    secret.chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[instance]\napi_url = "{site.described["api_url"]}"\nproxy_url = "{site.described["frontend_api_url"]}"\n'
        f'secret_key_file = "{secret}"\n[[routes]]\npath = "/"\nupstream = "{site.upstream.url}"\n'
    )
    port = free_port()
    environment = clean_environment(
        CLERK_PUBLISHABLE_KEY=site.described["publishable_key"],
        GATEWAY_SERVER_LISTEN=f"127.0.0.1:{port}",
        GATEWAY_SERVER_WORKERS="2",
    )
    with Command("serve", "--config", str(config), env=environment) as gateway:
        gateway.wait_for("2 workers")
        answers = [
            httpx.get(f"http://127.0.0.1:{port}", headers=bearer(site.mint()), trust_env=False) for _ in range(6)
        ]
        assert {answer.status_code for answer in answers} == {200}


def test_a_wrong_secret_key_is_said_when_the_server_starts(tmp_path: Path) -> None:
    with Command("authority", "--listen", "127.0.0.1:0", "--json") as authority:
        described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        described["secret_key"] = "sk_test_of_somebody_else"
        port = free_port()
        config = tmp_path / "config.toml"
        config.write_text(config_of(described, "http://127.0.0.1:9", f"127.0.0.1:{port}"))
        with Command("serve", "--config", str(config)) as gateway:
            gateway.wait_for("the keys cannot be loaded: secret-key-invalid: the API refuses instance.secret_key")
            gateway.wait_for("listens on")
            answer = httpx.get(f"http://127.0.0.1:{port}/.gateway/readyz", trust_env=False)
            assert (answer.status_code, answer.json()["keys"]["reason"]) == (503, "secret-key-invalid")
            assert "somebody_else" not in gateway.output


def test_a_restart_while_the_authority_is_down_comes_up_with_the_key_file(site: Site, tmp_path: Path) -> None:
    token = site.mint()
    config = tmp_path / "with-file.toml"
    port = free_port()
    file = '[keys]\ncache_file = "keys.json"\n'
    config.write_text(config_of(site.described, site.upstream.url, f"127.0.0.1:{port}", file))
    for is_up in (True, False):
        with Command("serve", "--config", str(config)) as gateway:
            gateway.wait_for("listens on")
            answer = httpx.get(f"http://127.0.0.1:{port}", headers=bearer(token), trust_env=False)
            assert answer.status_code == 200
            ready = httpx.get(f"http://127.0.0.1:{port}/.gateway/readyz", trust_env=False).json()
            assert ready["keys"]["state"] == ("fresh" if is_up else "from-file")
        if is_up:
            site.authority.kill()
