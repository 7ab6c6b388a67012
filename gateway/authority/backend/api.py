"""The Backend API: sessions, keys, handshake payloads (Sessions API sections 1, 2, 5, 6).

Decided here, where the public facts are silent: a list without ``user_id`` and ``client_id`` is answered; revoking a
session that is over changes nothing and answers it as it is; no token is made from a session that is over (404); a
session made here has a client of its own, which no browser holds. docs/authority-api.md lists all such decisions.
"""

from starlette.responses import Response

from gateway.authority import lifecycle
from gateway.authority.backend.refresh import REFUSALS, RefreshOrder, refresh
from gateway.authority.errors import Problem, Refusal, answer
from gateway.authority.fields import Field
from gateway.authority.models import SessionRecord
from gateway.authority.operations import Call, Operation
from gateway.authority.realm import Realm, TokenOrder
from gateway.authority.requests import cause_of, origin_header, path_id
from gateway.authority.signing.keyring import Category, ForeignToken
from gateway.authority.store.ledger import SessionFilter
from gateway.authority.versions import ApiVersion
from gateway.authority.wire import backend_session
from gateway.core.instance import InstanceKind
from gateway.core.session_status import SessionStatus


async def jwks(realm: Realm, _call: Call) -> Response:
    """The public keys."""
    return answer(realm.keys.jwks())


async def list_sessions(realm: Realm, call: Call) -> Response:
    """The sessions that match, newest first; with ``paginated=true`` in an envelope with their number."""
    query, now_ms = call.query, realm.now_ms()
    status, user_id, client_id = query["status"], query["user_id"], query["client_id"]
    narrowed = SessionFilter(
        user_id=None if user_id is None else str(user_id),
        client_id=None if client_id is None else str(client_id),
        status=SessionStatus(str(status)) if status else None,
        pending_is_active=not call.version.has_tasks,
    )
    found = realm.ledger.sessions(narrowed, int(str(query["limit"])), int(str(query["offset"])), now_ms)
    data = [backend_session(session, call.version) for session in found]
    if not query["paginated"]:
        return answer(data)
    return answer({"data": data, "total_count": realm.ledger.count(narrowed, now_ms)})


async def create_session(realm: Realm, call: Call) -> Response:
    """Begin a session for tests; production instances refuse."""
    if realm.config.kind is InstanceKind.PRODUCTION:
        raise Refusal(Problem.WRONG_ENVIRONMENT, kind=realm.config.kind)
    with realm.database.transaction():
        client, _token = realm.ledger.add_client(realm.now_ms())
        organization = str(call.body.get("active_organization_id", ""))
        cause = cause_of(realm, call.request)
        session = lifecycle.start_session(realm, str(call.body["user_id"]), organization, client, cause)
    return answer(backend_session(session, call.version))


async def get_session(realm: Realm, call: Call) -> Response:
    """One session."""
    return answer(backend_session(_session(realm, call), call.version))


async def refresh_session(realm: Realm, call: Call) -> Response:
    """Trade an expired token; a bad body is 400 here, by the specification."""
    order = RefreshOrder(
        session_id=path_id(call.request, "session_id"),
        expired_token=str(call.body["expired_token"]),
        refresh_token=str(call.body["refresh_token"]),
        request_origin=str(call.body["request_origin"]),
        as_cookies=call.body.get("format") == "cookie",
        suffixed=bool(call.query["suffixed_cookies"]),
        version=call.version,
        cause=cause_of(realm, call.request),
    )
    return answer(refresh(realm, order))


async def revoke_session(realm: Realm, call: Call) -> Response:
    """End a session."""
    session = lifecycle.finish(realm, _session(realm, call), SessionStatus.REVOKED, cause_of(realm, call.request))
    return answer(backend_session(session, call.version))


async def verify_session(realm: Realm, call: Call) -> Response:
    """Deprecated: say whether a token is a good one of this session."""
    session = _session(realm, call)
    if not session.is_live or not _is_token_of(realm, session, str(call.body.get("token", ""))):
        raise Refusal(Problem.SESSION_TOKEN_INVALID, session_id=session.id)
    return answer(backend_session(session, call.version))


async def create_token(realm: Realm, call: Call) -> Response:
    """Make a session token."""
    session, order = _token_order(realm, call)
    return answer({"object": "token", "jwt": realm.session_token(session, order, call.version)})


async def create_token_from_template(realm: Realm, call: Call) -> Response:
    """Make a token from a JWT template."""
    session, order = _token_order(realm, call)
    name = path_id(call.request, "template_name")
    template = realm.templates.named(name)
    if template is None:
        raise Refusal(Problem.TEMPLATE_NOT_FOUND, name=name)
    return answer({"object": "token", "jwt": realm.template_token(session, order, template)})


async def handshake_payload(realm: Realm, call: Call) -> Response:
    """Hand over the cookies of a handshake, once."""
    directives = realm.grants.fetch_handshake(str(call.query["nonce"]), realm.now_ms())
    if directives is None:
        raise Refusal(Problem.NONCE_INVALID, param="nonce")
    return answer({"directives": directives})


def _session(realm: Realm, call: Call) -> SessionRecord:
    session_id = path_id(call.request, "session_id")
    session = realm.ledger.session(session_id, realm.now_ms())
    if session is None:
        raise Refusal(Problem.SESSION_NOT_FOUND, id=session_id)
    return session


def _token_order(realm: Realm, call: Call) -> tuple[SessionRecord, TokenOrder]:
    session = _session(realm, call)
    if not session.is_live:
        raise Refusal(Problem.SESSION_OVER, session_id=session.id, state=session.status)
    lifetime = call.body.get("expires_in_seconds")
    order = TokenOrder(
        azp=origin_header(call.request),
        now_ms=realm.now_ms(),
        lifetime_s=lifetime if isinstance(lifetime, int) else None,
    )
    return session, order


