"""An application of every kind that the world is to take, and its users."""

from importlib.metadata import entry_points

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway import SessionMiddleware, parse_settings
from gateway.core.settings import Settings
from gateway.testing import User, World

if "session-gateway" not in entry_points(group="pytest11").names:
    pytest.exit("the package is installed without its pytest plugin: run pip install -e '.[test]' again", 3)

FOREIGN = {"publishable_key": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k", "secret_key": "sk_test_foreign"}


async def whoami(request: Request) -> JSONResponse:
    """Say what the middleware said, and what came in the request's headers."""
    session, machine = request.state.session, request.state.machine
    organization = session.organization if session else None
    return JSONResponse(
        {
            "user": session and session.user_id,
            "session": session and session.session_id,
            "organization": organization and organization.slug,
            "role": organization and organization.role,
            "permissions": list(organization.permissions) if organization else [],
            "claims": session and session.raw,
            "machine": machine and machine.subject,
            "scopes": machine and list(machine.scopes),
            "headers": dict(request.headers),
            "state": {name: value for name, value in request.state._state.items() if isinstance(value, str)},
        }
    )


@pytest.fixture
def foreign() -> Settings:
    """Settings of an instance that nobody here can reach."""
    routes = [{"path": "/"}, {"path": "/anybody", "access": "optional"}, {"path": "/machines", "accepts": "any"}]
    return parse_settings({"instance": FOREIGN, "routes": routes}, needs_upstream=False)


@pytest.fixture
def app(foreign: Settings) -> Starlette:
    return Starlette(
        routes=[Route("/{rest:path}", whoami)], middleware=[Middleware(SessionMiddleware, settings=foreign)]
    )


@pytest.fixture
def ada(session_world: World) -> User:
    return session_world.user("ada@example.com", organizations={"acme": "org:admin", "globex": "org:member"})
