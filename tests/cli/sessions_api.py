"""An API for ``gateway sessions`` that answers from a list, and the command run against it."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from click.testing import CliRunner, Result

from gateway.cli.sessions import command

KEY = "sk_test_donotprintmedonotprintme"
TIME_MS = 1716883200000
SESSION = {
    "object": "session",
    "id": "sess_1",
    "client_id": "client_1",
    "user_id": "user_1",
    "actor": None,
    "status": "active",
    "last_active_organization_id": None,
    "last_active_at": TIME_MS,
    "latest_activity": None,
    "expire_at": TIME_MS + 604800000,
    "abandon_at": TIME_MS,
    "created_at": TIME_MS,
    "updated_at": TIME_MS,
    "tasks": [],
}
TOKEN = {"object": "token", "jwt": "ey.a.b"}


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def sent(self) -> dict[str, object]:
        return json.loads(self.body)


@dataclass
class Api:
    """A real HTTP server on a free port that answers from a list."""

    url: str = ""
    answers: list[tuple[int, object]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def will_answer(self, body: object, status: int = 200) -> None:
        self.answers.append((status, body))

    @property
    def request(self) -> Request:
        (only,) = self.requests
        return only


@contextmanager
def answering() -> Iterator[Api]:
    """The API on a free port, until the block ends."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            api.requests.append(Request(self.command, url.path, dict(parse_qsl(url.query)), headers, body))
            status, document = api.answers.pop(0)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Terminal(io.BytesIO):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


def run(*args: str, api: Api | None = None, typed: Terminal | str | None = None, **environ: str) -> Result:
    settings = {"CLERK_SECRET_KEY": KEY, "CLERK_API_URL": api.url if api else "http://127.0.0.1:1", **environ}
    result = CliRunner(env=settings).invoke(command, list(args), input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert KEY not in result.output
    return result


def session(**changes: object) -> dict[str, object]:
    return {**SESSION, **changes}


def refusal(code: str, message: str, **more: object) -> dict[str, object]:
    return {"errors": [{"code": code, "message": message, "long_message": message, **more}], "clerk_trace_id": "t1"}
