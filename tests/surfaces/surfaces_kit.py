"""A browser, an application that tells what it got, and the wire to an embedded authority."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from gateway.adapters.jwks import PinnedKeys
from gateway.assemble import SessionMiddleware
from gateway.authenticator.driver import Authenticator
from gateway.authenticator.verified import VerifiedTokens
from gateway.authority import Authority
from gateway.core.case import Rules
from gateway.core.identity import IdentityHeaders
from gateway.core.instance import InstanceKind
from gateway.core.policy import SignIn
from gateway.core.request_headers import IdentityNamespace
from gateway.core.routes import RouteTable
from gateway.core.settings_model import InstanceSettings, RouteSettings, Settings
from gateway.core.trust import Trust
from gateway.ports import Entry, KeySource, SessionsApi
from gateway.surfaces.gate import Gate
from gateway.surfaces.middleware import GateMiddleware
from tests.authenticator.engine_kit import Clock, Keys, rules

AUTHORITY = "http://127.0.0.1:8001"
GATEWAY = "http://127.0.0.1:8000"
PAGE = {"accept": "text/html,*/*;q=0.8", "sec-fetch-dest": "document", "sec-fetch-mode": "navigate"}
FETCH = {"accept": "*/*", "sec-fetch-dest": "empty"}


# The application behind the gate


async def echo(request: Request) -> JSONResponse:
    session = request.state.session
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "body": (await request.body()).decode(),
            "user": session and session.user_id,
            "session": session and session.session_id,
            "organization": session and session.organization and session.organization.slug,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers.raw],
        }
    )


async def fail(request: Request) -> JSONResponse:
    raise RuntimeError("the application is broken")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    session = websocket.state.session
    identity = [[name, value] for name, value in websocket.headers.items() if name.startswith("x-session-")]
    await websocket.send_json({"user": session and session.user_id, "headers": identity})
    await websocket.close()


def echo_app() -> Starlette:
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
    return Starlette(
        routes=[
            WebSocketRoute("/ws", talk),
            Route("/fail", fail, methods=methods),
            Route("/{path:path}", echo, methods=methods),
        ]
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """What the application got."""

    method: str
    path: str
    body: str
    user: str | None
    session: str | None
    organization: str | None
    headers: list[list[str]]

    @classmethod
    def of(cls, answer: httpx.Response) -> "Seen":
        assert answer.status_code == 200, (answer.status_code, dict(answer.headers), answer.text[:500])
        return cls(**answer.json())

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def identity(self) -> dict[str, str]:
        pairs = [(key, value) for key, value in self.headers if key.replace("_", "-").startswith("x-session-")]
        assert len(pairs) == len(dict(pairs)), "an identity header stands twice"
        return dict(pairs)


# The wire


class Api(httpx.AsyncBaseTransport):
    """The way from the gateway to the authority; counts the calls, and can be cut or answered otherwise."""

    def __init__(self, authority: Authority) -> None:
        self._inner = httpx.ASGITransport(authority.app)
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.answers: dict[str, httpx.Response] = {}
        self.is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request.url.path)
        if self.error is not None:
            raise self.error
        scripted = next((answer for end, answer in self.answers.items() if request.url.path.endswith(end)), None)
        return scripted or await self._inner.handle_async_request(request)

    def count(self, end: str) -> int:
        return sum(path.endswith(end) for path in self.calls)

    async def aclose(self) -> None:
        self.is_closed = True


@dataclass
class Jar:
    """A browser's cookies for one host: ports share them, time ends them."""

    clock: Clock
    cookies: dict[str, tuple[str, float]] = field(default_factory=dict)

    def take(self, directives: list[str]) -> None:
        for directive in directives:
            pair, *attributes = directive.split(";")
            name, _, value = pair.partition("=")
            options = dict(item.strip().lower().partition("=")[::2] for item in attributes)
            life_s = float(options.get("max-age", "inf"))
            if life_s > 0:
                self.cookies[name] = (value, self.clock() + life_s)
            else:
                self.cookies.pop(name, None)

    def header(self) -> str:
        return "; ".join(f"{name}={value}" for name, (value, until) in self.cookies.items() if until > self.clock())

    def __getitem__(self, name: str) -> str:
        return self.cookies[name][0]

    def __contains__(self, name: str) -> bool:
        return name in self.cookies


