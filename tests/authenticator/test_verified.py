"""The cache of verified tokens: bounded by what it keeps, emptied by key changes, never older than a key set."""

import json
import tracemalloc

from gateway.authenticator.verified import VerifiedTokens, entry_bytes
from gateway.core.claims import session_claims
from gateway.core.tokens import parse
from tests.authenticator.engine_kit import Clock, mint


def claims_of(token: str):
    return session_claims(parse(token).payload)


def test_a_token_that_was_put_in_is_found_and_no_other():
    verified, token = VerifiedTokens(), mint()
    verified.put(token, claims_of(token))
    assert verified.get(token) == claims_of(token)
    assert verified.get(token + "x") is None


def test_clearing_forgets_all_of_them():
    verified = VerifiedTokens()
    for number in range(3):
        token = mint(jti=str(number))
        verified.put(token, claims_of(token))
    assert len(verified) == 3
    verified.clear()
    assert len(verified) == 0


def test_the_least_recently_used_entry_goes_first():
    one, two, three = (mint(jti=str(number)) for number in range(3))
    verified = VerifiedTokens(max_bytes=2 * entry_bytes(one))
    verified.put(one, claims_of(one))
    verified.put(two, claims_of(two))
    verified.get(one)
    verified.put(three, claims_of(three))
    assert [verified.get(token) is None for token in (one, two, three)] == [False, True, False]


def test_large_tokens_take_more_of_the_space_than_small_ones():
    large = [mint(jti=str(number), note="x" * 4000) for number in range(10, 30)]
    verified = VerifiedTokens(max_bytes=10 * entry_bytes(large[0]))
    for token in large:
        verified.put(token, claims_of(token))
    assert len(verified) == 10


def test_a_token_larger_than_the_whole_cache_is_not_kept_and_does_no_harm():
    verified, token = VerifiedTokens(max_bytes=100), mint()
    verified.put(token, claims_of(token))
    assert len(verified) == 0


def test_an_entry_dies_with_the_lifetime_of_the_key_set_that_verified_it():
    # Otherwise a token with a long life would never ask for its key again, and so never learn that the key is gone.
    clock = Clock()
    verified, token = VerifiedTokens(max_age_s=300, clock=clock), mint(exp=4_000_000_000)
    verified.put(token, claims_of(token))
    clock.advance(299)
    assert verified.get(token) is not None
    clock.advance(2)
    assert verified.get(token) is None


def test_the_bytes_that_an_entry_counts_for_are_not_fewer_than_it_takes():
    permissions = ",".join(f"permission_{number}" for number in range(60))
    tokens = [mint(jti=str(number), o={"id": "org_1", "per": permissions}) for number in range(200)]
    verified = VerifiedTokens()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for token in tokens:
        verified.put("".join(list(token)), claims_of(token))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / len(tokens) <= entry_bytes(tokens[0])
    assert json.dumps(len(verified)) == "200"
