"""How passwords are kept, and how long a wrong one takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.authority.store.passwords import hash_password, is_password, password_problem
from gateway.core.secret import Secret


def test_a_hash_says_how_it_was_made_and_not_of_what():
    kept = hash_password(Secret("correct horse"))
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert kept != hash_password(Secret("correct horse"))
    assert is_password(Secret("correct horse"), kept)


@settings(max_examples=10, deadline=None)
@given(st.text(), st.text())
def test_only_the_same_password_matches(one, other):
    kept = hash_password(Secret(f"x{one}"))
    assert is_password(Secret(f"x{one}"), kept)
    assert not is_password(Secret(f"y{other}"), kept)


def test_two_spellings_of_one_password_match():
    assert is_password(Secret("Zoe\u0308 has a key"), hash_password(Secret("Zo\u00eb has a key")))


@pytest.mark.parametrize(("text", "said"), [("x" * 7, "7"), ("x" * 1025, "1025"), ("x" * 8, ""), ("ë" * 1024, "")])
def test_a_password_has_a_length(text, said):
    problem = password_problem(Secret(text))
    assert bool(problem) == bool(said)
    assert said in problem
    assert "xxx" not in problem
