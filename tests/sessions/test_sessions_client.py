"""The client against recorded answers: what it sends, what it returns, how often it tries."""

import logging

import httpx
import pytest

import gateway
from gateway.core.secret import Secret
from gateway.errors import ApiFailed, ApiRefused, ApiUnreachable, ConfigurationError, GatewayError
from gateway.sessions import BadArgument, RefreshedCookies, SessionsClient, Token
from tests.sessions.sessions_kit import (
    KEY,
    SESSION,
    SESSION_ID,
    USER_ID,
    Naps,
    Tape,
    client_of,
    error_body,
    json_answer,
    session,
)

TOKEN = {"object": "token", "jwt": "ey.a.b"}
TRADE = {
    "expired_token": "ey.expired",
    "refresh_token": "refresh-secret",
    "request_origin": "https://app.example.com",
    "request_headers": {"cookie": ["a=b"], "x-list": ("1", "2")},
}


async def test_every_request_carries_key_version_and_agent_and_nothing_of_the_environment(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    tape = Tape(json_answer(SESSION))
    async with client_of(tape) as client:
        await client.get(SESSION_ID)
    headers = tape.request.headers
    assert str(tape.request.url) == f"https://api.clerk.com/v1/sessions/{SESSION_ID}"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["clerk-api-version"] == "2026-05-12"
    assert headers["user-agent"] == f"session-gateway/{gateway.__version__}"
    assert not {"content-type", "cookie", "accept-encoding"} & set(headers)


async def test_list_asks_for_the_paginated_form_with_its_filters():
    tape = Tape(json_answer({"data": [SESSION], "total_count": 3}))
    page = await client_of(tape).list(user_id=USER_ID, status="active", limit=1, offset=2)
    assert dict(tape.request.url.params) == {
        "user_id": USER_ID,
        "status": "active",
        "paginated": "true",
        "limit": "1",
        "offset": "2",
    }
    assert (page.data[0].id, page.total_count) == (SESSION_ID, 3)


async def test_create_sends_the_organization_only_when_there_is_one():
    tape = Tape(json_answer(SESSION))
    await client_of(tape).create(USER_ID)
    assert (tape.request.method, tape.request.url.path, tape.sent) == ("POST", "/v1/sessions", {"user_id": USER_ID})
    tape = Tape(json_answer(SESSION))
    await client_of(tape).create(USER_ID, active_organization_id="org_1")
    assert tape.sent == {"user_id": USER_ID, "active_organization_id": "org_1"}


async def test_refresh_sends_the_trade_and_returns_cookies_that_do_not_show():
    tape = Tape(json_answer({"object": "cookies", "cookies": ["__session=ey.new; Path=/", "__refresh_x=r"]}))
    answer = await client_of(tape).refresh(SESSION_ID, **TRADE, suffixed_cookies=True)
    assert answer == RefreshedCookies(("__session=ey.new; Path=/", "__refresh_x=r"))
    assert tape.request.url.raw_path.decode() == f"/v1/sessions/{SESSION_ID}/refresh?suffixed_cookies=true"
    assert list(tape.sent) == ["format", "expired_token", "refresh_token", "request_origin", "request_headers"]
    assert tape.sent["format"] == "cookie"
    assert tape.sent["request_headers"] == {"cookie": ["a=b"], "x-list": ["1", "2"]}
    assert tape.request.headers["content-type"] == "application/json"


async def test_refresh_without_suffix_says_nothing_about_it_and_may_return_the_token():
    tape = Tape(json_answer(TOKEN))
    answer = await client_of(tape).refresh(SESSION_ID, **TRADE, format="token")
    assert answer == Token("ey.a.b")
    assert tape.request.url.raw_path.decode() == f"/v1/sessions/{SESSION_ID}/refresh"
    assert tape.sent["format"] == "token"


async def test_a_charset_makes_refreshed_cookies_no_worse_unless_somebody_is_exact():
    answer = {"object": "cookies", "cookies": ["__session=ey"]}
    for is_exact in (False, True):
        tape = Tape(json_answer(answer, content_type="application/json; charset=utf-8"))
        client = client_of(tape, exact_type=is_exact)
        if is_exact:
            with pytest.raises(ApiFailed, match="not JSON"):
                await client.refresh(SESSION_ID, **TRADE)
        else:
            assert (await client.refresh(SESSION_ID, **TRADE)).cookies == ("__session=ey",)


async def test_a_token_instead_of_cookies_is_a_failure():
    with pytest.raises(ApiFailed) as caught:
        await client_of(Tape(json_answer(TOKEN))).refresh(SESSION_ID, **TRADE)
    assert caught.value.status == 200


async def test_revoke_sends_no_body():
    tape = Tape(json_answer(session(status="revoked")))
    revoked = await client_of(tape).revoke(SESSION_ID)
    assert revoked.status == "revoked"
    assert (tape.request.method, tape.request.url.path) == ("POST", f"/v1/sessions/{SESSION_ID}/revoke")
    assert tape.request.content == b""
    assert "content-type" not in tape.request.headers


async def test_verify_warns_and_names_what_to_use():
    tape = Tape(json_answer(SESSION))
    with pytest.warns(DeprecationWarning, match=r"signature instead, with the keys of SessionsClient\.jwks") as caught:
        await client_of(tape).verify(SESSION_ID, "ey.token")
    assert caught[0].filename == __file__
    assert tape.sent == {"token": "ey.token"}
    assert tape.request.url.path == f"/v1/sessions/{SESSION_ID}/verify"


async def test_tokens_are_minted_with_and_without_template_lifetime_and_origin():
    tape = Tape(json_answer(TOKEN), json_answer(TOKEN))
    client = client_of(tape)
    assert (await client.create_token(SESSION_ID)).jwt == "ey.a.b"
    token = await client.create_token_from_template(SESSION_ID, "my tpl", expires_in_s=60, origin="https://a.example")
    assert token.jwt == "ey.a.b"
    plain, templated = tape.requests
    assert (plain.url.path, plain.content) == (f"/v1/sessions/{SESSION_ID}/tokens", b"")
    assert "origin" not in plain.headers
    assert templated.url.raw_path.decode() == f"/v1/sessions/{SESSION_ID}/tokens/my%20tpl"
    assert templated.content == b'{"expires_in_seconds":60}'
    assert templated.headers["origin"] == "https://a.example"


async def test_handshake_payload_and_keys_are_fetched():
    tape = Tape(json_answer({"directives": ["a=b"]}), json_answer({"keys": [{"kid": "ins_1"}]}))
    client = client_of(tape)
    assert await client.handshake_payload("n&1") == ("a=b",)
    assert await client.jwks() == {"keys": [{"kid": "ins_1"}]}
    assert tape.requests[0].url.raw_path == b"/v1/clients/handshake_payload?nonce=n%261"
    assert tape.requests[1].url.path == "/v1/jwks"


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get(""),
        lambda client: client.get("../users"),
        lambda client: client.revoke("%2e%2e"),
        lambda client: client.create_token_from_template(SESSION_ID, ".."),
        lambda client: client.handshake_payload(""),
        lambda client: client.list(user_id=""),
        lambda client: client.list(user_id=USER_ID, client_id=""),
        lambda client: anext(client.iterate(user_id="")),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(call):
    tape = Tape()
    with pytest.raises(BadArgument):
        await call(client_of(tape))
    assert tape.requests == []


async def test_the_api_s_errors_reach_the_caller():
    body = error_body("session_refresh_expired_session_token_consumed", "traded", session_id=SESSION_ID)
    with pytest.raises(ApiRefused) as caught:
        await client_of(Tape(json_answer(body, 401))).refresh(SESSION_ID, **TRADE)
    assert (caught.value.status, caught.value.code) == (401, "session_refresh_expired_session_token_consumed")
    assert caught.value.errors[0].meta == (("session_id", SESSION_ID),)


async def test_cookies_of_an_answer_are_not_sent_with_the_next_request():
    tape = Tape(json_answer(SESSION, set_cookie="a=b"), json_answer(SESSION))
    client = client_of(tape)
    await client.get(SESSION_ID)
    await client.get(SESSION_ID)
    assert "cookie" not in tape.requests[1].headers


async def test_iterate_goes_through_all_pages():
    pages = [
        {"data": [session(id="s1"), session(id="s2")], "total_count": 3},
        {"data": [session(id="s3")], "total_count": 3},
    ]
    tape = Tape(*map(json_answer, pages))
    found = [item.id async for item in client_of(tape).iterate(client_id="client_1", page_size=2)]
    assert found == ["s1", "s2", "s3"]
    assert [request.url.params["offset"] for request in tape.requests] == ["0", "2"]
    assert {request.url.params["limit"] for request in tape.requests} == {"2"}


async def test_iterate_does_not_repeat_a_session_that_moved_to_the_next_page():
    pages = [
        {"data": [session(id="s1"), session(id="s2")], "total_count": 3},
        {"data": [session(id="s2"), session(id="s3")], "total_count": 4},
    ]
    found = [item.id async for item in client_of(Tape(*map(json_answer, pages))).iterate(page_size=2)]
    assert found == ["s1", "s2", "s3"]


@pytest.mark.parametrize("second", [{"data": [], "total_count": 9}, {"data": [session(id="s1")], "total_count": 9}])
async def test_iterate_ends_when_a_page_brings_nothing_new_whatever_the_count_says(second):
    tape = Tape(json_answer({"data": [session(id="s1")], "total_count": 9}), json_answer(second))
    assert [item.id async for item in client_of(tape).iterate(page_size=1)] == ["s1"]


async def test_a_get_is_tried_again_after_passing_failures():
    naps = Naps()
    tape = Tape(httpx.ConnectError("refused"), httpx.Response(503), json_answer(SESSION))
    assert (await client_of(tape, backoff=naps.backoff).get(SESSION_ID)).id == SESSION_ID
    assert naps.waits_s == [0.25, 0.5]
    assert len(tape.requests) == 3


async def test_retry_after_is_obeyed():
    naps = Naps()
    limited = json_answer(error_body("too_many_requests"), 429, Retry_After="3")
    await client_of(Tape(limited, json_answer(SESSION)), backoff=naps.backoff).get(SESSION_ID)
    assert naps.waits_s == [3.0]


async def test_a_retry_after_beyond_patience_is_reported_at_once():
    naps = Naps(longest_wait_s=5.0)
    limited = json_answer(error_body("too_many_requests"), 429, Retry_After="60")
    with pytest.raises(ApiFailed) as caught:
        await client_of(Tape(limited), backoff=naps.backoff).get(SESSION_ID)
    assert caught.value.retry_after_s == 60.0
    assert naps.waits_s == []


async def test_attempts_are_bounded_and_the_last_failure_is_raised():
    naps = Naps(attempts=2)
    tape = Tape(httpx.Response(502), httpx.Response(504))
    with pytest.raises(ApiFailed) as caught:
        await client_of(tape, backoff=naps.backoff).get(SESSION_ID)
    assert caught.value.status == 504


ACTING = [
    lambda client: client.create(USER_ID),
    lambda client: client.revoke(SESSION_ID),
    lambda client: client.create_token(SESSION_ID),
    lambda client: client.create_token_from_template(SESSION_ID, "hasura"),
    lambda client: client.refresh(SESSION_ID, **TRADE),
    lambda client: client.handshake_payload("nonce"),
]


@pytest.mark.parametrize("call", ACTING)
@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.Response(429),
        httpx.Response(503, headers={"Retry-After": "0"}),
    ],
    ids=["connect-timeout", "reset", "429", "503"],
)
async def test_what_may_act_twice_is_never_tried_again(call, failure):
    tape = Tape(failure)
    with pytest.raises((ApiUnreachable, ApiFailed)):
        await call(client_of(tape))
    assert len(tape.requests) == 1


