"""A person signs in, is renewed and is signed out, behind every front, with a real authority."""

import json
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.e2e.processes import Command, free_ports
from tests.e2e.test_dev_story import claims_of, wait_until_expired
from tests.e2e.test_serve import Upstream
from tests.fronts.fronts_kit import DECIDE, TESTED, binary, fronts_of

pytestmark = pytest.mark.e2e

PAGE = {"accept": "text/html", "sec-fetch-dest": "document", "sec-fetch-mode": "navigate"}


def browser() -> httpx.Client:
    return httpx.Client(headers=PAGE, follow_redirects=True, trust_env=False, timeout=20)


def sign_in(client: httpx.Client, url: str) -> httpx.Response:
    """Open a page, pick the first person, and come back."""
    page = client.get(url)
    assert "/sign-in" in str(page.request.url), page.text
    back = parse_qs(urlsplit(str(page.request.url)).query)["redirect_url"][0]
    person = unescape(page.text).split('name="user_id"', 1)[1].split('value="', 1)[1].split('"', 1)[0]
    origin = f"{page.request.url.scheme}://{page.request.url.netloc.decode()}"
    form = {"user_id": person, "identifier": person, "organization_id": "", "redirect_url": back}
    return client.post(f"{origin}/sign-in", data=form, headers={"origin": origin, "sec-fetch-site": "same-origin"})


def session_of(client: httpx.Client) -> str:
    return next(cookie.value or "" for cookie in client.cookies.jar if cookie.name.startswith("__session"))


def told(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    headers: dict[str, str] = answer.json()["headers"]
    return headers


def config_of(described: dict[str, str], port: int) -> str:
    frontend = described["frontend_api_url"]
    return f"""
[instance]
publishable_key = "{described["publishable_key"]}"
secret_key = "{described["secret_key"]}"
api_url = "{described["api_url"]}"
proxy_url = "{frontend}"
sign_in_url = "{frontend}/sign-in"
clock_skew_s = 0

[server]
listen = "127.0.0.1:{port}"
{DECIDE.replace("GRPC", str(port + 1))}"""


def test_a_person_signs_in_is_renewed_and_is_signed_out_behind_every_front(tmp_path: Path) -> None:
    if not any(binary(front) for front in TESTED):
        pytest.skip("no front is installed: see CONTRIBUTING.md")
    upstream, (port, _) = Upstream(), free_ports(2)
    config = tmp_path / "config.toml"
    with Command("authority", "--listen", "127.0.0.1:0", "--json", "--token-lifetime", "3") as authority:
        described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        config.write_text(config_of(described, port))
        with (
            Command("serve", "--config", str(config)) as gateway,
            fronts_of(tmp_path, port, upstream.server_port) as ports,
        ):
            gateway.wait_for("listens on")
            _tell(described, ports)
    upstream.shutdown()
    upstream.server_close()


def _tell(described: dict[str, str], ports: dict[str, int]) -> None:
    people = {front: browser() for front in ports}
    first: dict[str, str] = {}
    for front, client in people.items():
        arrived = sign_in(client, f"http://127.0.0.1:{ports[front]}/reports?a=1")
        headers = told(arrived)
        assert arrived.json()["path"] == "/reports?a=1", front
        assert headers["x-session-status"] == "signed-in"
        first[front] = session_of(client)
        assert headers["x-session-user-id"] == claims_of(first[front])["sub"]
    for front, client in people.items():
        wait_until_expired(first[front])
        renewed = client.get(f"http://127.0.0.1:{ports[front]}/later", headers={"sec-fetch-dest": "empty"})
        assert told(renewed)["x-session-id"] == claims_of(first[front])["sid"]
        assert renewed.history == [], front
        second = session_of(client)
        assert second != first[front], f"{front}: the renewed session did not reach the browser"
        first[front] = second
    key = {"authorization": f"Bearer {described['secret_key']}"}
    for front, client in people.items():
        revoke = f"{described['api_url']}/v1/sessions/{claims_of(first[front])['sid']}/revoke"
        assert httpx.post(revoke, headers=key, trust_env=False).status_code == 200
        wait_until_expired(first[front])
        over = client.get(f"http://127.0.0.1:{ports[front]}/again")
        assert "/sign-in" in str(over.request.url), front
        client.close()
