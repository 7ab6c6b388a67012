"""Keys are rotated from the command line under load, in front of two gateways: no request is refused."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx
import jwt
import pytest
from clerk_backend_api.security.types import VerifyTokenOptions
from clerk_backend_api.security.verifytoken import verify_token

from tests.e2e.processes import Command, clean_environment, free_port
from tests.e2e.test_serve import Upstream, bearer, config_of

pytestmark = pytest.mark.e2e

WAIT_S = 30.0
TOKEN_S = 30


class Load:
    """Clients that make tokens and use them, new and older ones, at every gateway, until it is left."""

    def __init__(self, described: dict, gateways: list[str]) -> None:
        self._described = described
        self._gateways = gateways
        self._is_over = threading.Event()
        self._moved = threading.Condition()
        self._tokens: list[tuple[str, str, float]] = []  # id of the key, token, when it was made
        self._retired: set[str] = set()
        self.refused: list[str] = []
        self.passed: dict[tuple[str, str], int] = {}  # gateway and id of the key, to number of answers
        self._pool = ThreadPoolExecutor(4)

    def __enter__(self) -> Self:
        self._clients = [self._pool.submit(self._use) for _ in range(3)]
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._pool.shutdown()

    def until_used(self, kid: str, times: int = 20) -> None:
        """Wait until tokens of this key have passed every gateway so often since now."""
        with self._moved:
            before = dict(self.passed)
            places = [(gateway, kid) for gateway in self._gateways]
            assert self._moved.wait_for(
                lambda: (
                    bool(self.refused)
                    or all(self.passed.get(place, 0) >= before.get(place, 0) + times for place in places)
                ),
                WAIT_S,
            ), f"nothing passed: {self.passed}, {[client.exception() for client in self._clients if client.done()]}"

    def stop_using(self, kid: str) -> None:
        """The tokens of this key have been thrown away."""
        with self._moved:
            self._retired.add(kid)

    def newest(self) -> str:
        return self._tokens[-1][1]

    def _use(self) -> None:
        key = {"authorization": f"Bearer {self._described['secret_key']}"}
        with (
            httpx.Client(base_url=self._described["api_url"], headers=key, trust_env=False) as api,
            httpx.Client(trust_env=False, timeout=WAIT_S) as browser,
        ):
            session = api.post("/v1/sessions", json={"user_id": self._described["users"][0]["id"]}).json()["id"]
            while not self._is_over.is_set():
                body = {"expires_in_seconds": TOKEN_S}
                token = api.post(f"/v1/sessions/{session}/tokens", json=body).json()["jwt"]
                kid = jwt.get_unverified_header(token)["kid"]
                with self._moved:
                    self._tokens.append((kid, token, time.monotonic()))
                for gateway in self._gateways:
                    self._send(browser, gateway, kid, token)
                    self._send(browser, gateway, *self._older())

    def _older(self) -> tuple[str, str]:
        with self._moved:
            young = [
                (kid, token)
                for kid, token, made_s in self._tokens[-500:]
                if kid not in self._retired and time.monotonic() - made_s < TOKEN_S / 2
            ]
        return random.choice(young)

    def _send(self, browser: httpx.Client, gateway: str, kid: str, token: str) -> None:
        answer = browser.get(gateway, headers=bearer(token))
        with self._moved:
            if answer.status_code != 200 and kid not in self._retired:
                self.refused.append(f"{answer.status_code} of {gateway} for {kid}: {answer.text}")
            self.passed[gateway, kid] = self.passed.get((gateway, kid), 0) + 1
            self._moved.notify_all()


class Site:
    """An authority on a file; gateways are started when a test wants them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self.db = str(folder / "authority.db")
        authority = stack.enter_context(Command("authority", "--listen", "127.0.0.1:0", "--json", "--db", self.db))
        self.described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        self.upstream = Upstream()
        stack.callback(self.upstream.server_close)
        stack.callback(self.upstream.shutdown)

    def gateways(self, count: int) -> list[str]:
        started = []
        for _ in range(count):
            port = free_port()
            config = self._folder / f"{port}.toml"
            more = "[keys]\ncool_down_s = 1\n"
            config.write_text(config_of(self.described, self.upstream.url, f"127.0.0.1:{port}") + more)
            started.append((port, self._stack.enter_context(Command("serve", "--config", str(config)))))
        for _, gateway in started:
            gateway.wait_for("listens on")
        return [f"http://127.0.0.1:{port}/" for port, _ in started]

    def keys(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "gateway", "authority", "keys", *arguments, "--db", self.db, "--json"]
        return subprocess.run(
            line, capture_output=True, text=True, env=clean_environment(), check=False, timeout=WAIT_S
        )

    def in_stage(self, stage: str) -> str:
        (kid,) = [key["kid"] for key in json.loads(self.keys("list").stdout)["data"] if key["stage"] == stage]
        return kid

    def published(self) -> set[str]:
        answer = httpx.get(self.described["jwks_url"], trust_env=False).json()
        return {key["kid"] for key in answer["keys"]}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack, tmp_path)


def test_no_request_is_refused_while_keys_are_published_sign_and_go(site: Site) -> None:
    first = site.in_stage("signing")
    assert site.keys("generate").returncode == 0
    second = site.in_stage("published")
    gateways = site.gateways(2)
    with Load(site.described, gateways) as load:
        load.until_used(first)
        # everybody knows the key that signs from now on
        assert site.keys("rotate", "--sign-after", "0").returncode == 0
        load.until_used(second)
        # nobody knows the next one
        assert site.keys("rotate", "--sign-after", "0").returncode == 0
        third = site.in_stage("signing")
        load.until_used(third)
        refused = site.keys("retire", first)
        assert refused.returncode == 1
        assert f"{first} is needed until" in refused.stderr
        load.stop_using(first)
        assert site.keys("retire", first, "--force").returncode == 0
        load.until_used(second)
        load.until_used(third)
        assert site.published() == {second, third}
    assert load.refused == []
    options = VerifyTokenOptions(secret_key=site.described["secret_key"], api_url=site.described["api_url"])
    assert verify_token(load.newest(), options)["sub"] == site.described["users"][0]["id"]
