"""Domains in a real browser: a session crosses to a satellite, and a handshake's answer to nobody else."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.e2e.conftest import CHROMIUM_FLAGS, chromium
from tests.e2e.processes import Command, free_ports
from tests.e2e.test_dev_story import claims_of, session_cookie
from tests.e2e.test_serve import Upstream, config_of

pytestmark = pytest.mark.e2e

ADA = re.compile(r"Sign in as Ada Lovelace, .*admin")


@dataclass
class Domains:
    """A primary on ``127.0.0.1`` and a satellite on ``localhost``: two hosts to a browser, two jars of cookies."""

    primary: str
    satellite: str
    authority: str
    gateways: tuple[Command, Command]


@pytest.fixture(params=[True, False], ids=["at once", "when asked"])
def domains(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Domains]:
    first, second = free_ports(2)
    primary, satellite = f"http://127.0.0.1:{first}", f"http://localhost:{second}"
    with ExitStack() as stack:
        upstream = Upstream()
        stack.callback(upstream.server_close)
        stack.callback(upstream.shutdown)
        authority = stack.enter_context(Command("authority", "--listen", "127.0.0.1:0", "--json"))
        described: dict[str, Any] = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        public = f'\n[[routes]]\npath = "/welcome"\naccess = "public"\nupstream = "{upstream.url}"\n'
        texts = {
            "primary": with_settings(
                config_of(described, upstream.url, f"127.0.0.1:{first}", public), satellite_origins=[satellite]
            ),
            "satellite": with_settings(
                config_of(described, upstream.url, f"127.0.0.1:{second}"),
                is_satellite=True,
                domain="satellite.example",
                satellite_auto_sync=request.param,
                sign_in_url=f"{primary}/welcome",
            ),
        }
        gateways = []
        for name, text in texts.items():
            (tmp_path / f"{name}.toml").write_text(text)
            gateway = stack.enter_context(Command("serve", "--config", str(tmp_path / f"{name}.toml")))
            gateway.wait_for("listens on")
            gateways.append(gateway)
        yield Domains(primary, satellite, described["frontend_api_url"], (gateways[0], gateways[1]))


def with_settings(config: str, **settings: object) -> str:
    """Return the configuration with these settings of ``[instance]`` in place of its own."""
    kept = [line for line in config.splitlines() if line.partition(" = ")[0] not in settings]
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    return "\n".join(kept).replace("[server]", f"{lines}\n\n[server]", 1)


def test_a_session_of_the_primary_is_there_on_the_satellite(
    domains: Domains, page: Page, context: BrowserContext, request: pytest.FixtureRequest
) -> None:
    primary, satellite = domains.gateways
    page.goto(f"{domains.primary}/reports")
    page.get_by_role("button", name=ADA).first.click()
    expect(page).to_have_url(f"{domains.primary}/reports")
    user_id = claims_of(session_cookie(context, domains.primary))["sub"]

    asked = "" if request.node.callspec.id == "at once" else "?__clerk_synced=false"
    page.goto(f"{domains.satellite}/far{asked}")

    expect(page).to_have_url(f"{domains.satellite}/far?__clerk_synced=true")
    assert claims_of(session_cookie(context, domains.satellite))["sub"] == user_id
    satellite.wait_for("307 +GET +/far .*satellite-needs-syncing")
    primary.wait_for("307 +GET +/welcome .*primary-responds-to-syncing")
    satellite.wait_for("307 +GET +/far .*dev-browser-sync")
    satellite.wait_for("200 +GET +/far .*signed-in")


def test_without_a_session_the_satellite_asks_the_primary_once(domains: Domains, page: Page) -> None:
    """Nobody goes in circles: synced and signed out ends at the primary's page, which is to come back here."""
    page.goto(f"{domains.satellite}/far")
    expect(page).to_have_url(re.compile(re.escape(f"{domains.primary}/welcome?redirect_url=")))
    assert "__clerk_synced%3Dfalse" in page.url


def test_a_satellite_that_is_not_listed_is_not_answered(domains: Domains, page: Page) -> None:
    page.goto(f"{domains.primary}/reports")
    page.get_by_role("button", name=ADA).first.click()
    expect(page).to_have_url(f"{domains.primary}/reports")
    for path in ("welcome", "reports"):
        url = f"{domains.primary}/{path}?__clerk_redirect_url=http%3A%2F%2Flocalhost%3A9%2Fevil"
        page.goto(url)
        expect(page).to_have_url(url)


def test_a_link_with_another_persons_answer_signs_nobody_in(
    domains: Domains, page: Page, context: BrowserContext
) -> None:
    """The attacker stops at the way back from a handshake of their own, and sends the address to the victim."""
    headers = {"accept": "text/html", "sec-fetch-dest": "document"}
    with httpx.Client(trust_env=False, headers=headers) as attacker:
        sign_in = attacker.get(f"{domains.authority}/sign-in")
        user = re.search(r'value="(user_[^"]+)"', sign_in.text)
        assert user is not None
        attacker.post(f"{domains.authority}/sign-in", data={"user_id": user[1]}, headers={"origin": domains.authority})
        away = attacker.get(f"{domains.primary}/reports")
        back = attacker.get(away.headers["location"]).headers["location"]
        assert "__clerk_handshake_nonce=" in back
        assert "__gateway_state=" in back

        page.goto(back)
        assert session_cookie(context, domains.primary) == ""
        expect(page).to_have_url(re.compile(r"/sign-in\?"))
        domains.gateways[0].wait_for("was not taken")

        taken = attacker.get(back)
        assert (taken.status_code, taken.headers["location"]) == (307, f"{domains.primary}/reports")
        assert any(cookie.name.startswith("__session") for cookie in attacker.cookies.jar)


@pytest.fixture
def page_without_cookies(tmp_path: Path) -> Iterator[Page]:
    profile = tmp_path / "profile"
    (profile / "Default").mkdir(parents=True)
    blocked = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (profile / "Default" / "Preferences").write_text(json.dumps(blocked))
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=chromium(), args=CHROMIUM_FLAGS
        )
        yield context.new_page()
        context.close()


def test_a_browser_that_keeps_no_cookies_ends_at_a_page_that_says_so(
    domains: Domains, page_without_cookies: Page
) -> None:
    page = page_without_cookies
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    response = page.goto(f"{domains.primary}/reports")

    assert response is not None
    assert response.status == 401
    assert page.context.cookies() == []
    assert len([url for url in asked if "/v1/client/handshake" in url]) == 3
    expect(page.get_by_text("cookies-blocked").first).to_be_visible()
