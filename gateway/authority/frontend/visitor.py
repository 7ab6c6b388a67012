"""Which client a browser is: by the authority's own cookie, or in development by the dev browser token in the query.

The cookie wins. It is HttpOnly and was set here, while the token in the query is whatever a link says. For the same
reason a client that is known by the query alone never becomes the browser's cookie.
"""

from dataclasses import dataclass, field

from starlette.requests import Request

from gateway.authority import cookies
from gateway.authority.errors import Problem, Refusal
from gateway.authority.models import Client
from gateway.authority.realm import Realm
from gateway.authority.requests import is_cross_site
from gateway.authority.return_urls import origin_of
from gateway.core.instance import InstanceKind


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is asking.

    Attributes:
        client: its client, or None when it has none.
        dev_browser: the dev browser token it showed, if it stands for this client.
        by_cookie: whether the cookie said so.
    """

    client: Client | None
    dev_browser: str | None = field(repr=False)
    by_cookie: bool


def identify(realm: Realm, request: Request) -> Visitor:
    """Find out who is asking."""
    held = cookie_client(realm, request)
    shown, known_id = None, None
    if realm.config.kind is InstanceKind.DEVELOPMENT:
        query = request.query_params
        shown = query.get(cookies.DEV_BROWSER) or query.get("__dev_session")
        known_id = realm.grants.dev_browser_client(shown) if shown else None
    if held is not None:
        return Visitor(held, shown if known_id == held.id else None, by_cookie=True)
    if known_id is None:
        return Visitor(None, None, by_cookie=False)
    return Visitor(realm.ledger.client(known_id), shown, by_cookie=False)


def cookie_client(realm: Realm, request: Request) -> Client | None:
    """The client that the browser's own cookie stands for."""
    cookie = request.cookies.get(cookies.CLIENT, "")
    return realm.ledger.client_by_token(cookie) if cookie else None


def require_visitor(realm: Realm, request: Request) -> Visitor:
    """Like :func:`identify`, for the Frontend API's own requests.

    Raises:
        Refusal: a development instance does not know the browser, or another site's page uses the browser's cookie.
    """
    visitor = identify(realm, request)
    if visitor.client is None and realm.config.kind is InstanceKind.DEVELOPMENT:
        raise Refusal(Problem.DEV_BROWSER_UNAUTHENTICATED)
    if visitor.by_cookie and is_cross_site(request):
        raise Refusal(Problem.CROSS_SITE)
    require_served_page(realm, request)
    return visitor


def require_served_page(realm: Realm, request: Request) -> None:
    """Refuse pages of origins that this instance does not serve, also where they are of the same site.

    Raises:
        Refusal: the Origin header names such an origin, or none at all.
    """
    sent = request.headers.get("origin")
    if sent is None:
        return
    origin = origin_of(sent)
    if origin is None or not (origin == realm.config.origin or realm.config.serves(origin)):
        raise Refusal(Problem.CROSS_SITE)
