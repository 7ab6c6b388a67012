"""All doors, started once; the tests of this folder run in one process (tests/conftest.py)."""

from collections.abc import Iterator

import pytest

from gateway.core.original import Front
from tests.attacks.attack_kit import Target
from tests.attacks.doors import middleware_door
from tests.fronts.corpus import MIDDLEWARE, PROXY, ROUTES
from tests.fronts.fronts_kit import Site, site
from tests.fronts.traefik_model import Model


@pytest.fixture(scope="session")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("fronts"), ROUTES) as found:
        yield found


@pytest.fixture(scope="session")
def doors(fronts: Site) -> Iterator[dict[str, Target]]:
    with middleware_door(ROUTES) as middleware:
        gateway = fronts.gateway
        app_port = int(fronts.upstream.server_address[1])
        traefik = Model(gateway.port, gateway.upstream, gateway.authority, gateway.log, app_port=app_port)
        yield {PROXY: gateway, MIDDLEWARE: middleware, Front.TRAEFIK: traefik, **fronts.doors}
