"""A real gateway before a service: the same sessions, the same clock, over HTTP."""

import httpx
import pytest

from gateway.testing import World, WrongUse
from gateway.testing.running import server

ROUTES = {
    "routes": [{"path": "/"}, {"path": "/anybody", "access": "optional"}, {"path": "/machines", "accepts": "any"}]
}


@pytest.fixture
def gateway(session_world: World, session_gateway, app):
    # The upstream shows what it was sent; it asks nobody who they are.
    routes = app.routes

    async def upstream(scope, receive, send):
        scope.setdefault("state", {}).update(session=None, machine=None)
        await routes[0].app(scope, receive, send) if scope["type"] == "http" else None

    return session_gateway(upstream, ROUTES)


def identity(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json()["headers"].items() if name.startswith("x-session-")}


def test_the_headers_for_a_service_are_those_of_the_gateway(session_world: World, gateway, ada):
    client = gateway.client(signed_in=ada, organization="acme")
    assert identity(client.get("/")) == session_world.identity_headers(client.session)
    assert identity(gateway.client().get("/anybody")) == session_world.identity_headers()

    bearer = session_world.bearer(client.session)
    assert identity(gateway.client().get("/", headers=bearer)) == session_world.identity_headers(client.session)

    key = session_world.machines.api_key(ada, ["read"])
    assert identity(gateway.client().get("/machines", headers=key.bearer())) == session_world.identity_headers(key)


def test_prefix_and_claims_of_the_settings_count(session_world: World, session_gateway, gateway, ada):
    settings = {"identity": {"prefix": "X-Who-", "claims": {"X-Issuer": "iss"}}}
    headers = session_world.identity_headers(ada, settings=settings)
    assert (headers["x-who-user-id"], headers["x-issuer"]) == (ada.id, session_world.authority_url)
    second = session_gateway(gateway.url, settings)
    assert second.url != gateway.url


def test_clock_refresh_and_revocation_are_the_worlds(gateway, ada):
    client = gateway.client(signed_in=ada, organization="acme")
    client.expire()
    assert "set-cookie" in client.get("/").headers
    client.switch_organization("globex")
    assert identity(client.get("/"))["x-session-org-slug"] == "globex"
    client.revoke()
    client.expire()
    assert client.get("/").status_code == 401
    page = client.visit("/")
    assert page.url.path == "/sign-in"
    assert "ada@example.com" in page.text


def test_cookies_are_in_the_form_of_playwright(session_world: World, gateway, ada):
    cookies = gateway.sign_in_cookies(ada, "acme")
    assert all({"name", "value", "url", "httpOnly", "secure", "sameSite"} == set(cookie) for cookie in cookies)
    by_name = {cookie["name"]: cookie for cookie in cookies}
    assert by_name[session_world.session_cookie]["url"] == gateway.url
    assert by_name["__client"]["url"] == session_world.authority_url
    assert by_name["__client"]["httpOnly"]
    assert not by_name["__client"]["secure"]


def test_an_upstream_that_is_no_url_is_refused(session_gateway):
    with pytest.raises(WrongUse, match=r"upstream 'localhost:3000': .*or pass an ASGI application"):
        session_gateway("localhost:3000")


def test_a_route_may_name_its_own_upstream(session_world: World, session_gateway, gateway, ada):
    # Nobody listens on the discard port.
    routes = [{"path": "/"}, {"path": "/far", "upstream": "http://127.0.0.1:9"}]
    client = session_gateway(gateway.url, {"routes": routes}).client(signed_in=ada)
    assert client.get("/far").status_code == 502


def test_a_world_without_ports_has_no_gateway(session_world: World):
    with World.open() as world, pytest.raises(WrongUse, match="ask for the fixture session_gateway"):
        world.gateway("http://127.0.0.1:3000")


def test_nothing_listens_after_the_world():
    with World.open(listens=True) as world:
        gateway = world.gateway("http://127.0.0.1:9")
        assert gateway.client().get("/.gateway/healthz").status_code == 200
        assert httpx.get(f"{world.authority_url}/healthz", trust_env=False).status_code == 200
    for url in (gateway.url, world.authority_url):
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, trust_env=False)


def test_without_the_extra_it_is_said_what_to_install():
    def load(name: str) -> object:
        raise ModuleNotFoundError(f"No module named 'uvloop', wanted by {name}", name="uvloop")

    with pytest.raises(WrongUse, match=r"needs the package uvloop: pip install 'session-gateway\[serve\]'"):
        server(load)
