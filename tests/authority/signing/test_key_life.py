"""The life of signing keys: what may follow what, and that no order of steps leaves nobody, or two, to sign."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authority.signing.key_life import (
    MARGIN_S,
    OVERLAP_S,
    KeyRecord,
    KeyRefusal,
    Stage,
    moment,
    promote,
    publish,
    replace_all,
    retire,
    rotate,
)

NOW = 1_800_000_000_000
FIRST = KeyRecord(kid="first", stage=Stage.SIGNING, created_at_ms=NOW, sign_at_ms=NOW)


def stages(keys) -> dict[str, str]:
    return {key.kid: key.stage.value for key in keys}


def after(seconds: float) -> int:
    return NOW + int(seconds * 1000)


def test_a_rotation_publishes_a_key_that_takes_over_after_the_overlap():
    keys, kid = rotate([FIRST], NOW, OVERLAP_S, "second")
    assert kid == "second"
    assert stages(keys) == {"first": "signing", "second": "published"}
    assert promote(keys, after(OVERLAP_S) - 1) == keys
    assert stages(promote(keys, after(OVERLAP_S))) == {"first": "retiring", "second": "signing"}


def test_a_rotation_at_once_needs_no_further_step():
    keys, _ = rotate([FIRST], NOW, 0, "second")
    assert stages(keys) == {"first": "retiring", "second": "signing"}


def test_a_key_that_has_been_published_long_enough_signs_at_once():
    keys, kid = rotate(publish([FIRST], "early", NOW), after(OVERLAP_S), OVERLAP_S, "unused")
    assert kid == "early"
    assert stages(keys) == {"first": "retiring", "early": "signing"}


def test_of_two_published_keys_the_older_one_is_taken_first():
    keys = publish(publish([FIRST], "a", NOW), "b", after(1))
    assert rotate(keys, after(2), OVERLAP_S, "unused")[1] == "a"


def test_a_second_rotation_is_refused_unless_it_is_sooner():
    keys, _ = rotate([FIRST], NOW, OVERLAP_S, "second")
    with pytest.raises(KeyRefusal, match="second takes over at 2027-01-15 08:10:00Z already"):
        rotate(keys, after(5), OVERLAP_S, "third")
    sooner, kid = rotate(keys, after(5), 0, "third")
    assert kid == "second"
    assert stages(sooner) == {"first": "retiring", "second": "signing"}


def test_a_key_goes_when_its_last_token_has_run_out_and_not_before():
    used = KeyRecord(kid="first", stage=Stage.RETIRING, created_at_ms=NOW, needed_until_s=NOW // 1000 + 100)
    other = KeyRecord(kid="second", stage=Stage.SIGNING, created_at_ms=NOW)
    with pytest.raises(KeyRefusal, match=r"needed until 2027-01-15 08:02:40Z.*--force"):
        retire([used, other], "first", after(100 + MARGIN_S))
    gone = retire([used, other], "first", after(101 + MARGIN_S))
    assert stages(gone) == {"first": "retired", "second": "signing"}
    assert gone[0].retired_at_ms == after(101 + MARGIN_S)
    assert stages(retire([used, other], "first", NOW, is_forced=True)) == stages(gone)


def test_a_published_key_goes_at_any_time_and_its_rotation_with_it():
    keys, _ = rotate([FIRST], NOW, OVERLAP_S, "second")
    keys = retire(keys, "second", after(1))
    assert stages(promote(keys, after(2 * OVERLAP_S))) == {"first": "signing", "second": "retired"}


@pytest.mark.parametrize("is_forced", [False, True])
@pytest.mark.parametrize(
    ("kid", "said"), [("first", "rotate first"), ("gone", "retired already"), ("unknown", "no key with that id")]
)
def test_keys_that_sign_or_are_not_there_cannot_be_retired(kid, said, is_forced):
    gone = KeyRecord(kid="gone", stage=Stage.RETIRED, created_at_ms=NOW)
    with pytest.raises(KeyRefusal, match=said):
        retire([FIRST, gone], kid, NOW, is_forced=is_forced)


def test_replacing_leaves_the_new_key_alone():
    keys, _ = rotate([FIRST], NOW, OVERLAP_S, "second")
    assert stages(replace_all(keys, NOW, "new")) == {"first": "retired", "second": "retired", "new": "signing"}


def test_times_that_no_calendar_has_are_shown_as_numbers():
    assert moment(10**15) == f"{10**15} (Unix seconds)"


class Walk:
    """The keys of an instance, the tokens that they signed, and a clock that goes both ways."""

    def __init__(self) -> None:
        self.keys, self.now_ms, self.number = (FIRST,), NOW, 0
        self.tokens: list[tuple[str, int]] = []  # id of the key, good until (Unix seconds)

    def step(self, name: str, value: int) -> None:
        self.number += 1
        before = self.keys
        try:
            getattr(self, name)(value)
        except KeyRefusal:
            assert self.keys == before
        # A clock that is set back makes old tokens good again; their key may have gone for good by then.
        self.tokens = [(kid, until_s) for kid, until_s in self.tokens if until_s >= self.now_ms // 1000]
        for old, new in zip(before, self.keys, strict=False):
            assert list(Stage).index(new.stage) >= list(Stage).index(old.stage)

    def generate(self, _value: int) -> None:
        self.keys = publish(self.keys, f"key{self.number}", self.now_ms)

    def rotate(self, overlap_s: int) -> None:
        self.keys, _ = rotate(self.keys, self.now_ms, overlap_s, f"key{self.number}")

    def retire(self, place: int) -> None:
        self.keys = retire(self.keys, self.keys[place % len(self.keys)].kid, self.now_ms)

    def replace(self, _value: int) -> None:
        self.keys, self.tokens = replace_all(self.keys, self.now_ms, f"key{self.number}"), []

    def wait(self, seconds: int) -> None:
        self.now_ms += seconds * 1000

    def sign(self, lifetime_s: int) -> None:
        keys, until_s = promote(self.keys, self.now_ms), self.now_ms // 1000 + lifetime_s
        (signing,) = [key for key in keys if key.stage is Stage.SIGNING]
        noted = replace(signing, needed_until_s=max(signing.needed_until_s, until_s))
        self.keys = tuple(noted if key is signing else key for key in keys)
        self.tokens.append((signing.kid, until_s))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("rotate"), st.sampled_from([0, 1, 60, OVERLAP_S, 10_000])),
            st.tuples(st.just("sign"), st.sampled_from([1, 60, 86_400])),
            st.tuples(st.just("retire"), st.integers(0, 5)),
            st.tuples(st.just("wait"), st.sampled_from([1, 60, OVERLAP_S, 100_000, -1, -100_000])),
            st.tuples(st.sampled_from(["generate", "replace"]), st.just(0)),
        ),
        max_size=40,
    )
)
def test_there_is_always_one_that_signs_and_no_good_token_loses_its_key(steps):
    walk = Walk()
    for name, value in steps:
        walk.step(name, value)
        assert [key.stage for key in walk.keys].count(Stage.SIGNING) == 1
        assert sum(key.is_planned for key in walk.keys) <= 1
        assert {kid for kid, _ in walk.tokens} <= {key.kid for key in walk.keys if key.stage is not Stage.RETIRED}
