"""The memory of verified tokens: bounded, forgetful in time, and never a way to get in."""

import tracemalloc

import pytest

from gateway.authenticator.verified import (
    COOKIES_PER_TOKEN,
    MAX_AGE_S,
    MAX_ENDED,
    SECOND_CHANCES,
    VerifiedTokens,
    entry_bytes,
)
from gateway.core.claims import SessionClaims, session_claims
from gateway.core.identity import IdentityHeaders
from gateway.core.tokens import parse
from gateway.core.verdict import How, State
from tests.authenticator.engine_kit import NOW, mint

IDENTITY = IdentityHeaders()


def claims_of(token: str) -> SessionClaims:
    parsed = parse(token)
    return session_claims(parsed.payload, parsed.encoded)


def put(verified: VerifiedTokens, token: str, **options: float) -> str:
    verified.put(token, claims_of(token), NOW, **options)
    return token


def weight(token: str) -> int:
    return entry_bytes(claims_of(token), ())


def test_a_token_that_was_put_in_is_found_and_no_other():
    verified = VerifiedTokens()
    token = put(verified, mint())
    assert verified.get(token, NOW) == claims_of(token)
    assert verified.get(token + "x", NOW) is None


def test_a_recalled_verdict_is_signed_in_with_ready_made_identity():
    verified = VerifiedTokens(IDENTITY.of)
    token = put(verified, mint())
    verdict = verified.recall(token, NOW)
    assert (verdict.state, verdict.how, verdict.claims) == (State.SIGNED_IN, How.CACHE, claims_of(token))
    assert verdict.identity == IDENTITY.of(claims_of(token))
    assert verified.recall(token + "x", NOW) is None


def test_text_that_no_token_can_have_is_not_found():
    assert VerifiedTokens().recall("\ud800é", NOW) is None


def test_clearing_forgets_all_of_them():
    verified = VerifiedTokens()
    tokens = [put(verified, mint(jti=str(number))) for number in range(3)]
    verified.put_cookies(b"__session=x", tokens[0])
    assert len(verified) == 3
    verified.clear()
    assert len(verified) == 0
    assert verified.recall_cookies(b"__session=x", NOW) is None


@pytest.mark.parametrize("bound", ["bytes", "entries"])
def test_the_least_recently_used_entry_goes_first(bound):
    one, two, three = (mint(jti=str(number)) for number in range(3))
    verified = VerifiedTokens(max_bytes=2 * weight(one)) if bound == "bytes" else VerifiedTokens(max_entries=2)
    put(verified, one)
    put(verified, two)
    verified.get(one, NOW)
    put(verified, three)
    assert [verified.get(token, NOW) is None for token in (one, two, three)] == [False, True, False]


def test_large_tokens_take_more_of_the_space_than_small_ones():
    large = [mint(jti=str(number), note="x" * 4000) for number in range(10, 30)]
    verified = VerifiedTokens(max_bytes=10 * weight(large[0]))
    for token in large:
        put(verified, token)
    assert len(verified) == 10
    small = [put(verified, mint(jti=str(number))) for number in range(100)]
    assert sum(verified.get(token, NOW) is not None for token in small) > 10


def test_a_token_put_in_twice_counts_once():
    token, other = mint(jti="1"), mint(jti="2")
    verified = VerifiedTokens(max_bytes=2 * weight(token))
    for _ in range(5):
        put(verified, token)
    put(verified, other)
    assert (verified.get(token, NOW) is None, verified.get(other, NOW) is None) == (False, False)


def test_a_token_larger_than_the_whole_cache_is_not_kept_and_does_no_harm():
    small, large = mint(), mint(note="x" * 4000)
    verified = VerifiedTokens(max_bytes=2 * weight(small))
    put(verified, small)
    put(verified, large)
    assert (verified.get(small, NOW) is None, verified.get(large, NOW) is None) == (False, True)


def test_without_room_for_any_token_nothing_is_kept():
    verified = VerifiedTokens(max_entries=0)
    token = put(verified, mint())
    verified.put_cookies(b"__session=x", token)
    assert len(verified) == 0
    assert verified.recall_cookies(b"__session=x", NOW) is None


@pytest.mark.parametrize(
    ("now_s", "is_found"),
    [(NOW - 11, False), (NOW - 10, True), (NOW, True), (NOW + 59.9, True), (NOW + 60, False), (NOW + 1000, False)],
)
def test_a_token_is_found_within_its_times_only(now_s, is_found):
    # iat is five seconds ago, exp in 55, and clocks may differ by five.
    verified = VerifiedTokens(skew_s=5.0)
    token = put(verified, mint())
    assert (verified.recall(token, now_s) is not None) is is_found
    assert (verified.get(token, now_s) is not None) is is_found


@pytest.mark.parametrize(("fresh_for_s", "lives_s"), [(20.0, 20.0), (float("inf"), MAX_AGE_S)])
def test_an_entry_dies_with_the_freshness_of_the_key_set_that_verified_it(fresh_for_s, lives_s):
    # Otherwise a token with a long life would never ask for its key again, and so never learn that the key is gone.
    verified = VerifiedTokens()
    token = put(verified, mint(exp=4_000_000_000), fresh_for_s=fresh_for_s)
    assert verified.get(token, NOW + lives_s - 1) is not None
    assert verified.get(token, NOW + lives_s) is None


