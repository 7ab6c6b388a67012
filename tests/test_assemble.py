"""The composition root: which settings become which engine, and who closes what."""

from collections.abc import Iterator
from ipaddress import ip_network

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.adapters.journal import JsonJournal, TextJournal
from gateway.adapters.jwks import PinnedKeys, RemoteKeys
from gateway.assemble import build, journal_of, key_file, proxy_app, rules
from gateway.authority import Authority, AuthorityConfig
from gateway.core.instance import InstanceKind, PublishableKey
from gateway.core.keys import key_set
from gateway.core.secret import Secret
from gateway.core.settings_model import (
    Access,
    IdentitySettings,
    InstanceSettings,
    KeysSettings,
    LogSettings,
    RefreshSettings,
    RouteSettings,
    ServerSettings,
    Settings,
)
from gateway.core.verdict import State
from tests.authenticator.engine_kit import (
    HOST,
    ISSUER,
    KEY,
    NAMES,
    Clock,
    directives,
    expired,
    jwks,
    mint,
    settle,
    signer,
)
from tests.surfaces.surfaces_kit import PAGE, Api, Wire, scope_of


def instance(**changes: object) -> InstanceSettings:
    return InstanceSettings(**{"publishable_key": KEY, **changes})


def pem() -> str:
    key = signer("key_1").private_key.public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def authority() -> Iterator[Authority]:
    opened = Authority.open(AuthorityConfig(origin="http://127.0.0.1:8001"), Clock())
    yield opened
    opened.close()


