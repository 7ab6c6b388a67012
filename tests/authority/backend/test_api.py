"""The Backend API as SDKs meet it: who may ask, what a session looks like, every list and every refusal."""

import pytest

from gateway.authority import AuthorityConfig
from gateway.core.instance import InstanceKind

SESSION_FIELDS = {
    "object", "id", "user_id", "client_id", "status", "actor", "last_active_organization_id", "last_active_at",
    "latest_activity", "expire_at", "abandon_at", "created_at", "updated_at", "tasks",
}  # fmt: skip


def code(answer) -> str:
    """The code of the one error, after checking the shape that typed SDKs insist on."""
    body = answer.json()
    (error,) = body["errors"]
    assert error["message"]
    assert error["long_message"]
    assert body["clerk_trace_id"] == answer.headers["clerk-trace-id"]
    assert answer.headers["content-type"] == "application/json"
    return error["code"]


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, "authentication_invalid"),
        ("", "authorization_header_format_invalid"),
        ("Bearer", "authorization_header_format_invalid"),
        ("Basic abc", "authorization_header_format_invalid"),
        ("Bearer a b", "authorization_header_format_invalid"),
        ("sk_test_x", "authorization_header_format_invalid"),
        ("Bearer sk_test_x", "clerk_key_invalid"),
        ("Bearer sk_live_x", "clerk_key_invalid"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/jwks", "/v1/sessions", "/v1/sessions/sess_1", "/v1/clients/handshake_payload"])
async def test_only_the_secret_key_opens_the_backend_api(world, authorization, expected, path):
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await world.browser.get(path, headers=headers)
    assert (answer.status_code, code(answer)) == (401, expected)


async def test_two_authorization_headers_are_refused(world):
    key = world.api.headers["Authorization"]
    answer = await world.browser.get("/v1/jwks", headers=[("Authorization", key), ("Authorization", key)])
    assert (answer.status_code, code(answer)) == (401, "authorization_header_format_invalid")


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        ("2026-05-12", None, 200),
        ("2021-02-05", None, 200),
        (None, "2025-11-10", 200),
        ("2099-01-01", None, 400),
        ("", None, 400),
        (None, "yesterday", 400),
        ("2026-05-12", "2026-05-12", 400),
    ],
)
async def test_one_known_version_may_be_named_in_one_place(world, header, query, status):
    headers = {} if header is None else {"Clerk-API-Version": header}
    params = {} if query is None else {"__clerk_api_version": query}
    answer = await world.api.get("/v1/jwks", headers=headers, params=params)
    assert answer.status_code == status
    assert status == 200 or code(answer) == "api_version_invalid"


async def test_jwks_has_exactly_the_members_of_the_closed_schema(world):
    answer = await world.api.get("/v1/jwks")
    (key,) = answer.json()["keys"]
    assert set(key) == {"use", "kty", "kid", "alg", "n", "e"}
    assert key["kid"] == world.authority.realm.instance_id
    assert answer.headers["content-type"] == "application/json"
    assert (await world.browser.get("/.well-known/jwks.json")).json() == answer.json()


async def test_a_session_has_every_field_and_no_other(world):
    session = await world.create("Ada", active_organization_id=world.organization("Ada", "acme"))
    now_ms = int(world.clock.now_s * 1000)
    assert set(session) == SESSION_FIELDS
    assert session["object"] == "session"
    assert session["status"] == "active"
    assert session["created_at"] == session["last_active_at"] == now_ms
    assert session["expire_at"] == now_ms + 7 * 86_400_000
    assert session["last_active_organization_id"] == world.organization("Ada", "acme")
    assert (await world.api.get(f"/v1/sessions/{session['id']}")).json() == session


async def test_older_versions_know_no_tasks(world):
    session = await world.create()
    answer = await world.api.get(f"/v1/sessions/{session['id']}", headers={"Clerk-API-Version": "2024-10-01"})
    assert set(answer.json()) == SESSION_FIELDS - {"tasks"}


