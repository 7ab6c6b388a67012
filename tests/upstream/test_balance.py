"""Which of several servers gets a request, with time as an argument."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.settings_model import EjectionSettings, HealthSettings
from gateway.upstream.balance import Balance, Server

EJECTION = EjectionSettings(failures=2, first_s=10, longest_s=35, share=0.5)
HEALTH = HealthSettings(interval_s=7, healthy=2, unhealthy=3)


def balance(*weights: int, by_connections: bool = False, share: float = 0.5) -> Balance:
    ejection = EjectionSettings(failures=2, first_s=10, longest_s=35, share=share)
    return Balance(weights or (1,), ejection, HEALTH, by_connections=by_connections)


def order(of: Balance, count: int, loads: tuple[int, ...] = (), now_s: float = 0.0) -> list[int | None]:
    found = []
    for _ in range(count):
        server = of.choose(now_s, loads or [0] * len(of.servers))
        found.append(server.number if server else None)
        if server:
            of.left(server)
    return found


def fail(of: Balance, number: int, now_s: float, times: int = 2) -> list[bool]:
    return [of.failed(of.servers[number], now_s) for _ in range(times)]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [((1,), [0, 0, 0]), ((1, 1), [0, 1, 0, 1]), ((5, 1, 1), [0, 0, 1, 0, 2, 0, 0]), ((1, 2), [1, 0, 1, 1, 0, 1])],
)
def test_servers_take_turns_by_weight_and_not_in_lumps(weights: tuple[int, ...], expected: list[int]) -> None:
    assert order(balance(*weights), len(expected)) == expected


@pytest.mark.parametrize(
    ("weights", "loads", "expected"),
    [((1, 1), (3, 2), [1, 1]), ((1, 1), (2, 2), [0, 1]), ((1, 4), (1, 3), [1, 1]), ((1, 2), (0, 1), [1, 0])],
)
def test_the_fewest_connections_for_a_weight_win(
    weights: tuple[int, ...], loads: tuple[int, ...], expected: list[int]
) -> None:
    assert order(balance(*weights, by_connections=True), 2, loads) == expected


def test_a_server_that_could_not_be_reached_is_not_chosen_for_the_request_again() -> None:
    servers = balance(1, 1)
    assert [found.number for _ in range(3) if (found := servers.choose(0, [0, 0], {0}))] == [1, 1, 1]
    assert servers.choose(0, [0, 0], {0, 1}) is None


def test_a_server_that_fails_in_a_row_is_left_alone_for_longer_and_longer() -> None:
    servers = balance(1, 1)
    assert fail(servers, 0, now_s=100) == [False, True]
    assert order(servers, 3, now_s=109) == [1, 1, 1]
    for now_s, pause_s in ((110, 20), (130, 35), (165, 35)):
        assert 0 in order(servers, 2, now_s=now_s)
        assert fail(servers, 0, now_s, times=1) == [True], "one more failure is enough"
        assert order(servers, 2, now_s=now_s + pause_s - 0.1) == [1, 1]
    assert fail(servers, 0, now_s=170, times=1) == [False], "a late failure changes nothing"


def test_a_success_forgives_everything() -> None:
    servers = balance(1, 1)
    fail(servers, 0, 0, times=1)
    servers.succeeded(servers.servers[0])
    assert fail(servers, 0, 0, times=1) == [False]
    servers.succeeded(servers.servers[1])
    fail(servers, 0, 0)
    servers.succeeded(servers.servers[0])
    fail(servers, 0, 50)
    assert servers.servers[0].out_until_s == 60


def test_whoever_comes_back_gets_one_request_until_it_went_well() -> None:
    servers = balance(1, 1)
    fail(servers, 0, 0)
    loads = [0, 0]
    chosen = [servers.choose(20, loads) for _ in range(4)]
    assert [server.number for server in chosen if server] in ([0, 1, 1, 1], [1, 0, 1, 1])
    servers.succeeded(servers.servers[0])
    assert set(order(servers, 4, now_s=20)) == {0, 1}


@pytest.mark.parametrize(("count", "share", "alone"), [(4, 0.5, 2), (4, 0.25, 1), (4, 0, 1), (4, 1, 3), (2, 1, 1)])
def test_no_more_than_the_share_is_left_alone_and_never_the_last(count: int, share: float, alone: int) -> None:
    servers = balance(*[1] * count, share=share)
    for number in range(count - 1):
        fail(servers, number, 0)
    assert len(set(order(servers, 3 * count, now_s=1))) == count - alone


def test_when_all_fail_nobody_is_asked_until_the_first_is_tried_again() -> None:
    servers = balance(1, 1)
    fail(servers, 0, 0)
    fail(servers, 1, 3)
    assert order(servers, 2, now_s=4) == [None, None]
    assert servers.retry_after_s(4) == 6
    assert servers.why_none(4) == "of 2 servers 0 fail their health checks and 2 failed too many requests"
    trial = servers.choose(10, [0, 0])
    assert trial is servers.servers[0]
    assert servers.choose(10, [0, 0]) in {None, servers.servers[1]}
    servers.succeeded(trial)
    assert 0 in order(servers, 2, now_s=10)


def test_a_single_server_is_never_left_alone_but_by_the_breaker() -> None:
    servers = balance(1)
    assert fail(servers, 0, 0) == [False, True]
    assert servers.choose(9, [0]) is None
    assert servers.choose(10, [0]) is servers.servers[0]
    assert servers.choose(10, [0]) is None
    assert servers.retry_after_s(10) == 1
    servers.failed(servers.servers[0], 11)
    assert (servers.choose(30, [0]), servers.retry_after_s(30)) == (None, 1)
    assert servers.choose(31, [0]) is not None


def test_checks_are_believed_after_so_many_in_a_row() -> None:
    servers = balance(1, 1)
    first = servers.servers[0]
    fail(servers, 0, 0)
    said = [servers.checked(first, is_good=good) for good in (False, False, True, False, False, False, False)]
    assert said == [False, False, False, False, False, True, False]
    assert order(servers, 3) == [1, 1, 1]
    assert [servers.checked(first, is_good=good) for good in (True, False, True, True)] == [False, False, False, True]
    assert set(order(servers, 4)) == {0, 1}, "what was before tells nothing of how it is now"


def test_when_none_is_well_nobody_is_asked() -> None:
    servers = balance(1, 1)
    for server in servers.servers:
        for _ in range(3):
            servers.checked(server, is_good=False)
    assert order(servers, 1) == [None]
    assert servers.retry_after_s(0) == 7
    assert servers.why_none(0).startswith("of 2 servers 2 fail")


def test_a_balance_without_checks_counts_checks_by_the_defaults() -> None:
    servers = Balance([1], EJECTION)
    assert [servers.checked(servers.servers[0], is_good=False) for _ in range(3)] == [False, False, True]
    assert servers.retry_after_s(0) == 1


EVENTS = st.lists(
    st.tuples(st.sampled_from(["ask", "fail", "succeed", "leave", "well", "ill", "wait"]), st.integers(0, 3)),
    max_size=80,
)


@given(EVENTS, st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans(), st.sampled_from([0, 0.3, 0.5, 1]))
def test_whatever_happens_only_usable_servers_are_chosen_and_some_server_comes_back(
    events: list[tuple[str, int]], weights: list[int], by_connections: bool, share: float
) -> None:
    servers = balance(*weights, by_connections=by_connections, share=share)
    now_s, loads = 0.0, [0] * len(weights)
    open_: list[Server] = []
    ends = {"fail": lambda server: servers.failed(server, now_s), "succeed": servers.succeeded, "leave": servers.left}
    for what, number in events:
        if what == "ask" and (chosen := servers.choose(now_s, loads)):
            assert chosen.is_well
            open_.append(chosen)
        elif what in ends and open_:
            ends[what](open_.pop())
        elif what in {"well", "ill"}:
            servers.checked(servers.servers[number % len(weights)], is_good=what == "well")
        elif what == "wait":
            now_s += number * 3
        ejected = [each for each in servers.servers if each.is_ejected and each.out_until_s > now_s]
        assert len(ejected) < max(2, len(weights))
        assert len(weights) > 1 or not ejected
    for server in open_:
        servers.left(server)
    for server in servers.servers:
        servers.checked(server, is_good=True)
        servers.checked(server, is_good=True)
    assert servers.choose(now_s + EJECTION.longest_s, loads) is not None, "nobody is out for ever"


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_everybody_gets_their_share(weights: list[int]) -> None:
    total = sum(weights)
    assert Counter(order(balance(*weights), 3 * total)) == {number: 3 * weight for number, weight in enumerate(weights)}
