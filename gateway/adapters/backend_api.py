"""The clients of the Backend API as the engine's ports."""

from gateway.core.machine_claims import MachineRecord
from gateway.core.session_status import SessionStatus
from gateway.core.token_class import TokenType
from gateway.core.verdict import NeedRefresh
from gateway.errors import ApiAnswered
from gateway.sessions.client import SessionsClient
from gateway.sessions.machine_tokens import MachineTokensClient
from gateway.sessions.wire import BadArgument


class BackendApi:
    """Implements :class:`gateway.ports.SessionsApi` over the typed client.

    Args:
        client: closed by whoever made it.
        timeout_s: seconds that one call may take.
    """

    def __init__(self, client: SessionsClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def refresh_cookies(self, need: NeedRefresh) -> tuple[str, ...]:
        """Trade an expired token for ``Set-Cookie`` directives."""
        answer = await self._client.refresh(
            need.session_id,
            expired_token=need.expired_token.reveal(),
            refresh_token=need.refresh_token.reveal(),
            request_origin=need.request_origin,
            request_headers={name: [value] for name, value in need.request_headers.items()},
            format="cookie",
            suffixed_cookies=need.suffixed_cookies,
            timeout_s=self._timeout_s,
        )
        return tuple(answer.cookies)

    async def handshake_payload(self, nonce: str) -> tuple[str, ...]:
        """Return the directives behind a handshake nonce."""
        return await self._client.handshake_payload(nonce, timeout_s=self._timeout_s)


class BackendSessions:
    """Implements :class:`gateway.ports.SessionStates` over the typed client.

    Args:
        client: its transport is closed by whoever made it.
    """

    def __init__(self, client: SessionsClient) -> None:
        self._client = client

    async def is_active(self, session_id: str) -> bool:
        """Return whether the session is active."""
        try:
            session = await self._client.get(session_id)
        except ApiAnswered as error:
            if error.status == 404:
                return False
            raise
        return session.status == SessionStatus.ACTIVE


class BackendMachines:
    """Implements :class:`gateway.ports.MachineTokensApi` over the typed client.

    Args:
        client: its transport is closed by whoever made it.
    """

    def __init__(self, client: MachineTokensClient) -> None:
        self._client = client

    async def verify(self, kind: TokenType, token: str) -> MachineRecord:
        """Return what the API knows of an opaque token."""
        match kind:
            case TokenType.API_KEY:
                return await self._client.verify_api_key(token)
            case TokenType.M2M_TOKEN:
                return await self._client.verify_m2m_token(token)
            case TokenType.OAUTH_TOKEN:
                return await self._client.verify_oauth_token(token)
            case TokenType.SESSION_TOKEN:
                raise BadArgument("the API verifies no session tokens")
