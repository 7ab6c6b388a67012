"""The application with the middleware, in this process: no server, no network, no account."""

import pytest
from app import app

from gateway.testing import SessionClient, User, World, signed_by_stranger, tampered, unsigned


@pytest.fixture
def ada(session_world: World) -> User:
    session_world.role("org:editor", ["org:articles:publish", "org:teams:read"])
    return session_world.user("ada@example.com", organizations={"acme": "org:editor", "globex": "org:member"})


@pytest.fixture
def client(session_world: World, ada: User) -> SessionClient:
    return session_world.client(app, signed_in=ada, organization="acme")


def test_nobody_gets_in_without_a_session(session_world: World) -> None:
    client = session_world.client(app)
    assert client.get("/me").status_code == 401
    assert client.get("/health").status_code == 200


def test_somebody_does_with_one(client: SessionClient, ada: User) -> None:
    assert client.get("/me").json() == {"user": ada.id, "organization": "acme"}


def test_who_may_publish_depends_on_the_organization(client: SessionClient) -> None:
    assert client.post("/articles", params={"title": "News"}).status_code == 201
    assert client.get("/articles").json() == ["News"]

    client.switch_organization("globex")
    assert client.get("/articles").json() == []
    refused = client.post("/articles", params={"title": "News"})
    assert (refused.status_code, refused.json()["reason"]) == (403, "missing-permission")


def test_who_leaves_an_organization_keeps_the_token_for_a_minute(
    session_world: World, client: SessionClient, ada: User
) -> None:
    session_world.remove_member(ada, "acme")
    assert client.get("/articles").status_code == 200
    client.expire()
    assert client.get("/articles").status_code == 403


def test_an_expired_token_is_refreshed_on_the_way(client: SessionClient) -> None:
    client.expire()
    answer = client.get("/me")
    assert answer.status_code == 200
    assert "set-cookie" in answer.headers


def test_a_revoked_session_ends_with_its_token(client: SessionClient) -> None:
    client.revoke()
    assert client.get("/me").status_code == 200  # the token is good until it expires, as it is in production
    client.expire()
    assert client.get("/me").status_code == 401


def test_a_session_ends_after_a_week(session_world: World, client: SessionClient) -> None:
    session_world.advance(days=7)
    assert client.session.status == "expired"
    assert client.get("/me").status_code == 401


def test_a_browser_comes_to_the_sign_in_page(client: SessionClient) -> None:
    client.sign_out()
    page = client.visit("/me")
    assert page.url.path == "/sign-in"
    assert "ada@example.com" in page.text


def test_whoever_helps_a_user_does_not_delete_the_account(session_world: World, ada: User) -> None:
    helper = session_world.client(app, signed_in=session_world.session(ada, actor="user_of_the_help_desk"))
    assert helper.get("/me").status_code == 200
    assert helper.delete("/account").status_code == 403


@pytest.mark.parametrize("forge", [tampered, unsigned, signed_by_stranger])
def test_forged_tokens_are_refused(session_world: World, ada: User, forge) -> None:
    client, token = session_world.client(app), session_world.token(ada)
    assert client.get("/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert client.get("/me", headers={"Authorization": f"Bearer {forge(token)}"}).status_code == 401


@pytest.mark.parametrize(
    "how",
    [
        {"age_s": 3600},
        {"origin": "https://evil.example"},
        {"claims": {"iss": "https://clerk.evil.example"}},
        {"claims": {"sts": "pending"}},
    ],
    ids=["expired", "for another site", "of another instance", "with tasks open"],
)
def test_tokens_that_do_not_count(session_world: World, ada: User, how) -> None:
    client = session_world.client(app)
    assert client.get("/me", headers=session_world.bearer(ada, **how)).status_code == 401


def test_a_program_reads_with_an_api_key_until_it_is_revoked(session_world: World) -> None:
    key = session_world.machines.api_key(session_world.organization("acme"), ["articles:read"])
    client = session_world.client(app)
    assert client.get("/export", headers=key.bearer()).json() == []

    key.revoke()
    session_world.advance(seconds=31)  # the API is asked about a key every half a minute
    assert client.get("/export", headers=key.bearer()).status_code == 401


@pytest.mark.anyio
async def test_an_asynchronous_client_does_the_same(session_world: World, ada: User) -> None:
    async with session_world.async_client(app, signed_in=ada, organization="globex") as client:
        assert (await client.get("/me")).json()["organization"] == "globex"
        client.expire()
        assert (await client.get("/me")).status_code == 200
