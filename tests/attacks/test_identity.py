"""Who the upstream is told to serve: nobody but the gateway may say so."""

from urllib.parse import unquote

import pytest

from tests.attacks.attack_kit import SECRET_KEY, STRANGER, TRUSTED, Target, browser, expired_token, token
from tests.core.minting import NAMES

EVIL = "user_evil"
SPELLINGS = (
    "X-Session-User-Id",
    "x-session-user-id",
    "X-SESSION-USER-ID",
    "X_Session_User_Id",
    "X-Session_User-Id",
    "X_SESSION-USER_ID",
    "X.Session.User.Id",
    "X!Session~User^Id",
    "X-Session-Org-Id",
    "X-Session-Org-Role",
    "X-Session-Anything",
    "X_Session_Status",
    "X-Session-Nick",
    "X-Team",
    "X_Team",
    "x.team",
    "X-Clerk-Auth-Status",
    "X-Clerk-Auth-Token",
    "X_Clerk_Auth_Reason",
    "X-Clerk-Request-Data",
    "X-Middleware-Subrequest",
    "Proxy",
)


@pytest.mark.parametrize("path", ["/", "/health", "/maybe"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_a_clients_identity_headers_never_arrive(target: Target, name: str, path: str) -> None:
    answer = target.get(path, (name, EVIL), (name, EVIL), bearer=token())
    assert answer.status == 200
    assert EVIL not in str(target.upstream.requests[-1].headers)


def test_without_a_session_only_the_status_is_told(target: Target) -> None:
    for path in ("/health", "/maybe"):
        assert target.get(path, *((name, EVIL) for name in SPELLINGS)).status == 200
        arrived = target.upstream.requests[-1]
        told = {name: value for name, value in arrived.headers if name.lower().startswith("x-session")}
        assert told == {"x-session-status": "signed-out"}
        assert EVIL not in str(arrived.cgi())


def test_a_token_without_an_organization_leaves_no_room_for_one(target: Target) -> None:
    target.get("/", ("X-Session-Org-Id", "org_evil"), ("X_Session_Org_Role", "org:admin"), bearer=token())
    assert not [name for name in target.upstream.requests[-1].cgi() if "ORG" in name]


@pytest.mark.parametrize(
    "options",
    [
        "close, x-session-user-id, x-session-id, x-session-status",
        "close, X-Session-Status, x-forwarded-for, x-forwarded-host",
        "close, host, cookie, authorization, content-length",
        "close,,;, x-session-user-id",
    ],
)
def test_connection_options_take_nothing_of_ours_away(target: Target, options: str) -> None:
    request = (
        f"GET / HTTP/1.1\r\nHost: app.example.test\r\nConnection: {options}\r\nAuthorization: Bearer {token()}\r\n\r\n"
    )
    assert target.raw(request.encode()).startswith(b"HTTP/1.1 200")
    arrived = target.upstream.requests[-1]
    for name in ("host", "x-session-user-id", "x-session-id", "x-session-status"):
        assert len(arrived.values(name)) == 1


def test_connection_options_stay_and_take_no_forwarding_header_away(proxy: Target) -> None:
    options = "close, x-forwarded-for, x-forwarded-host, x-forwarded-proto"
    request = f"GET /health HTTP/1.1\r\nHost: app.example.test\r\nConnection: {options}\r\n\r\n"
    assert proxy.raw(request.encode()).startswith(b"HTTP/1.1 200")
    arrived = proxy.upstream.requests[-1]
    assert arrived.values("connection") == []
    for name in ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"):
        assert len(arrived.values(name)) == 1


def test_connection_options_do_not_hide_credentials_from_the_gate(target: Target) -> None:
    cookie = f"Cookie: {'; '.join(f'{name}={value}' for name, value in browser(token()).items())}\r\n"
    request = f"GET / HTTP/1.1\r\nHost: app.example.test\r\nConnection: close, cookie\r\n{cookie}\r\n"
    assert target.raw(request.encode()).startswith(b"HTTP/1.1 200")
    assert target.upstream.requests[-1].values("x-session-user-id") == ["user_1"]


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Scheme",
        "X-Forwarded-Ssl",
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Access-Token",
        "X_Forwarded_For",
        "X_Forwarded_Host",
        "X-Real-IP",
        "Forwarded",
        "X-Original-URL",
    ],
)
def test_forwarding_headers_of_a_stranger_never_arrive(proxy: Target, name: str) -> None:
    assert proxy.get("/health", (name, "6.6.6.6")).status == 200
    arrived = proxy.upstream.requests[-1]
    assert "6.6.6.6" not in str(arrived.headers)
    assert arrived.values("x-forwarded-for") == ["127.0.0.1"]
    assert arrived.values("x-forwarded-host") == ["app.example.test"]
    assert arrived.values("x-forwarded-proto") == ["http"]


@pytest.mark.parametrize("value", ["Bearer {}", "bearer {}", "BEARER   {}", "Bearer\t{}", "Bearer \t{}"])
def test_a_bearer_token_stays_at_the_gateway_however_it_is_spelled(proxy: Target, value: str) -> None:
    proxy.get("/health", ("Authorization", value.format(token(jti="stays"))))
    assert proxy.upstream.requests[-1].values("authorization") == []


