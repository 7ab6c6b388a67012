"""A real browser before a real gateway: signed in without a form, and signed out by a revocation."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from gateway.testing import RunningGateway, World


async def page_of(request: Request) -> HTMLResponse:
    return HTMLResponse(f"<title>Inbox</title><h1>{request.headers['x-session-org-slug']}</h1>")


inbox = Starlette(routes=[Route("/", page_of)])


def test_a_browser_is_signed_in_and_signed_out(
    session_world: World, session_gateway: Callable[..., RunningGateway], context: BrowserContext
) -> None:
    gateway = session_gateway(inbox)
    ada = session_world.user("ada@example.com", organizations={"acme": "org:admin", "globex": "org:member"})
    session = session_world.session(ada, "acme")
    context.add_cookies(gateway.sign_in_cookies(session))
    page = context.new_page()

    page.goto(gateway.url)
    expect(page.get_by_role("heading")).to_have_text("acme")

    session.switch_organization("globex")
    session_world.advance(minutes=2)  # the page's token has expired; the next one is for the other organization
    page.reload()
    expect(page.get_by_role("heading")).to_have_text("globex")

    session.revoke()
    session_world.advance(minutes=2)
    page.goto(gateway.url)
    expect(page.get_by_role("button", name="Sign in as ada")).not_to_have_count(0)
