"""The gateway's own endpoints under ``/.gateway/``: healthz, readyz and whoami."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.types import Scope

from gateway.core.reasons import Reason, meaning
from gateway.core.request import RequestFacts
from gateway.core.target import TargetError
from gateway.core.trust import HostError
from gateway.core.verdict import State, Verdict
from gateway.ports import KeysStatus
from gateway.surfaces import answers
from gateway.surfaces.answers import Answer, json_answer
from gateway.surfaces.gate import Gate
from gateway.surfaces.scope import Scanned, facts_of, origin_of

PREFIX = b"/.gateway/"

Warm = Callable[[], Awaitable[KeysStatus]]


class Status:
    """Answers requests for the gateway itself.

    Args:
        gate: for whoami, which is judged like any other request.
        warm: loads the keys if there are none, and says whether they are usable.
    """

    def __init__(self, gate: Gate, warm: Warm) -> None:
        self._gate = gate
        self._warm = warm

    async def answer(self, scope: Scope, path: bytes) -> Answer:
        """Return the answer to a request whose path starts with :data:`PREFIX`."""
        if scope["method"] not in {"GET", "HEAD"}:
            return answers.refusal(None, Reason.METHOD_NOT_ALLOWED, headers=[(b"allow", b"GET, HEAD")])
        answer = await self._endpoint(scope, path)
        return replace(answer, body=b"") if scope["method"] == "HEAD" else answer

    async def _endpoint(self, scope: Scope, path: bytes) -> Answer:
        match path.removeprefix(PREFIX):
            case b"healthz":
                return json_answer(200, {"status": "ok"})
            case b"readyz":
                return await self._readyz()
            case b"whoami":
                return await self._whoami(scope)
            case _:
                return answers.refusal(None, Reason.ROUTE_NOT_FOUND)

    async def _readyz(self) -> Answer:
        keys = await self._warm()
        if not keys.is_ready:
            return json_answer(503, {"status": "not ready", "keys": {"reason": keys.reason, "detail": keys.detail}})
        return json_answer(200, {"status": "ready", "keys": {"stale": keys.is_stale, "reason": keys.reason}})

    async def _whoami(self, scope: Scope) -> Answer:
        scanned = Scanned(scope["headers"])
        trust, authenticator = self._gate.trust, self._gate.authenticator
        try:
            origin = origin_of(scope, scanned, trust)
            facts: RequestFacts = facts_of(scope, scanned, origin, trust, authenticator.rules.names.read)
        except HostError:
            return answers.refusal(None, Reason.REQUEST_HOST_INVALID)
        except TargetError:
            return answers.refusal(None, Reason.REQUEST_TARGET_INVALID)
        verdict = await authenticator.authenticate(facts)
        if verdict.claims:
            return json_answer(200, describe(verdict)).with_cookies(verdict.cookies)
        headers = answers.status_headers(verdict.state, verdict.reason, verdict.message)
        if verdict.state is State.UNKNOWN:
            retry_s = verdict.retry_after_s or answers.RETRY_AFTER_S
            return json_answer(503, describe(verdict), (*headers, (b"retry-after", str(retry_s).encode())))
        return json_answer(401, describe(verdict), (*headers, answers.challenge(verdict.reason)))


def describe(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as JSON: who is signed in, or why nobody is. Holds no token."""
    claims = verdict.claims
    if claims is None:
        text = meaning(verdict.reason).text
        return {"status": verdict.state, "reason": verdict.reason, "message": verdict.message or text}
    organization = claims.organization
    return {
        "status": verdict.state,
        "how": verdict.how,
        "user_id": claims.user_id,
        "session_id": claims.session_id,
        "expires_at_s": claims.expires_at_s,
        "organization": organization
        and {
            "id": organization.id,
            "slug": organization.slug,
            "role": organization.role,
            "permissions": list(organization.permissions),
        },
    }