async def test_the_transport_is_closed_with_the_client():
    tape = Tape()
    async with client_of(tape):
        assert not tape.is_closed
    assert tape.is_closed


@pytest.mark.parametrize("key", [KEY, Secret(KEY)])
async def test_the_key_is_in_no_representation_error_or_log(key, caplog):
    caplog.set_level(logging.DEBUG)
    refused = json_answer(error_body("clerk_key_invalid"), 401)
    tape = Tape(refused, httpx.LocalProtocolError(f"Illegal header value b'Bearer {KEY}'"))
    client = SessionsClient(key, transport=tape, backoff=Naps(attempts=1).backoff)
    texts = [repr(client), str(client), repr(vars(client))]
    for _ in range(2):
        with pytest.raises(GatewayError) as caught:
            await client.get(SESSION_ID)
        texts += [repr(caught.value), str(caught.value), repr(vars(caught.value))]
    assert KEY not in " ".join(texts) + caplog.text
    assert repr(client) == "SessionsClient(api_url='https://api.clerk.com')"


@pytest.mark.parametrize("key", ["", " ", "sk_test_a b", "sk_test_a\n", "sk_test_ü", "sk_test_a\x00"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key):
    with pytest.raises(ConfigurationError) as caught:
        SessionsClient(key)
    (fault,) = caught.value.faults
    assert fault.setting == "secret_key"
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    ("api_url", "problem"),
    [
        ("", "not an http"),
        ("api.clerk.com", "not an http"),
        ("ftp://api.clerk.com", "not an http"),
        ("https://", "not an http"),
        ("https://api.clerk.com/v1", "/v1"),
        ("https://api.clerk.com/v1/", "/v1"),
        ("https://user:hidden@api.clerk.com", "credentials"),
        ("https://api.clerk.com?", "query"),
        ("https://api.clerk.com#a", "fragment"),
        ("https://api.clerk.com:port", "not a URL"),
        ("https://a\nb", "not a URL"),
    ],
)
def test_an_api_url_that_cannot_be_a_base_is_refused(api_url, problem):
    with pytest.raises(ConfigurationError, match=problem) as caught:
        SessionsClient(KEY, api_url=api_url)
    assert caught.value.faults[0].setting == "api_url"
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("api_url", "base"),
    [
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001/v1/jwks"),
        ("http://127.0.0.1:8001/", "http://127.0.0.1:8001/v1/jwks"),
        ("https://proxy.example.com/clerk/", "https://proxy.example.com/clerk/v1/jwks"),
        ("http://[::1]:80", "http://[::1]/v1/jwks"),
    ],
)
async def test_a_path_prefix_of_the_api_url_is_kept(api_url, base):
    tape = Tape(json_answer({"keys": []}))
    await client_of(tape, api_url=api_url).jwks()
    assert str(tape.request.url) == base


