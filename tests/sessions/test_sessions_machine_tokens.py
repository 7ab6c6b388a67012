"""Verifying opaque machine tokens: what is sent, with which key, and what an answer has to say."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.machine_claims import MachineClaims, MachineRecord
from gateway.core.secret import Secret
from gateway.core.token_class import TokenType
from gateway.errors import ApiFailed, ApiRefused, ApiUnreachable, ConfigurationError
from gateway.sessions.machine_tokens import (
    MachineTokensClient,
    read_api_key,
    read_m2m_token,
    read_oauth_token,
)
from gateway.sessions.models import WrongShape
from gateway.sessions.wire import BadArgument
from tests.sessions.sessions_kit import KEY, Tape, error_body, json_answer

COMMON = {
    "id": "id_1",
    "subject": "user_1",
    "scopes": ["read", "write"],
    "claims": {"team": "a"},
    "revoked": False,
    "revocation_reason": None,
    "expired": False,
    "expiration": 1_800_000_060_000,
    "created_at": 1_700_000_000_000,
    "updated_at": 1_700_000_000_000,
}
API_KEY = {**COMMON, "object": "api_key", "type": "api_key", "name": "ci", "created_by": None, "description": None}
M2M = {**COMMON, "object": "machine_to_machine_token", "subject": "mch_1", "scopes": ["mch_2"]}
OAUTH = {**COMMON, "object": "clerk_idp_oauth_access_token", "client_id": "client_1", "type": "oauth:access_token"}
KINDS = {"api_key": (API_KEY, read_api_key), "m2m": (M2M, read_m2m_token), "oauth": (OAUTH, read_oauth_token)}


def changed(document: dict[str, object], **changes: object) -> dict[str, object]:
    return {name: value for name, value in (document | changes).items() if value is not ...}


# Reading


def test_an_api_key_is_read():
    assert read_api_key(API_KEY) == MachineRecord(
        MachineClaims(
            type=TokenType.API_KEY,
            id="id_1",
            subject="user_1",
            scopes=("read", "write"),
            claims={"team": "a"},
            name="ci",
            expires_at_s=1_800_000_060,
        )
    )


def test_an_m2m_token_is_read():
    found = read_m2m_token(M2M).claims
    assert (found.type, found.subject, found.scopes) == (TokenType.M2M_TOKEN, "mch_1", ("mch_2",))


def test_an_m2m_token_need_not_have_scopes_or_claims():
    found = read_m2m_token(changed(M2M, scopes=..., claims=...)).claims
    assert (found.scopes, found.claims) == ((), None)


def test_an_oauth_token_is_read():
    found = read_oauth_token(changed(OAUTH, claims=...)).claims
    assert (found.type, found.client_id, found.claims) == (TokenType.OAUTH_TOKEN, "client_1", None)


def test_an_inactive_oauth_token_is_an_expired_one():
    assert read_oauth_token({"active": False}).is_expired


@pytest.mark.parametrize("kind", KINDS)
def test_what_makes_a_token_useless_is_read(kind):
    document, read = KINDS[kind]
    assert (read(document).is_revoked, read(document).is_expired) == (False, False)
    assert read(changed(document, revoked=True)).is_revoked
    assert read(changed(document, expired=True)).is_expired
    assert read(changed(document, expiration=None)).claims.expires_at_s is None
    assert read(changed(document, expiration=0)).claims.expires_at_s == 0
    assert read(changed(document, expiration=1500.5)).claims.expires_at_s == 1.5005


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changes",
    [
        {"object": ...},
        {"object": "session"},
        {"id": ...},
        {"id": 7},
        {"subject": ...},
        {"subject": ""},
        {"subject": None},
        {"scopes": None},
        {"scopes": "read"},
        {"scopes": ["read", 7]},
        {"scopes": [["read"]]},
        {"claims": "team"},
        {"claims": []},
        {"revoked": ...},
        {"revoked": None},
        {"revoked": 0},
        {"revoked": "false"},
        {"expired": ...},
        {"expired": None},
        {"expiration": ...},
        {"expiration": "never"},
        {"expiration": True},
        {"expiration": -1},
        {"expiration": 1e20},
        {"expiration": float("inf")},
        {"expiration": float("nan")},
    ],
    ids=repr,
)
def test_what_an_answer_does_not_say_is_not_taken_for_granted(kind, changes):
    document, read = KINDS[kind]
    with pytest.raises(WrongShape):
        read(changed(document, **changes))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("api_key", {"name": ...}),
        ("api_key", {"scopes": ...}),
        ("oauth", {"scopes": ...}),
        ("oauth", {"client_id": ...}),
        ("oauth", {"client_id": None}),
        ("m2m", {"subject": "user_1"}),
        ("m2m", {"subject": "xmch_1"}),
    ],
)
def test_each_kind_has_what_is_its_own(kind, changes):
    document, read = KINDS[kind]
    with pytest.raises(WrongShape):
        read(changed(document, **changes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [{}, [], "text", True, {"active": True}, {"active": False, "id": "x"}])
def test_an_empty_or_foreign_answer_proves_nothing(kind, value):
    with pytest.raises(WrongShape):
        KINDS[kind][1](value)


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_is_never_another(kind):
    for other, (document, _) in KINDS.items():
        if other != kind:
            with pytest.raises(WrongShape):
                KINDS[kind][1](document)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from(list(KINDS)), st.dictionaries(st.sampled_from(list(OAUTH) + list(API_KEY)), _json, max_size=4))
def test_any_answer_is_read_or_a_wrong_shape(kind, changes):
    document, read = KINDS[kind]
    try:
        record = read(document | changes)
    except WrongShape:
        return
    assert record.claims.subject
    assert all(isinstance(scope, str) for scope in record.claims.scopes)


# Calling


def client_of(tape: Tape, machine_key: str = "", key: str = KEY, **settings: object) -> MachineTokensClient:
    keys = [Secret(text) if text else None for text in (key, machine_key)]
    return MachineTokensClient(*keys, transport=tape, **settings)


CALLS = {
    "api_key": (MachineTokensClient.verify_api_key, API_KEY, "/api_keys/verify", "secret"),
    "m2m": (MachineTokensClient.verify_m2m_token, M2M, "/m2m_tokens/verify", "token"),
    "oauth": (
        MachineTokensClient.verify_oauth_token,
        OAUTH,
        "/oauth_applications/access_tokens/verify",
        "access_token",
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("api_url", ["https://api.clerk.com", "http://127.0.0.1:8001/prefix/"])
async def test_a_call_says_what_it_is_about(name, api_url):
    verify, document, path, field = CALLS[name]
    tape = Tape(json_answer(document))
    record = await verify(client_of(tape, api_url=api_url), "the token")
    assert record.claims.id == "id_1"
    request = tape.request
    assert (request.method, str(request.url)) == ("POST", api_url.rstrip("/") + path)
    assert tape.sent == {field: "the token"}
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["clerk-api-version"] == "2026-05-12"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("session-gateway/")


async def test_a_machine_s_key_is_used_for_m2m_tokens_alone():
    tape = Tape(json_answer(M2M), json_answer(API_KEY), json_answer(OAUTH))
    client = client_of(tape, "ak_machine")
    await client.verify_m2m_token("a")
    await client.verify_api_key("b")
    await client.verify_oauth_token("c")
    assert [request.headers["authorization"] for request in tape.requests] == [
        "Bearer ak_machine",
        f"Bearer {KEY}",
        f"Bearer {KEY}",
    ]


async def test_without_a_key_nothing_is_sent():
    tape = Tape(json_answer(M2M))
    client = client_of(tape, "ak_machine", key="")
    assert (await client.verify_m2m_token("a")).claims.id == "id_1"
    for call in (client.verify_api_key, client.verify_oauth_token):
        with pytest.raises(BadArgument):
            await call("b")
    assert len(tape.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (json_answer(error_body("resource_not_found"), 404), ApiRefused),
        (json_answer(error_body("clerk_key_invalid"), 401), ApiRefused),
        (httpx.Response(500), ApiFailed),
        (httpx.Response(204), ApiFailed),
        (httpx.Response(200, text="ok"), ApiFailed),
        (httpx.Response(307, headers={"location": "https://elsewhere.test/"}), ApiFailed),
        (json_answer({}), ApiFailed),
        (json_answer([]), ApiFailed),
        (httpx.Response(200, content=b"null", headers={"content-type": "application/json"}), ApiUnreachable),
        (httpx.Response(200, content=b"{", headers={"content-type": "application/json"}), ApiUnreachable),
        (httpx.ConnectError("refused"), ApiUnreachable),
        (httpx.ReadTimeout("slow"), ApiUnreachable),
    ],
    ids=repr,
)
async def test_a_call_that_fails_is_sent_once_and_says_what_happened(answer, error):
    tape = Tape(answer)
    with pytest.raises(error) as caught:
        await client_of(tape).verify_api_key("ak_secret")
    assert len(tape.requests) == 1
    assert "ak_secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "a b", "ä", "a\n"])
def test_a_key_that_cannot_stand_in_a_header_is_refused(key):
    with pytest.raises(ConfigurationError):
        MachineTokensClient(Secret(KEY), Secret(key) if key else Secret(" "), transport=Tape())


def test_the_keys_are_not_in_the_repr():
    text = repr(client_of(Tape(), "ak_machine"))
    assert text == "MachineTokensClient(api_url='https://api.clerk.com')"
