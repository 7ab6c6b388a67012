"""A Backend API for both engines: real HTTP, scripted answers, and a record of what each engine sent."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

JSON = "application/json"


@dataclass(frozen=True)
class Reply:
    """One answer; without a body the connection is cut instead."""

    status: int = 200
    body: str | None = ""
    content_type: str = JSON

    @classmethod
    def of(cls, document: object, status: int = 200, content_type: str = JSON) -> "Reply":
        return cls(status, json.dumps(document), content_type)

    @classmethod
    def error(cls, status: int, *codes: str | None) -> "Reply":
        errors = [{"message": "no", **({"code": code} if code is not None else {})} for code in codes]
        return cls.of({"errors": errors}, status)


CUT = Reply(body=None)
NOT_FOUND = Reply.error(404, "resource_not_found")


@dataclass(frozen=True)
class Call:
    """What one engine sent."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class FakeApi:
    """The scripted answers by refresh token, nonce or machine token, and the record by engine and the same."""

    jwks: object
    replies: dict[str, Reply] = field(default_factory=dict)
    calls: dict[str, dict[str, list[Call]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, call: Call) -> Reply:
        engine = "ours" if call.headers.get("user-agent", "").startswith("session-gateway/") else "theirs"
        parts = urlsplit(call.target)
        if parts.path == "/v1/jwks":
            self.calls[engine]["jwks"].append(call)
            return Reply.of(self.jwks)
        if parts.path == "/v1/clients/handshake_payload":
            asked = parse_qs(parts.query).get("nonce", [""])[0]
        elif parts.path.endswith("/verify"):
            (asked,) = call.body.values()
        else:
            asked = call.body.get("refresh_token", "") if isinstance(call.body, dict) else ""
        self.calls[engine][asked].append(call)
        return self.replies.get(asked, NOT_FOUND)

    @contextmanager
    def serving(self) -> Iterator["FakeApi"]:
        """Listen on a free port while the block runs."""
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply(None)

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                self._reply(json.loads(self.rfile.read(length) or b"null"))

            def _reply(self, body: object) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = api.answer(Call(self.command, self.path, headers, body))
                if reply.body is None:
                    self.close_connection = True
                    return
                data = reply.body.encode()
                self.send_response(reply.status)
                if reply.status != 204:
                    self.send_header("content-type", reply.content_type)
                    self.send_header("content-length", str(len(data)))
                self.end_headers()
                if reply.status != 204:
                    self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.port = server.server_address[1]
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
