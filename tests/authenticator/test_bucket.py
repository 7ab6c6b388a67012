"""A burst, and then a steady rate."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.authenticator.bucket import Bucket
from tests.authenticator.engine_kit import Clock


def test_a_burst_is_allowed_and_then_one_after_the_other():
    timer = Clock()
    bucket = Bucket(2, 3, timer)
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0.5]
    timer.advance(0.5)
    assert [bucket.take(), bucket.take()] == [0, 0.5]


def test_a_refusal_costs_nothing():
    timer = Clock()
    bucket = Bucket(1, 1, timer)
    bucket.take()
    assert [bucket.take() for _ in range(3)] == [1, 1, 1]
    timer.advance(1)
    assert bucket.take() == 0


def test_a_quiet_time_saves_no_more_than_a_burst():
    timer = Clock()
    bucket = Bucket(10, 2, timer)
    timer.advance(3600)
    assert [bucket.take() > 0 for _ in range(3)] == [False, False, True]


@given(st.lists(st.floats(0, 5), max_size=50), st.floats(0.1, 100), st.integers(1, 20))
def test_never_more_than_burst_and_rate_allow(pauses, per_s, burst):
    timer = Clock(0)
    bucket = Bucket(per_s, burst, timer)
    taken = 0
    for pause in pauses:
        timer.advance(pause)
        taken += bucket.take() == 0
        assert taken <= burst + timer() * per_s + 1e-6
