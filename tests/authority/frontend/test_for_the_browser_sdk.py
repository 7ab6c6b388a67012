"""What the official browser SDK asks beside sessions: environment, sign-in by script, own sessions, other origins."""

import httpx
import pytest

from gateway.authority import AuthorityConfig
from gateway.authority.store.passwords import hash_password
from gateway.core.instance import InstanceKind
from gateway.core.secret import Secret

ORIGIN = "http://127.0.0.1:8001"
APP = "http://127.0.0.1:8000"
PASSWORD = "correct horse battery"
WITH_PASSWORDS = AuthorityConfig(origin=ORIGIN, sign_in_check="password")
PRODUCTION = AuthorityConfig(
    origin="https://auth.example.com",
    kind=InstanceKind.PRODUCTION,
    sign_in_check="password",
    allowed_origins=("https://app.example.com",),
)


def code(answer: httpx.Response) -> str:
    return answer.json()["errors"][0]["code"]


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
async def test_the_environment_says_what_the_instance_has(world, method):
    answer = await world.browser.request(method, "/v1/environment", params={"_method": "PATCH"})
    shown = answer.json()
    assert shown["auth_config"]["single_session_mode"] is True
    assert shown["auth_config"]["password"] == "off"
    assert shown["display_config"]["sign_in_url"] == f"{ORIGIN}/sign-in"
    assert shown["display_config"]["instance_environment_type"] == "development"
    assert shown["organization_settings"]["force_organization_selection"] is False


async def test_libraries_find_the_keys(world):
    found = (await world.browser.get("/.well-known/openid-configuration")).json()
    assert found["issuer"] == ORIGIN
    assert (await world.browser.get(found["jwks_uri"])).json()["keys"]


async def test_a_session_shows_its_user_with_the_organizations(world):
    await world.sign_in("Ada", "acme")
    (session,) = (await world.browser.get("/v1/client")).json()["response"]["sessions"]
    user = session["user"]
    assert user["email_addresses"][0]["email_address"] == "ada@example.com"
    assert "private_metadata" not in user
    members = {each["organization"]["slug"]: each["role"] for each in user["organization_memberships"]}
    assert members == {"acme": "org:admin", "globex": "org:member"}


@pytest.mark.parametrize(
    ("version", "status"),
    [("2026-08-20", 200), ("2099-01-01", 200), ("2026-05-11", 400), ("2026-99-99", 400), ("x", 400)],
)
async def test_browsers_may_name_a_later_version_than_is_known(world, version, status):
    await world.sign_in("Ada")
    answer = await world.browser.get("/v1/client", params={"__clerk_api_version": version})
    assert answer.status_code == status
    backend = await world.api.get("/v1/sessions", headers={"Clerk-API-Version": "2026-08-20"})
    assert (backend.status_code, code(backend)) == (400, "api_version_invalid")


async def test_the_users_own_sessions_are_listed_and_one_is_revoked(world):
    elsewhere = await world.create("Ada")
    other = await world.create("Grace")
    await world.sign_in("Ada")
    own = (await world.browser.get("/v1/client")).json()["response"]["last_active_session_id"]
    listed = (await world.browser.get("/v1/me/sessions/active", params={"_clerk_session_id": own})).json()
    assert {each["id"] for each in listed} == {own, elsewhere["id"]}
    revoked = await world.browser.post(f"/v1/me/sessions/{elsewhere['id']}/revoke")
    assert revoked.json()["response"]["status"] == "revoked"
    again = await world.browser.post(f"/v1/me/sessions/{elsewhere['id']}/revoke")
    assert (again.status_code, code(again)) == (400, "invalid_action_for_session")
    assert [each["id"] for each in (await world.browser.get("/v1/me/sessions/active")).json()] == [own]
    assert len((await world.browser.get("/v1/me/sessions")).json()) == 2
    foreign = await world.browser.post(f"/v1/me/sessions/{other['id']}/revoke")
    assert foreign.status_code == 404
    wrong = await world.browser.get("/v1/me/sessions", params={"_clerk_session_id": other["id"]})
    assert (wrong.status_code, code(wrong)) == (401, "authentication_invalid")


async def test_whoever_is_signed_out_has_no_sessions(world):
    await world.browser.post("/v1/dev_browser")
    for path in ("/v1/me/sessions", "/v1/me/sessions/active"):
        assert (await world.browser.get(path)).status_code == 401


@pytest.mark.parametrize("config", [WITH_PASSWORDS])
async def test_a_script_signs_in_with_a_password(world):
    ada = world.users["Ada"]
    world.authority.realm.passwords.keep(ada, hash_password(Secret(PASSWORD)), 1)
    form = {"strategy": "password", "identifier": "ada@example.com", "password": "wrong"}
    wrong = await world.browser.post("/v1/client/sign_ins", data=form)
    assert (wrong.status_code, code(wrong)) == (422, "form_password_incorrect")
    assert not wrong.headers.get_list("set-cookie")
    answer = await world.browser.post("/v1/client/sign_ins", data={**form, "password": PASSWORD})
    made = answer.json()
    assert made["response"]["status"] == "complete"
    assert made["client"]["last_active_session_id"] == made["response"]["created_session_id"]
    token = answer.headers["clerk-db-jwt"]
    world.browser.cookies.clear()
    known = (await world.browser.get("/v1/client", params={"__clerk_db_jwt": token})).json()["response"]
    assert known["sessions"][0]["user"]["id"] == ada
    other = await world.browser.post("/v1/client/sign_ins", data={**form, "strategy": "email_code"})
    assert (other.status_code, code(other)) == (422, "form_param_value_invalid")
    foreign = await world.browser.post(
        "/v1/client/sign_ins", data={**form, "password": PASSWORD}, headers={"Origin": "null"}
    )
    assert (foreign.status_code, code(foreign)) == (403, "authorization_invalid")


