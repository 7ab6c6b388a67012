"""Satellite domains: other domains of one instance, whose browsers learn of a session by a redirect.

People sign in on the primary's domain. A satellite sends a browser that brings nothing to its Frontend API (production)
or to the primary's sign-in page (development), where the primary sends it back with the dev browser's token. Facts:
request-authentication section 9.

That token is worth a session. The reference hands it to whatever address the query names (quirk Q5); here the primary
answers only the origins that its settings list.
"""

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from gateway.core.cookies import DEV_BROWSER
from gateway.core.handshake import clean_url, query_value, with_query, with_query_set
from gateway.core.reasons import Reason
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.trust import HostError, canonical_host, with_port

SYNCED = "__clerk_synced"
"""Query parameter: ``false`` asks the satellite to sync, ``true`` says that it was done."""

ANSWER_TO = "__clerk_redirect_url"
"""Query parameter: the satellite's address that the primary sends the browser back to."""

_MAX_ADDRESS = 2048
# Browsers and parsers disagree about odd addresses; only the plain form passes: http or https, a host, visible ASCII
# without backslashes (attacks, item 24).
_ADDRESS = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@\\]+)(?P<rest>(?:[/?#][!-\[\]-~]*)?)")


@dataclass(frozen=True, slots=True)
class Satellite:
    """This site is a satellite.

    Attributes:
        syncs_unasked: a browser that brings nothing is sent to sync at once; otherwise it is signed out until the
            sign-in page sends it back with ``__clerk_synced=false``.
        primary: the sign-in page of the primary, which answers in development; empty in production, where the
            Frontend API does.
    """

    syncs_unasked: bool = False
    primary: str = ""


@dataclass(frozen=True, slots=True)
class Primary:
    """This site is the primary of a development instance.

    Attributes:
        origins: of the satellites that are answered.
    """

    origins: frozenset[str] = frozenset()


Role = Satellite | Primary


class Sync(Enum):
    """What a request has to do with satellites."""

    UNASKED = "a satellite's page is opened with neither session nor client, and nobody asked for a sync"
    NEEDED = "a satellite's page is opened with neither session nor client, or by a URL that asks for a sync"
    ANSWER = "the URL asks the primary to answer one of its satellites"
    NOT_LISTED = "the URL asks the primary to answer an origin that it does not know"
    OWN_SIGN_IN = "the sign-in page is the satellite's own, so there is nowhere to sync from"


NOTES = {
    Sync.NOT_LISTED: f"{ANSWER_TO} was not answered: its origin is not in instance.satellite_origins",
    Sync.OWN_SIGN_IN: "this satellite does not sync: instance.sign_in_url is on its own origin; name the primary's",
}
"""What the operator is told where a request asks for something that is not done."""


def sync_of(facts: RequestFacts, role: Role, *, has_session: bool) -> Sync | None:
    """Return what a request has to do with satellites, or None for nothing.

    Args:
        facts: the request.
        role: of this site.
        has_session: the cookies name a session or an active client.
    """
    if isinstance(role, Primary):
        address = query_value(facts.url, ANSWER_TO)
        if not address:
            return None
        return Sync.ANSWER if _allowed(address, role.origins) else Sync.NOT_LISTED
    synced = query_value(facts.url, SYNCED)
    if facts.method != "GET" or facts.header("sec-fetch-dest") != "document" or synced == "true":
        return None
    if has_session and synced != "false":
        return None
    if synced != "false" and not role.syncs_unasked:
        return Sync.UNASKED
    return Sync.OWN_SIGN_IN if role.primary and _origin(role.primary) == facts.url.origin else Sync.NEEDED


def asks_primary(facts: RequestFacts, role: Role | None) -> bool:
    """Whether a request asks this site, as the primary, to answer one of its satellites; Bearer tokens ask nothing."""
    if not isinstance(role, Primary) or facts.bearer is not None:
        return False
    return sync_of(facts, role, has_session=False) is Sync.ANSWER


def destination(facts: RequestFacts, role: Role | None, reason: str, dev_browser: str) -> str:
    """Return where a browser is sent for a reason that has to do with satellites; empty for the Frontend API.

    Args:
        facts: the request.
        role: of this site.
        reason: why it is sent.
        dev_browser: the dev browser's token; empty for none.
    """
    if reason == Reason.SATELLITE_NEEDS_SYNCING and isinstance(role, Satellite) and role.primary:
        return with_query(role.primary, ANSWER_TO, clean_url(facts.url))
    if reason == Reason.PRIMARY_RESPONDS_TO_SYNCING and isinstance(role, Primary):
        address = _allowed(query_value(facts.url, ANSWER_TO) or "", role.origins)
        if dev_browser:
            address = with_query(address, DEV_BROWSER, dev_browser)
        return with_query_set(address, SYNCED, "true")
    return ""


def after_answer(url: PublicUrl, *, is_signed_in: bool) -> str:
    """Return the address on which a satellite goes on after a handshake's answer.

    It says that the sync is done where it would begin again: a browser that is signed out brings no more than before,
    and the URL may still ask for it.
    """
    address = clean_url(url)
    is_asked = query_value(url, SYNCED) is not None
    return with_query_set(address, SYNCED, "true") if is_asked or not is_signed_in else address


def asking_again(address: str) -> str:
    """Return a satellite's address for the sign-in page to come back to: then there is something to sync."""
    return with_query_set(address, SYNCED, "false")


def _allowed(address: str, origins: frozenset[str]) -> str:
    """Return the address with its origin in the one spelling, or the empty text where nobody may be sent there."""
    match = _ADDRESS.fullmatch(address) if len(address) <= _MAX_ADDRESS else None
    if match is None:
        return ""
    origin = _canonical(match["scheme"], match["host"])
    return f"{origin}{match['rest']}" if origin in origins else ""


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return _canonical(parts.scheme, parts.netloc.rpartition("@")[2])


def _canonical(scheme: str, host: str) -> str:
    try:
        name, port = canonical_host(host)
    except HostError:
        return ""
    return f"{scheme}://{with_port(scheme, name, port)}"
