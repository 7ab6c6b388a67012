"""The story that a person lives through with ``gateway dev``, in a real browser."""

import base64
import json
import re
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.processes import Command, clean_environment, free_ports

pytestmark = pytest.mark.e2e

TOKEN_LIFETIME_S = 2


@pytest.fixture
def dev() -> Iterator[tuple[Command, str]]:
    port = free_ports(3)[0]
    with Command("dev", "--port", str(port), "--token-lifetime", str(TOKEN_LIFETIME_S)) as command:
        command.wait_for("Ctrl-C")
        yield command, f"http://127.0.0.1:{port}"


def session_cookie(context: BrowserContext, base: str) -> str:
    values = [cookie["value"] for cookie in context.cookies(base) if cookie["name"] == "__session"]
    return values[0] if values else ""


def claims_of(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def wait_until_expired(token: str) -> None:
    """Let the token's own time pass; there is no other way to be beyond it."""
    expires_at_s = claims_of(token)["exp"]
    assert isinstance(expires_at_s, int)
    while time.time() <= expires_at_s:
        time.sleep(0.05)


def sign_in(page: Page, base: str, account: str) -> None:
    page.goto(base)
    page.get_by_role("button", name=account, exact=True).click()
    expect(page).to_have_url(re.compile(re.escape(base)))


def test_a_person_signs_in_is_refreshed_is_revoked_and_ends_at_the_sign_in_page(
    dev: tuple[Command, str], page: Page, context: BrowserContext
) -> None:
    command, base = dev
    page.goto(f"{base}/reports?month=5")
    expect(page).to_have_url(re.compile(r"/sign-in\?"))
    command.wait_for("handshake +dev-browser-missing")

    page.get_by_role("button", name=re.compile(r"Sign in as Ada Lovelace, .*admin")).first.click()
    expect(page).to_have_url(f"{base}/reports?month=5")
    first = session_cookie(context, base)
    claims = claims_of(first)
    expect(page.get_by_text(str(claims["sub"])).first).to_be_visible()
    expect(page.get_by_text("x-session-org-slug").first).to_be_visible()
    command.wait_for("200 +GET +/reports .*signed-in")

    wait_until_expired(first)
    page.goto(f"{base}/later")
    expect(page).to_have_url(f"{base}/later")
    second = session_cookie(context, base)
    assert second != first
    assert claims_of(second)["sid"] == claims["sid"]
    command.wait_for("200 +GET +/later .*refresh")

    page.get_by_role("button", name=re.compile("Revoke")).click()
    expect(page).to_have_url(re.compile(r"revoked=sess_\w+"))
    wait_until_expired(session_cookie(context, base))
    page.goto(f"{base}/again")
    expect(page).to_have_url(re.compile(r"/sign-in\?"))
    command.wait_for("session-token-expired-refresh-session_refresh_inactive_session")
    assert session_cookie(context, base) == ""


def test_a_fetch_without_a_handshake_is_refreshed_in_place(
    dev: tuple[Command, str], page: Page, context: BrowserContext
) -> None:
    _, base = dev
    sign_in(page, base, "Sign in as Alan Turing, personal account")
    first = session_cookie(context, base)
    wait_until_expired(first)

    answer = page.request.post(f"{base}/api/save", data="x")

    assert answer.status == 200
    assert answer.json()["identity"]["x-session-status"] == "signed-in"
    assert "x-session-org-id" not in answer.json()["identity"]
    assert session_cookie(context, base) != first


def test_curl_gets_200_with_a_bearer_token_401_with_none_and_401_with_an_expired_one(
    dev: tuple[Command, str], page: Page, context: BrowserContext
) -> None:
    _, base = dev
    sign_in(page, base, "Sign in as Alan Turing, personal account")
    token = session_cookie(context, base)
    user_id = claims_of(token)["sub"]

    good = httpx.get(base, headers={"authorization": f"Bearer {token}"}, trust_env=False)
    none = httpx.get(base, trust_env=False)
    wait_until_expired(token)
    expired = httpx.get(base, headers={"authorization": f"Bearer {token}"}, trust_env=False)

    assert good.status_code == 200
    assert good.json()["identity"]["x-session-user-id"] == user_id
    assert "authorization" not in good.json()["rest"]
    assert none.status_code == 401
    assert none.json()["reason"] == "dev-browser-missing"
    assert none.headers["www-authenticate"].startswith("Bearer")
    assert expired.status_code == 401
    assert expired.json()["reason"] == "session-token-expired-refresh-non-eligible-no-refresh-cookie"


def test_the_upstream_never_sees_session_cookies_or_forged_identity(
    dev: tuple[Command, str], page: Page, context: BrowserContext
) -> None:
    _, base = dev
    sign_in(page, base, "Sign in as Alan Turing, personal account")
    user_id = claims_of(session_cookie(context, base))["sub"]
    context.add_cookies([{"name": "theme", "value": "dark", "url": base}])

    seen = page.request.get(
        f"{base}/x", headers={"X-Session-User-Id": "mallory", "X_Session_Org_Id": "org_evil"}
    ).json()

    assert seen["identity"]["x-session-user-id"] == user_id
    assert "org_evil" not in json.dumps(seen)
    assert seen["rest"]["cookie"] == "theme=dark"


def test_the_sessions_commands_work_against_the_running_authority(
    dev: tuple[Command, str], page: Page, context: BrowserContext
) -> None:
    command, base = dev
    sign_in(page, base, "Sign in as Alan Turing, personal account")
    key = command.wait_for(r"CLERK_SECRET_KEY=(\S+) CLERK_API_URL=(\S+)")
    environment = clean_environment(CLERK_SECRET_KEY=key[1], CLERK_API_URL=key[2])

    with Command("sessions", "list", "--status", "active", "--json", env=environment) as listed:
        assert listed.wait() == 0
    session_id = re.search(r"sess_\w+", listed.output)
    assert session_id is not None
    with Command("sessions", "revoke", session_id[0], "--yes", env=environment) as revoked:
        assert revoked.wait() == 0

    wait_until_expired(session_cookie(context, base))
    refused = page.request.get(base, headers={"accept": "application/json"})
    assert refused.status == 401
    assert refused.json()["reason"] == "session-token-expired-refresh-session_refresh_inactive_session"


def test_a_browser_without_a_session_gets_a_page_that_can_be_acted_on(
    dev: tuple[Command, str], page: Page, context: BrowserContext
) -> None:
    _, base = dev
    context.add_cookies(
        [
            {"name": "__clerk_db_jwt", "value": "dvb_x", "url": base},
            {"name": "__client_uat", "value": "1", "url": base},
            {"name": "__session", "value": "junk", "url": base},
        ]
    )
    response = page.goto(base)

    assert response is not None
    assert response.status == 401
    assert response.headers["cache-control"] == "no-store"
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.get_by_text("token-invalid").first).to_be_visible()


def test_it_is_ready_in_under_two_seconds_and_ends_cleanly(dev: tuple[Command, str]) -> None:
    port = free_ports(3)[0]
    with Command("dev", "--port", str(port)) as command:
        command.wait_for(f"http://127.0.0.1:{port}")
        assert httpx.get(f"http://127.0.0.1:{port}/.gateway/healthz", trust_env=False).status_code == 200
        command.signal(2)
        assert command.wait() == 0
        assert "Traceback" not in command.output


def test_a_port_in_use_is_a_clear_error(dev: tuple[Command, str]) -> None:
    _, base = dev
    port = base.rsplit(":", 1)[1]
    with Command("dev", "--port", port) as command:
        assert command.wait() == 3
    assert f"--port = 127.0.0.1:{port}" in command.output
    assert "Traceback" not in command.output
