"""Session events from a running authority: what a receiver gets, and what a crash does not lose."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.e2e.processes import Command, free_port, free_ports

pytestmark = pytest.mark.e2e

TIMEOUT_S = 30


class Receiver:
    """An application's endpoint; takes what is signed with its secret."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook"
        self.arrived: queue.Queue[tuple[dict[str, str], str]] = queue.Queue()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self.send_response(204)
                self.end_headers()
                outer.arrived.put((dict(self.headers.items()), body))

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def next(self, secret: str) -> tuple[str, dict[str, Any]]:
        """The id and the content of the next message, after checking its signature."""
        headers, body = self.arrived.get(timeout=TIMEOUT_S)
        event: dict[str, Any] = Webhook(secret).verify(body, headers)
        return {name.lower(): value for name, value in headers.items()}["svix-id"], event


@contextmanager
def receiving(port: int) -> Iterator[Receiver]:
    receiver = Receiver(port)
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join(5)


def started(command: Command) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(command.wait_for(r"^\{.*\}$")[0])
    return described


def backend(described: dict[str, Any]) -> httpx.Client:
    key = {"Authorization": f"Bearer {described['secret_key']}"}
    return httpx.Client(base_url=described["api_url"], headers=key, trust_env=False)


@pytest.mark.parametrize("more", [(), ("--control", "127.0.0.1:0")])
def test_signing_in_signing_out_and_revoking_are_told(more: tuple[str, ...]) -> None:
    with receiving(free_port()) as receiver:
        arguments = ("authority", "--listen", "127.0.0.1:0", "--json", "--webhook", receiver.url, *more)
        with Command(*arguments) as authority:
            described = started(authority)
            secret = described["webhooks"][0]["signing_secret"]
            user_id = described["users"][0]["id"]
            with httpx.Client(base_url=described["api_url"], trust_env=False) as browser, backend(described) as api:
                assert browser.post("/sign-in", data={"user_id": user_id}).status_code == 200
                _, created = receiver.next(secret)
                assert browser.post("/sign-out").status_code == 200
                _, ended = receiver.next(secret)
                session_id = api.post("/v1/sessions", json={"user_id": user_id}).json()["id"]
                receiver.next(secret)
                api.post(f"/v1/sessions/{session_id}/revoke")
                _, revoked = receiver.next(secret)
            assert [event["type"] for event in (created, ended, revoked)] == [
                "session.created",
                "session.ended",
                "session.revoked",
            ]
            assert created["data"]["id"] == ended["data"]["id"] != session_id
            assert revoked["data"]["id"] == session_id
            assert created["data"]["user"]["id"] == user_id
            assert secret not in "\n".join(line for line in authority.lines if not line.startswith("{"))


def test_nothing_is_lost_when_the_authority_is_killed_and_its_receiver_is_down(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/hook"
    listen = f"127.0.0.1:{free_port()}"
    arguments = ("authority", "--listen", listen, "--json", "--db", str(tmp_path / "a.db"), "--webhook", url)
    with Command(*arguments) as authority:
        described = started(authority)
        with backend(described) as api:
            made = [
                api.post("/v1/sessions", json={"user_id": described["users"][0]["id"]}).json()["id"] for _ in range(20)
            ]
        authority.kill()
    with receiving(port) as receiver, Command(*arguments) as authority:
        again = started(authority)
        assert again["webhooks"] == described["webhooks"]
        messages: dict[str, str] = {}
        while len(messages) < len(made):
            message_id, event = receiver.next(again["webhooks"][0]["signing_secret"])
            assert messages.setdefault(message_id, event["data"]["id"]) == event["data"]["id"]
        assert sorted(messages.values()) == sorted(made)


def test_an_endpoint_that_is_added_while_everything_runs_in_one_process_is_told(tmp_path: Path) -> None:
    db = str(tmp_path / "authority.db")
    port = free_ports(3)[0]
    with (
        receiving(free_port()) as receiver,
        receiving(free_port()) as first,
        Command("dev", "--port", str(port), "--db", db, "--webhook", first.url) as dev,
    ):
        api_url = dev.wait_for(r"CLERK_API_URL=(\S+)")[1]
        first_secret = dev.wait_for(r"CLERK_WEBHOOK_SIGNING_SECRET=(\S+)")[1]
        with Command("authority", "webhooks", "add", receiver.url, "--db", db, "--json") as add:
            assert add.wait() == 0
        secret = json.loads(add.output)["signing_secret"]
        with httpx.Client(base_url=api_url, trust_env=False) as browser:
            page = browser.get("/sign-in").text
            user_id = page.partition('value="user_')[2].partition('"')[0]
            assert browser.post("/sign-in", data={"user_id": f"user_{user_id}"}).status_code == 200
        _, event = receiver.next(secret)
        assert (event["type"], event["data"]["user_id"]) == ("session.created", f"user_{user_id}")
        assert first.next(first_secret)[1] == event
