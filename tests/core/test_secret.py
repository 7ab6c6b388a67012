"""Secrets that do not show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.secret import NO_SECRET, Secret


def test_only_reveal_gives_the_secret():
    secret = Secret("sk_test_abc123")
    assert secret.reveal() == "sk_test_abc123"
    assert (repr(secret), str(secret), f"{secret}") == ("Secret(sk_test_…)", "sk_test_…", "sk_test_…")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sk_test_abc", "sk_test_…"),
        ("sk_live_abc", "sk_live_…"),
        ("pk_live_abc", "pk_live_…"),
        ("test_abc", "test_…"),
        ("whsec_abc", "whsec_…"),
        ("sk_other", "…"),
        ("secret", "…"),
        ("", "…"),
        pytest.param("sk_live_part_of_secret", "sk_live_…", id="underscores inside the secret show nothing more"),
        pytest.param("testing-a-long_secret", "…", id="a word that starts like a prefix is no prefix"),
    ],
)
def test_the_hint_is_the_public_prefix(text: str, hint: str):
    assert Secret(text).hint() == hint


@given(st.text(min_size=4))
def test_nothing_behind_the_prefix_ever_shows(text: str):
    secret = Secret(f"sk_live_{text}")
    assert repr(secret) == "Secret(sk_live_…)"
    assert secret.hint() == "sk_live_…"


def test_secrets_compare_by_their_text_and_are_true_when_there_is_one():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a")
    assert not NO_SECRET
