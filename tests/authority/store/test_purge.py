"""What is over goes, what is wanted stays, and the totals agree with the rows whatever happens."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.authority import AuthorityConfig, lifecycle
from gateway.authority.authority import Authority
from gateway.authority.store.ledger import SessionFilter
from gateway.core.session_status import SessionStatus
from tests.authority.conftest import ORIGIN

DAY_S = 86_400


@pytest.fixture
def config():
    return AuthorityConfig(origin=ORIGIN, inactive_retention_s=30 * DAY_S)


def begin(realm):
    client, _ = realm.ledger.add_client(realm.now_ms())
    return lifecycle.start_session(realm, realm.directory.users()[0].id, "", client)


def number(realm, table: str) -> int:
    return realm.database.row(f"SELECT COUNT(*) AS n FROM {table}")["n"]


def test_sessions_that_are_over_are_listed_for_the_retention_and_then_purged(authority, clock):
    realm = authority.realm
    old = [begin(realm) for _ in range(6)]
    for session in old:
        realm.refresh_tokens.issue(session.id, "a.test", realm.now_ms())
    lifecycle.finish(realm, old[0], SessionStatus.REVOKED)
    clock.advance(30 * DAY_S)
    begin(realm)
    assert realm.ledger.session(old[0].id, realm.now_ms()).status is SessionStatus.REVOKED
    clock.advance(8 * DAY_S)
    begin(realm)
    assert realm.ledger.session(old[0].id, realm.now_ms()) is None
    assert realm.ledger.count(SessionFilter(), realm.now_ms()) == number(realm, "sessions")
    begin(realm)
    begin(realm)
    assert [realm.ledger.session(session.id, realm.now_ms()) for session in old] == [None] * 6
    assert number(realm, "refresh_tokens") == 0


def test_each_new_session_takes_away_a_few_old_ones_at_most(authority, clock):
    realm = authority.realm
    for _ in range(20):
        begin(realm)
    clock.advance(100 * DAY_S)
    before = number(realm, "sessions")
    begin(realm)
    assert before + 1 - number(realm, "sessions") == 4


def test_clients_without_sessions_go_with_their_dev_browsers(authority, clock):
    realm = authority.realm
    idle, _ = realm.ledger.add_client(realm.now_ms())
    token = realm.grants.issue_dev_browser(idle.id, realm.now_ms())
    clock.advance(31 * DAY_S)
    realm.ledger.add_client(realm.now_ms())
    assert realm.ledger.client(idle.id) is None
    assert realm.grants.dev_browser_client(token) is None
    assert number(realm, "dev_browsers") == 0


@pytest.mark.parametrize(
    "config", [AuthorityConfig(origin=ORIGIN, session_lifetime_s=90 * DAY_S, abandon_after_s=90 * DAY_S)]
)
def test_a_client_with_sessions_stays_and_keeps_no_other_from_going(authority, clock):
    realm = authority.realm
    held = [begin(realm) for _ in range(8)]
    idle, _ = realm.ledger.add_client(realm.now_ms())
    clock.advance(31 * DAY_S)
    for _ in range(3):
        realm.ledger.add_client(realm.now_ms())
    assert all(realm.ledger.client(session.client_id) for session in held)
    assert realm.ledger.client(idle.id) is None


def test_a_client_has_a_bounded_number_of_dev_browsers_the_newest_ones(authority, clock):
    realm = authority.realm
    client, _ = realm.ledger.add_client(realm.now_ms())
    tokens = []
    for _ in range(60):
        clock.advance(1)
        tokens.append(realm.grants.issue_dev_browser(client.id, realm.now_ms()))
    assert [realm.grants.dev_browser_client(token) is None for token in tokens] == [True] * 10 + [False] * 50


@pytest.mark.parametrize("table", ["consumed_tokens", "handshakes"])
def test_what_buys_something_once_does_not_pile_up(authority, clock, table):
    realm = authority.realm

    def add(name: int) -> None:
        if table == "handshakes":
            realm.grants.store_handshake([], realm.now_ms(), 1000)
        else:
            realm.grants.consume(f"{name}.b.c", realm.now_ms(), realm.now_ms() + 1000)

    for name in range(50):
        add(name)
    clock.advance(2)
    add(50)
    assert number(realm, table) == 50 - 20 + 1
    add(51)
    add(52)
    assert number(realm, table) == 3


steps = st.lists(
    st.one_of(
        st.just(("begin",)),
        st.tuples(st.just("wait"), st.floats(0, 20 * DAY_S)),
        st.tuples(st.just("finish"), st.integers(0, 20), st.sampled_from([SessionStatus.REVOKED, SessionStatus.ENDED])),
        st.tuples(st.just("list"), st.sampled_from(list(SessionStatus))),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_totals_lists_and_rows_agree_after_any_sequence(founding, steps):
    from tests.authority.conftest import Clock

    clock = Clock()
    authority = Authority.open(AuthorityConfig(origin=ORIGIN, inactive_retention_s=10 * DAY_S), clock, founding)
    try:
        realm, begun = authority.realm, []
        for step in steps:
            if step[0] == "begin":
                begun.append(begin(realm))
            elif step[0] == "wait":
                clock.advance(step[1])
            elif step[0] == "finish" and begun:
                lifecycle.finish(realm, begun[step[1] % len(begun)], step[2])
            elif step[0] == "list":
                realm.ledger.count(SessionFilter(status=step[1]), realm.now_ms())
        now_ms = realm.now_ms()
        everything = realm.ledger.sessions(SessionFilter(), 500, 0, now_ms)
        assert realm.ledger.count(SessionFilter(), now_ms) == len(everything) == number(realm, "sessions")
        assert len(everything) == len({session.id for session in everything})
        user = SessionFilter(user_id=realm.directory.users()[0].id)
        assert realm.ledger.count(user, now_ms) == len(everything)
        for status in SessionStatus:
            matching = [session for session in everything if session.status is status]
            assert realm.ledger.sessions(SessionFilter(status=status), 500, 0, now_ms) == matching
            assert realm.ledger.count(SessionFilter(status=status), now_ms) == len(matching)
    finally:
        authority.close()