async def test_a_transport_that_is_not_asynchronous_is_named_as_such():
    class Sync(httpx.SyncByteStream):
        def __iter__(self):
            return iter(())

    with pytest.raises(TypeError, match="asynchronous"):
        await client_of(Tape(httpx.Response(200, stream=Sync()))).get(SESSION_ID)


async def test_an_array_in_the_place_of_a_page_is_gone_through_to_its_end():
    pages = [[session(id="s1"), session(id="s2")], [session(id="s3")], []]
    tape = Tape(*map(json_answer, pages))
    found = [item.id async for item in client_of(tape).iterate(user_id=USER_ID, page_size=2)]
    assert found == ["s1", "s2", "s3"]
    assert [request.url.params["offset"] for request in tape.requests] == ["0", "2", "3"]


@pytest.mark.parametrize("call", ACTING)
async def test_even_what_may_act_twice_is_tried_again_where_it_has_not_acted(call):
    naps = Naps()
    limited = json_answer(error_body("too_many_requests"), 429, Retry_After="7")
    tape = Tape(httpx.ConnectError("refused"), limited, json_answer(error_body("no"), 404))
    with pytest.raises(ApiRefused):
        await call(client_of(tape, backoff=naps.backoff))
    assert naps.waits_s == [0.25, 7.0]


