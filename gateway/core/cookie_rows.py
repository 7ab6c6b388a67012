"""The table of a decision about cookies: what they say, before anything is verified, and the reason that follows.

Read from the top; the first row that applies decides. Order and codes: request-authentication section 6 B.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.evidence import Evidence
from gateway.core.instance import InstanceKind
from gateway.core.reasons import Reason
from gateway.core.satellites import Sync


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: where it applies, the reason is final.

    Attributes:
        step: number in request-authentication section 6 B.
        when: in words, for the documentation.
        renews: the browser is sent to be renewed where the request is eligible; otherwise signed out.
        development: the row is for development instances only.
        satellite: the row is for satellites only, or for others only; None for both.
    """

    step: int
    when: str
    applies: Callable[[Evidence], bool]
    reason: Reason
    renews: bool = False
    development: bool = False
    satellite: bool | None = None


COOKIE_ROWS: tuple[Row, ...] = (
    Row(
        2,
        "a page of a satellite that syncs only when asked is opened with no client and no session, and "
        "__clerk_synced is not there",
        lambda e: e.sync is Sync.UNASKED,
        Reason.SESSION_TOKEN_AND_UAT_MISSING,
        satellite=True,
    ),
    Row(
        2,
        "a page of a satellite is opened with no client and no session, or with __clerk_synced=false",
        lambda e: e.sync is Sync.NEEDED,
        Reason.SATELLITE_NEEDS_SYNCING,
        renews=True,
        satellite=True,
    ),
    Row(
        3,
        "__clerk_redirect_url names an address of a satellite that this primary answers",
        lambda e: e.sync is Sync.ANSWER,
        Reason.PRIMARY_RESPONDS_TO_SYNCING,
        renews=True,
        development=True,
        satellite=False,
    ),
    Row(
        4,
        "the URL brings a dev browser token",
        lambda e: e.syncs_dev_browser,
        Reason.DEV_BROWSER_SYNC,
        renews=True,
        development=True,
    ),
    Row(
        5,
        "there is no dev browser token",
        lambda e: not e.dev_browser,
        Reason.DEV_BROWSER_MISSING,
        renews=True,
        development=True,
    ),
    Row(
        6,
        "no client and no session",
        lambda e: not e.client_uat_s and not e.token,
        Reason.SESSION_TOKEN_AND_UAT_MISSING,
    ),
    Row(
        7,
        "a session but no client",
        lambda e: not e.client_uat_s,
        Reason.SESSION_TOKEN_BUT_NO_CLIENT_UAT,
        renews=True,
    ),
    Row(8, "a client but no session", lambda e: not e.token, Reason.CLIENT_UAT_BUT_NO_SESSION_TOKEN, renews=True),
    Row(8, "session cookies of two sessions", lambda e: e.is_ambiguous, Reason.DUPLICATE_SESSION_COOKIES),
    Row(9, "the session cookie is no token", lambda e: e.peeked is None, Reason.TOKEN_INVALID),
    Row(
        10,
        "the token is of another class",
        lambda e: e.peeked is not None and not e.peeked.is_session,
        Reason.TOKEN_TYPE_MISMATCH,
    ),
    Row(
        11,
        "the token is older than the client's last change",
        lambda e: e.peeked is not None and 0 < e.peeked.issued_at_s < e.client_uat_s,
        Reason.SESSION_TOKEN_IAT_BEFORE_CLIENT_UAT,
        renews=True,
    ),
)


_BY_SITE = {
    (kind, satellite): tuple(
        row
        for row in COOKIE_ROWS
        if (kind is InstanceKind.DEVELOPMENT or not row.development) and row.satellite in (None, satellite)
    )
    for kind in InstanceKind
    for satellite in (True, False)
}


def rows_for(kind: InstanceKind, *, satellite: bool) -> tuple[Row, ...]:
    """Return the rows that hold for one kind of instance, on a satellite or elsewhere, in their order."""
    return _BY_SITE[kind, satellite]