class Browser:
    """Speaks to the gateway and to the authority, keeps cookies, follows redirects where it is asked to."""

    def __init__(self, gateway: object, authority: Authority, clock: Clock, public: str = GATEWAY) -> None:
        self._gateway = httpx.ASGITransport(gateway, client=("127.0.0.1", 50000))
        self._authority = httpx.ASGITransport(authority.app)
        self.public = public
        self.jar = Jar(clock)
        self.hops: list[httpx.Response] = []

    async def send(
        self, method: str, url: str, headers: Mapping[str, str] = PAGE, data: Mapping[str, str] | None = None
    ) -> httpx.Response:
        url = url if "://" in url else self.public + url
        is_gateway = url.startswith(self.public)
        sent = dict(headers)
        if is_gateway and self.public.startswith("https:"):
            sent["x-forwarded-proto"] = "https"  # what the proxy that ends TLS adds
        if cookies := self.jar.header():
            sent["cookie"] = cookies
        transport = self._gateway if is_gateway else self._authority
        async with httpx.AsyncClient(transport=transport) as client:
            wire = url.replace("https://", "http://")
            answer = await client.request(method, wire, headers=sent, data=data)
        self.jar.take(answer.headers.get_list("set-cookie"))
        self.hops.append(answer)
        return answer

    async def fetch(self, method: str, url: str, **headers: str) -> httpx.Response:
        return await self.send(method, url, FETCH | headers)

    async def visit(self, url: str) -> httpx.Response:
        """Open a page and follow redirects; ``hops`` holds the answers on the way."""
        self.hops = []
        answer = await self.send("GET", url)
        return await self.follow(answer)

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        while answer.status_code in {302, 303, 307}:
            assert len(self.hops) < 12, [hop.headers.get("location") for hop in self.hops]
            answer = await self.send("GET", answer.headers["location"])
        return answer

    async def sign_in(self, page: httpx.Response, user_id: str, organization_id: str = "") -> httpx.Response:
        """Fill in the sign-in page that was reached, and follow."""
        assert page.status_code == 200
        assert user_id in page.text or 'type="password"' in page.text
        redirect_url = parse_qs(urlsplit(str(page.request.url)).query)["redirect_url"][0]
        assert redirect_url in unescape(page.text)
        form = {
            "user_id": user_id,
            "identifier": user_id,
            "organization_id": organization_id,
            "redirect_url": redirect_url,
        }
        headers = PAGE | {"origin": AUTHORITY, "sec-fetch-site": "same-origin"}
        self.hops = []
        return await self.follow(await self.send("POST", f"{AUTHORITY}/sign-in", headers, form))

    @property
    def reasons(self) -> list[str]:
        """The reasons that the gateway gave on the way."""
        return [reason for hop in self.hops if (reason := hop.headers.get("x-clerk-auth-reason"))]


def settings_of(authority: Authority, *routes: RouteSettings, **changes: object) -> Settings:
    """Settings that make a gateway trust this authority."""
    instance = InstanceSettings(
        publishable_key=authority.publishable_key,
        secret_key=authority.secret_key,
        api_url=authority.api_url,
        proxy_url=authority.frontend_api_url,
        sign_in_url=f"{authority.frontend_api_url}/sign-in",
    )
    return Settings(**{"instance": instance, "routes": routes or (RouteSettings(),), **changes})


