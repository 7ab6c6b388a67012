"""A gateway that has the instance's public key and no secret: handshakes bring a token, and nothing is refreshed."""

import json
import re
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.processes import Command, free_port
from tests.e2e.test_dev_story import claims_of, session_cookie, wait_until_expired
from tests.e2e.test_serve import Upstream, config_of


@pytest.mark.e2e
def test_a_handshake_by_token_signs_in_and_renews_what_cannot_be_refreshed(
    page: Page, context: BrowserContext, tmp_path: Path
) -> None:
    upstream = Upstream()
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with Command("authority", "--listen", "127.0.0.1:0", "--json", "--token-lifetime", "2") as authority:
        described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        public = f"{described['frontend_api_url']}/.well-known/jwks.json"
        key = jwt.PyJWK(httpx.get(public, trust_env=False).json()["keys"][0]).key
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        text = config_of(described, upstream.url, f"127.0.0.1:{port}")
        config = tmp_path / "config.toml"
        config.write_text(re.sub(r'secret_key = ".*"', f'clock_skew_s = 0\njwt_key = """{pem}"""', text, count=1))
        with Command("serve", "--config", str(config)) as gateway:
            gateway.wait_for("listens on")
            page.goto(f"{base}/reports")
            page.get_by_role("button", name="Sign in as Alan Turing, personal account").click()
            expect(page).to_have_url(f"{base}/reports")
            gateway.wait_for("307 +GET +/reports .*signed-in .*handshake")
            first = session_cookie(context, base)

            wait_until_expired(first)
            page.goto(f"{base}/later")
            expect(page).to_have_url(f"{base}/later")
            gateway.wait_for("handshake +session-token-expired-refresh-not-configured")
            second = session_cookie(context, base)
            assert second != first
            assert claims_of(second)["sid"] == claims_of(first)["sid"]
    upstream.shutdown()
    upstream.server_close()
