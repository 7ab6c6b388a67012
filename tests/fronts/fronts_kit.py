"""Real proxies, each with the very files of deploy/, in front of an application; the gateway decides for them."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.core.original import Front
from tests.attacks.attack_kit import Authority, Target, Upstream, config_of
from tests.e2e.processes import Command, free_port, free_ports

DEPLOY = Path(__file__).parents[2] / "deploy"
OWN_BIN = Path(__file__).parent / ".venv" / "bin"
ENVOY_GRPC = "envoy-grpc"
"""Envoy as it asks by gRPC: another file for the same program."""
TESTED = (Front.NGINX, Front.HAPROXY, Front.ENVOY, ENVOY_GRPC, Front.CADDY)
_FRONT, _GATEWAY, _GRPC, _APP = 8080, 8000, 8001, 9000
"""The ports in deploy/, replaced by free ones here and nowhere else."""


def binary(front: str) -> str | None:
    """Where this front's program is; None where it is not installed (see CONTRIBUTING.md)."""
    folders = os.pathsep.join((str(OWN_BIN), os.environ.get("PATH", ""), "/usr/sbin"))
    return shutil.which(_kind(front), path=folders)


def _kind(front: str) -> Front:
    return Front.ENVOY if front == ENVOY_GRPC else Front(front)


@dataclass(frozen=True)
class Ports:
    """Where everybody listens; the gateway for gRPC behind its own port."""

    front: int
    gateway: int
    app: int

    @property
    def grpc(self) -> int:
        return self.gateway + 1


def _commands(program: str, folder: Path) -> Mapping[str, list[str]]:
    nginx = f"daemon off; pid {folder}/nginx.pid; error_log stderr notice;"
    envoy = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "warn"]
    return {
        Front.NGINX: [program, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr", "-g", nginx],
        Front.HAPROXY: [program, "-db", "-f", "haproxy.cfg"],
        Front.ENVOY: [program, "-c", "envoy.yaml", *envoy],
        ENVOY_GRPC: [program, "-c", "envoy-grpc.yaml", *envoy],
        Front.CADDY: [program, "run", "--config", "Caddyfile", "--adapter", "caddyfile"],
    }


def lay_out(front: str, folder: Path, ports: Ports) -> None:
    """Copy a front's files with the ports of this run; nothing else is changed, but where nginx keeps its own files."""
    names = {_FRONT: ports.front, _GATEWAY: ports.gateway, _GRPC: ports.grpc, _APP: ports.app}
    for source in (DEPLOY / _kind(front)).iterdir():
        text = re.sub(
            r"\b(?:8080|8000|8001|9000)\b", lambda match: str(names[int(match[0])]), source.read_text("utf-8")
        )
        if source.name == "nginx.conf":
            places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            own = "".join(f"{place}_temp_path {folder}/{place};\n" for place in places)
            text = text.replace("http {", f"http {{\naccess_log off;\n{own}", 1)
        (folder / source.name).write_text(text)


class Process:
    """A running front; what it writes is kept for the message of a failure."""

    def __init__(self, front: str, folder: Path, ports: Ports) -> None:
        program = binary(front)
        assert program is not None
        lay_out(front, folder, ports)
        self.prepare(folder)
        self._front, self._port = front, ports.front
        self.lines: list[str] = []
        environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        self._process = subprocess.Popen(
            _commands(program, folder)[front],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def prepare(self, folder: Path) -> None:
        """Change the files before it starts; as they are shipped, nothing is."""

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.lines.extend(self._process.stdout)

    def wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 30
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                self._reader.join(0.02)
            else:
                return
        raise AssertionError(f"{self._front} does not listen:\n{''.join(self.lines)}")

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        if self._process.stdout is not None:
            self._process.stdout.close()


@dataclass
class Site:
    """One authority, one application, one gateway that decides, and every front that is installed.

    Attributes:
        doors: by front, how to reach it.
        gateway: the gateway itself, which decides and forwards nothing.
    """

    authority: Authority
    upstream: Upstream
    gateway: Target
    command: Command
    doors: dict[str, Target]


class Application(Upstream):
    """Stands behind the fronts; some of them break off connections that they are done with."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


# deploy/ copies the names that every gateway has; those of identity.claims are the operator's to add.
_CLAIMS = 'claims = { "X-Session-Nick" = "nick", "X-Team" = "team" }'

DECIDE = """
[decide]
fronts = ["nginx", "haproxy", "envoy", "caddy", "traefik"]
trusted = ["127.0.0.1/32"]
grpc_listen = "127.0.0.1:GRPC"
"""


@contextmanager
def fronts_of(folder: Path, gateway_port: int, app_port: int) -> Iterator[dict[str, int]]:
    """Start every front that is installed, and give their ports."""
    found: dict[str, int] = {}
    running: list[Process] = []
    try:
        for front in TESTED:
            if binary(front) is not None:
                own = folder / front
                own.mkdir()
                found[front] = free_port()
                running.append(Process(front, own, Ports(found[front], gateway_port, app_port)))
        for process in running:
            process.wait_until_it_listens()
        yield found
    finally:
        for process in running:
            process.end()


@contextmanager
def site(folder: Path, routes: str) -> Iterator[Site]:
    """Start all of it.

    Args:
        folder: for the files.
        routes: more tables for the end of the gateway's configuration.
    """
    authority, upstream = Authority(), Application()
    port, grpc = free_ports(2)
    config = folder / "config.toml"
    text = (
        (config_of(authority, upstream.url, port, DECIDE) + routes)
        .replace("UPSTREAM", upstream.url)
        .replace("GRPC", str(grpc))
    )
    config.write_text(text.replace(_CLAIMS, ""))
    config.chmod(0o600)
    gateway = Target(port, upstream, authority, command := Command("serve", "--config", str(config)))
    with command, fronts_of(folder, port, int(upstream.server_address[1])) as ports:
        command.wait_for("listens on")
        doors = {front: replace(gateway, port=own) for front, own in ports.items()}
        yield Site(authority, upstream, gateway, command, doors)
    for server in (authority, upstream):
        server.shutdown()
        server.server_close()
