"""Which packages of an extra the settings ask for, and whether they are installed."""

from collections.abc import Callable
from importlib.util import find_spec

from gateway.core.settings_model import DecideSettings
from gateway.errors import Fault


def grpc_fault(decide: DecideSettings, find: Callable[[str], object] = find_spec) -> Fault | None:
    """Return what is missing on this machine for ``decide.grpc_listen``, or None.

    Args:
        decide: the settings.
        find: returns None for a package that is not installed.
    """
    if decide.grpc_listen is None or (find("grpc") is not None and find("envoy") is not None):
        return None
    problem, fix = "the packages grpcio and xds-protos are not installed", "pip install 'session-gateway[grpc]'"
    return Fault("decide.grpc_listen", f'"{decide.grpc_listen}"', problem, fix)
