"""The Frontend API: what browsers ask themselves, known by cookie or dev browser (Sessions API section 5).

A client holds one session at a time; signing in again replaces it.
"""

from starlette.requests import Request
from starlette.responses import Response

from gateway.authority import lifecycle
from gateway.authority.errors import Problem, Refusal, answer
from gateway.authority.frontend.returning import add_cookies
from gateway.authority.frontend.visitor import require_visitor
from gateway.authority.models import Client, SessionRecord
from gateway.authority.realm import Realm, TokenOrder
from gateway.authority.requests import browser_version, cause_of, method_of, origin_header, path_id, read_form
from gateway.authority.store.ledger import SessionFilter
from gateway.authority.wire import frontend_client, frontend_session
from gateway.core.instance import InstanceKind
from gateway.core.session_status import SessionStatus

_SHOWN_SESSIONS = 20
_OFF_THE_CLIENT = (SessionStatus.REMOVED, SessionStatus.REPLACED)
INTENTS = ("focus", "select_session", "select_org")


async def jwks(realm: Realm, _request: Request) -> Response:
    """The public keys, for everybody."""
    return answer(realm.keys.jwks(), headers={"Cache-Control": "public, max-age=60"})


async def dev_browser(realm: Realm, _request: Request) -> Response:
    """Make a browser known to a development instance."""
    if realm.config.kind is InstanceKind.PRODUCTION:
        raise Refusal(Problem.WRONG_ENVIRONMENT, kind=realm.config.kind)
    with realm.database.transaction():
        client, client_token = realm.ledger.add_client(realm.now_ms())
        token = realm.grants.issue_dev_browser(client.id, realm.now_ms())
    response = answer({"id": token}, headers={"Clerk-Db-Jwt": token})
    add_cookies(response, [realm.cookies.client(client_token), *realm.cookies.dev_browser(token)])
    return response


async def client(realm: Realm, request: Request) -> Response:
    """Read, make, or empty the browser's client: GET, PUT or POST, DELETE."""
    method = method_of(request)
    if method == "GET":
        found = require_visitor(realm, request).client
        return answer({"response": shown_client(realm, found) if found else None, "client": None})
    if method in ("PUT", "POST"):
        return _make_client(realm, request)
    if method == "DELETE":
        return await client_sessions(realm, request)
    raise Refusal(Problem.NO_SUCH_METHOD)


async def client_sessions(realm: Realm, request: Request) -> Response:
    """Take all sessions off the client: DELETE."""
    if method_of(request) != "DELETE":
        raise Refusal(Problem.NO_SUCH_METHOD)
    found = require_visitor(realm, request).client
    if found is None:
        raise Refusal(Problem.CLIENT_NOT_FOUND)
    lifecycle.finish_all(realm, found, SessionStatus.REMOVED, cause_of(realm, request))
    response = answer({"response": shown_client(realm, found), "client": None})
    add_cookies(response, realm.cookies.signed_out())
    return response


async def session(realm: Realm, request: Request) -> Response:
    """One session of the client."""
    _holder, found = _session(realm, request)
    return answer({"response": _shown(realm, found), "client": None})


