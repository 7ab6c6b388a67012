import asyncio
import html
import logging
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.demo.whoami import whoami_app

PAGE = ("accept", "text/html,application/xhtml+xml")
SIGNED_IN = [
    ("x-session-status", "signed-in"),
    ("x-session-user-id", "user_1"),
    ("x-session-id", "sess_1"),
    ("x-session-org-id", "org_1"),
    ("x-session-org-role", "org:admin"),
    ("x-session-org-permissions", "org:a:read,org:a:write"),
]
FORWARDED = [("x-forwarded-proto", "https"), ("x-forwarded-host", "app.example.com"), ("x-request-id", "r1")]
SAME_SITE = ("sec-fetch-site", "same-origin")


class Authority:
    """Remembers which sessions it was asked to revoke, or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.revoked: list[str] = []

    async def revoke(self, session_id: str) -> None:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        self.revoked.append(session_id)


def client_of(app) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://upstream:9000", trust_env=False)


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def client(authority) -> AsyncIterator[httpx.AsyncClient]:
    app = whoami_app(revoke=authority.revoke, sign_out_url="http://localhost:8001/sign-out", token_lifetime_s=45)
    async with client_of(app) as client:
        yield client


async def test_program_gets_the_headers_in_three_groups(client):
    response = await client.get("/a%20b?q=%C3%A4&q=2", headers=[*SIGNED_IN, *FORWARDED, ("x-other", "1")])
    told = response.json()
    assert (told["method"], told["path"], told["query"]) == ("GET", "/a b", "q=%C3%A4&q=2")
    assert told["identity"] == dict(SIGNED_IN)
    assert told["forwarded"] == dict(FORWARDED)
    assert told["rest"]["x-other"] == "1"
    assert told["rest"]["host"] == "upstream:9000"
    assert response.headers["cache-control"] == "no-store"


async def test_repeated_headers_are_a_list_in_order(client):
    response = await client.get("/", headers=[("x-other", "b"), ("x-other", "a"), ("forwarded", "for=a"), SIGNED_IN[0]])
    told = response.json()
    assert told["rest"]["x-other"] == ["b", "a"]
    assert told["forwarded"] == {"forwarded": "for=a"}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_every_method_is_answered(method, client):
    response = await client.request(method, "/deep/er")
    assert response.status_code == 200
    assert response.json()["method"] == method


async def test_prefix_of_the_identity_headers_can_be_another(authority):
    app = whoami_app(identity_prefix="X-Who-", revoke=authority.revoke)
    headers = [("x-who-status", "signed-in"), ("x-who-user-id", "user_7"), ("x-who-id", "sess_7"), SIGNED_IN[2]]
    async with client_of(app) as client:
        told = (await client.get("/", headers=headers)).json()
        await client.post("/revoke", headers=[*headers, SAME_SITE])
        page = (await client.get("/", headers=[PAGE, *headers])).text
    assert set(told["identity"]) == {"x-who-status", "x-who-user-id", "x-who-id"}
    assert told["rest"]["x-session-id"] == "sess_1"
    assert authority.revoked == ["sess_7"]
    assert "X-Who-User-Id: somebody" in page


async def test_page_says_who_impersonates_the_user(client):
    page = (await client.get("/", headers=[PAGE, *SIGNED_IN, ("x-session-actor", "user_9")])).text
    assert "Impersonated by" in page
    assert "user_9" in page
    assert "Impersonated by" not in (await client.get("/", headers=[PAGE, *SIGNED_IN])).text


async def test_browser_gets_a_page_that_says_who_is_signed_in(client):
    response = await client.get("/orders?x=1", headers=[PAGE, *SIGNED_IN, *FORWARDED])
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    page = response.text
    for words in ("Signed in", "user_1", "org_1", "org:admin", "<li>org:a:read</li><li>org:a:write</li>"):
        assert words in page
    assert "GET /orders?x=1" in page
    assert "Wait 45 seconds" in page
    assert "curl -i https://app.example.com/" in page
    assert 'href="http://localhost:8001/sign-out"' in page
    assert '<form method="post" action="/revoke">' in page
    assert "The session is revoked" not in page


async def test_signed_out_page_offers_neither_sign_out_nor_revoking(client):
    page = (await client.get("/", headers=[PAGE, ("x-session-status", "signed-out")])).text
    assert '<h1 class="lamp">Signed out</h1>' in page
    assert "<form" not in page
    assert "sign-out" not in page


async def test_request_around_the_gateway_is_told_so(client):
    page = (await client.get("/", headers=[PAGE])).text
    assert "Not through the gateway" in page
    assert "<form" not in page


@pytest.mark.parametrize(
    "headers", [[("x-session-status", "signed-in")], [("x-session-user-id", "u")], [*SIGNED_IN, SIGNED_IN[1]]]
)
async def test_half_an_identity_is_not_signed_in(headers, client):
    page = (await client.get("/", headers=[PAGE, *headers])).text
    assert '<h1 class="lamp">Signed out</h1>' in page


async def test_a_machine_is_shown_as_one(client):
    headers = [(f"x-session-{name}", text) for name, text in MACHINE.items()]
    page = (await client.get("/", headers=[PAGE, *headers])).text
    assert '<h1 class="lamp on">Signed in</h1>' in page
    for text in ("m2m_token", "mch_1", "mch_2 mch_3"):
        assert f"<dd>{text}</dd>" in page
    assert "Revoke" not in page


MACHINE = {
    "status": "signed-in",
    "token-type": "m2m_token",
    "subject": "mch_1",
    "machine-id": "mch_1",
    "scopes": "mch_2 mch_3",
}


async def test_without_revoke_there_is_no_button_and_no_address():
    async with client_of(whoami_app()) as client:
        page = (await client.get("/", headers=[PAGE, *SIGNED_IN])).text
        answer = await client.post("/revoke", headers=[*SIGNED_IN, SAME_SITE])
    assert "Revoke" not in page
    assert "Sign out" not in page
    assert (answer.status_code, answer.json()["path"]) == (200, "/revoke")


async def test_hostile_headers_stay_text(client):
    hostile = "\"'><script>alert(1)</script>&lt;"
    headers = [(name, hostile) for name, _ in SIGNED_IN[1:]] + [SIGNED_IN[0], ("x-other", hostile)]
    headers += [("x<script>alert(2)</script>", "1"), ("x-forwarded-host", hostile), ("x-request-id", hostile)]
    page = (await client.get("/?revoked=<script>", headers=[PAGE, *headers])).text
    assert "<script" not in page
    shown = html.unescape(re.sub(r"<[^>]*>", "", page))
    assert shown.count(hostile) >= 8
    assert "x<script>alert(2)</script>" in shown
    assert "curl" not in page


async def test_percent_encoded_identity_is_shown_as_it_is(client):
    page = (await client.get("/", headers=[PAGE, *SIGNED_IN, ("x-session-name", "%D0%90%D0%B4%D0%B0")])).text
    assert "<div>%D0%90%D0%B4%D0%B0</div>" in page


async def test_bytes_that_are_not_ascii_are_shown_as_latin_1(client):
    told = (await client.get("/", headers=[(b"x-other", b"\xe4\xff")])).json()
    assert told["rest"]["x-other"] == "äÿ"


@pytest.mark.parametrize("host", ["[", "a?b", "a/b", "", "a b"])
async def test_host_that_is_none_does_no_harm(host, client):
    response = await client.get("/x", headers=[("host", host)])
    assert (response.status_code, response.json()["path"]) == (200, "/x")
    assert "curl" not in (await client.get("/x", headers=[PAGE, ("host", host)])).text


@pytest.mark.parametrize(
    "proof",
    [
        [SAME_SITE],
        [("origin", "https://app.example.com")],
        [("origin", "https://app.example.com"), SAME_SITE],
    ],
)
async def test_button_revokes_the_session_of_the_header_and_returns(proof, client, authority):
    response = await client.post(
        "/revoke?session_id=sess_9", data={"session_id": "sess_9"}, headers=[PAGE, *SIGNED_IN, *FORWARDED, *proof]
    )
    assert response.status_code == 303
    assert response.headers["location"] == "/?revoked=sess_1"
    assert authority.revoked == ["sess_1"]


@pytest.mark.parametrize(
    ("forwarded", "origin"),
    [
        ([("x-forwarded-proto", "https"), ("x-forwarded-host", "App.example.com:443")], "https://app.example.com"),
        ([("x-forwarded-proto", "http"), ("x-forwarded-host", "localhost:8000")], "http://localhost:8000"),
        ([("x-forwarded-proto", "http"), ("x-forwarded-host", "[::1]:8000")], "http://[::1]:8000"),
        ([], "http://upstream:9000"),
    ],
)
async def test_origin_is_compared_with_the_public_one(forwarded, origin, client, authority):
    response = await client.post("/revoke", headers=[*SIGNED_IN, *forwarded, ("origin", origin)])
    assert (response.status_code, authority.revoked) == (303, ["sess_1"])


@pytest.mark.parametrize(
    "proof",
    [
        [],
        [("origin", "https://evil.example")],
        [("origin", "null")],
        [("origin", "http://app.example.com")],
        [("origin", "https://app.example.com"), ("origin", "https://evil.example")],
        [("origin", "https://app.example.com"), ("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("sec-fetch-site", "none")],
        [SAME_SITE, ("sec-fetch-site", "cross-site")],
        [("referer", "https://app.example.com/")],
        [("origin", "https://app.example.com"), ("x-forwarded-host", "evil.example")],
        [("origin", "https://app.example.com"), ("x-forwarded-proto", "https")],
    ],
)
async def test_form_of_another_site_is_refused(proof, client, authority):
    response = await client.post("/revoke", headers=[*SIGNED_IN, *FORWARDED, *proof])
    assert (response.status_code, response.json()["error"]) == (403, "revoke-cross-origin")
    assert authority.revoked == []


@pytest.mark.parametrize("origin", ["://", "ftp://app.example.com", ""])
async def test_unknown_public_origin_matches_no_origin(origin, client, authority):
    forwarded = [("x-forwarded-proto", "ftp"), ("x-forwarded-host", "app.example.com"), ("origin", origin)]
    response = await client.post("/revoke", headers=[*SIGNED_IN, *forwarded])
    assert (response.status_code, authority.revoked) == (403, [])


@pytest.mark.parametrize("headers", [[], [SIGNED_IN[2], ("x-session-id", "sess_2")], [("x-session-id", "")]])
async def test_without_one_session_there_is_nothing_to_revoke(headers, client, authority):
    response = await client.post("/revoke", headers=[*headers, SAME_SITE])
    assert (response.status_code, response.json()["error"]) == (400, "revoke-without-session")
    assert authority.revoked == []


async def test_reading_the_address_revokes_nothing(client, authority):
    assert (await client.get("/revoke", headers=[*SIGNED_IN, SAME_SITE])).status_code == 200
    assert authority.revoked == []


async def test_failing_revoke_is_502_with_plain_words_and_no_detail(caplog):
    authority = Authority(RuntimeError("secret detail"))
    with caplog.at_level(logging.WARNING, "gateway.demo"):
        async with client_of(whoami_app(revoke=authority.revoke)) as client:
            page = await client.post("/revoke", headers=[PAGE, *SIGNED_IN, SAME_SITE])
            told = await client.post("/revoke", headers=[*SIGNED_IN, SAME_SITE])
    assert (page.status_code, told.status_code) == (502, 502)
    assert "The session could not be revoked" in page.text
    assert told.json()["error"] == "revoke-failed"
    assert "RuntimeError" in caplog.text
    assert "secret detail" not in page.text + told.text + caplog.text
    assert "sess_1" not in caplog.text


async def test_banner_explains_how_long_the_token_still_lives(client):
    page = (await client.get("/?revoked=sess_1", headers=[PAGE, *SIGNED_IN])).text
    assert "The session is revoked." in page
    assert "about 45 seconds more" in page


async def test_who_signs_in_again_is_not_told_of_the_session_that_was_revoked(client):
    page = (await client.get("/?revoked=sess_0", headers=[PAGE, *SIGNED_IN])).text
    assert "The session is revoked" not in page


async def test_banner_after_the_token_ran_out_says_nobody_is_signed_in(client):
    page = (await client.get("/?revoked=sess_1", headers=[PAGE, ("x-session-status", "signed-out")])).text
    assert "nobody is signed in here any more" in page


async def test_health_is_plain_text(client):
    response = await client.get("/healthz", headers=[PAGE])
    assert (response.status_code, response.text) == (200, "ok\n")


async def test_very_long_values_are_shown_whole(client):
    page = (await client.get("/", headers=[PAGE, *SIGNED_IN, ("cookie", "A" * 6000)])).text
    assert "A" * 6000 in page
