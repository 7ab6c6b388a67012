"""Traefik by contract: what its documentation says it does with our files, since no package of it can be had here.

Sources: Traefik's pages on ForwardAuth (``trustForwardHeader``, ``authResponseHeadersRegex``,
``addAuthCookiesToResponse``), on the headers middleware (an empty value removes a header) and on entry points
(``forwardedHeaders``: of a peer that is not trusted none is kept).
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.attacks.attack_kit import STRANGER, Target
from tests.fronts.fronts_kit import DEPLOY

Headers = list[tuple[str, str]]
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade"}
_HOP_BY_HOP |= {"proxy-connection", "proxy-authenticate", "proxy-authorization"}
_FORWARDED = {f"x-forwarded-{name}" for name in ("for", "proto", "host", "port", "server", "uri", "method", "prefix")}


def middlewares() -> tuple[dict[str, Any], dict[str, Any]]:
    """The two middlewares of deploy/traefik, in the order in which the router names them."""
    http = yaml.safe_load((DEPLOY / "traefik" / "gateway.yml").read_text("utf-8"))["http"]
    first, second = http["routers"]["site"]["middlewares"]
    return http["middlewares"][first]["headers"], http["middlewares"][second]["forwardAuth"]


@dataclass
class Model(Target):
    """A door that does to a request what Traefik does, and nothing else; ``port`` is the gateway's."""

    app_port: int = 0
    forged: dict[str, Any] = field(default_factory=lambda: middlewares()[0])
    forward_auth: dict[str, Any] = field(default_factory=lambda: middlewares()[1])

    def raw(
        self,
        data: bytes,
        patience_s: float = 5,
        source: str = STRANGER,
        suffices: Callable[[bytes], bool] = lambda answer: False,
    ) -> bytes:
        head, _, body = data.partition(b"\r\n\r\n")
        request_line, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        removed = {name.lower() for name, value in self.forged["customRequestHeaders"].items() if value == ""}
        headers = [(name, value) for name, value in headers if name.lower() not in removed | _FORWARDED]
        answer = self._ask(request_line, headers, suffices)
        status_line, *answered = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        if not 200 <= int(status_line.split(" ")[1]) < 300:
            return answer
        told = [(name, value.strip()) for name, _, value in (line.partition(":") for line in answered)]
        passed = self._pass_on(request_line, headers, told) + body
        reply = _exchange(self.app_port, passed, suffices)
        cookies = [
            (name, value)
            for name, value in told
            if name.lower() == "set-cookie" and value.partition("=")[0] in self._cookie_names()
        ]
        start, end, rest = reply.partition(b"\r\n")
        return start + end + "".join(f"{name}: {value}\r\n" for name, value in cookies).encode("latin-1") + rest

    def _cookie_names(self) -> set[str]:
        from tests.core.minting import NAMES

        return {name.replace("SUFFIX", NAMES.suffix) for name in self.forward_auth["addAuthCookiesToResponse"]}

    def _ask(self, request_line: str, headers: Headers, suffices: Callable[[bytes], bool]) -> bytes:
        assert self.forward_auth["trustForwardHeader"] is False
        method, rest = request_line.split(" ", 1)
        named = {
            item.strip().lower() for name, value in headers if name.lower() == "connection" for item in value.split(",")
        }
        kept = [
            (name, value)
            for name, value in headers
            if name.lower() not in named | _HOP_BY_HOP | {"host", "content-length"}
        ]
        said = {
            "Method": method,
            "Uri": rest.rpartition(" ")[0],
            "Host": _host(headers),
            "Proto": "http",
            "For": STRANGER,
        }
        question = [*kept, *((f"X-Forwarded-{name}", value) for name, value in said.items())]
        address = re.sub(r"^http://[^/]+", "", self.forward_auth["address"])
        return _exchange(self.port, _request(f"GET {address} HTTP/1.1", [("Host", "gateway"), *question]), suffices)

    def _pass_on(self, request_line: str, headers: Headers, told: Headers) -> bytes:
        matches = re.compile(self.forward_auth["authResponseHeadersRegex"]).search
        named = {
            item.strip().lower() for name, value in headers if name.lower() == "connection" for item in value.split(",")
        }
        kept = [
            (name, value)
            for name, value in headers
            if not matches(name) and name.lower() not in named | (_HOP_BY_HOP - {"connection"})
        ]
        kept = [(name, value) for name, value in kept if name.lower() != "connection"]
        ours = [(name, value) for name, value in told if matches(name)]
        return _request(request_line, [*kept, ("X-Forwarded-Host", _host(headers)), *ours])


def _host(headers: Headers) -> str:
    return next((value for name, value in headers if name.lower() == "host"), "")


def _request(line: str, headers: Headers) -> bytes:
    lines = [line, *(f"{name}: {value}" for name, value in headers), "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _exchange(port: int, data: bytes, suffices: Callable[[bytes], bool]) -> bytes:
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(data)
        while not suffices(answer) and (piece := connection.recv(65536)):
            answer += piece
    return answer
