"""When the next attempt is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.webhooks.outbox import LONGEST_WAIT_MS
from gateway.authority.webhooks.schedule import SPREAD, WAITS_S, next_wait_ms


@pytest.mark.parametrize(
    ("attempts", "wait_s"), [(1, 5), (2, 300), (3, 1800), (4, 7200), (5, 18000), (6, 36000), (7, 36000), (8, None)]
)
def test_the_schedule_is_the_published_one(attempts, wait_s):
    assert next_wait_ms(attempts, 0.0, None) == (None if wait_s is None else wait_s * 1000)


@given(st.integers(1, 20), st.floats(0, 1), st.none() | st.floats(0, allow_infinity=True, allow_nan=False))
def test_a_wait_is_spread_a_little_never_shorter_than_asked_for_and_bounded(attempts, roll, retry_after_s):
    wait_ms = next_wait_ms(attempts, roll, retry_after_s)
    if attempts >= len(WAITS_S):
        assert wait_ms is None
        return
    planned_ms = WAITS_S[attempts] * 1000
    asked_ms = min((retry_after_s or 0) * 1000, LONGEST_WAIT_MS)
    assert wait_ms is not None
    assert max(planned_ms, int(asked_ms)) <= wait_ms <= max(planned_ms * (1 + SPREAD), asked_ms)
    assert wait_ms <= LONGEST_WAIT_MS
