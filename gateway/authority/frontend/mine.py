"""The sessions of the user who asks, on every client: ``/v1/me/sessions`` (Frontend API, "Active Sessions")."""

from starlette.requests import Request
from starlette.responses import Response

from gateway.authority import lifecycle
from gateway.authority.errors import Problem, Refusal, answer
from gateway.authority.frontend.visitor import require_visitor
from gateway.authority.models import SessionRecord
from gateway.authority.realm import Realm
from gateway.authority.requests import cause_of, path_id
from gateway.authority.store.ledger import SessionFilter
from gateway.authority.wire import frontend_session
from gateway.core.session_status import SessionStatus

_MOST = 100


async def my_sessions(realm: Realm, request: Request) -> Response:
    """The user's latest sessions, whatever became of them."""
    return answer(_shown(realm, SessionFilter(user_id=_asking(realm, request).user_id)))


async def my_active_sessions(realm: Realm, request: Request) -> Response:
    """The user's sessions that are good."""
    own = _asking(realm, request)
    return answer(_shown(realm, SessionFilter(user_id=own.user_id, status=SessionStatus.ACTIVE)))


async def revoke_mine(realm: Realm, request: Request) -> Response:
    """End another of the user's sessions."""
    own = _asking(realm, request)
    session_id = path_id(request, "session_id")
    with realm.database.transaction():
        found = realm.ledger.session(session_id, realm.now_ms())
        if found is None or found.user_id != own.user_id:
            raise Refusal(Problem.SESSION_NOT_FOUND, id=session_id)
        if not found.is_live:
            raise Refusal(Problem.SESSION_INACTIVE, session_id=found.id, state=found.status)
        found = lifecycle.finish(realm, found, SessionStatus.REVOKED, cause_of(realm, request))
    shown = frontend_session(found, realm.directory.user(found.user_id), realm.now_ms())
    return answer({"response": shown, "client": None})


def _asking(realm: Realm, request: Request) -> SessionRecord:
    client = require_visitor(realm, request).client
    live = realm.ledger.live_session(client.id, realm.now_ms()) if client else None
    named = request.query_params.get("_clerk_session_id")
    if live is None or (named is not None and named != live.id):
        raise Refusal(Problem.UNAUTHENTICATED)
    return live


def _shown(realm: Realm, narrowed: SessionFilter) -> list[dict[str, object]]:
    now_ms = realm.now_ms()
    found = realm.ledger.sessions(narrowed, _MOST, 0, now_ms)
    return [frontend_session(each, realm.directory.user(each.user_id), now_ms) for each in found]
