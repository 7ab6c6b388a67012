"""A clock for tests: it runs with the system's, at a distance, or stands still.

It decides nothing about what the time means. Setting it back is allowed, because clocks do that, and every change says
by how much it did. Whoever judges tokens beside the authority has a clock of its own: give both this one.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

# years 1 to 9999 are those that a certificate, a date header or datetime can write; the lower end is the epoch here
_LATEST_S = 253_402_300_799.0


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What a clock shows.

    Attributes:
        now_s: the time, in Unix seconds.
        offset_s: how far it is ahead of the system's clock right now.
        is_frozen: whether it stands still.
        went_back_s: by how many seconds the change that this reading answers put it back; 0 for one that went on.
    """

    now_s: float
    offset_s: float
    is_frozen: bool
    went_back_s: float = 0.0


class Clock:
    """Unix seconds, where a test wants them. Call it for the time; any thread may.

    Args:
        system: the clock that it runs with.
    """

    def __init__(self, system: Callable[[], float] = time.time) -> None:
        self._system = system
        self._lock = threading.Lock()
        self._offset_s = 0.0
        self._frozen_at_s: float | None = None

    def __call__(self) -> float:
        """The time, in Unix seconds."""
        with self._lock:
            return self._now()

    def read(self) -> ClockReading:
        """The time, and how it comes about."""
        with self._lock:
            return self._reading()

    def advance(self, seconds: float) -> ClockReading:
        """Move on by so many seconds; a negative number moves back. A frozen clock stays frozen.

        Raises:
            ValueError: it would leave the time between 1970 and 9999.
        """
        with self._lock:
            return self._move(self._now() + seconds, self._frozen_at_s is not None)

    def set(self, now_s: float) -> ClockReading:
        """Show this time, and go on from there unless frozen.

        Raises:
            ValueError: it is not between 1970 and 9999.
        """
        with self._lock:
            return self._move(now_s, self._frozen_at_s is not None)

    def freeze(self, now_s: float | None = None) -> ClockReading:
        """Stand still, here or at another time.

        Raises:
            ValueError: that time is not between 1970 and 9999.
        """
        with self._lock:
            return self._move(self._now() if now_s is None else now_s, is_frozen=True)

    def release(self) -> ClockReading:
        """Run again, from the time that is shown."""
        with self._lock:
            return self._move(self._now(), is_frozen=False)

    def reset(self) -> ClockReading:
        """Run with the system's clock again, and show what it shows."""
        with self._lock:
            return self._move(self._system(), is_frozen=False)

    def _now(self) -> float:
        return self._system() + self._offset_s if self._frozen_at_s is None else self._frozen_at_s

    def _reading(self, went_back_s: float = 0.0) -> ClockReading:
        now_s = self._now()
        return ClockReading(now_s, now_s - self._system(), self._frozen_at_s is not None, went_back_s)

    def _move(self, to_s: float, is_frozen: bool) -> ClockReading:
        if not (math.isfinite(to_s) and 0 <= to_s <= _LATEST_S):
            raise ValueError(f"the time must lie between 0 and {_LATEST_S:.0f} Unix seconds, not at {to_s}")
        went_back_s = max(0.0, self._now() - to_s)
        self._offset_s = to_s - self._system()
        self._frozen_at_s = to_s if is_frozen else None
        return self._reading(went_back_s)
