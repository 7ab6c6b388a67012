"""Requests that two programs read differently: paths, hosts, methods and headers that claim to be another request."""

import os
import random
import socket
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import pytest

from tests.attacks.attack_kit import STRANGER, TRUSTED, Recorded, Reply, Target, token

REFUSED = (400, 401, 404)

ENCODINGS = int(os.environ.get("ATTACK_ENCODINGS", "2000"))
"""Random spellings per door; 100000 take two minutes (``--timeout 600``)."""

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
    "/admin;/../health",
    "/ADMIN",
    "/Admin",
    "/admin.",
    "/admin/.",
    "/admin/./",
    "/admin%20",
    "/admin%2e",
    "/admin/%2e",
    "/%61dmin",
    "/%41dmin",
    "/%2561dmin",
    "/admin%252e",
    "/health%3b/../admin",
    "/health%3F/../admin",
    "/health%23/../admin",
    "/health/%2e%2e%2fadmin",
    "/health/%uff0e%uff0e/admin",
    "/health/\xef\xbc\x8e\xef\xbc\x8e/admin",
    "/health/%ef%bc%8e%ef%bc%8e/../admin",
    "/health/\xc0\xae\xc0\xae/admin",
    "/health/%f8%80%80%80%ae/admin",
    "/health%e0%80%af..%e0%80%afadmin",
    "/health\t/../admin",
    "/maybe/../admin",
    "/.health",
    "/;/health",
    "/./health",
    "/../health",
    "/.%2fhealth",
    "/read/../admin",
    "/.gateway/../admin",
    "/.gateway/%2e%2e/admin",
    "/.gateway/nothing",
    "/admin%2f",
    "/admin%2fsecret",
    "/admin%2Fsecret",
    "/admin%5c",
    "/admin\\",
    "//admin/users",
    "///admin/users",
    "/health//../admin",
    "/__clerk//127.0.0.1:9/x",
    "/__clerk/\\127.0.0.1:9/x",
    "/__clerk/@127.0.0.1:9/x",
    "/__clerk/%2f%2f127.0.0.1:9/x",
    "/health/../../etc/passwd",
    "/health/%2e%2e/%2e%2e/admin",
    "/health;jsessionid=x/../admin",
    "/%2568ealth/../admin",
    "/health%E2%80%8B/../admin",
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
    return path in {b"/health", b"/maybe", b"/read"} or path.startswith((b"/health/", b"/maybe/", b"/read/"))


PIECES = ["/", "//", "/.", "/..", "%2f", "%2e", "%2E", "..", ";", "\\", "%5c", "%25", "%00", "health", "admin"]
PIECES += [
    "h",
    "%68",
    "ealth",
    "/health",
    "/health/",
    "?",
    "#",
    "a",
    "%20",
    ".",
    "/maybe/",
    "read",
    "%3b",
    "%3f",
    "%23",
]
PROTECTED = ("/admin", "/admin/users/1", "/health/../admin", "/maybe/..//admin", "//admin", "/health;/../admin")


def spell(rng: random.Random, character: str) -> str:
    """One character of a path as attackers write it: mostly as it is."""
    code = f"{ord(character):02x}"
    overlong = f"%c0%{0x80 | ord(character) & 0x3F:02x}"
    forms = (f"%{code}", f"%{code.upper()}", f"%25{code}", f"%2525{code}", f"%u00{code}", overlong, character.upper())
    return rng.choice(forms) if rng.random() < 0.3 else character


