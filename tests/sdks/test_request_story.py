"""``authenticateRequest`` of the JavaScript SDK against the Frontend API: signed out, handshake, signed in, refresh."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.sdks.runners import COMMANDS, JAVASCRIPT, MISSING, Runner
from tests.sdks.stage import APP, Stage, staged

DOCUMENT = {"accept": "text/html", "sec-fetch-dest": "document"}

pytestmark = pytest.mark.skipif(bool(MISSING[JAVASCRIPT]), reason=MISSING[JAVASCRIPT])


class Browser:
    """An application on the SDK, and a browser that follows its redirects and keeps its cookies."""

    def __init__(self, stage: Stage, runner: Runner, http: httpx.Client) -> None:
        self.stage, self.runner, self.http = stage, runner, http
        self.cookies: dict[str, str] = {}

    def visit(self, url: str) -> dict:
        """Ask for a page once; keep the cookies of the answer."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        told = self.runner.ask(
            operation="authenticate",
            url=self.stage.url,
            key=self.stage.key,
            publishable_key=self.stage.authority.publishable_key.value,
            arguments={"url": url, "headers": {**DOCUMENT, "host": urlsplit(APP).netloc, "cookie": cookie}},
        )
        assert "error" not in told, told
        for directive in told["value"]["cookies"]:
            name, _, value = directive.partition(";")[0].partition("=")
            self.cookies[name] = value
        return told["value"]

    def visit_later(self, url: str) -> dict:
        """Ask for a page when the redirects of before are no longer counted, which the SDK does for two seconds."""
        self.cookies.pop("__clerk_redirect_count", None)
        return self.visit(url)

    def through_the_handshake(self, url: str) -> dict:
        """Ask for a page, and follow the redirects to the authority and back until it is decided."""
        state = self.visit_later(url)
        for _ in range(4):
            if state["state"] != "handshake":
                return state
            location = state["location"]
            if location.startswith(self.stage.url):
                returned = self.http.get(location)
                assert returned.status_code == 307, returned.text
                location = returned.headers["location"]
            state = self.visit(location)
        raise AssertionError(f"it goes in circles: {state}")


@pytest.fixture
def browser() -> Iterator[Browser]:
    with staged() as stage, Runner(COMMANDS[JAVASCRIPT]) as runner, httpx.Client(trust_env=False, verify=False) as http:
        yield Browser(stage, runner, http)


def test_a_browser_signs_in_is_refreshed_and_signed_out_by_the_api(browser):
    stage = browser.stage
    page = f"{APP}/page"
    assert browser.through_the_handshake(page)["state"] == "signed-out"

    # ninety seconds ago it signed in, so the token that it got has expired by now
    stage.clock.ahead_s = -90
    form = {"user_id": stage.user(), "organization_id": stage.organization(), "redirect_url": page}
    signed_in = browser.http.post(f"{stage.url}/sign-in", data=form, headers={"Origin": stage.url})
    assert signed_in.status_code == 303, signed_in.text
    first = browser.visit(signed_in.headers["location"])
    assert (first["state"], first["reason"]) == ("handshake", "dev-browser-sync")
    nonce = httpx.URL(browser.http.get(first["location"]).headers["location"])
    assert "__clerk_handshake_nonce" in nonce.params
    browser.visit(str(nonce))
    suffix = stage.authority.publishable_key.cookie_suffix
    expired = browser.cookies[f"__session_{suffix}"]
    stage.clock.ahead_s = 0

    refreshed = browser.visit(page)
    assert (refreshed["state"], refreshed["user_id"], refreshed["org_slug"]) == ("signed-in", stage.user(), "acme")
    assert browser.cookies[f"__session_{suffix}"] != expired
    again = browser.visit(page)
    assert (again["state"], again["cookies"]) == ("signed-in", [])

    # a token that was traded before is not traded again: a handshake finds the session instead
    browser.cookies[f"__session_{suffix}"] = browser.cookies["__session"] = expired
    told = browser.visit_later(page)
    code = "session_refresh_expired_session_token_consumed".replace("_", "-")
    assert told["state"] == "handshake"
    assert code in told["reason"].replace("_", "-")
    assert browser.through_the_handshake(page)["user_id"] == stage.user()

    session_id = stage.claims(expired)["sid"]
    stage.ask("POST", f"/v1/sessions/{session_id}/revoke")
    browser.cookies[f"__session_{suffix}"] = browser.cookies["__session"] = expired
    assert browser.through_the_handshake(page)["state"] == "signed-out"
