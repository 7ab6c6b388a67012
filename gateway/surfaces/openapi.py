"""How a session is written in the OpenAPI document of a FastAPI application.

FastAPI reads a dependency's signature. There it finds what to give, and security schemes that check nothing: for people
the Bearer token and the session cookie, one of which suffices; for machines the Bearer token alone. FastAPI is no
dependency of this package: it is looked for only once the application has imported it.
"""

import sys
from functools import cache
from inspect import Parameter, Signature

from starlette.requests import HTTPConnection

from gateway.core.cookies import SESSION

_CONNECTION = Parameter("connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)
_PLAIN = Signature([_CONNECTION])


def signature(*, of_machines: bool) -> Signature:
    """Return what a dependency takes: the connection, and for FastAPI its scopes and the schemes.

    Args:
        of_machines: whether machines are asked for, and not people.
    """
    return _with_schemes(of_machines) if "fastapi" in sys.modules else _PLAIN


@cache
def _with_schemes(of_machines: bool) -> Signature:
    from fastapi import Depends  # noqa: PLC0415 - the application has it already
    from fastapi.openapi.models import APIKey, HTTPBearer, SecurityBase  # noqa: PLC0415
    from fastapi.security import SecurityScopes  # noqa: PLC0415
    from fastapi.security.base import SecurityBase as Scheme  # noqa: PLC0415

    class Documented(Scheme):
        """A scheme that stands in the document alone: the middleware has decided already."""

        def __init__(self, name: str, model: SecurityBase) -> None:
            self.scheme_name = name
            self.model = model

        async def __call__(self) -> None:
            """Check nothing."""

    if of_machines:
        token = HTTPBearer(description="An API key, an M2M token or an OAuth access token.")
        schemes = {"machine_token": Documented("MachineToken", token)}
    else:
        token = HTTPBearer(bearerFormat="JWT", description="A session token.")
        in_cookie = {"in": "cookie", "name": SESSION, "description": "The session token in the browser's cookie."}
        cookie = Documented("SessionCookie", APIKey.model_validate(in_cookie))
        schemes = {"session_token": Documented("SessionToken", token), "session_cookie": cookie}
    return Signature(
        [
            _CONNECTION,
            Parameter("security_scopes", Parameter.KEYWORD_ONLY, annotation=SecurityScopes),
            *(Parameter(name, Parameter.KEYWORD_ONLY, default=Depends(scheme)) for name, scheme in schemes.items()),
        ]
    )