def _is_token_of(realm: Realm, session: SessionRecord, token: str) -> bool:
    try:
        opened = realm.keys.open(token)
    except ForeignToken:
        return False
    expires_at_s = opened.payload.get("exp")
    is_fresh = isinstance(expires_at_s, int) and expires_at_s > realm.now_ms() // 1000
    return is_fresh and opened.header.get("cat") == Category.SESSION and opened.payload.get("sid") == session.id


PAGE = {
    "paginated": Field("boolean", default=False, about="Answer an object with data and total_count, not a bare array."),
    "limit": Field("integer", least=1, most=500, default=10, about="How many to answer at most."),
    "offset": Field("integer", least=0, most=2**53, default=0, about="How many to skip first."),
}
"""The parameters of every list of the Backend API."""

_LISTED = tuple(status.value for status in SessionStatus if status is not SessionStatus.PENDING)
_LIFETIME = {
    "expires_in_seconds": Field(
        "integer", least=30, most=315_360_000, about="Lifetime of the token in seconds, in place of the usual one."
    )
}
_SESSION = "/v1/sessions/{session_id}"
_NO_TOKEN = (Problem.SESSION_NOT_FOUND, Problem.SESSION_OVER, Problem.USER_NOT_FOUND)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="GetJWKS",
        method="GET",
        path="/v1/jwks",
        handler=jwks,
        answer="JWKS",
        about="The public keys that the instance's tokens are signed with.",
    ),
    Operation(
        name="GetSessionList",
        method="GET",
        path="/v1/sessions",
        handler=list_sessions,
        answer="SessionList",
        about="The sessions that match, the newest first.",
        query={
            "client_id": Field(about="Only sessions of this client."),
            "user_id": Field(about="Only sessions of this user."),
            "status": Field(choices=_LISTED, about="Only sessions that are so at this moment."),
            **PAGE,
        },
    ),
    Operation(
        name="createSession",
        method="POST",
        path="/v1/sessions",
        handler=create_session,
        answer="Session",
        about="Begin a session for tests. Production instances refuse it.",
        body={
            "user_id": Field(required=True, about="Whose session."),
            "active_organization_id": Field(
                about="Id or slug of the organization that is active in it.", not_in=(ApiVersion.V2025_03_12,)
            ),
        },
        problems=(Problem.WRONG_ENVIRONMENT, Problem.USER_NOT_FOUND, Problem.ORGANIZATION_NOT_FOUND),
    ),
    Operation(
        name="GetSession",
        method="GET",
        path=_SESSION,
        handler=get_session,
        answer="Session",
        about="One session.",
        problems=(Problem.SESSION_NOT_FOUND,),
    ),
    Operation(
        name="RefreshSession",
        method="POST",
        path=f"{_SESSION}/refresh",
        handler=refresh_session,
        answer="SessionRefresh",
        about="Trade an expired session token and a refresh token for a new session token. "
        "Every 401 means: do a handshake.",
        query={"suffixed_cookies": Field("boolean", default=False, about="Set the suffixed session cookie too.")},
        body={
            "expired_token": Field(required=True, about="The session token that has expired."),
            "refresh_token": Field(required=True, about="The value of the refresh cookie."),
            "request_origin": Field(required=True, about="Origin of the browser's request; must be the token's azp."),
            "request_headers": Field("object", about="Headers of the browser's request, each with an array of values."),
            "format": Field(choices=("token", "cookie"), about="What to answer; token if absent."),
            "request_originating_ip": Field(about="Address of the browser."),
        },
        problems=REFUSALS,
        faults_are=400,
    ),
    Operation(
        name="RevokeSession",
        method="POST",
        path=f"{_SESSION}/revoke",
        handler=revoke_session,
        answer="Session",
        about="End a session. One that is over already stays as it is.",
        problems=(Problem.SESSION_NOT_FOUND,),
    ),
    Operation(
        name="VerifySession",
        method="POST",
        path=f"{_SESSION}/verify",
        handler=verify_session,
        answer="Session",
        about="The session, if the token is a good one of it. Verify the token's signature instead.",
        body={"token": Field(about="A session token.")},
        problems=(Problem.SESSION_NOT_FOUND, Problem.SESSION_TOKEN_INVALID),
        faults_are=400,
        until=ApiVersion.V2025_03_12,
    ),
    Operation(
        name="CreateSessionToken",
        method="POST",
        path=f"{_SESSION}/tokens",
        handler=create_token,
        answer="Token",
        about="A session token. The claim azp is the request's Origin header.",
        body=_LIFETIME,
        problems=_NO_TOKEN,
    ),
    Operation(
        name="CreateSessionTokenFromTemplate",
        method="POST",
        path=f"{_SESSION}/tokens/{{template_name}}",
        handler=create_token_from_template,
        answer="Token",
        about="A token made from a JWT template. The claim azp is the request's Origin header.",
        body=_LIFETIME,
        problems=(*_NO_TOKEN, Problem.TEMPLATE_NOT_FOUND),
    ),
    Operation(
        name="GetHandshakePayload",
        method="GET",
        path="/v1/clients/handshake_payload",
        handler=handshake_payload,
        answer="HandshakePayload",
        about="The cookies of a handshake, once.",
        query={"nonce": Field(required=True, about="What the browser brought back from the handshake.")},
        problems=(Problem.NONCE_INVALID,),
        missing=Problem.NONCE_MISSING,
    ),
)
"""All operations of this module."""
