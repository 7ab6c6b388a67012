"""When a delivery that failed is tried again: Svix's published schedule, spread a little, and ``Retry-After``.

The first attempt is made at once, the others after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h, so a message is given
up after eight attempts and some 28 hours.
"""

from gateway.authority.webhooks.outbox import LONGEST_WAIT_MS

# seconds before the first, the second, ... attempt
WAITS_S = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)
# a wait is longer by up to this share, so that receivers that come back are not met by everything at once
SPREAD = 0.1


def next_wait_ms(attempts: int, roll: float, retry_after_s: float | None) -> int | None:
    """How long to wait after an attempt that failed; None when it was the last.

    Args:
        attempts: how many were made, that one included.
        roll: random, from 0 to 1.
        retry_after_s: what the receiver asked for (RFC 9110 section 10.2.3); it may ask for more time, up to twelve
            hours, and not for less.
    """
    if attempts >= len(WAITS_S):
        return None
    planned_s = WAITS_S[attempts] * (1 + SPREAD * roll)
    return int(min(max(planned_s, retry_after_s or 0.0) * 1000, LONGEST_WAIT_MS))
