"""Attacks on the decision service, over raw sockets: questions that nobody may ask, and fronts that were misled."""

import re

import pytest

from gateway.core.original import Front
from gateway.core.reasons import Reason
from tests.attacks.attack_kit import TRUSTED, Reply, Target, token
from tests.fronts.fronts_kit import Site

pytestmark = pytest.mark.e2e

FRONTS = pytest.mark.parametrize("front", Front)
_SAID = {"method": "GET", "uri": "/page", "host": "app.example.test", "proto": "http"}


def question(
    target: Target, front: Front, *more: tuple[str, str], source: str = "127.0.0.1", **changes: str
) -> tuple[int, str]:
    """Ask as this front does, and return the status and the reason that the client gets in the end."""
    said = {**_SAID, **changes}
    path = f"/.gateway/decide/{front}"
    start = "X-Original" if front in {Front.NGINX, Front.HAPROXY} else "X-Forwarded"
    headers = [(f"{start}-{name}", value) for name, value in said.items()]
    method, host = "GET", "gateway"
    if front is Front.ENVOY:
        path, method, host = path + said["uri"], said["method"], said["host"]
        headers = [("X-Forwarded-Proto", said["proto"])]
    reply = target.get(path, *headers, *more, method=method, host=host, source=source)
    return status_of(reply), reply.header("x-clerk-auth-reason")


def status_of(reply: Reply) -> int:
    return int(reply.header("x-gateway-status") or reply.status)


@FRONTS
def test_a_question_from_elsewhere_is_refused_whatever_it_says(front: Front, fronts: Site) -> None:
    for uri in ("/health", "/page"):
        bearer = ("Authorization", f"Bearer {token()}")
        found = question(fronts.gateway, front, bearer, uri=uri, source=TRUSTED)
        assert found == (403, Reason.DECISION_PEER_REFUSED)


@FRONTS
def test_a_good_question_is_answered(front: Front, fronts: Site) -> None:
    assert question(fronts.gateway, front, uri="/health") == (200, "")
    assert question(fronts.gateway, front)[0] == 401
    assert question(fronts.gateway, front, ("Authorization", f"Bearer {token()}")) == (200, "")


@FRONTS
@pytest.mark.parametrize(
    "more",
    [
        ("X-Original-URL", "/health"),
        ("X-Rewrite-URL", "/health"),
        ("X-Forwarded-Prefix", "/health"),
        ("X-Original-URI", "/health"),
        ("X-Forwarded-Uri", "/health"),
        ("X-Forwarded-Method", "GET"),
        ("X-Original-Host", "app.example.test"),
        ("X-Forwarded-Proto", "http"),
    ],
)
def test_what_is_said_twice_or_in_another_way_denies(front: Front, more: tuple[str, str], fronts: Site) -> None:
    bearer = ("Authorization", f"Bearer {token()}")
    assert question(fronts.gateway, front, more, bearer) == (400, Reason.ORIGINAL_REQUEST_CONTRADICTORY)


@FRONTS
def test_other_spellings_of_what_a_front_says_are_not_read(front: Front, fronts: Site) -> None:
    aliases = ("X_Original_URI", "X_Forwarded_Uri", "X_Forwarded_Host", "X.Original.URI", "X-Original_URI")
    assert question(fronts.gateway, front, *((name, "/health") for name in aliases))[0] == 401


@FRONTS
@pytest.mark.parametrize(
    "front_says", [{"uri": "//health"}, {"uri": "/page/../health"}, {"uri": "/health%2f..%2fpage"}]
)
def test_a_path_that_others_read_otherwise_denies(front: Front, front_says: dict[str, str], fronts: Site) -> None:
    assert question(fronts.gateway, front, **front_says)[0] == 400


@pytest.mark.parametrize("front", [Front.NGINX, Front.HAPROXY, Front.CADDY, Front.TRAEFIK])
@pytest.mark.parametrize(
    "front_says",
    [
        {"uri": "http://app.example.test/health"},
        {"uri": "/page#/health"},
        {"uri": "health"},
        {"uri": "*"},
        {"uri": ""},
        {"method": ""},
        {"method": "GET, OPTIONS"},
        {"host": ""},
        {"host": "app.example.test, evil.example"},
        {"host": "app.example.test/health"},
        {"host": "evil.example"},
        {"proto": ""},
        {"proto": "ftp"},
        {"proto": "https,http"},
        {"method": "CONNECT", "uri": "/health"},
        {"method": "TRACE", "uri": "/health"},
    ],
    ids=str,
)
def test_what_is_missing_or_no_request_denies(front: Front, front_says: dict[str, str], fronts: Site) -> None:
    status, reason = question(fronts.gateway, front, ("Authorization", f"Bearer {token()}"), **front_says)
    assert status in {400, 405}
    assert reason


@FRONTS
@pytest.mark.parametrize(
    "cookie",
    [
        *("__session=%", "__session=", "__session=a.b.c", "__session=\xff\xfe", "__session=x; __session=y"),
        *("__session=e30.e30.e30", "__session=" + "a" * 60_000, "; ; ;=;", "__session=\x01"),
    ],
)
def test_no_cookie_however_broken_lets_anybody_pass(front: Front, cookie: str, fronts: Site) -> None:
    # CVE-2026-25748: a cookie that could not be read made forward authentication answer 200 without an identity.
    assert question(fronts.gateway, front, ("Cookie", cookie))[0] in {0, 400, 401}


@pytest.mark.parametrize(
    "path",
    [
        *("/.gateway/decide/nginx", "/.gateway/decide/nginx/answer", "/.gateway/decide/envoy/health"),
        *("/.gateway-question", "/.gateway/whoami", "/.gateway/readyz"),
    ],
)
def test_nobody_reaches_the_service_through_a_front(path: str, fronts: Site) -> None:
    says = (("X-Original-Method", "GET"), ("X-Original-URI", "/health"), ("X-Original-Host", "app.example.test"))
    for front, door in fronts.doors.items():
        before = door.count
        reply = door.get(path, *says, bearer=token())
        is_ordinary = path == "/.gateway-question" and front is not Front.NGINX
        assert reply.status == (200 if is_ordinary else 404), front
        assert len(door.arrived(before)) == int(is_ordinary), front
        assert not reply.header("x-session-status")


def test_each_of_two_requests_on_one_connection_is_judged_alone(fronts: Site) -> None:
    for front, door in fronts.doors.items():
        before = door.count
        pair = "".join(f"GET {path} HTTP/1.1\r\nHost: app.example.test\r\n\r\n" for path in ("/health", "/page"))
        last = "GET /health HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n"
        statuses = re.findall(rb"HTTP/1.1 ([0-9]{3})", door.raw((pair + last).encode()))
        assert statuses == [b"200", b"401", b"200"], front
        assert [request.path for request in door.arrived(before)] == ["/health", "/health"], front


def test_a_request_that_hides_another_reaches_nobody(fronts: Site) -> None:
    hidden = "GET /page HTTP/1.1\r\nHost: app.example.test\r\n\r\n"
    framings = (
        f"Content-Length: {len(hidden)}\r\nContent-Length: 0\r\n\r\n",
        f"Content-Length: {len(hidden)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        f"Transfer-Encoding: xchunked\r\nContent-Length: {len(hidden)}\r\n\r\n",
    )
    for front, door in fronts.doors.items():
        for framing in framings:
            before = door.count
            door.raw(f"POST /health HTTP/1.1\r\nHost: app.example.test\r\n{framing}{hidden}".encode(), patience_s=0.5)
            assert "/page" not in [request.path for request in door.arrived(before)], front
