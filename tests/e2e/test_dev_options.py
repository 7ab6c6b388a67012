"""The options of ``gateway dev``, and a look at its pages."""

import json
import re
import stat
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.processes import Command, clean_environment, free_ports
from tests.e2e.test_serve import Upstream

pytestmark = pytest.mark.e2e

SCREENSHOTS = Path(__file__).parents[2] / "test-screenshots"


def test_upstream_puts_the_gateway_before_your_own_application() -> None:
    upstream = Upstream()
    port = free_ports(3)[0]
    with Command("dev", "--port", str(port), "--upstream", upstream.url) as dev:
        dev.wait_for("Ctrl-C")
        key = dev.wait_for(r"CLERK_SECRET_KEY=(\S+)")[1]
        api_url = dev.wait_for(r"CLERK_API_URL=(\S+)")[1]
        with httpx.Client(headers={"authorization": f"Bearer {key}"}, trust_env=False) as api:
            found = re.search(r"user_\w{27}", api.get(f"{api_url}/sign-in").text)
            assert found is not None
            session = api.post(f"{api_url}/v1/sessions", json={"user_id": found[0]}).json()
            minted = api.post(
                f"{api_url}/v1/sessions/{session['id']}/tokens", json={}, headers={"origin": f"http://127.0.0.1:{port}"}
            )
        token = minted.json()["jwt"]
        answer = httpx.get(
            f"http://127.0.0.1:{port}/mine", headers={"authorization": f"Bearer {token}"}, trust_env=False
        )
        assert answer.json()["path"] == "/mine"
        assert answer.json()["headers"]["x-session-user-id"] == found[0]
    upstream.shutdown()
    upstream.server_close()


def test_db_keeps_keys_and_sessions_over_a_restart(tmp_path: Path) -> None:
    arguments = ("dev", "--port", str(free_ports(3)[0]), "--db", str(tmp_path / "authority.db"))
    keys = []
    for _ in range(2):
        with Command(*arguments) as dev:
            dev.wait_for("Ctrl-C")
            keys.append(dev.wait_for(r"CLERK_SECRET_KEY=(\S+)")[1])
    assert keys[0] == keys[1]


def test_control_turns_the_one_clock_of_authority_and_gateway() -> None:
    port = free_ports(3)[0]
    gateway = f"http://127.0.0.1:{port}"
    with Command("dev", "--port", str(port), "--control", "127.0.0.1:0") as dev:
        clock = f"{dev.wait_for(r'(http://127.0.0.1:[0-9]+/control) turns the clock')[1]}/clock"
        dev.wait_for("Ctrl-C")
        key = dev.wait_for(r"CLERK_SECRET_KEY=(\S+)")[1]
        api_url = dev.wait_for(r"CLERK_API_URL=(\S+)")[1]
        with httpx.Client(trust_env=False) as program:
            found = re.search(r"user_\w{27}", program.get(f"{api_url}/sign-in").text)
            assert found is not None
            backend = {"authorization": f"Bearer {key}", "origin": gateway}
            made = program.post(f"{api_url}/v1/sessions", json={"user_id": found[0]}, headers=backend).json()

            def token() -> str:
                minted = program.post(f"{api_url}/v1/sessions/{made['id']}/tokens", json={}, headers=backend)
                return str(minted.json()["jwt"])

            def status(jwt: str) -> int:
                return program.get(gateway, headers={"authorization": f"Bearer {jwt}"}).status_code

            first = token()
            assert status(first) == 200
            assert program.post(clock, json={"advance_s": 3600}).status_code == 200
            assert status(first) == 401
            assert status(token()) == 200


def test_open_opens_the_address_in_the_browser_of_the_environment(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    port = free_ports(3)[0]
    with Command("dev", "--port", str(port), "--open", env=clean_environment(BROWSER=str(browser))) as dev:
        dev.wait_for("Ctrl-C")
    assert opened.read_text().strip().rstrip("/") == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("light", 1200, "light"), ("dark", 1200, "dark"), ("narrow", 360, "light")],
)
def test_the_pages_fit_their_window_and_ask_nobody_else(browser: Browser, name: str, width: int, scheme: str) -> None:
    port = free_ports(3)[0]
    base = f"http://127.0.0.1:{port}"
    SCREENSHOTS.mkdir(exist_ok=True)
    with Command("dev", "--port", str(port)) as dev:
        dev.wait_for("Ctrl-C")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(base)
        look(page, f"sign-in-{name}")
        page.get_by_role("button", name=re.compile(r"Sign in as Ada Lovelace, .*admin")).click()
        page.wait_for_url(f"{base}/")
        look(page, f"whoami-{name}")
        for cookie in ("__session", *(item["name"] for item in context.cookies(base) if "__session_" in item["name"])):
            context.add_cookies([{"name": cookie, "value": "junk", "url": base}])
        answer = page.goto(base)
        assert answer is not None
        assert answer.status == 401
        look(page, f"refused-{name}")
        context.close()
    assert all(url.startswith("http://127.0.0.1:") for url in asked), json.dumps(asked)


def look(page: Page, name: str) -> None:
    """Keep a picture for people; nothing may stick out of the window."""
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0
    assert page.locator("h1").count() == 1
