"""The fixtures, which pytest finds by itself. It reads this file in every run, so this imports next to nothing."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gateway.testing.running import RunningGateway
    from gateway.testing.world import World


@pytest.fixture
def session_world(request: pytest.FixtureRequest) -> "Iterator[World]":
    """An instance of its own: users, organizations, sessions, clock. Offline, and gone after the test."""
    from gateway.testing.world import World  # noqa: PLC0415

    # Browsers have to reach the instance's sign-in page, and its keys name the port.
    with World.open(listens="session_gateway" in request.fixturenames) as world:
        yield world


@pytest.fixture
def session_gateway(session_world: "World") -> "Callable[..., RunningGateway]":
    """Puts a real gateway before an upstream: ``session_gateway(upstream)``, a URL or an ASGI application."""
    return session_world.gateway
