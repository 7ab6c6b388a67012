"""Where the Frontend API is, for browsers and for us, and which tokens and pages are its own.

The publishable key names it. A production satellite has one under its own domain (``clerk.<domain>``), and
``proxy_url`` may stand in for either in what browsers are told: an absolute URL, or a path of the site's own origin
(request-authentication section 1).
"""

from urllib.parse import urlsplit

from gateway.core.instance import InstanceKind
from gateway.core.policy import accounts_portal
from gateway.core.referrers import KnownPages
from gateway.core.satellites import Primary, Role, Satellite
from gateway.core.settings_model import InstanceSettings


def own_host(instance: InstanceSettings) -> str:
    """Return the host of this site's own Frontend API; what it issued is believed in plain cookies (section 3)."""
    key = instance.publishable_key
    if instance.is_satellite and instance.domain is not None and key.kind is InstanceKind.PRODUCTION:
        return f"clerk.{instance.domain}"
    return key.frontend_api


def proxy_path(instance: InstanceSettings) -> str:
    """Return the path of the own origin under which browsers reach it; empty where it is elsewhere."""
    return instance.proxy_url if instance.proxy_url is not None and instance.proxy_url.startswith("/") else ""


def base_url(instance: InstanceSettings) -> str:
    """Return its absolute address, without a trailing slash; a proxy under a path is left out."""
    proxy = "" if proxy_path(instance) else instance.proxy_url
    return (proxy or f"https://{own_host(instance)}").rstrip("/")


def issuers(instance: InstanceSettings) -> frozenset[str]:
    """Return the issuers whose tokens are this instance's.

    These are its Frontend API and its proxy; on a production satellite its own Frontend API and the primary's, which
    signs with the same keys. Whose *plain* cookies are believed is decided more strictly, by :func:`own_host` alone.
    A proxy under a path is another one on each origin; it is added when a request is judged.
    """
    return frozenset((f"https://{instance.publishable_key.frontend_api}", f"https://{own_host(instance)}")) | (
        frozenset() if instance.proxy_url is None or proxy_path(instance) else frozenset((base_url(instance),))
    )


def known_pages(instance: InstanceSettings) -> KnownPages | None:
    """Return the instance's own pages: those of its Frontend API, and where people sign in; None on a satellite.

    A satellite does not ask where a browser comes from; only a primary has to follow what happened elsewhere.
    """
    if instance.is_satellite:
        return None
    host = "" if proxy_path(instance) else urlsplit(base_url(instance)).hostname or ""
    portal = accounts_portal(instance.publishable_key.frontend_api)
    origin = "" if instance.proxy_url else portal.removesuffix("/sign-in")
    return KnownPages(host, origin, instance.publishable_key.kind is InstanceKind.DEVELOPMENT)


def role(instance: InstanceSettings) -> Role | None:
    """Return what this site is among its instance's domains; None for a production primary, which answers nobody."""
    is_development = instance.publishable_key.kind is InstanceKind.DEVELOPMENT
    if instance.is_satellite:
        return Satellite(instance.satellite_auto_sync, (instance.sign_in_url or "") if is_development else "")
    return Primary(frozenset(instance.satellite_origins)) if is_development else None
