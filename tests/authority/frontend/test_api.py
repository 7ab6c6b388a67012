"""The Frontend API: the client of a browser, its session's tokens, touch, end and remove."""

import pytest

from gateway.authority import AuthorityConfig
from gateway.core.instance import InstanceKind

PRODUCTION = AuthorityConfig(origin="http://127.0.0.1:8001", kind=InstanceKind.PRODUCTION, sign_in_check="password")
CLIENT_FIELDS = {
    "object", "id", "sessions", "sign_in", "sign_up", "last_active_session_id", "last_authentication_strategy",
    "cookie_expires_at", "captcha_bypass", "created_at", "updated_at",
}  # fmt: skip


@pytest.fixture
async def session_path(world):
    cookies = await world.signed_in_cookies("Ada", "acme")
    return f"/v1/client/sessions/{world.claims(cookies['__session'])['sid']}"


def code(answer) -> str:
    return answer.json()["errors"][0]["code"]


async def test_a_development_instance_must_know_the_browser(world):
    answer = await world.browser.get("/v1/client")
    assert (answer.status_code, code(answer)) == (401, "dev_browser_unauthenticated")


async def test_a_dev_browser_makes_the_browser_known(world):
    made = await world.browser.post("/v1/dev_browser")
    token = made.json()["id"]
    assert made.headers["clerk-db-jwt"] == token
    known = (await world.browser.get("/v1/client")).json()["response"]
    assert set(known) == CLIENT_FIELDS
    assert known["sessions"] == []
    world.browser.cookies.clear()
    for name in ("__clerk_db_jwt", "__dev_session"):
        answer = await world.browser.get("/v1/client", params={name: token})
        assert answer.json()["response"]["id"] == known["id"]


@pytest.mark.parametrize("config", [PRODUCTION])
async def test_production_has_no_dev_browsers_and_unknown_browsers_have_no_client(world):
    answer = await world.browser.post("/v1/dev_browser")
    assert (answer.status_code, code(answer)) == (400, "request_invalid_for_environment")
    assert (await world.browser.get("/v1/client")).json() == {"response": None, "client": None}
    made = await world.browser.put("/v1/client")
    assert made.json()["response"]["object"] == "client"
    assert "__client=" in made.headers["set-cookie"]
    assert (await world.browser.request("DELETE", "/v1/client")).status_code == 404


async def test_the_client_shows_its_session_and_user(world, session_path):
    client = (await world.browser.get("/v1/client")).json()["response"]
    (session,) = client["sessions"]
    assert client["last_active_session_id"] == session["id"] == session_path.rpartition("/")[2]
    assert session["status"] == "active"
    assert session["public_user_data"]["first_name"] == "Ada"
    assert session["public_user_data"]["identifier"] == "ada@example.com"
    assert session["last_active_organization_id"] == world.organization("Ada", "acme")
    assert (await world.browser.get(session_path)).json()["response"] == session
    assert (await world.browser.post("/v1/client")).json()["response"] == client


async def test_a_page_gets_a_token_for_its_own_origin(world, session_path):
    headers = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-site"}
    answer = await world.browser.post(f"{session_path}/tokens", headers=headers)
    assert set(answer.json()) == {"jwt"}
    claims = world.claims(answer.json()["jwt"])
    assert claims["azp"] == "http://127.0.0.1:8000"
    assert claims["o"]["slg"] == "acme"


async def test_a_token_may_switch_the_organization(world, session_path):
    async def slug(**form: str) -> str | None:
        answer = await world.browser.post(f"{session_path}/tokens", data=form)
        return world.claims(answer.json()["jwt"]).get("o", {}).get("slg")

    assert await slug(organization_id=world.organization("Ada", "globex")) == "globex"
    assert await slug() == "globex"
    assert await slug(organization_id="") is None
    answer = await world.browser.post(f"{session_path}/tokens", data={"organization_id": "org_none"})
    assert (answer.status_code, code(answer)) == (404, "organization_not_found_or_unauthorized")


async def test_a_page_gets_tokens_of_templates(world, session_path):
    answer = await world.browser.post(f"{session_path}/tokens/custom_hasura")
    assert world.claims(answer.json()["jwt"])["email"] == "ada@example.com"
    missing = await world.browser.post(f"{session_path}/tokens/none")
    assert (missing.status_code, code(missing)) == (404, "resource_not_found")


