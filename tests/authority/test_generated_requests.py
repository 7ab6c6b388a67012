"""schemathesis asks every documented operation with valid and invalid input, with, without and with a wrong key.

It fails on server errors, statuses, media types, shapes and headers that are not documented, on valid input that is
refused, on invalid input that is taken, and on answers to requests that are not authenticated. It follows sessions from
one operation to the next too. The same requests are made each time.
"""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.authority import Authority
from gateway.authority.app import OPERATIONS
from gateway.authority.openapi import document
from gateway.authority.signing.template_form import parse_template
from gateway.authority.versions import LATEST, ApiVersion
from tests.authority.conftest import APP, ORIGIN

EXAMPLES = 8
SESSIONS = 6
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409"]
# what the schema of the input cannot say, so that input which it allows is refused
REFUSED: dict[str, tuple[list[str], str]] = {
    "POST /v1/jwt_templates": (["400", "422"], "names are taken, claims reserved, keys unfit"),
    "PATCH /v1/jwt_templates/{template_id}": (["400", "422"], "as when one is made"),
    "POST /v1/client": (["405"], "_method may name any method"),
    "POST /v1/client/sessions": (["405"], "_method may name any method"),
    "GET /v1/client/handshake": (["422"], "redirect_url may be any text"),
    "GET /v1/clients/handshake_payload": (["400"], "a nonce may be any text"),
    "POST /v1/sessions/{session_id}/verify": (["400", "410"], "a token may be any text; gone in later versions"),
    "POST /v1/client/sessions/{session_id}/touch": (["400"], "the session may be over"),
    "POST /v1/client/sessions/{session_id}/end": (["400"], "the session may be over"),
    "POST /v1/client/sessions/{session_id}/remove": (["400"], "the session may be over"),
    "POST /v1/me/sessions/{session_id}/revoke": (["400"], "the session may be over"),
}
# tokens that belong together are nothing that comes by chance
NEVER_SUCCEED = {
    "POST /v1/sessions/{session_id}/refresh",
    "POST /v1/sessions/{session_id}/verify",
    "POST /v1/client/sign_ins",  # and nobody checks a password here
}


@dataclass
class Run:
    """What came of all requests: how often each status was answered, and what was wrong."""

    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    faults: dict[str, str] = field(default_factory=dict)

    def take(self, event: events.ScenarioFinished) -> None:
        recorder = event.recorder
        for case_id, interaction in recorder.interactions.items():
            case = recorder.cases[case_id].value
            if interaction.response is not None:
                self.statuses[f"{case.method} {case.path}"][interaction.response.status_code] += 1
        for case_id, checks in recorder.checks.items():
            case = recorder.cases[case_id].value
            for check in checks:
                if check.failure_info is not None:
                    told = f"{check.failure_info.failure.message}\n{check.failure_info.code_sample}"
                    self.faults.setdefault(f"{check.name}: {case.method} {case.path}", told)


@dataclass(frozen=True)
class Known:
    """Values that exist: where a request needs one, it mostly has it."""

    key: str
    dev_browser: str
    client_cookie: str
    values: dict[str, list[str]]


async def known_in(authority: Authority) -> Known:
    realm, key = authority.realm, authority.secret_key.reveal()
    user = realm.directory.users()[0].id
    transport, headers = httpx.ASGITransport(authority.app), {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as api:
        made = [(await api.post("/v1/sessions", json={"user_id": user})).json()["id"] for _ in range(SESSIONS)]
    now_ms = realm.now_ms()
    for number in range(SESSIONS):
        realm.templates.add(parse_template({"name": f"known-{number}", "claims": {}}, now_ms))
    with realm.database.transaction():
        client, cookie = realm.ledger.add_client(now_ms)
        dev_browser = realm.grants.issue_dev_browser(client.id, now_ms)
        realm.database.write("UPDATE sessions SET client_id = :client", {"client": client.id})
    values = {
        "body.user_id": [user],
        "query.user_id": [user],
        "path.session_id": made,
        "path.template_name": realm.templates.names(),
        "path.template_id": [template.id for template in realm.templates.page(500, 0)],
        "body.name": [f"made-{number}" for number in range(40)],
        "query.nonce": [realm.grants.store_handshake(["a=b"], now_ms, 60_000) for _ in range(4)],
        "query._method": ["DELETE"],
        "query.redirect_url": [f"{APP}/page"],
        "body.organization_id": ["acme"],
        "body.active_organization_id": ["acme"],
    }
    return Known(key, dev_browser, cookie, values)


def configured(known: Known, version: ApiVersion) -> SchemathesisConfig:
    names = {place: place.replace(".", "-") for place in known.values}
    checks: dict[str, Any] = {"positive_data_acceptance": {"expected-statuses": ACCEPTED}}
    if version is not LATEST:
        # see revived()
        checks["missing_required_header"] = {"enabled": False}
    return SchemathesisConfig.from_dict(
        {
            "base-url": ORIGIN,
            "seed": 1,
            "headers": {"Clerk-API-Version": version.value},
            "auth": {
                "openapi": {
                    "secretKey": {"bearer": known.key},
                    "devBrowser": {"api_key": known.dev_browser},
                    "clientCookie": {"api_key": known.client_cookie},
                }
            },
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            "dictionaries": {names[place]: {"values": values} for place, values in known.values.items()},
            "parameters": {place: {"dictionary": name, "probability": 0.8} for place, name in names.items()},
            "checks": checks,
            "operations": [
                {
                    "include-name": name,
                    "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, *statuses]}},
                }
                for name, (statuses, _why) in REFUSED.items()
            ],
        }
    )


def revived(authority: Authority, version: ApiVersion) -> ASGIApp:
    """The application, where sessions that requests ended begin anew, so that later requests meet good ones too.

    A request without a version is one of the latest version, whose answers are in another document; so one that lost
    its header gets it back.
    """
    turns = itertools.count()
    named = (b"clerk-api-version", version.value.encode())

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            status = "active" if next(turns) % 5 else "revoked"
            authority.realm.database.write("UPDATE sessions SET status = :status", {"status": status})
            if version is not LATEST and named[0] not in dict(scope["headers"]):
                scope = {**scope, "headers": [*scope["headers"], named]}
        await authority.app(scope, receive, send)

    return dispatch


def asked_everything(authority: Authority, known: Known, version: ApiVersion) -> Run:
    """Make all requests."""
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", revived(authority, version), config=configured(known, version)
    )
    assert schema.raw_schema["info"]["version"] == version.value
    run = Run()
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.NonFatalError | events.FatalError), vars(event)
        if isinstance(event, events.ScenarioFinished):
            run.take(event)
    return run


@pytest.mark.parametrize("version", [ApiVersion.V2024_10_01, LATEST])
async def test_whatever_is_asked_the_answer_is_documented(authority, version):
    run = asked_everything(authority, await known_in(authority), version)
    assert not run.faults, "\n".join(f"{where}\n{told}" for where, told in run.faults.items())
    for operation, shown in _operations(version).items():
        statuses = run.statuses[operation]
        assert operation in NEVER_SUCCEED or any(200 <= status < 400 for status in statuses), operation
        assert 401 in statuses or not shown["security"], operation
        assert sum(statuses.values()) >= EXAMPLES, operation


def _operations(version: ApiVersion) -> dict[str, Any]:
    paths = document(OPERATIONS, version)["paths"]
    return {f"{method.upper()} {path}": shown for path, there in paths.items() for method, shown in there.items()}
