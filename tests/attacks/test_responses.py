"""What an upstream answers: it must not sign anybody in, order proxies about, or have a session cached."""

import pytest

from tests.attacks.attack_kit import Target, browser, expired_token, token
from tests.core.minting import NAMES


def answer(*headers: str, status: str = "200 OK", body: str = "up") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]).encode("latin-1")


def refreshing(target: Target, refresh: str) -> dict[str, str]:
    """A browser whose session is renewed on the way."""
    target.authority.refreshed[refresh] = [f"{NAMES.session}={token()}; Path=/; Domain=example.test; HttpOnly"]
    return browser(expired_token(jti=refresh), refresh=refresh)


@pytest.mark.parametrize(
    "cookie",
    [
        "__session=evil",
        f"{NAMES.session}=evil; Path=/",
        f"{NAMES.refresh}=evil",
        f"{NAMES.client_uat}=9999999999",
        "__client_uat=0; Domain=example.test",
        "__client=evil",
        "__clerk_handshake_nonce=evil",
        "__clerk_handshake=evil",
        "__clerk_redirect_count=0",
        "__gateway_state=evil",
        "__Host-gateway_state=evil; Secure; Path=/",
        "__clerk_db_jwt=evil",
        " \t__session=evil",
        "=__session=evil",
        "==__session=evil",
        "__session =evil",
    ],
)
def test_an_upstream_cannot_set_a_cookie_of_ours(proxy: Target, cookie: str) -> None:
    proxy.upstream.answers["/maybe/set"] = answer("Set-Cookie: theme=dark", f"Set-Cookie: {cookie}")
    assert proxy.get("/maybe/set").values("set-cookie") == ["theme=dark"]


def test_orders_to_proxies_stay_inside(proxy: Target) -> None:
    proxy.upstream.answers["/health/orders"] = answer(
        "X-Accel-Redirect: /etc/passwd", "X-Middleware-Next: 1", "Connection: x-private", "X-Private: 1", "Trailer: a"
    )
    names = {name for name, _ in proxy.get("/health/orders").headers}
    assert not names & {"x-accel-redirect", "x-middleware-next", "x-private", "trailer"}


@pytest.mark.parametrize("path", ["/kept", "/maybe/kept"])
def test_an_answer_that_depends_on_the_session_is_for_one_browser(target: Target, path: str) -> None:
    reply = target.get(path, bearer=token())
    assert reply.header("cache-control") == "private"
    assert {"cookie", "authorization"} <= set(reply.header("vary").lower().replace(",", " ").split())


@pytest.mark.parametrize(
    "orders",
    [
        ["Cache-Control: public, max-age=600"],
        ["Cache-Control: s-maxage=600", "Expires: Thu, 01 Jan 2099 00:00:00 GMT"],
        ["CDN-Cache-Control: max-age=600", "Surrogate-Control: max-age=600"],
        [],
    ],
)
def test_a_renewed_session_is_never_cached_whatever_the_upstream_allows(proxy: Target, orders: list[str]) -> None:
    proxy.upstream.answers["/maybe/public"] = answer(*orders)
    reply = proxy.get("/maybe/public", cookies=refreshing(proxy, f"rt_{len(str(orders))}"))
    assert reply.status == 200
    assert any(value.startswith(f"{NAMES.session}=") for value in reply.values("set-cookie"))
    assert reply.values("cache-control") == ["no-store"]
    assert {"expires", "cdn-cache-control", "surrogate-control"}.isdisjoint(name for name, _ in reply.headers)


@pytest.mark.parametrize(
    "directives",
    [
        ["evil=1"],
        ["__Host-x=1; Secure"],
        [f"{NAMES.session}=a\r\nSet-Cookie: evil=1"],
        [f"{NAMES.session}_x=1"],
        [f"{NAMES.client_uat}=1"] * 200,
        [f"{NAMES.client_uat}=1; Path=/"],
        [f"{NAMES.session}=; Max-Age=0"],
        [f"{NAMES.session}={'x' * 5000}"],
    ],
    ids=["foreign", "prefixed", "line end", "other suffix", "too many", "no session", "signs out", "too large"],
)
def test_what_a_refresh_may_not_set_ends_the_request(target: Target, directives: list[str]) -> None:
    refresh = f"rt_bad_{hash(str(directives)) & 0xFFFFFF}"
    target.authority.refreshed[refresh] = [*directives]
    reply = target.get("/", cookies=browser(expired_token(jti=refresh), refresh=refresh))
    assert reply.status == 401
    assert reply.values("set-cookie") == []
    assert b"evil" not in reply.raw


def test_a_refresh_that_brings_somebody_else_is_refused(target: Target) -> None:
    for number, changes in enumerate(({"sid": "sess_2"}, {"sub": "user_2"})):
        refresh = f"rt_other_{number}"
        target.authority.refreshed[refresh] = [f"{NAMES.session}={token(**changes)}"]
        reply = target.get("/", cookies=browser(expired_token(jti=refresh), refresh=refresh))
        assert reply.status == 401
        assert b"session-mismatch" in reply.body


def test_a_lower_role_in_a_refreshed_token_counts_for_the_same_request(target: Target) -> None:
    admin = {"id": "org_1", "rol": "admin"}
    target.authority.refreshed["rt_role"] = [f"{NAMES.session}={token(o={'id': 'org_1', 'rol': 'member'})}"]
    assert target.get("/", cookies=browser(expired_token(o=admin), refresh="rt_role")).status == 200
    assert target.upstream.requests[-1].values("x-session-org-role") == ["org:member"]


def test_an_expired_token_alone_does_not_share_another_browsers_refresh(target: Target) -> None:
    cookies = refreshing(target, "rt_alice")
    assert target.get("/", cookies=cookies).status == 200
    stolen = {**cookies, NAMES.refresh: "rt_mallory"}
    assert target.get("/", cookies=stolen).status == 401
    without = {name: value for name, value in cookies.items() if name != NAMES.refresh}
    assert target.get("/", cookies=without).status == 401


def test_an_unsigned_expired_token_causes_no_call(target: Target) -> None:
    calls = len(target.authority.calls)
    forged = token("mallory", header={"kid": "key_1"}, iat=1, nbf=1, exp=2, sid="../../users")
    assert target.get("/", cookies=browser(forged, refresh="rt_x")).status == 401
    assert not [call for call in target.authority.calls[calls:] if call.startswith("POST")]


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
        b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/0.9 hello\r\n\r\n",
        b"",
    ],
    ids=["101", "two lengths", "length and chunks", "long", "many", "interim", "bare CR", "not HTTP", "nothing"],
)
def test_an_answer_that_cannot_be_believed_is_a_502(proxy: Target, raw: bytes) -> None:
    proxy.upstream.answers["/health/broken"] = raw
    assert proxy.get("/health/broken").status == 502


def test_an_answer_that_breaks_off_is_not_passed_on_as_whole(proxy: Target) -> None:
    proxy.upstream.answers["/health/cut"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
    assert not proxy.get("/health/cut").raw.endswith(b"0\r\n\r\n")
    proxy.upstream.answers["/health/short"] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"
    assert proxy.get("/health/short").body in {b"ab", b""}


def test_bytes_behind_an_answer_reach_nobody_else(proxy: Target) -> None:
    smuggled = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    proxy.upstream.answers["/health/split"] = answer() + smuggled
    for _ in range(5):
        assert proxy.get("/health/split").body == b"up"
        assert proxy.get("/health").body == b"up"
