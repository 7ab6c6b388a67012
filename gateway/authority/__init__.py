"""The embedded session authority: Backend API, Frontend API and sign-in page of one instance, backed by SQLite.

Unless somebody checks who signs in, it is for development and tests. The names are loaded when they are first used, so
that a command which reads the database does not import what serves.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.authority.authority import Authority
    from gateway.authority.config import AuthorityConfig
    from gateway.authority.store.founding import Founding

__all__ = ["Authority", "AuthorityConfig", "Founding"]

_HOMES = {
    "Authority": "gateway.authority.authority",
    "AuthorityConfig": "gateway.authority.config",
    "Founding": "gateway.authority.store.founding",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gateway.authority' has no attribute {name!r}")
    return getattr(import_module(home), name)
