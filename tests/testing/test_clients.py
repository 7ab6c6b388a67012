"""Clients are browsers: what they send, what they keep, where they end up."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from gateway.testing import SessionClient, World, WrongUse


@pytest.fixture
def client(session_world: World, app, ada) -> SessionClient:
    return session_world.client(app, signed_in=ada, organization="acme")


def test_a_client_is_an_httpx_client_signed_in_by_cookies(client, ada):
    assert isinstance(client, httpx.Client)
    answer = client.get("/")
    assert "authorization" not in answer.request.headers
    seen = answer.json()
    assert (seen["user"], seen["organization"], seen["session"]) == (ada.id, "acme", client.session.id)
    assert seen["claims"]["azp"] == "http://testserver"


def test_two_clients_are_two_browsers(session_world: World, app, client, ada):
    grace = session_world.client(app, signed_in=session_world.user("grace@example.com"))
    other = session_world.client(app, signed_in=ada)
    assert grace.get("/").json()["user"] != client.get("/").json()["user"]
    assert other.session.id != client.session.id
    other.sign_out()
    assert client.get("/").status_code == 200


def test_a_session_is_shared_where_it_is_passed_on(session_world: World, app, client):
    tab = session_world.client(app, signed_in=client.session)
    assert tab.get("/").json()["session"] == client.session.id
    tab.switch_organization("globex")
    client.expire()
    assert client.get("/").json()["organization"] == "globex"


def test_signing_in_again_takes_the_others_place(session_world: World, client):
    grace = session_world.user("grace@example.com")
    client.sign_in(grace)
    assert client.get("/").json()["user"] == grace.id


def test_signing_out_leaves_no_session_behind(client):
    client.sign_out()
    assert client.session.status == "ended"
    refused = client.get("/")
    assert (refused.status_code, refused.json()["reason"]) == (401, "session-token-and-uat-missing")


def test_a_client_that_is_not_signed_in_says_so(session_world: World, app):
    client = session_world.client(app)
    for act in (client.sign_out, client.revoke, lambda: client.switch_organization("acme")):
        with pytest.raises(WrongUse, match="this client is not signed in: pass signed_in="):
            act()
    client.expire()


def test_refreshed_cookies_are_kept_once(client):
    first = {cookie.name: cookie.value for cookie in client.cookies.jar}
    client.expire()
    assert "set-cookie" in client.get("/").headers
    assert "set-cookie" not in client.get("/").headers
    names = [(cookie.domain, cookie.name) for cookie in client.cookies.jar]
    assert len(names) == len(set(names))
    assert {cookie.name: cookie.value for cookie in client.cookies.jar} != first


def test_a_page_is_opened_by_way_of_the_sign_in_page_and_back(session_world: World, app, ada):
    client = session_world.client(app)
    page = client.visit("/reports?year=1843")
    assert str(page.url).startswith(f"{session_world.authority_url}/sign-in?")

    form = {"user_id": ada.id, "redirect_url": page.url.params["redirect_url"]}
    back = client.visit(f"{session_world.authority_url}/sign-in", form)
    assert str(back.url) == "http://testserver/reports?year=1843"
    assert back.json()["user"] == ada.id


def test_a_signed_in_browser_comes_back_from_the_authority_without_a_form(client):
    for cookie in [*client.cookies.jar]:
        if cookie.domain.startswith("testserver"):
            client.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
    assert client.visit("/").json()["session"] == client.session.id


def test_an_application_may_have_another_origin(session_world: World, app, ada):
    client = session_world.client(app, signed_in=ada, origin="https://app.example.com")
    seen = client.get("/").json()
    assert seen["claims"]["azp"] == "https://app.example.com"
    assert seen["headers"]["host"] == "app.example.com"


def test_options_are_those_of_httpx(session_world: World, app, ada):
    client = session_world.client(app, signed_in=ada, headers={"X-Trace": "7"}, follow_redirects=True)
    assert client.get("/").json()["headers"]["x-trace"] == "7"


def test_time_that_stands_still_may_be_moved(session_world: World, client):
    session_world.clock.freeze()
    client.expire()
    assert session_world.clock.read().is_frozen
    assert "set-cookie" in client.get("/").headers


async def test_an_asynchronous_client_does_the_same(session_world: World, app, ada):
    async with session_world.async_client(app, signed_in=ada, organization="acme") as client:
        assert (await client.get("/")).json()["organization"] == "acme"
        client.switch_organization("globex")
        client.expire()
        answers = await asyncio.gather(*(client.get("/") for _ in range(5)))
        assert {answer.json()["organization"] for answer in answers} == {"globex"}
        client.revoke()
        client.expire()
        assert (await client.visit("/")).url.path == "/sign-in"


async def test_an_asynchronous_client_may_be_signed_in_later(session_world: World, app, ada):
    async with session_world.async_client(app) as client:
        assert (await client.get("/")).status_code == 401
        client.sign_in(ada)
        assert (await client.get("/")).status_code == 200


def test_a_synchronous_client_works_where_an_event_loop_runs(session_world: World, app, ada):
    async def ask() -> int:
        return session_world.client(app, signed_in=ada).get("/").status_code

    assert asyncio.run(ask()) == 200


def test_clients_are_closed_with_the_world(app):
    with World.open() as world:
        client = world.client(app)
        client.get("/")
    assert client.is_closed


def test_a_client_may_be_closed_before_and_opened_by_a_with_statement(session_world: World, app, ada):
    with session_world.client(app, signed_in=ada) as client:
        assert client.get("/").status_code == 200
    assert client.is_closed


def test_bodies_redirects_and_errors_of_the_application_come_through(session_world: World, ada):
    async def echo(request: Request):
        return JSONResponse((await request.body()).decode())

    async def away(request: Request):
        return RedirectResponse("/echo", 307)

    async def broken(request: Request):
        raise LookupError("of the application")

    app = Starlette(routes=[Route(f"/{each.__name__}", each, methods=["POST"]) for each in (echo, away, broken)])
    client = session_world.client(session_world.protect(app), signed_in=ada)
    assert client.post("/away", content=b"body", follow_redirects=True).json() == "body"
    with pytest.raises(LookupError, match="of the application"):
        client.post("/broken")
