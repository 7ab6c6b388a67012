"""What becomes of a request that a rule meets, where no socket is needed to see it."""

import asyncio

import httpx
import jwt
import pytest

from gateway.authority.control import Effect, Rule
from gateway.authority.signing.keyring import Category, ForeignToken

UNVERIFIED = {"verify_signature": False}


async def test_without_a_rule_the_answers_are_the_operations_own(controlled):
    session_id = await controlled.create_session()
    assert (await controlled.api.get(f"/v1/sessions/{session_id}")).json()["id"] == session_id
    assert (await controlled.api.get("/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "authentication_invalid"),
        (403, "authorization_invalid"),
        (404, "resource_not_found"),
        (410, "operation_deprecated"),
        (422, "form_param_value_invalid"),
        (429, "too_many_requests"),
        (500, "internal_clerk_error"),
        (503, "service_unavailable"),
        (418, "injected_fault"),
    ],
)
async def test_a_status_is_answered_with_the_apis_error_body(controlled, status, code):
    controlled.faults.add(Rule(operation="GetSessionList", status=status, retry_after_s=7))
    answer = await controlled.api.get("/v1/sessions")
    assert answer.status_code == status
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["errors"][0]["code"] == code
    assert body["clerk_trace_id"] == answer.headers["clerk-trace-id"]


@pytest.mark.parametrize(
    ("rule", "text", "kind"),
    [
        (Rule(status=502, body="<h1>Bad</h1>", headers={"Content-Type": "text/html"}), "<h1>Bad</h1>", "text/html"),
        (Rule(status=502, body="down"), "down", "text/plain; charset=utf-8"),
        (Rule(status=200, body={"object": "list"}), '{"object":"list"}', "application/json"),
        (Rule(status=200, body=[]), "[]", "application/json"),
        (Rule(status=500, code="odd"), None, "application/json"),
        (Rule(status=204), "", None),
        (Rule(status=304, body="never sent"), "", None),
    ],
)  # fmt: skip
async def test_a_status_may_have_any_body(controlled, rule, text, kind):
    controlled.faults.add(rule)
    answer = await controlled.api.get("/v1/sessions")
    assert answer.status_code == rule.status
    assert answer.headers.get("content-type") == kind
    assert answer.text == text if text is not None else answer.json()["errors"][0]["code"] == "odd"


@pytest.mark.parametrize(("is_performed", "count"), [(True, 1), (False, 0)])
async def test_a_lost_answer_may_be_that_of_an_operation_that_was_carried_out(controlled, is_performed, count):
    controlled.faults.add(Rule(operation="createSession", status=500, is_performed=is_performed, times=1))
    body = {"user_id": controlled.user_id}
    assert (await controlled.api.post("/v1/sessions", json=body)).status_code == 500
    assert len((await controlled.api.get("/v1/sessions")).json()) == count


async def test_latency_comes_before_the_operation_and_its_answer(controlled):
    controlled.faults.add(Rule(operation="createSession", latency_ms=50))
    started_s = asyncio.get_running_loop().time()
    asking = asyncio.create_task(controlled.create_session())
    assert (await controlled.api.get("/v1/sessions")).json() == []
    assert (await asking).startswith("sess_")
    assert asyncio.get_running_loop().time() - started_s >= 0.05


async def test_latency_may_go_with_a_status(controlled):
    controlled.faults.add(Rule(latency_ms=1, status=503))
    assert (await controlled.api.get("/v1/sessions")).status_code == 503


async def test_rules_may_name_a_path_that_has_no_operation(controlled):
    controlled.faults.add(Rule(operation="", path="/nothing", status=200, body="here"))
    assert (await controlled.api.get("/nothing")).text == "here"


async def test_garbage_has_the_status_and_media_type_of_the_real_answer(controlled):
    controlled.faults.add(Rule(effect=Effect.GARBAGE))
    answer = await controlled.api.get("/v1/jwks")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()


async def test_the_wrong_type_is_all_that_is_wrong(controlled):
    right = await controlled.api.get("/v1/jwks")
    controlled.faults.add(Rule(effect=Effect.WRONG_TYPE))
    wrong = await controlled.api.get("/v1/jwks")
    assert wrong.headers["content-type"] == "text/html; charset=utf-8"
    assert wrong.content == right.content


