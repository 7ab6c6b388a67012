"""What the authority hands out is what the gateway takes: cookies, keys, tokens of both versions."""

import pytest

from gateway.core.claims import session_claims
from gateway.core.cookies import CookieNames, remake
from gateway.core.handshake import delivered_session
from gateway.core.keys import key_set
from gateway.core.tokens import Expectations, check_claims, check_signature, parse

APP = "http://127.0.0.1:8000"


@pytest.fixture
def names(world) -> CookieNames:
    return CookieNames.of(world.authority.publishable_key.cookie_suffix)


async def test_the_gateway_may_set_every_cookie_of_a_handshake_and_a_refresh(world, names, read_cookies):
    signed_out = await world.handshake()
    await world.sign_in("Ada", "acme")
    signed_in = await world.handshake()
    assert delivered_session(remake(signed_out, names, secure=False), names) == ""
    token = delivered_session(remake(signed_in, names, secure=True), names)
    world.clock.advance(90)
    body = {
        "expired_token": token,
        "refresh_token": read_cookies(signed_in)[names.refresh],
        "request_origin": APP,
        "format": "cookie",
    }
    session_id = world.claims(token)["sid"]
    answer = await world.api.post(f"/v1/sessions/{session_id}/refresh?suffixed_cookies=true", json=body)
    refreshed = remake(answer.json()["cookies"], names, secure=False)
    assert delivered_session(refreshed, names) not in ("", token)
    assert {cookie.name: cookie.http_only for cookie in refreshed} == {
        "__session": False,
        names.session: False,
        names.refresh: True,
    }


@pytest.mark.parametrize(
    ("version", "user", "slug", "permissions"),
    [
        ("2026-05-12", "Ada", "acme", {"dashboard:read", "dashboard:manage", "teams:read", "teams:manage"}),
        ("2021-02-05", "Ada", "acme", {"dashboard:read", "dashboard:manage", "teams:read", "teams:manage"}),
        ("2026-05-12", "Grace", "acme", {"dashboard:read", "teams:read"}),
        ("2026-05-12", "Ada", "globex", {"dashboard:read"}),
        ("2021-02-05", "Ada", "globex", {"dashboard:read"}),
    ],
)
async def test_the_gateway_reads_the_same_person_from_either_version(world, version, user, slug, permissions):
    session = await world.create(user, active_organization_id=world.organization(user, slug))
    headers = {"Clerk-API-Version": version, "Origin": APP}
    answer = await world.api.post(f"/v1/sessions/{session['id']}/tokens", headers=headers)
    token = parse(answer.json()["jwt"])
    keys = key_set((await world.browser.get("/.well-known/jwks.json")).json())
    check_signature(token, keys[token.kid])
    issuers = frozenset((world.authority.frontend_api_url,))
    expected = Expectations(issuers=issuers, authorized_parties=frozenset((APP,)), skew_s=0)
    check_claims(token.payload, expected, world.clock.now_s)
    claims = session_claims(token.payload)
    assert token.is_session
    assert (claims.user_id, claims.session_id) == (world.users[user], session["id"])
    assert claims.organization is not None
    assert claims.organization.slug == slug
    assert claims.organization.role in ("org:admin", "org:member")
    assert set(claims.organization.permissions) == {f"org:{permission}" for permission in permissions}
    template = await world.api.post(f"/v1/sessions/{session['id']}/tokens/custom_hasura")
    assert not parse(template.json()["jwt"]).is_session
