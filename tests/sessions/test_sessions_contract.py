"""One contract, two services: the client against recorded answers and against the embedded authority.

The authority is the real application behind an in-process transport; the recording answers by method and path.
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import httpx
import jwt
import pytest

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.errors import ApiRefused
from gateway.sessions import SessionsClient
from tests.sessions.sessions_kit import KEY, SESSION, USER_ID, Naps, error_body, session

ORIGIN = "http://127.0.0.1:8001"
APP = "http://127.0.0.1:8000"
NOW_S = 1_800_000_000.0


@dataclass
class Service:
    """Whom the client talks to in a test."""

    transport: httpx.AsyncBaseTransport
    key: str
    user_id: str
    api_url: str = ORIGIN
    clients: list[SessionsClient] = field(default_factory=list)

    def client(self, key: str = "") -> SessionsClient:
        return SessionsClient(
            key or self.key, api_url=self.api_url, transport=self.transport, backoff=Naps(attempts=1).backoff
        )


class Recording:
    """What the service answered, by method and path; it remembers only which sessions were created and revoked."""

    def __init__(self) -> None:
        self.statuses: dict[str, str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != f"Bearer {KEY}":
            return httpx.Response(401, json=error_body("clerk_key_invalid", "The provided key is invalid."))
        path = request.url.path.removeprefix("/v1")
        if path == "/jwks":
            return httpx.Response(200, json={"keys": [{"kid": "ins_1", "kty": "RSA", "alg": "RS256", "use": "sig"}]})
        if path == "/clients/handshake_payload":
            return httpx.Response(400, json=error_body("invalid_nonce"))
        if path == "/sessions":
            return self._collection(request)
        found = re.fullmatch(r"/sessions/([^/]+)(/.*)?", path)
        assert found is not None, path
        return self._one(found[1], found[2] or "")

    def _collection(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            if USER_ID.encode() not in request.content:
                return httpx.Response(404, json=error_body("resource_not_found"))
            session_id = f"sess_{len(self.statuses)}"
            self.statuses[session_id] = "active"
            return httpx.Response(200, json=self._session(session_id))
        query = request.url.params
        matching = [name for name in self.statuses if query.get("status") in {None, self.statuses[name]}][::-1]
        offset, limit = int(query["offset"]), int(query["limit"])
        data = [self._session(name) for name in matching[offset : offset + limit]]
        return httpx.Response(200, json={"data": data, "total_count": len(matching)})

    def _one(self, session_id: str, action: str) -> httpx.Response:
        if action == "/refresh":
            return httpx.Response(401, json=error_body("expired_session_token_invalid"))
        if session_id not in self.statuses or action == "/tokens/unknown":
            return httpx.Response(404, json=error_body("resource_not_found"))
        if action.startswith("/tokens"):
            token = jwt.encode({"sid": session_id}, "a-key-of-at-least-thirty-two-bytes", "HS256")
            return httpx.Response(200, json={"object": "token", "jwt": token})
        if action == "/revoke":
            self.statuses[session_id] = "revoked"
        return httpx.Response(200, json=self._session(session_id))

    def _session(self, session_id: str) -> dict[str, object]:
        return session(id=session_id, status=self.statuses[session_id], created_at=SESSION["created_at"])


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


def service_of(authority: Authority) -> Service:
    ada = next(user.id for user in authority.realm.directory.users() if user.first_name == "Ada")
    return Service(httpx.ASGITransport(authority.app), authority.secret_key.reveal(), ada)


@pytest.fixture(params=["recorded", "authority"])
def service(request: pytest.FixtureRequest) -> Service:
    if request.param == "recorded":
        return Service(httpx.MockTransport(Recording()), KEY, USER_ID)
    return service_of(request.getfixturevalue("authority"))


@pytest.fixture
async def client(service: Service) -> AsyncIterator[SessionsClient]:
    async with service.client() as opened:
        yield opened


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


async def test_list_gives_pages_newest_first_and_counts_all(client, service):
    ids = [(await client.create(service.user_id)).id for _ in range(3)]
    page = await client.list(user_id=service.user_id, limit=2)
    assert page.total_count == 3
    assert len(page.data) == 2
    rest = await client.list(user_id=service.user_id, limit=2, offset=2)
    assert {item.id for item in page.data + rest.data} == set(ids)
    times = [item.created_at_ms for item in page.data + rest.data]
    assert times == sorted(times, reverse=True)


async def test_iterate_gives_every_session_once(client, service):
    ids = {(await client.create(service.user_id)).id for _ in range(5)}
    found = [item.id async for item in client.iterate(user_id=service.user_id, page_size=2)]
    assert len(found) == 5
    assert set(found) == ids


async def test_a_revoked_session_leaves_the_active_ones(client, service):
    kept, revoked = await client.create(service.user_id), await client.create(service.user_id)
    assert (await client.revoke(revoked.id)).status == "revoked"
    active = await client.list(user_id=service.user_id, status="active")
    assert [item.id for item in active.data] == [kept.id]
    gone = await client.list(user_id=service.user_id, status="revoked")
    assert [item.id for item in gone.data] == [revoked.id]


async def test_a_minted_token_names_its_session(client, service):
    created = await client.create(service.user_id)
    token = await client.create_token(created.id, expires_in_s=60)
    assert jwt.decode(token.jwt, options={"verify_signature": False})["sid"] == created.id


async def test_unknown_things_are_404_with_the_api_s_code(client, service):
    created = await client.create(service.user_id)
    unknown = "sess_2GbDB4enNdCa5vS1zpC3Xzg9tK9"
    await refused(client.get(unknown), 404, "resource_not_found")
    await refused(client.revoke(unknown), 404, "resource_not_found")
    await refused(client.create_token(unknown), 404, "resource_not_found")
    await refused(client.create_token_from_template(created.id, "unknown"), 404, "resource_not_found")
    await refused(client.create("user_unknown"), 404, "resource_not_found")


async def test_a_wrong_key_is_401_and_is_not_shown(service):
    async with service.client("sk_test_wrongkeywrongkey") as stranger:
        error = await refused(stranger.jwks(), 401, "clerk_key_invalid")
    assert "wrongkey" not in str(error)


async def test_a_refused_refresh_is_401_with_the_api_s_code(client, service):
    created = await client.create(service.user_id)
    trade = client.refresh(
        created.id, expired_token="no.jwt", refresh_token="r", request_origin=APP, request_headers={}
    )
    await refused(trade, 401, "expired_session_token_invalid")


async def test_an_unknown_nonce_is_400(client):
    await refused(client.handshake_payload("unknown"), 400, "invalid_nonce")


async def test_keys_are_a_key_set(client):
    (key,) = (await client.jwks())["keys"]
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")


# What only a living service can answer: tokens that verify, and a browser's handshake.


@pytest.fixture
async def api(authority: Authority) -> AsyncIterator[SessionsClient]:
    async with service_of(authority).client() as opened:
        yield opened


@pytest.fixture
async def ada(authority: Authority) -> str:
    return service_of(authority).user_id


async def claims_of(api: SessionsClient, token: str) -> dict[str, object]:
    (key,) = (await api.jwks())["keys"]
    unchecked = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    return jwt.decode(token, jwt.PyJWK(key), ["RS256"], options=unchecked)


async def test_the_authority_s_token_verifies_and_carries_the_asked_origin(api, ada):
    created = await api.create(ada)
    claims = await claims_of(api, (await api.create_token(created.id, expires_in_s=120, origin=APP)).jwt)
    assert (claims["sid"], claims["sub"], claims["azp"]) == (created.id, ada, APP)
    assert claims["exp"] - claims["iat"] == 120


async def test_the_authority_s_template_token_verifies(api, ada, authority):
    created = await api.create(ada)
    (name,) = authority.realm.directory.template_names()
    claims = await claims_of(api, (await api.create_token_from_template(created.id, name)).jwt)
    assert claims["sub"] == ada
    assert "sid" not in claims


async def test_the_authority_verifies_a_session_with_its_token(api, ada):
    created = await api.create(ada)
    token = (await api.create_token(created.id)).jwt
    with pytest.warns(DeprecationWarning, match="verify"):
        assert (await api.verify(created.id, token)).id == created.id
    with pytest.warns(DeprecationWarning, match="verify"):
        await refused(api.verify(created.id, "no.jwt"), 400, "invalid_session_token")


async def test_the_authority_tells_which_field_is_wrong(api, ada):
    created = await api.create(ada)
    error = await refused(api.create_token(created.id, expires_in_s=1), 422, "form_param_value_invalid")
    assert dict(error.errors[0].meta)["param_name"] == "expires_in_seconds"


async def test_a_handshake_payload_is_fetched_once_and_its_session_refreshed(api, authority, now):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(authority.app), base_url=ORIGIN) as browser:
        ada = service_of(authority).user_id
        await browser.post("/sign-in", data={"user_id": ada, "organization_id": "", "redirect_url": f"{APP}/page"})
        query = {"redirect_url": f"{APP}/page", "format": "nonce", "suffixed_cookies": "true"}
        answer = await browser.get("/v1/client/handshake", params=query)
    nonce = httpx.URL(answer.headers["location"]).params["__clerk_handshake_nonce"]
    cookies = values_of(await api.handshake_payload(nonce))
    await refused(api.handshake_payload(nonce), 400, "invalid_nonce")

    now[0] += 90
    suffix = authority.publishable_key.cookie_suffix
    session_id = (await claims_of(api, cookies["__session"]))["sid"]
    trade = {
        "expired_token": cookies["__session"],
        "refresh_token": cookies[f"__refresh_{suffix}"],
        "request_origin": APP,
        "request_headers": {"cookie": ["a=b"], "user-agent": ["test"]},
    }
    refreshed = values_of((await api.refresh(session_id, **trade, suffixed_cookies=True)).cookies)
    claims = await claims_of(api, refreshed[f"__session_{suffix}"])
    assert (claims["sid"], claims["iat"]) == (session_id, int(now[0]))
    again = api.refresh(session_id, **trade, suffixed_cookies=True)
    await refused(again, 401, "session_refresh_expired_session_token_consumed")


def values_of(directives: tuple[str, ...]) -> dict[str, str]:
    pairs = [directive.partition(";")[0].partition("=") for directive in directives]
    return {name: value for name, _, value in pairs}
