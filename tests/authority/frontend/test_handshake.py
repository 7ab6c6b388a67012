"""The dance of browser, gateway and authority: handshake, sign-in, handshake again, and the cookies that come of it."""

from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest

from gateway.authority import AuthorityConfig
from gateway.authority.credentials import Credentials
from gateway.core.instance import InstanceKind

ORIGIN = "http://127.0.0.1:8001"
APP = "http://127.0.0.1:8000"


async def believe(credentials: Credentials) -> str:
    """Everybody is who they say."""
    return credentials.identifier


PRODUCTION = AuthorityConfig(
    origin=ORIGIN, kind=InstanceKind.PRODUCTION, sign_in_check=believe, allowed_origins=(APP, "https://app.example")
)
ALONE = AuthorityConfig(origin=ORIGIN, kind=InstanceKind.PRODUCTION, sign_in_check=believe)


def query_of(location: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(location).query, keep_blank_values=True))


def suffixed(world, *names: str) -> set[str]:
    return {f"{name}_{world.authority.publishable_key.cookie_suffix}" for name in names}


async def test_a_browser_without_cookies_signs_in_and_its_gateway_gets_a_session(world, read_cookies):
    # 1. the gateway knows nothing of the browser: it comes back with a dev browser, signed out
    before = read_cookies(await world.handshake())
    assert before["__client_uat"] == "0"
    assert before["__session"] == ""
    assert before["__clerk_db_jwt"].startswith("dvb_")
    # 2. the gateway sends it to sign in, and it returns with the mark of a changed browser
    answer = await world.sign_in("Ada", "acme", f"{APP}/inbox?folder=1&q=a+b")
    location = answer.headers["location"]
    assert location.startswith(f"{APP}/inbox?folder=1&q=a+b&__clerk_db_jwt=dvb_")
    # 3. the mark makes the gateway ask again, and now there is a session
    dev_browser = query_of(location)["__clerk_db_jwt"]
    after = read_cookies(await world.handshake(__clerk_db_jwt=dev_browser))
    assert set(after) == {"__session", "__client_uat", "__clerk_db_jwt"} | suffixed(
        world, "__session", "__client_uat", "__clerk_db_jwt", "__refresh"
    )
    assert after["__clerk_db_jwt"] == dev_browser
    claims = world.claims(after["__session"])
    assert claims["sub"] == world.users["Ada"]
    assert claims["azp"] == APP
    assert claims["o"]["slg"] == "acme"
    assert int(after["__client_uat"]) <= claims["iat"]


async def test_signed_in_directives_have_the_attributes_of_a_development_instance(world):
    await world.sign_in()
    for directive in await world.handshake():
        pair, *attributes = directive.split("; ")
        assert "Path=/" in attributes
        assert "SameSite=Lax" in attributes
        assert "Secure" not in attributes
        assert ("HttpOnly" in attributes) == pair.startswith("__refresh_")
        assert int(next(text for text in attributes if text.startswith("Max-Age="))[8:]) > 60


async def test_signed_out_directives_remove_session_and_refresh(world):
    directives = await world.handshake()
    gone = {text.partition("=")[0] for text in directives if "Max-Age=0; Expires=Thu, 01 Jan 1970" in text}
    assert gone == {"__session"} | suffixed(world, "__session", "__refresh")
    for name in ("__client_uat", *suffixed(world, "__client_uat")):
        assert any(text.startswith(f"{name}=0;") for text in directives)


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.999])
async def test_client_uat_is_never_later_than_the_token(world, read_cookies, fraction):
    world.clock.now_s = 1_800_000_000 + fraction
    await world.sign_in()
    for _ in range(3):
        cookies = read_cookies(await world.handshake())
        assert int(cookies["__client_uat"]) <= world.claims(cookies["__session"])["iat"]
        world.clock.advance(-30)  # even when the clock is set back


async def test_the_way_back_keeps_the_address_and_drops_what_an_earlier_handshake_left(world):
    url = f"{APP}/a%20b/?x=%2F&__clerk_handshake_nonce=old&y=1&__clerk_db_jwt=z&sig=%7e#part"
    answer = await world.browser.get("/v1/client/handshake", params={"redirect_url": url, "format": "nonce"})
    location = answer.headers["location"]
    assert location.startswith(f"{APP}/a%20b/?x=%2F&y=1&sig=%7e&__clerk_handshake_nonce=")
    assert location.count("__clerk") == 1
    assert answer.headers["cache-control"] == "no-store"


async def test_the_token_form_holds_the_directives(world, read_cookies):
    await world.sign_in()
    answer = await world.browser.get("/v1/client/handshake", params={"redirect_url": APP})
    token = query_of(answer.headers["location"])["__clerk_handshake"]
    assert "__session" in read_cookies(world.claims(token)["handshake"])
    assert jwt.get_unverified_header(token)["typ"] == "JWT"


