"""Whatever is sent, the authority answers with a status it chose, in JSON, and never with an accident of its own."""

import asyncio
import json
import logging
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from gateway.authority.errors import Refusal
from gateway.authority.fields import Field, read_fields
from gateway.authority.requests import read_form, read_json

FIELDS = {
    "name": Field(required=True),
    "kind": Field(choices=("a", "b")),
    "age": Field("integer", least=1, most=9),
    "bag": Field("object"),
}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "other"]), values))
def test_fields_are_of_their_kind_or_refused(body):
    try:
        read = read_fields(body, FIELDS)
    except Refusal:
        return
    assert isinstance(read["name"], str)
    assert read.get("kind") in (None, "a", "b")
    assert read.get("age") is None or 1 <= read["age"] <= 9
    assert isinstance(read.get("bag", {}), dict)
    assert set(read) == {name for name, value in body.items() if value is not None}


@pytest.mark.parametrize("read", [read_json, read_form])
async def test_a_body_that_never_ends_is_not_waited_for(read):
    messages = [{"type": "http.request", "body": b"a=1", "more_body": True}]

    async def receive():
        if messages:
            return messages.pop()
        return await asyncio.Event().wait()

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(Refusal, match="400 request_body_invalid"):
        await read(request, timeout_s=0.01)


segments = st.text(max_size=12) | st.sampled_from(["sess_1", "custom_hasura", "..", "%00", "\ud7ff", "é"])
operations = st.sampled_from(["", "/refresh", "/revoke", "/verify", "/tokens", "/tokens/x", "/touch", "/end"])
bodies = st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()) | st.dictionaries(
    st.sampled_from(["user_id", "token", "expired_token", "refresh_token", "request_origin", "format"]), values
).map(lambda value: json.dumps(value).encode())  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    base=st.sampled_from(["/v1/sessions", "/v1/client/sessions", "/v1/client", "/sign-in", "/sign-out"]),
    segment=segments,
    operation=operations,
    query=st.dictionaries(
        st.sampled_from(["limit", "offset", "status", "redirect_url", "format", "nonce", "__clerk_db_jwt", "_method"]),
        st.text(max_size=20),
    ),
    content=bodies,
    version=st.sampled_from(["2021-02-05", "2026-05-12"]),
)
def test_no_request_makes_it_fail(authority, method, base, segment, operation, query, content, version):
    async def ask() -> httpx.Response:
        key = {"Authorization": f"Bearer {authority.secret_key.reveal()}", "Clerk-API-Version": version}
        transport = httpx.ASGITransport(authority.app)
        async with httpx.AsyncClient(transport=transport, base_url=authority.api_url, headers=key) as client:
            path = f"{base}/{quote(segment, safe='')}{operation}" if segment else base
            return await client.request(method, path, params=query, content=content)

    answer = asyncio.run(ask())
    assert answer.status_code < 500
    if answer.status_code >= 400 and answer.headers["content-type"] == "application/json":
        assert answer.json()["errors"][0]["code"]


async def test_an_accident_is_500_and_tells_nothing(authority, caplog):
    object.__setattr__(authority.realm, "grants", None)
    transport = httpx.ASGITransport(authority.app, raise_app_exceptions=False)
    key = {"Authorization": f"Bearer {authority.secret_key.reveal()}"}
    async with httpx.AsyncClient(transport=transport, base_url=authority.api_url, headers=key) as client:
        answer = await client.get("/v1/clients/handshake_payload", params={"nonce": "x"})
    assert answer.status_code == 500
    assert answer.json()["errors"][0]["code"] == "internal_clerk_error"
    assert "grants" not in answer.text


async def test_the_log_of_a_failing_database_names_no_secret(world, caplog):
    world.authority.realm.database.write("DROP TABLE handshakes", {})
    with caplog.at_level(logging.ERROR):
        answer = await world.api.get("/v1/clients/handshake_payload", params={"nonce": "very-secret-nonce"})
    assert answer.status_code == 503
    assert "handshake_payload" in caplog.text
    assert "very-secret-nonce" not in caplog.text


@pytest.mark.parametrize("path", ["/v1/sessions", "/sign-in", "/v1/client"])
async def test_answers_are_never_kept_by_caches(world, path):
    assert (await world.api.get(path)).headers["cache-control"] == "no-store"