def test_cookies_lead_to_the_token_that_was_chosen_from_them():
    verified = VerifiedTokens()
    token = put(verified, mint())
    verified.put_cookies(b"a=1; __session=x", token)
    assert verified.recall_cookies(b"a=1; __session=x", NOW).claims == claims_of(token)
    assert verified.recall_cookies(b"a=2; __session=x", NOW) is None


def test_cookies_are_not_recalled_once_their_token_has_expired_even_within_the_skew():
    # An expired token changes which family of cookies is believed.
    verified = VerifiedTokens(skew_s=5.0)
    token = put(verified, mint())
    verified.put_cookies(b"__session=x", token)
    assert verified.recall_cookies(b"__session=x", NOW + 54) is not None
    assert verified.recall_cookies(b"__session=x", NOW + 55) is None
    assert verified.recall(token, NOW + 55) is not None


def test_cookies_lead_nowhere_when_their_token_was_forgotten():
    verified = VerifiedTokens(max_entries=1)
    token = put(verified, mint())
    verified.put_cookies(b"__session=x", token)
    put(verified, mint(jti="other"))
    assert verified.recall_cookies(b"__session=x", NOW) is None


def test_tokens_of_an_ended_session_count_no_more_and_later_ones_do():
    verified = VerifiedTokens()
    old, other = put(verified, mint()), put(verified, mint(sid="sess_2"))
    new = put(verified, mint(iat=int(NOW)))
    verified.put_cookies(b"__session=x", old)
    verified.end_session("sess_1", NOW - 2)
    assert (verified.recall(old, NOW), verified.get(old, NOW), verified.recall_cookies(b"__session=x", NOW)) == (
        None,
    ) * 3
    assert None not in (verified.recall(other, NOW), verified.recall(new, NOW))
    assert (verified.has_ended("sess_1", NOW - 5), verified.has_ended("sess_1", NOW)) == (True, False)
    assert not verified.has_ended("sess_2", NOW - 5)


def test_an_earlier_end_does_not_bring_a_session_back():
    verified = VerifiedTokens()
    verified.end_session("sess_1", NOW)
    verified.end_session("sess_1", NOW - 100)
    assert verified.has_ended("sess_1", NOW - 5)


def test_the_memory_of_ended_sessions_is_bounded():
    verified = VerifiedTokens()
    for number in range(MAX_ENDED + 1):
        verified.end_session(f"sess_{number}", NOW)
    assert [verified.has_ended(f"sess_{number}", 0) for number in (0, 1, MAX_ENDED)] == [False, True, True]


@pytest.mark.parametrize("permissions", [2, 60])
@pytest.mark.parametrize("with_cookies", [False, True])
def test_the_bytes_that_an_entry_counts_for_are_not_fewer_than_it_takes(permissions, with_cookies):
    names = ",".join(f"permission_{number}" for number in range(permissions))
    organization = {"id": "org_1", "slg": "acme", "rol": "admin", "per": names, "fpm": str(2**permissions - 1)}
    tokens = [mint(jti=str(number), o=organization, fea="o:dashboard") for number in range(200)]
    verified = VerifiedTokens(IDENTITY.of)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for token in tokens:
        put(verified, token)
        if with_cookies:
            verified.put_cookies(f"__session={token}".encode(), token)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    claims = claims_of(tokens[0])
    counted = entry_bytes(claims, IDENTITY.of(claims)) + (400 if with_cookies else 0)
    assert (after - before) / len(tokens) <= counted
    assert len(verified) == 200


def test_no_token_can_be_read_out_of_the_memory():
    verified = VerifiedTokens(IDENTITY.of)
    token = put(verified, mint())
    verified.put_cookies(f"__session={token}".encode(), token)
    kept = repr([*verified._tokens.items(), *verified._cookies.items()])
    assert token not in kept
    assert token.rpartition(".")[2] not in kept


def test_at_most_some_used_tokens_are_spared_when_one_has_to_go():
    tokens = [mint(jti=str(number)) for number in range(SECOND_CHANCES + 2)]
    verified = VerifiedTokens(max_entries=len(tokens))
    for token in tokens:
        put(verified, token)
        verified.get(token, NOW)
    put(verified, mint(jti="new"))
    gone = [number for number, token in enumerate(tokens) if verified.get(token, NOW) is None]
    assert gone == [SECOND_CHANCES]


def test_a_used_token_whose_time_is_over_is_not_spared():
    verified = VerifiedTokens(max_entries=2)
    old, other = put(verified, mint(jti="old")), mint(jti="other", exp=4_000_000_000)
    verified.get(old, NOW)
    verified.put(other, claims_of(other), NOW)
    new = mint(jti="new", exp=4_000_000_000)
    verified.put(new, claims_of(new), NOW + 100)
    assert [verified.get(token, NOW + 100) is None for token in (other, new)] == [False, False]
    assert verified.get(old, NOW) is None


def test_cookies_of_many_headers_are_bounded():
    verified = VerifiedTokens(max_entries=1)
    token = put(verified, mint())
    for number in range(COOKIES_PER_TOKEN + 1):
        verified.put_cookies(f"n={number}".encode(), token)
    found = [
        verified.recall_cookies(f"n={number}".encode(), NOW) is not None for number in range(COOKIES_PER_TOKEN + 1)
    ]
    assert found == [False, True, True]
