"""The OpenAPI document of the API, made of the rows that the routes and the checks are made of.

One document for each version: parameters, answers and what is gone differ between them (Sessions API section 6).
Error codes are part of it: the schema of an answer lists the codes that this operation gives with this status.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.authority import cookies
from gateway.authority.errors import Problem
from gateway.authority.fields import Field, known_in
from gateway.authority.operations import Door, Operation
from gateway.authority.schemas import Schema, ref, schemas
from gateway.authority.versions import LATEST, ApiVersion

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_INTRODUCTION = (
    "The Sessions API and the Frontend API as the embedded session authority of Session Gateway serves them. "
    "This document is of one version; the header Clerk-API-Version, or the query __clerk_api_version, selects another "
    "one, here as in every operation. Rate limits are not imposed."
)
_TAGS = {Door.BACKEND: "Backend API", Door.BROWSER: "Frontend API", Door.PUBLIC: "Frontend API"}
_SECURITY: Mapping[Door, list[dict[str, list[str]]]] = {
    Door.BACKEND: [{"secretKey": []}],
    Door.BROWSER: [{"devBrowser": []}, {"clientCookie": []}],
    Door.PUBLIC: [],
}
_SECURITY_SCHEMES = {
    "secretKey": {"type": "http", "scheme": "bearer", "description": "The instance's secret key."},
    "devBrowser": {
        "type": "apiKey",
        "in": "query",
        "name": cookies.DEV_BROWSER,
        "description": "Token of a browser that a development instance knows.",
    },
    "clientCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": cookies.CLIENT,
        "description": "Set by the authority, for itself alone.",
    },
}
# what is refused before an operation's handler is asked, or when it fails
_BY_DOOR: Mapping[Door, tuple[Problem, ...]] = {
    Door.BACKEND: (Problem.UNAUTHENTICATED, Problem.KEY_MALFORMED, Problem.KEY_INVALID),
    Door.BROWSER: (Problem.HOST_UNKNOWN,),
    Door.PUBLIC: (),
}
_ALWAYS = (Problem.VERSION_INVALID, Problem.INTERNAL, Problem.UNAVAILABLE)
_UNREADABLE = (Problem.BODY_INVALID, Problem.BODY_TOO_LARGE, Problem.MEDIA_TYPE)


def document(operations: Iterable[Operation], version: ApiVersion) -> dict[str, Any]:
    """The document of a version."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, version)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Session authority", "version": version.value, "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(_TAGS.values())],
        "paths": paths,
        "components": {"schemas": schemas(version), "securitySchemes": _SECURITY_SCHEMES},
    }


def problems_of(operation: Operation, version: ApiVersion) -> dict[int, list[Problem]]:
    """Everything that an operation may be refused for, by status."""
    problems = [*_BY_DOOR[operation.door], *_ALWAYS]
    if operation.is_gone(version):
        problems.append(Problem.GONE)
    else:
        problems += [*_query_problems(operation), *_body_problems(operation), *operation.problems]
    by_status: dict[int, list[Problem]] = {}
    for problem in dict.fromkeys(problems):
        is_fault = operation.faults_are and problem.value.code.startswith("form_param_")
        status = operation.faults_are if operation.faults_are and is_fault else problem.value.status
        by_status.setdefault(status, []).append(problem)
    return dict(sorted(by_status.items()))


def _query_problems(operation: Operation) -> list[Problem]:
    fields = operation.query.values()
    is_checked = any(field.choices or field.kind != "string" for field in fields)
    missing = [operation.missing] if any(field.required for field in fields) else []
    return [*missing, *([Problem.PARAM_INVALID] if is_checked else [])]


def _body_problems(operation: Operation) -> list[Problem]:
    if operation.form is not None:
        return [*_UNREADABLE]
    if operation.body is None:
        return []
    needed = [Problem.PARAM_MISSING, Problem.PARAM_NIL] if _is_required(operation.body) else []
    return [*_UNREADABLE, *needed, Problem.PARAM_UNKNOWN, Problem.PARAM_TYPE, Problem.PARAM_INVALID]


def _is_required(fields: Mapping[str, Field]) -> bool:
    return any(field.required for field in fields.values())


def _operation(operation: Operation, version: ApiVersion) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [_TAGS[operation.door]],
        "description": operation.about,
        "security": _SECURITY[operation.door] if _asks_who(operation) else [],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation), _version_header(version)],
        "responses": {**_success(operation), **_refusals(operation, version)},
    }
    if operation.until is not None:
        shown["deprecated"] = True
    if operation.is_gone(version):  # whatever else is sent is not looked at
        return shown | {"responses": _refusals(operation, version)}
    if operation.body is not None:
        shown["requestBody"] = _body(known_in(operation.body, version))
    elif operation.form is not None:
        members = {name: _schema(field) for name, field in operation.form.items()}
        shown["requestBody"] = {"content": {_FORM: {"schema": {"type": "object", "properties": members}}}}
    return shown


def _refusals(operation: Operation, version: ApiVersion) -> dict[str, Any]:
    return {str(status): _refusal(problems) for status, problems in problems_of(operation, version).items()}


def _asks_who(operation: Operation) -> bool:
    return operation.door is Door.BACKEND or Problem.DEV_BROWSER_UNAUTHENTICATED in operation.problems


def _path_parameters(operation: Operation) -> list[Schema]:
    names = re.findall(r"{(\w+)}", operation.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query_parameters(operation: Operation) -> list[Schema]:
    return [
        {"name": name, "in": "query", "required": field.required, "description": field.about, "schema": _schema(field)}
        for name, field in operation.query.items()
    ]


def _version_header(version: ApiVersion) -> Schema:
    """A request that names no version is answered in the latest one, so for every other one it must be named."""
    name = {"name": "Clerk-API-Version", "in": "header", "required": version is not LATEST}
    return {**name, "description": "The version of this document.", "schema": {"const": version.value}}


def _schema(field: Field, *, or_null: bool = False) -> Schema:
    schema: Schema = {"type": [field.kind, "null"] if or_null else field.kind}
    if field.choices:
        schema["enum"] = [*field.choices, *([None] if or_null else [])]
    if field.kind == "integer":
        schema |= {"minimum": field.least, "maximum": field.most}
    if field.default is not None:
        schema["default"] = field.default
    return schema


def _body(fields: Mapping[str, Field]) -> Schema:
    members = {
        name: {**_schema(field, or_null=not field.required), "description": field.about}
        for name, field in fields.items()
    }
    required = [name for name, field in fields.items() if field.required]
    schema: Schema = {"type": "object", "properties": members, "additionalProperties": False}
    if required:
        schema["required"] = required
    return {"required": bool(required), "content": {_JSON: {"schema": schema}}}


def _success(operation: Operation) -> dict[str, Any]:
    if not operation.answer:
        location = {"description": "The way back.", "schema": {"type": "string"}, "required": True}
        return {"307": {"description": "Back to where it came from", "headers": {"Location": location}}}
    return {"200": {"description": "Success", "content": {_JSON: {"schema": ref(operation.answer)}}}}


def _refusal(problems: list[Problem]) -> dict[str, Any]:
    codes = sorted({problem.value.code for problem in problems})
    one_of_them = {"properties": {"errors": {"items": {"properties": {"code": {"enum": codes}}}}}}
    return {
        "description": "; ".join(dict.fromkeys(problem.value.message for problem in problems)),
        "headers": {"Clerk-Trace-Id": {"schema": {"type": "string"}}},
        "content": {_JSON: {"schema": {"allOf": [ref("ClerkErrors"), one_of_them]}}},
    }
