"""Login CSRF: an attacker makes another person's browser take the answer to a handshake of the attacker's own."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.attacks.attack_kit import PAGE, Reply, Target, browser, token
from tests.core.minting import NAMES, STATE, handshake_token

CLIENT = {NAMES.client_uat: "1000000000"}
THEIRS = "t" * 43


@pytest.fixture
def nonce(target: Target, request: pytest.FixtureRequest) -> Iterator[str]:
    """A nonce of the attacker's, good and not used yet."""
    name = re.sub("[^a-z0-9]", "-", request.node.name.lower())
    target.authority.payloads[name] = [f"{NAMES.session}={token(sub='mallory')}", f"{NAMES.client_uat}=1000000000"]
    yield name
    assert name in target.authority.payloads, "it was asked for"


def sets_session(reply: Reply) -> bool:
    return any(value.startswith((NAMES.session, "__session")) for value in reply.values("set-cookie"))


def brought(nonce: str) -> str:
    return f"__clerk_handshake_nonce={nonce}"


def test_a_link_signs_nobody_in(target: Target, nonce: str) -> None:
    count = target.count
    reply = target.get(f"/?{brought(nonce)}", *PAGE)
    assert reply.header("location").startswith("https://accounts.example.test/sign-in?")
    assert not sets_session(reply)
    assert target.count == count


def test_a_link_with_the_attackers_own_state_signs_nobody_in(target: Target, nonce: str) -> None:
    for cookies in ({}, {"__gateway_state": STATE}, {"__Host-gateway_state": THEIRS}):
        reply = target.get(f"/?{brought(nonce)}&__gateway_state=1.{THEIRS}", *PAGE, cookies=cookies)
        assert not sets_session(reply)


def test_a_cookie_that_another_host_planted_signs_nobody_in(target: Target, nonce: str) -> None:
    """Over http nothing keeps another host of the domain from setting it; ours comes along beside it."""
    link = f"/?{brought(nonce)}&__gateway_state=1.{THEIRS}"
    for pair in (
        f"__gateway_state={THEIRS}; __gateway_state={STATE}",
        f"__gateway_state={STATE}; __gateway_state={THEIRS}",
    ):
        assert not sets_session(target.get(link, *PAGE, ("Cookie", pair)))


def test_a_link_leaves_a_session_as_it_is(target: Target, nonce: str) -> None:
    reply = target.get(f"/?{brought(nonce)}", *PAGE, cookies=browser(token(sub="alice")))
    assert reply.status == 200
    assert target.upstream.requests[-1].values("x-session-user-id") == ["alice"]
    assert not reply.values("set-cookie")


def test_where_a_handshake_is_due_the_link_begins_it_anew(target: Target, nonce: str) -> None:
    reply = target.get(f"/a?b=c&{brought(nonce)}&__gateway_state=1.{THEIRS}", *PAGE, cookies=CLIENT)
    (back,) = parse_qs(urlsplit(reply.header("location")).query)["redirect_url"]
    (state,) = [value for value in reply.values("set-cookie") if value.startswith("__gateway_state=")]
    match = re.fullmatch(r"__gateway_state=([\w-]{43}); Path=/; Max-Age=600; HttpOnly; SameSite=Lax", state)
    assert match is not None
    assert back == f"http://app.example.test/a?b=c&__gateway_state=2.{match[1]}"


def test_states_are_random(target: Target) -> None:
    states = {target.get("/", *PAGE, cookies=CLIENT).values("set-cookie")[1] for _ in range(5)}
    assert len(states) == 5


@pytest.mark.parametrize("place", ["cookie", "query"])
def test_a_handshake_token_of_another_browser_signs_nobody_in(target: Target, place: str) -> None:
    theirs = handshake_token([f"{NAMES.session}={token(sub='mallory')}", f"{NAMES.client_uat}=1000000000"])
    query = f"__clerk_handshake={theirs}" if place == "query" else ""
    cookies = {"__clerk_handshake": theirs} if place == "cookie" else {}
    for state in ("", f"&__gateway_state=1.{THEIRS}"):
        assert not sets_session(target.get(f"/?{query}{state}", *PAGE, cookies=cookies | {"__gateway_state": STATE}))
    assert sets_session(target.returned(f"/?{query}", *PAGE, cookies=cookies))


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", PAGE),
        ("HEAD", PAGE),
        ("GET", (("Accept", "*/*"), ("Sec-Fetch-Dest", "empty"))),
        ("GET", (("Accept", "text/html"), ("Sec-Fetch-Dest", "iframe"))),
    ],
)
def test_a_form_a_script_and_a_frame_take_nothing(
    target: Target, nonce: str, method: str, headers: tuple[tuple[str, str], ...]
) -> None:
    assert not sets_session(target.returned(f"/?{brought(nonce)}", *headers, method=method))


@pytest.mark.parametrize(
    ("cookie", "sent"),
    [
        ("", f"1.{STATE}"),
        (STATE, ""),
        (STATE, STATE),
        (STATE, f".{STATE}"),
        (STATE, f"1.{STATE}&__gateway_state=1.{THEIRS}"),
        (STATE, f"1.{STATE}%0d%0aSet-Cookie:%20evil=1"),
        (STATE, f"1.{STATE}%00"),
        (STATE, f"1.{STATE[:-1]}"),
        ("", "1."),
        ("x", "1.x"),
        ("x" * 4000, "1." + "x" * 4000),
        ('"' + STATE + '"', f'1."{STATE}"'),
        ("\xff" * 43, "1." + "%ff" * 43),
        ("%73" * 43 + "%", "1." + "%2573" * 43 + "%25"),
    ],
)
def test_an_odd_state_is_none(target: Target, nonce: str, cookie: str, sent: str) -> None:
    cookies = {"__gateway_state": cookie} if cookie else {}
    reply = target.get(f"/?{brought(nonce)}&__gateway_state={sent}", *PAGE, cookies=cookies)
    assert reply.status in {307, 400, 401}
    assert not sets_session(reply)
    assert b"evil" not in reply.raw.partition(b"location")[0]


def test_an_answer_that_was_taken_is_worth_nothing_again(target: Target) -> None:
    target.authority.payloads["replayed"] = [f"{NAMES.session}={token()}", f"{NAMES.client_uat}=1000000000"]
    assert sets_session(target.returned("/?__clerk_handshake_nonce=replayed", *PAGE))
    assert not sets_session(target.returned("/?__clerk_handshake_nonce=replayed", *PAGE))


def test_the_upstream_sees_neither_state_nor_answer_in_a_cookie(proxy: Target) -> None:
    proxy.returned("/", *PAGE, cookies=browser(token()) | {"theme": "dark"})
    assert proxy.upstream.requests[-1].values("cookie") == ["theme=dark"]


def test_a_browser_without_cookies_ends_at_a_page(target: Target) -> None:
    path, hops = "/a", 0
    reply = target.get(path, *PAGE, cookies=CLIENT)
    while reply.status == 307 and hops < 20:
        hops += 1
        (back,) = parse_qs(urlsplit(reply.header("location")).query)["redirect_url"]
        reply = target.get(back.removeprefix("http://app.example.test"), *PAGE, cookies=CLIENT)
    assert (reply.status, hops) == (401, 3)
    assert b"could not renew your session" in reply.body
