"""Sign-in, refresh and revocation with a production instance: no dev browser, cookies instead of query parameters."""

import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.processes import Command, free_port
from tests.e2e.test_dev_story import claims_of, session_cookie, wait_until_expired
from tests.e2e.test_serve import Upstream, config_of

pytestmark = pytest.mark.e2e

CHECK = """
import sqlite3

async def check(credentials):
    if credentials.password.reveal() != "right":
        return None
    with sqlite3.connect("authority.db") as connection:
        row = connection.execute("SELECT id FROM users WHERE email_address = ?", (credentials.identifier,)).fetchone()
    return row[0] if row else None
"""
PEOPLE = """
[[users]]
first_name = "Ada"
email_address = "ada@example.com"
"""


def test_a_production_session_is_made_refreshed_revoked_and_ended(
    page: Page, context: BrowserContext, tmp_path: Path
) -> None:
    upstream = Upstream()
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    (tmp_path / "first_user.py").write_text(CHECK)
    (tmp_path / "people.toml").write_text(PEOPLE)
    started = ("authority", "--listen", "127.0.0.1:0", "--json", "--instance", "production", "--token-lifetime", "2")
    options = (
        "--sign-in-check",
        "first_user:check",
        "--allow-origin",
        base,
        "--db",
        str(tmp_path / "authority.db"),
        "--seed",
        "people.toml",
    )
    with Command(*started, *options, cwd=tmp_path) as authority:
        described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        config = tmp_path / "config.toml"
        text = config_of(described, upstream.url, f"127.0.0.1:{port}")
        config.write_text(text.replace("[server]", "clock_skew_s = 0\n\n[server]", 1))
        with Command("serve", "--config", str(config)) as gateway:
            gateway.wait_for("listens on")
            page.goto(f"{base}/reports")
            expect(page).to_have_url(re.compile(r"/sign-in\?"))
            gateway.wait_for("307 +GET +/reports .*session-token-and-uat-missing")
            page.get_by_label("Email address").fill("ada@example.com")
            page.get_by_label("Password").fill("wrong")
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("alert")).to_have_text("The email address or the password is wrong.")
            page.get_by_label("Password").fill("right")
            page.get_by_role("button", name="Sign in").click()
            expect(page).to_have_url(f"{base}/reports")
            gateway.wait_for("307 +GET +/reports .*signed-in .*handshake")
            first = session_cookie(context, base)
            session_id = claims_of(first)["sid"]
            assert not any("__clerk_db_jwt" in cookie["name"] for cookie in context.cookies(base))

            wait_until_expired(first)
            page.goto(f"{base}/later")
            expect(page).to_have_url(f"{base}/later")
            assert claims_of(session_cookie(context, base))["sid"] == session_id
            gateway.wait_for("200 +GET +/later .*refresh")

            key = {"authorization": f"Bearer {described['secret_key']}"}
            api = f"{described['api_url']}/v1/sessions/{session_id}"
            assert httpx.post(f"{api}/revoke", headers=key, trust_env=False).status_code == 200
            wait_until_expired(session_cookie(context, base))
            page.goto(f"{base}/again")
            expect(page).to_have_url(re.compile(r"/sign-in\?"))
            gateway.wait_for("session-token-expired-refresh-session_refresh_inactive_session")
            assert session_cookie(context, base) == ""
    upstream.shutdown()
    upstream.server_close()