async def test_nobody_signs_in_by_script_where_nobody_checks(world):
    answer = await world.browser.post("/v1/client/sign_ins", data={"identifier": world.users["Ada"], "password": "x"})
    assert (answer.status_code, code(answer)) == (403, "authorization_invalid")


PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-custom"}


@pytest.mark.parametrize(
    ("config", "origin", "is_served"),
    [
        (AuthorityConfig(origin=ORIGIN), "http://localhost:3000", True),
        (AuthorityConfig(origin=ORIGIN), "null", False),
        (AuthorityConfig(origin=ORIGIN, allowed_origins=(APP,)), APP, True),
        (AuthorityConfig(origin=ORIGIN, allowed_origins=(APP,)), "http://127.0.0.1:9999", False),
        (PRODUCTION, "https://app.example.com", True),
        (PRODUCTION, "https://evil.example.com", False),
        (PRODUCTION, "https://app.example.com.evil.test", False),
    ],
)
async def test_only_pages_of_served_origins_may_read_the_answers(world, config, origin, is_served):
    host = {"Host": config.host}
    preflight = await world.browser.options("/v1/client/sessions/x/touch", headers={"Origin": origin, **PREFLIGHT})
    assert preflight.status_code == (200 if is_served else 400)
    for path in ("/v1/environment", "/v1/client", "/.well-known/jwks.json"):
        answer = await world.browser.get(path, headers={"Origin": origin, **host})
        assert answer.headers.get("access-control-allow-origin") == (origin if is_served else None)
        assert "Origin" in answer.headers.get("vary", "Origin" if not is_served else "")
        if is_served:
            assert answer.headers["access-control-allow-credentials"] == "true"
    for path in ("/sign-in", "/v1/sessions", "/v1/client/handshake", "/v1/clients/handshake_payload"):
        answer = await world.browser.get(path, headers={"Origin": origin, **host})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("config", [PRODUCTION])
async def test_a_page_of_the_same_site_that_is_not_served_cannot_use_the_cookie(world):
    client, token = world.authority.realm.ledger.add_client(world.authority.realm.now_ms())
    headers = {"Cookie": f"__client={token}", "Host": "auth.example.com", "Sec-Fetch-Site": "same-site"}
    served = await world.browser.post("/v1/client", headers={**headers, "Origin": "https://app.example.com"})
    assert served.json()["response"]["id"] == client.id
    for origin in ("https://evil.example.com", "null", "https://app.example.com:444"):
        refused = await world.browser.post("/v1/client", headers={**headers, "Origin": origin})
        assert (refused.status_code, code(refused)) == (403, "authorization_invalid")


CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Origin": "https://evil.example"}


@pytest.mark.parametrize("headers", [CROSS_SITE, {"Origin": "https://evil.example"}])
async def test_a_form_of_another_site_does_not_replace_the_browsers_client(world, headers):
    """Or it would sign everybody out who looks at its page."""
    answer = await world.browser.post("/v1/dev_browser", headers=headers)
    assert answer.headers["clerk-db-jwt"] == answer.json()["id"]  # its scripts have this, and it is worth no session
    assert not answer.headers.get_list("set-cookie")
    known = {"__clerk_db_jwt": answer.json()["id"], "_method": "DELETE"}
    emptied = await world.browser.post("/v1/client", params=known, headers=headers)
    assert emptied.status_code == 200
    assert not emptied.headers.get_list("set-cookie")


@pytest.mark.parametrize("config", [WITH_PASSWORDS])
async def test_a_form_of_another_site_signs_nobody_in_as_its_owner(world):
    world.authority.realm.passwords.keep(world.users["Ada"], hash_password(Secret(PASSWORD)), 1)
    form = {"identifier": "ada@example.com", "password": PASSWORD}
    foreign = await world.browser.post("/v1/client/sign_ins", data=form, headers=CROSS_SITE)
    assert not foreign.headers.get_list("set-cookie")
    own = await world.browser.post("/v1/client/sign_ins", data=form, headers={"Origin": APP})
    assert own.headers.get_list("set-cookie")


@pytest.mark.parametrize("config", [AuthorityConfig(origin=ORIGIN, allowed_origins=("https://app.example",))])
@pytest.mark.parametrize(("origin", "is_named"), [("https://app.example", True), ("https://evil.example", False)])
async def test_an_origin_that_is_named_gets_its_cookies_and_the_browser_decides(world, origin, is_named):
    answer = await world.browser.post("/v1/dev_browser", headers={"Sec-Fetch-Site": "cross-site", "Origin": origin})
    assert bool(answer.headers.get_list("set-cookie")) == is_named


@pytest.mark.parametrize("hosts", [["127.0.0.1:8001", "evil.example"], ["evil.example", "127.0.0.1:8001"]])
async def test_a_request_for_two_hosts_is_refused(world, hosts):
    for path in ("/sign-in", "/v1/client", "/v1/client/handshake"):
        answer = await world.browser.get(path, headers=[("Host", host) for host in hosts])
        assert answer.status_code == 400
