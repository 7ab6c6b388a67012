"""``gateway sessions`` as a person and as a pipeline use it: the real command against a real authority."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from gateway.sessions import BlockingSessionsClient
from tests.e2e.processes import Command, clean_environment

pytestmark = pytest.mark.e2e

SESSIONS = [sys.executable, "-m", "gateway", "sessions"]


@pytest.fixture(scope="module")
def described() -> Iterator[dict[str, object]]:
    with Command("authority", "--listen", "127.0.0.1:0", "--json") as authority:
        yield json.loads(authority.wait_for(r"^\{.*\}$")[0])


@pytest.fixture(scope="module")
def environment(described: dict[str, object]) -> dict[str, str]:
    return clean_environment(CLERK_SECRET_KEY=str(described["secret_key"]), CLERK_API_URL=str(described["api_url"]))


@pytest.fixture
def sessions(described: dict[str, object]) -> Iterator[BlockingSessionsClient]:
    with BlockingSessionsClient(str(described["secret_key"]), api_url=str(described["api_url"])) as opened:
        yield opened


class Terminal:
    """A command at a terminal of 80 columns."""

    def __init__(self, *arguments: str, env: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*SESSIONS, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**env, "COLUMNS": "80", "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        while text not in self.seen:
            assert self._read(), self.seen

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def interrupt(self) -> int:
        """Do what Ctrl-C does where the terminal is the command's own."""
        while self.process.poll() is None:
            # Python misses a signal that comes between the prompt and the wait for a line; a person presses again.
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(2)
        return self.end()

    def end(self) -> int:
        while self._read():
            pass
        os.close(self._master)
        return self.process.wait(30)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 30)
        assert ready, f"nothing more after:\n{self.seen}"
        try:
            data = os.read(self._master, 4096)
        except OSError:  # Linux says so when the last user of the terminal has gone
            return False
        self.seen += data.decode().replace("\r\n", "\n")
        return bool(data)


def test_a_person_lists_looks_and_revokes(described, environment, sessions):
    user_id = described["users"][0]["id"]
    made = sessions.create(user_id)
    listing = Terminal("list", "--user", user_id, env=environment)
    assert listing.end() == 0
    assert re.search(rf"^{made.id}  active +[-0-9: ]+Z$", listing.seen, re.MULTILINE)
    assert "no room for CREATED, CLIENT, USER; a wider terminal or --json shows all" in listing.seen
    assert max(map(len, listing.seen.splitlines())) <= 80
    assert "\x1b" not in listing.seen

    declined = Terminal("revoke", made.id, env=environment)
    declined.wait_for("Revoke this session? Its user must sign in again. [y/N]: ")
    assert f"user          {user_id}\n" in declined.seen
    declined.type(b"n\n")
    assert declined.end() == 1
    assert "nothing was revoked" in declined.seen

    interrupted = Terminal("revoke", made.id, env=environment)
    interrupted.wait_for("[y/N]: ")
    assert interrupted.interrupt() == 130
    assert "Traceback" not in interrupted.seen
    assert sessions.get(made.id).status == "active"

    agreed = Terminal("revoke", made.id, env=environment)
    agreed.wait_for("[y/N]: ")
    agreed.type(b"y\n")
    assert agreed.end() == 0
    assert sessions.get(made.id).status == "revoked"


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_leaves_is_no_fault(described, environment, sessions, form):
    user_id = described["users"][1]["id"]
    while len(list(sessions.iterate(user_id=user_id, page_size=500))) < 600:
        for _ in range(200):
            sessions.create(user_id)
    with subprocess.Popen(
        [*SESSIONS, "list", "--user", user_id, "--all", *form],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline()
        command.stdout.close()
        assert command.stderr.read() == ""
        assert command.wait(30) == 1


def test_a_pipeline_revokes_what_it_lists(described, environment, sessions):
    user_id = described["users"][2]["id"]
    made = {sessions.create(user_id).id for _ in range(3)}
    listed = subprocess.run(
        [*SESSIONS, "list", "--user", user_id, "--status", "active", "--all", "--json"],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    ids = "\n".join(item["id"] for item in json.loads(listed.stdout)["data"])
    done = subprocess.run(
        [*SESSIONS, "revoke", "-", "--yes"], input=ids, capture_output=True, text=True, env=environment, check=True
    )
    assert done.stderr == "3 of 3 sessions revoked\n"
    assert {each.id for each in sessions.iterate(user_id=user_id, status="revoked")} == made


def test_an_interrupted_call_ends_with_130(environment):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        command = subprocess.Popen(
            [*SESSIONS, "get", "sess_1", "--api-url", url], stderr=subprocess.PIPE, text=True, env=environment
        )
        connection, _ = silent.accept()  # it waits for an answer now
        with connection:
            command.send_signal(signal.SIGINT)
            _, told = command.communicate(timeout=30)
    assert (command.returncode, told) == (130, "\n")
