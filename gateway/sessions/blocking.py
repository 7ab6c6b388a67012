"""The client for code without an event loop: the same operations, and each waits for its answer.

It runs the asynchronous client on a loop of its own. So what is sent, tried again and raised is decided in one place;
here is only how somebody waits for it.
"""

import asyncio
import threading
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Self, TypeVar, overload

from gateway.core.secret import Secret
from gateway.sessions.client import VERIFY_IS_DEPRECATED, SessionsClient
from gateway.sessions.models import RefreshedCookies, Session, Token

P = ParamSpec("P")
T = TypeVar("T")


class _Waiting(Generic[P, T]):
    """A method of the asynchronous client, with its parameters, that waits."""

    def __init__(self, method: Callable[Concatenate[SessionsClient, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, client: "BlockingSessionsClient", owner: type | None = None) -> Callable[P, T]:
        method = self._method

        @wraps(method)
        def waiting(*args: P.args, **kwargs: P.kwargs) -> T:
            return client.wait(lambda inner: method(inner, *args, **kwargs))

        return waiting


class BlockingSessionsClient:
    """:class:`~gateway.sessions.client.SessionsClient` for scripts and for frameworks without an event loop::

        with BlockingSessionsClient(secret_key) as sessions:
            print(sessions.get("sess_...").status)

    The parameters, answers and exceptions are the same. Safe to share between threads, which wait for each other; a
    service with many of them gives each its own. Inside a running event loop it refuses to block the loop.
    """

    def __init__(self, secret_key: Secret | str, **settings: Any) -> None:
        """Check the settings; nothing is connected yet.

        Args:
            secret_key: ``sk_test_…`` or ``sk_live_…``.
            settings: as for :class:`~gateway.sessions.client.SessionsClient`.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        self._client = SessionsClient(secret_key, **settings)
        # The factory keeps the loop to us; without it this thread's own would be replaced.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        return f"Blocking{self._client!r}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and the loop."""
        self.wait(SessionsClient.aclose)
        self._runner.close()

    def wait(self, ask: Callable[[SessionsClient], Awaitable[T]]) -> T:
        """Let the asynchronous client do something, and wait for it.

        Args:
            ask: what it is to do.

        Raises:
            RuntimeError: an event loop runs in this thread, which this would block.
        """

        async def work() -> T:
            return await ask(self._client)

        if _has_loop():
            raise RuntimeError("an event loop runs here and must not be blocked; use gateway.SessionsClient")
        with self._turn:
            return self._runner.run(work())

    list = _Waiting(SessionsClient.list)
    get = _Waiting(SessionsClient.get)
    create = _Waiting(SessionsClient.create)
    revoke = _Waiting(SessionsClient.revoke)
    create_token = _Waiting(SessionsClient.create_token)
    create_token_from_template = _Waiting(SessionsClient.create_token_from_template)
    handshake_payload = _Waiting(SessionsClient.handshake_payload)
    jwks = _Waiting(SessionsClient.jwks)

    def iterate(
        self,
        *,
        user_id: str | None = None,
        client_id: str | None = None,
        status: str | None = None,
        page_size: int = 100,
    ) -> Iterator[Session]:
        """Go through all sessions that match, as :meth:`~gateway.sessions.client.SessionsClient.iterate` does."""
        sessions = self._client.iterate(user_id=user_id, client_id=client_id, status=status, page_size=page_size)
        while (session := self.wait(lambda _: anext(sessions, None))) is not None:
            yield session

    def verify(self, session_id: str, token: str) -> Session:
        """Return the session if the token belongs to it and it is authenticated. Deprecated by the API."""
        warnings.warn(VERIFY_IS_DEPRECATED, DeprecationWarning, stacklevel=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return self.wait(lambda client: client.verify(session_id, token))

    @overload
    def refresh(
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
    def refresh(
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

    def refresh(self, session_id: str, **trade: Any) -> RefreshedCookies | Token:
        """Trade tokens, as :meth:`~gateway.sessions.client.SessionsClient.refresh` does."""
        answer: RefreshedCookies | Token = self.wait(lambda client: client.refresh(session_id, **trade))
        return answer


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
