"""One refresh call per expired token, however many requests carry it.

The API trades an expired token once: requests that each refreshed would sign the user out. Requests at the same time
share one call; for some seconds late ones with the same expired and the same refresh token get the same answer.
"""

import asyncio
import time

from cachetools import TTLCache

from gateway.core.reasons import RefreshFailure
from gateway.core.verdict import NeedRefresh, RefreshAnswer
from gateway.errors import ApiFailed, ApiRefused, ApiUnreachable, SessionsApiError
from gateway.ports import Clock, SessionsApi

SHARED_S = 10
"""Seconds for which late arrivals with the old token get the same answer."""

MAX_SHARED = 10_000

_Key = tuple[str, str, str]


class Refreshing:
    """Answers :class:`~gateway.core.verdict.NeedRefresh`.

    Args:
        api: the Sessions API.
        budget_ms: milliseconds after which a call counts as failed.
        timer: seconds; only differences count.
    """

    def __init__(self, api: SessionsApi, budget_ms: float, timer: Clock = time.monotonic) -> None:
        self._api = api
        self._budget_ms = budget_ms
        self._running: dict[_Key, asyncio.Task[RefreshAnswer]] = {}
        self._done: TTLCache[_Key, RefreshAnswer] = TTLCache(MAX_SHARED, SHARED_S, timer)

    async def answer(self, need: NeedRefresh) -> RefreshAnswer:
        """Return the directives of the new session cookies, or the tail of the reason why there are none."""
        # The refresh token is part of the key: the expired token alone must not be enough to share an answer.
        key = (need.expired_token.reveal(), need.refresh_token.reveal(), need.request_origin)
        done = self._done.get(key)
        if done is not None:
            return done
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._call(key, need))
            self._running[key] = task
        return await asyncio.shield(task)

    async def _call(self, key: _Key, need: NeedRefresh) -> RefreshAnswer:
        try:
            answer = await self._trade(need)
            if not isinstance(answer, str):
                self._done[key] = answer
            return answer
        finally:
            del self._running[key]

    async def _trade(self, need: NeedRefresh) -> RefreshAnswer:
        try:
            async with asyncio.timeout(self._budget_ms / 1000):
                return await self._api.refresh_cookies(
                    need.session_id,
                    expired_token=need.expired_token.reveal(),
                    refresh_token=need.refresh_token.reveal(),
                    request_origin=need.request_origin,
                    request_headers={name: [value] for name, value in need.request_headers.items()},
                    suffixed_cookies=need.suffixed_cookies,
                )
        except TimeoutError:
            return RefreshFailure.TIMEOUT
        except SessionsApiError as error:
            return _tail(error)

    async def close(self) -> None:
        """Wait for running calls, so that no traded token is lost."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)


def _tail(error: SessionsApiError) -> str:
    """Return the tail of the reason for a call that did not succeed (request-authentication section 12)."""
    match error:
        case ApiRefused(code="unexpected_error"):
            return RefreshFailure.FETCH_ERROR
        case ApiRefused(code=code) if code:
            return code
        case ApiFailed(status=status) if status == 204 or status >= 300:
            return RefreshFailure.UNEXPECTED_BAPI_ERROR
        case ApiUnreachable(cause="timeout"):
            return RefreshFailure.TIMEOUT
        case ApiUnreachable():
            return RefreshFailure.FETCH_ERROR
        case _:
            # A strange success, or a call that could not even be made of what the token says.
            return RefreshFailure.UNEXPECTED_SDK_ERROR
