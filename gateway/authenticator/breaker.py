"""Whether the API is called at all: not while it does not answer, but for one try after each of the growing pauses.

What counts is whether the API answers; a refusal is an answer. Whoever sends requests can bring about refusals, and
they must not be able to stop the refreshing of everybody else.
"""

import logging
import random
import time
from collections.abc import Callable
from enum import Enum, auto

from gateway.ports import Clock

_log = logging.getLogger(__name__)

FAILURES = 5
"""Calls without an answer, one after the other, that open the breaker."""

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
"""The pause doubles with each try that fails, and is shortened by up to half by chance, so that workers which lost the
API together do not come back together."""


class Outcome(Enum):
    """What a call says about the API."""

    ANSWERED = auto()
    FAILED = auto()
    NOTHING = auto()
    """It was not made, given up by the caller, or answered in a way that says neither."""


class Breaker:
    """Closed while the API answers.

    Args:
        timer: seconds; only differences count.
        chance: a number from 0 to 1.
        open_means, closed_means: what it means for requests, for the log.
    """

    def __init__(
        self,
        timer: Clock = time.monotonic,
        chance: Callable[[], float] = random.random,
        *,
        open_means: str = "no token is refreshed until it does",
        closed_means: str = "expired tokens are refreshed",
    ) -> None:
        self._timer = timer
        self._chance = chance
        self._open_means = open_means
        self._closed_means = closed_means
        self._failures = 0
        self._pause_s = 0.0
        self._until_s = 0.0
        self._is_trying = False
        # Calls that began before the last change say nothing about the time after it.
        self._turn = 0

    @property
    def is_open(self) -> bool:
        """Whether the API is taken to be down."""
        return self._pause_s > 0

    @property
    def lets_through(self) -> bool:
        """Whether a call may be made now."""
        return not self.is_open or (not self._is_trying and self._timer() >= self._until_s)

    def begin(self) -> int | None:
        """Return the call's number for :meth:`end`, or None when it must not be made."""
        if not self.lets_through:
            return None
        if self.is_open:
            self._is_trying = True
            self._turn += 1
        return self._turn

    def end(self, turn: int, outcome: Outcome, cause: str = "") -> None:
        """Take in what became of a call; every call that began ends here.

        Args:
            turn: from :meth:`begin`.
            outcome: what it says.
            cause: of a failure, for the log.
        """
        if outcome is Outcome.ANSWERED:
            self._close()
        elif turn == self._turn:
            self._is_trying = False
            if outcome is Outcome.FAILED:
                self._fail(cause)

    def _close(self) -> None:
        if self.is_open:
            self._turn += 1
            _log.warning("the Sessions API answers again: %s", self._closed_means)
        self._failures, self._pause_s, self._is_trying = 0, 0.0, False

    def _fail(self, cause: str) -> None:
        self._failures += 1
        if not self.is_open and self._failures < FAILURES:
            return
        if not self.is_open:
            text = "the Sessions API does not answer (%s, %d calls in a row): %s"
            _log.warning(text, cause, self._failures, self._open_means)
            self._turn += 1
        self._pause_s = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, self._pause_s * 2))
        self._until_s = self._timer() + self._pause_s * (0.5 + self._chance() / 2)
