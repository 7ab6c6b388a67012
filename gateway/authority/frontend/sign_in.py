"""The pages for people: sign in, sign out.

Without a check there is no password, and whoever reaches the pages may be anybody: a development instance shows its
users to pick one. With a check (:mod:`gateway.authority.credentials`) the page is a form that names nobody. Signing in
and out is done by POST from the own origin alone; a GET changes nothing (attacks, item 44).
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from gateway.authority import lifecycle
from gateway.authority.errors import Problem, Refusal
from gateway.authority.frontend.returning import add_cookies, allowed_return_url, redirect, return_after_change
from gateway.authority.frontend.visitor import cookie_client, identify
from gateway.authority.models import SessionRecord
from gateway.authority.realm import Realm
from gateway.authority.requests import cause_of, is_cross_origin, read_form
from gateway.authority.return_urls import ReturnUrl
from gateway.authority.webhooks.events import Cause
from gateway.core.session_status import SessionStatus
from gateway.pages import notice, sign_in, sign_in_form, sign_out
from gateway.pages.rendering import page_headers

_TITLE = "Sign in"
_PENDING = "Choose an organization"


async def front_page(realm: Realm, request: Request) -> Response:
    """Say what this is and where to go, or who is signed in."""
    session = _live_session(realm, request)
    if session is not None:
        return _page(_signed_in(realm, session))
    text = (
        f"This is the session authority at {realm.config.origin}: people sign in here, and gateways and applications"
        " ask it for sessions.\n\nWhat programs can ask is described at /openapi.json, and /.well-known/jwks.json holds"
        " the keys of its tokens."
    )
    heading = "Session authority"
    return _page(notice.render(title=heading, heading=heading, text=text, action_label=_TITLE, action_href="/sign-in"))


async def sign_in_page(realm: Realm, request: Request) -> Response:
    """Show who can sign in, or ask for email address and password."""
    redirect_url = request.query_params.get("redirect_url", "")
    _return_url(realm, redirect_url)
    return _page(_sign_in_form(realm, redirect_url, query=request.query_params.get("query", "")), has_form=True)


async def sign_in_action(realm: Realm, request: Request) -> Response:
    """Begin a session and return to where the browser came from."""
    if is_cross_origin(request):
        raise Refusal(Problem.CROSS_SITE)
    form = await read_form(request)
    url = _return_url(realm, form.get("redirect_url", ""))
    cause = cause_of(realm, request)
    try:
        user_id = await _who(realm, request, cause, form)
        with realm.database.transaction():
            previous = identify(realm, request).client
            signed_in = lifecycle.sign_in(realm, user_id, form.get("organization_id", ""), previous, cause)
            location = return_after_change(realm, url, signed_in.client) if url else ""
    except Refusal as refusal:
        identifier, redirect_url = form.get("identifier", ""), form.get("redirect_url", "")
        page = _sign_in_form(realm, redirect_url, message=refusal.long_message, identifier=identifier)
        status = refusal.status if refusal.problem is Problem.TOO_MANY_ATTEMPTS else 422
        return _page(page, status=status, has_form=True, headers=refusal.headers)
    own_cookies = [
        realm.cookies.client(signed_in.client_token),
        *realm.cookies.client_uat(signed_in.client.updated_at_ms // 1000),
    ]
    if url:
        return redirect(location, 303, own_cookies)
    response = _page(_signed_in(realm, signed_in.session))
    add_cookies(response, own_cookies)
    return response


def _signed_in(realm: Realm, session: SessionRecord) -> str:
    user = realm.directory.user(session.user_id)
    name = user.full_name if user else session.user_id
    if session.status is not SessionStatus.PENDING:
        text = f"You are signed in as {name}."
        return notice.render(
            title="Signed in", heading="You are signed in", text=text, action_label="Sign out", action_href="/sign-out"
        )
    text = (
        f"You have signed in as {name}, and the session is pending: this instance wants an organization to be chosen."
        " Until then applications take you for signed out.\n\n"
    )
    if realm.checking is not None:
        return notice.render(title="Signing in", heading=_PENDING, text=text + "Choose one in your application.")
    text += "Sign in again and pick an account of an organization, or choose one in your application."
    return notice.render(
        title="Signing in", heading=_PENDING, text=text, action_label="Pick an account", action_href="/sign-in"
    )


async def sign_out_page(realm: Realm, request: Request) -> Response:
    """Ask whether to sign out."""
    redirect_url = request.query_params.get("redirect_url", "")
    _return_url(realm, redirect_url)
    session = _live_session(realm, request)
    user = realm.directory.user(session.user_id) if session else None
    page = sign_out.render(
        name=user.full_name if user else "", redirect_url=redirect_url, is_development=realm.checking is None
    )
    return _page(page, has_form=True)


async def sign_out_action(realm: Realm, request: Request) -> Response:
    """End the browser's sessions and return to where it came from."""
    if is_cross_origin(request):
        raise Refusal(Problem.CROSS_SITE)
    form = await read_form(request)
    url = _return_url(realm, form.get("redirect_url", ""))
    client = identify(realm, request).client
    if client is not None:
        lifecycle.finish_all(realm, client, SessionStatus.ENDED, cause_of(realm, request))
    if url:
        location = return_after_change(realm, url, client) if client else url.text
        return redirect(location, 303, realm.cookies.signed_out())
    response = _page(
        notice.render(
            title="Signed out",
            heading="You are signed out",
            text="This browser has no session any more.",
            action_label="Sign in",
            action_href="/sign-in",
        )
    )
    add_cookies(response, realm.cookies.signed_out())
    return response


def refusal_page(refusal: Refusal) -> Response:
    """A problem told to a person."""
    page = notice.render(
        title=refusal.problem.value.message, heading=refusal.problem.value.message, text=refusal.long_message
    )
    return _page(page, status=refusal.status)


def _return_url(realm: Realm, text: str) -> ReturnUrl | None:
    return allowed_return_url(realm, text) if text else None


def _live_session(realm: Realm, request: Request) -> SessionRecord | None:
    client = identify(realm, request).client
    return realm.ledger.live_session(client.id, realm.now_ms()) if client else None


async def _who(realm: Realm, request: Request, cause: Cause, form: Mapping[str, str]) -> str:
    if realm.checking is None:
        return form.get("user_id", "")
    client, identifier = cookie_client(realm, request), form.get("identifier", "")
    return await realm.checking.user_id(cause.client_ip, client, identifier, form.get("password", ""))


def _sign_in_form(realm: Realm, redirect_url: str, *, query: str = "", message: str = "", identifier: str = "") -> str:
    if realm.checking is not None:
        return sign_in_form.render(redirect_url=redirect_url, message=message, identifier=identifier[:254])
    users, count = _sign_in_users(realm, query), realm.directory.count_users(query)
    search = sign_in.Search(query, count) if query or count > len(users) else None
    return sign_in.render(title=_TITLE, users=users, redirect_url=redirect_url, message=message, search=search)


def _sign_in_users(realm: Realm, query: str) -> list[sign_in.SignInUser]:
    return [
        sign_in.SignInUser(
            user.id,
            user.full_name,
            user.email_address,
            [
                sign_in.SignInOrganization(
                    member.organization.id, member.organization.name, member.organization.slug, member.role.key
                )
                for member in realm.directory.memberships(user.id)
            ],
        )
        for user in realm.directory.found_users(query, sign_in.MOST_SHOWN)
    ]


def _page(
    html: str, *, status: int = 200, has_form: bool = False, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(html, status, headers={**dict(page_headers(has_form=has_form)), **(headers or {})})
