"""Workers as real processes of a small program."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DEADLINE_S = 20

# Each worker answers every connection with its number and process id, until SIGTERM; then it says that it drains, and
# ends when a line comes. "mode" is what it does instead.
PROGRAM = """
import os, selectors, signal, socket, sys
from gateway.server.processes import Workers

mode, count = sys.argv[1], int(sys.argv[2])
sockets = []
port = 0
for _ in range(count):
    each = socket.socket()
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    each.bind(("127.0.0.1", port))
    each.listen()
    port = each.getsockname()[1]
    sockets.append(each)

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def work(listening, ready, parent_gone):
    number = sockets.index(listening)
    stopped, stop = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(stop, b"x"))
    if mode == "broken" and number == 1:
        return 3
    ready()
    waiting = selectors.DefaultSelector()
    for source in (listening, stopped, parent_gone):
        waiting.register(source, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is listening:
                client, _ = listening.accept()
                client.sendall(b"%d %d" % (number, os.getpid()))
                client.close()
            elif key.fileobj == parent_gone:
                say("orphan", number)
                return 0
            elif mode == "stubborn":
                os.read(stopped, 1)
                say("ignores", number)
            else:
                listening.close()
                say("drains", number)
                return 0

ended = Workers(work, sockets, float(sys.argv[3]), lambda: say("ready", port)).run()
say("ended", ended)
"""


class Program:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout
        self.lines: Iterator[str] = iter(process.stdout.readline, "")

    def line(self) -> str:
        return next(self.lines).strip()

    def rest(self) -> list[str]:
        return sorted(line.strip() for line in self.lines)

    def until_ready(self) -> int:
        word, port = self.line().split()
        assert word == "ready"
        return int(port)


@contextmanager
def running(mode: str = "good", count: int = 2, drain_s: float = DEADLINE_S) -> Iterator[Program]:
    command = [sys.executable, "-c", PROGRAM, mode, str(count), str(drain_s)]
    # A session of its own, so that whatever is left at the end of a failed test can be ended.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=DEADLINE_S)


def ask(port: int) -> tuple[int, int]:
    """Connect once; return number and process id of the worker that answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
        number, pid = client.makefile("rb").read().split()
        return int(number), int(pid)


def ask_all(port: int, count: int = 2) -> dict[int, int]:
    """Connect until every worker has answered."""
    found: dict[int, int] = {}
    while len(found) < count:
        number, pid = ask(port)
        found[number] = pid
    return found


def test_all_of_them_serve_before_it_is_said_and_sigterm_drains_all():
    with running(count=3) as program:
        port = program.until_ready()
        assert len(set(ask_all(port, 3).values())) == 3
        program.process.send_signal(signal.SIGTERM)
        assert program.rest() == ["drains 0", "drains 1", "drains 2", "ended True"]
        assert program.process.wait(DEADLINE_S) == 0


def test_sigint_ends_them_too():
    with running() as program:
        program.until_ready()
        program.process.send_signal(signal.SIGINT)
        assert program.rest() == ["drains 0", "drains 1", "ended True"]


def test_a_lost_worker_is_replaced_while_what_comes_for_it_waits():
    with running() as program:
        port = program.until_ready()
        before = ask_all(port)
        os.kill(before[0], signal.SIGKILL)
        # None of them is refused or reset, whichever socket it is given to.
        answers = [ask(port) for _ in range(40)]
        assert {number for number, _ in answers} == {0, 1}
        after = ask_all(port)
        assert after[0] != before[0]
        assert after[1] == before[1]
        program.process.send_signal(signal.SIGTERM)
        assert program.rest() == ["drains 0", "drains 1", "ended True"]
        assert program.process.stderr
        assert "worker 0 ended by itself (exit code -9); another one takes its place" in program.process.stderr.read()


def test_one_that_cannot_start_ends_all():
    with running("broken", 3) as program:
        shown = program.rest()
        assert shown[-1:] == ["ended False"]
        assert not [line for line in shown if line.startswith("ready")]


def test_one_that_does_not_stop_is_killed_in_the_end():
    with running("stubborn", drain_s=-5) as program:  # so that it is killed at once
        program.until_ready()
        program.process.send_signal(signal.SIGTERM)
        assert program.rest()[0] == "ended True"
        assert program.process.wait(DEADLINE_S) == 0


def test_workers_end_with_their_parent():
    with running() as program:
        program.until_ready()
        program.process.kill()
        assert program.rest() == ["orphan 0", "orphan 1"]


def test_while_one_drains_nobody_new_waits_in_vain():
    """No process keeps a socket open that nobody accepts from."""
    if sys.platform != "linux":
        return  # where it is seen in /proc
    with running("stubborn") as program:
        port = program.until_ready()
        program.process.send_signal(signal.SIGTERM)
        assert sorted([program.line(), program.line()]) == ["ignores 0", "ignores 1"]
        # Here each worker still has its own; the parent and the other worker have none.
        for pid in [program.process.pid, *ask_all(port).values()]:
            assert listening_sockets(pid, port) == (0 if pid == program.process.pid else 1)


def listening_sockets(pid: int, port: int) -> int:
    """How many of a process's descriptors are sockets that listen on a port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    links = [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]
    return len([link for link in links if link.startswith("socket:[") and link[8:-1] in inodes])
