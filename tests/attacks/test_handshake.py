"""Redirects and what comes back from them: open redirects, loops, login by link, replay, cached redirects, pages."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.attacks.attack_kit import PAGE, TRUSTED, Reply, Target, browser, expired_token, token
from tests.core.minting import M2M, NAMES, TEMPLATE, handshake_token

NO_SESSION = {NAMES.client_uat: "1000000000"}


def is_handshake(reply: Reply) -> bool:
    return reply.status == 307 and reply.header("location").startswith(
        "https://clerk.example.test/v1/client/handshake?"
    )


def returns_to(reply: Reply) -> str:
    (url,) = parse_qs(urlsplit(reply.header("location")).query)["redirect_url"]
    return url


def delivering(target: Target, nonce: str, session: str) -> str:
    target.authority.payloads[nonce] = [f"{NAMES.session}={session}; Path=/", f"{NAMES.client_uat}=1000000000; Path=/"]
    return nonce


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "//evil.example/%2e",
        "/.evil.example",
        "/@evil.example",
        "/x?redirect_url=https://evil.example",
        "/x?a=b&__clerk_redirect_url=https://evil.example",
        "/%0d%0aLocation:%20https://evil.example",
        "/x?%0d%0aLocation:%20https://evil.example",
        "http://evil.example/x",
        "/x?\xe2\x80\xa8",
        "/\\evil.example",
        "\\\\evil.example",
        "/%5cevil.example",
        "/%2f%2fevil.example",
        "/%09/evil.example",
        "/\t/evil.example",
        "/.//evil.example",
        "/;//evil.example",
        "////evil.example//..",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "https://app.example.test@evil.example",
        "https://evil.example#@app.example.test",
        "https://app.example.test.evil.example/",
        "https://evil.example%00.app.example.test",
        "https://app.example.test:443@evil.example",
        "https://[::1]/",
        "javascript:alert(1)//evil.example",
        "data:text/html,evil.example",
        "/javascript:alert(1)",
        "/%E3%80%82evil.example",
        "/x?" + "q" * 4000,
        "/" + "evil" * 1000,
        "/x?redirect_url=//evil.example&return_to=/\\evil.example",
        "/x?__clerk_handshake_nonce=useless&redirect_url=https://evil.example",
        "/x?__clerk_synced=false&__clerk_redirect_url=javascript:alert(1)",
        '/x?"><script>alert(1)</script>',
    ],
)
@pytest.mark.parametrize("cookies", [{}, NO_SESSION], ids=["to the sign-in", "to the handshake"])
def test_a_redirect_leads_to_our_own_places_and_back_to_this_host(
    target: Target, path: str, cookies: dict[str, str]
) -> None:
    reply = target.get(path, *PAGE, cookies=cookies)
    assert reply.status in {307, 400}
    if reply.status == 307:
        (location,) = reply.values("location")
        assert urlsplit(location).netloc == ("clerk.example.test" if cookies else "accounts.example.test")
        assert urlsplit(returns_to(reply)).netloc == "app.example.test"
        assert returns_to(reply).startswith("http://app.example.test/")
        assert not set(location) & set('\\ \t<>"')
        assert reply.header("cache-control") == "no-store"
        assert b"<script>" not in reply.raw


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "///evil.example/", "/%2e/x", "http://evil.example/x", "/@evil.example", "/evil.example:80"],
)
def test_after_a_handshake_the_browser_comes_back_to_this_host(target: Target, path: str) -> None:
    nonce = delivering(target, f"nonce-back-{abs(hash(path))}", token())
    reply = target.returned(f"{path}?__clerk_handshake_nonce={nonce}&a=//evil.example", *PAGE)
    assert reply.status in {307, 400}
    if reply.status == 307:
        assert reply.header("location").startswith("http://app.example.test/")
        assert urlsplit(reply.header("location")).query == "a=//evil.example"


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False), ("HTTPS", True), ("wss", True)])
def test_a_trusted_proxy_says_whether_cookies_are_secure(target: Target, scheme: str, is_secure: bool) -> None:
    headers = (*PAGE, ("X-Forwarded-Proto", scheme), ("X-Forwarded-Host", "app.example.test"))
    reply = target.get("/x", *headers, cookies=NO_SESSION, source=TRUSTED)
    assert returns_to(reply).startswith("https://" if is_secure else "http://")
    assert all(("Secure" in value) is is_secure for value in reply.values("set-cookie"))


@pytest.mark.parametrize("scheme", ["javascript", "data", "https://evil.example/", "file", "htt ps", "ftp", "\x00"])
def test_another_scheme_is_refused_from_a_trusted_proxy_and_ignored_from_a_stranger(
    target: Target, scheme: str
) -> None:
    header = ("X-Forwarded-Proto", scheme)
    assert target.get("/x", *PAGE, header, cookies=NO_SESSION, source=TRUSTED).status == 400
    reply = target.get("/x", *PAGE, header, cookies=NO_SESSION)
    assert reply.status == 400 or returns_to(reply).startswith("http://app.example.test/x?__gateway_state=")


@pytest.mark.parametrize(
    "referer", ["https://accounts.attacker.example/", "https://accounts.evil.accounts.dev/", "https://evil.example/"]
)
def test_a_page_that_calls_itself_accounts_is_no_page_of_ours(target: Target, referer: str) -> None:
    """The freshness check is not skipped for whoever begins with ``accounts.``."""
    assert is_handshake(target.get("/", *PAGE, ("Referer", referer), cookies=browser(token())))
    assert target.get("/", *PAGE, ("Referer", "http://app.example.test/"), cookies=browser(token())).status == 200


def test_every_answer_of_ours_is_kept_by_no_cache(target: Target) -> None:
    bad = browser(token("mallory", header={"kid": "key_1"}))
    for reply in (
        target.get("/", *PAGE),
        target.get("/", *PAGE, cookies=NO_SESSION),
        target.get("/", cookies=bad),
        target.get("/", bearer="x"),
        target.get("/health/.."),
        target.get("/", host="evil.example"),
        target.get("/", method="TRACE"),
        target.get("/", cookies=browser(expired_token(), refresh="rt_useless-one")),
    ):
        assert reply.status >= 300
        assert reply.values("cache-control") == ["no-store"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "1"),
        ("Forwarded", "host=e"),
    ],
)
def test_a_stranger_cannot_change_where_a_redirect_returns_to(target: Target, name: str, value: str) -> None:
    reply = target.get("/x", *PAGE, (name, value), cookies=NO_SESSION)
    assert returns_to(reply).startswith("http://app.example.test/x?__gateway_state=1.")


def test_a_loop_of_redirects_is_stopped(target: Target) -> None:
    for count, stops in (("2", False), ("3", True), ("99", True), ("99999999999", True), ("-1", False), ("x", False)):
        reply = target.get("/", *PAGE, cookies={**NO_SESSION, "__clerk_redirect_count": count})
        assert is_handshake(reply) is not stops, count
        assert reply.status in {307, 401}


def test_a_handshake_is_taken_once(target: Target) -> None:
    nonce = delivering(target, "once", token())
    first = target.returned(f"/a?b=c&__clerk_handshake_nonce={nonce}", *PAGE)
    assert first.status == 307
    assert first.header("location") == "http://app.example.test/a?b=c"
    assert first.header("cache-control") == "no-store"
    again = target.returned(f"/a?b=c&__clerk_handshake_nonce={nonce}", *PAGE)
    assert not again.values("set-cookie")
    assert not is_handshake(again)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", PAGE),
        ("HEAD", PAGE),
        ("GET", (("Accept", "*/*"),)),
        ("GET", (("Accept", "text/html"), ("Sec-Fetch-Dest", "empty"))),
        ("GET", (("Accept", "text/html"), ("Sec-Fetch-Dest", "image"))),
        ("GET", (("Accept", "text/html"), ("Sec-Fetch-Dest", "iframe"))),
        ("GET", (("Accept", "text/html"), ("Sec-Fetch-Dest", "frame"))),
        ("GET", (("Accept", "text/html"), ("Sec-Fetch-Dest", "script"))),
    ],
)
def test_nobody_is_signed_in_by_what_is_no_opened_page(
    target: Target, method: str, headers: tuple[tuple[str, str], ...]
) -> None:
    calls = len(target.authority.calls)
    path = f"/?__clerk_handshake_nonce={delivering(target, 'unseen', token())}"
    for reply in (
        target.returned(path, *headers, method=method),
        target.returned("/", *headers, method=method, cookies={"__clerk_handshake_nonce": "unseen"}),
        target.returned(f"/?__clerk_handshake={handshake_token([f'__session={token()}'])}", *headers, method=method),
    ):
        assert not reply.values("set-cookie")
    assert not [call for call in target.authority.calls[calls:] if "handshake_payload" in call]


@pytest.mark.parametrize(
    "directives",
    [
        ["evil=1; Path=/"],
        ["__Host-x=1; Secure; Path=/"],
        [f"{NAMES.session}=x\r\nSet-Cookie: evil=1"],
        ["__session_AbCdEfGh=x"],
        [f"{NAMES.session}=x"] * 200,
    ],
    ids=["foreign", "prefixed", "line end", "other suffix", "too many"],
)
def test_a_handshake_sets_our_cookies_only_and_makes_them_anew(target: Target, directives: list[str]) -> None:
    target.authority.payloads["odd"] = directives
    reply = target.returned("/?__clerk_handshake_nonce=odd", *PAGE)
    assert b"evil" not in reply.raw
    assert not [value for value in reply.values("set-cookie") if not value.startswith("__clerk_redirect_count=")]
    assert [call for call in target.authority.calls if "nonce=odd" in call]


def test_domain_and_path_of_a_directive_are_not_kept(target: Target) -> None:
    session = token()
    target.authority.payloads["wide"] = [f"{NAMES.session}={session}; Domain=example.test; Path=/admin; SameSite=Lax"]
    cookie, counter = target.returned("/?__clerk_handshake_nonce=wide", *PAGE).values("set-cookie")
    assert counter.startswith("__clerk_redirect_count=1;")
    assert cookie == f"{NAMES.session}={session}; Path=/; SameSite=Lax"


@pytest.mark.parametrize(
    "header", [{"cat": TEMPLATE}, {"cat": M2M}, {"typ": "at+jwt"}, {"kid": "other"}, {"alg": "none"}, {"crit": ["x"]}]
)
def test_a_token_of_another_class_is_no_handshake(target: Target, header: dict[str, object]) -> None:
    forged = handshake_token([f"{NAMES.session}={token()}", f"{NAMES.client_uat}=1"], **header)
    reply = target.returned(f"/?__clerk_handshake={forged}", *PAGE)
    assert not [value for value in reply.values("set-cookie") if value.startswith(NAMES.session)]


def test_a_handshake_that_brings_a_forged_session_sets_nothing(target: Target) -> None:
    for number, session in enumerate((token("mallory"), token(iss="https://clerk.other.test"), "a.b.c")):
        path = f"/?__clerk_handshake_nonce={delivering(target, f'forged{number}', session)}"
        reply = target.returned(path, *PAGE)
        assert not [value for value in reply.values("set-cookie") if value.startswith(NAMES.session)]


@pytest.mark.parametrize("nonce", ["x" * 5000, "../../users", "%00", "a%0d%0ab", "a%26b=c", "%ff", "\x80"])
def test_an_odd_nonce_stays_one_parameter(target: Target, nonce: str) -> None:
    calls = len(target.authority.calls)
    reply = target.returned(f"/?__clerk_handshake_nonce={nonce}", *PAGE)
    assert reply.status in {307, 400}
    for call in target.authority.calls[calls:]:
        assert call.startswith(("GET /v1/clients/handshake_payload?nonce=", "GET /v1/jwks"))
        assert call.count("&") == 0


@pytest.mark.parametrize("digits", [20, 400, 4000])
def test_a_token_from_the_end_of_time_is_only_a_bad_one(target: Target, digits: int) -> None:
    """Thousands of digits are a number to JSON and to Python, and no float holds them."""
    far = token("mallory", header={"kid": "key_1"}, iat=int("9" * digits))
    assert target.returned(f"/?__clerk_handshake={far}", *PAGE).status == 307
    loop = {"__session": far, "__clerk_redirect_count": "3"}
    reply = target.get("/", *PAGE, cookies=loop)
    assert (reply.status, reply.header("x-clerk-auth-reason")) == (401, "session-token-but-no-client-uat")
    assert target.get("/", *PAGE, cookies=browser(far)).status == 401
    assert target.get("/", bearer=far).status == 401


def test_error_pages_show_nothing_of_the_request_as_markup(target: Target) -> None:
    evil = "<script>alert(1)</script>"
    for reply in (
        target.get(f"/health/../{evil}", *PAGE),
        target.get(f"/?a={evil}", *PAGE, cookies=browser(evil)),
        target.get("/.gateway/<script>", *PAGE),
        target.get("/", *PAGE, host="<script>"),
        target.get("/", *PAGE, ("Authorization", f"Bearer {evil}")),
    ):
        assert b"<script" not in reply.raw
        assert reply.status == 307 or not reply.body or "html" in reply.header("content-type") or b"{" in reply.body[:1]
        if reply.header("content-type").startswith("text/html"):
            assert "default-src 'none'" in reply.header("content-security-policy")
            assert reply.header("x-content-type-options") == "nosniff"
