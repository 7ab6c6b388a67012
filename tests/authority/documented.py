"""Every answer that a test of the authority gets is compared with the authority's own OpenAPI document."""

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs

from gateway.authority.app import OPERATIONS
from gateway.authority.openapi import document
from gateway.authority.versions import LATEST, ApiVersion

# told at any address, whichever methods it has
ANYWHERE = ["method_not_allowed"]


async def check_documented(answer: httpx.Response) -> None:
    """Fail when the answer's status, content type, shape or error code is not documented for the operation."""
    await answer.aread()
    request = answer.request
    path = _path(request.url.raw_path.decode().partition("?")[0])
    operation = document(OPERATIONS, _version(request))["paths"].get(path, {}).get(request.method.lower())
    if operation is None or _codes(answer) == ANYWHERE:
        return
    where = f"{request.method} {path} answers {answer.status_code}"
    assert str(answer.status_code) in operation["responses"], f"{where}: {answer.text}"
    told = operation["responses"][str(answer.status_code)]
    if "content" not in told:
        assert answer.headers["location"], where
        return
    assert answer.headers["content-type"] == "application/json", where
    problems = [f"{error.instance_path}: {error.message}" for error in _errors(answer, path)]
    assert not problems, f"{where}: {problems}"


def _errors(answer: httpx.Response, path: str) -> list[Any]:
    validator = _validator(_version(answer.request), path, answer.request.method.lower(), str(answer.status_code))
    return list(validator.iter_errors(answer.json()))


@cache
def _validator(version: ApiVersion, path: str, method: str, status: str) -> Any:
    told = document(OPERATIONS, version)
    schema = told["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": told["components"]})


def _codes(answer: httpx.Response) -> list[str]:
    if answer.status_code < 400 or answer.headers.get("content-type") != "application/json":
        return []
    return [error["code"] for error in answer.json().get("errors", [])]


def _version(request: httpx.Request) -> ApiVersion:
    named = [*request.headers.get_list("clerk-api-version"), *request.url.params.get_list("__clerk_api_version")]
    return ApiVersion(named[0]) if len(named) == 1 and named[0] in list(ApiVersion) else LATEST


def _path(path: str) -> str:
    patterns = {operation.path: re.sub(r"{\w+}", "[^/]+", operation.path) for operation in OPERATIONS}
    exact = [known for known in patterns if known == path]
    return next(iter(exact or [known for known, pattern in patterns.items() if re.fullmatch(pattern, path)]), "")
