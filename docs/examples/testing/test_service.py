"""The service behind the gateway: alone with the gateway's headers, and behind a real one."""

import threading
from collections.abc import Callable, Iterator
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from service import service

from gateway.testing import RunningGateway, World


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with make_server("127.0.0.1", 0, service, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_service_reads_what_the_gateway_says(session_world: World) -> None:
    ada = session_world.user("ada@example.com", organizations={"acme": "org:admin"})
    with httpx.Client(transport=httpx.WSGITransport(service), base_url="http://service") as client:
        signed_in = client.get("/", headers=session_world.identity_headers(ada, "acme"))
        assert signed_in.text == f"{ada.id} with org:admin"
        assert client.get("/", headers=session_world.identity_headers()).text == "nobody with no role"


def test_a_real_gateway_says_it(session_world: World, session_gateway: Callable[..., RunningGateway], url: str) -> None:
    gateway = session_gateway(url, {"routes": [{"path": "/"}, {"path": "/admin", "require": {"role": "org:admin"}}]})
    ada = session_world.user("ada@example.com", organizations={"acme": "org:admin", "globex": "org:member"})
    client = gateway.client(signed_in=ada, organization="acme")
    assert client.get("/admin").text == f"{ada.id} with org:admin"

    client.switch_organization("globex")
    assert client.get("/admin").status_code == 403
    assert client.get("/", headers={"X-Session-Org-Role": "org:admin"}).text == f"{ada.id} with org:member"
