"""Cookies of several browsers, sites and decoders in one header."""

import time

import pytest

from tests.attacks.attack_kit import Target, browser, expired_token, token
from tests.core.minting import NAMES

UAT = f"{NAMES.client_uat}=1000000000"
JUNK = ('a="', "[x]", '{"a":"b"}', "$Version=1", "x" * 4000, "=", ";;;", "a=b=c", '"', "__session", "=__session=x")


@pytest.mark.parametrize("junk", JUNK)
def test_junk_in_front_hides_no_session(target: Target, junk: str) -> None:
    assert target.get("/", ("Cookie", f"{junk}; {UAT}; {NAMES.session}={token()}")).status == 200


@pytest.mark.parametrize(
    "cookie",
    [
        "a=x%3B%20{session}%3D{token}; {uat}",
        "a=x%3B%20{session}={token}; {uat}",
        "%5F%5Fsession_{suffix}={token}; {uat}",
        "a=b, {session}={token}; {uat}",
        "A{session}={token}; {uat}",
        "{session}x={token}; {uat}",
        "__Host-{session}={token}; {uat}",
        "__SESSION_{suffix}={token}; {uat}",
        "..session_{suffix}={token}; {uat}",
    ],
)
def test_only_a_cookie_of_exactly_our_name_is_a_session(target: Target, cookie: str) -> None:
    text = cookie.format(session=NAMES.session, suffix=NAMES.suffix, token=token(), uat=UAT)
    assert target.get("/", ("Cookie", text)).status == 401


def test_the_session_of_another_instance_on_this_domain_changes_nothing(target: Target) -> None:
    other = f"__session_AbCdEfGh={token('mallory')}; __session={token('mallory', iss='https://clerk.other.test')}"
    for cookie in (f"{other}; {UAT}; {NAMES.session}={token()}", f"{UAT}; {NAMES.session}={token()}; {other}"):
        assert target.get("/", ("Cookie", cookie)).status == 200
    assert target.get("/", ("Cookie", f"{other}; {UAT}")).status == 401


@pytest.mark.parametrize("is_split", [False, True], ids=["one header", "two headers"])
@pytest.mark.parametrize("is_first", [False, True])
def test_cookies_of_two_sessions_are_nobody_and_are_cleared(target: Target, is_first: bool, is_split: bool) -> None:
    ours, theirs = f"{NAMES.session}={token()}", f"{NAMES.session}={token(sid='sess_2', sub='user_2')}"
    pairs = [UAT, ours, theirs] if is_first else [UAT, theirs, ours]
    headers = [("Cookie", pair) for pair in pairs] if is_split else [("Cookie", "; ".join(pairs))]
    before = target.count
    reply = target.get("/", *headers)
    assert reply.status == 401
    assert b"duplicate-session-cookies" in reply.body
    assert target.arrived(before) == []
    cleared = {value.partition("=")[0] for value in reply.values("set-cookie") if "Max-Age=0" in value}
    assert cleared == {"__session", NAMES.session}


def test_another_instances_token_beside_ours_under_the_plain_name_hides_nothing(target: Target) -> None:
    """Two instances on one parent domain: the other's cookie has a ``Domain``, so nobody can clear it for good."""
    foreign = token("mallory", iss="https://clerk.other.test", sid="sess_9")
    for pair in ([token(), foreign], [foreign, token()]):
        cookie = "; ".join(["__client_uat=1000000000", *(f"__session={text}" for text in pair)])
        assert target.get("/", ("Cookie", cookie)).status == 200
        assert target.upstream.requests[-1].values("x-session-user-id") == ["user_1"]


def test_tokens_of_two_people_are_never_taken_for_one_session(target: Target) -> None:
    before = target.count
    for changes in ({"sid": "sess_1"}, {"sid": ...}, {"sid": ""}, {"sid": 7}):
        pair = [token(**changes), token(**changes, sub="user_2", iat=int(time.time()) - 1)]
        for values in (pair, pair[::-1]):
            cookie = "; ".join([UAT, *(f"{NAMES.session}={text}" for text in values)])
            assert target.get("/", ("Cookie", cookie)).status == 401
    assert target.arrived(before) == []


@pytest.mark.parametrize("name", [NAMES.client_uat, NAMES.refresh, "__client_uat", "__clerk_redirect_count"])
@pytest.mark.parametrize("value", ["0", "x", "9999999999", "1"])
def test_another_cookie_that_was_tossed_signs_nobody_else_in(target: Target, name: str, value: str) -> None:
    pairs = [f"{key}={text}" for key, text in browser(token()).items()]
    for several in ([f"{name}={value}", *pairs], [*pairs, f"{name}={value}"]):
        reply = target.get("/", ("Cookie", "; ".join(several)))
        assert reply.status in {200, 401}
        if reply.status == 200:
            assert target.upstream.requests[-1].values("x-session-user-id") == ["user_1"]


def test_very_many_cookies_of_our_name_cost_little_and_sign_nobody_in(target: Target) -> None:
    """Each a value of its own; read one against all others they would take a third of a second."""
    many = "; ".join(f"{NAMES.session}={number:x}" for number in range(4500))
    start_s = time.perf_counter()
    reply = target.get("/", ("Cookie", f"{UAT}; {NAMES.session}={token()}; {many}"))
    assert reply.status == 401
    assert b"duplicate-session-cookies" in reply.body
    assert time.perf_counter() - start_s < 5


def test_of_two_tokens_of_one_session_the_newest_counts(target: Target) -> None:
    old, new = token(nick="old", iat=1_600_000_000), token(nick="new")
    for pair in ([old, new], [new, old]):
        cookie = "; ".join([UAT, *(f"{NAMES.session}={text}" for text in pair)])
        assert target.get("/", ("Cookie", cookie)).status == 200
        assert target.upstream.requests[-1].values("x-session-nick") == ["new"]


@pytest.mark.parametrize(
    "value", ["%", "%%%", "a" * 60_000, "\x80\xff", "AAAA.%00.BBBB", "a.b.c", "\x01", '"quoted"', "%c0%80", "null"]
)
@pytest.mark.parametrize("name", [NAMES.session, "__session", NAMES.client_uat, NAMES.refresh, "__clerk_db_jwt"])
def test_a_malformed_cookie_is_never_let_in_and_never_an_error_of_ours(target: Target, name: str, value: str) -> None:
    before = target.count
    cookies = {**browser("a.b.c"), name: value}
    assert target.get("/", cookies=cookies).status in {400, 401}
    assert target.arrived(before) == []


def test_a_jar_that_is_too_large_is_refused_before_any_work(target: Target) -> None:
    calls = len(target.authority.calls)
    worthy = browser(expired_token(), refresh="rt_too-large").items()
    jar = [f"{name}={value}" for name, value in worthy]
    assert target.get("/", ("Cookie", "; ".join([*jar, "x" * 400_000]))).status == 431
    reply = target.get("/", ("Cookie", "; ".join(f"c{number}={'x' * 4000}" for number in range(100))))
    assert reply.status == 431
    assert target.authority.calls[calls:] == []


@pytest.mark.parametrize("uat", ["0", "-1", "x", "99999999999999999999", "1e9", "0x10", "\x80"])
def test_the_clients_mark_alone_opens_nothing(target: Target, uat: str) -> None:
    assert target.get("/", cookies={NAMES.client_uat: uat}).status in {400, 401}
    assert target.get("/", cookies={NAMES.client_uat: uat, NAMES.session: "a.b.c"}).status in {400, 401}
