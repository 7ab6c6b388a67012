"""Whom the gateway believes."""

from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.trust import Forwarded, HostError, PublicOrigin, Trust, canonical_host, is_host_allowed

PROXY, STRANGER = "10.0.0.7", "203.0.113.9"
TRUST = Trust(networks=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
NOBODY = Trust()


@pytest.mark.parametrize(
    ("scheme", "host", "expected"),
    [
        ("http", b"app.example.com", PublicOrigin("http", "app.example.com", "app.example.com")),
        ("https", b"App.Example.COM.", PublicOrigin("https", "app.example.com", "app.example.com")),
        ("https", b"app.example.com:443", PublicOrigin("https", "app.example.com", "app.example.com")),
        ("http", b"app.example.com:443", PublicOrigin("http", "app.example.com:443", "app.example.com")),
        ("http", b"localhost:08000", PublicOrigin("http", "localhost:8000", "localhost")),
        ("http", b"[::1]:80", PublicOrigin("http", "[::1]", "[::1]")),
        ("http", b"[0:0::1]:81", PublicOrigin("http", "[::1]:81", "[::1]")),
        ("ws", b"a_b.example", PublicOrigin("http", "a_b.example", "a_b.example")),
        ("wss", b"a.example:443", PublicOrigin("https", "a.example", "a.example")),
    ],
)
def test_a_host_has_one_spelling(scheme: str, host: bytes, expected: PublicOrigin) -> None:
    assert NOBODY.public_origin(STRANGER, scheme, (host,)) == expected


@pytest.mark.parametrize(
    "host",
    [
        *rb". a..b .a a/b a@b a:b a: a:0 a:65536 a:123456 a:80:80 [::1 ::1 [1.2.3.4] [:::1] a%2e a\b a,b a.. *".split(),
        *(b"", b" ", b"a b", b"[::1%eth0]", b"caf\xc3\xa9.example", b"a" * 64, b".".join([b"a" * 60] * 5)),
    ],
)
def test_a_text_that_is_no_host_is_refused(host: bytes) -> None:
    with pytest.raises(HostError) as refused:
        NOBODY.public_origin(STRANGER, "http", (host,))
    assert refused.value.reason == "host-invalid"


@pytest.mark.parametrize(("hosts", "reason"), [((), "host-missing"), ((b"a.example", b"a.example"), "host-repeated")])
def test_no_host_or_two_are_refused_also_from_a_trusted_proxy(hosts: tuple[bytes, ...], reason: str) -> None:
    with pytest.raises(HostError) as refused:
        TRUST.public_origin(PROXY, "http", hosts, Forwarded(host=(b"app.example.com",)))
    assert refused.value.reason == reason


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(HostError, match="scheme-invalid"):
        NOBODY.public_origin(STRANGER, "ftp", (b"a.example",))


@pytest.mark.parametrize("trust", [TRUST, NOBODY])
def test_a_stranger_changes_neither_host_nor_scheme_nor_address(trust: Trust) -> None:
    forged = Forwarded(host=(b"evil.example",), proto=(b"https",), client=(b"10.0.0.1",))
    assert trust.public_origin(STRANGER, "http", (b"a.example",), forged).host == "a.example"
    assert trust.public_origin(STRANGER, "http", (b"a.example",), forged).scheme == "http"
    assert trust.client_address(STRANGER, forged) == STRANGER


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (Forwarded(host=(b"App.example.com:443",), proto=(b"https",)), "https://app.example.com"),
        (Forwarded(proto=(b"https",)), "https://inner:8000"),
        (Forwarded(host=(b"app.example.com",)), "http://app.example.com"),
        (Forwarded(host=(b"one.example , two.example",), proto=(b" https,http",)), "https://one.example"),
        (Forwarded(host=(b"one.example", b"two.example"), proto=(b"HTTPS",)), "https://one.example"),
        (Forwarded(host=(b"app.example.com",), proto=(b"wss",)), "https://app.example.com"),
        (Forwarded(host=(b"",), proto=(b"https",)), "http://inner:8000"),
        (Forwarded(host=(b"app.example.com",), proto=(b" ",)), "http://inner:8000"),
        (Forwarded(client=(b"1.2.3.4",)), "http://inner:8000"),
    ],
)
def test_a_trusted_proxy_says_host_and_scheme(forwarded: Forwarded, expected: str) -> None:
    origin = TRUST.public_origin(PROXY, "http", (b"inner:8000",), forwarded)
    assert f"{origin.scheme}://{origin.host}" == expected


