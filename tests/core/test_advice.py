"""What to do: a sentence for every reason."""

import pytest

from gateway.core.advice import NOTHING, REFRESH_TABLE, TABLE, advice
from gateway.core.reasons import Reason, RefreshFailure, expired_reason


def test_every_reason_and_every_failed_refresh_has_its_advice():
    assert set(TABLE) == set(Reason)
    assert set(REFRESH_TABLE) == set(RefreshFailure)
    for text in (*TABLE.values(), *REFRESH_TABLE.values()):
        assert text.endswith(".")
        assert text.isascii()


@pytest.mark.parametrize("failure", RefreshFailure)
def test_a_failed_refresh_is_found_by_the_end_of_its_reason(failure: RefreshFailure):
    assert advice(expired_reason(failure)) == REFRESH_TABLE[failure]


def test_what_the_api_says_and_what_nobody_knows_have_advice_too():
    assert "does not renew" in advice(expired_reason("session_refresh_inactive_session"))
    assert advice("never-heard-of") == TABLE[Reason.SESSION_TOKEN_AND_UAT_MISSING]
    assert advice("") == NOTHING