async def test_every_operation_names_one_version_and_verify_the_last_one_that_has_it():
    tape = Tape(json_answer(SESSION), json_answer(SESSION), json_answer(SESSION), json_answer(SESSION))
    for version in ("2025-04-10", "2021-02-05"):
        client = client_of(tape, api_version=version)
        await client.get(SESSION_ID)
        with pytest.warns(DeprecationWarning, match="deprecated"):
            await client.verify(SESSION_ID, "ey.token")
    versions = [request.headers.get_list("clerk-api-version") for request in tape.requests]
    assert versions == [["2025-04-10"], ["2024-10-01"], ["2021-02-05"], ["2021-02-05"]]
    assert all("__clerk_api_version" not in str(request.url) for request in tape.requests)


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"api_version": "latest"}, "api_version"),
        ({"api_version": "2026-05-12\r\nX: y"}, "api_version"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": -1.0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
    ],
)
def test_a_version_and_a_timeout_that_cannot_be_used_are_refused_by_name(settings, setting):
    with pytest.raises(ConfigurationError) as caught:
        SessionsClient(KEY, **settings)
    assert [fault.setting for fault in caught.value.faults] == [setting]


async def test_refresh_may_tell_the_browser_s_address_and_leave_out_its_headers():
    tape = Tape(json_answer(TOKEN))
    trade = {name: value for name, value in TRADE.items() if name != "request_headers"}
    await client_of(tape).refresh(SESSION_ID, **trade, request_originating_ip="192.0.2.7", format="token")
    assert "request_headers" not in tape.sent
    assert tape.sent["request_originating_ip"] == "192.0.2.7"