@pytest.mark.parametrize(
    ("forwarded", "reason"),
    [
        (Forwarded(proto=(b"javascript",)), "scheme-invalid"),
        (Forwarded(proto=(b"htt\xffps",)), "scheme-invalid"),
        (Forwarded(host=(b"a/b",)), "host-invalid"),
    ],
)
def test_nonsense_from_a_trusted_proxy_is_refused(forwarded: Forwarded, reason: str) -> None:
    with pytest.raises(HostError) as refused:
        TRUST.public_origin(PROXY, "http", (b"inner",), forwarded)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("fe80::1", False),
        ("11.0.0.1", False),
        ("unix", False),
        ("", False),
    ],
)
def test_trust_goes_by_network(peer: str, is_trusted: bool) -> None:
    assert TRUST.is_trusted(peer) is is_trusted
    assert NOBODY.is_trusted(peer) is False


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), PROXY),
        ((b"203.0.113.5",), "203.0.113.5"),
        ((b"1.1.1.1, 203.0.113.5",), "203.0.113.5"),
        ((b"1.1.1.1, 203.0.113.5, 10.0.0.8",), "203.0.113.5"),
        ((b"203.0.113.5", b"10.0.0.8"), "203.0.113.5"),
        ((b"10.0.0.9, 10.0.0.8",), "10.0.0.9"),
        ((b"203.0.113.5:4711",), "203.0.113.5"),
        ((b"[2001:db8::1]:4711, 10.0.0.8",), "2001:db8::1"),
        ((b"2001:db8::1",), "2001:db8::1"),
        ((b"1.1.1.1, unknown, 10.0.0.8",), "10.0.0.8"),
        ((b"_hidden",), PROXY),
        ((b"",), PROXY),
        ((b"1.1.1.1\xff",), PROXY),
        ((b"fe80::1%eth0",), PROXY),
        ((b"203.0.113.5, fe80::1%a b, 10.0.0.8",), "10.0.0.8"),
        ((b"[fe80::1%25x]:80",), PROXY),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(values: tuple[bytes, ...], expected: str) -> None:
    assert TRUST.client_address(PROXY, Forwarded(client=values)) == expected


def test_the_walk_to_the_client_is_bounded() -> None:
    many = b"1.1.1.1, " + b"10.0.0.8, " * 10_000 + b"10.0.0.9"
    assert TRUST.client_address(PROXY, Forwarded(client=(many,))) == "10.0.0.8"


def test_only_allowed_hosts_are_served() -> None:
    trust = Trust(TRUST.networks, ("app.example.com", "*.b.example.com"))
    for host in (b"app.example.com", b"APP.example.com.:8000", b"x.b.example.com", b"y.x.B.example.com"):
        assert trust.public_origin(STRANGER, "http", (host,))
    for host in (b"example.com", b"b.example.com", b"xb.example.com", b"app.example.com.evil.example"):
        with pytest.raises(HostError, match="host-not-allowed"):
            trust.public_origin(STRANGER, "http", (host,))
    with pytest.raises(HostError, match="host-not-allowed"):
        trust.public_origin(PROXY, "http", (b"app.example.com",), Forwarded(host=(b"evil.example",)))


def test_a_pattern_covers_what_is_below_it_only() -> None:
    assert is_host_allowed("a.example.com", ["*.example.com"])
    assert not is_host_allowed("example.com", ["*.example.com"])


ENTRIES = st.binary(max_size=40) | st.text("0123456789abcdef.:[]% ,x_\t", max_size=60).map(str.encode)


@given(st.sampled_from([PROXY, STRANGER, "", "fd00::1", "nonsense"]), st.lists(ENTRIES, max_size=4))
def test_whatever_stands_in_forwarded_for_the_client_is_an_address_or_the_peer(peer: str, values: list[bytes]) -> None:
    found = TRUST.client_address(peer, Forwarded(client=values))
    assert found == peer or str(ip_address(found)) == found
    assert found == peer or TRUST.is_trusted(peer)
    assert found == peer or "%" not in found


@given(
    st.sampled_from([PROXY, STRANGER]),
    st.sampled_from(["http", "https", "ws", "wss", "ftp", ""]),
    st.lists(ENTRIES | st.just(b"app.example.com"), max_size=2),
    st.lists(ENTRIES | st.just(b"x.example.com"), max_size=2),
    st.lists(ENTRIES | st.sampled_from([b"http", b"https", b"javascript"]), max_size=2),
)
def test_whatever_host_and_scheme_are_sent_the_origin_is_clean_or_refused(
    peer: str, scheme: str, hosts: list[bytes], host: list[bytes], proto: list[bytes]
) -> None:
    try:
        origin = TRUST.public_origin(peer, scheme, hosts, Forwarded(host, proto))
    except HostError:
        return
    assert origin.scheme in {"http", "https"}
    assert canonical_host(origin.host)[0] == origin.hostname
    parts = urlsplit(f"{origin.scheme}://{origin.host}/")
    assert (parts.hostname, parts.username, parts.path) == (origin.hostname.strip("[]"), None, "/")
    if peer == STRANGER:
        assert origin == TRUST.public_origin(peer, scheme, hosts)


@given(st.text(max_size=40))
def test_any_text_is_a_canonical_host_or_refused(text: str) -> None:
    try:
        host, port = canonical_host(text)
    except HostError:
        return
    again = host if port is None else f"{host}:{port}"
    assert canonical_host(again) == (host, port)
    assert host == host.lower()
    assert not set(host) & set("/\\@?# ,%")
