"""The operations of the Frontend API, one row each. Which of them need a known browser stands in the problems."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway.authority.errors import Problem
from gateway.authority.fields import Field
from gateway.authority.frontend import api, environment, mine, sign_ins
from gateway.authority.frontend.handshake import handshake
from gateway.authority.operations import Call, Door, Handler, Operation
from gateway.authority.realm import Realm

_SESSION = "/v1/client/sessions/{session_id}"
_STRANGER = (Problem.DEV_BROWSER_UNAUTHENTICATED, Problem.CROSS_SITE)
_NO_SESSION = (*_STRANGER, Problem.SESSION_NOT_FOUND)
_NO_TOKEN = (*_NO_SESSION, Problem.UNAUTHENTICATED, Problem.USER_NOT_FOUND)
_METHOD = {"_method": Field(about="The method that is meant, where a browser can only send POST.")}


def _of(handler: Callable[[Realm, Request], Awaitable[Response]]) -> Handler:
    async def answer(realm: Realm, call: Call) -> Response:
        return await handler(realm, call.request)

    return answer


def _client(method: str, about: str, *problems: Problem) -> Operation:
    return Operation(
        name=f"{method.lower()}Client",
        method=method,
        path="/v1/client",
        handler=_of(api.client),
        answer="WrappedClient",
        about=about,
        door=Door.BROWSER,
        query=_METHOD if method == "POST" else {},
        problems=(*_STRANGER, *problems),
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="getJWKS",
        method="GET",
        path="/.well-known/jwks.json",
        handler=_of(api.jwks),
        answer="JWKS",
        about="The public keys that the instance's tokens are signed with.",
        door=Door.PUBLIC,
    ),
    Operation(
        name="getOpenIDConfiguration",
        method="GET",
        path="/.well-known/openid-configuration",
        handler=_of(environment.openid_configuration),
        answer="Anything",
        about="Issuer and address of the keys.",
        door=Door.PUBLIC,
    ),
    Operation(
        name="getEnvironment",
        method="GET",
        path="/v1/environment",
        handler=_of(environment.environment),
        answer="Anything",
        about="The settings of the instance, as the browser SDK asks for them.",
        door=Door.BROWSER,
    ),
    *(
        Operation(
            name=f"{method.lower()}Environment",
            method=method,
            path="/v1/environment",
            handler=_of(environment.environment),
            answer="Anything",
            about="The same; what the browser SDK tells of itself is taken note of by nobody.",
            door=Door.BROWSER,
        )
        for method in ("PATCH", "POST")
    ),
    Operation(
        name="handshakeClient",
        method="GET",
        path="/v1/client/handshake",
        handler=handshake,
        answer="",
        about="Send the browser back with what it takes to know whether it is signed in.",
        door=Door.BROWSER,
        query={
            "redirect_url": Field(required=True, about="Where to return to."),
            "format": Field(choices=("token", "nonce"), default="token", about="How the cookies are handed over."),
            "organization_id": Field(about="Id or slug of the organization to make active; empty is the personal one."),
        },
        problems=(Problem.REDIRECT_INVALID, Problem.REDIRECT_FOREIGN),
    ),
    _client("GET", "The browser's client, with its sessions."),
    _client("PUT", "Make a client, unless the browser has one."),
    _client("POST", "As PUT, or as the method in _method.", Problem.NO_SUCH_METHOD, Problem.CLIENT_NOT_FOUND),
    _client("DELETE", "Take all sessions off the client.", Problem.CLIENT_NOT_FOUND),
    Operation(
        name="removeClientSessions",
        method="DELETE",
        path="/v1/client/sessions",
        handler=_of(api.client_sessions),
        answer="WrappedClient",
        about="Take all sessions off the client.",
        door=Door.BROWSER,
        problems=(*_STRANGER, Problem.CLIENT_NOT_FOUND),
    ),
    Operation(
        name="removeClientSessionsByPost",
        method="POST",
        path="/v1/client/sessions",
        handler=_of(api.client_sessions),
        answer="WrappedClient",
        about="As DELETE, which _method must name.",
        door=Door.BROWSER,
        query=_METHOD,
        problems=(*_STRANGER, Problem.NO_SUCH_METHOD, Problem.CLIENT_NOT_FOUND),
    ),
    Operation(
        name="getSession",
        method="GET",
        path=_SESSION,
        handler=_of(api.session),
        answer="WrappedSession",
        about="One session of the client.",
        door=Door.BROWSER,
        problems=_NO_SESSION,
    ),
    Operation(
        name="touchSession",
        method="POST",
        path=f"{_SESSION}/touch",
        handler=_of(api.touch),
        answer="WrappedSession",
        about="Say that the user is there, and perhaps switch the organization.",
        door=Door.BROWSER,
        form={
            "active_organization_id": Field(about="Id or slug of the organization; empty is the personal account."),
            "intent": Field(choices=("", *api.INTENTS), about="Why."),
        },
        problems=(*_NO_SESSION, Problem.SESSION_INACTIVE, Problem.PARAM_INVALID, Problem.ORGANIZATION_NOT_FOUND),
    ),
    Operation(
        name="endSession",
        method="POST",
        path=f"{_SESSION}/end",
        handler=_of(api.end),
        answer="WrappedSession",
        about="Sign the session out; it stays on the client.",
        door=Door.BROWSER,
        problems=(*_NO_SESSION, Problem.SESSION_INACTIVE),
    ),
    Operation(
        name="removeSession",
        method="POST",
        path=f"{_SESSION}/remove",
        handler=_of(api.remove),
        answer="WrappedSession",
        about="Sign the session out and take it off the client.",
        door=Door.BROWSER,
        problems=(*_NO_SESSION, Problem.SESSION_INACTIVE),
    ),
    Operation(
        name="createSessionToken",
        method="POST",
        path=f"{_SESSION}/tokens",
        handler=_of(api.token),
        answer="ClientToken",
        about="A session token for the page that asks.",
        door=Door.BROWSER,
        form={
            "organization_id": Field(about="Id or slug of the organization to make active; empty: the personal one.")
        },
        problems=(*_NO_TOKEN, Problem.ORGANIZATION_NOT_FOUND),
    ),
    Operation(
        name="createSessionTokenWithTemplate",
        method="POST",
        path=f"{_SESSION}/tokens/{{template_name}}",
        handler=_of(api.template_token),
        answer="ClientToken",
        about="A token from a JWT template for the page that asks.",
        door=Door.BROWSER,
        problems=(*_NO_TOKEN, Problem.TEMPLATE_NOT_FOUND),
    ),
    Operation(
        name="createSignIn",
        method="POST",
        path="/v1/client/sign_ins",
        handler=_of(sign_ins.create_sign_in),
        answer="WrappedSignIn",
        about="Sign in with email address and password, where somebody checks them.",
        door=Door.BROWSER,
        form={
            "strategy": Field(choices=("password",), about="How it is proved who signs in."),
            "identifier": Field(about="The email address."),
            "password": Field(about="The password."),
        },
        problems=(
            Problem.CROSS_SITE,
            Problem.NOBODY_CHECKS,
            Problem.PARAM_INVALID,
            Problem.CREDENTIALS_WRONG,
            Problem.TOO_MANY_ATTEMPTS,
            Problem.USER_NOT_FOUND,
        ),
    ),
    Operation(
        name="getSessions",
        method="GET",
        path="/v1/me/sessions",
        handler=_of(mine.my_sessions),
        answer="ClientSessions",
        about="The user's latest sessions on every client.",
        door=Door.BROWSER,
        problems=(*_STRANGER, Problem.UNAUTHENTICATED),
    ),
    Operation(
        name="getActiveSessions",
        method="GET",
        path="/v1/me/sessions/active",
        handler=_of(mine.my_active_sessions),
        answer="ClientSessions",
        about="The user's sessions that are good, on every client.",
        door=Door.BROWSER,
        problems=(*_STRANGER, Problem.UNAUTHENTICATED),
    ),
    Operation(
        name="revokeMySession",
        method="POST",
        path="/v1/me/sessions/{session_id}/revoke",
        handler=_of(mine.revoke_mine),
        answer="WrappedSession",
        about="End another of the user's sessions.",
        door=Door.BROWSER,
        problems=(*_NO_SESSION, Problem.UNAUTHENTICATED, Problem.SESSION_INACTIVE),
    ),
    Operation(
        name="createDevBrowser",
        method="POST",
        path="/v1/dev_browser",
        handler=_of(api.dev_browser),
        answer="DevBrowser",
        about="Make a browser known to a development instance.",
        door=Door.BROWSER,
        problems=(Problem.WRONG_ENVIRONMENT,),
    ),
)
"""All of them, in the order of the document."""
