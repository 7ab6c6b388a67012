"""An authority, a gateway and upstreams that speak WebSocket, for tests that open some through ``gateway serve``."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.e2e.processes import Command, free_port
from tests.e2e.test_serve import config_of

PAGE = """<!doctype html><title>Chat</title><ul></ul><script>
const list = document.querySelector("ul")
const note = (text) => list.append(Object.assign(document.createElement("li"), { textContent: text }))
const host = new URLSearchParams(location.search).get("host") ?? location.host
const socket = new WebSocket(`ws://${host}/ws`)
socket.onopen = () => socket.send("hello")
socket.onmessage = (event) => note(`said ${event.data}`)
socket.onclose = (event) => note(`closed ${event.code} ${event.reason}`)
</script>"""


class SocketUpstream:
    """Echoes messages with its name and who sent them, and serves a page that says hello.

    Attributes:
        opened: how many WebSockets were opened.
        ends: the codes that they were closed with; 1006 where there was no close frame.
    """

    def __init__(self, name: str = "echo") -> None:
        self.name = name
        self.opened = 0
        self.ends: list[int] = []
        self._server = serve(self._talk, "127.0.0.1", 0, process_request=_page, compression=None)
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.opened += 1
        who = socket.request.headers.get("x-session-user-id", "nobody")
        with suppress(ConnectionClosed):
            for message in socket:
                socket.send(f"{self.name} {message!s} {who}")
        assert socket.close_code is not None
        self.ends.append(socket.close_code)

    def close(self) -> None:
        self._server.shutdown()


def _page(socket: ServerConnection, request: Request) -> Response | None:
    if "upgrade" in request.headers:
        return None
    answer = socket.respond(200, PAGE)
    del answer.headers["content-type"]
    answer.headers["content-type"] = "text/html"
    return answer


@dataclass
class SocketSite:
    """What runs.

    Attributes:
        described: what the authority says of itself.
        gateway: the command.
        host: of the gateway, with the port.
    """

    described: dict[str, Any]
    gateway: Command
    host: str

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def api(self) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.described['secret_key']}"}
        return httpx.Client(base_url=f"{self.described['api_url']}/v1", headers=headers, trust_env=False)

    def token(self, lifetime_s: int = 60) -> str:
        """A session token of the first user."""
        with self.api() as api:
            session = api.post("/sessions", json={"user_id": self.described["users"][0]["id"]}).json()
            token: str = api.post(f"/sessions/{session['id']}/tokens", json={"expires_in_seconds": lifetime_s}).json()[
                "jwt"
            ]
            return token


@contextmanager
def socket_site(folder: Path, upstream: str, more: str = "", *, drain_s: int = 30) -> Iterator[SocketSite]:
    """Start an authority and a gateway.

    Args:
        folder: for the configuration.
        upstream: of the route ``/``: an address or a name.
        more: further lines of the configuration.
        drain_s: seconds that the gateway leaves what is open when it stops.
    """
    with ExitStack() as stack:
        authority = stack.enter_context(Command("authority", "--listen", "127.0.0.1:0", "--json"))
        described = json.loads(authority.wait_for(r"^\{.*\}$")[0])
        host = f"127.0.0.1:{free_port()}"
        config = config_of(described, upstream, host, more)
        (folder / "config.toml").write_text(config.replace("[server]\n", f"[server]\ndrain_s = {drain_s}\n", 1))
        gateway = stack.enter_context(Command("serve", "--config", str(folder / "config.toml")))
        gateway.wait_for("listens on")
        yield SocketSite(described, gateway, host)
