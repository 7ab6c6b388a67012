"""Tokens of machines through the middleware and the proxy, with an API that is good, bad, slow, dead or lying."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest

from gateway.assemble import SessionMiddleware, proxy_app
from gateway.core.requirement import Requirement
from gateway.core.secret import Secret
from gateway.core.settings_model import (
    Access,
    InstanceSettings,
    MachineSettings,
    OnSignedOut,
    RouteSettings,
    Settings,
)
from gateway.core.token_class import ANY, TokenType
from tests.authenticator.engine_kit import KEY, Clock, jwks, mint
from tests.sessions.sessions_kit import Script, http_bytes, raw, serving
from tests.surfaces.proxy_kit import OK, Wire, listening
from tests.surfaces.surfaces_kit import PAGE, Pages, echo_app
from tests.upstream.upstream_kit import Upstream, answers, upstream

SECRET = "sk_live_donotprintmedonotprintme"
API_KEY, M2M_TOKEN, OAUTH_TOKEN = TokenType.API_KEY, TokenType.M2M_TOKEN, TokenType.OAUTH_TOKEN
M2M = "cl_B7d4PD333AAA"

ROUTES = (
    RouteSettings(path="/", on_signed_out=OnSignedOut.AUTO),
    RouteSettings(path="/machines", accepts=(API_KEY, M2M_TOKEN, OAUTH_TOKEN)),
    RouteSettings(path="/keys", accepts=(API_KEY,)),
    RouteSettings(path="/any", accepts=ANY),
    RouteSettings(path="/maybe", accepts=ANY, access=Access.OPTIONAL),
    RouteSettings(path="/kept", accepts=ANY, keep_credentials=True),
    RouteSettings(path="/public", access=Access.PUBLIC),
    RouteSettings(path="/read", accepts=ANY, require=Requirement(scopes=("read",))),
    RouteSettings(path="/write", accepts=ANY, require=Requirement(scopes=("write",))),
    RouteSettings(path="/admins", accepts=ANY, require=Requirement(role="org:admin")),
)


def document(tag: str = "api_key", **changes: object) -> dict[str, object]:
    return {
        "object": tag,
        "id": "id_1",
        "subject": "user_1",
        "scopes": ["read"],
        "claims": None,
        "name": "ci",
        "client_id": "client_1",
        "revoked": False,
        "expired": False,
        "expiration": None,
        **changes,
    }


KNOWN = {
    "ak_good": document(),
    "ak_org": document(subject="org_1"),
    "mt_good": document("machine_to_machine_token", subject="mch_1", scopes=["mch_2"]),
    "oat_good": document("clerk_idp_oauth_access_token"),
    "ak_revoked": document(revoked=True),
    "ak_expired": document(expired=True),
    "ak_over": document(expiration=1000),
    "ak_empty": {},
}


@dataclass
class FakeApi:
    """Answers over real HTTP for the tokens that it knows."""

    calls: list[tuple[str, str, str]] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])
            }
            body = json.loads(await reader.readexactly(int(lines.get("content-length", 0))) or b"null")
            path = head.split(" ")[1]
            if path == "/v1/jwks":
                writer.write(http_bytes(json.dumps(jwks("key_1")).encode()))
            else:
                (token,) = body.values()
                self.calls.append((path, token, lines["authorization"]))
                found = KNOWN.get(token)
                status = "200 OK" if found is not None else "404 Not Found"
                refused = {"errors": [{"code": "resource_not_found", "message": "no"}]}
                writer.write(http_bytes(json.dumps(refused if found is None else found).encode(), status=status))
            await writer.drain()


def settings_of(api_url: str, **changes: object) -> Settings:
    instance = InstanceSettings(publishable_key=KEY, secret_key=Secret(SECRET), api_url=api_url)
    return Settings(**{"instance": instance, "routes": ROUTES, **changes})


@dataclass
class Door:
    """An application behind the middleware, and a client in front."""

    client: httpx.AsyncClient
    api: FakeApi | None

    async def get(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        bearer = {} if token is None else {"authorization": f"Bearer {token}"}
        return await self.client.get(f"http://app.example.test{path}", headers={**bearer, **headers})


@asynccontextmanager
async def door(script: Script | None = None, api_url: str = "", **changes: object) -> AsyncIterator[Door]:
    api = FakeApi() if script is None else None
    async with serving(script or api) as url:
        app = SessionMiddleware(_telling_app(), settings=settings_of(api_url or url, **changes), clock=Clock())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            yield Door(client, api)
        await app._close()


def _telling_app() -> object:
    """The application of the other tests; it tells the machine as well."""
    inner = echo_app()

    async def app(scope: Mapping[str, object], receive: object, send: object) -> None:
        machine = scope["state"]["machine"]
        session = scope["state"]["session"]
        told = (b"x-told-machine", f"{machine and machine.subject}/{session and session.user_id}".encode())
        await inner({**scope, "headers": [*scope["headers"], told]}, receive, send)

    return app


def identity_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, (answer.status_code, answer.text)
    return {name: value for name, value in answer.json()["headers"] if name.startswith("x-session-")}


def told(answer: httpx.Response) -> str:
    return dict(answer.json()["headers"])["x-told-machine"]


# Through the middleware


@pytest.mark.parametrize(
    ("token", "identity"),
    [
        ("ak_good", {"token-type": "api_key", "subject": "user_1", "user-id": "user_1", "scopes": "read"}),
        ("ak_org", {"token-type": "api_key", "subject": "org_1", "org-id": "org_1", "scopes": "read"}),
        ("mt_good", {"token-type": "m2m_token", "subject": "mch_1", "machine-id": "mch_1", "scopes": "mch_2"}),
        (
            "oat_good",
            {
                "token-type": "oauth_token",
                "subject": "user_1",
                "user-id": "user_1",
                "scopes": "read",
                "client-id": "client_1",
            },
        ),
    ],
)
@pytest.mark.parametrize("path", ["/machines", "/any", "/maybe"])
async def test_a_machine_is_let_in_with_its_identity(token, identity, path):
    async with door() as app:
        answer = await app.get(path, token, **{"x-session-user-id": "forged", "X_Session_Scopes": "all"})
    assert identity_of(answer) == {f"x-session-{name}": value for name, value in (identity | STATUS).items()}
    assert told(answer) == f"{identity['subject']}/None"


STATUS = {"status": "signed-in"}


async def test_a_machine_s_jwt_is_let_in_without_a_call():
    token = mint(sub="mch_1", sid=..., scopes="mch_2", header={"cat": M2M})
    async with door() as app:
        answer = await app.get("/machines", token)
        assert identity_of(answer)["x-session-machine-id"] == "mch_1"
        assert app.api.calls == []


async def test_a_session_is_a_session_where_any_token_counts():
    async with door() as app:
        for _ in range(2):
            answer = await app.get("/any", mint())
            assert identity_of(answer) == {
                "x-session-user-id": "user_1",
                "x-session-id": "sess_1",
                "x-session-status": "signed-in",
            }
            assert told(answer) == "None/user_1"


async def test_a_session_that_is_remembered_opens_no_route_of_machines():
    async with door() as app:
        assert (await app.get("/", mint())).status_code == 200
        assert (await app.get("/", mint())).status_code == 200
        answer = await app.get("/machines", mint())
    assert (answer.status_code, answer.headers["x-clerk-auth-reason"]) == (401, "token-type-mismatch")


@pytest.mark.parametrize(
    ("path", "token", "status", "reason"),
    [
        ("/machines", None, 401, "No token in header"),
        ("/machines", "ak_unknown", 401, "token-invalid"),
        ("/machines", "ak_revoked", 401, "machine-token-revoked"),
        ("/machines", "ak_expired", 401, "machine-token-expired"),
        ("/machines", "ak_over", 401, "machine-token-expired"),
        ("/machines", "ak_empty", 503, "machine-api-failed"),
        ("/machines", "garbage", 401, "token-type-mismatch"),
        ("/keys", "mt_good", 401, "token-type-mismatch"),
        ("/", "ak_good", 401, "token-invalid"),
        ("/any", "ak_unknown", 401, "token-invalid"),
    ],
)
@pytest.mark.parametrize("headers", [{}, PAGE], ids=["program", "browser"])
async def test_what_is_refused_is_told_why_and_sent_nowhere(path, token, status, reason, headers):
    async with door() as app:
        answer = await app.get(path, token, **headers)
    assert (answer.status_code, answer.headers["x-clerk-auth-reason"]) == (status, reason)
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    if status == 401:
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="gateway"')
        assert ('error="invalid_token"' in challenge) == (token is not None)
    else:
        assert int(answer.headers["retry-after"]) > 0
    if path == "/machines" and headers:
        assert "Sign in" not in answer.text


async def test_a_bad_machine_is_nobody_on_an_optional_route():
    async with door() as app:
        answer = await app.get("/maybe", "ak_unknown")
    assert identity_of(answer) == {"x-session-status": "signed-out"}
    assert told(answer) == "None/None"


async def test_a_public_route_asks_nobody():
    async with door() as app:
        assert identity_of(await app.get("/public", "ak_good")) == {"x-session-status": "signed-out"}
        assert app.api.calls == []


async def test_a_verdict_for_one_route_never_answers_the_question_of_another():
    # GHSA-qvp4-rpmr-xwrr: the cache knows what the token may, not what a route asked for.
    async with door() as app:
        statuses = [(await app.get(path, "ak_good")).status_code for path in ("/read", "/write", "/read", "/write")]
        assert statuses == [200, 403, 200, 403]
        assert len(app.api.calls) == 1


async def test_a_machine_has_no_role():
    async with door() as app:
        answer = await app.get("/admins", "ak_org")
    assert (answer.status_code, answer.headers["x-clerk-auth-reason"]) == (403, "missing-role")


async def test_a_session_has_no_scopes():
    async with door() as app:
        assert (await app.get("/read", mint())).status_code == 403


async def test_many_requests_with_one_key_make_one_call_by_the_instance_s_key():
    async with door() as app:
        found = await asyncio.gather(*(app.get("/machines", "ak_good") for _ in range(50)))
        assert {answer.status_code for answer in found} == {200}
        assert app.api.calls == [("/api_keys/verify", "ak_good", f"Bearer {SECRET}")]


async def test_inventions_are_limited_and_told_so():
    async with door(machines=MachineSettings(new_tokens_per_s=0.1)) as app:
        first = await app.get("/machines", "ak_one")
        second = await app.get("/machines", "ak_two")
    assert first.status_code == 401
    assert (second.status_code, second.headers["x-clerk-auth-reason"]) == (503, "machine-verification-limited")
    assert 1 <= int(second.headers["retry-after"]) <= 10


async def test_a_machine_s_own_key_verifies_m2m_tokens():
    api = FakeApi()
    async with serving(api) as url:
        instance = settings_of(url).instance
        async with door(instance=replace(instance, machine_secret_key=Secret("ak_machine"))) as app:
            await app.get("/machines", "mt_good")
            await app.get("/machines", "ak_good")
    assert [key for _, _, key in api.calls] == ["Bearer ak_machine", f"Bearer {SECRET}"]


# With an API that fails


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(http_bytes(b"", length=1000))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


def lying(**changes: object) -> Script:
    return raw(http_bytes(json.dumps({**document(), **changes}).encode()))


REDIRECT = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (silence, "machine-api-timeout"),
        (drip, "machine-api-timeout"),
        (flood, "machine-api-failed"),
        (raw(http_bytes(b"x" * 10 * 1024 * 1024)), "machine-api-failed"),
        (raw(REDIRECT), "machine-api-failed"),
        (raw(b""), "machine-api-failed"),
        (raw(b"this is not HTTP\r\n\r\n"), "machine-api-failed"),
        (raw(http_bytes(b'{"object":', length=500)), "machine-api-failed"),
        (raw(http_bytes(b"{}", status="500 Internal Server Error")), "machine-api-failed"),
        (raw(http_bytes(b"no", "text/plain", "503 Service Unavailable")), "machine-api-failed"),
        (raw(http_bytes(b"{}", status="429 Too Many Requests")), "machine-api-failed"),
        (raw(http_bytes(b"{}", status="401 Unauthorized")), "secret-key-invalid"),
        (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "machine-api-failed"),
        (raw(http_bytes(b"{}")), "machine-api-failed"),
        (raw(http_bytes(b"null")), "machine-api-failed"),
        (raw(http_bytes(json.dumps(document()).encode(), "text/html")), "machine-api-failed"),
        (lying(revoked=None), "machine-api-failed"),
        (lying(expired="false"), "machine-api-failed"),
        (lying(object="session"), "machine-api-failed"),
        (lying(subject=""), "machine-api-failed"),
        (lying(scopes="read write"), "machine-api-failed"),
    ],
)
async def test_an_api_that_does_not_say_lets_nobody_in_and_is_nobody_s_fault(script, reason):
    budget_ms = 200 if reason == "machine-api-timeout" else 10_000
    async with door(script, machines=MachineSettings(budget_ms=budget_ms)) as app:
        answer = await app.get("/machines", "ak_good")
    assert (answer.status_code, answer.headers["x-clerk-auth-reason"]) == (503, reason)
    assert int(answer.headers["retry-after"]) > 0
    assert "www-authenticate" not in answer.headers
    assert "ak_good" not in str(answer.headers) + answer.text


async def test_a_dead_api_lets_nobody_in():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with door(api_url=f"http://127.0.0.1:{port}") as app:
        for path in ("/machines", "/maybe"):
            answer = await app.get(path, "ak_good")
            assert (answer.status_code, answer.headers["x-clerk-auth-reason"]) == (503, "machine-api-unreachable")


async def test_an_unknown_name_lets_nobody_in():
    async with door(api_url="http://nowhere.invalid") as app:
        answer = await app.get("/machines", "ak_good")
    assert (answer.status_code, answer.headers["x-clerk-auth-reason"]) == (503, "machine-api-unreachable")


async def test_sessions_are_not_held_up_by_an_api_that_is_silent_about_machines():
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"/v1/jwks" in head:
            writer.write(http_bytes(json.dumps(jwks("key_1")).encode()))
            await writer.drain()
        await reader.read()

    async with door(half, machines=MachineSettings(budget_ms=60_000)) as app:
        waiting = [asyncio.create_task(app.get("/any", f"ak_{number}")) for number in range(60)]
        assert (await app.get("/any", mint())).status_code == 200
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


# Through the proxy


@dataclass
class Served:
    """A proxy on a real server, the upstream behind it and the API beside it."""

    port: int
    upstream: Upstream
    api: FakeApi
    journal: Pages

    async def get(self, path: str, token: str, *headers: bytes) -> tuple[int, dict[str, str]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1024 * 1024)
        wire = Wire(reader, writer)
        wire.send(
            f"GET {path} HTTP/1.1\r\nHost: app.example.test\r\nAuthorization: Bearer {token}\r\n".encode()
            + b"".join(headers)
            + b"\r\n"
        )
        answer = await wire.answer()
        writer.close()
        return answer.status, dict(answer.headers)

    @property
    def received(self) -> dict[bytes, bytes]:
        lines = self.upstream.requests[-1].split(b"\r\n")[1:-2]
        return {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}


@asynccontextmanager
async def proxied() -> AsyncIterator[Served]:
    api, journal = FakeApi(), Pages()
    async with serving(api) as url, upstream(answers(OK)) as behind:
        routes = tuple(replace(route, upstream=behind.origin) for route in ROUTES)
        app = proxy_app(settings_of(url, routes=routes), journal, Clock())
        async with listening(app) as port:
            yield Served(port, behind, api, journal)


async def test_the_upstream_learns_who_a_machine_is_and_never_its_token():
    async with proxied() as world:
        status, _ = await world.get("/machines/x", "ak_good", b"X-Session-Subject: forged\r\n")
        assert status == 200
        assert b"authorization" not in world.received
        assert {name: value for name, value in world.received.items() if name.startswith(b"x-session-")} == {
            b"x-session-token-type": b"api_key",
            b"x-session-subject": b"user_1",
            b"x-session-user-id": b"user_1",
            b"x-session-scopes": b"read",
            b"x-session-status": b"signed-in",
        }
        assert b"ak_good" not in world.upstream.requests[-1]
        (entry,) = world.journal.entries
        assert (entry.state, entry.how) == ("signed-in", "api")
        assert "ak_good" not in repr(entry)


async def test_a_route_that_keeps_credentials_passes_the_token_on():
    async with proxied() as world:
        assert (await world.get("/kept", "ak_good"))[0] == 200
        assert world.received[b"authorization"] == b"Bearer ak_good"


@pytest.mark.parametrize(
    ("path", "token", "is_forwarded"),
    [
        ("/maybe", "ak_unknown", False),
        ("/maybe", "mt_revoked", False),
        ("/maybe", mint(sub="mch_1", iss=..., exp=1, header={"cat": M2M}), False),
        ("/maybe", "of-the-upstream-s-own", True),
        ("/public", "ak_of-somebody-else", True),
    ],
    ids=["unknown key", "unknown m2m", "m2m jwt", "another's token", "public route"],
)
async def test_a_refused_machine_s_token_is_not_passed_on_where_machines_are_taken(path, token, is_forwarded):
    async with proxied() as world:
        assert (await world.get(path, token))[0] == 200
        assert (b"authorization" in world.received) == is_forwarded
        assert world.received[b"x-session-status"] == b"signed-out"


async def test_the_proxy_refuses_as_the_middleware_does():
    async with proxied() as world:
        for token, reason in (("ak_unknown", "token-invalid"), ("garbage", "token-type-mismatch")):
            status, headers = await world.get("/machines", token)
            assert (status, headers["x-clerk-auth-reason"]) == (401, reason)
        assert world.upstream.requests == []


async def test_whoami_describes_a_machine():
    async with proxied() as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        wire = Wire(reader, writer)
        wire.send(b"GET /.gateway/whoami HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer oat_good\r\n\r\n")
        answer = await wire.answer()
        writer.close()
    assert json.loads(answer.body) == {
        "status": "signed-in",
        "how": "api",
        "token_type": "oauth_token",
        "token_id": "id_1",
        "subject": "user_1",
        "scopes": ["read"],
        "name": "",
        "user_id": "user_1",
        "org_id": "",
        "machine_id": "",
        "client_id": "client_1",
        "expires_at_s": None,
    }
