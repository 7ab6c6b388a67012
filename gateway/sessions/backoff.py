"""When a call that may be repeated is repeated, and after how long.

What is worth another try: no answer at all (but for TLS, where a certificate does not get better), 429, 502, 503 and
504. A ``Retry-After`` (RFC 9110 section 10.2.3) is obeyed or, when it is too long to wait, reported.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.errors import ApiAnswered, ApiUnreachable, SessionsApiError

PASSING_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How often and how patiently to try.

    Attributes:
        attempts: how many times a call is sent at most; 1 = never again.
        first_wait_s: upper bound of the wait after the first failure; it doubles with each further one.
        longest_wait_s: no wait is longer; a ``Retry-After`` beyond it ends the attempts.
        sleep: waits that many seconds.
        now: Unix time in seconds.
        chance: a number from 0 to 1; spreads the waits of many clients that failed together.
    """

    attempts: int = 3
    first_wait_s: float = 0.25
    longest_wait_s: float = 10.0
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    now: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random

    def wait_s(self, error: SessionsApiError, attempt: int) -> float | None:
        """Return the seconds to wait before the next try after ``attempt`` failed with ``error``; None = give up."""
        if attempt >= self.attempts or not is_passing(error):
            return None
        bound_s: float = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (attempt - 1))
        wait_s = bound_s * (0.5 + self.chance() / 2)
        asked_s = error.retry_after_s if isinstance(error, ApiAnswered) else None
        if asked_s is None:
            return wait_s
        return None if asked_s > self.longest_wait_s else max(wait_s, asked_s)


def has_not_acted(error: SessionsApiError) -> bool:
    """Say whether the API has certainly done nothing of what was asked, so that even a POST may be sent again.

    So it is where nothing of the request can have reached it, and where it puts off a caller that asks too often
    (RFC 6585 section 4) until a stated time.
    """
    if isinstance(error, ApiUnreachable):
        return error.is_unsent
    return isinstance(error, ApiAnswered) and error.status == 429 and error.retry_after_s is not None


def is_passing(error: SessionsApiError) -> bool:
    """Say whether the same call may succeed a moment later."""
    if isinstance(error, ApiUnreachable):
        return error.cause != "tls"
    return isinstance(error, ApiAnswered) and error.status in PASSING_STATUSES