async def test_foreign_keys_have_the_ids_of_the_real_ones_and_verify_nothing(controlled):
    session_id = await controlled.create_session()
    token = (await controlled.api.post(f"/v1/sessions/{session_id}/tokens")).json()["jwt"]
    controlled.faults.add(Rule(effect=Effect.FOREIGN_KEYS))
    (key,) = (await controlled.api.get("/v1/jwks")).json()["keys"]
    assert key["kid"] == jwt.get_unverified_header(token)["kid"]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, jwt.PyJWK(key), ["RS256"], options={"verify_exp": False, "verify_iat": False})


@pytest.mark.parametrize("path", ["/healthz", "/v1/sessions", "/sign-in"])
async def test_answers_without_keys_or_tokens_stay_as_they_are(controlled, path):
    right = (await controlled.api.get(path)).text
    for effect in (Effect.FOREIGN_KEYS, Effect.OTHER_SESSION, Effect.EXPIRED_TOKEN):
        controlled.faults.add(Rule(effect=effect, times=1))
        assert (await controlled.api.get(path)).text == right


async def test_a_token_of_another_session_is_signed_and_names_one_that_nobody_has(controlled):
    session_id = await controlled.create_session()
    controlled.faults.add(Rule(operation="CreateSessionToken", effect=Effect.OTHER_SESSION))
    token = (await controlled.api.post(f"/v1/sessions/{session_id}/tokens")).json()["jwt"]
    opened = controlled.authority.realm.keys.open(token)
    assert opened.header["cat"] == Category.SESSION
    assert opened.payload["sub"] == controlled.user_id
    assert str(opened.payload["sid"]).startswith("sess_")
    assert opened.payload["sid"] != session_id
    assert (await controlled.api.get(f"/v1/sessions/{opened.payload['sid']}")).status_code == 404


@pytest.mark.parametrize("path", ["tokens", "tokens/custom_hasura"])
async def test_an_expired_token_is_signed_and_keeps_its_lifetime(controlled, path):
    session_id = await controlled.create_session()
    right = (await controlled.api.post(f"/v1/sessions/{session_id}/{path}")).json()["jwt"]
    controlled.faults.add(Rule(operation="CreateSessionToken*", effect=Effect.EXPIRED_TOKEN))
    wrong = (await controlled.api.post(f"/v1/sessions/{session_id}/{path}")).json()["jwt"]
    real = controlled.authority.realm.keys.open(right)
    opened = controlled.authority.realm.keys.open(wrong)
    assert opened.payload["exp"] == int(controlled.clock()) - 3600
    assert opened.payload["exp"] - opened.payload["iat"] == real.payload["exp"] - real.payload["iat"]
    assert opened.header == real.header


async def test_tokens_in_a_handshakes_answer_are_reached_too(controlled):
    users = controlled.authority.realm.directory.users()
    controlled.faults.add(Rule(operation="frontend.handshakeClient", effect=Effect.EXPIRED_TOKEN))
    page = "http://127.0.0.1:8000/page"
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(controlled.control.app), base_url="http://127.0.0.1:8001"
    ) as browser:
        await browser.post("/sign-in", data={"user_id": users[0].id, "redirect_url": page})
        answer = await browser.get("/v1/client/handshake", params={"redirect_url": page, "format": "token"})
    query = httpx.URL(answer.headers["location"]).params
    outer = controlled.authority.realm.keys.open(query["__clerk_handshake"])
    (directive,) = [each for each in outer.payload["handshake"] if each.startswith("__session=ey")]
    inner = controlled.authority.realm.keys.open(directive.removeprefix("__session=").partition(";")[0])
    assert inner.payload["exp"] == int(controlled.clock()) - 3600


async def test_what_looks_like_a_token_and_is_none_of_ours_stays(controlled):
    foreign = jwt.encode({"sid": "sess_1", "exp": 1}, "a secret of at least thirty-two bytes", "HS256")
    with pytest.raises(ForeignToken):
        controlled.authority.realm.keys.open(foreign)
    controlled.faults.add(Rule(effect=Effect.OTHER_SESSION))
    page = f"http://127.0.0.1:8000/{foreign}"
    assert foreign in (await controlled.api.get("/sign-in", params={"redirect_url": page})).text


@pytest.mark.parametrize("effect", [Effect.CLOSE, Effect.RESET, Effect.RESET_MIDWAY])
async def test_where_there_is_no_connection_to_break_the_application_fails(controlled, effect):
    controlled.faults.add(Rule(effect=effect))
    with pytest.raises(ConnectionResetError, match="a rule of the control port"):
        await controlled.api.get("/v1/jwks")
