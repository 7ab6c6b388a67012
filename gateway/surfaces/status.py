"""The gateway's own endpoints under ``/.gateway/``: healthz, readyz, whoami; what others ask is passed to decide."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from starlette.types import Scope

from gateway.core.claims import SessionClaims
from gateway.core.identity import actor_of
from gateway.core.machine_claims import MachineClaims
from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.core.target import TargetError
from gateway.core.token_class import SESSION_ONLY, TokenType
from gateway.core.trust import HostError
from gateway.core.verdict import How, State, Verdict
from gateway.ports import KeysStatus
from gateway.surfaces import answers
from gateway.surfaces.answers import Answer, json_answer
from gateway.surfaces.decide import PREFIX as DECIDE
from gateway.surfaces.decide import DecisionService
from gateway.surfaces.gate import Admission, Gate
from gateway.surfaces.scope import Scanned, facts_of, origin_of

_log = logging.getLogger(__name__)

PREFIX = b"/.gateway/"

Warm = Callable[[], Awaitable[KeysStatus]]


class Status:
    """Answers requests for the gateway itself.

    Args:
        gate: for whoami, which is judged like any other request.
        warm: loads the keys if there are none, and says whether they are usable.
        decisions: for proxies that ask; None where none may.
    """

    def __init__(self, gate: Gate, warm: Warm, decisions: DecisionService | None = None) -> None:
        self._gate = gate
        self._decisions = decisions
        self._warm = warm
        accepted = {kind for route in gate.routes.routes for kind in route.settings.accepts}
        self._accepts = tuple(kind for kind in TokenType if kind in accepted) if accepted else SESSION_ONLY

    async def admit(self, scope: Scope, path: bytes) -> Admission:
        """Return what becomes of a request whose path starts with :data:`PREFIX`; it never goes further than here."""
        if self._decisions is not None and path.startswith(DECIDE):
            return await self._decisions.admit(scope, path)
        if scope["method"] not in {"GET", "HEAD"}:
            return _refusal(Reason.METHOD_NOT_ALLOWED, [(b"allow", b"GET, HEAD")])
        admission = await self._endpoint(scope, path)
        if scope["method"] == "HEAD" and admission.answer is not None:
            return admission.with_answer(replace(admission.answer, body=b""))
        return admission

    def admit_at_once(self, scope: Scope, path: bytes) -> Admission | None:
        """Do the same for what another proxy asks, if nothing has to be waited for; otherwise return None."""
        if self._decisions is not None and path.startswith(DECIDE):
            return self._decisions.admit_at_once(scope, path)
        return None

    async def _endpoint(self, scope: Scope, path: bytes) -> Admission:
        match path.removeprefix(PREFIX):
            case b"healthz":
                return _plain(json_answer(200, {"status": "ok"}))
            case b"readyz":
                return _plain(await self._readyz())
            case b"whoami":
                return await self._whoami(scope)
            case _:
                return _refusal(Reason.ROUTE_NOT_FOUND)

    async def _readyz(self) -> Answer:
        keys = await self._warm()
        shown: dict[str, object] = {"state": keys.state, "stale": keys.is_stale}
        if keys.age_s is not None:
            shown |= {"age_s": round(keys.age_s), "usable_for_s": round(keys.usable_for_s)}
        shown |= {"reason": keys.reason, "detail": keys.detail} if keys.reason else {}
        status, word = (200, "ready") if keys.is_ready else (503, "not ready")
        return json_answer(status, {"status": word, "keys": shown})

    async def _whoami(self, scope: Scope) -> Admission:
        scanned = Scanned(scope["headers"])
        trust, authenticator = self._gate.trust, self._gate.authenticator
        try:
            origin = origin_of(scope, scanned, trust)
            facts = facts_of(scope, scanned, origin, trust, authenticator.rules.names.read)
        except HostError:
            return _refusal(Reason.REQUEST_HOST_INVALID)
        except TargetError:
            return _refusal(Reason.REQUEST_TARGET_INVALID)
        try:
            verdict = await authenticator.authenticate(facts, accepts=self._accepts)
        except Exception:
            _log.exception("deciding about a request failed")
            refused = Verdict(State.SIGNED_OUT, Reason.UNEXPECTED_ERROR)
            return Admission(answers.unexpected(facts), facts, None, refused)
        if verdict.claims is not None:
            document = describe(verdict.claims, verdict.how)
        elif verdict.machine is not None:
            document = describe_machine(verdict.machine, verdict.how)
        else:
            return Admission(answers.refusal(facts, verdict.reason, verdict=verdict), facts, None, verdict)
        return Admission(json_answer(200, document).with_cookies(verdict.cookies), facts, None, verdict)


def _plain(answer: Answer) -> Admission:
    return Admission(answer, None, None, Verdict(State.SIGNED_OUT))


def _refusal(reason: Reason, headers: Sequence[Header] = ()) -> Admission:
    return Admission(answers.refusal(None, reason, headers=headers), None, None, Verdict(State.SIGNED_OUT, reason))


def describe(claims: SessionClaims, how: How) -> dict[str, object]:
    """Return who is signed in as JSON; holds no token."""
    organization = claims.organization
    return {
        "status": State.SIGNED_IN,
        "how": how,
        "user_id": claims.user_id,
        "session_id": claims.session_id,
        "actor": actor_of(claims) or None,
        "expires_at_s": int(claims.expires_at_s),  # it is whole, and a float where this is compiled
        "organization": organization
        and {
            "id": organization.id,
            "slug": organization.slug,
            "role": organization.role,
            "permissions": list(organization.permissions),
        },
    }


def describe_machine(machine: MachineClaims, how: How) -> dict[str, object]:
    """Return which machine is signed in as JSON; holds no token, and no custom claims."""
    return {
        "status": State.SIGNED_IN,
        "how": how,
        "token_type": machine.type,
        "token_id": machine.id,
        "subject": machine.subject,
        "scopes": list(machine.scopes),
        "name": machine.name,
        "user_id": machine.user_id,
        "org_id": machine.org_id,
        "machine_id": machine.machine_id,
        "client_id": machine.client_id,
        "expires_at_s": machine.expires_at_s,
    }