def spellings(rng: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        if rng.random() < 0.5:
            # The first slash stays: without it the request has no path at all.
            yield "/" + "".join(spell(rng, character) for character in rng.choice(PROTECTED)[1:])
        else:
            yield "/" + "".join(rng.choices(PIECES, k=rng.randint(1, 6)))


def test_what_arrives_without_a_session_is_public_as_the_upstream_reads_it(target: Target) -> None:
    """However a path is spelled: either it does not arrive, or what arrives is public (CVE-2026-41248)."""
    rng = random.Random(20250101)
    before = target.count
    for path in spellings(rng, ENCODINGS):
        request = f"GET {path} HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n"
        assert target.raw(request.encode(), 20).count(b"HTTP/1.1 ") == 1
    arrived = target.arrived(before)
    assert len(arrived) > ENCODINGS // 50
    assert [request.line for request in arrived if not is_public(request)] == []
    paths = [request.path.partition("?")[0] for request in arrived]
    assert not [path for path in paths if "//" in path or {".", ".."} & set(path.split("/"))]


QUERIES = [
    "?x=/health",
    "?/health",
    "?path=/health&path=/admin",
    "?a=1;/health",
    "?%2fhealth",
    "??/health",
]
QUERIES += ["?__session=x", "?_method=GET", "?a=%3F/health", "?/../health", "?\\health"]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_never_changes_the_route(target: Target, query: str) -> None:
    before = target.count
    assert target.get(f"/admin{query}").status in REFUSED
    assert target.get(f"/health/..{query}").status == 400
    assert target.arrived(before) == []
    assert target.get(f"/health{query}").status == 200
    assert target.upstream.requests[-1].path.partition("?")[0] == "/health"


@pytest.mark.parametrize("path", ["/health#", "/health#/admin", "/health?#/health", "/health?a#b", "/#/health"])
def test_a_fragment_is_never_a_part_of_a_request(target: Target, path: str) -> None:
    before = target.count
    assert target.get(path, bearer=token()).status == 400
    assert target.arrived(before) == []


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP", "ws", "foo"])
@pytest.mark.parametrize("path", ["/admin", "", "/health/../admin"])
def test_an_absolute_target_is_judged_by_its_path_and_leads_nowhere_else(
    target: Target, scheme: str, path: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        authority = f"127.0.0.1:{elsewhere.getsockname()[1]}"
        before = target.count
        assert target.get(f"{scheme}://{authority}{path}").status in REFUSED
        assert target.arrived(before) == []
        answer = target.get(f"{scheme}://{authority}/health")
        if answer.status == 200:
            # The server takes the authority off before anybody sees it; Host decides, for us and for the upstream.
            arrived = target.upstream.requests[-1]
            assert (arrived.path, arrived.values("host")) == ("/health", ["app.example.test"])
        elsewhere.settimeout(0)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


@pytest.mark.parametrize("line", ["OPTIONS *", "GET *", "CONNECT a:443", "GET a:443", "GET health", "GET ?/health"])
def test_other_forms_of_target_are_refused(target: Target, line: str) -> None:
    before = target.count
    reply = Reply.parse(target.raw(f"{line} HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n".encode()))
    assert reply.status in {400, 401, 405}
    assert target.arrived(before) == []


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
        ("evil.example", 400),
        ("app.example.test.evil.example", 400),
        ("evil-app.example.test", 400),
        ("example.com", 400),
        ("evilexample.com", 400),
        ("app.example.test:80@evil.example", 400),
        ("app.example.test\x00.evil.example", 400),
        ("app.example.test\tevil", 400),
        ("\xe0pp.example.test", 400),
        ("xn--pp-cia.example.test", 400),
        ("0x7f000001", 400),
        ("127.0.0.1", 400),
        ("[::ffff:7f00:1]", 400),
    ],
)
def test_a_host_is_read_in_one_way(target: Target, host: str, status: int) -> None:
    reply = target.get("/admin", ("Accept", "text/html"), host=host)
    assert reply.status == (307 if status == 401 else status)
    assert b"evil" not in reply.raw


@pytest.mark.parametrize(
    "host", ["evil.example", "app.example.test@evil.example", "evil.example, app.example.test", "a b", "[::1", "x/../y"]
)
def test_a_host_that_is_not_served_is_refused_from_a_trusted_proxy_too(target: Target, host: str) -> None:
    for path in ("/admin", "/health"):
        reply = target.get(path, ("X-Forwarded-Host", host), ("Accept", "text/html"), source=TRUSTED)
        assert reply.status == 400
        assert b"evil" not in reply.raw


@pytest.mark.parametrize("hosts", [["a.b.example.com", "x.example.com"], ["x.example.com", "x.example.com"], []])
def test_none_and_two_hosts_are_refused(target: Target, hosts: list[str]) -> None:
    lines = ["GET /admin HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]
    assert target.raw("\r\n".join(lines).encode()).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"])
def test_nobody_becomes_trusted_by_saying_so(target: Target, name: str) -> None:
    """The strict rule of a host holds whatever host, scheme or address a stranger claims."""
    before = target.count
    for value in ("127.0.0.2", "https", "x.example.com", "for=127.0.0.2;proto=https;host=x.example.com"):
        assert target.get("/admin", (name, value), host="a.b.example.com", source=STRANGER).status == 401
    assert target.arrived(before) == []


@pytest.mark.parametrize("path", ["/health", "app.example.test:443", "/admin"])
def test_a_tunnel_is_never_opened(target: Target, path: str) -> None:
    before = target.count
    assert target.get(path, method="CONNECT", bearer=token()).status in {400, 405}
    assert target.arrived(before) == []


def test_trace_does_not_show_what_the_gateway_adds(target: Target) -> None:
    before = target.count
    assert target.get("/", method="TRACE", bearer=token()).status == 405
    assert target.arrived(before) == []


@pytest.mark.parametrize(
    ("method", "status"), [("get", 405), ("GeT", 405), ("POST", 401), ("DELETE", 401), ("OPTIONS", 401), ("PURGE", 401)]
)
def test_a_route_for_get_takes_no_other_method(target: Target, method: str, status: int) -> None:
    before = target.count
    assert target.get("/read", method=method).status == status
    assert target.arrived(before) == []


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_makes_a_get_of_another_method(target: Target, name: str) -> None:
    before = target.count
    assert target.get("/read", (name, "GET"), method="POST").status == 401
    assert target.get("/read?_method=GET", method="DELETE").status == 401
    assert target.arrived(before) == []
