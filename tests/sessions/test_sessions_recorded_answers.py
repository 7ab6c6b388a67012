"""What the service may answer and a fresh authority does not: the client against recorded answers alone."""

import inspect

import pytest

from gateway.errors import ApiFailed, ApiRefused
from gateway.sessions import SessionsClient
from tests.sessions import contract_services, test_sessions_contract
from tests.sessions.recordings import FOLDER, load

SESSION_ID = "sess_2GbDB4enNdCa5vS1zpC3Xzg9tK9"
USER_ID = "user_2GbDB4enNdCa5vS1zpC3Xzg9tK8"


@pytest.fixture
def client(request: pytest.FixtureRequest) -> SessionsClient:
    return contract_services.recorded(request.function.__name__.removeprefix("test_")).client()


async def test_a_list_may_be_a_plain_array(client):
    page = await client.list(user_id=USER_ID)
    assert ([item.id for item in page.data], page.total_count) == ([SESSION_ID], None)


async def test_fields_and_statuses_of_the_future_are_taken(client):
    session = await client.get(SESSION_ID)
    assert (session.id, session.status) == (SESSION_ID, "frozen")


async def test_a_pending_session_says_what_it_owes_and_who_impersonates(client):
    session = await client.get(SESSION_ID)
    assert session.status == "pending"
    assert [task.key for task in session.tasks] == ["choose-organization", "setup-mfa"]
    assert session.actor == {"iss": "https://dashboard.clerk.com", "sub": "user_2GbDB4enNdCa5vS1zpC3Xzg9tK0"}
    assert session.latest_activity is not None
    assert (session.latest_activity.country, session.latest_activity.browser_name) == (None, "Safari")


async def test_a_charset_does_no_harm(client):
    assert (await client.get(SESSION_ID)).id == SESSION_ID


async def test_verify_may_be_gone(client):
    with pytest.warns(DeprecationWarning, match="verify"), pytest.raises(ApiRefused) as caught:
        await client.verify(SESSION_ID, "ey.a.b")
    assert (caught.value.status, caught.value.code) == (410, "operation_deprecated")


async def test_production_creates_no_session(client):
    with pytest.raises(ApiRefused) as caught:
        await client.create(USER_ID)
    assert (caught.value.status, caught.value.code) == (400, "request_invalid_for_environment")


async def test_an_unknown_version_is_refused(client):
    with pytest.raises(ApiRefused) as caught:
        await client.get(SESSION_ID)
    assert (caught.value.status, caught.value.code) == (400, "api_version_invalid")


async def test_several_errors_are_all_told_and_the_trace_is_the_ray_where_the_body_has_none(client):
    with pytest.raises(ApiRefused) as caught:
        await client.create(USER_ID)
    assert [dict(item.meta)["param_name"] for item in caught.value.errors] == ["user_id", "active_organization_id"]
    assert caught.value.trace_id.endswith("-FRA")


async def test_a_failure_keeps_the_list_of_errors_and_the_time_to_wait(client):
    for status, code, wait_s in [
        (409, "session_creation_not_allowed", None),
        (429, "too_many_requests", 7.0),
        (500, "internal_clerk_error", None),
    ]:
        with pytest.raises(ApiFailed) as caught:
            await client.create(USER_ID)
        assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (status, code, wait_s)
        assert caught.value.trace_id


async def test_a_page_of_the_network_in_between_is_a_failure_with_a_ray(client):
    with pytest.raises(ApiFailed) as caught:
        await client.create(USER_ID)
    assert (caught.value.status, caught.value.errors) == (502, ())
    assert caught.value.trace_id.endswith("-FRA")
    assert "<html>" not in str(caught.value)


def test_every_recording_is_a_story_and_carries_the_headers_of_the_api():
    tests = {**globals(), **vars(test_sessions_contract)}
    stories = {name.removeprefix("test_") for name, test in tests.items() if inspect.iscoroutinefunction(test)}
    recordings = {file.stem for file in FOLDER.glob("*.json")}
    assert recordings == stories - {"refused"}
    for story in recordings:
        for exchange in load(story):
            assert exchange["request"]["headers"]["clerk-api-version"] in {"2026-05-12", "2024-10-01"}
            assert {"date", "content-type", "cf-ray", "server"} <= set(exchange["answer"]["headers"])
