"""The same attacks on an application behind SessionMiddleware, with scopes as a server would make them."""

import tomllib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from gateway.assemble import SessionMiddleware
from gateway.core.settings import parse
from tests.attacks.attack_kit import Authority, browser, config_of, expired_token, token
from tests.core.minting import NAMES, jwk

Answer = tuple[int, dict[str, list[str]], bytes]


async def show(request: Request) -> JSONResponse:
    headers = [f"{name}: {value}" for name, value in request.headers.items()]
    session = request.state.session
    answer = {"path": request.url.path, "user": session and session.user_id, "headers": headers}
    orders = {} if request.url.path.endswith("plain") else {"cache-control": "public, max-age=600", "expires": "1"}
    return JSONResponse(answer, headers=orders)


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    server = Authority()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
async def app(authority: Authority) -> AsyncIterator[SessionMiddleware]:
    document = tomllib.loads(config_of(authority, "http://127.0.0.1:9", 8000))
    document["log"] = {"access": False}
    inner = Mount("/sub", routes=[Route("/{rest:path}", show), WebSocketRoute("/ws", talk)])
    async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
        yield SessionMiddleware(
            Starlette(routes=[inner, WebSocketRoute("/ws", talk), Route("/{rest:path}", show)]),
            settings=parse(document, needs_upstream=False),
            transport=transport,
        )


async def send(app: SessionMiddleware, raw_path: bytes, *headers: tuple[str, str], **changes: Any) -> Answer:
    """Call the application as a server does; return status, headers and body, status 0 for a closed WebSocket."""
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "http_version": "1.1",
        "raw_path": raw_path,
        "path": raw_path.decode("latin-1"),
        "query_string": b"",
        "root_path": "",
        "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 8000),
        "headers": [(b"host", b"app.example.test"), *pairs],
        **changes,
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        kind = "websocket.connect" if scope["type"] == "websocket" else "http.request"
        return {"type": kind, "body": b"", "more_body": False}

    async def keep(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, keep)
    found: dict[str, list[str]] = {}
    for name, value in sent[0].get("headers", ()):
        found.setdefault(name.decode(), []).append(value.decode("latin-1"))
    accepted = 101 if sent[0]["type"] == "websocket.accept" else 0
    return sent[0].get("status", accepted), found, b"".join(message.get("body", b"") for message in sent)


def cookie(pairs: dict[str, str]) -> tuple[str, str]:
    return "Cookie", "; ".join(f"{name}={value}" for name, value in pairs.items())


@pytest.mark.parametrize("root_path", ["", "/sub", "/health"])
@pytest.mark.parametrize(
    "raw_path",
    [b"/admin", b"/sub/x", b"/health/../x", b"/health;/x", b"/health%2f..%2fx", b"/Health", b"*"],
)
async def test_no_path_or_mount_is_a_way_around(app: SessionMiddleware, raw_path: bytes, root_path: str) -> None:
    status, _, body = await send(app, raw_path, root_path=root_path)
    assert status in {400, 401} or b'"path":"/health"' in body


async def test_what_was_judged_is_what_the_application_sees(app: SessionMiddleware) -> None:
    _, _, body = await send(app, b"//health//%61", path="/admin")
    assert b'"path":"/health/a"' in body


@pytest.mark.parametrize(
    "name", ["X-Session-User-Id", "X_Session_User_Id", "X.Session.Id", "X-Middleware-Subrequest", "X_Team"]
)
async def test_identity_headers_of_a_client_do_not_reach_the_application(app: SessionMiddleware, name: str) -> None:
    for bearer in ([], [("Authorization", f"Bearer {token()}")]):
        status, _, body = await send(app, b"/health", (name, "user_evil"), *bearer)
        assert status == 200
        assert b"user_evil" not in body


