"""The ports of an authenticator that says how it decides.

Keys are asked for as always, which harms nobody. The Sessions API is only asked when that is wanted: trading a token or
taking a handshake's answer spends them, and the browser that they belong to would find them used up.
"""

from collections.abc import Awaitable, Callable

from gateway.core.keys import VerificationKey
from gateway.core.trace import Mark, Trace
from gateway.core.verdict import NeedRefresh
from gateway.errors import ApiErrorItem, ApiRefused, KeysUnavailable, SessionsApiError
from gateway.ports import KeySource, KeysStatus, SessionsApi

NOT_ASKED = "not-asked"
"""What a call that was not made came to; the tail of the reason for an expired token."""

API = "Sessions API"


class ToldKeys:
    """Implements :class:`gateway.ports.KeySource` and notes where a key came from.

    Args:
        keys: the source.
        trace: takes the notes.
    """

    def __init__(self, keys: KeySource, trace: Trace) -> None:
        self._keys = keys
        self._trace = trace

    def cached(self, kid: str) -> VerificationKey | None:
        """Return the key if it is at hand."""
        key = self._keys.cached(kid)
        if key is not None and not key.kid:
            self._trace.note("key source", Mark.CHOSEN, "the pinned instance.jwt_key, whatever the kid")
        elif key is not None:
            self._trace.note("key source", Mark.CHOSEN, "the keys at hand")
        return key

    def fresh_for_s(self) -> float:
        """Return for how many seconds a verification may be remembered."""
        return self._keys.fresh_for_s()

    async def find(self, kid: str) -> VerificationKey | None:
        """Return the key, loading the set if it has to.

        Raises:
            KeysUnavailable: when the source cannot be asked.
        """
        try:
            key = await self._keys.find(kid)
        except KeysUnavailable as error:
            self._trace.note("key source", Mark.NO, "{}: {}", error.reason, error.detail)
            raise
        self._trace.note("key source", Mark.ASKED, "the instance's keys were loaded; kid {}", kid or "none")
        return key

    async def warm(self) -> KeysStatus:
        """Load the keys if there are none."""
        return await self._keys.warm()

    async def close(self) -> None:
        """Do nothing: the source is another's."""


class ToldApi:
    """Implements :class:`gateway.ports.SessionsApi`, notes what is asked, and asks only when it may.

    Args:
        api: the API.
        trace: takes the notes.
        live: whether it is asked at all.
    """

    def __init__(self, api: SessionsApi, trace: Trace, *, live: bool) -> None:
        self._api = api
        self._trace = trace
        self._live = live

    async def refresh_cookies(self, need: NeedRefresh) -> tuple[str, ...]:
        """Trade an expired token, or note that it would have been.

        Raises:
            SessionsApiError: when the API refuses, or was not asked.
        """
        call = f"POST /v1/sessions/{need.session_id}/refresh"
        return await self._told("refresh", call, lambda: self._api.refresh_cookies(need))

    async def handshake_payload(self, nonce: str) -> tuple[str, ...]:
        """Return the directives behind a nonce, or note that they would have been asked for.

        Raises:
            SessionsApiError: when the API refuses, or was not asked.
        """
        call = "GET /v1/clients/handshake_payload"
        return await self._told("the handshake's answer", call, lambda: self._api.handshake_payload(nonce))

    async def _told(self, purpose: str, call: str, ask: Callable[[], Awaitable[tuple[str, ...]]]) -> tuple[str, ...]:
        if not self._live:
            self._trace.note(API, Mark.SKIPPED, "would be asked for {}: {}", purpose, call)
            raise ApiRefused(0, [ApiErrorItem(NOT_ASKED, "nothing is spent for an explanation")])
        self._trace.note(API, Mark.ASKED, "for {}: {}", purpose, call)
        try:
            return await ask()
        except SessionsApiError as error:
            self._trace.note(API, Mark.NO, "{}", str(error))
            raise
