"""A real gateway on real ports, in threads of the test's process: clock, faults and sessions are the world's."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import anyio.abc
import anyio.from_thread
from starlette.types import ASGIApp

from gateway.assemble import proxy_app
from gateway.authority.models import User
from gateway.core.settings_addresses import upstream as read_upstream
from gateway.core.settings_model import Address, Settings
from gateway.core.settings_values import BadValueError
from gateway.testing.adopting import APP_ORIGIN, Adoption
from gateway.testing.clients import SessionClient
from gateway.testing.instance import Instance
from gateway.testing.session import Session
from gateway.testing.wrong_use import WrongUse

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningGateway:
    """A gateway that takes requests; made by :meth:`World.gateway <gateway.testing.world.World.gateway>`.

    Attributes:
        url: where it listens.
        world: whose sessions count.
    """

    url: str
    world: Instance = field(repr=False)

    def sign_in_cookies(self, who: User | Session, organization: str | None = None) -> list[dict[str, Any]]:
        """Return the cookies of a browser that is signed in, for Playwright's ``context.add_cookies``.

        Args:
            who: a user, for whom a session begins, or a session.
            organization: slug or id of the active one.

        Raises:
            WrongUse: the user is not a member.
        """
        session = self.world.session_of(who, organization, origin=self.url)
        own = [playwright_cookie(directive, self.url) for directive in session.set_cookies(self.url)]
        return [*own, playwright_cookie(session.authority_cookie(), self.world.authority_url)]

    def client(
        self, *, signed_in: User | Session | None = None, organization: str | None = None, **options: Any
    ) -> SessionClient:
        """Return an HTTP client of the gateway; takes what :meth:`World.client` takes."""
        client = self.world.keep(SessionClient(self.world, None, self.url, **options))
        if signed_in is not None:
            client.sign_in(signed_in, organization)
        return client


def playwright_cookie(directive: str, url: str) -> dict[str, Any]:
    """Return a ``Set-Cookie`` value in the form of Playwright's ``SetCookieParam``."""
    pair, *attributes = directive.split("; ")
    name, _, value = pair.partition("=")
    return {
        "name": name,
        "value": value,
        "url": url,
        "httpOnly": "HttpOnly" in attributes,
        "secure": "Secure" in attributes,
        "sameSite": "Lax",
    }


@contextmanager
def running_gateway(
    world: Instance,
    adoption: Adoption,
    upstream: str | ASGIApp,
    settings: Settings | Mapping[str, object] | None,
) -> Iterator[RunningGateway]:
    """Run a gateway until the block is left; see :meth:`World.gateway <gateway.testing.world.World.gateway>`."""
    if not world.authority_url.startswith("http:"):
        fix = "ask for the fixture session_gateway, or open it with World.open(listens=True)"
        raise WrongUse(f"browsers cannot reach the authority of this world: {fix}")
    address = free_address()
    url = f"http://{address}"
    judged = adoption.settings(settings, (url, f"http://localhost:{address.port}", APP_ORIGIN))
    behind: list[tuple[ASGIApp, Address]] = []
    if callable(upstream):
        behind = [(upstream, free_address())]
        upstream = f"http://{behind[0][1]}"
    target = _checked(upstream)
    routes = tuple(route if route.upstream else replace(route, upstream=target) for route in judged.routes)
    complete = replace(judged, routes=routes, server=replace(judged.server, listen=address))
    door = proxy_app(complete, None, adoption.clock, adoption.transport(), timer=adoption.clock)
    with serving([(door, address), *behind]):
        yield RunningGateway(url=url, world=world)


def _checked(upstream: object) -> str:
    try:
        return read_upstream(upstream)
    except BadValueError as bad:
        raise WrongUse(f"upstream {upstream!r}: {bad.problem}; {bad.fix}, or pass an ASGI application") from None


def free_address() -> Address:
    """Return an address of this machine that nobody listens on.

    Raises:
        WrongUse: the package's extra "serve" is not installed.
    """
    return server().reserve(Address(HOST, 0))  # type: ignore[no-any-return]


@contextmanager
def serving(apps: Sequence[tuple[ASGIApp, Address]]) -> Iterator[None]:
    """Serve applications until the block is left, in a thread.

    Raises:
        WrongUse: the package's extra "serve" is not installed.
        GatewayError: an application does not start.
    """
    serve_embedded = server().serve_embedded

    async def serve(*, task_status: anyio.abc.TaskStatus[asyncio.Event]) -> None:
        stop = asyncio.Event()
        await serve_embedded(apps, lambda: task_status.started(stop), stop)

    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        running, stop = portal.start_task(serve)
        try:
            yield
        finally:
            portal.call(stop.set)
            running.result()


def server(load: Callable[[str], Any] = import_module) -> Any:
    """Return the module that runs servers.

    Args:
        load: imports a module by its name.

    Raises:
        WrongUse: the package's extra "serve" is not installed, and tests without sockets do without it.
    """
    try:
        return load("gateway.cli.serving")
    except ModuleNotFoundError as missing:
        fix = "pip install 'session-gateway[serve]'"
        raise WrongUse(f"a gateway on a port needs the package {missing.name}: {fix}") from None