class NoNetwork(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    async def aclose(self) -> None:
        self.is_closed = True


# Rules


def test_the_rules_follow_from_the_instance():
    made = rules(Settings(instance=instance(secret_key=Secret("sk_live_x"), authorized_parties=("https://a.test",))))
    assert (made.kind, made.frontend_api) == (InstanceKind.PRODUCTION, HOST)
    assert made.handshake_base == ISSUER
    assert made.names.session == f"__session_{KEY.cookie_suffix}"
    assert made.expected.authorized_parties == frozenset({"https://a.test"})
    assert made.expected.skew_s == 5.0
    assert (made.has_api, made.has_refresh, made.refresh_methods) == (True, True, None)


@pytest.mark.parametrize(
    ("secret_key", "enabled", "has_refresh"),
    [(Secret("sk_live_x"), True, True), (Secret("sk_live_x"), False, False), (None, True, False)],
)
def test_a_refresh_needs_a_secret_key_and_the_setting(secret_key, enabled, has_refresh):
    refresh = RefreshSettings(enabled=enabled, methods=("GET",))
    made = rules(Settings(instance=instance(secret_key=secret_key), refresh=refresh))
    assert (made.has_refresh, made.has_api) == (has_refresh, secret_key is not None)
    assert made.refresh_methods == frozenset({"GET"})


# Keys


async def test_a_pinned_key_is_used_without_any_network():
    transport = NoNetwork()
    settings = Settings(instance=instance(jwt_key=pem(), secret_key=Secret("sk_live_x")))
    engine = build(settings, Clock(), transport)
    assert isinstance(engine.keys, PinnedKeys)
    admission = await engine.gate.admit(scope_of("/", ("authorization", f"Bearer {mint('key_2')}")))
    assert admission.verdict.reason == "token-invalid-signature"
    admission = await engine.gate.admit(scope_of("/", ("authorization", f"Bearer {mint()}")))
    assert admission.session.user_id == "user_1"
    await engine.close()
    assert transport.is_closed


async def test_with_a_secret_key_the_keys_come_from_the_backend_api(authority):
    await load_keys(authority, authority.secret_key, "/v1/jwks")


async def test_without_one_they_come_from_the_public_address(authority):
    await load_keys(authority, None, "/.well-known/jwks.json")


async def load_keys(authority: Authority, secret_key: Secret | None, path: str) -> None:
    api = Api(authority)
    settings = Settings(
        instance=instance(
            publishable_key=authority.publishable_key,
            secret_key=secret_key,
            api_url=authority.api_url,
            proxy_url=authority.frontend_api_url,
        )
    )
    engine = build(settings, Clock(), api)
    assert isinstance(engine.keys, RemoteKeys)
    assert api.calls == []
    assert (await engine.keys.warm()).is_ready
    assert api.calls == [path]
    await engine.close()
    assert api.is_closed


async def test_without_a_transport_of_their_own_calls_go_by_the_network():
    engine = build(Settings(instance=instance(jwt_key=pem())), Clock())
    assert (await engine.gate.admit(scope_of("/"))).verdict.state is State.SIGNED_OUT
    await engine.close()


async def test_a_key_file_belongs_to_the_instance_and_counts_as_long_as_the_settings_say(tmp_path):
    path = tmp_path / "keys.json"
    settings = Settings(instance=instance(), keys=KeysSettings(cache_file=str(path), stale_s=1000))
    clock = Clock()
    await key_file(settings, clock).keep(key_set(jwks("key_1")))
    engine = build(settings, clock, NoNetwork())
    assert (engine.keys.status().state, round(engine.keys.status().usable_for_s)) == ("from-file", 1000)
    await engine.close()
    clock.advance(1001)
    assert build(settings, clock, NoNetwork()).keys.status().state == "missing"
    assert key_file(Settings(instance=instance())) is None


# What is shared


@pytest.mark.parametrize("enabled", [True, False])
async def test_workers_that_have_a_folder_trade_an_expired_token_once(authority, tmp_path, *, enabled):
    tmp_path.chmod(0o700)
    settings = Settings(
        instance=instance(secret_key=Secret("sk_live_x"), jwt_key=pem()), refresh=RefreshSettings(enabled=enabled)
    )
    api = Trading()
    engines = [build(settings, Clock(), api, folder=tmp_path) for _ in range(3)]
    cookies = f"{NAMES.session}={expired()}; {NAMES.client_uat}=1700000000; {NAMES.refresh}=rt_1"
    for engine in engines:
        admission = await engine.gate.admit(scope_of("/", ("cookie", cookies)))
        assert admission.verdict.state is (State.SIGNED_IN if enabled else State.SIGNED_OUT)
    for engine in engines:
        await engine.close()
    assert api.calls == (1 if enabled else 0)


async def test_hosts_that_name_a_server_share_it_with_and_without_workers(tmp_path):
    refresh = RefreshSettings(store=Secret("redis://:hunter2@127.0.0.1:1"))
    settings = Settings(instance=instance(secret_key=Secret("sk_live_x"), jwt_key=pem()), refresh=refresh)
    for folder in (None, tmp_path):
        engine = build(settings, Clock(), Trading(), folder=folder)
        assert "redis://127.0.0.1:1" in repr(engine.gate.authenticator._api._store)
        assert "hunter2" not in repr(settings)
        await engine.close()
    assert list(tmp_path.iterdir()) == []


class Trading(httpx.AsyncBaseTransport):
    """The API, which trades a token once."""

    def __init__(self) -> None:
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return httpx.Response(
            200 if self.calls == 1 else 500, json={"object": "cookies", "cookies": directives(mint())}
        )


# The gate


async def test_people_sign_in_at_the_hosted_page_unless_the_settings_name_another():
    key = PublishableKey.encode(InstanceKind.PRODUCTION, "clerk.example.test")
    for sign_in_url, start in (
        (None, "https://accounts.example.test/sign-in?redirect_url="),
        ("https://login.test/in", "https://login.test/in?redirect_url="),
    ):
        settings = Settings(instance=instance(publishable_key=key, jwt_key=pem(), sign_in_url=sign_in_url))
        engine = build(settings, Clock())
        admission = await engine.gate.admit(scope_of("/page", *PAGE.items()))
        assert dict(admission.answer.headers)[b"location"].decode().startswith(start)
        await engine.close()


async def test_prefix_and_claims_of_the_identity_headers_are_settings():
    identity = IdentitySettings(prefix="X-Auth-", claims=(("X-User-Email", "user.email"),))
    engine = build(Settings(instance=instance(jwt_key=pem()), identity=identity), Clock())
    token = mint(user={"email": "ada@example.com"})
    admission = await engine.gate.admit(scope_of("/", ("authorization", f"Bearer {token}")))
    assert dict(admission.identity)[b"x-auth-user-id"] == b"user_1"
    assert dict(admission.identity)[b"x-user-email"] == b"ada@example.com"
    assert b"x_user_email" in engine.namespace
    assert b"x-auth-anything" in engine.namespace
    assert b"x-session-user-id" not in engine.namespace
    await engine.close()


async def test_trust_and_allowed_hosts_are_settings():
    server = ServerSettings(trusted_proxies=(ip_network("192.0.2.0/24"),), allowed_hosts=("app.example.test",))
    engine = build(Settings(instance=instance(jwt_key=pem()), server=server), Clock())
    admission = await engine.gate.admit(scope_of("/", ("x-forwarded-for", "203.0.113.9")))
    assert admission.facts.client == "203.0.113.9"
    admission = await engine.gate.admit(scope_of("/", ("x-forwarded-host", "evil.test")))
    assert admission.answer.status == 400
    await engine.close()


# The journal


@pytest.mark.parametrize(
    ("log", "journal"),
    [
        (LogSettings(), type(None)),
        (LogSettings(format="json"), type(None)),
        (LogSettings(access=True), TextJournal),
        (LogSettings(access=True, format="json"), JsonJournal),
    ],
)
def test_the_journal_is_what_the_settings_ask_for(log, journal):
    assert type(journal_of(Settings(instance=instance(), log=log))) is journal


# The proxy


async def test_the_proxy_answers_for_itself_and_refuses_by_the_same_gate():
    routes = (
        RouteSettings(path="/", upstream="http://127.0.0.1:9"),
        RouteSettings(path="/api", upstream="http://127.0.0.1:9", access=Access.OPTIONAL),
    )
    transport = NoNetwork()
    app = proxy_app(Settings(instance=instance(jwt_key=pem()), routes=routes), clock=Clock(), transport=transport)
    for path, status in (("/.gateway/healthz", 200), ("/.gateway/readyz", 200), ("/.gateway/whoami", 401), ("/", 401)):
        wire = Wire()
        await app(scope_of(path), wire.receive, wire.send)
        assert (path, wire.status) == (path, status)
    wire = Wire({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await app({"type": "lifespan"}, wire.receive, wire.send)
    assert [message["type"] for message in wire.sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert transport.is_closed


@pytest.mark.parametrize("asks", [True, False])
async def test_the_proxy_asks_for_the_keys_at_its_start_where_that_is_wanted(authority, asks):
    api = Api(authority)
    settings = Settings(instance=instance(publishable_key=authority.publishable_key, secret_key=authority.secret_key))
    app = proxy_app(settings, clock=Clock(), transport=api, asks_at_start=asks)
    messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, object]:
        await settle(50)
        return {"type": next(messages)}

    await app({"type": "lifespan"}, receive, Wire().send)
    assert api.calls == (["/v1/jwks"] if asks else [])
