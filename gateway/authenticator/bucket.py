"""How often something may happen: a token bucket, which allows a burst and then a steady rate."""

from gateway.ports import Clock


class Bucket:
    """Allows ``burst`` at once and ``per_s`` in the long run.

    Args:
        per_s: how many a second.
        burst: how many at once after a quiet time.
        timer: seconds; only differences count.
    """

    def __init__(self, per_s: float, burst: float, timer: Clock) -> None:
        self._per_s = per_s
        self._burst = burst
        self._timer = timer
        self._left = burst
        self._counted_s = timer()

    def take(self) -> float:
        """Take one; returns 0, or the seconds until there is one where there is none."""
        now_s = self._timer()
        self._left = min(self._burst, self._left + (now_s - self._counted_s) * self._per_s)
        self._counted_s = now_s
        if self._left < 1:
            return (1 - self._left) / self._per_s
        self._left -= 1
        return 0.0

    def give_back(self) -> None:
        """Give back one that was taken."""
        self._left = min(self._burst, self._left + 1)
