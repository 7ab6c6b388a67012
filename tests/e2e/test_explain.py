"""``gateway explain`` as a process, against a real authority, with no service behind the gateway."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import Command, clean_environment, free_port
from tests.e2e.test_serve import config_of

pytestmark = pytest.mark.e2e

EXPLAIN = [sys.executable, "-m", "gateway", "explain"]


def explain(config: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EXPLAIN, "--config", str(config), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(),
    )


def test_a_token_of_a_real_authority_is_explained_then_expired_and_traded(tmp_path: Path) -> None:
    with Command("authority", "--listen", "127.0.0.1:0", "--json", "--token-lifetime", "2") as authority:
        described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        config = tmp_path / "config.toml"
        config.write_text(config_of(described, "http://127.0.0.1:9", "127.0.0.1:0"))
        headers = {"authorization": f"Bearer {described['secret_key']}"}
        with httpx.Client(base_url=described["api_url"], headers=headers, trust_env=False) as api:
            session = api.post("/v1/sessions", json={"user_id": described["users"][0]["id"]}).json()
            path = f"/v1/sessions/{session['id']}/tokens"
            token = api.post(path, json={"expires_in_seconds": 300}).json()["jwt"]

        request = f"GET /reports HTTP/1.1\r\nHost: app.example.test\r\nAuthorization: Bearer {token}\r\n\r\n"
        done = explain(config, "--request", "-", stdin=request)
        assert done.returncode == 0, done.stderr
        assert "the instance's keys were loaded" in done.stdout
        assert "decision    signed-in" in done.stdout
        assert "answer      goes on to http://127.0.0.1:9" in done.stdout
        assert done.stdout.rstrip().endswith("what to do  Nothing: the request goes on.")
        assert token not in done.stdout + done.stderr
        assert token.split(".")[2] not in done.stdout + done.stderr

        forged = f"curl https://app.example.test/api -H 'Authorization: Bearer {token[:-8]}AAAAAAAA'"
        done = explain(config, "--curl", forged, "--json")
        result = json.loads(done.stdout)
        assert (result["status"], result["reason"]) == (401, "token-invalid-signature")
        assert [step["mark"] for step in result["steps"] if step["what"] == "signature"] == ["no"]

    done = explain(config, "--curl", forged)
    assert done.returncode == 0
    assert "jwk-remote-unreachable" in done.stdout
    assert "answer      503" in done.stdout


def test_a_client_that_keeps_no_cookies_is_stopped_with_the_cause_on_the_page_and_in_the_log(tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{free_port()}"
    with Command("authority", "--listen", "127.0.0.1:0", "--json") as authority:
        described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        config = tmp_path / "config.toml"
        config.write_text(config_of(described, "http://127.0.0.1:9", base.removeprefix("http://")))
        with Command("serve", "--config", str(config)) as gateway:
            gateway.wait_for("listens on")
            page = {"accept": "text/html", "sec-fetch-dest": "document"}
            url, handshakes = f"{base}/reports", 0
            for _ in range(12):
                # A client for each request: nothing of the last one is kept.
                answer = httpx.get(url, headers=page, trust_env=False)
                if answer.status_code != 307:
                    break
                url = answer.headers["location"]
                handshakes += "/v1/client/handshake?" in url
            assert (answer.status_code, handshakes) == (401, 3)
            assert "cookies-blocked" in answer.text
            assert "Your browser does not keep the cookies of this site." in answer.text
            gateway.wait_for("401 +GET +/reports .* loop=cookies-blocked .*did not come back")
