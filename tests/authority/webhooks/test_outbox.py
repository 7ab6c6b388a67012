"""Messages wait, are taken by one at a time, come back when their taker died, and are forgotten in the end."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.authority.webhooks.endpoints import Endpoint
from gateway.authority.webhooks.outbox import DELIVERED_KEPT_MS, FAILED_KEPT_MS, LEASE_MS, LONGEST_WAIT_MS
from tests.authority.webhooks.webhooks_kit import post_at


@pytest.fixture
def post():
    made = post_at()
    yield made
    made.database.close()


def test_what_was_taken_is_nobody_elses_until_the_lease_is_over(post):
    message_id = post.record()
    (first,) = post.claim("lease_1")
    assert first.message_id == message_id
    assert post.claim("lease_2") == []
    post.clock.now_s += LEASE_MS / 1000
    (second,) = post.claim("lease_2")
    assert (second.message_id, second.attempts) == (message_id, 0)


def test_who_lost_the_lease_must_not_send_and_its_bad_news_do_not_count(post):
    post.record()
    (lost,) = post.claim("lease_1")
    post.clock.now_s += LEASE_MS / 1000
    (held,) = post.claim("lease_2")
    assert not post.outbox.renew(lost, post.clock.now_ms)
    post.outbox.give_up(lost, "no connection", post.clock.now_ms)
    assert post.states() == ["waiting"]
    assert post.outbox.renew(held, post.clock.now_ms)


def test_a_delivery_counts_whoever_tells_of_it(post):
    post.record()
    (lost,) = post.claim("lease_1")
    post.clock.now_s += LEASE_MS / 1000
    (held,) = post.claim("lease_2")
    post.outbox.delivered(lost, "answered 200", post.clock.now_ms)
    assert not post.outbox.renew(held, post.clock.now_ms)
    post.outbox.put_off(held, "no connection", post.clock.now_ms, post.clock.now_ms)
    assert post.states() == ["delivered"]


def test_what_is_given_back_is_due_at_once(post):
    post.record()
    post.claim("lease_1")
    post.outbox.release("lease_1", post.clock.now_ms)
    assert len(post.claim("lease_2")) == 1


def test_two_processes_on_one_file_share_the_work(tmp_path):
    path = str(tmp_path / "authority.db")
    one, other = post_at(path=path), post_at(path=path)
    recorded = [one.record(f"sess_{number}") for number in range(10)]
    taken = [claim.message_id for claim in [*one.claim("a", 3), *other.claim("b", 4), *one.claim("a", 8)]]
    assert taken == recorded
    for post in (one, other):
        post.database.close()


def test_a_crash_before_the_commit_leaves_neither(tmp_path):
    path = str(tmp_path / "authority.db")
    post = post_at(path=path)

    def fail() -> None:
        with post.database.transaction():
            post.record()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    post.database.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT COUNT(*) FROM webhook_messages").fetchone() == (0,)
        assert connection.execute("SELECT COUNT(*) FROM webhook_deliveries").fetchone() == (0,)
    connection.close()


def test_a_disabled_endpoint_gets_nothing_and_what_waited_has_failed(post):
    post.record()
    (claim,) = post.claim()
    post.outbox.endpoints.disable(post.endpoint.id, "it answered 410 Gone")
    assert not post.outbox.renew(claim, post.clock.now_ms)
    assert post.states() == ["failed"]
    assert post.outbox.due_endpoints(post.clock.now_ms) == []
    post.outbox.endpoints.enable(post.endpoint.id)
    post.record()
    assert [endpoint.id for endpoint in post.outbox.due_endpoints(post.clock.now_ms)] == [post.endpoint.id]


def test_a_removed_endpoint_takes_its_messages_along(post):
    post.record()
    (claim,) = post.claim()
    post.outbox.endpoints.remove(post.endpoint.id)
    assert not post.outbox.renew(claim, post.clock.now_ms)
    post.outbox.delivered(claim, "answered 200", post.clock.now_ms)
    assert post.deliveries() == []
    assert post.database.rows("SELECT * FROM webhook_messages") == []


def test_what_is_long_over_is_forgotten_and_what_waits_is_not(post):
    for number in range(3):
        post.record(f"sess_{number}")
    delivered, failed, _ = post.claim()
    post.outbox.delivered(delivered, "answered 200", post.clock.now_ms)
    post.outbox.give_up(failed, "no connection", post.clock.now_ms)
    post.outbox.tidy(post.clock.now_ms + DELIVERED_KEPT_MS)
    assert post.states() == ["delivered", "failed", "waiting"]
    post.outbox.tidy(post.clock.now_ms + DELIVERED_KEPT_MS + 1)
    assert post.states() == ["failed", "waiting"]
    post.outbox.tidy(post.clock.now_ms + FAILED_KEPT_MS + 1)
    assert post.states() == ["waiting"]
    assert len(post.database.rows("SELECT * FROM webhook_messages")) == 1


def test_a_message_stays_as_long_as_one_endpoint_has_not_got_it(post):
    post.outbox.endpoints.add(Endpoint.new("http://127.0.0.1:9/other", post.clock.now_ms))
    post.record()
    (delivered,) = post.claim()
    post.outbox.delivered(delivered, "answered 200", post.clock.now_ms)
    post.outbox.tidy(post.clock.now_ms + DELIVERED_KEPT_MS + 1)
    assert post.states() == ["waiting"]


def test_a_clock_that_was_set_back_holds_nothing_for_longer_than_the_longest_wait(post):
    post.record()
    post.clock.now_s -= 30 * 24 * 3600
    assert post.claim() == []
    post.outbox.tidy(post.clock.now_ms)
    assert len(post.claim()) == 1


def test_nothing_is_put_off_for_longer_than_the_longest_wait(post):
    post.record()
    (claim,) = post.claim()
    post.outbox.put_off(claim, "answered 429", post.clock.now_ms, post.clock.now_ms + 10**15)
    assert post.deliveries()[0]["due_at"] == post.clock.now_ms + LONGEST_WAIT_MS


@settings(deadline=None)  # a file is written each time, and the disk may be busy
@given(
    st.lists(
        st.one_of(
            st.just("record"),
            st.tuples(st.sampled_from(["claim", "die", "deliver", "fail"]), st.integers(0, 3)),
            st.integers(1, 30),
        ),
        max_size=40,
    )
)
def test_whatever_happens_every_message_is_delivered_or_still_there(steps):  # noqa: C901 - one case a step
    """Any sequence of recording, taking, dying, delivering, failing and time."""
    post = post_at()
    recorded: list[str] = []
    delivered: list[str] = []
    held: dict[int, list] = {number: [] for number in range(4)}
    for step in steps:
        match step:
            case "record":
                recorded.append(post.record())
            case int():
                post.clock.now_s += step
            case ("claim", who):
                held[who] += post.claim(f"lease_{who}", 2)
            case ("die", who):
                held[who] = []
            case ("deliver", who) if held[who]:
                claim = held[who].pop(0)
                if post.outbox.renew(claim, post.clock.now_ms):
                    delivered.append(claim.message_id)
                    post.outbox.delivered(claim, "answered 200", post.clock.now_ms)
            case ("fail", who) if held[who]:
                now_ms = post.clock.now_ms
                post.outbox.put_off(held[who].pop(0), "answered 500", now_ms, now_ms + 5000)
    post.clock.now_s += 60
    rest = post.claim("lease_last", 1000)
    assert sorted(delivered + [claim.message_id for claim in rest]) == sorted(recorded)
    assert len(set(delivered)) == len(delivered)  # nobody died between sending and noting, so nothing came twice
    post.database.close()
