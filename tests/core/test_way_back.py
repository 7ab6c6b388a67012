"""Addresses in answers: translated back where they are the upstream's own, and never made to lead elsewhere."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.request import PublicUrl
from gateway.core.routes import RESERVED_IN_PATHS
from gateway.core.settings_model import RouteSettings
from gateway.core.target import canonical
from gateway.core.way_back import WayBack

STRIPPED = RouteSettings(path="/api", strip_prefix="/api")
REPLACED = RouteSettings(path="/api", replace_prefix="/v2")
WITHIN = RouteSettings(path="/api", replace_prefix="/api/v2")
ROOT = RouteSettings(path="/", replace_prefix="/v2")
NAMED = RouteSettings(path="/", host_header="app.internal:81")
OWN = RouteSettings(path="/", host_header="upstream")
SERVERS = ("http://10.0.0.1:9000", "http://Second.internal")


def way(route: RouteSettings, *servers: str) -> WayBack:
    found = WayBack.of(route, servers or SERVERS)
    assert found is not None
    return found


def translated(
    route: RouteSettings, name: str, value: str, path: str = "/api/asked", *servers: str, origin: str = ""
) -> str:
    scheme, _, host = (origin or "https://app.example.com").partition("://")
    url = PublicUrl(scheme, host, path)
    ((_, found),) = way(route, *servers).headers([(name.encode(), value.encode("latin-1"))], url)
    return found.decode("latin-1")


@pytest.mark.parametrize(
    "route",
    [RouteSettings(path="/api"), RouteSettings(path="/api", strip_prefix="/api", rewrite_answers=False)],
)
def test_where_nothing_was_written_anew_or_nothing_is_wanted_answers_stay(route: RouteSettings) -> None:
    assert WayBack.of(route, SERVERS) is None


@pytest.mark.parametrize(
    ("route", "said", "expected"),
    [
        (STRIPPED, "/", "/api/"),
        (STRIPPED, "/login", "/api/login"),
        (STRIPPED, "/login?next=/x#top", "/api/login?next=/x#top"),
        (STRIPPED, "/apis", "/api/apis"),
        (STRIPPED, "/é", "/api/é"),
        (STRIPPED, "/x//y", "/api/x//y"),
        (STRIPPED, "/api", "/api"),
        (STRIPPED, "/api/login", "/api/login"),
        (REPLACED, "/v2", "/api"),
        (REPLACED, "/v2/", "/api/"),
        (REPLACED, "/v2?x", "/api?x"),
        (REPLACED, "/v2/login", "/api/login"),
        (REPLACED, "/v2x", "/v2x"),
        (REPLACED, "/login", "/login"),
        (REPLACED, "/api/login", "/api/login"),
        (WITHIN, "/api/v2/login", "/api/login"),
        (WITHIN, "/api/v2", "/api"),
        (ROOT, "/v2", "/"),
        (ROOT, "/v2/login", "/login"),
        (OWN, "/login", "/login"),
    ],
)
@pytest.mark.parametrize("name", ["location", "content-location"])
def test_a_path_gets_its_prefix_back(route: RouteSettings, name: str, said: str, expected: str) -> None:
    assert translated(route, name, said) == expected


@pytest.mark.parametrize(
    ("route", "said", "expected"),
    [
        (STRIPPED, "http://10.0.0.1:9000/login", "https://app.example.com/api/login"),
        (STRIPPED, "HTTP://10.0.0.1:9000/login", "https://app.example.com/api/login"),
        (STRIPPED, "http://SECOND.internal:80/login", "https://app.example.com/api/login"),
        (STRIPPED, "http://10.0.0.1:9000", "https://app.example.com/api/"),
        (STRIPPED, "http://10.0.0.1:9000?x", "https://app.example.com/api/?x"),
        (STRIPPED, "http://10.0.0.1:9000/api/login", "https://app.example.com/api/login"),
        (STRIPPED, "//10.0.0.1:9000/login", "//app.example.com/api/login"),
        (STRIPPED, "http://app.example.com/login", "https://app.example.com/api/login"),
        (STRIPPED, "https://app.example.com/login", "https://app.example.com/api/login"),
        (STRIPPED, "https://app.example.com:443/login", "https://app.example.com/api/login"),
        (STRIPPED, "//app.example.com/login", "//app.example.com/api/login"),
        (REPLACED, "http://10.0.0.1:9000/v2/login", "https://app.example.com/api/login"),
        (REPLACED, "http://10.0.0.1:9000/login", "https://app.example.com/login"),
        (ROOT, "http://10.0.0.1:9000/v2//x", "https://app.example.com//x"),
        (OWN, "http://10.0.0.1:9000/login", "https://app.example.com/login"),
        (NAMED, "http://app.internal:81/login", "https://app.example.com/login"),
        # The upstream was asked under another name: who says the public one knows what it says.
        (NAMED, "https://app.example.com/login", "https://app.example.com/login"),
    ],
)
def test_the_upstreams_own_host_becomes_the_public_one(route: RouteSettings, said: str, expected: str) -> None:
    assert translated(route, "location", said) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("http://10.0.0.1:9000/login", "http://app.example.com:8080/api/login"),
        ("https://10.0.0.1:9000/login", "https://app.example.com:8080/api/login"),
        ("https://app.example.com:8080/login", "https://app.example.com:8080/api/login"),
    ],
)
def test_an_upstream_that_wants_https_is_not_talked_out_of_it(said: str, expected: str) -> None:
    assert translated(STRIPPED, "location", said, origin="http://app.example.com:8080") == expected


def test_an_upstream_behind_tls_or_a_socket_is_known_by_its_own_address() -> None:
    said = ("https://[::1]:9443/login", "https://[::1]/login")
    found = [translated(STRIPPED, "location", each, "/api", "https://[::1]:9443", "unix:/run/app") for each in said]
    assert found == ["https://app.example.com/api/login", "https://[::1]/login"]
    assert translated(STRIPPED, "location", "/login", "/api", "unix:/run/app") == "/api/login"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "login",
        "../login",
        "?page=2",
        "#top",
        "https://elsewhere.example/login",
        "http://10.0.0.1/login",
        "http://10.0.0.1:9000.evil.example/login",
        "http://10.0.0.1:9000@evil.example/login",
        "http://evil.example@10.0.0.1:9000/login",
        "https://app.example.com.evil.example/",
        "//evil.example",
        "///evil.example",
        "//evil.example/v2/",
        "/\\evil.example",
        "/v2/\\evil.example",
        "\\\\evil.example",
        "http:\\\\10.0.0.1:9000",
        "http:/login",
        "http:login",
        "mailto:a@example.com",
        "javascript:alert(1)",
        "data:text/html,/v2",
        "/\t/evil.example",
        "/v2/\t/evil.example",
        "/v2/\r\nset-cookie: a=1",
        "/with blank",
        "/../admin",
        "/v2/../admin",
        "/v2/%2E./admin",
        "/v2/x/..",
    ],
)
@pytest.mark.parametrize("route", [STRIPPED, REPLACED, ROOT])
def test_what_is_no_address_of_the_upstream_stays_as_it_is(route: RouteSettings, said: str) -> None:
    assert translated(route, "location", said) == said
    assert translated(route, "refresh", f"0; url={said}") == f"0; url={said}"


@pytest.mark.parametrize("said", ["/v2//evil.example", "/v2///evil.example/v2"])
def test_no_path_becomes_another_host(said: str) -> None:
    assert translated(ROOT, "location", said) == said


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("5; url=/login", "5; url=/api/login"),
        ("0;URL='/login'", "0;URL='/api/login'"),
        ('0 , Url = "/login"; more', '0 , Url = "/api/login"; more'),
        ("0; url=http://10.0.0.1:9000/x", "0; url=https://app.example.com/api/x"),
        ("5", "5"),
        ("0; /login", "0; /login"),
        ("soon; url=/login", "soon; url=/login"),
    ],
)
def test_the_address_of_a_refresh_is_one_too(said: str, expected: str) -> None:
    assert translated(STRIPPED, "refresh", said) == expected


@pytest.mark.parametrize(
    ("route", "said", "expected"),
    [
        (STRIPPED, "a=1; Path=/", "a=1; Path=/api"),
        (STRIPPED, "a=1;path=/;HttpOnly", "a=1;path=/api;HttpOnly"),
        (STRIPPED, "a=1; Path = /x ; Secure", "a=1; Path =/api/x; Secure"),
        (STRIPPED, "a=1; Path=/api", "a=1; Path=/api"),
        (STRIPPED, "a=1; Path=/api/x", "a=1; Path=/api/x"),
        (STRIPPED, "a=1; Path=/x; Path=/y", "a=1; Path=/api/x; Path=/api/y"),
        (STRIPPED, "a=1", "a=1"),
        (STRIPPED, "a=1; Path=", "a=1; Path="),
        (STRIPPED, "a=1; Path", "a=1; Path"),
        (STRIPPED, "a=1; Path=x", "a=1; Path=x"),
        (STRIPPED, "a=Path=/; Domain=app.example.com", "a=Path=/; Domain=app.example.com"),
        (STRIPPED, "__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
        (STRIPPED, "__HOST-a=1; Path=/; Secure", "__HOST-a=1; Path=/; Secure"),
        (STRIPPED, "__Secure-a=1; Path=/; Secure", "__Secure-a=1; Path=/api; Secure"),
        (REPLACED, "a=1; Path=/", "a=1; Path=/api"),
        (REPLACED, "a=1; Path=/v2", "a=1; Path=/api"),
        (REPLACED, "a=1; Path=/v2/", "a=1; Path=/api"),
        (REPLACED, "a=1; Path=/v2/x", "a=1; Path=/api/x"),
        (REPLACED, "a=1; Path=/other", "a=1; Path=/other"),
        (ROOT, "a=1; Path=/", "a=1; Path=/"),
        (ROOT, "a=1; Path=/v2", "a=1; Path=/"),
        (ROOT, "a=1; Path=/v2/x", "a=1; Path=/x"),
        (OWN, "a=1; Path=/x", "a=1; Path=/x"),
    ],
)
def test_the_path_of_a_cookie_gets_its_prefix_back(route: RouteSettings, said: str, expected: str) -> None:
    assert translated(route, "set-cookie", said) == expected


def test_a_prefix_adds_no_attribute_to_a_cookie() -> None:
    route = RouteSettings(path="/a;domain=x", strip_prefix="/a;domain=x")
    assert translated(route, "set-cookie", "a=1; Path=/", "/a;domain=x/y") == "a=1; Path=/"
    assert translated(route, "set-cookie", "a=1; Path=/", "/a%3Bdomain%3Dx/y") == "a=1; Path=/a%3Bdomain%3Dx"


def test_a_prefix_is_written_as_it_was_asked_for_and_other_headers_stay() -> None:
    route = RouteSettings(path="/@me", strip_prefix="/@me")
    for asked in ("/@me", "/%40me"):
        assert translated(route, "location", "/x", f"{asked}/y") == f"{asked}/x"
    assert translated(STRIPPED, "link", "</x>; rel=next") == "</x>; rel=next"
    assert translated(STRIPPED, "x-path", "/x") == "/x"


# ── both ways ──

ROUTES = [STRIPPED, REPLACED, WITHIN, ROOT, RouteSettings(path="/api/x", strip_prefix="/api", replace_prefix="/v2/w")]


@given(st.sampled_from(ROUTES), st.text(alphabet="ab/%2e~é" + RESERVED_IN_PATHS))
def test_a_path_of_the_route_comes_back_as_it_went(route: RouteSettings, tail: str) -> None:
    try:
        path = canonical((route.path.rstrip("/") + "/" + tail).encode())
    except ValueError:
        return
    found = way(route)
    assert found.rewriting is not None
    there = found.rewriting.path(path)
    if route is STRIPPED and (there + b"/").startswith(b"/api/"):
        return  # it may be one that honours X-Forwarded-Prefix
    url = PublicUrl("https", "app.example.com", path.decode())
    for said, expected in ((there, path), (b"http://10.0.0.1:9000" + there, b"https://app.example.com" + path)):
        assert found.headers([(b"location", said)], url) == [(b"location", expected)]


def leads_to(address: str) -> str:
    """Return the host that a browser takes an address for, on a page of the public one (WHATWG URL, section 4.4)."""
    text = re.sub(r"[\t\r\n]", "", address.strip("".join(map(chr, range(0x21))))).replace("\\", "/")
    if found := re.match(r"(https?):(/*)([^/?#]*)", text, re.IGNORECASE):
        if found[1].lower() == "https" and len(found[2]) < 2:
            return "app.example.com"  # the page's own scheme: relative to it
        return found[3].lower()
    if found := re.match(r"//+([^/?#]*)", text):
        return found[1].lower()
    return "app.example.com" if not re.match(r"[a-z][a-z0-9+.-]*:", text, re.IGNORECASE) else text


PIECES = [
    "http:",
    "https:",
    "/",
    "//",
    "\\",
    "\t",
    "/v2",
    "/api",
    "10.0.0.1:9000",
    "evil.example",
    "@",
    ":",
    ".",
    "?",
    "#",
]


@given(st.sampled_from([*ROUTES, OWN, NAMED]), st.lists(st.sampled_from(PIECES), max_size=7).map("".join))
@example(ROOT, "/v2//evil.example")
@example(ROOT, "/v2/\t/evil.example")
def test_no_address_is_made_to_lead_to_another_host(route: RouteSettings, said: str) -> None:
    found = translated(route, "location", said, (route.path.rstrip("/") or "") + "/asked")
    assert leads_to(found) in {leads_to(said), "app.example.com"}
    assert found == said or not re.search(r"[\x00-\x20\\\x7f]", found)


@given(st.sampled_from(ROUTES), st.binary(), st.sampled_from([b"location", b"refresh", b"set-cookie"]))
def test_nothing_that_an_upstream_says_is_too_odd(route: RouteSettings, said: bytes, name: bytes) -> None:
    ((_, found),) = way(route).headers([(name, said)], PublicUrl("https", "app.example.com", route.path))
    assert found.count(b"\n") == said.count(b"\n")
    assert found.count(b";") == said.count(b";")
