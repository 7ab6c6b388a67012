"""The Backend API: sessions, keys, handshake payloads (Sessions API sections 1, 2, 5, 6).

Decided here, where the public facts are silent: a list without ``user_id`` and ``client_id`` is answered; revoking a
session that is over changes nothing and answers it as it is; no token is made from a session that is over (404); a
session made here has a client of its own, which no browser holds.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.authority import lifecycle
from gateway.authority.backend.refresh import RefreshOrder, refresh
from gateway.authority.errors import Problem, Refusal, answer
from gateway.authority.fields import Field, read_fields
from gateway.authority.realm import Realm, TokenOrder
from gateway.authority.requests import (
    cause_of,
    origin_header,
    path_id,
    read_json,
    requested_version,
    require_secret_key,
)
from gateway.authority.signing.keyring import Category, ForeignToken
from gateway.authority.store.ledger import SessionFilter
from gateway.authority.store.models import SessionRecord, Status
from gateway.authority.versions import ApiVersion
from gateway.authority.wire import backend_session
from gateway.core.instance import InstanceKind

_Operation = Callable[[Request, ApiVersion], Awaitable[Response]]
_Endpoint = Callable[[Request], Awaitable[Response]]

_LISTED = tuple(status.value for status in Status if status is not Status.PENDING)
_LIFETIME = {"expires_in_seconds": Field("integer", least=30, most=315_360_000)}
_CREATE = {"user_id": Field(required=True), "active_organization_id": Field()}
_VERIFY = {"token": Field()}
_REFRESH = {
    "expired_token": Field(required=True),
    "refresh_token": Field(required=True),
    "request_origin": Field(required=True),
    "request_headers": Field("object"),
    "format": Field(choices=("token", "cookie")),
    "request_originating_ip": Field(),
}


class BackendApi:
    """What a backend with the secret key may ask."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    def routes(self) -> list[Route]:
        """All operations."""
        session = "/v1/sessions/{session_id}"
        table: list[tuple[str, str, _Operation]] = [
            ("GET", "/v1/jwks", self.jwks),
            ("GET", "/v1/sessions", self.list_sessions),
            ("POST", "/v1/sessions", self.create_session),
            ("GET", session, self.get_session),
            ("POST", f"{session}/refresh", self.refresh_session),
            ("POST", f"{session}/revoke", self.revoke_session),
            ("POST", f"{session}/verify", self.verify_session),
            ("POST", f"{session}/tokens", self.create_token),
            ("POST", f"{session}/tokens/{{template_name}}", self.create_token_from_template),
            ("GET", "/v1/clients/handshake_payload", self.handshake_payload),
        ]
        return [Route(path, self._guarded(operation), methods=[method]) for method, path, operation in table]

    async def jwks(self, _request: Request, _version: ApiVersion) -> Response:
        """The public keys."""
        return answer(self._realm.keys.jwks())

    async def list_sessions(self, request: Request, version: ApiVersion) -> Response:
        """The sessions that match, newest first; with ``paginated=true`` in an envelope with their number."""
        query, now_ms = request.query_params, self._realm.now_ms()
        status = query.get("status")
        if status is not None and status not in _LISTED:
            raise Refusal(Problem.PARAM_INVALID, param="status", expected=f"must be one of {', '.join(_LISTED)}")
        narrowed = SessionFilter(
            user_id=query.get("user_id"),
            client_id=query.get("client_id"),
            status=Status(status) if status else None,
        )
        paginated = _boolean(request, "paginated")
        limit, offset = _number(request, "limit", 10, 1, 500), _number(request, "offset", 0, 0, 2**53)
        found = self._realm.ledger.sessions(narrowed, limit, offset, now_ms)
        data = [backend_session(session, version) for session in found]
        if not paginated:
            return answer(data)
        return answer({"data": data, "total_count": self._realm.ledger.count(narrowed, now_ms)})

    async def create_session(self, request: Request, version: ApiVersion) -> Response:
        """Begin a session for tests; production instances refuse."""
        if self._realm.config.kind is InstanceKind.PRODUCTION:
            raise Refusal(Problem.WRONG_ENVIRONMENT, kind=self._realm.config.kind)
        fields = read_fields(await read_json(request), _CREATE)
        with self._realm.database.transaction():
            client, _token = self._realm.ledger.add_client(self._realm.now_ms())
            organization = str(fields.get("active_organization_id", ""))
            session = lifecycle.start_session(
                self._realm, str(fields["user_id"]), organization, client, cause_of(request)
            )
        return answer(backend_session(session, version))

    async def get_session(self, request: Request, version: ApiVersion) -> Response:
        """One session."""
        return answer(backend_session(self._session(request), version))

    async def refresh_session(self, request: Request, version: ApiVersion) -> Response:
        """Trade an expired token; a bad body is 400 here, by the specification."""
        fields = read_fields(await read_json(request), _REFRESH, status=400)
        order = RefreshOrder(
            session_id=path_id(request, "session_id"),
            expired_token=str(fields["expired_token"]),
            refresh_token=str(fields["refresh_token"]),
            request_origin=str(fields["request_origin"]),
            as_cookies=fields.get("format") == "cookie",
            suffixed=_boolean(request, "suffixed_cookies"),
            version=version,
        )
        return answer(refresh(self._realm, order))

    async def revoke_session(self, request: Request, version: ApiVersion) -> Response:
        """End a session."""
        session = lifecycle.finish(self._realm, self._session(request), Status.REVOKED, cause_of(request))
        return answer(backend_session(session, version))

    async def verify_session(self, request: Request, version: ApiVersion) -> Response:
        """Deprecated: say whether a token is a good one of this session. Gone for later versions."""
        if not version.has_verify:
            raise Refusal(Problem.GONE)
        session = self._session(request)
        fields = read_fields(await read_json(request), _VERIFY, status=400)
        if not session.is_live or not self._is_token_of(session, str(fields.get("token", ""))):
            raise Refusal(Problem.SESSION_TOKEN_INVALID, session_id=session.id)
        return answer(backend_session(session, version))

    async def create_token(self, request: Request, version: ApiVersion) -> Response:
        """Make a session token."""
        session, order = await self._token_order(request)
        return answer({"object": "token", "jwt": self._realm.session_token(session, order, version)})

    async def create_token_from_template(self, request: Request, _version: ApiVersion) -> Response:
        """Make a token from a JWT template."""
        session, order = await self._token_order(request)
        name = path_id(request, "template_name")
        template = self._realm.directory.template(name)
        if template is None:
            raise Refusal(Problem.TEMPLATE_NOT_FOUND, name=name)
        return answer({"object": "token", "jwt": self._realm.template_token(session, order, template)})

    async def handshake_payload(self, request: Request, _version: ApiVersion) -> Response:
        """Hand over the cookies of a handshake, once."""
        nonce = request.query_params.get("nonce")
        if not nonce:
            raise Refusal(Problem.NONCE_MISSING, param="nonce")
        directives = self._realm.grants.fetch_handshake(nonce, self._realm.now_ms())
        if directives is None:
            raise Refusal(Problem.NONCE_INVALID, param="nonce")
        return answer({"directives": directives})

    def _guarded(self, operation: _Operation) -> _Endpoint:
        async def endpoint(request: Request) -> Response:
            if request.method == "HEAD":  # would spend what GET hands over
                raise Refusal(Problem.NO_SUCH_METHOD)
            require_secret_key(request, self._realm.secret_key)
            return await operation(request, requested_version(request))

        return endpoint

    def _session(self, request: Request) -> SessionRecord:
        session_id = path_id(request, "session_id")
        session = self._realm.ledger.session(session_id, self._realm.now_ms())
        if session is None:
            raise Refusal(Problem.SESSION_NOT_FOUND, id=session_id)
        return session

    async def _token_order(self, request: Request) -> tuple[SessionRecord, TokenOrder]:
        session = self._session(request)
        fields = read_fields(await read_json(request), _LIFETIME)
        if not session.is_live:
            raise Refusal(Problem.SESSION_OVER, session_id=session.id, state=session.status)
        lifetime = fields.get("expires_in_seconds")
        order = TokenOrder(
            azp=origin_header(request),
            now_ms=self._realm.now_ms(),
            lifetime_s=lifetime if isinstance(lifetime, int) else None,
        )
        return session, order

    def _is_token_of(self, session: SessionRecord, token: str) -> bool:
        try:
            opened = self._realm.keys.open(token)
        except ForeignToken:
            return False
        expires_at_s = opened.claims.get("exp")
        is_fresh = isinstance(expires_at_s, int) and expires_at_s > self._realm.now_ms() // 1000
        return is_fresh and opened.header.get("cat") == Category.SESSION and opened.claims.get("sid") == session.id


def _boolean(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise Refusal(Problem.PARAM_INVALID, param=name, expected="must be true or false")
    return text in ("true", "1")


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not is_number or not least <= int(text) <= most:
        raise Refusal(Problem.PARAM_INVALID, param=name, expected=f"must be between {least} and {most}")
    return int(text)
