"""Which refresh tokens are good, against a model of the browsers that hold them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from gateway.authority.config import MEMORY
from gateway.authority.store.database import Database
from gateway.authority.store.refresh_tokens import RefreshTokens

GRACE_MS = 10_000
SESSION = "sess_1"
START = 1_800_000_000_000


@pytest.fixture
def database():
    database = Database.open(MEMORY)
    yield database
    database.close()


@pytest.fixture
def tokens(database):
    return RefreshTokens(database, GRACE_MS)


def test_a_token_is_found_for_its_own_session_alone(tokens):
    token = tokens.issue(SESSION, "a.test", START)
    assert tokens.find(token, SESSION) is not None
    assert tokens.find(token, "sess_2") is None
    assert tokens.find("never issued", SESSION) is None


def test_the_record_shows_neither_the_token_nor_its_digest(tokens):
    token = tokens.issue(SESSION, "a.test", START)
    held = tokens.find(token, SESSION)
    assert token not in repr(held)
    assert held.digest not in repr(held)


def test_a_clock_that_was_set_back_makes_no_token_late(tokens):
    token = tokens.issue(SESSION, "a.test", START)
    tokens.rotate(tokens.find(token, SESSION), START)
    assert not tokens.is_late(tokens.find(token, SESSION), START - 3_600_000)


def test_a_current_token_retires_what_its_family_had_for_longer_than_the_grace(tokens):
    old, new = tokens.issue(SESSION, "a.test", START), tokens.issue(SESSION, "a.test", START + 1)
    elsewhere = tokens.issue(SESSION, "b.test", START)
    later = START + GRACE_MS + 2
    fresh = tokens.issue(SESSION, "a.test", later)
    tokens.use(tokens.find(new, SESSION), later)
    retired = {token: tokens.find(token, SESSION).retired_at_ms for token in (old, new, elsewhere, fresh)}
    assert retired == {old: later, new: None, elsewhere: None, fresh: None}


def test_of_a_session_the_last_tokens_are_remembered_however_many_were_issued(tokens, database):
    issued = [tokens.issue(SESSION, "a.test", START) for _ in range(300)]
    assert tokens.find(issued[43], SESSION) is None
    assert tokens.find(issued[44], SESSION) is not None
    assert database.row("SELECT COUNT(*) AS n FROM refresh_tokens")["n"] == 256


@given(st.lists(st.integers(0, 30_000), max_size=30))
def test_a_browser_that_always_brings_what_it_got_last_is_never_late(pauses):
    database = Database.open(MEMORY)
    try:
        tokens, now_ms = RefreshTokens(database, GRACE_MS), START
        token = tokens.issue(SESSION, "a.test", now_ms)
        for pause in pauses:
            now_ms += pause
            held = tokens.find(token, SESSION)
            assert not tokens.is_late(held, now_ms)
            tokens.use(held, now_ms)
            token = tokens.rotate(held, now_ms)
    finally:
        database.close()


class Jars(RuleBasedStateMachine):
    """One family, and a browser whose answers arrive late, in any order, or never; a model says what must hold.

    The model keeps for each token when it retired, by the three sentences of the module: by rotation, by the use of
    another current one that is no newer than the grace, and never twice.
    """

    @initialize()
    def open(self):
        self.database = Database.open(MEMORY)
        self.tokens = RefreshTokens(self.database, GRACE_MS)
        self.now_ms = START
        self.issued: list[str] = []
        self.issued_at: dict[str, int] = {}
        self.retired_at: dict[str, int] = {}
        self.used: set[str] = set()
        self.handshake()

    def remember(self, token: str) -> None:
        self.issued.append(token)
        self.issued_at[token] = self.now_ms

    @rule()
    def handshake(self):
        self.remember(self.tokens.issue(SESSION, "a.test", self.now_ms))

    @rule(pause_ms=st.integers(-5_000, 15_000))
    def wait(self, pause_ms):
        self.now_ms += pause_ms

    @rule(choice=st.integers(0, 1000), rotates=st.booleans())
    def bring(self, choice, rotates):
        token = self.issued[choice % len(self.issued)]
        held = self.tokens.find(token, SESSION)
        retired_at = self.retired_at.get(token)
        assert held.retired_at_ms == retired_at
        is_late = retired_at is not None and self.now_ms > retired_at + GRACE_MS
        assert self.tokens.is_late(held, self.now_ms) == is_late
        younger = self.issued[self.issued.index(token) + 1 :]
        assert self.tokens.is_outlived(held) == bool(self.used & set(younger))
        if is_late:
            return
        self.tokens.use(held, self.now_ms)
        self.used.add(token)
        if retired_at is None:
            settled = [other for other in self.issued if self.issued_at[other] < self.now_ms - GRACE_MS]
            for other in settled:
                if other != token:
                    self.retired_at.setdefault(other, self.now_ms)
        if rotates:
            self.retired_at.setdefault(token, self.now_ms)
            self.remember(self.tokens.rotate(held, self.now_ms))

    def teardown(self):
        if hasattr(self, "database"):
            self.database.close()


TestJars = Jars.TestCase


def test_two_who_hold_copies_cannot_go_on_side_by_side(tokens):
    """Unless each comes within the grace of the other, every time: in the grace nobody can tell them from two tabs."""
    now_ms = START
    held = {"browser": tokens.issue(SESSION, "a.test", now_ms)}
    held["thief"] = held["browser"]
    for who in itertools.islice(itertools.cycle(["thief", "browser"]), 4):
        now_ms += GRACE_MS + 1
        record = tokens.find(held[who], SESSION)
        if tokens.is_late(record, now_ms):
            return
        tokens.use(record, now_ms)
        held[who] = tokens.rotate(record, now_ms)
    raise AssertionError("both went on")
