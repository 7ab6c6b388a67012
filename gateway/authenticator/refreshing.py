"""One refresh call per expired token, however many requests carry it, and none that would be in vain.

The API trades an expired token once: requests that each refreshed would sign the user out. Requests at the same time
share one call; for some seconds late ones with the same expired and the same refresh token get the same answer, good or
bad. That is within one process; over several it is :mod:`gateway.authenticator.shared_refreshes`. Calls are bounded in
number (``refresh.max_concurrent``) and in time (``refresh.budget_ms``, waiting included), not made while the API is
down (:mod:`gateway.authenticator.breaker`), and not for those whom it keeps refusing
(:mod:`gateway.authenticator.refusals`). What is remembered is keyed by digests, never by tokens.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import NamedTuple

from cachetools import TTLCache

from gateway.authenticator.breaker import Breaker, Outcome
from gateway.authenticator.refusals import Asker, Refusals
from gateway.core.digest import digest
from gateway.core.reasons import RefreshFailure
from gateway.core.settings_model import RefreshSettings
from gateway.core.verdict import NeedRefresh, RefreshAnswer
from gateway.errors import ApiAnswered, ApiFailed, ApiUnreachable, AskedElsewhere, SessionsApiError
from gateway.ports import Clock, SessionsApi

SHARED_S = 10
"""Seconds for which late arrivals with the old token get the same new cookies."""

REFUSED_S = 5
"""Seconds for which they get the same refusal: a page's other requests are on their way, and the API would say the
same. Failures of the API are not kept; the breaker bounds them."""

MAX_SHARED = 10_000

SESSION_OVER = frozenset(
    {"session_refresh_session_not_found", "session_refresh_inactive_session", "session_refresh_user_not_found"}
)
"""Codes that speak of the session itself (Sessions API section 3), which the signed token names: whatever refresh token
was sent, the session is over. The others speak of the tokens, which a stranger may have made up."""

_OUR_KEY = frozenset({"clerk_key_invalid", "authentication_invalid", "authorization_header_format_invalid"})
"""Codes that speak of our secret key (Sessions API section 1): no client is to be blamed for it."""

_NOT_THE_CLIENTS = frozenset({408, 409, 425, 429})
"""4XX that say nothing about what the client sent (RFC 9110 section 15.5, RFC 8470, RFC 6585)."""

_TOO_MANY = 429


DEFAULTS = RefreshSettings()


class _Trade(NamedTuple):
    """What became of a call.

    Attributes:
        answer: for whoever asked.
        outcome: what it says about the API.
        is_refusal: it says that what the client sent is no good.
    """

    answer: RefreshAnswer
    outcome: Outcome = Outcome.NOTHING
    is_refusal: bool = False


class Refreshing:
    """Answers :class:`~gateway.core.verdict.NeedRefresh`.

    Args:
        api: the Sessions API.
        settings: budget and bounds.
        timer: seconds; only differences count.
        on_session_end: told the id of a session that the API says is over.
        chance: a number from 0 to 1.
    """

    def __init__(
        self,
        api: SessionsApi,
        settings: RefreshSettings = DEFAULTS,
        timer: Clock = time.monotonic,
        *,
        on_session_end: Callable[[str], object] = lambda _: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._budget_s = settings.budget_ms / 1000
        self._slots = asyncio.Semaphore(settings.max_concurrent)
        self._on_session_end = on_session_end
        self._breaker = Breaker(timer, chance)
        self._refusals = Refusals(timer)
        self._running: dict[bytes, asyncio.Task[RefreshAnswer]] = {}
        self._done: TTLCache[bytes, RefreshAnswer] = TTLCache(MAX_SHARED, SHARED_S, timer)
        self._refused: TTLCache[bytes, RefreshAnswer] = TTLCache(MAX_SHARED, REFUSED_S, timer)

    async def answer(self, need: NeedRefresh) -> RefreshAnswer:
        """Return the directives of the new session cookies, or the tail of the reason why there are none."""
        # The refresh token is part of the key: the expired token alone must not be enough to share an answer.
        key = digest(need.expired_token.reveal(), need.refresh_token.reveal(), need.request_origin)
        known = self._done.get(key)
        if known is None:
            known = self._refused.get(key)
        if known is not None:
            return known
        task = self._running.get(key)
        if task is None:
            asker = Asker(need.session_id, need.refresh_token.reveal(), need.client)
            if self._refusals.block(asker):
                return RefreshFailure.BACKED_OFF
            if not self._breaker.lets_through:
                return RefreshFailure.API_UNAVAILABLE
            task = asyncio.create_task(self._call(key, asker, need))
            self._running[key] = task
        return await asyncio.shield(task)

    async def _call(self, key: bytes, asker: Asker, need: NeedRefresh) -> RefreshAnswer:
        try:
            trade = await self._trade(asker, need)
        finally:
            del self._running[key]
        if not isinstance(trade.answer, str):
            self._done[key] = trade.answer
            self._refusals.succeeded(asker, trade.answer)
        elif trade.is_refusal:
            self._refused[key] = trade.answer
            self._refusals.refused(asker)
            if trade.answer in SESSION_OVER:
                self._on_session_end(need.session_id)
        return trade.answer

    async def _trade(self, asker: Asker, need: NeedRefresh) -> _Trade:
        turn: int | None = None
        trade = _Trade(RefreshFailure.TIMEOUT)
        try:
            async with asyncio.timeout(self._budget_s), self._slots:
                if self._refusals.block(asker):
                    return _Trade(RefreshFailure.BACKED_OFF)  # refused while this one waited: many came at once
                turn = self._breaker.begin()
                if turn is None:
                    return _Trade(RefreshFailure.API_UNAVAILABLE)
                trade = _Trade(await self._api.refresh_cookies(need), Outcome.ANSWERED)
        except TimeoutError:
            trade = _Trade(RefreshFailure.TIMEOUT, Outcome.FAILED)
        except SessionsApiError as error:
            trade = _judge(error)
        finally:
            if turn is not None:
                self._breaker.end(turn, trade.outcome, str(trade.answer) if trade.outcome is Outcome.FAILED else "")
        return trade

    async def close(self) -> None:
        """Wait for running calls, so that no traded token is lost."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)


