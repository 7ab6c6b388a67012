"""An ASGI scope made into facts: what is read, what is believed, and what is refused."""

from ipaddress import ip_network

import pytest

from gateway.core.target import TargetError
from gateway.core.trust import HostError, Trust
from gateway.surfaces.scope import Scanned, facts_of, origin_of, peer, raw_path, with_pairs
from tests.surfaces.surfaces_kit import scope_of, websocket_scope

NOBODY = Trust()
PROXY = Trust((ip_network("192.0.2.0/24"),))
NAMES = frozenset({"__session"})


def read(scope: dict[str, object], trust: Trust = NOBODY):
    scanned = Scanned(scope["headers"])
    return facts_of(scope, scanned, origin_of(scope, scanned, trust), trust, NAMES)


@pytest.mark.parametrize("make", [list, tuple], ids=["lists of two", "an iterable that is no list"])
def test_headers_become_pairs_whatever_a_server_makes_of_them(make):
    scope = scope_of("/page", ("x-other", "1"))
    given = {**scope, "headers": make(make(pair) for pair in scope["headers"])}
    assert with_pairs(given) == scope
    assert with_pairs(scope) is scope


def test_a_request_is_read_whole():
    headers = (
        ("cookie", "a=1; __session=t1; b=2"),
        ("cookie", "__session=t2"),
        ("accept", "text/html"),
        ("user-agent", "Browser/1"),
        ("x-other", "not read"),
    )
    facts = read(scope_of("/page", *headers, method="POST", query=b"x=1&y=%20"))
    assert str(facts.url) == "https://app.example.test/page?x=1&y=%20"
    assert (facts.method, facts.client, facts.bearer) == ("POST", "192.0.2.1", None)
    assert facts.cookies == {"__session": ("t1", "t2")}
    assert facts.headers == {"accept": "text/html", "user-agent": "Browser/1"}


def test_a_websocket_has_the_method_and_scheme_of_its_opening_request():
    facts = read(websocket_scope("/ws"))
    assert (facts.method, facts.url.origin) == ("GET", "https://app.example.test")


@pytest.mark.parametrize(
    ("values", "token"),
    [
        ([], None),
        (["Bearer t1"], "t1"),
        (["bearer t1"], "t1"),
        (["Bearer  t1"], "t1"),
        (["Basic dTpw"], None),
        (["Bearer"], ""),
        (["Bearer t1", "Bearer t1"], ""),
        (["Basic dTpw", "Bearer t1"], ""),
    ],
)
def test_one_authorization_header_is_believed_and_of_several_none(values, token):
    assert read(scope_of("/", *(("authorization", value) for value in values))).bearer == token


def test_a_header_that_comes_twice_is_read_as_one_list():
    """As in the reference, and so that neither of two origins passes for the only one."""
    assert read(scope_of("/", ("accept", "text/html"), ("accept", "*/*"))).header("accept") == "text/html, */*"


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "a?x=", "a#", "a,b", "[::1", "a:99999", "é"])
def test_a_host_that_is_none_is_refused(host):
    with pytest.raises(HostError):
        read(scope_of("/admin", ("host", host)))


def test_no_host_and_two_hosts_are_refused():
    for pairs in ([], [(b"host", b"a.test"), (b"host", b"a.test")]):
        with pytest.raises(HostError):
            read(scope_of("/admin", headers=pairs))


FORWARDED = (("x-forwarded-proto", "http"), ("x-forwarded-host", "evil.test"), ("x-forwarded-for", "203.0.113.9"))


def test_forwarding_headers_of_strangers_change_nothing():
    facts = read(scope_of("/", *FORWARDED))
    assert (facts.url.origin, facts.client) == ("https://app.example.test", "192.0.2.1")


def test_forwarding_headers_of_a_trusted_proxy_are_believed():
    facts = read(scope_of("/", *FORWARDED), PROXY)
    assert (facts.url.origin, facts.client) == ("http://evil.test", "203.0.113.9")


@pytest.mark.parametrize(
    "path", ["/a/../b", "/a%2fb", "/a\\b", "/%00", "/%zz", "/a/%2e%2e/b", "http://x/", "*", "", "/é"]
)
def test_a_path_without_one_canonical_form_is_refused(path):
    with pytest.raises(TargetError):
        read(scope_of(path))


def test_the_path_is_the_raw_one_and_not_what_the_server_decoded():
    facts = read(scope_of("/decoded", raw_path=b"/raw%3Ax?no=query"))
    assert facts.url.path == "/raw%3Ax"


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/a/b", b"/a/b"),
        ("/a b", b"/a%20b"),
        ("/100%", b"/100%25"),
        ("/é", b"/%C3%A9"),
        ("/a?b#c", b"/a%3Fb%23c"),
        ("/a\\b", b"/a%5Cb"),
        ("/\udcff", b"/%ED%B3%BF"),
    ],
)
def test_a_server_that_keeps_no_raw_path_has_its_path_encoded_again(path, raw):
    assert raw_path(decoded(path)) == raw
    assert raw_path({**decoded(path), "raw_path": None}) == raw


def decoded(path: str) -> dict[str, object]:
    return {**scope_of("/", raw_path=...), "path": path}


@pytest.mark.parametrize("path", ["/a\\b", "/\udcff", "/a/../b", "/%2e%2e/"])
def test_what_is_refused_raw_is_refused_when_the_server_decoded_it(path):
    with pytest.raises(TargetError):
        read(decoded(path))


def test_the_query_is_kept_byte_for_byte():
    query = bytes(code for code in range(0x21, 0x100) if code != ord("#"))
    assert read(scope_of("/", query=query)).url.query.encode("latin-1") == query
    assert read(scope_of("/", query_string=...)).url.query == ""


@pytest.mark.parametrize(
    ("client", "address"), [(("192.0.2.1", 1), "192.0.2.1"), (None, ""), (..., ""), (("::1", 2, 0, 0), "::1")]
)
def test_the_peer_is_the_sockets_other_end(client, address):
    assert peer(scope_of("/", client=client)) == address


def test_odd_bytes_in_headers_are_no_fault():
    pairs = [(b"host", b"a.test"), (b"cookie", b"\xff\xfe=\x80; __session=\xff"), (b"accept", b"\xff")]
    facts = read(scope_of("/", headers=pairs))
    assert facts.cookies == {"__session": ("\xff",)}


def test_read_headers_are_a_mapping():
    scanned = Scanned(
        [(b"accept", b"a"), (b"accept", b"b"), (b"x-other", b"c"), (b"cookie", b"d"), (b"referer", b"\xe9")]
    )
    assert dict(scanned) == {"accept": "a, b", "referer": "\xe9"}
    assert (len(scanned), "accept" in scanned, "cookie" in scanned, "x-other" in scanned) == (2, True, False, False)
    assert (scanned.get("origin"), scanned.get("origin", ""), scanned.get("\u20ac", "no")) == (None, "", "no")
    with pytest.raises(KeyError):
        scanned["cookie"]


def test_read_cookies_are_a_mapping():
    facts = read(scope_of("/page", ("cookie", "a=1; __session=t1")))
    assert (list(facts.cookies), len(facts.cookies), facts.cookies["__session"]) == (["__session"], 1, ("t1",))


def test_records_of_a_request_show_no_tokens():
    facts = read(
        scope_of("/page", ("cookie", "__session=secret"), ("authorization", "Bearer secret"), query=b"q=secret")
    )
    assert repr(facts) == "RequestFacts(GET PublicUrl(https://app.example.test/page))"
