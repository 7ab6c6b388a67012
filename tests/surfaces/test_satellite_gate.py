"""Satellites at the gate: a development primary answers them on every route, the public sign-in page included."""

import httpx
import pytest

from gateway.authenticator.driver import Authenticator
from gateway.authenticator.verified import VerifiedTokens
from gateway.core.identity import IdentityHeaders
from gateway.core.instance import InstanceKind
from gateway.core.policy import SignIn
from gateway.core.routes import RouteTable
from gateway.core.satellites import Primary, Role, Satellite
from gateway.core.settings_model import Access, OnSignedOut, RouteSettings
from gateway.core.trust import Trust
from gateway.surfaces.gate import Admission, Gate
from tests.authenticator.engine_kit import NAMES, Api, Clock, Keys, directives, expired, mint, rules
from tests.surfaces.surfaces_kit import PAGE, scope_of

ASKING = b"__clerk_redirect_url=https%3A%2F%2Fsatellite.test%2Fa"
PRIMARY = Primary(frozenset({"https://satellite.test"}))


def gate_of(role: Role | None, route: RouteSettings, api: Api | None = None) -> Gate:
    under = rules(kind=InstanceKind.DEVELOPMENT, role=role)
    authenticator = Authenticator(under, Keys("key_1"), VerifiedTokens(), api, clock=Clock())
    sign_in = SignIn("https://primary.test/in", InstanceKind.DEVELOPMENT, is_satellite=isinstance(role, Satellite))
    return Gate(authenticator, RouteTable.build([route]), Trust(), IdentityHeaders(), sign_in)


def header_of(admission: Admission, name: str) -> str:
    assert admission.answer is not None
    return httpx.Headers(list(admission.answer.headers)).get(name, "")


@pytest.mark.parametrize("access", Access)
@pytest.mark.parametrize("on_signed_out", OnSignedOut)
async def test_a_satellite_is_answered_on_every_route(access: Access, on_signed_out: OnSignedOut) -> None:
    gate = gate_of(PRIMARY, RouteSettings(access=access, on_signed_out=on_signed_out))
    admission = await gate.admit(scope_of("/in", *PAGE.items(), ("cookie", "__clerk_db_jwt=dvb_1"), query=ASKING))
    assert admission.answer is not None
    assert admission.answer.status == 307
    assert header_of(admission, "location") == "https://satellite.test/a?__clerk_db_jwt=dvb_1&__clerk_synced=true"
    assert header_of(admission, "cache-control") == "no-store"
    assert header_of(admission, "x-clerk-auth-reason") == "primary-responds-to-syncing"


@pytest.mark.parametrize(
    ("role", "headers", "query"),
    [
        pytest.param(PRIMARY, PAGE, b"", id="nobody asks"),
        pytest.param(PRIMARY, PAGE, b"__clerk_redirect_url=https%3A%2F%2Fevil.test%2Fa", id="another site asks"),
        pytest.param(PRIMARY, {"accept": "*/*"}, ASKING, id="a script asks"),
        pytest.param(PRIMARY, {**PAGE, "authorization": f"Bearer {expired()}"}, ASKING, id="a Bearer token"),
        pytest.param(None, PAGE, ASKING, id="no primary"),
        pytest.param(Satellite(), PAGE, ASKING, id="a satellite"),
    ],
)
async def test_otherwise_a_public_page_opens_and_nothing_is_done_for_it(
    role: Role | None, headers: dict[str, str], query: bytes
) -> None:
    api = Api(directives(mint()))
    cookies = f"{NAMES.session}={expired()}; {NAMES.client_uat}=1; {NAMES.refresh}=rt_1; __clerk_db_jwt=d"
    gate = gate_of(role, RouteSettings(access=Access.PUBLIC), api)
    admission = await gate.admit(scope_of("/in", *headers.items(), ("cookie", cookies), query=query))
    assert (admission.answer, admission.session, admission.verdict.cookies) == (None, None, ())
    assert api.refreshes == []


async def test_a_satellite_sends_people_to_sign_in_and_asks_to_be_synced_then() -> None:
    gate = gate_of(Satellite(primary="https://primary.test/in"), RouteSettings())
    admission = await gate.admit(scope_of("/page", *PAGE.items(), query=b"a=1"))
    assert header_of(admission, "location") == (
        "https://primary.test/in?redirect_url=https%3A%2F%2Fapp.example.test%2Fpage%3Fa%3D1%26__clerk_synced%3Dfalse"
    )


async def test_a_handshake_that_a_route_does_not_follow_sets_no_cookie_of_its_own() -> None:
    """Its counter would stop the next handshake of another route, which was never tried."""
    gate = gate_of(None, RouteSettings(access=Access.OPTIONAL, on_signed_out=OnSignedOut.UNAUTHORIZED))
    admission = await gate.admit(scope_of("/page", *PAGE.items()))
    assert (admission.answer, admission.verdict.reason) == (None, "dev-browser-missing")
    assert admission.verdict.cookies == ()