@pytest.mark.parametrize(
    ("content", "content_type", "status", "expected"),
    [
        (b"", None, 422, "form_param_missing"),
        (b"", "application/json", 422, "form_param_missing"),
        (b"{}", None, 422, "form_param_missing"),
        (b"{", "application/json", 400, "request_body_invalid"),
        (b"[]", "application/json", 400, "request_body_invalid"),
        (b"\xff", "application/json", 400, "request_body_invalid"),
        (b'\xef\xbb\xbf{"user_id":"u"}', "application/json", 400, "request_body_invalid"),
        ('{"user_id":"u"}'.encode("utf-16"), "application/json", 400, "request_body_invalid"),
        (b"null", "application/json", 400, "request_body_invalid"),
        (b"[" * 100_000, "application/json", 400, "request_body_invalid"),
        (b'{"user_id":"u"}', "text/plain", 415, "unsupported_content_type"),
        (b'{"user_id":"' + b"x" * 300_000 + b'"}', "application/json", 413, "request_body_too_large"),
        (b'{"user_id":7}', "application/json", 422, "form_param_value_invalid"),
        (b'{"user_id":null}', "application/json", 422, "form_param_nil"),
        (b'{"user_id":"\\ud800"}', "application/json", 422, "form_param_value_invalid"),
        (b'{"user_id":"u","admin":true}', "application/json", 422, "form_param_unknown"),
        (b'{"user_id":"user_none"}', "application/json; charset=utf-8", 404, "resource_not_found"),
    ],
)
async def test_bodies_that_cannot_be_used_are_told_apart(world, content, content_type, status, expected):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await world.api.post("/v1/sessions", content=content, headers=headers)
    assert (answer.status_code, code(answer)) == (status, expected)


async def test_a_session_cannot_begin_in_an_organization_of_others(world):
    body = {"user_id": world.users["Alan"], "active_organization_id": world.organization("Ada", "acme")}
    answer = await world.api.post("/v1/sessions", json=body)
    assert (answer.status_code, code(answer)) == (404, "organization_not_found_or_unauthorized")
    assert (await world.api.get("/v1/sessions")).json() == []


async def test_the_draft_version_begins_no_session_in_an_organization(world):
    body = {"user_id": world.users["Ada"], "active_organization_id": world.organization("Ada", "acme")}
    answer = await world.api.post("/v1/sessions", json=body, headers={"Clerk-API-Version": "2025-03-12"})
    assert (answer.status_code, code(answer)) == (422, "form_param_unknown")


@pytest.mark.parametrize(
    "config",
    [AuthorityConfig(origin="http://127.0.0.1:8001", kind=InstanceKind.PRODUCTION, sign_in_check="password")],
)
async def test_production_begins_no_sessions_from_outside(world):
    answer = await world.api.post("/v1/sessions", json={"user_id": world.users["Ada"]})
    assert (answer.status_code, code(answer)) == (400, "request_invalid_for_environment")


async def test_sessions_are_listed_newest_first_in_pages(world):
    made = []
    for position in range(5):
        made.append((await world.create("Ada" if position % 2 else "Grace"))["id"])
        world.clock.advance(0 if position < 2 else 1)
    listed = (await world.api.get("/v1/sessions", params={"limit": 3, "offset": 1})).json()
    assert [session["id"] for session in listed] == made[::-1][1:4]


async def test_paginated_lists_come_in_an_envelope_with_the_number_of_matches(world):
    for _ in range(3):
        await world.create("Ada")
    await world.create("Grace")
    query = {"user_id": world.users["Ada"], "paginated": "true", "limit": "2"}
    page = (await world.api.get("/v1/sessions", params=query)).json()
    assert set(page) == {"data", "total_count"}
    assert page["total_count"] == 3
    assert {session["user_id"] for session in page["data"]} == {world.users["Ada"]}
    assert len(page["data"]) == 2


async def test_lists_are_narrowed_by_client_and_by_the_status_of_the_moment(world):
    first, second = await world.create(), await world.create()
    await world.api.post(f"/v1/sessions/{first['id']}/revoke")

    async def ids(**query: str) -> list[str]:
        return [session["id"] for session in (await world.api.get("/v1/sessions", params=query)).json()]

    assert await ids(client_id=second["client_id"]) == [second["id"]]
    assert await ids(status="revoked") == [first["id"]]
    assert await ids(status="active") == [second["id"]]
    world.clock.advance(8 * 86_400)
    assert await ids(status="active") == []
    assert await ids(status="expired") == [second["id"]]
    assert await ids(user_id="user_none") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "501"),
        ("limit", "-1"),
        ("limit", "ten"),
        ("limit", "٣"),
        ("offset", "-1"),
        ("offset", "9" * 30),
        ("offset", "1.5"),
        ("status", "pending"),
        ("status", ""),
        ("status", "dead"),
        ("paginated", "maybe"),
    ],
)
async def test_query_values_out_of_range_are_refused(world, name, value):
    answer = await world.api.get("/v1/sessions", params={name: value})
    assert (answer.status_code, code(answer)) == (422, "form_param_value_invalid")
    assert answer.json()["errors"][0]["meta"] == {"param_name": name}


