"""The official SDKs call the authority over HTTP: results are of their types, refusals are their typed errors."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from tests.sdks.runners import COMMANDS, JAVASCRIPT, MISSING, PYTHON_2, SDKS, Runner
from tests.sdks.scenarios import ROWS, Gives, Outcome, Refuses, Row, Throws
from tests.sdks.stage import Stage, staged

# one type of ours has several names over operations and SDKs
KINDS = {
    "CreateSessionTokenResponseBody": "Token",
    "CreateSessionTokenFromTemplateResponseBody": "Token",
    "WellKnownJWKS": "JWKS",
    "Jwks": "JWKS",
    "list": "Page",
}
SESSION_MEMBERS = (
    "id", "user_id", "client_id", "status", "last_active_at", "expire_at", "abandon_at", "created_at", "updated_at",
)  # fmt: skip


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture(scope="module")
def runners() -> Iterator[dict[str, Runner]]:
    with ExitStack() as stack:
        yield {sdk: stack.enter_context(Runner(COMMANDS[sdk])) for sdk in SDKS if not MISSING[sdk]}


def wanted(row: Row, sdk: str) -> Outcome | None:
    return row.unless.get(sdk, row.wants)


CASES = [
    pytest.param(row, sdk, id=f"{sdk}: {row.name}", marks=pytest.mark.skipif(bool(MISSING[sdk]), reason=MISSING[sdk]))
    for sdk in SDKS
    for row in ROWS
    if wanted(row, sdk) is not None
]


@pytest.mark.parametrize(("row", "sdk"), CASES)
def test_an_official_sdk_gets_what_it_has_types_for(stage, runners, row, sdk):
    authority = {"development": stage.authority, "production": stage.production, "broken": stage.broken}[row.at]
    key = authority.secret_key.reveal() if row.key == "right" else row.key
    arguments = row.arranged(stage)
    told = runners[sdk].ask(operation=row.operation, url=authority.api_url, key=key, arguments=arguments)
    outcome = wanted(row, sdk)
    if isinstance(outcome, Throws):
        assert (told["error"], told.get("status")) == (outcome.error, told.get("status")), told
    elif isinstance(outcome, Refuses):
        check_refusal(outcome, told, sdk)
    else:
        assert isinstance(outcome, Gives)
        assert "error" not in told, told
        # JavaScript has no class for what does not name its own type
        assert KINDS.get(told["type"], told["type"]) == outcome.kind or (sdk, told["type"]) == (JAVASCRIPT, "Object")
        CHECKS[outcome.kind](stage, outcome.members, told["value"], arguments)


def check_refusal(outcome: Refuses, told: dict[str, Any], sdk: str) -> None:
    error = "ClerkAPIResponseError" if sdk == JAVASCRIPT else "SDKError" if outcome.untyped else "ClerkErrors"
    assert (told.get("error"), told.get("status")) == (error, outcome.status), told
    (only,) = told["errors"]
    assert only["code"] == outcome.code
    assert only["message"]
    assert only["long_message"]
    if sdk != PYTHON_2:  # its type of an error has no member for it
        assert (only.get("meta") or {}).get("param_name", "") == outcome.param
    assert told["trace_id"]
    assert told["retry_after"] == outcome.retry_after
    assert told.get("calls", 1) == 1


def check_session(stage: Stage, members: Mapping[str, Any], value: Any, arguments: dict[str, Any]) -> None:
    stored = stage.ask("GET", f"/v1/sessions/{value['id']}")
    assert {name: value[name] for name in SESSION_MEMBERS} == {name: stored[name] for name in SESSION_MEMBERS}
    assert value["last_active_organization_id"] == arguments.get("active_organization_id")
    assert {name: value[name] for name in members} == members
    assert value["id"] == arguments.get("session_id", value["id"])


def check_page(stage: Stage, members: Mapping[str, Any], value: Any, arguments: dict[str, Any]) -> None:
    query = {name: value for name, value in arguments.items() if value}
    text = "&".join(f"{name}={text}" for name, text in {**query, "paginated": "true"}.items())
    stored = stage.ask("GET", f"/v1/sessions?{text}")
    data = value["data"] if isinstance(value, dict) else value
    assert [session["id"] for session in data] == [session["id"] for session in stored["data"]]
    created = [session["created_at"] for session in data]
    assert created == sorted(created, reverse=True)
    if isinstance(value, dict):
        assert value["total_count"] == stored["total_count"]


def check_token(stage: Stage, members: Mapping[str, Any], value: Any, arguments: dict[str, Any]) -> None:
    claims = stage.claims(value["jwt"])
    told = {**claims, "lifetime": claims["exp"] - claims["iat"]}
    assert {name: told.get(name) for name in members} == members
    assert claims.get("sid", arguments["session_id"]) == arguments["session_id"]


def check_cookies(stage: Stage, members: Mapping[str, Any], value: Any, arguments: dict[str, Any]) -> None:
    names = [directive.partition("=")[0] for directive in value["cookies"]]
    suffix = stage.authority.publishable_key.cookie_suffix
    assert (f"__session_{suffix}" in names) == bool(members.get("suffixed"))
    # the token is taken from the last directive whose name starts so
    last = [directive for directive in value["cookies"] if directive.startswith("__session")][-1]
    assert stage.claims(last.partition(";")[0].partition("=")[2])["sid"] == arguments["session_id"]


def check_claims(stage: Stage, members: Mapping[str, Any], value: Any, arguments: dict[str, Any]) -> None:
    assert {name: value[name] for name in members} == members
    assert value["sub"] == stage.user()


def check_keys(stage: Stage, members: Mapping[str, Any], value: Any, arguments: dict[str, Any]) -> None:
    stored = stage.ask("GET", "/v1/jwks")["keys"]
    shown = [{name: key[name] for name in stored[0]} for key in value["keys"]]
    assert shown == stored


def check_payload(stage: Stage, members: Mapping[str, Any], value: Any, arguments: dict[str, Any]) -> None:
    assert any(directive.startswith("__session=") for directive in value["directives"])


CHECKS = {
    "Session": check_session,
    "Page": check_page,
    "Token": check_token,
    "Cookies": check_cookies,
    "claims": check_claims,
    "JWKS": check_keys,
    "HandshakePayload": check_payload,
}
