"""HTTP clients that are browsers: signed in by cookies, which they keep, and able to follow to the sign-in page.

Their requests to the application and to the authority stay in the process. What they do about their session is what a
page's script would do; what others do to it is done to :attr:`SessionClient.session`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx

from gateway.authority.models import User
from gateway.testing.forging import claims_of
from gateway.testing.instance import Instance
from gateway.testing.session import Session
from gateway.testing.transports import AppTransport, AsyncAppTransport
from gateway.testing.wrong_use import WrongUse

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
}


class _Visitor:
    """What both clients can do about their session."""

    cookies: httpx.Cookies
    _world: Instance
    _origin: str
    _session: Session | None = None

    @property
    def session(self) -> Session:
        """The session that the client was signed in with.

        Raises:
            WrongUse: it never was.
        """
        if self._session is None:
            raise WrongUse("this client is not signed in: pass signed_in=…, or call sign_in(user)")
        return self._session

    def sign_in(self, who: User | Session, organization: str | None = None) -> Session:
        """Sign in with cookies, as a browser is after a handshake; whoever was signed in before no longer is here.

        Args:
            who: a user, for whom a session begins, or a session.
            organization: slug or id of the active one; None for the personal account, or what the session has.

        Raises:
            WrongUse: the user is not a member.
        """
        session = self._world.session_of(who, organization, origin=self._origin)
        self.cookies.clear()
        self._session = session
        self._take(session)
        return session

    def sign_out(self) -> None:
        """Sign out here, as the user does on a page: the session ends, and the cookies say so."""
        self.session.end()
        self._take(self.session)

    def revoke(self) -> None:
        """Revoke the session, as a backend does; the token that the client has stays good until it expires."""
        self.session.revoke()

    def expire(self) -> None:
        """Let time pass, for the whole world, until the token that the client has has expired."""
        token = self._token()
        ahead_s = float(claims_of(token)["exp"]) - self._world.clock() if token else 0.0
        self._world.clock.advance(max(ahead_s, 0.0) + self._world.tolerance_s)

    def switch_organization(self, organization: str | None) -> None:
        """Make another organization the active one, as the user does on a page, which gets a token for it.

        Args:
            organization: slug or id; None for the personal account.

        Raises:
            WrongUse: the user is not a member.
        """
        self.session.switch_organization(organization)
        self._take(self.session)

    def _token(self) -> str:
        name = self._world.session_cookie
        return next((cookie.value or "" for cookie in self.cookies.jar if cookie.name == name), "")

    def _take(self, session: Session) -> None:
        for origin, directives in (
            (self._origin, session.set_cookies(self._origin)),
            (self._world.authority_url, [session.authority_cookie()]),
        ):
            headers = [("set-cookie", directive) for directive in directives]
            self.cookies.extract_cookies(httpx.Response(200, headers=headers, request=httpx.Request("GET", origin)))


class SessionClient(_Visitor, httpx.Client):
    """A synchronous client; made by :meth:`World.client <gateway.testing.world.World.client>`.

    Args:
        world: whose sessions.
        app: that is asked, and started with the first request; None asks the network.
        origin: where the application is, as the browser sees it.
        options: of ``httpx.Client``.
    """

    def __init__(self, world: Instance, app: "ASGIApp | None", origin: str, **options: Any) -> None:
        transport = AppTransport(app) if app is not None else httpx.HTTPTransport(trust_env=False)
        super().__init__(transport=transport, base_url=origin, trust_env=False, **options)
        self._world, self._origin = world, origin

    def visit(self, url: str, form: Mapping[str, str] | None = None) -> httpx.Response:
        """Open a page, or send a form, as a browser does: with a browser's headers, following every redirect.

        Args:
            url: path or address.
            form: the fields of a form, which is posted; None opens the page.
        """
        method = "GET" if form is None else "POST"
        return self.request(method, url, data=form, headers=_NAVIGATION, follow_redirects=True)


class AsyncSessionClient(_Visitor, httpx.AsyncClient):
    """An asynchronous client; made by :meth:`World.async_client <gateway.testing.world.World.async_client>`.

    Args:
        world: whose sessions.
        app: that is asked; ``async with`` starts and stops it.
        origin: where the application is, as the browser sees it.
        options: of ``httpx.AsyncClient``.
    """

    def __init__(self, world: Instance, app: "ASGIApp", origin: str, **options: Any) -> None:
        super().__init__(transport=AsyncAppTransport(app), base_url=origin, trust_env=False, **options)
        self._world, self._origin = world, origin

    async def visit(self, url: str, form: Mapping[str, str] | None = None) -> httpx.Response:
        """Open a page, or send a form, as a browser does: with a browser's headers, following every redirect.

        Args:
            url: path or address.
            form: the fields of a form, which is posted; None opens the page.
        """
        method = "GET" if form is None else "POST"
        return await self.request(method, url, data=form, headers=_NAVIGATION, follow_redirects=True)
