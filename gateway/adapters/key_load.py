"""One load of the key set: where it comes from, and why it failed."""

import json
from collections.abc import Awaitable, Callable

import httpx

from gateway.core.keys import KeyMaterialError
from gateway.core.reasons import Reason
from gateway.errors import ApiFailed, ApiRefused, ApiUnreachable, KeysUnavailable
from gateway.sessions.transfer import exchange

LOAD_TIMEOUT_S = 5.0

Load = Callable[[], Awaitable[object]]
"""Returns the parsed JWK Set document or raises a SessionsApiError."""

_CAUSES = {
    "dns": Reason.JWK_REMOTE_DNS,
    "connect": Reason.JWK_REMOTE_UNREACHABLE,
    "tls": Reason.JWK_REMOTE_TLS,
    "timeout": Reason.JWK_REMOTE_TIMEOUT,
    "protocol": Reason.JWK_REMOTE_FAILED_TO_LOAD,
}


def unavailable(error: Exception) -> KeysUnavailable:
    """Say why the keys could not be loaded, each cause with a reason of its own."""
    match error:
        case ApiRefused(code="clerk_key_invalid"):
            return KeysUnavailable(Reason.SECRET_KEY_INVALID, "the API refuses instance.secret_key", 30)
        case ApiRefused() | ApiFailed():
            invalid = 200 <= error.status < 300
            reason = Reason.JWK_REMOTE_INVALID if invalid else Reason.JWK_REMOTE_FAILED_TO_LOAD
            return KeysUnavailable(reason, str(error))
        case ApiUnreachable():
            return KeysUnavailable(_CAUSES.get(error.cause, Reason.JWK_REMOTE_UNREACHABLE), error.detail)
        case _:
            return KeysUnavailable(Reason.JWK_REMOTE_INVALID, str(error))


def public_jwks(url: str, transport: httpx.AsyncBaseTransport, timeout_s: float = LOAD_TIMEOUT_S) -> Load:
    """Return a loader of a JWKS address that needs no key (the Frontend API's ``/.well-known/jwks.json``)."""

    async def load() -> object:
        request = httpx.Request("GET", url, headers={"accept": "application/json"})
        answer = await exchange(transport, request, "JWKS", timeout_s)
        if answer.status != 200:
            raise ApiFailed(answer.status, "the JWKS address did not answer 200")
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise KeyMaterialError("the document is not JSON") from error

    return load
