"""Signing in by script: ``POST /v1/client/sign_ins`` with strategy ``password``, judged by the same check as the page.

It is complete or refused at once, so nothing is kept between two requests (Frontend API, schema ``Client.SignIn``).
"""

from starlette.requests import Request
from starlette.responses import Response

from gateway.authority import cookies, lifecycle
from gateway.authority.credentials import PASSWORD
from gateway.authority.errors import Problem, Refusal, answer
from gateway.authority.frontend.api import shown_client
from gateway.authority.frontend.returning import add_cookies
from gateway.authority.frontend.visitor import cookie_client, identify, require_served_page
from gateway.authority.identifiers import new_id
from gateway.authority.models import SessionRecord
from gateway.authority.realm import Realm
from gateway.authority.requests import cause_of, read_form
from gateway.core.instance import InstanceKind


async def create_sign_in(realm: Realm, request: Request) -> Response:
    """Sign in with identifier and password."""
    require_served_page(realm, request)
    form = await read_form(request)
    if realm.checking is None:
        raise Refusal(Problem.NOBODY_CHECKS)
    if form.get("strategy", PASSWORD) != PASSWORD:
        raise Refusal(Problem.PARAM_INVALID, param="strategy", expected=f"must be {PASSWORD}")
    identifier = form.get("identifier", "")
    client = cookie_client(realm, request)
    cause = cause_of(realm, request)
    user_id = await realm.checking.user_id(cause.client_ip, client, identifier, form.get("password", ""))
    with realm.database.transaction():
        previous = identify(realm, request).client
        signed_in = lifecycle.sign_in(realm, user_id, "", previous, cause)
        is_development = realm.config.kind is InstanceKind.DEVELOPMENT
        known_as = realm.grants.issue_dev_browser(signed_in.client.id, realm.now_ms()) if is_development else ""
    shown = shown_client(realm, signed_in.client)
    response = answer({"response": _complete(signed_in.session, identifier), "client": shown})
    add_cookies(
        response,
        [
            realm.cookies.client(signed_in.client_token),
            *realm.cookies.client_uat(signed_in.client.updated_at_ms // 1000),
            *(realm.cookies.dev_browser(known_as) if known_as else []),
        ],
    )
    if known_as:
        response.headers[cookies.DEV_BROWSER_HEADER] = known_as
    return response


def _complete(session: SessionRecord, identifier: str) -> dict[str, object]:
    return {
        "object": "sign_in",
        "id": new_id("sia"),
        "status": "complete",
        "supported_identifiers": ["email_address"],
        "supported_first_factors": [],
        "supported_second_factors": [],
        "first_factor_verification": {"status": "verified", "strategy": "password", "attempts": 1, "expire_at": None},
        "second_factor_verification": None,
        "identifier": identifier,
        "user_data": None,
        "created_session_id": session.id,
        "abandon_at": session.abandon_at_ms,
    }
