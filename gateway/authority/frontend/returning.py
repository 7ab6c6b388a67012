"""Whether a browser may be sent back to an address, and what the address gets to take along."""

from starlette.responses import Response

from gateway.authority import cookies
from gateway.authority.errors import Problem, Refusal
from gateway.authority.models import Client
from gateway.authority.realm import Realm
from gateway.authority.return_urls import ReturnUrl, parse_return_url
from gateway.core.instance import InstanceKind


def allowed_return_url(realm: Realm, text: str) -> ReturnUrl:
    """Read a return address that this instance serves.

    Raises:
        Refusal: it is no http(s) address, or leads to a foreign origin.
    """
    url = parse_return_url(text)
    if url is None:
        raise Refusal(Problem.REDIRECT_INVALID, param="redirect_url")
    if not realm.config.serves(url.origin):
        raise Refusal(Problem.REDIRECT_FOREIGN, param="redirect_url")
    return url


def return_after_change(realm: Realm, url: ReturnUrl, client: Client) -> str:
    """The address to return to after signing in or out.

    In development it carries a dev browser token, which makes the gateway ask for a handshake and so learn what
    changed. In production the changed ``__client_uat`` on the shared domain has the same effect.
    """
    if realm.config.kind is InstanceKind.PRODUCTION:
        return url.text
    return url.plus(cookies.DEV_BROWSER, realm.grants.issue_dev_browser(client.id, realm.now_ms()))


def redirect(location: str, status: int, set_cookies: list[str]) -> Response:
    """A redirect that nobody keeps and that tells the next page nothing about this one."""
    response = Response(status_code=status, headers={"Location": location, "Cache-Control": "no-store"})
    add_cookies(response, set_cookies)
    return response


def add_cookies(response: Response, set_cookies: list[str]) -> None:
    """Add ``Set-Cookie`` headers."""
    for directive in set_cookies:
        response.headers.append("set-cookie", directive)
