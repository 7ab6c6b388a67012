"""The world of one test: an instance, and what is made of it for applications, services and browsers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp

from gateway.assemble import SessionMiddleware
from gateway.authority.authority import Authority
from gateway.authority.config import AuthorityConfig
from gateway.authority.control import Clock
from gateway.authority.identifiers import new_id, new_secret
from gateway.authority.models import User
from gateway.authority.store.founding import Founding
from gateway.core.claims import session_claims
from gateway.core.identity import IdentityHeaders
from gateway.core.secret import Secret
from gateway.core.settings_model import Settings
from gateway.testing.adopting import APP_ORIGIN, Adoption
from gateway.testing.clients import AsyncSessionClient, SessionClient
from gateway.testing.forging import Signer, claims_of
from gateway.testing.instance import Instance
from gateway.testing.machines import MachineToken
from gateway.testing.people import NOBODY
from gateway.testing.running import RunningGateway, free_address, running_gateway, serving
from gateway.testing.session import Session
from gateway.testing.transports import Crossroads, in_process

_AUTHORITY_ORIGIN = "https://clerk.world.test"


class World(Instance):
    """An instance that lasts as long as a test; the fixture ``session_world``.

    Its authority is the embedded one, in memory. Engines, authority and tests share one clock, and no two worlds
    believe each other's tokens. Any thread may use it.
    """

    def __init__(self, authority: Authority, clock: Clock, signer: Signer) -> None:
        super().__init__(authority, clock, signer)
        self._adoption = Adoption(authority, clock, self.transport)

    @classmethod
    @contextmanager
    def open(cls, *, listens: bool = False) -> Iterator["World"]:
        """Open a world with nobody in it, and close it with all that was made of it.

        Args:
            listens: its authority takes requests on a port of this machine, for browsers; needs the extra "serve".

        Raises:
            WrongUse: the extra is not installed.
        """
        address = free_address() if listens else None
        clock = Clock()
        config = AuthorityConfig(origin=f"http://{address}" if address else _AUTHORITY_ORIGIN)
        signer = Signer(new_id("ins"))
        founding = Founding(signer.kid, Secret(new_secret("sk_test_")), Secret(signer.pem), NOBODY, int(clock() * 1000))
        authority = Authority.open(config, clock, founding)
        world = cls(authority, clock, signer)
        with world._stack as stack:
            stack.callback(authority.close)
            if address:
                stack.enter_context(serving([(world.api, address)]))
            yield world

    # Applications

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return what carries requests to the authority without a socket, for a client of the Sessions API, say."""
        return httpx.ASGITransport(in_process(self.api))

    def settings(self, given: Settings | Mapping[str, object] | None = None, *, origin: str = APP_ORIGIN) -> Settings:
        """Return settings of this instance.

        Args:
            given: settings whose instance is replaced; or a document as for ``parse_settings``, which needs to name no
                instance, e.g. ``{"routes": [{"path": "/health", "access": "public"}, {"path": "/"}]}``.
            origin: where the application is, as browsers see it.

        Raises:
            ConfigurationError: the document has faults.
        """
        return self._adoption.settings(given, (origin,))

    def protect(
        self,
        app: ASGIApp,
        settings: Settings | Mapping[str, object] | None = None,
        *,
        origin: str = APP_ORIGIN,
    ) -> ASGIApp:
        """Return an application behind a ``SessionMiddleware`` of this world; takes what :meth:`settings` takes."""
        return SessionMiddleware(app, **self._adoption.options(settings, (origin,)))

    def adopt(self, app: ASGIApp, *, origin: str = APP_ORIGIN) -> ASGIApp:
        """Return a copy of an application whose ``SessionMiddleware`` believes in this world; it keeps its routes.

        For other clients than ours, such as Starlette's ``TestClient``; ours do it themselves.

        Args:
            app: a Starlette or FastAPI application with the middleware, or the middleware itself.
            origin: where the application is, as browsers see it.

        Raises:
            WrongUse: there is no ``SessionMiddleware`` in front of it.
        """
        return self._adoption.application(app, (origin, APP_ORIGIN))

    def client(
        self,
        app: ASGIApp,
        *,
        signed_in: User | Session | None = None,
        organization: str | None = None,
        origin: str = APP_ORIGIN,
        **options: Any,
    ) -> SessionClient:
        """Return a client of an application, in the process; closed with the world, or as a context manager.

        Args:
            app: with a ``SessionMiddleware`` in front, whatever its settings; see :meth:`adopt`.
            signed_in: by cookies, as a browser.
            organization: slug or id of the active one.
            origin: where the application is, as browsers see it.
            options: of ``httpx.Client``.

        Raises:
            WrongUse: there is no ``SessionMiddleware``; or the user is not a member.
        """
        client = self.keep(SessionClient(self, self._crossroads(app, origin), origin, **options))
        if signed_in is not None:
            client.sign_in(signed_in, organization)
        return client

    def async_client(
        self,
        app: ASGIApp,
        *,
        signed_in: User | Session | None = None,
        organization: str | None = None,
        origin: str = APP_ORIGIN,
        **options: Any,
    ) -> AsyncSessionClient:
        """Return an asynchronous client, for ``async with``; takes what :meth:`client` takes."""
        client = AsyncSessionClient(self, self._crossroads(app, origin), origin, **options)
        if signed_in is not None:
            client.sign_in(signed_in, organization)
        return client

    # Services behind the gateway

    def identity_headers(
        self,
        who: User | Session | MachineToken | None = None,
        organization: str | None = None,
        *,
        settings: Settings | Mapping[str, object] | None = None,
    ) -> dict[str, str]:
        """Return the headers that the gateway would add to a request for the service behind it.

        Args:
            who: is signed in; None for nobody, as on routes with ``access = "optional"``.
            organization: slug or id of the active one.
            settings: as for :meth:`settings`; ``identity.prefix`` and ``identity.claims`` count.

        Raises:
            WrongUse: the user is not a member.
        """
        identity = self.settings(settings).identity
        headers = IdentityHeaders(identity.prefix, identity.claims)
        if who is None:
            pairs = headers.signed_out
        elif isinstance(who, MachineToken):
            pairs = headers.of_machine(who.claims)
        else:
            pairs = headers.of(session_claims(claims_of(self.token(who, organization))))
        return {name.decode(): value.decode() for name, value in pairs}

    def gateway(
        self, upstream: str | ASGIApp, settings: Settings | Mapping[str, object] | None = None
    ) -> RunningGateway:
        """Put a real gateway before a service, on a port of this machine, until the world is closed.

        Args:
            upstream: the URL of the service, or an ASGI application, which is served on a port too.
            settings: as for :meth:`settings`; routes that name no upstream get this one.

        Raises:
            WrongUse: the world does not listen; or the upstream is no URL.
            ConfigurationError: the settings have faults.
        """
        return self._stack.enter_context(running_gateway(self, self._adoption, upstream, settings))

    def _crossroads(self, app: ASGIApp, origin: str) -> ASGIApp:
        return Crossroads(self.adopt(app, origin=origin), {self._realm.config.host: in_process(self.api)})
