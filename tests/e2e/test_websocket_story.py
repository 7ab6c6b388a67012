"""A page with an open WebSocket, in a real browser: it ends with its session, and only its own pages open it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.socket_site import SocketSite, SocketUpstream, socket_site
from tests.e2e.test_dev_story import claims_of, session_cookie

pytestmark = pytest.mark.e2e

ADA = re.compile(r"Sign in as Ada Lovelace, .*admin")


@pytest.fixture
def upstream() -> Iterator[SocketUpstream]:
    upstream = SocketUpstream()
    yield upstream
    upstream.close()


@pytest.fixture
def site(tmp_path: Path, upstream: SocketUpstream) -> Iterator[SocketSite]:
    with socket_site(tmp_path, upstream.url, "\n[websocket]\nrecheck_s = 1\n") as found:
        yield found


def open_chat(page: Page, context: BrowserContext, site: SocketSite) -> str:
    """Open the page, signing in on the way, and return the session's id."""
    page.goto(f"{site.url}/chat")
    expect(page).to_have_url(re.compile(r"/sign-in\?"))
    page.get_by_role("button", name=ADA).first.click()
    expect(page).to_have_url(f"{site.url}/chat")
    claims = claims_of(session_cookie(context, site.url))
    expect(page.get_by_role("listitem")).to_have_text([f"said echo hello {claims['sub']}"])
    return str(claims["sid"])


def test_a_websocket_ends_when_its_session_is_revoked_and_opens_again_after_a_new_sign_in(
    site: SocketSite, upstream: SocketUpstream, page: Page, context: BrowserContext
) -> None:
    first = open_chat(page, context, site)
    with site.api() as api:
        assert api.post(f"/sessions/{first}/revoke").json()["status"] == "revoked"

    expect(page.get_by_text("closed 4401 session ended")).to_be_visible()
    site.gateway.wait_for("101 +GET +/ws .*session-ended")
    # A fourth handshake within seconds would be taken for a loop; no person signs in as fast again.
    while any(cookie["name"] == "__clerk_redirect_count" for cookie in context.cookies(site.url)):
        page.wait_for_timeout(50)
    second = open_chat(page, context, site)
    assert second != first
    page.evaluate("socket.close(4000, 'enough')")
    expect(page.get_by_text("closed 4000")).to_be_visible()
    assert upstream.opened == 2
    assert upstream.ends[0] == 4401


def test_a_websocket_ends_when_its_person_signs_out_in_another_tab(
    site: SocketSite, page: Page, context: BrowserContext
) -> None:
    open_chat(page, context, site)
    other = context.new_page()
    other.goto(f"{site.described['frontend_api_url']}/sign-out?redirect_url={site.url}/bye")
    other.get_by_role("button", name="Sign out").click()
    expect(other).to_have_url(re.compile(r"/sign-in\?"))

    expect(page.get_by_text("closed 4401 session ended")).to_be_visible()


def test_a_page_of_another_origin_opens_none_though_its_browser_sends_the_cookies(
    site: SocketSite, upstream: SocketUpstream, page: Page, context: BrowserContext
) -> None:
    """Cookies know no ports: a page of another port is of the same site, and only its origin tells it apart."""
    open_chat(page, context, site)
    other = context.new_page()
    other.goto(f"{upstream.url}/evil?host={site.host}")

    expect(other.get_by_role("listitem")).to_have_text(["closed 1006 "])
    site.gateway.wait_for("403 +GET +/ws .*websocket-origin-refused")
    assert upstream.opened == 1