def is_refusal(error: SessionsApiError) -> bool:
    """Say whether the API refused what the client sent; anything else says nothing about it."""
    return _judge(error).is_refusal


def _judge(error: SessionsApiError) -> _Trade:
    tail = _tail(error)
    if isinstance(error, ApiUnreachable):
        return _Trade(tail, Outcome.FAILED)
    if not isinstance(error, ApiAnswered):
        return _Trade(tail)
    if error.status >= 500 or error.status == _TOO_MANY:
        return _Trade(tail, Outcome.FAILED)
    if error.status < 400 or error.status in _NOT_THE_CLIENTS:
        return _Trade(tail)
    is_ours = error.code in _OUR_KEY
    return _Trade(tail, Outcome.ANSWERED, is_refusal=not is_ours)


def _tail(error: SessionsApiError) -> str:
    """Return the tail of the reason for a call that did not succeed (request-authentication section 12)."""
    match error:
        case ApiAnswered(code="unexpected_error"):
            return RefreshFailure.FETCH_ERROR
        case ApiAnswered(code=code) if code:
            return code
        case ApiFailed(status=status) if status == 204 or status >= 300:
            return RefreshFailure.UNEXPECTED_BAPI_ERROR
        case ApiUnreachable(cause="timeout") | AskedElsewhere():
            return RefreshFailure.TIMEOUT
        case ApiUnreachable():
            return RefreshFailure.FETCH_ERROR
        case _:
            # A strange success, or a call that could not even be made of what the token says.
            return RefreshFailure.UNEXPECTED_SDK_ERROR
