"""The client of the Sessions API: one method for each operation.

Source: Backend API 2026-05-12. Rows, requests and answers are in :mod:`gateway.sessions.wire` and
:mod:`gateway.sessions.answers`, one call in :mod:`gateway.sessions.asking`; here is only what is called and how often.
"""

import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self, TypeVar, overload

import httpx

from gateway.core.instance import API_URL, API_VERSION
from gateway.core.secret import Secret
from gateway.errors import SessionsApiError
from gateway.sessions import wire
from gateway.sessions.asking import Api
from gateway.sessions.backoff import Backoff, has_not_acted
from gateway.sessions.checks import checked_base, checked_key, checked_timeout, checked_version
from gateway.sessions.models import RefreshedCookies, Session, SessionList, Token

T = TypeVar("T")
VERIFY_IS_DEPRECATED = (
    "SessionsClient.verify calls an operation that the API has deprecated; "
    "verify session tokens by their signature instead, with the keys of SessionsClient.jwks()"
)


class SessionsClient:
    """Speaks to the Sessions API, the real one or the embedded one::

        async with SessionsClient(secret_key) as sessions:
            active = [each async for each in sessions.iterate(user_id="user_...", status="active")]
            for session in active:
                await sessions.revoke(session.id)

    Every method raises :class:`~gateway.errors.ApiRefused`, :class:`~gateway.errors.ApiFailed` or
    :class:`~gateway.errors.ApiUnreachable`, and :class:`~gateway.sessions.wire.BadArgument` (also a ValueError) before
    anything is sent. GETs are tried again as ``backoff`` says; what could act twice only where it has not acted: the
    name did not resolve, the connection was refused, or the API answered 429 with the time after which to come again.
    Safe to share between the tasks of one event loop.
    """

    def __init__(  # noqa: PLR0913 - the settings of a client
        self,
        secret_key: Secret | str,
        *,
        api_url: str = API_URL,
        api_version: str = API_VERSION,
        timeout_s: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
        backoff: Backoff | None = None,
        exact_type: bool = False,
    ) -> None:
        """Check the settings; nothing is connected yet.

        Args:
            secret_key: ``sk_test_…`` or ``sk_live_…``.
            api_url: the API without its ``/v1``; a path prefix is kept.
            api_version: the dated version that is asked for, ``YYYY-MM-DD``. An operation that ended earlier
                (:meth:`verify`) asks for the last version that has it.
            timeout_s: seconds for one attempt of one call, from resolving the name to the last byte. With the default
                ``backoff`` a call ends after three of them and, where the API asks for patience, 20 seconds of waits.
            transport: what carries the requests, closed with the client; the default verifies certificates with
                certifi's roots, pools connections and ignores the environment.
            backoff: how failed calls are tried again.
            exact_type: take refreshed cookies only from an answer whose Content-Type has no parameters, as the
                JavaScript SDK does; for whoever has to decide about browsers as it does.

        Raises:
            ConfigurationError: the key, the URL, the version or the time-out cannot be used.
        """
        self._secret_key = checked_key(secret_key)
        base = checked_base(api_url)
        self._api_version = checked_version(api_version)
        self._timeout_s = checked_timeout(timeout_s)
        self._backoff = backoff or Backoff()
        self._api = Api(base, transport or httpx.AsyncHTTPTransport(trust_env=False), self._backoff.now)
        self._refresh_cookies = wire.REFRESH_COOKIES_EXACT if exact_type else wire.REFRESH_COOKIES

    def __repr__(self) -> str:
        return f"SessionsClient(api_url={self._api.base.removesuffix('/v1')!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._api.transport.aclose()

    async def list(
        self,
        *,
        user_id: str | None = None,
        client_id: str | None = None,
        status: str | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> SessionList:
        """Return one page of sessions, newest first.

        Args:
            user_id, client_id: whose; the API wants at least one of the two. An empty text is refused.
            status: only this status; the API does not filter by ``pending``.
            limit: 1 to 500.
            offset: how many to skip.
        """
        query: dict[str, str | int | None] = {"user_id": user_id, "client_id": client_id, "status": status}
        page: dict[str, str | int | None] = {"paginated": "true", "limit": limit, "offset": offset}
        return await self._run(wire.prepare(wire.LIST, query=query | page))

    async def iterate(
        self,
        *,
        user_id: str | None = None,
        client_id: str | None = None,
        status: str | None = None,
        page_size: int = 100,
    ) -> AsyncIterator[Session]:
        """Go through all sessions that match, newest first, page by page.

        A session that moves to the next page because a newer one appeared is not given twice. One that stops to match
        ``status`` while the loop runs moves later ones forward, over the page's edge: collect first, then revoke.

        Args:
            user_id, client_id, status: as for :meth:`list`.
            page_size: sessions asked for at once, 1 to 500.
        """
        offset, previous = 0, frozenset[str]()
        while True:
            page = await self.list(user_id=user_id, client_id=client_id, status=status, limit=page_size, offset=offset)
            new = [session for session in page.data if session.id not in previous]
            for session in new:
                yield session
            offset += len(page.data)
            # A page with nothing new ends it even when the count says otherwise, or a server that ignores the offset
            # would keep us here for ever. Without a count it is the only end: a service may cut pages shorter.
            if not new or (page.total_count is not None and offset >= page.total_count):
                return
            previous = frozenset(session.id for session in page.data)

    async def get(self, session_id: str) -> Session:
        """Return one session."""
        return await self._run(wire.prepare(wire.GET, {"session_id": session_id}))

    async def create(self, user_id: str, *, active_organization_id: str | None = None) -> Session:
        """Create an active session. For tests: production instances refuse it."""
        body = {"user_id": user_id}
        if active_organization_id is not None:
            body["active_organization_id"] = active_organization_id
        return await self._run(wire.prepare(wire.CREATE, body=body))

    @overload
    async def refresh(
        self,
        session_id: str,
        *,
        expired_token: str,
        refresh_token: str,
        request_origin: str,
        request_headers: Mapping[str, Sequence[str]] | None = None,
        request_originating_ip: str | None = None,
        format: Literal["cookie"] = "cookie",
        suffixed_cookies: bool = False,
        timeout_s: float | None = None,
    ) -> RefreshedCookies: ...

    @overload
    async def refresh(
        self,
        session_id: str,
        *,
        expired_token: str,
        refresh_token: str,
        request_origin: str,
        request_headers: Mapping[str, Sequence[str]] | None = None,
        request_originating_ip: str | None = None,
        format: Literal["token"],
        suffixed_cookies: bool = False,
        timeout_s: float | None = None,
    ) -> Token: ...

    async def refresh(  # noqa: PLR0913 - the fields of one operation
        self,
        session_id: str,
        *,
        expired_token: str,
        refresh_token: str,
        request_origin: str,
        request_headers: Mapping[str, Sequence[str]] | None = None,
        request_originating_ip: str | None = None,
        format: Literal["cookie", "token"] = "cookie",  # noqa: A002 - the API's own name
        suffixed_cookies: bool = False,
        timeout_s: float | None = None,
    ) -> RefreshedCookies | Token:
        """Trade an expired session token and a refresh token for a new session token.

        A refusal of the trade is :class:`~gateway.errors.ApiRefused` with status 401 and means: go through a handshake.

        Args:
            session_id: the ``sid`` of the expired token.
            expired_token: the expired session token; it can be traded once.
            refresh_token: the value of the refresh cookie.
            request_origin: origin of the browser's request, the same as the token's ``azp``.
            request_headers: the browser's headers, lower-case name to values.
            request_originating_ip: the browser's address.
            format: ``cookie`` for Set-Cookie values, ``token`` for the token alone.
            suffixed_cookies: ask for cookies with the instance's suffix.
            timeout_s: seconds for this call instead of the client's own.
        """
        body: dict[str, object] = {
            "format": format,
            "expired_token": expired_token,
            "refresh_token": refresh_token,
            "request_origin": request_origin,
        }
        if request_headers is not None:
            body["request_headers"] = {name: [*values] for name, values in request_headers.items()}
        if request_originating_ip is not None:
            body["request_originating_ip"] = request_originating_ip
        segments = {"session_id": session_id}
        query = {"suffixed_cookies": "true" if suffixed_cookies else None}
        if format == "token":
            return await self._run(wire.prepare(wire.REFRESH_TOKEN, segments, query=query, body=body), timeout_s)
        return await self._run(wire.prepare(self._refresh_cookies, segments, query=query, body=body), timeout_s)

    async def revoke(self, session_id: str) -> Session:
        """Revoke a session: the user must sign in again. Tokens that were minted live on until they expire."""
        return await self._run(wire.prepare(wire.REVOKE, {"session_id": session_id}))

    async def verify(self, session_id: str, token: str) -> Session:
        """Return the session if the token belongs to it and it is authenticated. Deprecated by the API.

        Verify the token itself, with the keys of :meth:`jwks`; :class:`gateway.SessionMiddleware` does.
        """
        warnings.warn(VERIFY_IS_DEPRECATED, DeprecationWarning, stacklevel=2)
        return await self._run(wire.prepare(wire.VERIFY, {"session_id": session_id}, body={"token": token}))

    async def create_token(
        self, session_id: str, *, expires_in_s: int | None = None, origin: str | None = None
    ) -> Token:
        """Mint a session token.

        Args:
            session_id: of which session.
            expires_in_s: lifetime in seconds, 30 to 315360000; None = the instance's own.
            origin: becomes the token's ``azp``; None leaves that claim out.
        """
        call = wire.prepare(wire.CREATE_TOKEN, {"session_id": session_id}, body=_lifetime(expires_in_s), origin=origin)
        return await self._run(call)

    async def create_token_from_template(
        self, session_id: str, template_name: str, *, expires_in_s: int | None = None, origin: str | None = None
    ) -> Token:
        """Mint a token after one of the instance's JWT templates.

        Args:
            session_id: of which session.
            template_name: the name of the template.
            expires_in_s: lifetime in seconds, 30 to 315360000; None = the template's own.
            origin: becomes the token's ``azp``; None leaves that claim out.
        """
        segments = {"session_id": session_id, "template_name": template_name}
        body = _lifetime(expires_in_s)
        return await self._run(wire.prepare(wire.CREATE_TOKEN_FROM_TEMPLATE, segments, body=body, origin=origin))

    async def handshake_payload(self, nonce: str, *, timeout_s: float | None = None) -> tuple[str, ...]:
        """Return the Set-Cookie values that a handshake left under a nonce, which works once.

        Args:
            nonce: what the handshake gave the browser.
            timeout_s: seconds for this call instead of the client's own.
        """
        return await self._run(wire.prepare(wire.HANDSHAKE_PAYLOAD, query={"nonce": nonce}), timeout_s)

    async def jwks(self) -> dict[str, object]:
        """Return the instance's JWK Set: ``{"keys": [{...}, ...]}``."""
        return await self._run(wire.prepare(wire.JWKS))

    async def _run(self, call: wire.Call[T], timeout_s: float | None = None) -> T:
        operation, backoff, attempt = call.operation, self._backoff, 1
        bound_s = self._timeout_s if timeout_s is None else timeout_s
        while True:
            try:
                return await self._api.ask(call, self._secret_key, bound_s, self._api_version)
            except SessionsApiError as error:
                may_repeat = operation.repeatable or has_not_acted(error)
                wait_s = backoff.wait_s(error, attempt) if may_repeat else None
                if wait_s is None:
                    raise
            await backoff.sleep(wait_s)
            attempt += 1


def _lifetime(expires_in_s: int | None) -> dict[str, object] | None:
    return None if expires_in_s is None else {"expires_in_seconds": expires_in_s}
