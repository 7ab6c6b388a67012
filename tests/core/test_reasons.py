"""Reason codes and what they mean on the wire."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reasons import TABLE, Reason, RefreshFailure, expired_reason, meaning


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_row_that_denies(reason: Reason):
    row = TABLE[reason]
    assert 400 <= row.status <= 599
    assert row.level in {"info", "warning", "error"}
    assert re.fullmatch(r"[A-Z][^<>&]*\.", row.text)


def test_the_table_has_no_row_that_nobody_uses():
    assert set(TABLE) == set(Reason)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.startswith(("jwk-remote", "secret-key"))])
def test_what_we_cannot_know_is_503_and_never_the_token_s_fault(reason: Reason):
    assert (meaning(reason).status, meaning(reason).challenge, meaning(reason).level) == (503, "", "error")


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.startswith("machine-api")])
def test_an_api_out_of_reach_is_503_and_never_the_machine_s_fault(reason: Reason):
    assert (meaning(reason).status, meaning(reason).challenge, meaning(reason).level) == (503, "", "error")


def test_too_many_new_tokens_are_nobody_s_fault_and_no_error_of_ours():
    found = meaning(Reason.MACHINE_VERIFICATION_LIMITED)
    assert (found.status, found.challenge, found.level) == (503, "", "warning")


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.startswith(("token-", "machine-token-"))])
def test_a_bad_token_is_told_so(reason: Reason):
    assert (meaning(reason).status, meaning(reason).challenge) == (401, "invalid_token")


@pytest.mark.parametrize(
    "reason",
    [
        Reason.SESSION_TOKEN_AND_UAT_MISSING,
        Reason.SESSION_TOKEN_MISSING,
        Reason.DEV_BROWSER_MISSING,
        Reason.NO_TOKEN_IN_HEADER,
    ],
)
def test_who_sent_no_token_gets_no_token_error(reason: Reason):
    assert meaning(reason).challenge == ""  # RFC 6750 section 3.1


@pytest.mark.parametrize("tail", RefreshFailure)
def test_a_refresh_failure_is_the_tail_of_the_reason(tail: RefreshFailure):
    reason = expired_reason(tail)
    assert reason == f"session-token-expired-refresh-{tail.value}"
    assert (meaning(reason).status, meaning(reason).challenge) == (401, "invalid_token")


@pytest.mark.parametrize("code", ["refresh_token_not_found", "a", "0-9_z", "x" * 80])
def test_a_code_of_the_api_is_kept(code: str):
    assert expired_reason(code) == f"session-token-expired-refresh-{code}"


@pytest.mark.parametrize("code", ["", "Upper", "with blank", "a\r\nX-Evil: 1", "ä", "x" * 81, "a\n"])
def test_a_code_that_is_no_plain_text_is_replaced(code: str):
    assert expired_reason(code) == "session-token-expired-refresh-unexpected-bapi-error"


@given(st.text())
def test_any_code_makes_a_header_value(code: str):
    assert re.fullmatch(r"session-token-expired-refresh-[a-z0-9_-]{1,80}", expired_reason(code))


@given(st.text())
def test_a_reason_that_nobody_knows_denies(reason: str):
    assert meaning(reason).status >= 400
