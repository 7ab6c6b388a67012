"""Settings made into a running engine and its doors: the composition root.

The only place that knows which adapter stands behind which port; owns their closing.
"""

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from starlette.types import ASGIApp

from gateway.adapters.answer_stores import open_store
from gateway.adapters.backend_api import BackendApi, BackendMachines, BackendSessions
from gateway.adapters.extras import grpc_fault
from gateway.adapters.journal import JsonJournal, TextJournal
from gateway.adapters.jwks import PinnedKeys, RemoteKeys
from gateway.adapters.key_file import KeyFile
from gateway.adapters.key_load import Load, public_jwks
from gateway.adapters.upstream_tls import tls_context
from gateway.authenticator.driver import Authenticator
from gateway.authenticator.machines import Machines
from gateway.authenticator.shared_refreshes import SharedRefreshes
from gateway.authenticator.verified import VerifiedTokens
from gateway.core.case import Rules
from gateway.core.cookies import CookieNames
from gateway.core.frontend_api import base_url, issuers, known_pages, own_host, proxy_path, role
from gateway.core.identity import IdentityHeaders
from gateway.core.keys import pinned_key
from gateway.core.organization_sync import OrganizationPatterns, Pattern
from gateway.core.policy import SignIn, accounts_portal
from gateway.core.request_headers import IdentityNamespace, RequestHeaders
from gateway.core.rewriting import Rewriting
from gateway.core.routes import RouteTable
from gateway.core.settings_model import InstanceSettings, RouteSettings, Settings
from gateway.core.token_class import has_machines
from gateway.core.tokens import Expectations
from gateway.core.trust import Trust
from gateway.core.way_back import WayBack
from gateway.errors import ConfigurationError
from gateway.ports import Clock, Journal, SessionsApi
from gateway.sessions.backoff import Backoff
from gateway.sessions.client import SessionsClient
from gateway.sessions.machine_tokens import MachineTokensClient
from gateway.surfaces.decide import DecisionService
from gateway.surfaces.gate import Gate
from gateway.surfaces.middleware import GateMiddleware
from gateway.surfaces.status import Status

if TYPE_CHECKING:
    from gateway.surfaces.grpc_door import GrpcDoor
    from gateway.surfaces.proxy import Proxy


@dataclass(frozen=True, slots=True)
class Engine:
    """A gate with what stands behind it.

    Attributes:
        gate: judges requests.
        keys: the key source, for readiness.
        namespace: header names that only the gateway may write.
        names: the instance's cookies.
        sessions: tells whether a session lives; None where there is no secret key.
    """

    gate: Gate
    keys: RemoteKeys | PinnedKeys
    namespace: IdentityNamespace
    names: CookieNames
    sessions: BackendSessions | None
    _closers: tuple[Callable[[], Awaitable[None]], ...]

    async def close(self) -> None:
        """Finish what runs and close the connections."""
        for close in self._closers:
            await close()


def rules(settings: Settings) -> Rules:
    """Return the instance's rules."""
    instance = settings.instance
    key = instance.publishable_key
    return Rules(
        kind=key.kind,
        frontend_api=own_host(instance),
        names=CookieNames.of(key.cookie_suffix),
        handshake_base=base_url(instance),
        expected=Expectations(issuers(instance), frozenset(instance.authorized_parties), instance.clock_skew_s),
        refresh_methods=None if settings.refresh.methods is None else frozenset(settings.refresh.methods),
        has_refresh=settings.refresh.enabled and instance.secret_key is not None,
        has_api=instance.secret_key is not None,
        new_state=secrets.token_urlsafe,
        known_pages=known_pages(instance),
        organizations=OrganizationPatterns(
            tuple(map(Pattern.parse, instance.organization_patterns)),
            tuple(map(Pattern.parse, instance.personal_patterns)),
        ),
        role=role(instance),
        proxy_path=proxy_path(instance),
    )