async def test_touching_switches_the_organization_and_marks_the_client(world, session_path, read_cookies):
    world.clock.advance(10)
    form = {"active_organization_id": "globex", "intent": "select_org"}
    answer = await world.browser.post(f"{session_path}/touch", data=form)
    body = answer.json()
    assert body["response"]["last_active_organization_id"] == world.organization("Ada", "globex")
    assert body["response"]["last_active_at"] == int(world.clock.now_s * 1000)
    assert body["client"]["updated_at"] == int(world.clock.now_s * 1000)
    # a gateway on the shared host sees that its token is older than this, and asks for a new one
    uat = read_cookies(answer.headers.get_list("set-cookie"))["__client_uat"]
    assert int(uat) == int(world.clock.now_s)
    token = read_cookies(await world.handshake())["__session"]
    assert world.claims(token)["iat"] >= int(uat)


async def test_touching_alone_changes_nothing_but_the_activity(world, session_path):
    before = (await world.browser.get("/v1/client")).json()["response"]
    world.clock.advance(10)
    answer = await world.browser.post(f"{session_path}/touch", data={"intent": "focus"})
    assert answer.json()["client"]["updated_at"] == before["updated_at"]
    assert answer.json()["response"]["last_active_at"] == before["sessions"][0]["last_active_at"] + 10_000


@pytest.mark.parametrize(
    ("form", "status", "expected"),
    [
        ({"active_organization_id": "none"}, 404, "organization_not_found_or_unauthorized"),
        ({"intent": "mischief"}, 422, "form_param_value_invalid"),
    ],
)
async def test_a_touch_that_cannot_be_done_is_refused(world, session_path, form, status, expected):
    answer = await world.browser.post(f"{session_path}/touch", data=form)
    assert (answer.status_code, code(answer)) == (status, expected)


@pytest.mark.parametrize(("operation", "status", "shown"), [("end", "ended", 1), ("remove", "removed", 0)])
async def test_a_session_that_is_over_signs_out(world, session_path, read_cookies, operation, status, shown):
    answer = await world.browser.post(f"{session_path}/{operation}")
    assert answer.json()["response"]["status"] == status
    assert len(answer.json()["client"]["sessions"]) == shown
    assert answer.json()["client"]["last_active_session_id"] is None
    assert read_cookies(answer.headers.get_list("set-cookie"))["__client_uat"] == "0"
    again = await world.browser.post(f"{session_path}/{operation}")
    assert (again.status_code, code(again)) == (400, "invalid_action_for_session")
    token = await world.browser.post(f"{session_path}/tokens")
    assert (token.status_code, code(token)) == (401, "authentication_invalid")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/client"),
        ("POST", "/v1/client?_method=DELETE"),
        ("DELETE", "/v1/client/sessions"),
        ("POST", "/v1/client/sessions?_method=delete"),
    ],
)
async def test_all_sessions_are_removed_also_by_a_form(world, session_path, method, path):
    answer = await world.browser.request(method, path)
    assert answer.status_code == 200
    assert answer.json()["response"]["sessions"] == []
    assert (await world.browser.get(session_path)).json()["response"]["status"] == "removed"


@pytest.mark.parametrize("path", ["/v1/client?_method=PATCH", "/v1/client/sessions"])
async def test_other_methods_are_refused(world, session_path, path):
    assert (await world.browser.post(path)).status_code == 405


async def test_the_session_of_another_browser_is_not_found(world, session_path):
    world.browser.cookies.clear()
    await world.sign_in("Grace")
    for operation in ("touch", "end", "remove", "tokens", "tokens/custom_hasura"):
        answer = await world.browser.post(f"{session_path}/{operation}")
        assert (answer.status_code, code(answer)) == (404, "resource_not_found")
    assert (await world.browser.get(session_path)).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Origin": ""},
    ],
)
async def test_pages_of_other_sites_cannot_use_the_cookie(world, session_path, headers):
    for path in ("/v1/client?_method=DELETE", f"{session_path}/end", f"{session_path}/tokens"):
        answer = await world.browser.post(path, headers=headers)
        assert (answer.status_code, code(answer)) == (403, "authorization_invalid")


async def test_the_secret_key_is_no_browser(world):
    answer = await world.api.get("/v1/client")
    assert answer.status_code == 401


async def test_another_port_of_the_same_host_is_the_same_site(world, session_path):
    answer = await world.browser.post(f"{session_path}/tokens", headers={"Origin": "http://127.0.0.1:8000"})
    assert answer.status_code == 200


async def test_a_head_request_does_nothing(world):
    answer = await world.browser.head("/v1/client/handshake", params={"redirect_url": "http://127.0.0.1:8000"})
    assert answer.status_code == 405
    assert not world.browser.cookies
