"""When to try again, and after how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ApiErrorItem, ApiFailed, ApiRefused, ApiUnreachable, SessionsApiError
from gateway.sessions import Backoff
from gateway.sessions.backoff import has_not_acted

STEADY = Backoff(attempts=5, first_wait_s=0.25, longest_wait_s=1.0, chance=lambda: 1.0)
FAILED = ApiFailed(503, "busy")


def test_waits_double_up_to_the_longest():
    assert [STEADY.wait_s(FAILED, attempt) for attempt in range(1, 5)] == [0.25, 0.5, 1.0, 1.0]


def test_the_last_attempt_is_the_last():
    assert STEADY.wait_s(FAILED, 5) is None
    assert Backoff(attempts=1).wait_s(FAILED, 1) is None


@pytest.mark.parametrize(
    ("error", "is_repeated"),
    [
        (ApiUnreachable("dns", ""), True),
        (ApiUnreachable("connect", ""), True),
        (ApiUnreachable("timeout", ""), True),
        (ApiUnreachable("protocol", ""), True),
        (ApiUnreachable("tls", ""), False),
        (ApiFailed(502, ""), True),
        (ApiFailed(503, ""), True),
        (ApiFailed(504, ""), True),
        (ApiRefused(429, [ApiErrorItem("too_many_requests", "")]), True),
        (ApiFailed(500, ""), False),
        (ApiFailed(200, ""), False),
        (ApiRefused(401, [ApiErrorItem("clerk_key_invalid", "")]), False),
        (ApiRefused(404, [ApiErrorItem("resource_not_found", "")]), False),
        (SessionsApiError(), False),
    ],
)
def test_only_passing_failures_are_repeated(error, is_repeated):
    assert (STEADY.wait_s(error, 1) is not None) == is_repeated


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ApiUnreachable("dns", ""), True),
        (ApiUnreachable("connect", ""), True),
        (ApiUnreachable("tls", ""), False),
        (ApiUnreachable("timeout", ""), False),
        (ApiUnreachable("protocol", ""), False),
        (ApiFailed(429, "", "", 1.0), True),
        (ApiFailed(429, ""), False),
        (ApiFailed(503, "", "", 1.0), False),
        (SessionsApiError(), False),
    ],
)
def test_only_what_certainly_did_nothing_may_be_sent_again_whatever_it_is(error, expected):
    assert has_not_acted(error) is expected


def test_retry_after_is_waited_for_when_it_is_longer_and_bearable():
    assert STEADY.wait_s(ApiFailed(429, "", "", 0.7), 1) == 0.7
    assert STEADY.wait_s(ApiFailed(429, "", "", 0.0), 1) == 0.25
    assert STEADY.wait_s(ApiFailed(429, "", "", 1.01), 1) is None


@given(st.integers(1, 4), st.floats(0, 1))
def test_chance_spreads_a_wait_over_its_upper_half(attempt, chance):
    bound_s = STEADY.wait_s(FAILED, attempt)
    wait_s = Backoff(attempts=5, first_wait_s=0.25, longest_wait_s=1.0, chance=lambda: chance).wait_s(FAILED, attempt)
    assert bound_s / 2 <= wait_s <= bound_s
