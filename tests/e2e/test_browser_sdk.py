"""The official browser SDK, in a real browser, against the embedded authority and behind the gateway."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.processes import Command, free_ports

pytestmark = pytest.mark.e2e

DIST = Path(__file__).parents[1] / "browser_sdk" / "package" / "dist"
PAGE = """<!doctype html>
<script src="/clerk.browser.js" data-clerk-publishable-key="{key}" data-clerk-proxy-url="{url}"></script>
<h1>{organization}</h1>
"""
LOAD = """async () => {
    await Clerk.load()
    return { user: Clerk.user.fullName, organization: Clerk.organization.slug, session: Clerk.session.id }
}"""
SWITCH = """async () => {
    const wanted = Clerk.user.organizationMemberships.find(each => each.organization.slug === "globex")
    await Clerk.setActive({ organization: wanted.organization.id })
    return Clerk.organization.slug
}"""
TOKEN = "async template => await Clerk.session.getToken(template ? { template } : { skipCache: true })"
SIGN_OUT = "async () => { await Clerk.signOut(() => {}); return Clerk.user ?? null }"


class Application(ThreadingHTTPServer):
    """Serves the SDK, and a page that says in which organization the gateway has its visitor."""

    daemon_threads = True
    key = url = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(DIST)))
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.endswith(".js"):
            super().do_GET()
            return
        application = self.server
        assert isinstance(application, Application)
        organization = self.headers.get("X-Session-Org-Slug", "none")
        body = PAGE.format(key=application.key, url=application.url, organization=organization).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@pytest.fixture
def application() -> Iterator[Application]:
    if not (DIST / "clerk.browser.js").is_file():
        pytest.skip("the browser SDK is not installed (bash tests/browser_sdk/fetch.sh)")
    server = Application()
    yield server
    server.shutdown()
    server.server_close()


def test_the_browser_sdk_loads_gets_tokens_switches_the_organization_and_signs_out(
    application: Application, page: Page, context: BrowserContext
) -> None:
    port = free_ports(3)[0]
    base = f"http://127.0.0.1:{port}"
    upstream = f"http://127.0.0.1:{application.server_address[1]}"
    with Command("dev", "--port", str(port), "--upstream", upstream) as command:
        application.url = command.wait_for(r"authority +(http\S+)")[1]
        command.wait_for("Ctrl-C")
        application.key = publishable_key(application.url)
        page.goto(f"{base}/app")
        page.get_by_role("button", name="Sign in as Ada Lovelace, Acme (admin)").click()
        expect(page.get_by_role("heading")).to_have_text("acme")
        page.wait_for_function("window.Clerk")

        loaded = page.evaluate(LOAD)
        assert (loaded["user"], loaded["organization"]) == ("Ada Lovelace", "acme")
        assert claims(page, page.evaluate(TOKEN))["sid"] == loaded["session"]
        assert claims(page, page.evaluate(TOKEN, "custom_hasura"))["email"] == "ada@example.com"
        assert page.evaluate("async () => (await Clerk.user.getSessions()).map(each => each.status)") == ["active"]

        other = context.new_page()
        other.goto(f"{base}/other")
        expect(other.get_by_role("heading")).to_have_text("acme")
        assert page.evaluate(SWITCH) == "globex"
        assert claims(page, page.evaluate(TOKEN))["o"]["slg"] == "globex"
        other.reload()
        expect(other.get_by_role("heading")).to_have_text("globex")

        assert page.evaluate(SIGN_OUT) is None
        refused = other.evaluate("async () => { const a = await fetch('/x', { method: 'POST' }); return a.status }")
        assert refused == 401
        other.reload()
        expect(other.get_by_role("heading", name="Sign in")).to_be_visible()


def publishable_key(url: str) -> str:
    from gateway.core.instance import InstanceKind, PublishableKey

    return PublishableKey.encode(InstanceKind.DEVELOPMENT, url.removeprefix("http://")).value


def claims(page: Page, token: str) -> dict[str, object]:
    import base64

    payload = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found