async def test_websockets_are_judged_before_they_are_accepted(app: SessionMiddleware) -> None:
    extensions: dict[str, object] = {"websocket.http.response": {}}
    assert (await send(app, b"/ws", type="websocket", extensions=extensions))[0] == 401
    assert (await send(app, b"/ws", type="websocket"))[0] == 0
    assert (await send(app, b"/ws", cookie(browser(token())), type="websocket"))[0] == 101


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.2"])
async def test_a_stranger_does_not_take_https_away(app: SessionMiddleware, peer: str) -> None:
    """Where the server itself speaks TLS: only a trusted proxy can say that the browser did not."""
    headers = [("X-Forwarded-Proto", "http"), ("Sec-Fetch-Dest", "document"), cookie({NAMES.client_uat: "1000000000"})]
    status, found, _ = await send(app, b"/x", *headers, scheme="https", client=(peer, 1))
    is_secure = peer == "192.0.2.1"
    assert status == 307
    assert ("redirect_url=https%3A" in found["location"][0]) is is_secure
    assert all(("Secure" in value) is is_secure for value in found["set-cookie"])


async def test_keys_of_two_instances_are_kept_apart_even_under_one_id(app: SessionMiddleware) -> None:
    other = Authority()
    other.keys = [jwk("mallory", kid="key_1")]
    ours, theirs = token(), token("mallory", header={"kid": "key_1"})
    async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
        document = tomllib.loads(config_of(other, "http://127.0.0.1:9", 8000))
        document["log"] = {"access": False}
        second = SessionMiddleware(
            Starlette(routes=[Route("/{rest:path}", show)]),
            settings=parse(document, needs_upstream=False),
            transport=transport,
        )
        for _ in range(2):  # the second time from the memory of verified tokens
            for door, good, bad in ((app, ours, theirs), (second, theirs, ours)):
                assert (await send(door, b"/x", ("Authorization", f"Bearer {good}")))[0] == 200
                assert (await send(door, b"/x", ("Authorization", f"Bearer {bad}")))[0] == 401
    other.shutdown()
    other.server_close()


async def test_while_the_authority_is_down_nobody_is_let_in_whatever_is_sent(app: SessionMiddleware) -> None:
    """Cannot know is 503 and never a way in (CVE-2026-25748)."""
    async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
        nobody = Authority()
        nobody.shutdown()
        nobody.server_close()
        document = tomllib.loads(config_of(nobody, "http://127.0.0.1:9", 8000))
        document["log"] = {"access": False}
        second = SessionMiddleware(app.app, settings=parse(document, needs_upstream=False), transport=transport)
        for value in (token(), "%", "x" * 60_000, "\x80\xff", "AAAA.%00.BBBB", "null", expired_token()):
            status, _, _ = await send(second, b"/x", cookie(browser(value, refresh="rt_down")))
            assert status in {401, 503}
            assert status == 503 or value.count(".") != 2 or "%" in value
        assert (await send(second, b"/x", ("Authorization", f"Bearer {token()}")))[0] == 503


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_methods_that_nobody_named_are_refused(app: SessionMiddleware, method: str) -> None:
    for path in (b"/health", b"/admin"):
        status, headers, _ = await send(app, path, ("Authorization", f"Bearer {token()}"), method=method)
        assert status == 405
        assert "GET" in headers["allow"][0]


async def test_a_renewed_session_is_never_cached(app: SessionMiddleware, authority: Authority) -> None:
    authority.refreshed["rt_cached"] = [f"{NAMES.session}={token()}"]
    status, headers, _ = await send(app, b"/maybe", cookie(browser(expired_token(), refresh="rt_cached")))
    assert status == 200
    assert headers["set-cookie"]
    assert headers["cache-control"] == ["no-store"]
    assert "expires" not in headers


@pytest.mark.parametrize(("path", "varies"), [(b"/plain", True), (b"/maybe/plain", True), (b"/health/plain", False)])
async def test_caches_are_told_that_an_answer_depends_on_the_session(
    app: SessionMiddleware, path: bytes, varies: bool
) -> None:
    _, headers, _ = await send(app, path, cookie(browser(token())))
    assert headers.get("vary", []) == (["Cookie, Authorization"] if varies else [])
    assert headers.get("cache-control", []) == (["private"] if varies else [])
