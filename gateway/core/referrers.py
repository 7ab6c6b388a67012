"""Where a browser came from: whether a page of another site sent it here.

A session may have changed on another site of the same instance; coming from elsewhere, the browser asks the Frontend
API once (request-authentication section 6 B 13). Coming from the instance's own pages is not coming from elsewhere.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.core.handshake import redirect_count
from gateway.core.request import RequestFacts
from gateway.core.trust import DEFAULT_PORTS, HostError, canonical_host, with_port

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")
_HOSTED_OLD = (".lcl.dev", ".lclstage.dev", ".lclclerk.com")
_HOSTED = (".accounts.dev", ".accountsstage.dev", ".accounts.lclclerk.com")


@dataclass(frozen=True, slots=True)
class KnownPages:
    """The instance's own pages.

    Attributes:
        host: of the Frontend API, or of what stands in for it; any scheme and port; empty for the site's own host.
        origin: of the sign-in pages; empty for none.
        has_hosted: development instances have their pages on domains that all of them share.
    """

    host: str
    origin: str = ""
    has_hosted: bool = False

    def include(self, host: str, origin: str) -> bool:
        """Return whether a page there is the instance's own."""
        is_own = self.host != "" and host == self.host
        return is_own or origin == self.origin or (self.has_hosted and _is_hosted(host))


def comes_from_elsewhere(facts: RequestFacts, known: KnownPages) -> bool:
    """Whether this page is opened by a link or form on another site, for the first time in a row."""
    referer = facts.header("referer")
    if not referer or facts.method != "GET" or facts.header("sec-fetch-dest") != "document":
        return False
    if referer.startswith(f"{facts.url.origin}/"):
        return False  # as a rule it is a page of this site
    place = _place(referer)
    if place is None or place[1] == facts.url.origin:
        return False
    if not known.host and place[0] == canonical_host(facts.url.host)[0]:
        return False
    return not known.include(*place) and redirect_count(facts) == 0


def _place(address: str) -> tuple[str, str] | None:
    """Return host and origin, ``null`` for one without name (RFC 6454 section 6.2); None for no URL at all."""
    match = _SCHEME.match(address)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    if scheme not in DEFAULT_PORTS:
        return "", "null"
    try:
        host, port = canonical_host(urlsplit(address).netloc.rpartition("@")[2])
    except (HostError, ValueError):
        return None
    return host, f"{scheme}://{with_port(scheme, host, port)}"


def _is_hosted(host: str) -> bool:
    if host.startswith("accounts.") and host.endswith(_HOSTED_OLD):
        return True
    return any(host.endswith(ending) and not host.endswith(f".clerk{ending}") for ending in _HOSTED)
