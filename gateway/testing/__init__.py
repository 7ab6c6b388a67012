"""For those who test what stands behind the gateway or beside the middleware: sessions at will, offline.

    def test_me(session_world):
        ada = session_world.user("ada@example.com", organizations={"acme": "org:admin"})
        with session_world.client(app, signed_in=ada, organization="acme") as client:
            assert client.get("/me").json() == {"user": ada.id}

The fixtures ``session_world`` and ``session_gateway`` come with the package (:mod:`gateway.testing.plugin`); without
pytest, :meth:`World.open` does the same. Nothing here is imported by the rest of the package, and nothing of it before
it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.authority.control import BadRule, Clock, Faults, PlacedRule, Rule
    from gateway.authority.models import Organization, Role, User
    from gateway.testing.clients import AsyncSessionClient, SessionClient
    from gateway.testing.forging import signed_by_stranger, tampered, unsigned
    from gateway.testing.machines import MachineToken
    from gateway.testing.running import RunningGateway
    from gateway.testing.session import Session
    from gateway.testing.world import World
    from gateway.testing.wrong_use import WrongUse

__all__ = [
    "AsyncSessionClient",
    "BadRule",
    "Clock",
    "Faults",
    "MachineToken",
    "Organization",
    "PlacedRule",
    "Role",
    "Rule",
    "RunningGateway",
    "Session",
    "SessionClient",
    "User",
    "World",
    "WrongUse",
    "signed_by_stranger",
    "tampered",
    "unsigned",
]

_HOMES = {
    "Rule": "gateway.authority.control",
    "PlacedRule": "gateway.authority.control",
    "Faults": "gateway.authority.control",
    "BadRule": "gateway.authority.control",
    "AsyncSessionClient": "gateway.testing.clients",
    "Clock": "gateway.authority.control",
    "MachineToken": "gateway.testing.machines",
    "Organization": "gateway.authority.models",
    "Role": "gateway.authority.models",
    "RunningGateway": "gateway.testing.running",
    "Session": "gateway.testing.session",
    "SessionClient": "gateway.testing.clients",
    "User": "gateway.authority.models",
    "World": "gateway.testing.world",
    "WrongUse": "gateway.testing.wrong_use",
    "signed_by_stranger": "gateway.testing.forging",
    "tampered": "gateway.testing.forging",
    "unsigned": "gateway.testing.forging",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gateway.testing' has no attribute {name!r}")
    return getattr(import_module(home), name)
