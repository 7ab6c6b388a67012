"""What passes through a front: bodies, WebSockets, cookies and answers as they are; and nothing without the gateway."""

from pathlib import Path

import pytest

from tests.attacks.attack_kit import Target, browser, expired_token, token
from tests.core.minting import NAMES
from tests.fronts.corpus import PAGE, REFRESH_TOKEN, ROUTES, WEBSOCKET, renewed
from tests.fronts.fronts_kit import TESTED, Site, binary, site

pytestmark = pytest.mark.e2e

FRONTS = pytest.mark.parametrize("front", TESTED)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def door_of(fronts: Site, front: str) -> Target:
    if front not in fronts.doors:
        assert binary(front) is None
        pytest.skip(f"{front} is not installed: see CONTRIBUTING.md")
    return fronts.doors[front]


@FRONTS
def test_a_body_reaches_the_application_and_not_the_gateway(front: str, fronts: Site) -> None:
    door = door_of(fronts, front)
    before = door.count
    head = (
        f"POST /page?a=1 HTTP/1.1\r\nHost: app.example.test\r\nAuthorization: Bearer {token()}\r\nConnection: close\r\n"
    )
    framed = (
        f"{head}Content-Length: 5\r\n\r\nhello",
        f"{head}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    )
    for request in framed:
        assert door.raw(request.encode()).startswith(b"HTTP/1.1 200"), request
    assert [(each.line, each.body) for each in door.arrived(before)] == [("POST /page?a=1 HTTP/1.1", b"hello")] * 2


@FRONTS
def test_a_websocket_of_an_own_page_is_passed_on(front: str, fronts: Site) -> None:
    door = door_of(fronts, front)
    path = f"/socket-{front}"
    door.upstream.answers[path] = SWITCHED
    before = door.count
    lines = (*WEBSOCKET, ("Origin", "https://app.example.test"), ("Authorization", f"Bearer {token()}"))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    answer = door.raw(
        f"GET {path} HTTP/1.1\r\nHost: app.example.test\r\n{head}\r\n".encode(), suffices=lambda got: b"\r\n\r\n" in got
    )
    assert answer.startswith(b"HTTP/1.1 101 ")
    (arrived,) = door.arrived(before)
    assert arrived.values("upgrade") == ["websocket"]
    assert arrived.values("x-session-user-id") == ["user_1"]


@FRONTS
def test_cookies_of_the_application_go_along_with_those_of_a_renewed_session(front: str, fronts: Site) -> None:
    door = door_of(fronts, front)
    path = f"/cookies-{front}"
    door.authority.refreshed[REFRESH_TOKEN] = renewed()
    door.upstream.answers[path] = (
        b"HTTP/1.1 403 No\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 3\r\n\r\nown"
    )
    reply = door.get(path, cookies=browser(expired_token(), refresh=REFRESH_TOKEN))
    names = sorted(value.partition("=")[0] for value in reply.values("set-cookie"))
    assert names == sorted(("a", "b", NAMES.session, NAMES.refresh, NAMES.client_uat))
    assert (reply.status, reply.body) == (403, b"own")
    session = next(value for value in reply.values("set-cookie") if value.startswith(NAMES.session))
    assert "; Path=/" in session


@FRONTS
def test_a_person_reads_a_page(front: str, fronts: Site) -> None:
    reply = door_of(fronts, front).get("/admin", *PAGE, bearer=token())
    assert reply.status == 403
    assert b"<html" in reply.body
    assert b"missing-role" in reply.body
    assert reply.header("content-type").startswith("text/html")
    assert int(reply.header("content-length")) == len(reply.body)


@FRONTS
def test_a_refusal_can_be_read_by_pages_of_allowed_origins_alone(front: str, fronts: Site) -> None:
    door = door_of(fronts, front)
    for origin, allowed in (("https://pages.example.test", True), ("https://evil.example", False)):
        reply = door.get("/shared/x", ("Origin", origin))
        assert reply.status == 401
        assert reply.values("access-control-allow-origin") == ([origin] if allowed else [])
        assert reply.values("access-control-allow-credentials") == (["true"] if allowed else [])
        assert "Origin" in ", ".join(reply.values("vary"))
    assert door.get("/page", ("Origin", "https://pages.example.test")).values("access-control-allow-origin") == []


@FRONTS
def test_the_client_that_is_noted_is_the_one_that_the_front_sees(front: str, fronts: Site) -> None:
    door = door_of(fronts, front)
    before = door.count
    assert door.get("/health", ("X-Forwarded-For", "10.9.9.9"), ("X-Real-IP", "10.9.9.9")).status == 200
    (arrived,) = door.arrived(before)
    assert arrived.values("x-forwarded-for") == ["127.0.0.1"]


def test_nothing_passes_while_the_gateway_is_away(tmp_path: Path) -> None:
    with site(tmp_path, ROUTES) as found:
        found.command.kill()
        for front, door in found.doors.items():
            assert door.get("/health", bearer=token()).status in {403, 500, 502, 503, 504}, front
        assert found.upstream.requests == []
