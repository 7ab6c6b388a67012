"""What cookies and URL say before anything is verified."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.claims import SessionClaims
from gateway.core.cookies import CLIENT_UAT, DEV_BROWSER, SESSION
from gateway.core.evidence import Evidence, client_uat, gather, peek
from gateway.core.instance import InstanceKind
from gateway.core.tokens import parse
from tests.core.minting import (
    DEV_NAMES,
    DEVELOPMENT,
    HOST,
    ISSUER,
    NAMES,
    NOTHING_REMEMBERED,
    NOW,
    PRODUCTION,
    TEMPLATE,
    UAT,
    Remembered,
    b64,
    mint,
    request,
)

GOOD = mint()
SECOND = int(NOW)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1800000000", 1800000000),
        ("0", 0),
        ("", 0),
        ("12abc", 12),
        ("1e3", 1),
        ("+7", 7),
        ("-1", -1),
        ("  42 ", 42),
        ("abc", 0),
        ("- 1", 0),
        ("٣", 0),
        ("1" * 30, 111111111111111),
    ],
)
def test_the_client_s_time_is_the_leading_integer(text: str, value: int):
    assert client_uat(text) == value


@given(st.text())
def test_any_text_is_a_time(text: str):
    assert isinstance(client_uat(text), int)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_time_of_any_size_can_be_reckoned_with(sign: int):
    peeked = peek(mint("key_2", iat=sign * 10**400, exp=sign * 10**400), NOTHING_REMEMBERED, NOW)
    assert peeked is not None
    assert (NOW - peeked.issued_at_s) * sign < 0
    assert (NOW - peeked.expires_at_s) * sign < 0


def test_a_token_is_peeked_without_its_signature():
    header, payload, _ = GOOD.split(".")
    peeked = peek(f"{header}.{payload}.AAAA", NOTHING_REMEMBERED, NOW)
    assert peeked is not None
    assert (peeked.issuer, peeked.session_id, peeked.user_id) == (ISSUER, "sess_1", "user_1")
    assert (peeked.issued_at_s, peeked.expires_at_s, peeked.is_session) == (SECOND - 5, SECOND + 55, True)


def test_a_verified_token_is_not_read_again():
    peeked = peek(GOOD, Remembered(GOOD), NOW)
    assert isinstance(peeked, SessionClaims)
    assert peeked.is_session


@pytest.mark.parametrize("token", ["", "junk", "a.b.c", f"{GOOD}=", "x" * 9000])
def test_what_is_no_token_says_nothing(token: str):
    assert peek(token, NOTHING_REMEMBERED, NOW) is None


@pytest.mark.parametrize("value", [None, False, 0, "", 0.0])
def test_an_issuer_that_is_nothing_is_absent(value: object):
    assert peek(mint(iss=value), NOTHING_REMEMBERED, NOW).issuer == ""


@pytest.mark.parametrize("value", [7, True, [], {}, [ISSUER]])
def test_an_issuer_that_is_no_text_is_not_ours(value: object):
    assert peek(mint(iss=value), NOTHING_REMEMBERED, NOW).issuer not in {"", ISSUER, HOST}


def test_odd_claims_are_absent():
    peeked = peek(mint(sid=1, sub=None, iat="5", exp=True), NOTHING_REMEMBERED, NOW)
    assert (peeked.session_id, peeked.user_id, peeked.issued_at_s, peeked.expires_at_s) == ("", "", 0, 0)


def test_the_class_is_seen():
    assert not peek(mint(header={"cat": TEMPLATE}), NOTHING_REMEMBERED, NOW).is_session


@given(
    st.lists(st.binary(max_size=20), min_size=3, max_size=3).map(lambda parts: ".".join(map(b64, parts))) | st.text()
)
def test_peeking_never_raises(token: str):
    peeked = peek(token, NOTHING_REMEMBERED, NOW)
    assert peeked is None or not isinstance(peeked, SessionClaims)


def evidence(cookies: dict, kind: InstanceKind = PRODUCTION, query: str = "", *known: str) -> Evidence:
    names = DEV_NAMES if kind is DEVELOPMENT else NAMES
    return gather(request(cookies, query=query), names, kind, HOST, Remembered(*known), NOW)


def test_what_was_peeked_is_at_hand_to_be_verified_and_nothing_else_is():
    cookies = {SESSION: [GOOD]}
    assert evidence(cookies).unverified == parse(GOOD)
    assert evidence(cookies, PRODUCTION, "", GOOD).unverified is None
    assert evidence({SESSION: ["junk"]}).unverified is None
    assert evidence({}).unverified is None


def test_nothing_is_evidence_of_nothing():
    found = evidence({})
    assert (found.token, found.peeked, found.client_uat_s, found.dev_browser) == ("", None, 0, "")
    assert not (found.suffixed)
    assert not (found.is_ambiguous)
    assert not (found.syncs_dev_browser)
    assert not (found.is_development)


def test_the_chosen_family_gives_session_client_and_dev_browser():
    other = mint(sid="sess_2")
    cookies = {
        SESSION: mint(iss="https://clerk.other.test"),
        CLIENT_UAT: "5",
        DEV_BROWSER: "plain",
        DEV_NAMES.session: other,
        DEV_NAMES.client_uat: UAT,
        DEV_NAMES.dev_browser: "suffixed",
    }
    found = evidence(cookies, DEVELOPMENT)
    assert (found.suffixed, found.token, found.client_uat_s) == (True, other, int(UAT))
    assert (found.dev_browser, found.is_development) == ("suffixed", True)


def test_plain_cookies_alone_are_the_plain_family():
    found = evidence({SESSION: GOOD, CLIENT_UAT: UAT, DEV_BROWSER: "plain"}, DEVELOPMENT)
    assert (found.suffixed, found.token, found.client_uat_s, found.dev_browser) == (False, GOOD, int(UAT), "plain")


@pytest.mark.parametrize(
    ("query", "dev_browser", "syncs"),
    [
        ("", "cookie", False),
        ("__clerk_db_jwt=url", "url", True),
        ("__clerk_db_jwt=", "cookie", True),
        ("a=b", "cookie", False),
    ],
)
def test_the_dev_browser_of_the_url_beats_the_cookie(query: str, dev_browser: str, syncs: bool):
    found = evidence({DEV_BROWSER: "cookie"}, DEVELOPMENT, query)
    assert (found.dev_browser, found.syncs_dev_browser) == (dev_browser, syncs)


NEWER, OTHER = mint(iat=SECOND - 1), mint(sid="sess_2")
FOREIGN = mint(iss="https://clerk.other.test", sid="sess_3", iat=SECOND - 2)
NAMELESS = mint(sid=...)


@pytest.mark.parametrize(
    ("values", "token", "ambiguous"),
    [
        pytest.param((GOOD, NEWER), NEWER, False, id="the newest of one session, sent last"),
        pytest.param((NEWER, GOOD), NEWER, False, id="the newest of one session, sent first"),
        pytest.param(("junk", GOOD), GOOD, False, id="junk in front"),
        pytest.param((GOOD, "junk"), GOOD, False, id="junk behind"),
        pytest.param(("junk", "more"), "junk", False, id="only junk"),
        pytest.param((GOOD, OTHER), GOOD, True, id="two sessions"),
        pytest.param((OTHER, GOOD), OTHER, True, id="two sessions the other way round"),
        pytest.param((FOREIGN, GOOD), GOOD, False, id="another instance's in front"),
        pytest.param((GOOD, FOREIGN), GOOD, False, id="another instance's behind"),
        pytest.param((GOOD, FOREIGN, OTHER), GOOD, True, id="two sessions beside another instance's"),
        pytest.param((NAMELESS, mint(sid=..., sub="user_2")), NAMELESS, True, id="two users without a session id"),
        pytest.param((GOOD, mint(sub="user_2")), GOOD, True, id="two users of one session id"),
        pytest.param((GOOD, *map(str, range(15))), GOOD, False, id="as much junk as is looked at"),
    ],
)
@pytest.mark.parametrize("name", [SESSION, NAMES.session])
def test_several_session_cookies_of_one_name(name: str, values: tuple[str, ...], token: str, ambiguous: bool):
    found = evidence({name: values, CLIENT_UAT: UAT, NAMES.client_uat: UAT} if name != SESSION else {name: values})
    assert (found.token, found.is_ambiguous) == (token, ambiguous)
    assert (found.peeked is None) is (values == ("junk", "more"))


@pytest.mark.parametrize("values", [(GOOD, *map(str, range(16))), (*map(str, range(16)), GOOD)])
def test_more_cookies_of_one_name_than_browsers_send_are_ambiguous_unread(values: tuple[str, ...]):
    found = evidence({SESSION: values})
    assert (found.peeked, found.is_ambiguous) == (None, True)


def test_two_sessions_in_the_family_that_is_not_chosen_do_not_matter():
    found = evidence({SESSION: (GOOD, OTHER), NAMES.session: NEWER, NAMES.client_uat: UAT})
    assert (found.token, found.is_ambiguous) == (NEWER, False)


def test_evidence_does_not_print_tokens():
    found = evidence({SESSION: GOOD, CLIENT_UAT: UAT, DEV_BROWSER: "db-s3cret"}, DEVELOPMENT)
    assert GOOD not in repr(found)
    assert "db-s3cret" not in repr(found)
