"""TLS to upstreams: who vouches for them, and what the gateway shows of itself (mutual TLS)."""

import ssl
from collections.abc import Iterator, Sequence

from gateway.core.settings_model import RouteSettings
from gateway.errors import Fault

_PEM = "give a readable file of certificates in PEM"
_PAIR = "give readable files in PEM that belong together, the key without a password"


def tls_context(route: RouteSettings) -> ssl.SSLContext | None:
    """Return the context for a route's upstream, or None where it speaks plain text.

    The system's trust counts, unless the route names certificates in its place.

    Raises:
        OSError: a file that the route names cannot be read, or is not what it should be (:class:`ssl.SSLError`).
    """
    if route.upstream is None or not route.upstream.startswith("https:"):
        return None
    context = ssl.create_default_context(cafile=route.tls_ca_file)
    if route.tls_certificate_file is not None:
        # A key that asks for a password would ask at the terminal.
        context.load_cert_chain(route.tls_certificate_file, route.tls_key_file, password=lambda: b"")
    if route.http == "2":
        context.set_alpn_protocols(["h2"])
    return context


def tls_faults(routes: Sequence[RouteSettings]) -> Iterator[Fault]:
    """Yield what is wrong with the files that routes name; not to be found by looking at the settings alone."""
    for number, route in enumerate(routes):
        if route.tls_ca_file is None and route.tls_certificate_file is None:
            continue
        try:
            ssl.create_default_context(cafile=route.tls_ca_file)
        except OSError as error:
            yield _fault(f"routes[{number}].tls_ca_file", route.tls_ca_file, error, _PEM)
            continue
        try:
            tls_context(route)
        except OSError as error:
            yield _fault(f"routes[{number}].tls_certificate_file", route.tls_certificate_file, error, _PAIR)


def _fault(setting: str, file: str | None, error: OSError, fix: str) -> Fault:
    is_missing = not isinstance(error, ssl.SSLError)
    problem = f"it cannot be read: {error.strerror}" if is_missing else "it does not hold what is asked for"
    return Fault(setting, f'"{file}"', problem, fix)
