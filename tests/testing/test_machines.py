"""Tokens of programs, and what a gateway is told about opaque ones."""

import pytest

from gateway.testing import World, WrongUse

MAKERS = {
    "api key": lambda world, ada: world.machines.api_key(ada, ["read"], lifetime_s=3600),
    "m2m": lambda world, ada: world.machines.m2m_token("mch_billing", ["read"]),
    "m2m jwt": lambda world, ada: world.machines.m2m_token("mch_billing", ["read"], is_jwt=True),
    "oauth": lambda world, ada: world.machines.oauth_token(ada, ["read"], client_id="app_1"),
    "oauth jwt": lambda world, ada: world.machines.oauth_token(ada, ["read"], client_id="app_1", is_jwt=True),
}


@pytest.fixture(params=MAKERS)
def token(request, session_world: World, ada):
    return MAKERS[request.param](session_world, ada)


@pytest.fixture
def client(session_world: World, app):
    return session_world.client(app)


def test_every_kind_is_taken_where_a_route_accepts_it(token, client):
    seen = client.get("/machines", headers=token.bearer()).json()
    assert (seen["machine"], seen["scopes"]) == (token.claims.subject, ["read"])
    assert client.get("/", headers=token.bearer()).status_code == 401


def test_the_headers_for_a_service_are_those_that_the_middleware_adds(session_world: World, token, client):
    seen = client.get("/machines", headers=token.bearer()).json()["headers"]
    identity = {name: value for name, value in seen.items() if name.startswith("x-session-")}
    assert session_world.identity_headers(token) == identity
    assert session_world.bearer(token) == token.bearer()


def test_every_kind_expires(session_world: World, token, client):
    session_world.advance(hours=2)
    assert client.get("/machines", headers=token.bearer()).status_code == 401


def test_an_opaque_token_is_revoked_and_a_jwt_is_not(session_world: World, token, client):
    if token.value.count(".") == 2:
        with pytest.raises(WrongUse, match="a JWT cannot be revoked"):
            token.revoke()
        return
    token.revoke()
    assert token.is_revoked
    assert client.get("/machines", headers=token.bearer()).status_code == 401


def test_a_key_without_an_end_lasts(session_world: World, ada, client):
    key = session_world.machines.api_key(session_world.organization("initech"), claims={"tier": 1})
    session_world.advance(days=1000)
    assert client.get("/machines", headers=key.bearer()).json()["machine"] == key.claims.org_id


def test_an_unknown_token_is_refused(client):
    assert client.get("/machines", headers={"Authorization": "Bearer ak_unknown"}).status_code == 401


def test_the_operations_are_the_secret_keys_alone(session_world: World, app):
    client, url = session_world.client(app), f"{session_world.authority_url}/api_keys/verify"
    key = {"Authorization": f"Bearer {session_world.authority.secret_key.reveal()}"}
    assert client.post(url, json={"secret": "ak_1"}).status_code == 401
    assert client.post(url, json={"secret": "ak_1"}, headers=key).status_code == 404


@pytest.mark.parametrize("make", ["api_key", "oauth_token"])
def test_scopes_are_a_list(session_world: World, ada, make):
    with pytest.raises(WrongUse, match=r"write \['read'\]"):
        getattr(session_world.machines, make)(ada, "read")


def test_a_machine_has_an_id(session_world: World):
    with pytest.raises(WrongUse, match="'billing' is no id of a machine, such as mch_billing"):
        session_world.machines.m2m_token("billing")
