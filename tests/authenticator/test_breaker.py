"""The breaker: opened by silence alone, one try after each pause, and said in the log once per change."""

import logging

import pytest

from gateway.authenticator.breaker import FAILURES, FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker, Outcome
from tests.authenticator.engine_kit import Clock


class Setting:
    def __init__(self, chance: float = 1.0) -> None:
        self.clock = Clock()
        self.breaker = Breaker(self.clock, lambda: chance)

    def call(self, outcome: Outcome) -> bool:
        turn = self.breaker.begin()
        if turn is None:
            return False
        self.breaker.end(turn, outcome, "timeout")
        return True

    def opened(self) -> "Setting":
        for _ in range(FAILURES):
            assert self.call(Outcome.FAILED)
        assert self.breaker.is_open
        return self


def test_failures_that_are_not_one_after_the_other_do_not_open_it():
    setting = Setting()
    for _ in range(10):
        for _ in range(FAILURES - 1):
            setting.call(Outcome.FAILED)
        setting.call(Outcome.ANSWERED)
    assert not setting.breaker.is_open


def test_what_says_nothing_neither_opens_it_nor_makes_failures_forgotten():
    setting = Setting()
    for _ in range(FAILURES - 1):
        setting.call(Outcome.FAILED)
        setting.call(Outcome.NOTHING)
    assert not setting.breaker.is_open
    setting.call(Outcome.FAILED)
    assert setting.breaker.is_open


def test_the_pause_grows_with_each_try_that_fails_up_to_a_limit():
    setting = Setting().opened()
    pause_s = FIRST_PAUSE_S
    for _ in range(10):
        setting.clock.advance(pause_s - 0.001)
        assert not setting.call(Outcome.FAILED)
        setting.clock.advance(0.001)
        assert setting.call(Outcome.FAILED)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


def test_chance_shortens_the_pause_by_up_to_half():
    setting = Setting(chance=0.0).opened()
    setting.clock.advance(FIRST_PAUSE_S / 2)
    assert setting.call(Outcome.ANSWERED)


def test_one_try_runs_at_a_time():
    setting = Setting().opened()
    setting.clock.advance(FIRST_PAUSE_S)
    turn = setting.breaker.begin()
    assert setting.breaker.begin() is None
    setting.breaker.end(turn, Outcome.ANSWERED)
    assert not setting.breaker.is_open
    assert setting.call(Outcome.ANSWERED)


def test_a_try_that_says_nothing_leaves_the_next_one_free():
    setting = Setting().opened()
    setting.clock.advance(FIRST_PAUSE_S)
    assert setting.call(Outcome.NOTHING)
    assert setting.breaker.is_open
    assert setting.call(Outcome.ANSWERED)


def test_calls_from_before_it_opened_do_not_lengthen_the_pause_and_an_answer_to_one_closes_it():
    setting = Setting()
    early = [setting.breaker.begin() for _ in range(3)]
    setting.opened()
    setting.breaker.end(early[0], Outcome.FAILED, "timeout")
    setting.clock.advance(FIRST_PAUSE_S)
    trial = setting.breaker.begin()
    assert trial is not None
    setting.breaker.end(early[1], Outcome.FAILED, "timeout")
    assert setting.breaker.begin() is None  # the try still runs
    setting.breaker.end(early[2], Outcome.ANSWERED)
    assert not setting.breaker.is_open
    setting.breaker.end(trial, Outcome.FAILED, "timeout")
    assert not setting.breaker.is_open


def test_each_change_is_logged_once_as_a_warning(caplog: pytest.LogCaptureFixture):
    setting = Setting().opened()
    for _ in range(5):
        setting.clock.advance(LONGEST_PAUSE_S)
        setting.call(Outcome.FAILED)
    setting.clock.advance(LONGEST_PAUSE_S)
    setting.call(Outcome.ANSWERED)
    setting.call(Outcome.ANSWERED)
    texts = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert texts == [
        (
            logging.WARNING,
            "the Sessions API does not answer (timeout, 5 calls in a row): no token is refreshed until it does",
        ),
        (logging.WARNING, "the Sessions API answers again: expired tokens are refreshed"),
    ]
