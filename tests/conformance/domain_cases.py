"""What a case says about domains: satellites, primaries, where the Frontend API is, and who asked for a handshake."""

from collections.abc import Mapping
from typing import Any

from gateway.core.instance import InstanceKind
from tests.conformance.world import APP, ISSUER, PROXY, SATELLITE_ISSUER
from tests.core.minting import STATE

Table = Mapping[str, float]

# The state that ours ties to the browser; the reference gets the same request and knows nothing of it.
TABLES: dict[str, Table] = {
    "site": {"primary": 10, "satellite": 2, "satellite-unasked": 2},
    "address": {"": 12, "domain": 2, "proxy": 1, "path": 1, "domain-proxy": 0.7},
    "synced": {"": 10, "false": 1.5, "true": 1, "odd": 0.4, "false-true": 0.3},
    "asks": {"": 18, "listed": 1, "listed-query": 0.7, "unlisted": 0.5, "relative": 0.3, "script": 0.2, "empty": 0.2},
    "bound": {"yes": 14, "other": 1, "no-cookie": 1, "no-url": 1, "blocked": 1, "two-cookies": 0.5},
}

SIGN_IN = "https://primary.test/sign-in?from=here"
LISTED = "https://other.example.test"

_ASKED = {
    "listed": f"{LISTED}/page",
    "listed-query": f"{LISTED}/page?a=1&__clerk_synced=false&b=2&__clerk_synced=x#part",
    "unlisted": "https://evil.test/page",
    "relative": "/page",
    "script": "javascript:alert(1)",
    "empty": "",
}
_SYNCED = {"false": ["false"], "true": ["true"], "odd": ["odd"], "false-true": ["false", "true"]}
_ADDRESSES = {
    "": {},
    "domain": {"domain": "satellite.test"},
    "proxy": {"proxy_url": PROXY},
    "path": {"proxy_url": "/__clerk"},
    "domain-proxy": {"domain": "satellite.test", "proxy_url": PROXY},
}


def instance_of(kind: InstanceKind, parts: Mapping[str, str]) -> dict[str, Any]:
    """Our settings of the instance that have to do with domains."""
    address = parts["address"]
    settings: dict[str, Any] = dict(_ADDRESSES[address])
    if parts["site"] != "primary":
        settings |= {"is_satellite": True, "satellite_auto_sync": parts["site"] == "satellite-unasked"}
        settings |= {} if address else {"domain": "satellite.test"}
        settings |= {"sign_in_url": SIGN_IN} if kind is InstanceKind.DEVELOPMENT else {}
    elif kind is InstanceKind.DEVELOPMENT and parts["asks"]:
        settings["satellite_origins"] = [LISTED]
    return settings


def options_of(kind: InstanceKind, parts: Mapping[str, str], origin: str) -> dict[str, Any]:
    """The same as options of the reference; it does not pin the issuer by itself."""
    ours = instance_of(kind, parts)
    names = {
        "is_satellite": "isSatellite",
        "satellite_auto_sync": "satelliteAutoSync",
        "domain": "domain",
        "proxy_url": "proxyUrl",
        "sign_in_url": "signInUrl",
    }
    issuers = [ISSUER]
    if ours.get("is_satellite") and "domain" in ours and kind is InstanceKind.PRODUCTION:
        issuers.append(SATELLITE_ISSUER)
    if "proxy_url" in ours:
        proxy = ours["proxy_url"]
        issuers.append(f"{origin}{proxy}" if proxy.startswith("/") else proxy)
    return {names[key]: value for key, value in ours.items() if key in names} | {"issuer": issuers}


def query_of(parts: Mapping[str, str]) -> list[str]:
    """The parameters of the URL that have to do with domains and with what a handshake brings back."""
    query = [f"__clerk_synced={value}" for value in _SYNCED.get(parts["synced"], [])]
    if parts["asks"]:
        query.append(f"__clerk_redirect_url={_quoted(_ASKED[parts['asks']])}")
    return query


def state_query(parts: Mapping[str, str]) -> list[str]:
    """The state in the URL, where the request is one that comes back from a handshake."""
    comes_back = parts["nonce"] or parts["handshake"] or parts["bound"] != "yes"
    count = {"no-url": "", "blocked": "2"}.get(parts["bound"], "0")
    return [f"__gateway_state={count}.{STATE}"] if comes_back and count else []


def state_cookies(parts: Mapping[str, str]) -> list[tuple[str, str]]:
    """The state in the cookie."""
    held = {"no-cookie": [], "blocked": [], "other": ["t" * 43], "two-cookies": ["t" * 43, STATE]}
    return [("__Host-gateway_state", value) for value in held.get(parts["bound"], [STATE])]


def _quoted(text: str) -> str:
    return text.replace("%", "%25").replace("&", "%26").replace("#", "%23").replace("+", "%2B")


def origin_of(parts: Mapping[str, str]) -> str:
    """The public origin, after the trust decision."""
    return "https://shop.example.test" if parts["forwarded"].startswith("trusted") else APP
