"""Who is held back, for how long, and who is not for another's sake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authenticator.refusals import (
    FREE_OF_CLIENT,
    FREE_OF_PAIR,
    LONGEST_PAUSE_S,
    MAX_ENTRIES,
    MEMORY_S,
    Asker,
    Refusals,
    digest,
)
from tests.authenticator.engine_kit import Clock

ADA = Asker("sess_1", "rt_1", "192.0.2.1")


class Setting:
    def __init__(self) -> None:
        self.clock = Clock()
        self.refusals = Refusals(self.clock)

    def refuse(self, asker: Asker, times: int = 1) -> None:
        for _ in range(times):
            self.refusals.refused(asker)

    def flood(self, client: str, count: int, session_id: str = "sess_x") -> None:
        for number in range(count):
            self.refusals.refused(Asker(session_id, f"invented {number}", client))


def test_nobody_is_held_back_for_the_first_refusals():
    setting = Setting()
    setting.refuse(ADA, FREE_OF_PAIR)
    assert not setting.refusals.block(ADA)
    setting.refuse(ADA)
    assert setting.refusals.block(ADA)


def test_the_pause_doubles_up_to_a_limit_and_all_is_forgotten_after_a_while():
    setting = Setting()
    setting.refuse(ADA, FREE_OF_PAIR)
    pauses = []
    for _ in range(9):
        setting.refuse(ADA)
        waited = 0.0
        while setting.refusals.block(ADA):
            setting.clock.advance(0.5)
            waited += 0.5
        pauses.append(waited)
    assert pauses == [1, 2, 4, 8, 16, *[LONGEST_PAUSE_S] * 4]
    setting.clock.advance(MEMORY_S + 1)
    setting.refuse(ADA)
    assert not setting.refusals.block(ADA)


def test_a_success_makes_the_refusals_of_that_pair_forgotten():
    setting = Setting()
    setting.refuse(ADA, 20)
    setting.refusals.succeeded(ADA, ())
    assert not setting.refusals.block(ADA)
    setting.refuse(ADA, FREE_OF_PAIR)
    assert not setting.refusals.block(ADA)


def test_another_refresh_token_or_session_is_another_pair():
    setting = Setting()
    setting.refuse(ADA, 20)
    assert not setting.refusals.block(Asker("sess_1", "rt_2", "192.0.2.1"))
    assert not setting.refusals.block(Asker("sess_2", "rt_1", "192.0.2.1"))


def test_many_refusals_from_one_address_hold_back_what_is_not_known_to_be_good_there_and_nowhere_else():
    setting = Setting()
    setting.refusals.succeeded(ADA, ())
    setting.flood(ADA.client, FREE_OF_CLIENT + 2)
    assert not setting.refusals.block(ADA)
    assert setting.refusals.block(Asker("sess_2", "rt_2", ADA.client))
    assert not setting.refusals.block(Asker("sess_2", "rt_2", "198.51.100.7"))


def test_what_was_good_and_is_refused_is_good_no_longer():
    setting = Setting()
    setting.refusals.succeeded(ADA, ())
    setting.flood(ADA.client, FREE_OF_CLIENT + 1)
    setting.refuse(ADA)
    assert setting.refusals.block(ADA)


@pytest.mark.parametrize(
    "directive",
    ["__refresh_abcd=rt%202; Path=/; HttpOnly", " __refresh_abcd = rt 2 ;Path=/", "__refresh_abcd=rt 2"],
)
def test_a_new_refresh_token_in_an_answer_is_good_too(directive):
    setting = Setting()
    setting.refusals.succeeded(ADA, ("__session=x; Path=/", directive))
    setting.flood(ADA.client, FREE_OF_CLIENT + 2)
    assert not setting.refusals.block(Asker("sess_1", "rt 2", ADA.client))
    assert setting.refusals.block(Asker("sess_1", "x", ADA.client))


def test_successes_behind_one_address_outweigh_its_refusals():
    setting = Setting()
    for number in range(1000):
        setting.refusals.refused(Asker(f"sess_{number}", "rt", ADA.client))
        setting.refusals.succeeded(Asker(f"sess_{number}", "rt_good", ADA.client), ())
    assert not setting.refusals.block(Asker("sess_new", "rt_new", ADA.client))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("odd", "odd", True),
        ("", "", False),
    ],
)
def test_an_ipv6_customer_counts_as_one_and_a_missing_address_as_none(one, other, same):
    setting = Setting()
    setting.flood(one, FREE_OF_CLIENT + 2)
    assert setting.refusals.block(Asker("sess_9", "rt_9", other)) is same


def test_memory_is_bounded():
    setting = Setting()
    for number in range(MAX_ENTRIES + 500):
        asker = Asker(f"sess_{number}", "rt", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        setting.refusals.refused(asker)
        setting.refusals.succeeded(asker, ())
    kept = setting.refusals._pairs._counts, setting.refusals._clients._counts, setting.refusals._good
    assert {len(each) for each in kept} == {MAX_ENTRIES}


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_no_two_lists_of_texts_have_the_same_digest(one, other):
    assert (digest(*one) == digest(*other)) is (one == other)
