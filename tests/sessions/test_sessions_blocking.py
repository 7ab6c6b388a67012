"""The client that waits: the same operations, without an event loop."""

import inspect
import threading

import httpx
import pytest

from gateway.authority import Authority, AuthorityConfig
from gateway.errors import ApiRefused, ConfigurationError
from gateway.sessions import BlockingSessionsClient, RefreshedCookies, SessionsClient, Token
from tests.sessions.sessions_kit import KEY, SESSION, SESSION_ID, USER_ID, Tape, error_body, json_answer, session

TRADE = {"expired_token": "ey.expired", "refresh_token": "r", "request_origin": "https://a.example"}


def blocking(*answers: httpx.Response) -> tuple[BlockingSessionsClient, Tape]:
    tape = Tape(*answers)
    return BlockingSessionsClient(KEY, transport=tape), tape


def test_it_has_every_operation_of_the_asynchronous_client():
    def names(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert names(SessionsClient) - {"aclose"} == names(BlockingSessionsClient) - {"close", "wait"}


def test_calls_wait_for_their_answers_and_the_end_closes_the_connections():
    client, tape = blocking(json_answer(SESSION), json_answer({"object": "token", "jwt": "ey.a.b"}))
    with client:
        assert client.get(SESSION_ID).id == SESSION_ID
        assert client.create_token(SESSION_ID, expires_in_s=60).jwt == "ey.a.b"
    assert [request.url.path for request in tape.requests] == [
        f"/v1/sessions/{SESSION_ID}",
        f"/v1/sessions/{SESSION_ID}/tokens",
    ]
    assert tape.is_closed


def test_iterate_asks_for_a_page_when_it_is_reached():
    pages = [
        {"data": [session(id="s1")], "total_count": 2},
        {"data": [session(id="s2")], "total_count": 2},
    ]
    client, tape = blocking(*map(json_answer, pages))
    with client:
        found = client.iterate(user_id=USER_ID, page_size=1)
        assert next(found).id == "s1"
        assert len(tape.requests) == 1
        assert [item.id for item in found] == ["s2"]


def test_refresh_gives_cookies_or_a_token():
    cookies = json_answer({"object": "cookies", "cookies": ["a=b"]})
    client, tape = blocking(cookies, json_answer({"object": "token", "jwt": "ey"}))
    with client:
        assert client.refresh(SESSION_ID, **TRADE) == RefreshedCookies(("a=b",))
        assert client.refresh(SESSION_ID, **TRADE, format="token") == Token("ey")
    assert len(tape.requests) == 2


def test_verify_warns_where_it_is_called():
    client, _ = blocking(json_answer(SESSION))
    with client, pytest.warns(DeprecationWarning, match="signature") as caught:
        client.verify(SESSION_ID, "ey")
    assert [each.filename for each in caught] == [__file__]


def test_refusals_are_the_same_exceptions():
    client, _ = blocking(json_answer(error_body("resource_not_found"), 404))
    with client, pytest.raises(ApiRefused, match="resource_not_found"):
        client.revoke(SESSION_ID)
    with pytest.raises(ConfigurationError):
        BlockingSessionsClient("")


async def test_it_refuses_to_block_an_event_loop():
    client, tape = blocking()
    with pytest.raises(RuntimeError, match=r"use gateway\.SessionsClient"):
        client.get(SESSION_ID)
    assert tape.requests == []


def test_threads_wait_for_each_other():
    client, tape = blocking(*(json_answer(SESSION) for _ in range(8)))
    found: list[str] = []
    with client:
        threads = [threading.Thread(target=lambda: found.append(client.get(SESSION_ID).id)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [SESSION_ID] * 8
    assert tape.is_closed


def test_it_shows_no_key_and_the_documentation_of_the_operations():
    client, _ = blocking()
    with client:
        assert repr(client) == "BlockingSessionsClient(api_url='https://api.clerk.com')"
        assert inspect.getdoc(client.get) == inspect.getdoc(SessionsClient.get)
        assert str(inspect.signature(client.create)).endswith("-> gateway.sessions.models.Session")


def test_it_speaks_to_the_authority():
    origin = "http://127.0.0.1:8001"
    authority = Authority.open(AuthorityConfig(origin=origin), lambda: 1_800_000_000.0)
    user_id = authority.realm.directory.users()[0].id
    with BlockingSessionsClient(
        authority.secret_key, api_url=origin, transport=httpx.ASGITransport(authority.app)
    ) as sessions:
        made = sessions.create(user_id)
        assert [each.id for each in sessions.iterate(user_id=user_id)] == [made.id]
        assert sessions.revoke(made.id).status == "revoked"
    authority.close()
