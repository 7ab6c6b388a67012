"""The clock that tests turn, against any sequence of turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.control import Clock


class System:
    """The system's clock, turned by hand."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def system() -> System:
    return System()


def test_it_shows_the_systems_time_until_it_is_turned(system):
    clock = Clock(system)
    assert clock() == system.now_s
    system.now_s += 5
    assert clock() == system.now_s
    assert clock.read().offset_s == 0


def test_it_runs_on_from_where_it_was_moved_to(system):
    clock = Clock(system)
    assert clock.advance(3600).now_s == 1_700_003_600
    system.now_s += 2
    assert clock() == 1_700_003_602
    assert clock.set(1_800_000_000).offset_s == 1_800_000_000 - system.now_s
    system.now_s += 2
    assert clock() == 1_800_000_002


def test_frozen_it_stands_still_and_can_be_moved(system):
    clock = Clock(system)
    assert clock.freeze().is_frozen
    system.now_s += 100
    assert clock() == 1_700_000_000
    assert clock.read().offset_s == -100
    assert clock.advance(1).is_frozen
    assert clock.set(1_700_000_050).is_frozen
    assert clock.freeze(1_700_000_007).now_s == 1_700_000_007
    assert not clock.release().is_frozen
    system.now_s += 1
    assert clock() == 1_700_000_008


def test_going_back_is_allowed_and_said(system):
    clock = Clock(system)
    assert clock.advance(10).went_back_s == 0
    assert clock.advance(-4).went_back_s == 4
    assert clock.reset().went_back_s == 6
    assert clock.set(system.now_s - 1.5).went_back_s == 1.5
    assert clock.read().went_back_s == 0


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e12])
def test_a_time_that_nothing_can_write_is_refused_and_changes_nothing(system, seconds):
    clock = Clock(system)
    with pytest.raises(ValueError, match="Unix seconds"):
        clock.set(seconds)
    with pytest.raises(ValueError, match="Unix seconds"):
        clock.freeze(seconds)
    assert clock() == system.now_s
    assert not clock.read().is_frozen


_STEPS = st.one_of(
    st.tuples(st.just("advance"), st.integers(-1000, 1000)),
    st.tuples(st.just("set"), st.integers(10_000_000, 2_000_000_000)),
    st.tuples(st.just("system"), st.integers(0, 1000)),
    st.tuples(st.sampled_from(["freeze", "release", "reset"]), st.none()),
)


@given(st.lists(_STEPS, max_size=30))
def test_after_any_turns_it_shows_what_the_turns_add_up_to(steps):
    system = System()
    clock = Clock(system)
    shown, is_frozen = int(system.now_s), False
    for name, number in steps:
        if name == "system":
            system.now_s += number
            shown += 0 if is_frozen else number
        elif name == "advance":
            clock.advance(number)
            shown += number
        elif name == "set":
            clock.set(number)
            shown = number
        else:
            reading = getattr(clock, name)()
            is_frozen = name == "freeze"
            shown = int(system.now_s) if name == "reset" else shown
            assert reading.is_frozen == is_frozen
        assert clock() == shown
