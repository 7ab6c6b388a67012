"""Two tabs of one browser: what the other one sees when a session ends or changes, at once and after its token."""

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.processes import Command, free_ports
from tests.e2e.test_dev_story import claims_of, session_cookie, sign_in, wait_until_expired

pytestmark = pytest.mark.e2e

ADA = "Sign in as Ada Lovelace, Acme (admin)"
ASK = """async () => {
    const answer = await fetch("/api", { method: "POST", headers: { Accept: "application/json" } })
    return [answer.status, (await answer.json()).reason ?? ""]
}"""


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    # the demo page forbids its scripts to fetch; an application's page does not
    context = browser.new_context(bypass_csp=True)
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def dev() -> Iterator[tuple[Command, str, str]]:
    port = free_ports(3)[0]
    with Command("dev", "--port", str(port), "--token-lifetime", "3") as command:
        authority = command.wait_for(r"authority +(http\S+)")[1]
        command.wait_for("Ctrl-C")
        yield command, f"http://127.0.0.1:{port}", authority


@pytest.fixture
def tabs(dev: tuple[Command, str, str], context: BrowserContext) -> tuple[Page, Page]:
    one, other = context.new_page(), context.new_page()
    sign_in(one, dev[1], ADA)
    other.goto(f"{dev[1]}/other")
    assert other.evaluate(ASK)[0] == 200
    return one, other


def test_a_tab_is_signed_out_with_the_other_at_once(dev: tuple[Command, str, str], tabs: tuple[Page, Page]) -> None:
    _, base, authority = dev
    one, other = tabs
    one.goto(f"{authority}/sign-out?redirect_url={base}/bye")
    one.get_by_role("button", name="Sign out").click()
    expect(one).to_have_url(re.compile(r"/sign-in\?"))

    status, reason = other.evaluate(ASK)
    assert (status, reason) == (401, "session-token-and-uat-missing")
    other.goto(f"{base}/other")
    expect(other).to_have_url(re.compile(r"/sign-in\?"))


def test_a_session_that_the_api_revokes_lives_as_long_as_its_token_and_not_longer(
    dev: tuple[Command, str, str], tabs: tuple[Page, Page], context: BrowserContext
) -> None:
    command, base, _ = dev
    _, other = tabs
    other.goto(f"{base}/other")
    token = session_cookie(context, base)
    key = command.wait_for(r"CLERK_SECRET_KEY=(\S+) CLERK_API_URL=(\S+)")
    path = f"{key[2]}/v1/sessions/{claims_of(token)['sid']}/revoke"
    answer = httpx.post(path, headers={"Authorization": f"Bearer {key[1]}"}, trust_env=False)
    assert answer.json()["status"] == "revoked"

    # a token is good until it ends: nothing is asked for it
    status, _ = other.evaluate(ASK)
    if time.time() < int(str(claims_of(token)["exp"])):
        assert status == 200
    wait_until_expired(token)
    status, reason = other.evaluate(ASK)
    assert (status, reason) == (401, "session-token-expired-refresh-session_refresh_inactive_session")
    other.goto(f"{base}/other")
    expect(other).to_have_url(re.compile(r"/sign-in\?"))


def test_a_tab_that_signs_in_as_somebody_else_changes_the_other_one_too(
    dev: tuple[Command, str, str], tabs: tuple[Page, Page], context: BrowserContext
) -> None:
    _, base, authority = dev
    one, other = tabs
    first = claims_of(session_cookie(context, base))
    one.goto(f"{authority}/sign-in?redirect_url={base}/one")
    one.get_by_role("button", name="Sign in as Ada Lovelace, Globex (member)").click()
    expect(one).to_have_url(f"{base}/one")
    expect(one.get_by_text("globex").first).to_be_visible()

    assert other.evaluate(ASK)[0] == 200
    other.goto(f"{base}/other")
    expect(other.get_by_text("globex").first).to_be_visible()
    assert claims_of(session_cookie(context, base))["sid"] != first["sid"]
