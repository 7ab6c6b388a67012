"""What a route does with a verdict: let the request pass, send the browser somewhere, or refuse.

This is the only place where a verdict becomes an action. What no branch lets pass is refused.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from gateway.core.cookies import DEV_BROWSER
from gateway.core.handshake import clean_url, with_query
from gateway.core.instance import InstanceKind
from gateway.core.reasons import Reason
from gateway.core.request import PublicUrl, RequestFacts
from gateway.core.requirement import unmet
from gateway.core.satellites import asking_again
from gateway.core.settings_model import Access, OnSignedOut, RouteSettings
from gateway.core.verdict import State, Verdict

_NOBODY = frozenset({Reason.SESSION_TOKEN_AND_UAT_MISSING, Reason.SESSION_TOKEN_MISSING, Reason.DEV_BROWSER_MISSING})
"""Reasons for which signing in helps for certain; with any other the sign-in page might send the browser right back."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The request goes on, with the identity of the verdict (which may be none)."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The browser goes to another address first."""

    location: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refuse:
    """The request ends here; status and words follow from the reason."""

    reason: str


Action = Pass | Redirect | Refuse

_PASS: Final = Pass()
_SIGNED_IN: Final = State.SIGNED_IN  # members of an enum are slow to name in Python 3.11


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where people sign in.

    Attributes:
        address: the sign-in page.
        kind: development carries the dev browser token to another origin.
        is_satellite: a satellite asks to be synced when the browser comes back from another origin.
    """

    address: str
    kind: InstanceKind
    is_satellite: bool = False

    def location(self, url: PublicUrl, dev_browser: str) -> str:
        """Return the sign-in address that comes back to this URL (request-authentication section 16)."""
        is_elsewhere = urlsplit(self.address).netloc != url.host
        back = clean_url(url)
        target = with_query(
            self.address, "redirect_url", asking_again(back) if self.is_satellite and is_elsewhere else back
        )
        if self.kind is InstanceKind.DEVELOPMENT and dev_browser and is_elsewhere:
            target = with_query(target, DEV_BROWSER, dev_browser)
        return target


def accounts_portal(frontend_api: str) -> str:
    """Return the hosted sign-in page of an instance whose settings name none."""
    host = frontend_api
    for start, replacement in (("clerk.accountsstage.", "accountsstage."), ("clerk.accounts.", "accounts.")):
        if start in host:
            return f"https://{host.replace(start, replacement, 1)}/sign-in"
    return f"https://{host.replace('clerk.', 'accounts.', 1)}/sign-in"


def act(verdict: Verdict, facts: RequestFacts, terms: RouteSettings, sign_in: SignIn) -> Action:
    """Return what happens to a request on a route.

    Args:
        verdict: the decision; not asked for on public routes.
        facts: the request.
        terms: of the route.
        sign_in: where people sign in.
    """
    if verdict.state is _SIGNED_IN and terms.require is None and not verdict.location:
        return _PASS  # as nearly every request goes
    on_signed_out = terms.on_signed_out
    if verdict.state is State.UNKNOWN:
        return Refuse(verdict.reason)
    # An answer to a satellite is none of this route's business: it goes out whatever the route says.
    is_answer = verdict.reason == Reason.PRIMARY_RESPONDS_TO_SYNCING
    may_redirect = facts.method in {"GET", "HEAD"} and (is_answer or on_signed_out is not OnSignedOut.UNAUTHORIZED)
    if verdict.location and may_redirect:
        return Redirect(verdict.location)
    if terms.require is not None and verdict.state is State.SIGNED_IN:
        # Nobody is sent to sign in for this: whoever is signed in would come right back.
        scopes = verdict.machine.scopes if verdict.machine is not None else None
        reason = unmet(terms.require, verdict.claims, scopes)
        return Refuse(reason) if reason else _PASS
    if verdict.state is State.SIGNED_IN or terms.access is not Access.REQUIRED:
        return _PASS
    wants_page = on_signed_out is OnSignedOut.REDIRECT or (facts.is_navigation and facts.method == "GET")
    if may_redirect and wants_page and not verdict.is_loop and verdict.reason in _NOBODY:
        return Redirect(sign_in.location(facts.url, verdict.dev_browser.reveal()))
    return Refuse(verdict.reason)
