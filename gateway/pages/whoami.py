"""The page of the demo upstream: who the gateway says you are, and every header that arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.pages.links import is_link
from gateway.pages.rendering import render_page


class SignInState(StrEnum):
    """What the identity headers say."""

    SIGNED_IN = "signed-in"
    SIGNED_OUT = "signed-out"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HeaderTable:
    """A group of received headers.

    Attributes:
        title: what the group is.
        note: why it is there, in a sentence.
        rows: name and values; a header that came twice has two values.
    """

    title: str
    note: str
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoamiView:
    """What the page shows; every text is as it was received.

    Attributes:
        state: what the identity headers say.
        request_line: method and address of the request.
        address: the public origin of this service, for the commands to try, or empty.
        identity_header: name of the header with the user id, for the commands to try.
        facts: label and value of what is known about the session.
        permissions: one chip each.
        tables: the received headers, grouped.
        can_revoke: whether to show the button that posts to ``/revoke``.
        revoked: whether the session was revoked with the button.
        sign_out_url: http(s) address or path, or empty.
        token_lifetime_s: seconds that a session token is valid.
    """

    state: SignInState
    request_line: str
    address: str
    identity_header: str
    facts: Sequence[tuple[str, str]]
    permissions: Sequence[str]
    tables: Sequence[HeaderTable]
    can_revoke: bool
    revoked: bool
    sign_out_url: str
    token_lifetime_s: int


def render(view: WhoamiView) -> str:
    """The page as HTML text."""
    sign_out_url = view.sign_out_url if is_link(view.sign_out_url) else ""
    return render_page("whoami.html", {"view": view, "sign_out_url": sign_out_url, "state": view.state.value})