CLAIMS = {
    "line ends": "a\r\nX-Session-User-Id: user_evil\r\n\r\nGET /admin HTTP/1.1",
    "line feed": "a\nX-Session-User-Id: user_evil",
    "carriage return": "a\rX-Session-User-Id: user_evil",
    "Unicode line ends": "a\u0085b\u2028X-Session-User-Id: user_evil\u2029c",
    "null": "a\x00b",
    "delete": "a\x7fb",
    "escape sequence": "\x1b[31mred\x1b]0;title\x07",
    "tab and form feed": "a\tb\x0bc\x0cd",
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "right to left": "\u202eresu\u202c \u0645\u0631\u062d\u0628\u0627",
    "Latin-1": "Zo\u00eb \u00ff",
    "letters that fold to line ends": "a\u560d\u560ab\u010d\u010ac",
    "escapes": "%0d%0aX-Evil: 1 %25 %",
    "blanks around": "  a  ",
    "commas and semicolons": "a, b; c=d",
    "quotes": "\"a\" 'b' \\",
    "markup": "<script>alert(1)</script>",
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS.keys())
def test_a_claim_arrives_as_one_clean_header_and_decodes_to_itself(target: Target, claim: str) -> None:
    assert target.get("/", bearer=token(nick=claim, sub=f"user_{claim}")).status == 200
    arrived = target.upstream.requests[-1]
    for name, told in (("x-session-nick", claim), ("x-session-user-id", f"user_{claim}")):
        (value,) = arrived.values(name)
        assert value.isascii()
        assert value.isprintable()
        assert unquote(value) == told
    assert arrived.values("x-evil") == []
    assert target.upstream.requests[-1] is arrived


@pytest.mark.parametrize("text", ["n" * 5000, "\u00e9" * 700, "\U0001f600" * 400, "\r\n" * 900])
def test_a_claim_that_is_too_long_is_left_out_and_named(target: Target, text: str) -> None:
    assert target.get("/", bearer=token(nick=text, team="red")).status == 200
    arrived = target.upstream.requests[-1]
    assert arrived.values("x-session-nick") == []
    assert arrived.values("x-session-truncated") == ["x-session-nick"]
    assert arrived.values("x-team") == ["red"]
    assert arrived.values("x-session-user-id") == ["user_1"]


def test_a_claim_of_64_kib_makes_no_token(target: Target) -> None:
    before = target.count
    assert target.get("/", bearer=token(nick="n" * 65_536)).status in {401, 431}
    assert target.get("/", cookies=browser(token(nick="\U0001f600" * 8_000))).status in {401, 431}
    assert target.arrived(before) == []


def test_forwarding_headers_of_a_trusted_proxy_are_rewritten_from_what_it_said(proxy: Target) -> None:
    said = (
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "x.example.com, evil.example"),
        ("X-Forwarded-Port", "1"),
        ("X-Forwarded-Prefix", "/evil"),
        ("Forwarded", "for=6.6.6.6"),
    )
    assert proxy.get("/health", *said, source=TRUSTED).status == 200
    told = {
        name.lower(): value
        for name, value in proxy.upstream.requests[-1].headers
        if name.lower().startswith(("x-forwarded", "forwarded"))
    }
    assert told == {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "x.example.com",
    }


@pytest.mark.parametrize(
    "entry",
    ["evil", "6.6.6.6\x0b", "1.2.3.4.5", "::1%evil", "fe80::1%x y", "unknown", "_hidden", "", ",", "0x7f.1", "127.1"],
)
def test_an_address_that_is_none_is_not_passed_on(proxy: Target, entry: str) -> None:
    reply = proxy.get("/health", ("X-Forwarded-For", f"6.6.6.6, {entry}"), source=TRUSTED)
    if reply.status == 200:
        assert proxy.upstream.requests[-1].values("x-forwarded-for") == [TRUSTED]


def test_a_stranger_behind_the_same_machine_is_a_stranger(proxy: Target) -> None:
    proxy.get("/health", ("X-Forwarded-For", "6.6.6.6"), source=STRANGER)
    assert proxy.upstream.requests[-1].values("x-forwarded-for") == [STRANGER]


def test_claims_cannot_write_headers_of_their_own(target: Target) -> None:
    nick = "a\r\nX-Session-User-Id: user_evil\x00\x7f \u202eeliv\U0001f600%0d%0a "
    assert target.get("/", bearer=token(nick=nick, team="t" * 3000)).status == 200
    arrived = target.upstream.requests[-1]
    assert arrived.values("x-session-user-id") == ["user_1"]
    (value,) = arrived.values("x-session-nick")
    assert value.isascii()
    assert value.isprintable()
    assert "%250d" in value


def test_private_cookies_stay_and_the_applications_own_go_on(proxy: Target) -> None:
    cookies = {**browser(token(), refresh="rt_secret"), "__client": "c", "__refresh": "r", "__clerk_handshake": "h"}
    cookies |= {"__gateway_state": "s", "__Host-gateway_state": "s"}
    proxy.get("/", cookies={"theme": "dark", **cookies, "lang": "de"})
    assert proxy.upstream.requests[-1].values("cookie") == ["theme=dark; lang=de"]


def test_nothing_secret_ever_reached_the_upstream(proxy: Target) -> None:
    proxy.get("/", cookies=browser(token(), refresh="rt_secret"))
    proxy.get("/", cookies=browser(expired_token(), refresh="rt_secret"))
    for secret in (SECRET_KEY, "sk_live", "rt_secret", NAMES.session, NAMES.refresh, NAMES.client_uat):
        assert secret.encode() not in proxy.upstream.seen
