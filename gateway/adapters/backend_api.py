"""The Sessions API client as the engine's port."""

from collections.abc import Mapping, Sequence

from gateway.sessions.client import SessionsClient


class BackendApi:
    """Implements :class:`gateway.ports.SessionsApi` over the typed client.

    Args:
        client: closed by whoever made it.
        timeout_s: seconds that one call may take.
    """

    def __init__(self, client: SessionsClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def refresh_cookies(
        self,
        session_id: str,
        *,
        expired_token: str,
        refresh_token: str,
        request_origin: str,
        request_headers: Mapping[str, Sequence[str]],
        suffixed_cookies: bool,
    ) -> tuple[str, ...]:
        """Trade an expired token for ``Set-Cookie`` directives."""
        answer = await self._client.refresh(
            session_id,
            expired_token=expired_token,
            refresh_token=refresh_token,
            request_origin=request_origin,
            request_headers=request_headers,
            format="cookie",
            suffixed_cookies=suffixed_cookies,
            timeout_s=self._timeout_s,
        )
        return tuple(answer.cookies)

    async def handshake_payload(self, nonce: str) -> tuple[str, ...]:
        """Return the directives behind a handshake nonce."""
        return await self._client.handshake_payload(nonce, timeout_s=self._timeout_s)
