"""The authority answers badly, and the application behind the middleware goes on as well as it can."""

import httpx
import pytest

from gateway import SessionsClient
from gateway.testing import BadRule, World, WrongUse

BROKEN_OFF = ["reset", "close", "hang", "truncate", "reset_midway", "drip"]


@pytest.fixture
def client(session_world: World, app, ada):
    client = session_world.client(app, signed_in=ada)
    client.get("/")
    return client


def reason(client) -> str:
    answer = client.get("/")
    assert answer.status_code == 401
    return str(answer.json()["reason"])


def test_a_refresh_that_is_refused_is_a_401_with_the_code(session_world: World, client):
    rule = session_world.fail("RefreshSession", status=401, code="token_already_consumed", times=1)
    client.expire()
    assert "token_already_consumed" in reason(client)
    assert [each.hits for each in session_world.faults.rules()] == [1]
    assert session_world.faults.rule(rule.id).is_used_up


def test_an_api_that_is_down_comes_back(session_world: World, client):
    session_world.fail("Refresh*", status=503)
    client.expire()
    assert client.get("/").status_code in (401, 503)
    session_world.recover()
    session_world.advance(minutes=1)
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("effect", BROKEN_OFF)
async def test_what_breaks_off_is_an_error_of_the_transport(session_world: World, effect):
    session_world.fail("GetSession", effect=effect)
    key = {"Authorization": f"Bearer {session_world.authority.secret_key.reveal()}"}
    async with httpx.AsyncClient(transport=session_world.transport(), headers=key) as client:
        with pytest.raises(httpx.ReadError):
            await client.get(f"{session_world.authority_url}/v1/sessions/sess_1")


async def test_a_client_of_the_api_asks_without_a_socket(session_world: World, ada):
    session = session_world.session(ada)
    transport = session_world.transport()
    secret_key, api_url = session_world.authority.secret_key, session_world.authority_url
    async with SessionsClient(secret_key, api_url=api_url, transport=transport) as api:
        assert (await api.revoke(session.id)).status == session.status == "revoked"


def test_a_question_about_a_machine_fails_too(session_world: World, app, ada):
    key = session_world.machines.api_key(ada)
    session_world.fail("verifyAPIKey", status=500)
    client = session_world.client(app)
    assert client.get("/machines", headers=key.bearer()).status_code == 503


def test_keys_of_somebody_else_let_nobody_in(session_world: World, app, ada):
    session_world.fail("GetJWKS", effect="foreign_keys")
    assert session_world.client(app, signed_in=ada).get("/").status_code in (307, 401, 503)


def test_a_real_gateway_meets_them_as_well(session_world: World, session_gateway, ada):
    session_world.fail("GetJWKS", status=500)
    gateway = session_gateway("http://127.0.0.1:9")
    answer = gateway.client().get("/", headers=session_world.bearer(ada))
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_unknown_operations_and_fields_are_told_with_those_that_there_are(session_world: World):
    with pytest.raises(WrongUse, match=r"no operation 'refresh'; there are: .*RefreshSession"):
        session_world.fail("refresh", status=500)
    with pytest.raises(BadRule, match="'statuss': is unknown; there are operation, "):
        session_world.fail("*", statuss=500)