class World:
    """An authority, a gateway as middleware around the application, the wire between them, and a browser."""

    def __init__(self, authority: Authority, clock: Clock, settings: Settings, public: str = GATEWAY) -> None:
        self.authority = authority
        self.clock = clock
        self.api = Api(authority)
        self.app = SessionMiddleware(echo_app(), settings=settings, clock=clock, transport=self.api)
        self.browser = Browser(self.app, authority, clock, public)
        self.other = Browser(self.app, authority, clock, public)

    @property
    def names(self):
        return self.app._gate.authenticator.rules.names

    @property
    def ada(self) -> str:
        return next(user.id for user in self.authority.realm.directory.users() if user.first_name == "Ada")

    def organization(self, slug: str = "acme") -> str:
        memberships = self.authority.realm.directory.memberships(self.ada)
        return next(member.organization.id for member in memberships if member.organization.slug == slug)

    async def signed_in(self, path: str = "/page") -> Browser:
        """A browser that went through the whole way."""
        answer = await self.browser.sign_in(await self.browser.visit(path), self.ada)
        assert answer.status_code == 200, answer.text
        return self.browser

    async def call(self, method: str, path: str, **json_body: object) -> httpx.Response:
        """Use the Backend API as an operator would."""
        transport = httpx.ASGITransport(self.authority.app)
        key = {"authorization": f"Bearer {self.authority.secret_key.reveal()}"}
        async with httpx.AsyncClient(transport=transport, base_url=AUTHORITY, headers=key) as client:
            return await client.request(method, path, json=json_body or None)

    async def bearer_token(self) -> str:
        session = (await self.call("POST", "/v1/sessions", user_id=self.ada)).json()
        return (await self.call("POST", f"/v1/sessions/{session['id']}/tokens")).json()["jwt"]


# The doors without an authority


class Pages:
    """A journal that keeps the entries."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def record(self, entry: Entry) -> None:
        self.entries.append(entry)

    @property
    def entry(self) -> Entry:
        (only,) = self.entries
        return only


def gate_of(
    *routes: RouteSettings,
    keys: KeySource | PinnedKeys | None = None,
    api: SessionsApi | None = None,
    trust: Trust = Trust(),  # noqa: B008 - frozen
    clock: Clock | None = None,
    verified: VerifiedTokens | None = None,
    instance: Rules | None = None,
) -> Gate:
    """A gate over scripted ports."""
    authenticator = Authenticator(
        instance or rules(),
        keys or Keys("key_1"),
        verified if verified is not None else VerifiedTokens(),
        api,
        clock=clock or Clock(),
    )
    sign_in = SignIn("https://accounts.example.test/sign-in", InstanceKind.PRODUCTION)
    table = RouteTable.build(routes or (RouteSettings(),))
    return Gate(authenticator, table, trust, IdentityHeaders(), sign_in)


def middleware_of(app: object, gate: Gate, journal: Pages | None = None) -> GateMiddleware:
    async def close() -> None:
        pass

    namespace = IdentityNamespace(gate.identity.prefix, gate.identity.names)
    return GateMiddleware(app, gate, namespace, journal or Pages(), close)


def scope_of(
    path: str = "/page", *headers: tuple[str, str], method: str = "GET", query: bytes = b"", **changes: object
) -> dict[str, object]:
    """An HTTP scope as a server makes it."""
    pairs = headers if any(name == "host" for name, _ in headers) else (("host", "app.example.test"), *headers)
    scope: dict[str, object] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query,
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        "client": ("192.0.2.1", 40000),
        "server": ("127.0.0.1", 8000),
    }
    return {name: value for name, value in (scope | changes).items() if value is not ...}


def websocket_scope(path: str, *headers: tuple[str, str], **changes: object) -> dict[str, object]:
    return scope_of(
        path, *headers, **({"type": "websocket", "scheme": "wss", "method": ..., "subprotocols": []} | changes)
    )


class Wire:
    """Records what an application sends; gives it what a test prepared."""

    def __init__(self, *received: dict[str, object]) -> None:
        self.received = list(received)
        self.sent: list[dict[str, object]] = []

    async def receive(self) -> dict[str, object]:
        return self.received.pop(0) if self.received else {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: dict[str, object]) -> None:
        self.sent.append(message)

    @property
    def status(self) -> object:
        return self.sent[0]["status"]

    @property
    def headers(self) -> httpx.Headers:
        return httpx.Headers(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def problem(self) -> dict[str, object]:
        return json.loads(self.body)
