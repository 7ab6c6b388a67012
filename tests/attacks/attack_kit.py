"""A gateway under attack: our own key authority, an upstream that records every byte, and raw sockets."""

import json
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.core.minting import APP, KEYS, NAMES, PRODUCTION, STATE, jwk, mint
from tests.faults.upstream_faults import is_whole

STRANGER, TRUSTED = "127.0.0.1", "127.0.0.2"
"""Source addresses: the second is one of ``server.trusted_proxies``."""

SECRET_KEY = "sk_live_never-to-be-seen-anywhere"
PAGE = (("Accept", "text/html"), ("Sec-Fetch-Dest", "document"))


def token(key: str = "key_1", *, header: Mapping[str, object] | None = None, **changes: object) -> str:
    """A session token that is good now."""
    second = int(time.time())
    return mint(key, header=header, **{"iat": second - 5, "nbf": second - 15, "exp": second + 300, **changes})


def expired_token(key: str = "key_1", **changes: object) -> str:
    """A session token that ended half a minute ago."""
    second = int(time.time())
    return token(key, **{"iat": second - 90, "nbf": second - 100, "exp": second - 30, **changes})


def published_keys() -> list[dict[str, object]]:
    """Two good keys; the others are unsuitable, one for each reason."""
    return [
        jwk("key_1"),
        jwk("cubic"),
        jwk("for-encryption", use="enc"),
        jwk("for-wrapping", key_ops=["wrapKey"]),
        jwk("small"),
        jwk("says-hs256", alg="HS256"),
        jwk("leaked", d="AAAA"),
        jwk("twin"),
        jwk("other-twin", kid="twin"),
        jwk("elliptic", kty="EC", crv="P-256", x="AA", y="AA"),
    ]


class Authority(ThreadingHTTPServer):
    """Publishes keys, hands over handshakes and trades tokens as a test tells it to.

    Attributes:
        calls: request lines that came in.
        keys: what it publishes: good keys, and keys that must not be used.
        secrets: nonces and refresh tokens that it ever saw; they may be nowhere else.
        payloads: directives by nonce.
        refreshed: directives by refresh token.
        codes: by refresh token, the error code of a refusal.
        trades: set unless a test holds back the answers to refreshes.
        ended: sessions that are not active any more; all others are.
        scopes: by API key that is good, what it was issued for.
        peers: the other ends of the connections on which refreshes came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _AuthorityHandler)
        self.calls: list[str] = []
        self.keys = published_keys()
        self.secrets: set[str] = set()
        self.payloads: dict[str, list[str]] = {}
        self.refreshed: dict[str, list[str]] = {}
        self.codes: dict[str, str] = {}
        self.trades = threading.Event()
        self.trades.set()
        self.ended: set[str] = set()
        self.scopes: dict[str, list[str]] = {}
        self.peers: list[tuple[str, int]] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _AuthorityHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Authority)
        self.server.calls.append(self.requestline)
        parts = urlsplit(self.path)
        if self.headers["authorization"] != f"Bearer {SECRET_KEY}":
            self._answer(401, {"errors": [{"code": "clerk_key_invalid"}]})
        elif parts.path == "/v1/jwks":
            self._answer(200, {"keys": self.server.keys})
        elif parts.path.startswith("/v1/sessions/"):
            self._answer(200, self._session(parts.path.rpartition("/")[2]))
        else:
            nonce = parse_qs(parts.query).get("nonce", [""])[0]
            self.server.secrets.add(nonce)
            found = self.server.payloads.pop(nonce, None)
            self._answer(200 if found else 404, {"directives": found} if found else {"errors": []})

    def _session(self, session_id: str) -> dict[str, object]:
        assert isinstance(self.server, Authority)
        status = "revoked" if session_id in self.server.ended else "active"
        times = dict.fromkeys(("last_active_at", "expire_at", "abandon_at", "created_at", "updated_at"), 1)
        return {"object": "session", "id": session_id, "user_id": "user_1", "client_id": "c", "status": status} | times

    def do_POST(self) -> None:
        assert isinstance(self.server, Authority)
        self.server.calls.append(self.requestline)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/api_keys/verify":
            self._tell_key(body["secret"])
            return
        self.server.secrets.add(body["refresh_token"])
        self.server.peers.append(self.client_address)
        self.server.trades.wait(60)
        found = self.server.refreshed.get(body["refresh_token"])
        if found:
            self._answer(200, {"object": "cookies", "cookies": found})
        else:
            code = self.server.codes.get(body["refresh_token"], "refresh_token_not_found")
            self._answer(401, {"errors": [{"code": code, "message": code, "long_message": code}]})

    def _tell_key(self, secret: str) -> None:
        assert isinstance(self.server, Authority)
        self.server.secrets.add(secret)
        scopes = self.server.scopes.get(secret)
        key = {"object": "api_key", "id": "ak_1", "subject": "user_1", "scopes": scopes, "claims": None, "name": "k"}
        times = {"revoked": False, "expired": False, "expiration": None}
        self._answer(*((404, {"errors": []}) if scopes is None else (200, key | times)))

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Recorded:
    """One request as the upstream got it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def cgi(self) -> dict[str, list[str]]:
        """The headers as a CGI program, a WSGI application or PHP sees them: names folded."""
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            found.setdefault(re.sub(r"[^A-Z0-9]", "_", name.upper()), []).append(value)
        return found


