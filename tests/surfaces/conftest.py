"""Worlds of both kinds of instance. Making a key takes longer than most tests, so each kind has one founding."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network

import pytest

from gateway.authority import Authority, AuthorityConfig, Founding
from gateway.authority.credentials import Credentials
from gateway.core.instance import InstanceKind
from gateway.core.settings_model import RouteSettings, ServerSettings
from tests.authenticator.engine_kit import NOW, Clock
from tests.surfaces.surfaces_kit import AUTHORITY, GATEWAY, World, settings_of

LOOPBACK = ServerSettings(trusted_proxies=(ip_network("127.0.0.0/8"),))

MakeWorld = Callable[..., World]


async def believe(credentials: Credentials) -> str:
    """Everybody is who they say."""
    return credentials.identifier


def config_of(kind: InstanceKind, public: str = GATEWAY) -> AuthorityConfig:
    """An authority without passwords; what production insists on is there."""
    if kind is InstanceKind.DEVELOPMENT:
        return AuthorityConfig(origin=AUTHORITY, kind=kind)
    return AuthorityConfig(origin=AUTHORITY, kind=kind, sign_in_check=believe, allowed_origins=(public,))


@pytest.fixture(scope="session")
def foundings() -> dict[InstanceKind, Founding]:
    configs = {kind: config_of(kind) for kind in InstanceKind}
    return {kind: Founding.generate(config, int(NOW * 1000)) for kind, config in configs.items()}


@pytest.fixture
def make_world(foundings: dict[InstanceKind, Founding]) -> Iterator[MakeWorld]:
    """Make a world: ``make_world(*routes, kind=…, public=…, **settings)``."""
    opened: list[Authority] = []

    def make(
        *routes: RouteSettings,
        kind: InstanceKind = InstanceKind.DEVELOPMENT,
        public: str = GATEWAY,
        **changes: object,
    ) -> World:
        clock = Clock()
        authority = Authority.open(config_of(kind, public), clock, foundings[kind])
        opened.append(authority)
        settings = settings_of(authority, *routes, **{"server": LOOPBACK, **changes})
        return World(authority, clock, settings, public)

    yield make
    for authority in opened:
        authority.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A development instance, every path protected."""
    return make_world()
