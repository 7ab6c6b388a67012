"""The two engines behind one question: what becomes of this request?"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.assemble import Engine, build
from gateway.core.claims import SessionClaims
from gateway.core.machine_claims import MachineClaims
from gateway.core.request import RequestFacts
from gateway.core.settings import parse
from gateway.core.target import TargetError
from gateway.core.token_class import TokenType
from gateway.core.trust import HostError
from gateway.core.verdict import Verdict
from gateway.surfaces.scope import Scanned, facts_of, origin_of
from tests.conformance.cases import Case
from tests.conformance.world import KEYS, NOW, SECRETS

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Answer:
    """What an engine made of a request; ``how`` we came to it is told by ours only."""

    state: str
    reason: str = ""
    location: str = ""
    cookies: tuple[str, ...] = ()
    identity: dict[str, Any] | None = None
    how: str = ""


def missing() -> str:
    """Say what the reference lacks on this machine; empty when it can run."""
    if shutil.which("node") is None:
        return "node is not installed"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < 18:
        return f"node {version.strip()} is older than 18"
    if not (HERE / "node_modules" / "@clerk" / "backend").is_dir():
        return "@clerk/backend is not installed: npm ci --prefix tests/conformance"
    return ""


def theirs(cases: Sequence[tuple[Case, str]]) -> list[Answer]:
    """Ask the reference, all cases in one process, each with the address of its API."""
    questions = "".join(json.dumps(_question(number, *asked)) + "\n" for number, asked in enumerate(cases))
    done = subprocess.run(
        ["node", str(HERE / "runner.mjs")], input=questions, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = sorted((json.loads(line) for line in done.stdout.splitlines()), key=lambda found: found.pop("id"))
    return [Answer(**found | {"cookies": tuple(found["cookies"])}) for found in answers]


def _question(number: int, case: Case, api_url: str) -> dict[str, Any]:
    headers: dict[str, str] = {}
    for name, value in case.headers:
        joint = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{joint}{value}" if name in headers else value
    return {
        "id": number,
        "nowMs": int(NOW * 1000),
        "instance": {
            "publishableKey": KEYS[case.kind].value,
            "secretKey": SECRETS[case.kind],
            "apiUrl": api_url,
            "machineSecretKey": case.settings.get("instance", {}).get("machine_secret_key"),
        },
        "options": case.options,
        "request": {"url": case.url, "method": case.method, "headers": headers},
    }


def ours(cases: Sequence[Case], api_url: str) -> list[Answer]:
    """Ask our engine, one engine for each set of settings."""
    return asyncio.run(_ours(cases, api_url))


async def _ours(cases: Sequence[Case], api_url: str) -> list[Answer]:
    engines: dict[str, Engine] = {}
    answers = []
    for case in cases:
        document = _document(case, api_url)
        name = json.dumps(document, sort_keys=True)
        if name not in engines:
            engines[name] = build(parse(document, needs_upstream=False), clock=lambda: NOW)
        answers.append(await _ask(engines[name], case))
    for engine in engines.values():
        await engine.close()
    return answers


def _document(case: Case, api_url: str) -> dict[str, Any]:
    instance = {"publishable_key": KEYS[case.kind].value, "secret_key": SECRETS[case.kind], "api_url": api_url}
    document: dict[str, Any] = {"instance": instance}
    for section, values in case.settings.items():
        document[section] = {**document.get(section, {}), **values} if section != "routes" else values
    return document


async def _ask(engine: Engine, case: Case) -> Answer:
    gate = engine.gate
    scope = {
        "method": case.method,
        "scheme": "https",
        "raw_path": case.path.encode(),
        "query_string": case.query.encode(),
        "client": ("127.0.0.1", 50000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in case.headers],
    }
    scanned = Scanned(scope["headers"])
    try:
        origin = origin_of(scope, scanned, gate.trust)
        facts: RequestFacts = facts_of(scope, scanned, origin, gate.trust, gate.authenticator.rules.names.read)
    except (HostError, TargetError) as error:
        return Answer("refused", error.reason)
    (route,) = gate.routes.routes
    return _answer(await gate.authenticator.authenticate(facts, accepts=route.settings.accepts))


def _answer(verdict: Verdict) -> Answer:
    return Answer(
        str(verdict.state),
        str(verdict.reason),
        verdict.location,
        tuple(cookie.header().decode() for cookie in verdict.cookies),
        _identity(verdict.claims) if verdict.claims else _machine(verdict.machine) if verdict.machine else None,
        str(verdict.how),
    )


def _machine(machine: MachineClaims) -> dict[str, Any]:
    """The auth object of a machine, with what the reference's has for its type."""
    own = {
        TokenType.API_KEY: {"name": machine.name, "orgId": machine.org_id or None},
        TokenType.M2M_TOKEN: {"machineId": machine.machine_id},
        TokenType.OAUTH_TOKEN: {"clientId": machine.client_id},
    }[machine.type]
    if machine.type is not TokenType.M2M_TOKEN:
        own["userId"] = machine.user_id or None
    if machine.type is not TokenType.OAUTH_TOKEN:
        own["claims"] = machine.claims
    common = {"tokenType": str(machine.type), "id": machine.id, "subject": machine.subject}
    return {**common, "scopes": list(machine.scopes), **own}


def _identity(claims: SessionClaims) -> dict[str, Any]:
    organization = claims.organization
    return {
        "userId": claims.user_id,
        "sessionId": claims.session_id or None,
        "orgId": organization.id if organization else None,
        "orgSlug": organization.slug or None if organization else None,
        "orgRole": organization.role or None if organization else None,
        "orgPermissions": list(organization.permissions) if organization else None,
        "sessionStatus": claims.status or None,
    }