def build(
    settings: Settings,
    clock: Clock = time.time,
    transport: httpx.AsyncBaseTransport | None = None,
    timer: Clock = time.monotonic,
    *,
    writes: bool = True,
    folder: Path | None = None,
) -> Engine:
    """Build the engine; nothing is connected before the first request.

    Args:
        settings: judged by :func:`gateway.core.settings.parse`.
        clock: Unix seconds.
        transport: carries the calls to the Backend API and the Frontend API; closed with the engine.
        timer: seconds; only differences count.
        writes: files are written; a command that only looks must not leave some that the gateway's user cannot read.
        folder: what the workers of one gateway share; None where this is the only one.
    """
    instance, cache = settings.instance, settings.cache
    transport = transport or httpx.AsyncHTTPTransport(trust_env=False)
    identity = IdentityHeaders(settings.identity.prefix, settings.identity.claims)
    verified = VerifiedTokens(
        identity.of, max_entries=cache.max_tokens, max_bytes=cache.max_bytes, skew_s=instance.clock_skew_s
    )
    secret_key = instance.secret_key
    client = SessionsClient(secret_key, api_url=instance.api_url, transport=transport) if secret_key else None
    load = client.jwks if client else public_jwks(keys_address(instance), transport)
    # A browser waits for these calls: an API that is not there is told at once, and the handshake is the second try.
    once = Backoff(attempts=1)
    trader = (
        SessionsClient(secret_key, api_url=instance.api_url, transport=transport, backoff=once, exact_type=True)
        if secret_key
        else None
    )
    keys = _keys(settings, load, verified.clear, timer, key_file(settings, clock, writes=writes))
    api = _sessions_api(settings, trader, timer, folder)
    authenticator = Authenticator(
        rules(settings),
        keys,
        verified,
        api,
        refresh=settings.refresh,
        machines=_machines(settings, transport, clock, timer),
        clock=clock,
        timer=timer,
    )
    gate = Gate(
        authenticator,
        RouteTable.build(settings.routes),
        Trust(settings.server.trusted_proxies, settings.server.allowed_hosts),
        identity,
        _sign_in(instance),
    )
    return Engine(
        gate,
        keys,
        IdentityNamespace(identity.prefix, identity.names),
        authenticator.rules.names,
        BackendSessions(trader) if trader else None,
        (authenticator.close, *((api.close,) if isinstance(api, SharedRefreshes) else ()), transport.aclose),
    )


def _sessions_api(
    settings: Settings, client: SessionsClient | None, timer: Clock, folder: Path | None
) -> SessionsApi | None:
    if client is None:
        return None
    budget_s = settings.refresh.budget_ms / 1000
    api = BackendApi(client, budget_s)
    store = open_store(settings.refresh, folder) if settings.refresh.enabled else None
    return SharedRefreshes(api, store, budget_s, timer=timer) if store is not None else api


def _sign_in(instance: InstanceSettings) -> SignIn:
    key = instance.publishable_key
    address = instance.sign_in_url or accounts_portal(key.frontend_api)
    return SignIn(address, key.kind, instance.is_satellite)


def keys_address(instance: InstanceSettings) -> str:
    """Return where the keys come from; empty where the settings hold the key."""
    if instance.jwt_key is not None:
        return ""
    if instance.secret_key is not None:
        return f"{instance.api_url}/v1/jwks"
    return f"{base_url(instance)}/.well-known/jwks.json"


def _keys(
    settings: Settings, load: Load, on_loss: Callable[[], None], timer: Clock, file: KeyFile | None
) -> RemoteKeys | PinnedKeys:
    if settings.instance.jwt_key is not None:
        return PinnedKeys(pinned_key(settings.instance.jwt_key))
    return RemoteKeys(load, on_loss, timer, settings=settings.keys, file=file, source=keys_address(settings.instance))


def key_file(settings: Settings, clock: Clock = time.time, *, writes: bool = True) -> KeyFile | None:
    """Return the file that keeps the keys, or None where the settings name none or the key is pinned."""
    if settings.instance.jwt_key is not None:
        return None
    path, instance = settings.keys.cache_file, settings.instance.publishable_key.value
    return KeyFile(Path(path), instance, settings.keys.stale_s, clock, writes=writes) if path is not None else None


def _machines(settings: Settings, transport: httpx.AsyncBaseTransport, clock: Clock, timer: Clock) -> Machines | None:
    if not any(has_machines(route.accepts) for route in settings.routes):
        return None
    instance, wanted = settings.instance, settings.machines
    client = MachineTokensClient(
        instance.secret_key,
        instance.machine_secret_key,
        api_url=instance.api_url,
        timeout_s=wanted.budget_ms / 1000,
        transport=transport,
    )
    return Machines(BackendMachines(client), wanted, clock, timer)


