"""Reading where things are: URLs, origins, hosts, networks, the address to listen on."""

import re
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from gateway.core.settings_model import Address, Network
from gateway.core.settings_values import BadValueError, text
from gateway.core.target import TargetError, canonical
from gateway.core.trust import HostError, canonical_host, with_port

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ORIGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[^/?#@]+)(?P<rest>[/?#].*)?")


def api_url(value: object) -> str:
    """Read the base URL of the API; the secret key is sent there, so it is https or loopback."""
    found = _base_url(value)
    if found.endswith("/v1"):
        raise BadValueError("it ends in /v1, which is added to it", f'write "{found.removesuffix("/v1")}"')
    return found


def proxy_url(value: object) -> str:
    """Read the URL that stands in for the Frontend API, or the path of the site's own origin that does."""
    found = text(value)
    if not found.startswith("/") or found.startswith("//"):
        return _base_url(found, 'https://app.example.com/__clerk", or a path of this site like "/__clerk')
    path = found.rstrip("/")
    try:
        is_plain = path != "" and canonical(path.encode()).decode() == path
    except TargetError:
        is_plain = False
    if not is_plain:
        raise BadValueError("it is no plain path", 'write one like "/__clerk", or an absolute URL')
    return path


def domain(value: object) -> str:
    """Read the domain of a satellite; its Frontend API has the name clerk in front of it."""
    found = text(value)
    try:
        name, port = canonical_host(found)
    except HostError:
        name, port = "", None
    if not name or "." not in name or name.startswith("[") or port is not None:
        raise BadValueError("it is not a domain", 'write only its name, like "satellite.example"')
    if name.startswith("clerk."):
        raise BadValueError('it starts with "clerk.", which is put in front of it', f'write "{name[6:]}"')
    return name


def page_url(value: object) -> str:
    """Read the absolute URL of a page."""
    found = text(value)
    _split(found, "https://accounts.example.com/sign-in")
    return found


def origin(value: object) -> str:
    """Read an origin as browsers write it (RFC 6454), since it is compared letter by letter."""
    found = text(value)
    match = _ORIGIN.fullmatch(found)
    if match is None:
        raise BadValueError("it is not an origin", 'write scheme and host, like "https://app.example.com"')
    scheme = match["scheme"].lower()
    try:
        host, port = canonical_host(match["host"])
    except HostError:
        raise BadValueError("its host is not valid", 'write scheme and host, like "https://app.example.com"') from None
    expected = f"{scheme}://{with_port(scheme, host, port)}"
    if found != expected:
        raise BadValueError("it is not an origin as browsers write it", f'write "{expected}"')
    return found


def upstream(value: object) -> str:
    """Read where a route's requests go: the name of an upstream, or the address of a server."""
    found = text(value)
    return found if _NAME.fullmatch(found) else server(found)


def upstream_name(value: object) -> str:
    """Read the name of an upstream."""
    found = text(value)
    if not _NAME.fullmatch(found):
        raise BadValueError("it is not a name", 'write small letters, digits, - and _, like "api"')
    return found


def server(value: object) -> str:
    """Read the address of a server: scheme, host, port; the request's own path is forwarded."""
    found = text(value)
    if found.startswith("unix:/") and "\0" not in found:
        return found
    parts = _split(found, "http://127.0.0.1:9000")
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"
    if "@" in parts.netloc:
        raise BadValueError("it holds a user name or password", f'write "{bare}"')
    if parts.path not in {"", "/"} or "?" in found or "#" in found:
        raise BadValueError("it has a path, query or fragment, but requests keep their own", f'write "{bare}"')
    return bare


def address(value: object) -> Address:
    """Read ``host:port``, an IPv6 host in brackets."""
    found = text(value)
    host, _, port = found.rpartition(":")
    example = '"127.0.0.1:8000", "[::1]:8000", or "0.0.0.0:8000" for every interface'
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadValueError("it has no port from 0 to 65535", f"write {example}")
    try:
        name, second_port = canonical_host(host)
    except HostError:
        raise BadValueError("its host is not valid", f"write {example}") from None
    if second_port is not None:
        raise BadValueError("it has two ports", f"write {example}")
    return Address(name.strip("[]"), int(port))


def network(value: object) -> Network:
    """Read a network or a single address."""
    found = text(value)
    try:
        return ip_network(found)
    except ValueError:
        pass
    try:
        wider = ip_network(found, strict=False)
    except ValueError:
        raise BadValueError("it is no network", 'write one like "10.0.0.0/8" or a single address') from None
    raise BadValueError(
        "it has bits set behind the prefix", f'write "{wider}", or the single address without the prefix'
    )


def host_pattern(value: object) -> str:
    """Read a host name or a ``*.`` pattern; lower-case, without port."""
    found = text(value)
    star = "*." if found.startswith("*.") else ""
    example = '"app.example.com" or "*.example.com"'
    if "*" in found.removeprefix("*."):
        raise BadValueError(
            "a wildcard may only be the whole first label", f"write {example}, or leave host out for any host"
        )
    try:
        name, port = canonical_host(found.removeprefix("*."))
    except HostError:
        raise BadValueError("it is not a host name", f"write {example}") from None
    if port is not None:
        raise BadValueError("hosts are compared without their port", f'write "{star}{name}"')
    return f"{star}{name}"


def host_name(value: object) -> str:
    """Read a host's name or address, without a port."""
    found = text(value)
    try:
        name, port = canonical_host(found)
    except HostError:
        raise BadValueError("it is not a host name", 'write a name alone, like "service.internal"') from None
    if port is not None:
        raise BadValueError("it has a port", f'write "{name}"')
    return name.strip("[]")


def host_header(value: object) -> str:
    """Read which Host the upstream gets: a word, or a host with or without a port."""
    found = text(value)
    if found in {"keep", "upstream"}:
        return found
    try:
        name, port = canonical_host(found)
    except HostError:
        fix = 'write "keep", "upstream" or one like "app.internal"'
        raise BadValueError("it is not a host name", fix) from None
    return name if port is None else f"{name}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _base_url(value: object, example: str = "https://api.clerk.com") -> str:
    found = text(value).rstrip("/")
    parts = _split(found, example)
    if "@" in parts.netloc or "?" in found or "#" in found:
        raise BadValueError("it has a user name, query or fragment", "write scheme, host and path only")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise BadValueError("it is plain http to another machine", "write https://; http is for loopback only")
    return found


def _split(found: str, example: str) -> SplitResult:
    bad = BadValueError("it is not an absolute http or https URL", f'write one like "{example}"')
    if not found.isprintable() or not found.isascii() or set(found) & set(' \\<>"{}|^`'):
        raise bad
    try:
        parts = urlsplit(found)
        canonical_host(parts.netloc.rpartition("@")[2])
    except ValueError:
        raise bad from None
    if parts.scheme not in {"http", "https"} or found[: len(parts.scheme)] != parts.scheme:
        raise bad
    return parts
