"""A hostile page in a developer's browser, while ``gateway dev`` runs on the same machine."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

import httpx
import pytest

from tests.attacks.attack_kit import PAGE
from tests.e2e.processes import Command, free_ports

NOT_OURS = (
    "http://evil.example/",
    "HTTP://EVIL.example/",
    "http://127.0.0.1:9/",
    "https://127.0.0.1/",
    "http://[::1]/",
    "//evil.example",
    "/\\evil.example",
    "https:evil.example",
    "https:/evil.example",
    "http://127.0.0.1@evil.example/",
    "http://evil.example\\@127.0.0.1/",
    "http://evil%00.127.0.0.1/",
    "http://evil\t.example/",
    "http://127.0.0.1.evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
)


@dataclass
class Dev:
    gateway: str
    authority: str
    client: httpx.Client

    @property
    def port(self) -> int:
        return int(self.gateway.rpartition(":")[2])


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    first, second, _ = free_ports(3)
    with Command("dev", "--port", str(first)) as command, httpx.Client(trust_env=False, headers=PAGE) as client:
        command.wait_for("Ctrl-C")
        yield Dev(f"http://127.0.0.1:{first}", f"http://127.0.0.1:{second}", client)


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/v1/client/handshake"])
@pytest.mark.parametrize("address", NOT_OURS)
def test_a_session_is_never_carried_to_another_place(dev: Dev, path: str, address: str) -> None:
    answer = dev.client.get(dev.authority + path, params={"redirect_url": address})
    assert answer.status_code in {400, 422}
    assert "location" not in answer.headers


@pytest.mark.parametrize("place", ["http://127.0.0.1:{}", "http://localhost:{}"])
def test_the_gateway_is_returned_to_under_both_names(dev: Dev, place: str) -> None:
    url = place.format(dev.port) + "/x?a=b"
    answer = dev.client.get(f"{dev.authority}/v1/client/handshake", params={"redirect_url": url})
    assert answer.headers["location"].startswith(f"{url}&__clerk_handshake=")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{}", "127.0.0.1.evil.example:{}", "0.0.0.0:{}"])
def test_a_name_that_was_pointed_here_is_not_served(dev: Dev, host: str) -> None:
    """DNS rebinding: a page of that name would be of the same origin."""
    for server in (dev.gateway, dev.authority):
        named = host.format(server.rpartition(":")[2])
        answer = dev.client.get(f"{server}/sign-in", headers={"host": named})
        assert answer.status_code == 400
        assert "evil" not in answer.headers.get("location", "")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_sites_form_signs_nobody_in_or_out(dev: Dev, headers: dict[str, str]) -> None:
    page = dev.client.get(f"{dev.authority}/sign-in").text
    found = re.search(r'value="(user_[^"]+)"', page)
    assert found is not None
    for path in ("/sign-in", "/sign-out"):
        answer = dev.client.post(dev.authority + path, data={"user_id": unescape(found[1])}, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_another_sites_script_reads_nothing(dev: Dev) -> None:
    for address in (f"{dev.gateway}/.gateway/whoami", f"{dev.authority}/v1/client", f"{dev.authority}/v1/sessions"):
        for method in ("GET", "OPTIONS"):
            answer = dev.client.request(method, address, headers={"origin": "http://evil.example"})
            assert "access-control-allow-origin" not in answer.headers
