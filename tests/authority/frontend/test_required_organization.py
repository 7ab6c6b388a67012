"""Where an organization is required, a session without one is pending until its user chooses one."""

import pytest

from gateway.authority import AuthorityConfig
from gateway.authority.credentials import Credentials

ORIGIN = "http://127.0.0.1:8001"
REQUIRED = AuthorityConfig(origin=ORIGIN, requires_organization=True)
TASKS = [{"key": "choose-organization"}]


async def whoever_is_named(credentials: Credentials, /) -> str:
    return credentials.identifier


@pytest.fixture
def config() -> AuthorityConfig:
    return REQUIRED


async def test_a_session_without_an_organization_owes_the_choice_of_one(world):
    cookies = await world.signed_in_cookies("Ada")
    claims = world.claims(cookies["__session"])
    assert claims["sts"] == "pending"
    session = (await world.api.get(f"/v1/sessions/{claims['sid']}")).json()
    assert (session["status"], session["tasks"]) == ("pending", TASKS)
    old = await world.api.get(f"/v1/sessions/{claims['sid']}", headers={"Clerk-API-Version": "2024-10-01"})
    assert old.json()["status"] == "active"
    assert "tasks" not in old.json()
    shown = (await world.browser.get("/v1/client")).json()["response"]["sessions"][0]
    assert (shown["status"], shown["tasks"]) == ("pending", TASKS)


@pytest.mark.parametrize("whose", [{}, {"user_id": "Ada"}])
@pytest.mark.parametrize(
    ("version", "found"), [("2021-02-05", 2), ("2024-10-01", 2), ("2025-03-12", 1), ("2026-05-12", 1)]
)
async def test_versions_that_know_no_pending_sessions_find_them_among_the_active_ones(world, whose, version, found):
    await world.create("Ada", active_organization_id="acme")
    await world.create("Ada")
    query = {"status": "active", "paginated": "true", **{name: world.users[user] for name, user in whose.items()}}
    listed = (await world.api.get("/v1/sessions", params=query, headers={"Clerk-API-Version": version})).json()
    assert [session["status"] for session in listed["data"]] == ["active"] * found
    assert listed["total_count"] == found


async def test_the_page_after_signing_in_says_what_is_pending_and_where_to_go(world):
    shown = await world.browser.post("/sign-in", data={"user_id": world.users["Ada"]})
    assert "Choose an organization" in shown.text
    assert "You have signed in as Ada Lovelace, and the session is pending" in shown.text
    assert "Sign in again and pick" in shown.text
    assert 'href="/sign-in"' in shown.text
    assert "You are signed in" not in shown.text
    form = {"user_id": world.users["Ada"], "organization_id": world.organization("Ada", "acme")}
    assert "You are signed in as Ada Lovelace." in (await world.browser.post("/sign-in", data=form)).text


@pytest.mark.parametrize(
    "config", [AuthorityConfig(origin=ORIGIN, requires_organization=True, sign_in_check=whoever_is_named)]
)
async def test_where_somebody_checks_an_application_asks_for_the_organization(world):
    shown = await world.browser.post("/sign-in", data={"identifier": world.users["Ada"], "password": "x"})
    assert "the session is pending" in shown.text
    assert "Choose one in your application." in shown.text
    assert 'href="/sign-in"' not in shown.text


async def test_touching_with_an_organization_makes_it_active_and_leaving_it_pending_again(world):
    cookies = await world.signed_in_cookies("Ada")
    path = f"/v1/client/sessions/{world.claims(cookies['__session'])['sid']}"
    chosen = await world.browser.post(f"{path}/touch", data={"active_organization_id": "acme"})
    assert (chosen.json()["response"]["status"], chosen.json()["response"]["tasks"]) == ("active", None)
    token = (await world.browser.post(f"{path}/tokens")).json()["jwt"]
    assert world.claims(token)["sts"] == "active"
    left = await world.browser.post(f"{path}/touch", data={"active_organization_id": ""})
    assert left.json()["response"]["status"] == "pending"


async def test_a_session_that_begins_in_an_organization_owes_nothing(world):
    session = await world.create("Ada", active_organization_id=world.organization("Ada", "acme"))
    assert (session["status"], session["tasks"]) == ("active", None)


async def test_choosing_an_organization_brings_no_session_back(world):
    cookies = await world.signed_in_cookies("Ada")
    session_id = world.claims(cookies["__session"])["sid"]
    record = world.authority.realm.ledger.session(session_id, 0)
    await world.api.post(f"/v1/sessions/{session_id}/revoke")
    answer = await world.browser.post(
        f"/v1/client/sessions/{session_id}/touch", data={"active_organization_id": "acme"}
    )
    assert answer.status_code == 400
    # also where the switch meets the revocation in the middle
    from gateway.authority import lifecycle

    assert lifecycle.switch_organization(world.authority.realm, record, "acme").status == "revoked"


async def test_removing_a_user_ends_the_sessions(world):
    cookies = await world.signed_in_cookies("Ada")
    from gateway.authority import lifecycle
    from gateway.authority.errors import Refusal

    assert lifecycle.remove_user(world.authority.realm, world.users["Ada"]) == 1
    session_id = world.claims(cookies["__session"])["sid"]
    assert (await world.api.get(f"/v1/sessions/{session_id}")).json()["status"] == "removed"
    with pytest.raises(Refusal):
        lifecycle.remove_user(world.authority.realm, "user_none")
