"""Settings and applications made to believe in a world: its keys, its API, its clock, and no network.

Nothing is patched: settings are replaced by equal ones with another instance, and an application by a shallow copy
whose :class:`~gateway.assemble.SessionMiddleware` has those settings. The application itself stays as it is.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from gateway.assemble import SessionMiddleware
from gateway.authority.authority import Authority
from gateway.core.settings import parse
from gateway.core.settings_model import InstanceSettings, Settings
from gateway.testing.wrong_use import WrongUse

APP_ORIGIN = "http://testserver"
"""Where applications are unless said otherwise; the same as for Starlette's ``TestClient``."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """How one world is told to engines.

    Attributes:
        authority: whose sessions count.
        clock: Unix seconds, the authority's.
        transport: makes what carries calls to the authority.
    """

    authority: Authority
    clock: Callable[[], float]
    transport: Callable[[], httpx.AsyncBaseTransport]

    def settings(self, given: Settings | Mapping[str, object] | None, origins: tuple[str, ...]) -> Settings:
        """Return the settings with this instance in the place of their own.

        Args:
            given: settings, a document as for :func:`gateway.parse_settings` that needs to name no instance, or None.
            origins: where the application is, as browsers see it.

        Raises:
            ConfigurationError: the document has faults.
        """
        read = given if isinstance(given, Settings) else self._read(given or {})
        old, authority = read.instance, self.authority
        url = authority.frontend_api_url
        instance = InstanceSettings(
            publishable_key=authority.publishable_key,
            secret_key=authority.secret_key,
            api_url=authority.api_url,
            authorized_parties=origins,
            sign_in_url=f"{url}/sign-in",
            proxy_url=url if url.startswith("http:") else None,  # a key alone means https
            clock_skew_s=old.clock_skew_s,
            organization_patterns=old.organization_patterns,
            personal_patterns=old.personal_patterns,
        )
        hosts = tuple(str(urlsplit(origin).hostname) for origin in origins)
        server = read.server
        return replace(
            read,
            instance=instance,
            server=replace(server, allowed_hosts=(*server.allowed_hosts, *hosts) if server.allowed_hosts else ()),
            keys=replace(read.keys, cache_file=None),
            refresh=replace(read.refresh, store="none"),
        )

    def options(self, given: Settings | Mapping[str, object] | None, origins: tuple[str, ...]) -> dict[str, Any]:
        """Return the keyword arguments of ``SessionMiddleware``."""
        return {
            "settings": self.settings(given, origins),
            "clock": self.clock,
            "transport": self.transport(),
            "timer": self.clock,
        }

    def application(self, app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
        """Return the application with its middleware made anew.

        Raises:
            WrongUse: there is no ``SessionMiddleware`` in front of it.
        """
        adopted: ASGIApp | None = self._adopted(app, origins)
        if adopted is None:
            fix = "Add it (app.add_middleware(SessionMiddleware, settings=…)), or pass world.protect(app)."
            raise WrongUse(f"there is no SessionMiddleware in front of this {type(app).__name__}. {fix}")
        return adopted

    def _adopted(self, app: Any, origins: tuple[str, ...]) -> Any:
        if isinstance(app, SessionMiddleware):
            return SessionMiddleware(app.app, **self.options(app.settings, origins))
        if isinstance(app, Starlette):
            return self._adopted_starlette(app, origins)
        inner = self._adopted(app.app, origins) if hasattr(app, "app") else None
        if inner is None:
            return None
        outer = copy.copy(app)
        outer.app = inner
        return outer

    def _adopted_starlette(self, app: Starlette, origins: tuple[str, ...]) -> Starlette | None:
        middleware = [self._middleware(entry, origins) for entry in app.user_middleware]
        if not any(map(_is_ours, app.user_middleware)):
            return None
        adopted = copy.copy(app)
        adopted.user_middleware = middleware
        adopted.middleware_stack = None  # made with the first request, out of the list
        return adopted

    def _middleware(self, entry: Middleware, origins: tuple[str, ...]) -> Middleware:
        if not _is_ours(entry):
            return entry
        kwargs: dict[str, Any] = dict(entry.kwargs)
        return Middleware(entry.cls, *entry.args, **{**kwargs, **self.options(kwargs["settings"], origins)})

    def _read(self, document: Mapping[str, object]) -> Settings:
        named = document.get("instance")
        instance = {
            "publishable_key": self.authority.publishable_key.value,
            "secret_key": self.authority.secret_key.reveal(),
            **(named if isinstance(named, Mapping) else {}),
        }
        return parse({**document, "instance": instance}, needs_upstream=False)


def _is_ours(entry: Middleware) -> bool:
    return isinstance(entry.cls, type) and issubclass(entry.cls, SessionMiddleware)
