"""The engine's port over the typed client: what is sent, what comes back, and how long it may take."""

import asyncio
import json

import httpx
import pytest

from gateway.adapters.backend_api import BackendApi, BackendMachines
from gateway.core.secret import Secret
from gateway.core.token_class import TokenType
from gateway.core.verdict import NeedRefresh
from gateway.errors import ApiFailed, ApiRefused, ApiUnreachable
from gateway.sessions.backoff import Backoff
from gateway.sessions.machine_tokens import MachineTokensClient
from gateway.sessions.wire import BadArgument
from tests.sessions.sessions_kit import KEY, Tape, client_of, error_body, json_answer

COOKIES = ["__refresh_s=rt_2; Path=/; HttpOnly", "__session=new; Path=/"]


def need(*, suffixed: bool = True) -> NeedRefresh:
    return NeedRefresh(
        session_id="sess_1",
        expired_token=Secret("expired"),
        refresh_token=Secret("rt_1"),
        request_origin="https://app.example.test",
        request_headers={"user-agent": "Browser/1"},
        client="192.0.2.7",
        suffixed_cookies=suffixed,
    )


def port(*answers: httpx.Response | Exception, timeout_s: float = 5.0) -> tuple[BackendApi, Tape]:
    tape = Tape(*answers)
    # As the engine has it: a browser waits, so nothing is sent again.
    return BackendApi(client_of(tape, backoff=Backoff(attempts=1)), timeout_s), tape


@pytest.mark.parametrize("suffixed", [True, False])
async def test_a_refresh_asks_for_cookies_and_returns_them_in_order(suffixed):
    api, tape = port(json_answer({"object": "cookies", "cookies": COOKIES}))
    assert await api.refresh_cookies(need(suffixed=suffixed)) == tuple(COOKIES)
    assert tape.request.url.path == "/v1/sessions/sess_1/refresh"
    assert tape.request.url.params.get("suffixed_cookies") == ("true" if suffixed else None)
    assert json.loads(tape.request.content) == {
        "format": "cookie",
        "expired_token": "expired",
        "refresh_token": "rt_1",
        "request_origin": "https://app.example.test",
        "request_headers": {"user-agent": ["Browser/1"]},
    }


async def test_a_handshake_payload_is_asked_for_by_its_nonce():
    api, tape = port(json_answer({"directives": COOKIES}))
    assert await api.handshake_payload("n 1") == tuple(COOKIES)
    assert tape.request.url.params["nonce"] == "n 1"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (json_answer(error_body("session_refresh_inactive_session"), 401), ApiRefused),
        (httpx.Response(500), ApiFailed),
        (json_answer({"object": "token", "jwt": "x"}), ApiFailed),
        (httpx.ConnectError("refused"), ApiUnreachable),
    ],
    ids=["refused", "failed", "other shape", "unreachable"],
)
async def test_a_failed_refresh_is_sent_once_and_says_what_happened(answer, error):
    api, tape = port(answer)
    with pytest.raises(error):
        await api.refresh_cookies(need())
    assert len(tape.requests) == 1


class Never(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError


async def test_both_calls_end_within_the_time_given():
    api = BackendApi(client_of(Never()), timeout_s=0.01)
    for call in (api.handshake_payload("n1"), api.refresh_cookies(need())):
        with pytest.raises(ApiUnreachable) as caught:
            await call
        assert caught.value.cause == "timeout"


RECORD = {
    "id": "id_1",
    "subject": "mch_1",
    "scopes": [],
    "claims": None,
    "name": "ci",
    "client_id": "client_1",
    "revoked": False,
    "expired": False,
    "expiration": None,
}


@pytest.mark.parametrize(
    ("kind", "tag", "path"),
    [
        (TokenType.API_KEY, "api_key", "/api_keys/verify"),
        (TokenType.M2M_TOKEN, "machine_to_machine_token", "/m2m_tokens/verify"),
        (TokenType.OAUTH_TOKEN, "clerk_idp_oauth_access_token", "/oauth_applications/access_tokens/verify"),
    ],
)
async def test_each_kind_of_machine_token_has_its_own_call(kind, tag, path):
    tape = Tape(json_answer({"object": tag, **RECORD}))
    api = BackendMachines(MachineTokensClient(Secret(KEY), transport=tape))
    record = await api.verify(kind, "the token")
    assert (record.claims.type, tape.request.url.path) == (kind, path)


async def test_session_tokens_are_not_the_api_s_business():
    tape = Tape()
    with pytest.raises(BadArgument):
        await BackendMachines(MachineTokensClient(Secret(KEY), transport=tape)).verify(TokenType.SESSION_TOKEN, "x")
    assert tape.requests == []