class Upstream(socketserver.ThreadingTCPServer):
    """Records requests and the bytes they came in; answers 200, or what a test put under the path.

    Attributes:
        requests: in the order of arrival.
        seen: all bytes that ever came.
        answers: raw answers by path.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, handler: "type[UpstreamHandler] | None" = None) -> None:
        super().__init__(("127.0.0.1", 0), handler or UpstreamHandler)
        self.requests: list[Recorded] = []
        self.seen = bytearray()
        self.answers: dict[str, bytes] = {}
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class UpstreamHandler(socketserver.StreamRequestHandler):
    """Serves one connection."""

    def handle(self) -> None:
        assert isinstance(self.server, Upstream)
        while line := self.rfile.readline():
            raw = [line]
            while (header := self.rfile.readline()) not in (b"\r\n", b"\n", b""):
                raw.append(header)
            pairs = [part.decode("latin-1").partition(":") for part in raw[1:]]
            headers = [(name, value.strip("\r\n \t")) for name, _, value in pairs]
            body = self._body({name.lower(): value for name, value in headers})
            if body is None:  # it broke off
                return
            self.server.seen += b"".join(raw) + body
            request = Recorded(line.decode("latin-1").rstrip("\r\n"), headers, body)
            self.server.requests.append(request)
            if not self.answer(request):
                return

    def answer(self, request: Recorded) -> bool:
        """Answer, and return whether the connection stays."""
        assert isinstance(self.server, Upstream)
        canned = self.server.answers.get(request.path.partition("?")[0])
        body = b"" if request.line.startswith("HEAD ") else b"up"
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body if canned is None else canned)
        return canned is None and bool(body)

    def _body(self, headers: Mapping[str, str]) -> bytes | None:
        if headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(headers.get("content-length", "0")))
        body = b""
        while line := self.rfile.readline():
            if not (size := int(line, 16)):
                self.rfile.readline()
                return body
            body += self.rfile.read(size)
            self.rfile.readline()
        return None


@dataclass
class Reply:
    """One answer of the gateway; status 0 when it closed without any."""

    raw: bytes
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> "Reply":
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines[1:]]
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        return cls(raw, int(lines[0].split(" ")[1]) if raw else 0, headers, body)

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def header(self, name: str) -> str:
        return ", ".join(self.values(name))


class Log(Protocol):
    """What the gateway writes."""

    @property
    def output(self) -> str: ...

    def wait_for(self, pattern: str) -> re.Match[str]: ...


class Recorder(Protocol):
    """What stands behind the gateway and keeps what it gets: :class:`Upstream`, or an application."""

    requests: list[Recorded]
    seen: bytearray
    answers: dict[str, bytes]


@dataclass
class Target:
    """The gateway under attack with everything around it: the proxy, or the middleware around an application."""

    port: int
    upstream: Recorder
    authority: Authority
    log: Log

    def raw(
        self,
        data: bytes,
        patience_s: float = 5,
        source: str = STRANGER,
        suffices: Callable[[bytes], bool] = lambda answer: False,
    ) -> bytes:
        """Send bytes as they are, and return all that comes until it suffices, the gateway closes or is silent."""
        answer = b""
        with self._connected(source) as connection:
            connection.settimeout(patience_s)
            try:
                connection.sendall(data)
                while not suffices(answer) and (piece := connection.recv(65536)):
                    answer += piece
            except (ConnectionError, TimeoutError):
                pass
        return answer

    def _connected(self, source: str) -> socket.socket:
        try:
            return socket.create_connection(("127.0.0.1", self.port), 5, (source, 0))
        except OSError:
            if source == STRANGER:
                raise
            pytest.skip(f"this machine does not send from {source}")

    def get(
        self,
        path: str,
        *headers: tuple[str, str],
        method: str = "GET",
        host: str = "app.example.test",
        bearer: str = "",
        cookies: Mapping[str, str] | None = None,
        source: str = STRANGER,
    ) -> Reply:
        """Send one request, spelled exactly as given (Latin-1), on a connection of its own."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers]
        if bearer:
            lines.append(f"Authorization: Bearer {bearer}")
        if cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items()))
        return Reply.parse(self.raw("\r\n".join([*lines, "", ""]).encode("latin-1"), source=source, suffices=is_whole))

    def returned(
        self, path: str, *headers: tuple[str, str], method: str = "GET", cookies: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request as a browser does that comes back from the handshake that it was sent to."""
        joint = "&" if "?" in path else "?"
        bound = {"__gateway_state": STATE, **(cookies or {})}
        return self.get(f"{path}{joint}__gateway_state=1.{STATE}", *headers, method=method, cookies=bound)

    def arrived(self, since: int) -> list[Recorded]:
        """What the upstream got since it had so many requests."""
        return self.upstream.requests[since:]

    @property
    def count(self) -> int:
        return len(self.upstream.requests)


def browser(session: str, **more: str) -> dict[str, str]:
    """The cookies of a browser that is signed in; ``more`` adds by field name of CookieNames."""
    found = {NAMES.session: session, NAMES.client_uat: "1000000000"}
    return found | {getattr(NAMES, name): value for name, value in more.items()}


def config_of(authority: Authority, upstream: str, port: int, more: str = "") -> str:
    """A site that is protected, with a public corner, an optional one, and hosts of their own."""
    routes = [
        ("/", 'access = "required"'),
        ("/health", 'access = "public"'),
        ("/maybe", 'access = "optional"'),
        ("/read", 'methods = ["GET"]\naccess = "public"'),
        ("/", 'host = "*.b.example.com"\naccess = "required"'),
        ("/", 'host = "*.example.com"\naccess = "public"'),
    ]
    tables = "".join(f'[[routes]]\npath = "{path}"\n{terms}\nupstream = "{upstream}"\n' for path, terms in routes)
    return f"""
[instance]
publishable_key = "{KEYS[PRODUCTION].value}"
secret_key = "{SECRET_KEY}"
api_url = "{authority.url}"
sign_in_url = "https://accounts.example.test/sign-in"
authorized_parties = ["{APP}"]

[server]
listen = "127.0.0.1:{port}"
trusted_proxies = ["{TRUSTED}/32"]
allowed_hosts = ["app.example.test", "*.example.com", "a"]
{more}
[identity]
claims = {{ "X-Session-Nick" = "nick", "X-Team" = "team" }}

[log]
access = true

{tables}
"""


_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ")


def scan_upstream(target: Target) -> None:
    """Nothing that belongs to the session alone ever went on: not a byte of any request of the whole run."""
    seen = target.upstream.seen.decode("latin-1")
    ours = (
        NAMES.session,
        NAMES.refresh,
        NAMES.client_uat,
        "__refresh=",
        "__client=",
        "__clerk_handshake",
        "gateway_state",
    )
    for secret in (SECRET_KEY, "sk_live", "sk_test", *ours, *_kept(target)):
        assert secret not in seen, f"{secret} went to the upstream"
    for request in target.upstream.requests:
        told = [value for name, value in request.headers if name.lower() != "cookie"]
        assert not any(map(_TOKEN.search, told)), request.line
        pairs = [pair for value in request.values("cookie") for pair in value.split(";")]
        assert not {pair.partition("=")[0].strip() for pair in pairs} & NAMES.private, request.line


def scan_log(target: Target) -> None:
    """Each line is one line, printable and bounded, and holds nothing secret, whatever was sent in the whole run."""
    for line in target.log.output.splitlines():
        assert line.isprintable(), line.encode()
        assert len(line) < 1500, f"{line[:200]}..."
        assert not _TOKEN.search(line), "a token was logged"
        assert "Traceback" not in line
        for secret in (SECRET_KEY, "sk_live", "__session=", "__refresh", "__clerk_handshake", *_kept(target)):
            assert secret not in line, f"{secret} was logged"


def _kept(target: Target) -> list[str]:
    return [secret for secret in target.authority.secrets if len(secret) > 7]
