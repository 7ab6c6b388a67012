"""WebSockets under attack, through ``gateway serve``: who may open one, what it may carry, and when it ends."""

import re
import struct
from collections.abc import Iterator

import pytest

from gateway.core.reasons import Reason
from tests.attacks.attack_kit import Reply, Target, browser, expired_token, token
from tests.attacks.doors import proxy_door
from tests.attacks.socket_kit import CUT, HEARD, Echo, Heard, asking, opened, refused
from tests.core.minting import NAMES
from tests.upstream.websocket_kit import BINARY, CLOSE, CONT, PING, PONG, TEXT, closing, frame

LIMIT = 4096
PIECE = frame(CONT, b"x" * 100, fin=False, masked=True)
SETTINGS = f"""
[websocket]
recheck_s = 0.2
max_message_bytes = {LIMIT}
max_open = 20
"""
ROUTES = """
[[routes]]
path = "/token"
upstream = "UPSTREAM"
websocket_token_protocol = "bearer"
"""
OWN, FOREIGN = ("Origin", "http://app.example.test"), ("Origin", "https://evil.example")
WORSE = ("null", "http://app.example.test.evil.example", "http://evil.example/app.example.test", "file://", "x")


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway that looks after sessions often, before an upstream that echoes."""
    with proxy_door(tmp_path_factory.mktemp("sockets"), SETTINGS, ROUTES, Echo) as target:
        yield target


def bearer(**claims: object) -> tuple[str, str]:
    return "Authorization", f"Bearer {token(**claims)}"


def cookies(session: str) -> tuple[str, str]:
    return "Cookie", "; ".join(f"{name}={value}" for name, value in browser(session).items())


def heard(path: str) -> Heard:
    return HEARD.setdefault(path, Heard())


# ── who may open one ──


@pytest.mark.parametrize("origin", [FOREIGN[1], *WORSE])
def test_a_page_of_another_site_opens_nothing_with_its_visitors_cookies(target: Target, origin: str) -> None:
    before = target.count
    reply = refused(target, "/ws", cookies(token()), ("Origin", origin))
    assert (reply.status, reply.header("x-clerk-auth-reason")) == (403, Reason.WEBSOCKET_ORIGIN_REFUSED)
    assert target.arrived(before) == []


def test_two_origins_open_nothing(target: Target) -> None:
    before = target.count
    for pair in ((OWN, FOREIGN), (FOREIGN, OWN)):
        assert refused(target, "/ws", cookies(token()), *pair).status == 403
    assert target.arrived(before) == []


def test_pages_of_its_own_and_programs_open_one(sockets: Target) -> None:
    for number, headers in enumerate(([OWN, cookies(token())], [cookies(token())], [bearer()], [bearer(), FOREIGN])):
        with opened(sockets, f"/ws/own/{number}", *headers) as wire:
            assert wire.echoes(b"hello")
            assert sockets.upstream.requests[-1].values("x-session-user-id") == ["user_1"]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((), "session-token-and-uat-missing"),
        ((("Authorization", "Bearer junk"),), "token-invalid"),
        ((("Sec-WebSocket-Protocol", "bearer, {token}"),), "session-token-and-uat-missing"),
        ((("X-Session-User-Id", "user_1"), ("X-Session-Status", "signed-in")), "session-token-and-uat-missing"),
    ],
)
def test_nobody_opens_one_without_a_session(target: Target, headers: tuple[tuple[str, str], ...], reason: str) -> None:
    before = target.count
    reply = refused(target, "/ws", *((name, value.replace("{token}", token())) for name, value in headers))
    assert (reply.status, reply.header("x-clerk-auth-reason")) == (401, reason)
    assert target.arrived(before) == []


def test_the_cookies_of_an_expired_session_are_renewed_also_where_the_application_refuses(target: Target) -> None:
    target.authority.refreshed["rt_socket"] = [f"{NAMES.session}={token()}"]
    jar = "; ".join(f"{name}={value}" for name, value in browser(expired_token(), refresh="rt_socket").items())
    calls = len(target.authority.calls)
    reply = refused(target, "/ws", OWN, ("Cookie", jar))
    assert any(name == "set-cookie" and value.startswith(f"{NAMES.session}=") for name, value in reply.headers)
    assert len([call for call in target.authority.calls[calls:] if call.startswith("POST")]) == 1


def test_a_token_among_sub_protocols_counts_only_where_that_is_set_and_goes_nowhere(sockets: Target) -> None:
    secret = token(jti="among-protocols")
    assert refused(sockets, "/ws", ("Sec-WebSocket-Protocol", f"bearer, {secret}")).status == 401
    with opened(sockets, "/token/a", ("Sec-WebSocket-Protocol", f"bearer, {secret}, app.v1"), FOREIGN) as wire:
        assert wire.echoes(b"in")
        arrived = sockets.upstream.requests[-1]
        assert arrived.values("sec-websocket-protocol") == ["app.v1"]
        assert arrived.values("x-session-user-id") == ["user_1"]
    assert secret.encode() not in sockets.upstream.seen
    assert secret not in sockets.log.output


# ── when it ends ──


@pytest.mark.parametrize("by", ["header", "cookies"])
def test_a_session_that_is_revoked_ends_its_websockets_with_4401(sockets: Target, by: str) -> None:
    session = f"sess_by_{by}"
    path = f"/ws/{session}"
    headers = [bearer(sid=session)] if by == "header" else [cookies(token(sid=session)), OWN]
    with opened(sockets, path, *headers) as wire:
        assert wire.echoes(b"still here")
        sockets.authority.ended.add(session)
        assert wire.end() == 4401
    assert heard(path).ends.wait(10)
    assert heard(path).frames[-1] == (CLOSE, struct.pack(">H", 4401) + b"session ended")
    # Its tokens count no more for anything else in that process either.
    assert sockets.get("/", bearer=token(sid=session)).status == 401
    sockets.log.wait_for(f"101 +GET +{path}")


def test_another_session_goes_on(sockets: Target) -> None:
    with opened(sockets, "/ws/stays", bearer(sid="sess_stays")) as stays:
        with opened(sockets, "/ws/goes", bearer(sid="sess_goes")) as goes:
            sockets.authority.ended.add("sess_goes")
            assert goes.end() == 4401
        assert stays.echoes(b"still here")


# ── what it may carry ──


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        (frame(TEXT, b"x" * (LIMIT + 1), masked=True), {1009}),
        (frame(TEXT, b"x" * LIMIT, fin=False, masked=True) + frame(CONT, b"x", masked=True), {1009}),
        (frame(BINARY, fin=False, masked=True) + PIECE * 50, {1009}),
        (frame(PING, b"x", fin=False, masked=True), {1002}),
        (frame(PING, b"x" * 126, masked=True), {1002}),
        (frame(CONT, b"x", masked=True), {1002}),
        (frame(TEXT, b"a", fin=False, masked=True) + frame(TEXT, b"b", masked=True), {1002}),
        (frame(TEXT, b"not masked"), {1002}),
        (frame(3, b"x", masked=True), {1002}),
        (frame(11, b"x", masked=True), {1002}),
        (frame(TEXT, b"compressed", masked=True, reserved=0x40), {1002}),
        (frame(TEXT, b"x", masked=True, reserved=0x20), {1002}),
        (frame(TEXT, b"\xff\xfe", masked=True), {1002, 1007}),
        (frame(CLOSE, b"\x03", masked=True), {1002}),
        (closing(1005, masked=True), {1002}),
    ],
    ids=[
        "too large",
        "too large in two frames",
        "a frame too many",
        "a part of a ping",
        "a large ping",
        "a rest of nothing",
        "a message within a message",
        "no mask",
        "an opcode of nobody",
        "a control opcode of nobody",
        "compressed",
        "a reserved bit",
        "no UTF-8",
        "a close of one byte",
        "a code that is never sent",
    ],
)
def test_what_breaks_a_rule_ends_it_and_does_not_go_on(
    sockets: Target, request: pytest.FixtureRequest, sent: bytes, codes: set[int]
) -> None:
    path = "/ws/" + re.sub(r"\W+", "-", request.node.callspec.id)
    with opened(sockets, path, bearer()) as wire:
        wire.send(sent)
        assert wire.end() in codes
    assert heard(path).ends.wait(10)
    assert heard(path).text == b""


@pytest.mark.parametrize("size", [2**24 + 1, 2**30, 2**31, 2**62, 2**63, 2**64 - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_that_is_said_to_be_huge_is_refused_by_its_head(sockets: Target, opcode: int, size: int) -> None:
    path = f"/ws/huge/{opcode}/{size}"
    with opened(sockets, path, bearer()) as wire:
        wire.send(bytes([0x80 | opcode, 0xFF]) + struct.pack(">Q", size) + bytes(4) + b"x" * 1000)
        assert wire.end() in {1002, 1009, CUT}
    assert heard(path).ends.wait(10)
    assert heard(path).text == b""


def test_no_compression_is_negotiated_whatever_is_offered(sockets: Target) -> None:
    offer = ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame")
    reply = Reply.parse(sockets.raw(asking("/ws/offer", offer, bearer()), suffices=lambda raw: b"\r\n\r\n" in raw))
    assert (reply.status, reply.values("sec-websocket-extensions")) == (101, [])
    assert sockets.upstream.requests[-1].values("sec-websocket-extensions") == []


def test_nothing_is_carried_after_the_close(sockets: Target) -> None:
    path = "/ws/after"
    with opened(sockets, path, bearer()) as wire:
        wire.send(closing(1000, masked=True) + frame(TEXT, b"and one more thing", masked=True))
        assert wire.end() == 1000
    assert heard(path).ends.wait(10)
    assert heard(path).text == b""


def test_a_flood_of_pings_is_answered_here_and_reaches_nobody(sockets: Target) -> None:
    path = "/ws/pings"
    with opened(sockets, path, bearer()) as wire:
        pongs = 0
        for _ in range(20):
            wire.send(frame(PING, b"are you there", masked=True) * 50)
        wire.send(frame(TEXT, b"done", masked=True))
        while (read := wire.read()) != (TEXT, b"done"):
            assert read == (PONG, b"are you there")
            pongs += 1
        # A pong may stand for all pings before it (RFC 6455 section 5.5.3).
        assert 1 <= pongs <= 1000
        assert [opcode for opcode, _ in heard(path).frames] == [TEXT]


@pytest.mark.parametrize(
    "flood",
    [
        frame(TEXT, masked=True),
        frame(PING, masked=True),
        frame(TEXT, fin=False, masked=True) + frame(CONT, masked=True),
    ],
    ids=["empty messages", "pings", "messages in two frames"],
)
def test_a_flood_of_tiny_frames_does_not_hold_up_others(sockets: Target, flood: bytes) -> None:
    with opened(sockets, "/ws/tiny", bearer()) as wire:
        wire.send(flood * 100_000)
        assert sockets.get("/.gateway/healthz").status == 200


def test_more_than_the_settings_allow_are_refused_and_none_is_lost(sockets: Target) -> None:
    def flood(held: int) -> None:
        if not held:
            reply = refused(sockets, "/ws/flood", bearer())
            assert (reply.status, reply.header("x-clerk-auth-reason")) == (503, Reason.WEBSOCKET_LIMIT_REACHED)
            assert sockets.get("/health").status == 200
            return
        with opened(sockets, f"/ws/flood/{held}", bearer()) as wire:
            flood(held - 1)
            assert wire.echoes(b"still here")
            wire.send(closing(1000, masked=True))
            assert wire.end() == 1000

    flood(20)
    with opened(sockets, "/ws/flood/again", bearer()) as wire:
        assert wire.echoes(b"room again")


@pytest.mark.parametrize(
    "line", ["Upgrade: h2c", "Upgrade: foo", "Upgrade: TLS/1.2", "Upgrade: h2c, websocket", "Upgrade: HTTP/2.0"]
)
def test_no_other_upgrade_leads_to_a_tunnel(sockets: Target, line: str) -> None:
    """Behind an upgrade that is passed on nothing is judged any more: h2c would smuggle any request."""
    smuggled = b"GET /admin HTTP/1.1\r\nHost: app.example.test\r\n\r\n"
    lines = ["GET /health HTTP/1.1", "Host: a", "Connection: Upgrade, HTTP2-Settings", line, "HTTP2-Settings: AAMA"]
    before = sockets.count
    answer = sockets.raw("\r\n".join([*lines, "", ""]).encode() + smuggled, 1)
    assert b" 101 " not in answer
    for arrived in sockets.arrived(before):
        assert arrived.path == "/health"
        assert not arrived.values("upgrade") + arrived.values("http2-settings") + arrived.values("connection")
