"""Calls the API with an official Python SDK: one JSON object per line in, one per line out.

It runs in a process of its own, because two releases of the SDK cannot live in one environment, and takes nothing from
the tests: what a release does not have is told as ``missing``.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import httpx
from clerk_backend_api import Clerk
from pydantic import ValidationError

Json = dict[str, Any]


def calls(clerk: Clerk) -> dict[str, Callable[..., Any]]:
    """What can be asked, by the name that the tests have for it."""
    sessions = clerk.sessions
    named = {
        "list": "list",
        "get": "get",
        "refresh": "refresh",
        "revoke": "revoke",
        "verify": "verify",
        "token": "create_token",
        "template_token": "create_token_from_template",
    }

    def create(**fields: Any) -> Any:
        return sessions.create(request=fields)

    found = {name: getattr(sessions, method) for name, method in named.items() if hasattr(sessions, method)}
    found["create"] = create
    found["jwks"] = clerk.jwks.get_jwks if hasattr(clerk.jwks, "get_jwks") else clerk.jwks.get
    return found


def answer(question: Json) -> Json:
    """Make the call and tell what it gave, or how it failed."""
    if question["operation"] == "verify_token":
        return verified(question)
    seen: list[httpx.Response] = []
    with httpx.Client(event_hooks={"response": [seen.append]}, timeout=20, trust_env=False, verify=False) as http:
        clerk = Clerk(bearer_auth=question["key"], server_url=f"{question['url']}/v1", client=http, retry_config=None)
        call = calls(clerk).get(question["operation"])
        if call is None:
            return {"missing": True}
        try:
            return {"type": type(given := call(**question["arguments"])).__name__, "value": plain(given)}
        except ValidationError as error:
            return {"error": "ValidationError", "text": str(error)}
        except Exception as error:
            return failure(error, seen)


def failure(error: Exception, seen: list[httpx.Response]) -> Json:
    """What a caller can learn from the exception; from the answer itself only what the exception has no place for."""
    told: Json = {"error": type(error).__name__, "text": str(error), "calls": len(seen)}
    if not seen:
        return told
    last = seen[-1]
    told |= {"status": getattr(error, "status_code", last.status_code), "trace_id": last.headers.get("clerk-trace-id")}
    retry_after = last.headers.get("retry-after")
    told["retry_after"] = int(retry_after) if retry_after else None
    data = getattr(error, "data", None)
    errors = plain(data)["errors"] if data is not None else json.loads(last.text).get("errors", [])
    return {**told, "errors": errors}


def verified(question: Json) -> Json:
    """Check a token with the keys that the SDK fetches by itself."""
    try:
        from clerk_backend_api.security.types import VerifyTokenOptions
        from clerk_backend_api.security.verifytoken import verify_token
    except ImportError:
        return {"missing": True}
    options = VerifyTokenOptions(secret_key=question["key"], api_url=question["url"])
    try:
        return {"type": "claims", "value": verify_token(question["arguments"]["token"], options)}
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)}


def plain(given: Any) -> Any:
    """A typed result as JSON."""
    if isinstance(given, list):
        return [plain(item) for item in given]
    return given.model_dump(mode="json", by_alias=True) if hasattr(given, "model_dump") else given


for line in sys.stdin:
    sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
    sys.stdout.flush()
