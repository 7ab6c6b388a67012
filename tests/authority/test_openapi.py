"""The OpenAPI document: it agrees with the public specification, tells the versions apart, and is what is served."""

from typing import Any

import httpx
import pytest

from gateway.authority.app import OPERATIONS
from gateway.authority.openapi import document
from gateway.authority.operations import Door
from gateway.authority.versions import ApiVersion
from tests.authority.backend import facts
from tests.authority.backend.facts import FACTS
from tests.authority.documented import check_documented

ONE_OF_EACH = [pytest.param(name, version, id=f"{name}-{version}") for name in FACTS for version in facts.ALL]


def operation(name: str, version: str) -> dict[str, Any]:
    fact = FACTS[name]
    return document(OPERATIONS, ApiVersion(version))["paths"][fact.path][fact.method]


def body_schema(shown: dict[str, Any]) -> dict[str, Any]:
    return shown["requestBody"]["content"]["application/json"]["schema"]


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the values other than null, without its text."""
    plain = {name: value for name, value in schema.items() if name != "description"}
    if isinstance(plain["type"], list):
        plain["type"] = next(kind for kind in plain["type"] if kind != "null")
    if "enum" in plain:
        plain["enum"] = sorted(value for value in plain["enum"] if value is not None)
    return plain


async def test_it_is_served_without_a_key_in_the_version_that_is_asked_for(world):
    for version in facts.ALL:
        answer = await world.browser.get("/openapi.json", headers={"Clerk-API-Version": version})
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == document(OPERATIONS, ApiVersion(version))
    latest = (await world.browser.get("/openapi.json")).json()
    assert latest["info"]["version"] == facts.ALL[-1]
    assert (await world.browser.get("/openapi.json?__clerk_api_version=1999-01-01")).status_code == 400


def test_every_operation_has_its_own_name_and_every_reference_leads_somewhere():
    for version in ApiVersion:
        told = document(OPERATIONS, version)
        names = [shown["operationId"] for methods in told["paths"].values() for shown in methods.values()]
        assert len(names) == len(set(names)) == len(OPERATIONS)
        assert set(_references(told)) <= {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in _references(item)]
    if not isinstance(node, dict):
        return []
    return [value for value in [node.get("$ref")] if value] + [
        found for value in node.values() for found in _references(value)
    ]


@pytest.mark.parametrize(("name", "version"), ONE_OF_EACH)
def test_statuses_are_those_of_the_specification_and_stated_ones(name, version):
    fact, shown = FACTS[name], operation(name, version)
    statuses = {int(status) for status in shown["responses"]}
    if version not in fact.versions:
        assert statuses == {410, *facts.EVERYWHERE}
        assert shown["deprecated"]
        return
    stated = {**facts.EVERYWHERE, **(facts.WITH_BODY if fact.body is not None else {}), **facts.BEYOND.get(name, {})}
    assert statuses == {*fact.statuses, *stated} - set(facts.NEVER.get(name, {}))


@pytest.mark.parametrize(("name", "version"), ONE_OF_EACH)
def test_query_parameters_are_those_of_the_specification(name, version):
    fact, shown = FACTS[name], operation(name, version)
    beyond = facts.PARAMETERS_BEYOND.get(name, {})
    query = {row["name"]: row for row in shown["parameters"] if row["in"] == "query" and row["name"] not in beyond}
    assert set(query) == set(fact.query)
    assert not any(row["required"] for row in query.values())
    for parameter, wanted in fact.query.items():
        schema = without_null(query[parameter]["schema"])
        for bound in [bound for owner, bound in facts.BOUNDS_BEYOND if owner == parameter]:
            del schema[bound]
        if wanted["type"] == "boolean":
            assert schema.pop("default") is False
        assert schema == wanted


@pytest.mark.parametrize(("name", "version"), ONE_OF_EACH)
def test_bodies_are_those_of_the_specification(name, version):
    fact, shown = FACTS[name], operation(name, version)
    if fact.body is None or version not in fact.versions:
        assert "requestBody" not in shown
        return
    schema = body_schema(shown)
    missing = facts.CHANGES.get((name, version), ())
    wanted = {member: fact.body[member] for member in fact.body if member not in missing}
    assert {member: without_null(shape) for member, shape in schema["properties"].items()} == wanted
    assert set(schema.get("required", [])) == set(fact.required)
    # closed everywhere: the catalogue has a code for members that are unknown
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("version", facts.ALL)
def test_the_session_is_that_of_the_specification(version):
    session = document(OPERATIONS, ApiVersion(version))["components"]["schemas"]["Session"]
    with_tasks = version in facts.WITH_TASKS
    optional = facts.SESSION_OPTIONAL | ({"tasks"} if with_tasks else set())
    assert set(session["properties"]) == facts.SESSION_REQUIRED | optional
    assert set(session["required"]) == facts.SESSION_REQUIRED
    assert session["additionalProperties"] is False
    statuses = facts.STATUSES + (["pending"] if with_tasks else [])
    assert sorted(session["properties"]["status"]["enum"]) == sorted(statuses)
    numbers = {name for name, shape in session["properties"].items() if shape.get("type") == "integer"}
    assert numbers == facts.SESSION_NUMBERS


def test_errors_and_tokens_are_those_of_the_specification():
    schemas = document(OPERATIONS, ApiVersion.V2026_05_12)["components"]["schemas"]
    assert set(schemas["ClerkError"]["required"]) == facts.ERROR_REQUIRED
    assert schemas["ClerkErrors"]["required"] == ["errors"]
    for name, members in (("Token", {"object", "jwt"}), ("Cookies", {"object", "cookies"})):
        assert set(schemas[name]["properties"]) == set(schemas[name]["required"]) == members
        assert schemas[name]["additionalProperties"] is False


def test_every_operation_of_backends_asks_for_the_key():
    for row in OPERATIONS:
        shown = document(OPERATIONS, ApiVersion.V2026_05_12)["paths"][row.path][row.method.lower()]
        assert (shown["security"] == [{"secretKey": []}]) == (row.door is Door.BACKEND)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v1/sessions", 418, {}),
        ("/v1/sessions", 200, {"data": []}),
        ("/v1/sessions", 200, [{"object": "session"}]),
        ("/v1/sessions/sess_1", 404, {"errors": [{"message": "m", "long_message": "l", "code": "other"}]}),
        ("/v1/sessions/sess_1", 404, {"errors": [{"message": "m", "code": "resource_not_found"}]}),
    ],
)
async def test_the_check_of_all_answers_sees_what_is_not_documented(path, status, body):
    answer = httpx.Response(status, json=body, request=httpx.Request("GET", f"http://127.0.0.1:8001{path}"))
    with pytest.raises(AssertionError):
        await check_documented(answer)
