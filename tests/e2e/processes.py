"""Starts the real commands as processes and waits for what they print, never for time."""

import os
import queue
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

READY_TIMEOUT_S = 30.0

GATEWAY = shlex.split(os.environ.get("TESTED_GATEWAY", "")) or [sys.executable, "-m", "gateway"]
"""The command that is tested: of this environment, or of another one that the variable names."""


# Below the range from which systems give ports to whoever connects: one of those may be taken before it is listened on.
_PORTS = range(12_000, 32_000)


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports in a row, for commands that use neighbours of the port they are given."""
    while True:
        first = random.choice(_PORTS)
        probes: list[socket.socket] = []
        try:
            probes.extend(socket.create_server(("127.0.0.1", first + offset)) for offset in range(count))
        except (OSError, OverflowError):
            continue
        finally:
            for probe in probes:
                probe.close()
        return [first + offset for offset in range(count)]


def clean_environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLERK_", "GATEWAY_"))}
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **extra}


class Command:
    """A running ``gateway …`` command."""

    def __init__(self, *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
        self.arguments = arguments
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [*GATEWAY, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            env=env or clean_environment(),
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def wait_for(self, pattern: str, timeout_s: float = READY_TIMEOUT_S) -> re.Match[str]:
        """Wait until a line matches; lines seen before count too."""
        for line in self.lines:
            if match := re.search(pattern, line):
                return match
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line like {pattern!r} within {timeout_s} s:\n{self.output}") from None
            if line is None:
                raise AssertionError(f"it ended ({self.process.wait()}) before a line like {pattern!r}:\n{self.output}")
            self.lines.append(line)
            if match := re.search(pattern, line):
                return match

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait(self, timeout_s: float = READY_TIMEOUT_S) -> int:
        """Wait for its end, and return the exit code; all of its output is in :attr:`lines` then."""
        code = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        while (line := self._queue.get()) is not None:
            self.lines.append(line)
        return code

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End the command and all of its workers at once, as a crash would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        if self.process.stdout is not None:
            self._reader.join(5)
            self.process.stdout.close()
