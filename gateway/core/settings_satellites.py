"""Whether the settings of a satellite agree with each other.

What the reference finds out at each request, and answers with a 500, is a fault at load here (request-authentication
section 9).
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.core.instance import InstanceKind
from gateway.core.settings_model import InstanceSettings
from gateway.errors import Fault

_ELSEWHERE = "name the sign-in page of the primary, like https://primary.example/sign-in"


def satellite_faults(found: Mapping[str, Any], given: frozenset[str], server: Mapping[str, Any]) -> list[Fault]:
    """Return what keeps a satellite from working.

    Args:
        found: the good values of ``[instance]``.
        given: the keys of ``[instance]`` that are there, good or not.
        server: the good values of ``[server]``.
    """
    if not found.get("is_satellite"):
        return []
    faults = []
    key, domain = found.get("publishable_key"), found.get("domain")
    if not given & {"domain", "proxy_url"}:
        problem = "it is missing, and so is proxy_url: nothing says where a satellite's Frontend API is"
        faults.append(Fault("instance.domain", "", problem, 'write the satellite\'s own, like "satellite.example"'))
    if key is not None and key.kind is InstanceKind.DEVELOPMENT and "sign_in_url" not in given:
        problem = "it is missing: in development a satellite syncs through the sign-in page of the primary"
        faults.append(Fault("instance.sign_in_url", "", problem, _ELSEWHERE))
    if key is not None and domain is not None and key.frontend_api == f"clerk.{domain}":
        problem = "it is the domain of the primary, whose Frontend API the publishable key names"
        faults.append(Fault("instance.domain", f'"{domain}"', problem, "write the satellite's own"))
    return faults + _own_sign_in_faults(found.get("sign_in_url"), server.get("allowed_hosts", ()))


def _own_sign_in_faults(sign_in_url: str | None, allowed_hosts: Iterable[str]) -> list[Fault]:
    """Return the fault of a sign-in page that this site serves itself; with a port it may be another site."""
    if sign_in_url is None:
        return []
    parts = urlsplit(sign_in_url)
    if parts.port is not None or (parts.hostname or "") not in allowed_hosts:
        return []
    problem = "it is on a host of server.allowed_hosts, so on the satellite itself"
    return [Fault("instance.sign_in_url", f'"{sign_in_url}"', problem, _ELSEWHERE)]


def satellite_warnings(instance: InstanceSettings) -> Iterable[Fault]:
    """Return what counts for nothing as the settings are."""
    if not instance.is_satellite:
        if instance.domain is not None:
            fix = "set is_satellite = true, or leave it out"
            yield Fault("instance.domain", f'"{instance.domain}"', "it counts for a satellite only", fix)
        if instance.satellite_auto_sync:
            fix = "set is_satellite = true, or leave it out"
            yield Fault("instance.satellite_auto_sync", "true", "it counts for a satellite only", fix)
    is_primary = not instance.is_satellite and instance.publishable_key.kind is InstanceKind.DEVELOPMENT
    if instance.satellite_origins and not is_primary:
        listed = ", ".join(f'"{origin}"' for origin in instance.satellite_origins)
        problem = "it counts for the primary of a development instance only"
        yield Fault("instance.satellite_origins", f"[{listed}]", problem, "leave it out")
