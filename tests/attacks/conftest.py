"""The doors under attack, one of each for all tests of a process."""

from collections.abc import Iterator

import pytest

from tests.attacks.attack_kit import Target
from tests.attacks.doors import middleware_door, proxy_door


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The proxy alone: what is its business and no application's."""
    with proxy_door(tmp_path_factory.mktemp("attacks")) as target:
        yield target


@pytest.fixture(scope="session")
def middleware() -> Iterator[Target]:
    """The middleware alone."""
    with middleware_door() as target:
        yield target


@pytest.fixture(scope="session", params=["proxy", "middleware"])
def target(request: pytest.FixtureRequest) -> Target:
    """Either door: the same request has to get the same answer."""
    found: Target = request.getfixturevalue(request.param)
    return found
