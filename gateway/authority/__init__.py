"""The embedded session authority: Backend API, Frontend API and sign-in page of one instance, backed by SQLite.

It is for development and tests: its sign-in asks for no password.
"""

from gateway.authority.authority import Authority
from gateway.authority.config import AuthorityConfig
from gateway.authority.store.founding import Founding

__all__ = ["Authority", "AuthorityConfig", "Founding"]
