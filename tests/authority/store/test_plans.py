"""Every statement finds its rows by index, however many sessions are stored."""

import inspect
import re
import sqlite3

import pytest

from gateway.authority import AuthorityConfig
from gateway.authority.authority import Authority
from gateway.authority.models import SessionRecord
from gateway.authority.store import grants, ledger, purge, refresh_tokens
from gateway.authority.store.database import Database
from gateway.authority.store.ledger import Ledger, SessionFilter
from gateway.core.session_status import SessionStatus
from tests.authority.conftest import ORIGIN, START, Clock

NOW = int(START * 1000)


class Recording(Database):
    """A database that keeps what it is asked."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.asked: list[tuple[str, object]] = []

    def _execute(self, sql, values=None):
        self.asked.append((sql, values or {}))
        return super()._execute(sql, values)

    def plans(self) -> dict[str, list[str]]:
        statements = dict(self.asked)
        return {
            sql: [row["detail"] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            for sql, values in statements.items()
            if not sql.startswith(("BEGIN", "PRAGMA", "EXPLAIN"))
        }


FILTERS = [
    SessionFilter(),
    SessionFilter(user_id="user_1"),
    SessionFilter(client_id="client_1"),
    SessionFilter(user_id="user_1", client_id="client_1"),
    *(SessionFilter(status=status) for status in (SessionStatus.ACTIVE, SessionStatus.REVOKED, SessionStatus.EXPIRED)),
    SessionFilter(user_id="user_1", status=SessionStatus.ACTIVE),
    SessionFilter(client_id="client_1", status=SessionStatus.ABANDONED),
    SessionFilter(user_id="user_1", client_id="client_1", status=SessionStatus.ENDED),
]


def run_everything(database: Recording) -> None:
    """Call every method of ledger, grants and refresh tokens, with something old to clean up."""
    sessions = ledger.Ledger(database, retention_ms=1000)
    sessions.add_client(NOW - 50 * 86_400_000)  # nobody's
    for moment in (NOW - 40 * 86_400_000, NOW - 39 * 86_400_000, NOW):
        client, token = sessions.add_client(moment)
        record = ledger.SessionRecord(
            id=f"sess_{moment}", user_id="user_1", client_id=client.id, status=SessionStatus.ACTIVE,
            last_active_organization_id=None, actor=None, first_factor_at_ms=moment, last_active_at_ms=moment,
            expire_at_ms=moment + 86_400_000, abandon_at_ms=moment + 86_400_000, created_at_ms=moment,
            updated_at_ms=moment,
        )  # fmt: skip
        sessions.add_session(record)
    sessions.client(client.id)
    sessions.client_by_token(token)
    sessions.mark_client(client.id, NOW)
    sessions.session(record.id, NOW)
    sessions.live_session(client.id, NOW)
    sessions.live_sessions_of("user_1", 10, NOW)
    sessions.users_of(client.id, 10)
    sessions.last_sign_in_ms("user_1")
    sessions.mark_active(record.id, NOW, NOW)
    sessions.switch_organization(record.id, None, NOW)
    for narrowed in FILTERS:
        sessions.sessions(narrowed, 10, 100, NOW)
        sessions.count(narrowed, NOW)
    tokens = refresh_tokens.RefreshTokens(database, 1000)
    held = tokens.find(tokens.issue(record.id, "a.test", NOW), record.id)
    tokens.use(held, NOW)
    tokens.rotate(held, NOW)
    tokens.is_outlived(held)
    granted = grants.Grants(database)
    granted.consume("a.b.c", NOW, NOW)
    granted.fetch_handshake(granted.store_handshake([], NOW, 1), NOW)
    granted.dev_browser_client(granted.issue_dev_browser(client.id, NOW))
    granted.forget_dev_browsers(client.id)
    sessions.finish(record.id, SessionStatus.REVOKED, NOW)
    sessions.finish_all(client.id, SessionStatus.ENDED, NOW)
    sessions.forget_client_token(client.id)


@pytest.fixture
def database():
    database = Recording.open(":memory:")
    database.asked.clear()
    yield database
    database.close()


def test_no_statement_scans_or_sorts(database):
    run_everything(database)
    bad = {
        sql: details
        for sql, details in database.plans().items()
        for detail in details
        # walking an index is how a page of all sessions is read, and it ends with the page; the totals are eight rows
        if ("SCAN" in detail and not re.search(r"SCAN (sessions USING INDEX sessions_by_age|session_totals)", detail))
        or "B-TREE" in detail
    }
    assert bad == {}


def test_every_statement_was_looked_at(database):
    run_everything(database)
    for module in (ledger, grants, purge, refresh_tokens):
        for start in re.findall(r'"((?:INSERT|DELETE|UPDATE|SELECT) [A-Za-z_ ]+)', inspect.getsource(module)):
            assert any(start in sql for sql, _ in database.asked), f"{start} was not asked"


def test_counting_all_sessions_reads_the_totals(database):
    sessions = ledger.Ledger(database)
    for narrowed in (SessionFilter(), SessionFilter(status=SessionStatus.REVOKED)):
        database.asked.clear()
        sessions.count(narrowed, NOW)
        assert "session_totals" in database.asked[-1][0]


def test_a_million_statuses_are_written_down_in_steps(database):
    """Small ones on the way of writes; all that is over at once only before a list that must know."""
    authority = Authority.open(AuthorityConfig(origin=ORIGIN, abandon_after_s=3600), clock := Clock())
    try:
        realm = authority.realm
        client, _ = realm.ledger.add_client(realm.now_ms())
        user = realm.directory.users()[0].id
        from gateway.authority.lifecycle import start_session

        for _ in range(12):
            start_session(realm, user, "", client)
        clock.advance(3601)
        start_session(realm, user, "", client)
        stored = "SELECT COUNT(*) AS n FROM sessions WHERE status = 'abandoned'"
        assert realm.database.row(stored)["n"] == 4
        for status, number in ((SessionStatus.ABANDONED, 12), (SessionStatus.ACTIVE, 1), (SessionStatus.EXPIRED, 0)):
            narrowed = SessionFilter(status=status)
            assert realm.ledger.count(narrowed, realm.now_ms()) == number
            assert len(realm.ledger.sessions(narrowed, 500, 0, realm.now_ms())) == number
        assert realm.database.row(stored)["n"] == 12
    finally:
        authority.close()


def with_sessions(database, number: int) -> Ledger:
    """Sessions that all expire at 9000 ms."""
    ledger = Ledger(database)
    client, _ = ledger.add_client(0)
    with database.transaction():
        for moment in range(number):
            # fmt: off
            ledger.add_session(SessionRecord(
                id=f"sess_{moment}", user_id="user_1", client_id=client.id, status=SessionStatus.ACTIVE,
                last_active_organization_id=None, actor=None, first_factor_at_ms=0, last_active_at_ms=0,
                expire_at_ms=9000, abandon_at_ms=9000, created_at_ms=moment, updated_at_ms=moment,
            ))
            # fmt: on
    return ledger


def test_a_list_after_a_long_downtime_writes_down_some_and_is_right_all_the_same(database):
    ledger = with_sessions(database, 2500)
    stored = "SELECT COUNT(*) AS n FROM sessions WHERE status = 'expired'"
    expired, active = SessionFilter(status=SessionStatus.EXPIRED), SessionFilter(status=SessionStatus.ACTIVE)
    for written in (1000, 2000, 2500, 2500):
        assert ledger.count(expired, 10_000) == 2500
        assert database.row(stored)["n"] == written
    assert (ledger.count(active, 10_000), ledger.sessions(active, 10, 0, 10_000)) == (0, [])


def test_a_page_after_a_long_downtime_is_the_newest_of_that_status(database):
    ledger = with_sessions(database, 2500)
    page = ledger.sessions(SessionFilter(status=SessionStatus.EXPIRED), 3, 1, 10_000)
    assert [(session.id, session.status) for session in page] == [
        (f"sess_{moment}", SessionStatus.EXPIRED) for moment in (2498, 2497, 2496)
    ]