@pytest.mark.parametrize("operation", ["", "/revoke", "/tokens", "/tokens/custom_hasura"])
@pytest.mark.parametrize("session_id", ["sess_none", "%00", "%F0%9F%90%9D", "x" * 5000, "'; DROP TABLE sessions; --"])
async def test_unknown_sessions_are_not_found(world, operation, session_id):
    path = f"/v1/sessions/{session_id}{operation}"
    answer = await (world.api.post(path) if operation else world.api.get(path))
    assert (answer.status_code, code(answer)) == (404, "resource_not_found")


@pytest.mark.parametrize("body", [{}, {"json": {}}, {"headers": {"Content-Type": "application/json"}}])
async def test_revoking_ends_a_session_whatever_empty_body_is_sent(world, body):
    session = await world.create()
    world.clock.advance(5)
    answer = await world.api.post(f"/v1/sessions/{session['id']}/revoke", **body)
    assert answer.status_code == 200
    assert answer.json() == {**session, "status": "revoked", "updated_at": session["updated_at"] + 5000}


async def test_revoking_again_changes_nothing(world):
    session = await world.create()
    first = await world.api.post(f"/v1/sessions/{session['id']}/revoke")
    world.clock.advance(5)
    assert (await world.api.post(f"/v1/sessions/{session['id']}/revoke")).json() == first.json()


async def test_sessions_expire_and_are_abandoned_by_time(world):
    session = await world.create()
    world.clock.advance(7 * 86_400)
    assert (await world.api.get(f"/v1/sessions/{session['id']}")).json()["status"] == "expired"
    assert (await world.api.post(f"/v1/sessions/{session['id']}/revoke")).json()["status"] == "expired"


@pytest.mark.parametrize("config", [AuthorityConfig(origin="http://127.0.0.1:8001", abandon_after_s=3600)])
async def test_a_session_without_activity_is_abandoned(world):
    session = await world.create()
    world.clock.advance(3600)
    assert (await world.api.get(f"/v1/sessions/{session['id']}")).json()["status"] == "abandoned"


async def test_a_session_token_verifies_and_names_the_origin_that_asked(world):
    session = await world.create("Grace", active_organization_id=world.organization("Grace", "acme"))
    path = f"/v1/sessions/{session['id']}/tokens"
    plain = world.claims((await world.api.post(path)).json()["jwt"])
    named = world.claims((await world.api.post(path, headers={"Origin": "https://app.example.com"})).json()["jwt"])
    now_s = int(world.clock.now_s)
    assert "azp" not in plain
    assert named["azp"] == "https://app.example.com"
    assert plain["sid"] == session["id"]
    assert plain["iss"] == world.authority.frontend_api_url
    assert (plain["iat"], plain["exp"]) == (now_s, now_s + 60)


@pytest.mark.parametrize(("seconds", "lifetime"), [(30, 30), (120.0, 120), (315_360_000, 315_360_000), (None, 60)])
async def test_a_token_lives_as_long_as_asked(world, seconds, lifetime):
    session = await world.create()
    for name in ("", "/custom_hasura"):
        answer = await world.api.post(
            f"/v1/sessions/{session['id']}/tokens{name}", json={"expires_in_seconds": seconds}
        )
        assert answer.json()["object"] == "token"
        claims = world.claims(answer.json()["jwt"])
        assert claims["exp"] - claims["iat"] == lifetime


@pytest.mark.parametrize("literal", ["29", "315360001", "-1", "60.5", "true", '"60"', "1e400", "NaN", "[]"])
async def test_lifetimes_out_of_range_are_refused(world, literal):
    session = await world.create()
    answer = await world.api.post(f"/v1/sessions/{session['id']}/tokens", content=f'{{"expires_in_seconds":{literal}}}')
    assert (answer.status_code, code(answer)) == (422, "form_param_value_invalid")