async def test_a_nonce_is_good_once_and_for_a_minute(world):
    async def nonce() -> str:
        query = {"redirect_url": APP, "format": "nonce"}
        answer = await world.browser.get("/v1/client/handshake", params=query)
        return query_of(answer.headers["location"])["__clerk_handshake_nonce"]

    async def fetch(nonce: str) -> int:
        return (await world.api.get("/v1/clients/handshake_payload", params={"nonce": nonce})).status_code

    first, second = await nonce(), await nonce()
    assert [await fetch(first), await fetch(first)] == [200, 400]
    world.clock.advance(61)
    assert await fetch(second) == 400


async def test_a_head_request_spends_no_nonce(world):
    answer = await world.browser.get("/v1/client/handshake", params={"redirect_url": APP, "format": "nonce"})
    query = {"nonce": query_of(answer.headers["location"])["__clerk_handshake_nonce"]}
    assert (await world.api.head("/v1/clients/handshake_payload", params=query)).status_code == 405
    assert (await world.api.get("/v1/clients/handshake_payload", params=query)).status_code == 200


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 400, "missing_query_parameter"),
        ({"redirect_url": ""}, 422, "invalid_redirect_url"),
        ({"redirect_url": "/path"}, 422, "invalid_redirect_url"),
        ({"redirect_url": "//evil.example"}, 422, "invalid_redirect_url"),
        ({"redirect_url": "javascript:alert(1)"}, 422, "invalid_redirect_url"),
        ({"redirect_url": "https:evil.example"}, 422, "invalid_redirect_url"),
        ({"redirect_url": "http://127.0.0.1:8000@evil.example/"}, 422, "invalid_redirect_url"),
        ({"redirect_url": APP, "format": "jwt"}, 422, "form_param_value_invalid"),
        ({"redirect_url": APP, "__clerk_api_version": "1999"}, 400, "api_version_invalid"),
    ],
)
async def test_a_handshake_that_cannot_be_answered_is_refused(world, query, status, code):
    answer = await world.browser.get("/v1/client/handshake", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
    assert "location" not in answer.headers


async def test_the_organization_of_a_handshake_becomes_active_if_it_can(world, read_cookies):
    await world.sign_in("Ada", "acme")

    async def organization(**query: str) -> str | None:
        token = read_cookies(await world.handshake(**query))["__session"]
        return world.claims(token).get("o", {}).get("slg")

    assert await organization(organization_id="globex") == "globex"
    assert await organization() == "globex"
    assert await organization(organization_id=world.organization("Ada", "acme")) == "acme"
    assert await organization(organization_id="nobody") == "acme"
    assert await organization(organization_id="") is None


async def test_old_versions_get_old_claims(world, read_cookies):
    await world.sign_in("Ada", "acme")
    cookies = read_cookies(await world.handshake(__clerk_api_version="2024-10-01"))
    assert world.claims(cookies["__session"])["org_slug"] == "acme"


async def test_a_revoked_session_signs_the_browser_out_at_the_next_handshake(world, read_cookies):
    cookies = await world.signed_in_cookies()
    await world.api.post(f"/v1/sessions/{world.claims(cookies['__session'])['sid']}/revoke")
    assert read_cookies(await world.handshake())["__client_uat"] == "0"


async def test_a_user_who_is_gone_is_signed_out(world, read_cookies):
    await world.sign_in("Grace")
    world.authority.realm.directory.remove_user(world.users["Grace"])
    assert read_cookies(await world.handshake())["__session"] == ""


async def test_a_dev_browser_token_alone_identifies_a_browser_but_never_becomes_its_cookie(world, read_cookies):
    location = (await world.sign_in()).headers["location"]
    world.browser.cookies.clear()
    cookies = read_cookies(await world.handshake(__clerk_db_jwt=query_of(location)["__clerk_db_jwt"]))
    assert world.claims(cookies["__session"])["sub"] == world.users["Ada"]
    assert not world.browser.cookies


async def test_a_dev_browser_of_somebody_else_does_not_beat_the_cookie(world, read_cookies):
    attacker = query_of((await world.sign_in("Grace")).headers["location"])["__clerk_db_jwt"]
    world.browser.cookies.clear()
    await world.sign_in("Ada")
    cookies = read_cookies(await world.handshake(__clerk_db_jwt=attacker))
    assert world.claims(cookies["__session"])["sub"] == world.users["Ada"]
    assert cookies["__clerk_db_jwt"] != attacker


async def test_a_dev_browser_of_a_former_life_is_replaced(world, read_cookies):
    cookies = read_cookies(await world.handshake(__clerk_db_jwt="dvb_former"))
    assert cookies["__clerk_db_jwt"] not in ("", "dvb_former")


async def test_signing_in_leaves_nothing_of_before(world, read_cookies):
    first = await world.signed_in_cookies("Ada")
    planted_client = world.browser.cookies["__client"]
    second = await world.signed_in_cookies("Grace")
    old, new = world.claims(first["__session"])["sid"], world.claims(second["__session"])["sid"]
    assert old != new
    sessions = {session["id"]: session for session in (await world.api.get("/v1/sessions")).json()}
    assert sessions[old]["status"] == "replaced"
    assert sessions[new]["status"] == "active"
    assert sessions[old]["client_id"] != sessions[new]["client_id"]
    # whoever knew the browser's secrets before has nothing now
    world.browser.cookies.clear()
    world.browser.cookies.set("__client", planted_client)
    stale = read_cookies(await world.handshake(__clerk_db_jwt=first["__clerk_db_jwt"]))
    assert stale["__session"] == ""


@pytest.mark.parametrize("config", [PRODUCTION])
async def test_production_returns_in_a_cookie_and_asks_for_no_dev_browser(world, read_cookies):
    form = {"identifier": world.users["Ada"], "password": "x", "redirect_url": f"{APP}/x"}
    signed_in = await world.browser.post("/sign-in", data=form)
    assert signed_in.headers["location"] == f"{APP}/x"
    set_by_sign_in = read_cookies(signed_in.headers.get_list("set-cookie"))
    assert set(set_by_sign_in) == {"__client", "__client_uat"} | suffixed(world, "__client_uat")
    assert all("; Secure" in text for text in signed_in.headers.get_list("set-cookie"))
    answer = await world.browser.get(
        "/v1/client/handshake",
        params={"redirect_url": f"{APP}/x", "format": "nonce"},
        headers={"Cookie": f"__client={set_by_sign_in['__client']}"},
    )
    assert answer.headers["location"] == f"{APP}/x"
    (result,) = answer.headers.get_list("set-cookie")
    assert {"HttpOnly", "Secure", "SameSite=Lax"} <= set(result.split("; "))
    nonce = read_cookies([result])["__clerk_handshake_nonce"]
    payload = await world.api.get("/v1/clients/handshake_payload", params={"nonce": nonce})
    directives = payload.json()["directives"]
    assert set(read_cookies(directives)) == {"__session", "__client_uat"} | suffixed(
        world, "__session", "__client_uat", "__refresh"
    )
    assert all("; Secure" in text for text in directives)
    assert set_by_sign_in["__client_uat"] == read_cookies(directives)["__client_uat"]


@pytest.mark.parametrize(
    ("config", "url", "status"),
    [
        (PRODUCTION, f"{APP}/x", 307),
        (PRODUCTION, "https://app.example/x", 307),
        (PRODUCTION, "http://127.0.0.1:9999/x", 422),
        (ALONE, f"{ORIGIN}/x", 307),
        (ALONE, f"{APP}/x", 422),
        (ALONE, "https://127.0.0.1/x", 422),
        (ALONE, "http://127.0.0.1.evil.example/", 422),
        (ALONE, "http://localhost:8001/", 422),
        (AuthorityConfig(origin=ORIGIN, allowed_origins=(APP,)), f"{APP}/x", 307),
        (AuthorityConfig(origin=ORIGIN, allowed_origins=(APP,)), "http://127.0.0.1:9999/", 422),
        (AuthorityConfig(origin=ORIGIN), "http://app.internal:3000/", 307),
    ],
)
async def test_browsers_are_returned_to_served_origins_only(world, url, status):
    answer = await world.browser.get("/v1/client/handshake", params={"redirect_url": url, "format": "nonce"})
    assert answer.status_code == status
    if status == 422:
        assert answer.json()["errors"][0]["code"] == "redirect_url_not_associated_with_instance"


@pytest.mark.parametrize("config", [AuthorityConfig(origin="http://127.0.0.1")])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 307),
        ("localhost", 307),
        ("[::1]", 307),
        ("localhost:8001", 400),
        ("localhost127.0.0.1", 400),
        ("127.0.0.1127.0.0.1", 400),
    ],
)
async def test_an_authority_on_the_usual_port_answers_to_the_names_of_loopback(world, host, status):
    answer = await world.browser.get("/v1/client/handshake", params={"redirect_url": APP}, headers={"Host": host})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8001", 307),
        ("localhost:8001", 307),
        ("[::1]:8001", 307),
        ("127.0.0.1", 400),
        ("evil.example:8001", 400),
        ("", 400),
    ],
)
async def test_only_the_own_host_name_is_answered_to_browsers(world, host, status):
    answer = await world.browser.get("/v1/client/handshake", params={"redirect_url": APP}, headers={"Host": host})
    assert answer.status_code == status
    assert (await world.browser.get("/sign-in", headers={"Host": host})).status_code == (200 if status == 307 else 400)
    assert parse_qs(urlsplit(answer.headers.get("location", "")).query).keys() <= {"__clerk_handshake"}