async def touch(realm: Realm, request: Request) -> Response:
    """Say that the user is there, and perhaps switch the organization."""
    holder, found = _live_session(realm, request)
    form = await read_form(request)
    if form.get("intent") not in (None, "", *INTENTS):
        raise Refusal(Problem.PARAM_INVALID, param="intent", expected=f"must be one of {', '.join(INTENTS)}")
    with realm.database.transaction():
        if "active_organization_id" in form:
            found = lifecycle.switch_organization(realm, found, form["active_organization_id"])
        found = lifecycle.see(realm, found)
    response = _wrapped(realm, holder, found)
    changed = realm.ledger.client(holder.id) or holder
    # never later than the next token's "issued at", also when the clock was set back: that would start a handshake
    add_cookies(response, realm.cookies.client_uat(min(changed.updated_at_ms, realm.now_ms()) // 1000))
    return response


async def end(realm: Realm, request: Request) -> Response:
    """Sign the session out; it stays on the client."""
    return _finished(realm, request, SessionStatus.ENDED)


async def remove(realm: Realm, request: Request) -> Response:
    """Sign the session out and take it off the client."""
    return _finished(realm, request, SessionStatus.REMOVED)


async def token(realm: Realm, request: Request) -> Response:
    """A session token for the page that asks; ``organization_id`` switches the organization."""
    version = browser_version(request)
    _holder, found = _token_session(realm, request)
    form = await read_form(request)
    with realm.database.transaction():
        if "organization_id" in form:
            found = lifecycle.switch_organization(realm, found, form["organization_id"])
        found = lifecycle.see(realm, found)
    order = TokenOrder(azp=origin_header(request), now_ms=realm.now_ms())
    return answer({"jwt": realm.session_token(found, order, version)})


async def template_token(realm: Realm, request: Request) -> Response:
    """A token from a JWT template for the page that asks."""
    _holder, found = _token_session(realm, request)
    name = path_id(request, "template_name")
    template = realm.templates.named(name)
    if template is None:
        raise Refusal(Problem.TEMPLATE_NOT_FOUND, name=name)
    order = TokenOrder(azp=origin_header(request), now_ms=realm.now_ms())
    return answer({"jwt": realm.template_token(lifecycle.see(realm, found), order, template)})


def _make_client(realm: Realm, request: Request) -> Response:
    found = require_visitor(realm, request).client
    if found is not None:  # every browser of a development instance has one already
        return answer({"response": shown_client(realm, found), "client": None})
    made, client_token = realm.ledger.add_client(realm.now_ms())
    response = answer({"response": shown_client(realm, made), "client": None})
    add_cookies(response, [realm.cookies.client(client_token)])
    return response


def _finished(realm: Realm, request: Request, status: SessionStatus) -> Response:
    holder, found = _live_session(realm, request)
    response = _wrapped(realm, holder, lifecycle.finish(realm, found, status, cause_of(realm, request)))
    add_cookies(response, realm.cookies.signed_out())
    return response


def _session(realm: Realm, request: Request) -> tuple[Client, SessionRecord]:
    session_id = path_id(request, "session_id")
    holder = require_visitor(realm, request).client
    found = realm.ledger.session(session_id, realm.now_ms())
    # somebody else's session is told like one that does not exist
    if holder is None or found is None or found.client_id != holder.id:
        raise Refusal(Problem.SESSION_NOT_FOUND, id=session_id)
    return holder, found


def _live_session(realm: Realm, request: Request) -> tuple[Client, SessionRecord]:
    holder, found = _session(realm, request)
    if not found.is_live:
        raise Refusal(Problem.SESSION_INACTIVE, session_id=found.id, state=found.status)
    return holder, found


def _token_session(realm: Realm, request: Request) -> tuple[Client, SessionRecord]:
    holder, found = _session(realm, request)
    if not found.is_live:  # 401 tells the page that it is signed out; the specification lists no 400 here
        raise Refusal(Problem.UNAUTHENTICATED, session_id=found.id)
    return holder, found


def _wrapped(realm: Realm, holder: Client, found: SessionRecord) -> Response:
    return answer({"response": _shown(realm, found), "client": shown_client(realm, holder)})


def _shown(realm: Realm, found: SessionRecord) -> dict[str, object]:
    user = realm.directory.user(found.user_id)
    members = realm.directory.memberships(found.user_id) if user else ()
    return frontend_session(found, user, realm.now_ms(), members)


def shown_client(realm: Realm, holder: Client) -> dict[str, object]:
    """A client as the Frontend API shows it."""
    now_ms = realm.now_ms()
    current = realm.ledger.client(holder.id) or holder
    held = realm.ledger.sessions(SessionFilter(client_id=holder.id), _SHOWN_SESSIONS, 0, now_ms)
    shown = [_shown(realm, found) for found in held if found.status not in _OFF_THE_CLIENT]
    live = realm.ledger.live_session(holder.id, now_ms)
    return frontend_client(current, shown, live.id if live else None)
