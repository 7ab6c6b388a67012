"""One contract, several services: the client against recorded answers, the embedded authority and, on demand, the API.

Every test is a story. With the recording the requests are held to the recorded ones, with the authority its answers are
held to the recorded answers: status, Content-Type and the names of the fields.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.errors import ApiRefused
from gateway.sessions import RefreshedCookies, SessionsClient
from tests.sessions import contract_services
from tests.sessions.contract_services import APP, ORIGIN, Service, claims_of, values_of

NOW_S = 1_800_000_000.0
UNKNOWN = "sess_2GbDB4enNdCa5vS1zpC3Xzg9tZZ"


@pytest.fixture(scope="module")
def founding() -> Founding:
    return Founding.generate(AuthorityConfig(origin=ORIGIN), int(NOW_S * 1000))


@pytest.fixture
def now() -> list[float]:
    return [NOW_S]


@pytest.fixture
def authority(founding: Founding, now: list[float]) -> Iterator[Authority]:
    opened = Authority.open(AuthorityConfig(origin=ORIGIN), lambda: now[0], founding)
    yield opened
    opened.close()


@pytest.fixture(params=contract_services.names())
def service(request: pytest.FixtureRequest, now: list[float]) -> Service:
    story = request.function.__name__.removeprefix("test_")
    if request.param == "recorded":
        return contract_services.recorded(story)
    if request.param == "live":
        return contract_services.live()
    return contract_services.living(request.getfixturevalue("authority"), now, story)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[SessionsClient]:
    async with service.client() as opened:
        yield opened
    assert not getattr(service.transport, "rest", []), "the story goes on"


async def refused(call, status: int, code: str) -> ApiRefused:
    with pytest.raises(ApiRefused) as caught:
        await call
    assert (caught.value.status, caught.value.code) == (status, code)
    assert caught.value.errors[0].message
    assert caught.value.trace_id
    return caught.value


async def test_a_created_session_is_active_and_can_be_got(client, service):
    created = await client.create(service.user_id)
    assert (created.status, created.user_id) == ("active", service.user_id)
    assert created.expire_at_ms > created.created_at_ms
    got = await client.get(created.id)
    assert (got.id, got.client_id, got.created_at_ms) == (created.id, created.client_id, created.created_at_ms)


async def test_a_session_is_created_in_an_organization(client, service):
    if not service.organization_id:
        return
    created = await client.create(service.user_id, active_organization_id=service.organization_id)
    assert created.last_active_organization_id == service.organization_id


async def test_list_gives_pages_newest_first_and_counts_all(client, service):
    created = [await client.create(service.user_id) for _ in range(3)]
    page = await client.list(user_id=service.user_id, limit=2)
    assert page.total_count is not None
    assert page.total_count >= 3
    assert len(page.data) == 2
    rest = await client.list(user_id=service.user_id, limit=2, offset=2)
    assert {item.id for item in created} <= {item.id for item in page.data + rest.data}
    times = [item.created_at_ms for item in page.data + rest.data]
    assert times == sorted(times, reverse=True)


async def test_a_client_has_its_own_sessions(client, service):
    created = await client.create(service.user_id)
    page = await client.list(client_id=created.client_id)
    assert (page.total_count, [item.id for item in page.data]) == (1, [created.id])


async def test_iterate_gives_every_session_once(client, service):
    ids = {(await client.create(service.user_id)).id for _ in range(5)}
    found = [item.id async for item in client.iterate(user_id=service.user_id, page_size=2)]
    assert len(found) == len(set(found))
    assert ids <= set(found)


async def test_a_revoked_session_leaves_the_active_ones(client, service):
    kept, revoked = await client.create(service.user_id), await client.create(service.user_id)
    assert (await client.revoke(revoked.id)).status == "revoked"
    active = await client.list(user_id=service.user_id, status="active")
    gone = await client.list(user_id=service.user_id, status="revoked")
    assert kept.id in {item.id for item in active.data} - {item.id for item in gone.data}
    assert revoked.id in {item.id for item in gone.data} - {item.id for item in active.data}


async def test_a_minted_token_verifies_and_carries_session_origin_and_lifetime(client, service):
    created = await client.create(service.user_id)
    token = await client.create_token(created.id, expires_in_s=120, origin=APP)
    claims = claims_of(token.jwt, await client.jwks())
    assert (claims["sid"], claims["sub"], claims["azp"]) == (created.id, service.user_id, APP)
    assert claims["exp"] - claims["iat"] == 120


async def test_a_token_from_a_template_verifies_and_names_no_session(client, service):
    if not service.template_name:
        return
    created = await client.create(service.user_id)
    token = await client.create_token_from_template(created.id, service.template_name)
    claims = claims_of(token.jwt, await client.jwks())
    assert claims["sub"] == service.user_id
    assert "sid" not in claims


async def test_verify_takes_the_session_s_own_token(client, service):
    created = await client.create(service.user_id)
    token = await client.create_token(created.id)
    with pytest.warns(DeprecationWarning, match="verify"):
        assert (await client.verify(created.id, token.jwt)).id == created.id
    with pytest.warns(DeprecationWarning, match="verify"):
        await refused(client.verify(created.id, "no.jwt"), 400, "invalid_session_token")


async def test_unknown_things_are_404_with_the_api_s_code(client, service):
    created = await client.create(service.user_id)
    for call in (
        client.get(UNKNOWN),
        client.revoke(UNKNOWN),
        client.create_token(UNKNOWN),
        client.create_token_from_template(created.id, "unknown"),
        client.create("user_2GbDB4enNdCa5vS1zpC3Xzg9tZZ"),
    ):
        await refused(call, 404, "resource_not_found")


async def test_a_wrong_key_is_401_and_is_not_shown(service):
    async with service.client("sk_test_wrongkeywrongkey") as stranger:
        error = await refused(stranger.jwks(), 401, "clerk_key_invalid")
    assert "wrongkey" not in str(error)


async def test_a_value_out_of_range_is_422_and_its_field_is_named(client, service):
    created = await client.create(service.user_id)
    error = await refused(client.create_token(created.id, expires_in_s=1), 422, "form_param_value_invalid")
    assert dict(error.errors[0].meta)["param_name"] == "expires_in_seconds"
    await refused(client.list(user_id=service.user_id, limit=501), 422, "form_param_value_invalid")


async def test_a_token_that_is_none_is_not_traded(client, service):
    created = await client.create(service.user_id)
    trade = client.refresh(created.id, expired_token="no.jwt", refresh_token="r", request_origin=APP)
    await refused(trade, 401, "expired_session_token_invalid")


async def test_an_expired_token_is_traded_once_for_a_token(client, service):
    if service.sign_in is None:
        return
    browser = await service.sign_in()
    trade = {
        "expired_token": browser.expired_token,
        "refresh_token": browser.refresh_token,
        "request_origin": APP,
        "request_headers": {"user-agent": ["test"]},
        "request_originating_ip": "192.0.2.7",
    }
    token = await client.refresh(browser.session_id, **trade, format="token")
    assert claims_of(token.jwt, await client.jwks())["sid"] == browser.session_id
    again = client.refresh(browser.session_id, **trade, format="token")
    await refused(again, 401, "session_refresh_expired_session_token_consumed")


async def test_an_expired_token_is_traded_for_cookies(client, service):
    if service.sign_in is None:
        return
    browser = await service.sign_in()
    cookies = await client.refresh(
        browser.session_id,
        expired_token=browser.expired_token,
        refresh_token=browser.refresh_token,
        request_origin=APP,
        request_headers={"cookie": ["a=b"], "user-agent": ["test"]},
        suffixed_cookies=True,
    )
    assert isinstance(cookies, RefreshedCookies)
    token = [value for name, value in values_of(cookies.cookies).items() if name.startswith("__session")][-1]
    assert claims_of(token, await client.jwks())["sid"] == browser.session_id


async def test_a_handshake_payload_is_fetched_once(client, service):
    if service.handshake is None:
        return
    nonce = await service.handshake()
    cookies = values_of(await client.handshake_payload(nonce))
    assert {"__session", "__client_uat"} <= set(cookies)
    await refused(client.handshake_payload(nonce), 400, "invalid_nonce")


async def test_keys_are_a_key_set(client):
    (key, *_) = (await client.jwks())["keys"]
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