async def test_a_session_that_is_over_makes_no_tokens(world):
    session = await world.create()
    await world.api.post(f"/v1/sessions/{session['id']}/revoke")
    for name in ("", "/custom_hasura"):
        answer = await world.api.post(f"/v1/sessions/{session['id']}/tokens{name}")
        assert (answer.status_code, code(answer)) == (404, "resource_not_found")


async def test_no_token_is_made_for_a_user_who_is_gone(world):
    session = await world.create()
    world.authority.realm.directory.remove_user(world.users["Ada"])
    answer = await world.api.post(f"/v1/sessions/{session['id']}/tokens")
    assert (answer.status_code, code(answer)) == (404, "resource_not_found")


async def test_an_unknown_template_is_not_found(world):
    session = await world.create()
    answer = await world.api.post(f"/v1/sessions/{session['id']}/tokens/none")
    assert (answer.status_code, code(answer)) == (404, "resource_not_found")
    assert answer.json()["errors"][0]["long_message"] == "No JWT template exists with name: none"


@pytest.mark.parametrize("version", ["2021-02-05", "2024-10-01", "2025-03-12"])
async def test_verify_still_serves_old_versions(world, version):
    session, other = await world.create(), await world.create()
    world.api.headers["Clerk-API-Version"] = version
    path = f"/v1/sessions/{session['id']}"
    token = (await world.api.post(f"{path}/tokens")).json()["jwt"]
    template_token = (await world.api.post(f"{path}/tokens/custom_hasura")).json()["jwt"]
    good = await world.api.post(f"{path}/verify", json={"token": token})
    assert (good.status_code, good.json()["id"]) == (200, session["id"])
    for wrong_path, wrong_token in (
        (f"/v1/sessions/{other['id']}", token),
        (path, template_token),
        (path, "x.y.z"),
        (path, ""),
    ):
        answer = await world.api.post(f"{wrong_path}/verify", json={"token": wrong_token})
        assert (answer.status_code, code(answer)) == (400, "invalid_session_token")
    world.clock.advance(60)
    answer = await world.api.post(f"{path}/verify", json={"token": token})
    assert (answer.status_code, code(answer)) == (400, "invalid_session_token")


@pytest.mark.parametrize("version", [None, "2025-04-10", "2025-11-10", "2026-05-12"])
async def test_verify_is_gone_for_later_versions(world, version):
    session = await world.create()
    headers = {"Clerk-API-Version": version} if version else {}
    answer = await world.api.post(f"/v1/sessions/{session['id']}/verify", json={"token": "x"}, headers=headers)
    assert (answer.status_code, code(answer)) == (410, "operation_deprecated")


async def test_handshake_payloads_need_a_good_nonce(world):
    missing = await world.api.get("/v1/clients/handshake_payload")
    unknown = await world.api.get("/v1/clients/handshake_payload", params={"nonce": "x"})
    assert (missing.status_code, code(missing)) == (400, "missing_parameter")
    assert (unknown.status_code, code(unknown)) == (400, "invalid_nonce")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("POST", "/", 405),
        ("GET", "/v1/sessions/", 404),
        ("DELETE", "/v1/sessions", 405),
        ("HEAD", "/v1/sessions", 405),
        ("TRACE", "/v1/sessions/sess_1/tokens", 405),
        ("FROB", "/v1/sessions", 405),
    ],
)
async def test_unknown_addresses_and_methods_are_told_in_json(world, method, path, status):
    answer = await world.api.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/sessions", "GET, POST"),
        ("/v1/sessions/sess_1", "GET"),
        ("/v1/sessions/sess_1/revoke", "POST"),
        ("/v1/client", "GET, PUT, POST, DELETE"),
    ],
)
@pytest.mark.parametrize("method", ["HEAD", "PATCH"])
async def test_a_method_that_is_not_taken_is_told_which_ones_are(world, method, path, allowed):
    answer = await world.browser.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_a_database_that_fails_is_503(world):
    world.authority.realm.database.write("DROP TABLE sessions", {})
    answer = await world.api.get("/v1/sessions")
    assert (answer.status_code, code(answer)) == (503, "service_unavailable")


async def test_health_needs_no_key(world):
    assert (await world.browser.get("/healthz")).text == "ok\n"
