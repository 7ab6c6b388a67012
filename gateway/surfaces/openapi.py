"""How a session is written in the OpenAPI document of a FastAPI application.

FastAPI reads a dependency's signature. There it finds what to give, and two security schemes that check nothing: the
Bearer token and the session cookie, one of which suffices. FastAPI is no dependency of this package: it is looked for
only once the application has imported it.
"""

import sys
from functools import cache
from inspect import Parameter, Signature

from starlette.requests import HTTPConnection

from gateway.core.cookies import SESSION

_CONNECTION = Parameter("connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)
_PLAIN = Signature([_CONNECTION])


def signature() -> Signature:
    """Return what a dependency takes: the connection, and for FastAPI its scopes and the schemes."""
    return _with_schemes() if "fastapi" in sys.modules else _PLAIN


@cache
def _with_schemes() -> Signature:
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

    token = HTTPBearer(bearerFormat="JWT", description="A session token.")
    in_cookie = {"in": "cookie", "name": SESSION, "description": "The session token in the browser's cookie."}
    cookie = APIKey.model_validate(in_cookie)
    schemes = {
        "session_token": Documented("SessionToken", token),
        "session_cookie": Documented("SessionCookie", cookie),
    }
    return Signature(
        [
            _CONNECTION,
            Parameter("security_scopes", Parameter.KEYWORD_ONLY, annotation=SecurityScopes),
            *(Parameter(name, Parameter.KEYWORD_ONLY, default=Depends(scheme)) for name, scheme in schemes.items()),
        ]
    )
