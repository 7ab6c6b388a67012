"""The pages: who can be picked, where they return to, and that no other site can sign anybody in or out."""

import re

import pytest

from gateway.authority.models import User

APP = "http://127.0.0.1:8000"
BAD_RETURNS = [
    "javascript:alert(1)", "data:text/html,x", "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil",
    "https:/evil", "http://a@evil.example", "https://evil.example\\@127.0.0.1", "http://127.0.0.1:8000\t/",
    "http://\x00127.0.0.1", "http://exämple.org", "http://127.0.0.1:8000/\r\nSet-Cookie: a=b", "http://", "http://:80/",
    "http://127.0.0.1:99999/", "ftp://127.0.0.1/", "http://127.0.0.1:8000/" + "x" * 9000,
]  # fmt: skip


async def test_everybody_of_the_seed_can_be_picked(world):
    answer = await world.browser.get("/sign-in", params={"redirect_url": f"{APP}/a?b=c&d=e"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    for name in ("Ada Lovelace", "Grace Hopper", "Alan Turing", "Zoë Łukasz", "Acme", "Globex"):
        assert name in answer.text
    assert set(re.findall(r'name="user_id" value="([^"]+)"', answer.text)) == set(world.users.values())
    assert f'value="{APP}/a?b=c&amp;d=e"' in answer.text


async def test_the_front_page_says_what_this_is_and_where_to_go(world):
    answer = await world.browser.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "session authority at http://127.0.0.1:8001" in answer.text
    assert 'href="/sign-in"' in answer.text
    for path in ("/openapi.json", "/.well-known/jwks.json"):
        assert path in answer.text
        assert (await world.api.get(path)).status_code == 200
    assert (await world.browser.get("/", headers={"Host": "evil.example"})).status_code == 400


async def test_the_front_page_says_who_is_signed_in(world):
    await world.sign_in("Ada")
    answer = await world.browser.get("/")
    assert "You are signed in as Ada Lovelace." in answer.text
    assert 'href="/sign-out"' in answer.text


@pytest.mark.parametrize("url", BAD_RETURNS)
async def test_an_address_that_cannot_be_returned_to_gets_a_page_that_says_so(world, url):
    shown = await world.browser.get("/sign-in", params={"redirect_url": url})
    posted = await world.browser.post("/sign-in", data={"user_id": world.users["Ada"], "redirect_url": url})
    signed_out = await world.browser.post("/sign-out", data={"redirect_url": url})
    for answer in (shown, posted, signed_out):
        assert answer.status_code == 422
        assert "absolute http or https address" in answer.text
        assert not answer.headers.get_list("set-cookie")
        assert "location" not in answer.headers


async def test_signing_in_without_an_address_says_who_is_signed_in(world):
    answer = await world.browser.post("/sign-in", data={"user_id": world.users["Zoë"], "organization_id": ""})
    assert answer.status_code == 200
    assert "Zoë Łukasz" in answer.text
    assert "__client" in world.browser.cookies


@pytest.mark.parametrize("form", [{}, {"user_id": "user_none"}, {"user_id": "ADA", "organization_id": "globex-x"}])
async def test_whoever_is_unknown_cannot_sign_in(world, form):
    form = {name: world.users["Ada"] if value == "ADA" else value for name, value in form.items()}
    answer = await world.browser.post("/sign-in", data={**form, "redirect_url": APP})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert not world.browser.cookies
    assert (await world.api.get("/v1/sessions")).json() == []


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": APP},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8000"},
    {"Origin": ""},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_no_other_origin_can_sign_in_or_out(world, headers):
    cookies = await world.signed_in_cookies("Ada")
    form = {"user_id": world.users["Grace"], "redirect_url": APP}
    for path in ("/sign-in", "/sign-out"):
        answer = await world.browser.post(path, data=form, headers=headers)
        assert answer.status_code == 403
        assert not answer.headers.get_list("set-cookie")
    session = await world.api.get(f"/v1/sessions/{world.claims(cookies['__session'])['sid']}")
    assert session.json()["status"] == "active"


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://127.0.0.1:8001"}],
)
async def test_the_own_page_can_sign_in(world, headers):
    form = {"user_id": world.users["Grace"], "redirect_url": APP}
    assert (await world.browser.post("/sign-in", data=form, headers=headers)).status_code == 303


async def test_looking_at_the_sign_out_page_signs_nobody_out(world):
    cookies = await world.signed_in_cookies("Ada")
    answer = await world.browser.get("/sign-out", params={"redirect_url": f"{APP}/?'&lt;b"})
    assert "Ada Lovelace" in answer.text
    assert 'method="post" action="/sign-out"' in answer.text
    assert 'value="http://127.0.0.1:8000/?&#39;&amp;lt;b"' in answer.text
    session = await world.api.get(f"/v1/sessions/{world.claims(cookies['__session'])['sid']}")
    assert session.json()["status"] == "active"


async def test_signing_out_ends_the_session_and_the_next_handshake_wipes_the_cookies(world, read_cookies):
    cookies = await world.signed_in_cookies("Ada")
    world.clock.advance(3)
    answer = await world.browser.post("/sign-out", data={"redirect_url": f"{APP}/bye"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{APP}/bye?__clerk_db_jwt=dvb_")
    assert read_cookies(answer.headers.get_list("set-cookie"))["__client_uat"] == "0"
    session = await world.api.get(f"/v1/sessions/{world.claims(cookies['__session'])['sid']}")
    assert session.json()["status"] == "ended"
    wiped = read_cookies(await world.handshake(__clerk_db_jwt=cookies["__clerk_db_jwt"]))
    assert (wiped["__session"], wiped["__client_uat"]) == ("", "0")


async def test_signing_out_without_a_session_is_no_error(world):
    assert (await world.browser.post("/sign-out")).status_code == 200
    elsewhere = await world.browser.post("/sign-out", data={"redirect_url": f"{APP}/bye"})
    assert elsewhere.headers["location"] == f"{APP}/bye"
    assert "Nobody is signed in" in (await world.browser.get("/sign-out")).text


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"user_id=\xff", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 200, "application/x-www-form-urlencoded", 400),
        (b'{"user_id":"x"}', "application/json", 415),
        (b"x" * 300_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_forms_that_are_none_are_refused(world, content, content_type, status):
    answer = await world.browser.post("/sign-in", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_many_users_are_searched_and_not_all_shown(world):
    directory = world.authority.realm.directory
    for number in range(200):
        directory.add_user(
            User(
                id=f"user_many{number}",
                first_name="Robin",
                last_name=f"N{number}",
                email_address=f"r{number}@example.com",
            )
        )
    everybody = await world.browser.get("/sign-in", params={"redirect_url": f"{APP}/a"})
    assert everybody.text.count('name="user_id"') == 50
    assert "The first 50 of 204 users" in everybody.text
    for query, found in (("LOVELACE", 1), ("n19@", 0), ("r19@ex", 1), ("robin n1", 111), ("user_many7", 11), ("%", 0)):
        answer = await world.browser.get("/sign-in", params={"redirect_url": f"{APP}/a", "query": query})
        assert answer.text.count('name="user_id"') == min(found, 50), query
        assert f'value="{query}"' in answer.text
        assert f"of {found} users" in answer.text or f"{found} user" in answer.text
        assert f"{APP}/a" in answer.text
    nobody = await world.browser.get("/sign-in", params={"query": "'; DROP TABLE users; --"})
    assert "Nobody is found." in nobody.text
