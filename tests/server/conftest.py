"""Both event loops, and properties that are judged by what they say, not by how busy the machine is."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import HealthCheck, settings

settings.register_profile("server", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("server")

ON_BOTH = ("test_accepting.py", "test_connection.py", "test_listener.py")


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that ships; and the other where transports are what matters, since embedded servers run on that, too."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    return {**loops, "asyncio": asyncio.new_event_loop} if item.path.name in ON_BOTH else loops