def proxy_app(  # noqa: PLR0913 - what an engine and a door can be given
    settings: Settings,
    journal: Journal | None = None,
    clock: Clock = time.time,
    transport: httpx.AsyncBaseTransport | None = None,
    *,
    timer: Clock = time.monotonic,
    asks_at_start: bool = False,
    folder: Path | None = None,
) -> "Proxy":
    """Return the reverse proxy as an ASGI application.

    Args:
        settings: judged by :func:`gateway.core.settings.parse`.
        journal: the access log; by default what the settings ask for.
        clock: Unix seconds.
        transport: carries the calls to the Backend API and the Frontend API.
        timer: seconds; only differences count.
        asks_at_start: the keys are asked for when the server starts, not when the first request comes.
        folder: what the workers of one gateway share.
    """
    # The transport's parser comes with the extra "serve"; the middleware does without it.
    from gateway.surfaces.opening import Destination  # noqa: PLC0415
    from gateway.surfaces.proxy import Life, Proxy  # noqa: PLC0415
    from gateway.surfaces.websockets import WebSockets  # noqa: PLC0415
    from gateway.upstream.upstreams import Upstreams  # noqa: PLC0415

    engine = build(settings, clock, transport, timer, folder=folder)
    private_cookies = frozenset(name.encode() for name in engine.names.private)
    upstreams = Upstreams(settings.upstreams, timer, tls_context)
    destinations = {}
    for route in engine.gate.routes.routes:
        if route.settings.upstream:
            headers = request_headers(route.settings, engine.namespace, private_cookies)
            pool, carrier = upstreams.of(route.settings)
            terms, origins = route.settings, carrier.origins if carrier is not None else (pool.origin.text,)
            back = WayBack.of(terms, origins)
            destinations[route.name] = Destination(pool, headers, terms, Rewriting.of(terms), carrier, back)

    sockets = WebSockets(engine.gate.authenticator, engine.sessions, settings.websocket, private_cookies)

    decide, journal = settings.decide, journal or journal_of(settings)
    decisions = DecisionService(engine.gate, decide.fronts, decide.trusted) if decide.fronts else None
    status = Status(engine.gate, engine.keys.warm, decisions)
    door = _grpc_door(settings, decisions, journal)

    def start() -> None:
        upstreams.start()
        if door is not None:
            door.start()
        if asks_at_start:
            engine.keys.start()

    async def close() -> None:
        if door is not None:
            await door.close()
        await sockets.close()
        await upstreams.close()
        await engine.close()

    life = Life(start, close)
    forwarded = settings.server.forwarded
    proxy = Proxy(
        engine.gate, status, destinations, private_cookies, journal, life, sockets=sockets, has_forwarded=forwarded
    )
    proxy.max_requests = settings.server.max_requests
    return proxy


def _grpc_door(settings: Settings, decisions: DecisionService | None, journal: Journal | None) -> "GrpcDoor | None":
    """Return the port where Envoy asks by gRPC, or None where the settings name none.

    Raises:
        ConfigurationError: the packages of the extra are missing.
    """
    listen = settings.decide.grpc_listen
    if listen is None or decisions is None:
        return None
    if (fault := grpc_fault(settings.decide)) is not None:
        raise ConfigurationError([fault])
    from gateway.surfaces.grpc_door import GrpcDoor  # noqa: PLC0415 - it comes with the extra "grpc"

    return GrpcDoor(decisions, listen, journal, settings.server.max_requests)


def request_headers(
    route: RouteSettings, namespace: IdentityNamespace, private_cookies: frozenset[bytes]
) -> RequestHeaders:
    """Return what makes the headers of a route's requests."""
    added = tuple((name.lower().encode(), value.encode()) for name, value in route.headers)
    return RequestHeaders(
        namespace.with_names(name for name, _ in added) if added else namespace,
        private_cookies,
        keep_credentials=route.keep_credentials,
        host=_host_header(route),
        added=added,
    )


def _host_header(route: RouteSettings) -> bytes | None:
    if route.host_header == "keep":
        return None
    # Where there are several servers the settings name one host for them.
    is_named = route.host_header != "upstream"
    return (route.host_header if is_named else (route.upstream or "").partition("://")[2]).encode()


def journal_of(settings: Settings) -> Journal | None:
    """Return the access log that the settings ask for, or None where they ask for none."""
    if not settings.log.access:
        return None
    return JsonJournal() if settings.log.format == "json" else TextJournal()


class SessionMiddleware(GateMiddleware):
    """Protects a Starlette, FastAPI or other ASGI application: ``app.add_middleware(SessionMiddleware, settings=…)``.

    The session is at ``request.state.session``; WebSockets are judged before they are accepted.

    Args:
        app: the application.
        settings: from :func:`gateway.core.settings.parse` with ``needs_upstream=False``.
        clock: Unix seconds.
        transport: carries the calls to the Backend API and the Frontend API; for tests.
        timer: seconds; only differences count.

    Attributes:
        settings: as they were given.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        clock: Clock = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
        timer: Clock = time.monotonic,
    ) -> None:
        engine = build(settings, clock, transport, timer)
        self.settings = settings
        super().__init__(app, engine.gate, engine.namespace, journal_of(settings), engine.close)
