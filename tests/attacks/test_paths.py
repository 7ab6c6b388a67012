"""Requests that two programs read differently: paths, hosts, methods and headers that claim to be another request."""

import random
from urllib.parse import unquote_to_bytes

import pytest

from tests.attacks.attack_kit import Recorded, Target, token

REFUSED = (400, 401, 404)

TRICKS = (
    "/admin",
    "/admin#/health",
    "/admin%23/health",
    "/admin%3F/health",
    "/admin?x=/health",
    "/admin?/health",
    "//admin",
    "///admin",
    "//evil.example/admin",
    "/health/../admin",
    "/health/..",
    "/health/%2e%2e/admin",
    "/health/%2E%2e/admin",
    "/health/.%2e/admin",
    "/health%2f..%2fadmin",
    "/health%2F../admin",
    "/health..%2fadmin",
    "/health../admin",
    "/health/..;/admin",
    "/health/..;a=b/admin",
    "/health;/../admin",
    "/health;x",
    "/health\\..\\admin",
    "/health%5c..%5cadmin",
    "/health%5C..%5Cadmin",
    "/health/%252e%252e/admin",
    "/health%252f..%252fadmin",
    "/health%25252f..%25252fadmin",
    "/health%c0%af..%c0%afadmin",
    "/health/%c0%ae%c0%ae/admin",
    "/health%00/../admin",
    "/health%00",
    "/health%0a",
    "/health%0d%0aX-Session-User-Id:%20evil",
    "/health/.",
    "/health%20",
    "/health%09",
    "/health.",
    "/HEALTH",
    "/Health",
    "/healthy",
    "/health-admin",
    "/admin/health",
    "/%",
    "/%zz",
    "/health/%ff",
    "/health\x80",
    "/health\x7f",
    "admin",
    "health",
    "*",
    "http://127.0.0.1:9/admin",
    "//health@evil/admin",
    "/admin;/health",
    "/.gateway/../admin",
    "/.gateway/%2e%2e/admin",
    "/.gateway/nothing",
)


@pytest.mark.parametrize("path", TRICKS)
def test_no_spelling_of_a_path_reaches_the_upstream_without_a_session(target: Target, path: str) -> None:
    before = target.count
    answer = target.get(path)
    assert answer.status in REFUSED
    assert target.arrived(before) == []


def is_public(request: Recorded) -> bool:
    """As the most forgiving upstream reads it: is what it got really in the public corner?"""
    path = unquote_to_bytes(request.path.partition("?")[0])
    return path in {b"/health", b"/maybe"} or path.startswith((b"/health/", b"/maybe/"))


def test_what_arrives_without_a_session_is_public_as_the_upstream_reads_it(target: Target) -> None:
    rng = random.Random(20250101)
    pieces = ["/", "//", "/.", "/..", "%2f", "%2e", "%2E", "..", ";", "\\", "%5c", "%25", "%00", "health", "admin"]
    pieces += ["h", "%68", "ealth", "/health", "/health/", "?", "#", "a", "%20", "."]
    before = target.count
    for _ in range(30):
        paths = ["/" + "".join(rng.choices(pieces, k=rng.randint(1, 6))) for _ in range(50)]
        requests = [f"GET {path} HTTP/1.1\r\nHost: app.example.test\r\n\r\n" for path in paths]
        last = "GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answer = target.raw("".join([*requests, last]).encode(), 20)
        assert answer.count(b"HTTP/1.1 ") == 51
    arrived = target.arrived(before)
    assert len(arrived) > 50
    assert [request.line for request in arrived if not is_public(request)] == []
    paths = [request.path.partition("?")[0] for request in arrived]
    assert not [path for path in paths if "//" in path or {".", ".."} & set(path.split("/"))]


@pytest.mark.parametrize("name", ["X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-URL", "X-Original-Uri"])
def test_no_header_names_another_path(target: Target, name: str) -> None:
    before = target.count
    assert target.get("/admin", (name, "/health")).status == 401
    assert target.arrived(before) == []


@pytest.mark.parametrize("name", ["X-Forwarded-Uri", "X-Original-URL", "X-Rewrite-URL", "X-Original-Uri"])
def test_another_path_in_a_header_does_not_go_on(proxy: Target, name: str) -> None:
    proxy.get("/health", (name, "/admin"))
    assert proxy.upstream.requests[-1].values(name) == []


@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Forwarded-Prefix", "/health"),
        ("X-Forwarded-Host", "x.example.com"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Forwarded", "for=127.0.0.1;host=x.example.com;proto=https"),
        ("User-Agent", "kube-probe/1.30"),
        ("User-Agent", "GoogleHC/1.0"),
        ("X-Middleware-Subrequest", "middleware:middleware:middleware"),
        ("X-Clerk-Auth-Status", "signed-in"),
        ("X-Clerk-Auth-Token", "x"),
        ("Referer", "https://accounts.evil.example/"),
        ("Origin", "https://app.example.test"),
    ],
)
def test_no_header_switches_the_gate_off(target: Target, header: tuple[str, str]) -> None:
    before = target.count
    assert target.get("/admin", header).status == 401
    assert target.arrived(before) == []


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("a.b.example.com", 401),
        ("a.B.example.com", 401),
        ("A.b.EXAMPLE.com.", 401),
        ("a.b.example.com:8080", 401),
        ("x.example.com", 200),
        ("gw/health?x=", 400),
        ("gw/health#", 400),
        ("a@x.example.com", 400),
        ("x.example.com, a.b.example.com", 400),
        ("x.example.com..", 400),
        ("x.example.com:0", 400),
        ("x.example.com:99999", 400),
        ("x.example.com:", 400),
        ("%61.b.example.com", 400),
        ("x\u00ad.example.com", 400),
        ("x example.com", 400),
        ("[::1", 400),
        ("", 400),
    ],
)
def test_a_host_is_read_in_one_way(target: Target, host: str, status: int) -> None:
    assert target.get("/admin", host=host).status == status


@pytest.mark.parametrize("hosts", [["a.b.example.com", "x.example.com"], ["x.example.com", "x.example.com"], []])
def test_none_and_two_hosts_are_refused(target: Target, hosts: list[str]) -> None:
    lines = ["GET /admin HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]
    assert target.raw("\r\n".join(lines).encode()).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("path", ["/health", "app.example.test:443", "/admin"])
def test_a_tunnel_is_never_opened(target: Target, path: str) -> None:
    before = target.count
    assert target.get(path, method="CONNECT", bearer=token()).status in {400, 405}
    assert target.arrived(before) == []


def test_trace_does_not_show_what_the_gateway_adds(target: Target) -> None:
    before = target.count
    assert target.get("/", method="TRACE", bearer=token()).status == 405
    assert target.arrived(before) == []


@pytest.mark.parametrize("method", ["get", "GeT", "POST", "DELETE", "OPTIONS", "PURGE"])
def test_a_route_for_get_takes_no_other_method(target: Target, method: str) -> None:
    before = target.count
    assert target.get("/read", method=method).status == 401
    assert target.arrived(before) == []


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_makes_a_get_of_another_method(target: Target, name: str) -> None:
    before = target.count
    assert target.get("/read", (name, "GET"), method="POST").status == 401
    assert target.get("/read?_method=GET", method="DELETE").status == 401
    assert target.arrived(before) == []
