"""Reading the API's JSON: strict about types, tolerant of what is new."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sessions import Session, SessionStatus, SessionTask
from gateway.sessions.models import (
    RefreshedCookies,
    Token,
    WrongShape,
    read_directives,
    read_jwks,
    read_refreshed_cookies,
    read_session,
    read_session_list,
    read_token,
    session_json,
)
from tests.sessions.sessions_kit import SESSION, session

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


def test_recorded_session_is_read_whole():
    read = read_session(SESSION)
    assert (read.id, read.user_id, read.client_id) == (SESSION["id"], SESSION["user_id"], SESSION["client_id"])
    assert read.status == SessionStatus.ACTIVE
    assert read.expire_at_ms == 1717488000000
    assert read.tasks == ()
    assert read.latest_activity is not None
    assert (read.latest_activity.city, read.latest_activity.is_mobile) == ("San Francisco", False)


def test_session_goes_back_to_the_fields_it_came_from():
    assert session_json(read_session(SESSION)) == {**SESSION, "tasks": []}
    bare = session(latest_activity=None, actor={"sub": "user_admin"}, tasks=[{"key": "reset-password"}])
    assert session_json(read_session(bare)) == bare


def test_optional_fields_may_be_absent_and_unknown_fields_are_ignored():
    read = read_session(
        session(actor=..., tasks=..., latest_activity=..., last_active_organization_id=..., novelty={"a": 1})
    )
    assert (read.actor, read.tasks, read.latest_activity, read.last_active_organization_id) == (None, (), None, None)


def test_a_status_of_the_future_does_not_break_the_reading():
    assert read_session(session(status="frozen")).status == "frozen"


def test_tasks_of_a_pending_session_are_read():
    read = read_session(session(status="pending", tasks=[{"key": "choose-organization", "more": 1}]))
    assert read.tasks == (SessionTask("choose-organization"),)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"object": "client"}, "object is not 'session'"),
        ({"object": ...}, "object is not 'session'"),
        ({"id": ...}, "id is not a text"),
        ({"id": 7}, "id is not a text"),
        ({"user_id": None}, "user_id is not a text"),
        ({"status": True}, "status is not a text"),
        ({"created_at": "1716883200000"}, "created_at is not an integer"),
        ({"created_at": 1716883200000.0}, "created_at is not an integer"),
        ({"expire_at": True}, "expire_at is not an integer"),
        ({"last_active_at": None}, "last_active_at is not an integer"),
        ({"last_active_organization_id": 1}, "last_active_organization_id is not a text"),
        ({"actor": "someone"}, "actor: not an object"),
        ({"latest_activity": []}, "latest_activity: not an object"),
        ({"latest_activity": {"id": "a"}}, "latest_activity: is_mobile is not a boolean"),
        ({"latest_activity": {"id": "a", "is_mobile": 1}}, "latest_activity: is_mobile is not a boolean"),
        ({"latest_activity": {"id": "a", "is_mobile": True, "city": 1}}, "latest_activity: city is not a text"),
        ({"tasks": {}}, "tasks: not an array"),
        ({"tasks": ["reset-password"]}, "tasks: not an object"),
    ],
)
def test_a_session_of_another_shape_is_refused_by_the_name_of_the_field(changes, problem):
    with pytest.raises(WrongShape, match=f"^{problem}$"):
        read_session(session(**changes))


def test_list_carries_sessions_and_the_count_of_all_matches():
    page = read_session_list({"data": [SESSION], "total_count": 12})
    assert [found.id for found in page.data] == [SESSION["id"]]
    assert page.total_count == 12


def test_a_plain_array_is_a_list_that_does_not_tell_the_count():
    page = read_session_list([SESSION])
    assert ([found.id for found in page.data], page.total_count) == ([SESSION["id"]], None)


def test_a_session_can_be_put_into_a_set_whoever_acts_in_it():
    impersonated = read_session(session(actor={"sub": "user_admin"}))
    assert {impersonated, read_session(session(actor={"sub": "user_admin"}))} == {impersonated}
    with pytest.raises(AttributeError):
        impersonated.status = "revoked"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("sessions", "not an object"),
        ([SESSION, {}], r"data\[1\]: object is not 'session'"),
        ({"data": [SESSION]}, "total_count is not an integer"),
        ({"data": [], "total_count": -1}, "total_count is negative"),
        ({"data": {}, "total_count": 0}, "data is not an array"),
        ({"data": [SESSION, session(id=1)], "total_count": 2}, r"data\[1\]: id is not a text"),
    ],
)
def test_a_list_of_another_shape_is_refused(value, problem):
    with pytest.raises(WrongShape, match=f"^{problem}$"):
        read_session_list(value)


def test_token_and_cookies_do_not_show_themselves():
    token = read_token({"object": "token", "jwt": "ey.secret.jwt"})
    cookies = read_refreshed_cookies({"object": "cookies", "cookies": ["__session=secret; Path=/"]})
    assert token.jwt == "ey.secret.jwt"
    assert cookies.cookies == ("__session=secret; Path=/",)
    assert "secret" not in repr(token) + repr(cookies) + str(token) + str(cookies)


def test_cookies_are_accepted_without_their_tag():
    assert read_refreshed_cookies({"cookies": ["a=b"]}) == RefreshedCookies(("a=b",))


@pytest.mark.parametrize(
    "value",
    [
        {"object": "token", "jwt": "ey"},
        {"object": "token", "cookies": ["a=b"]},
        {"object": "cookies", "cookies": []},
        {"object": "cookies", "cookies": None},
        {"object": "cookies"},
        {"cookies": ["a=b", 1]},
        {"cookies": "a=b"},
        [],
        "cookies",
        True,
    ],
)
def test_anything_but_a_list_of_cookies_is_refused(value):
    with pytest.raises(WrongShape):
        read_refreshed_cookies(value)


@pytest.mark.parametrize("value", [{"object": "token"}, {"object": "token", "jwt": 1}, {"jwt": "ey"}, []])
def test_anything_but_a_token_is_refused(value):
    with pytest.raises(WrongShape):
        read_token(value)


def test_directives_and_keys_are_read():
    assert read_directives({"directives": ["a=b", "c=d"]}) == ("a=b", "c=d")
    assert read_jwks({"keys": [{"kid": "ins_1"}]}) == {"keys": [{"kid": "ins_1"}]}
    with pytest.raises(WrongShape, match=r"^keys\[0\]: not an object$"):
        read_jwks({"keys": ["ins_1"]})


@given(json_values)
def test_any_json_gives_a_model_or_a_refusal(value):
    for read, kind in [
        (read_session, Session),
        (read_token, Token),
        (read_refreshed_cookies, RefreshedCookies),
        (read_directives, tuple),
        (read_jwks, dict),
    ]:
        try:
            assert isinstance(read(value), kind)
        except WrongShape:
            continue


@given(st.sampled_from(sorted(SESSION)), json_values)
def test_any_value_in_a_field_gives_a_session_or_a_refusal(name, value):
    try:
        read = read_session({**SESSION, name: value})
    except WrongShape:
        return
    assert all(isinstance(text, str) for text in (read.id, read.user_id, read.client_id, read.status))
    assert type(read.created_at_ms) is int
