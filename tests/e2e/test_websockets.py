"""WebSockets through ``gateway serve``: to several servers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.processes import free_port
from tests.e2e.socket_site import SocketSite, SocketUpstream, socket_site

pytestmark = pytest.mark.e2e

SEVERAL = """
[[upstreams]]
name = "chat"
servers = ["{dead}", "{living}"]
ejection = {{ failures = 2, first_s = 300 }}
"""


def opened(site: SocketSite, token: str) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token}"}
    return connect(f"ws://{site.host}/ws", additional_headers=headers, compression=None, proxy=None)


@pytest.fixture
def living() -> Iterator[SocketUpstream]:
    with closing(SocketUpstream("living")) as upstream:
        yield upstream


def test_websockets_go_to_the_server_that_lives_and_the_dead_one_is_left_alone(
    tmp_path: Path, living: SocketUpstream
) -> None:
    more = SEVERAL.format(dead=f"http://127.0.0.1:{free_port()}", living=living.url)
    with socket_site(tmp_path, "chat", more) as site:
        token, user = site.token(), site.described["users"][0]["id"]
        for _ in range(6):
            with opened(site, token) as socket:
                socket.send("hello")
                assert socket.recv() == f"living hello {user}"
        assert living.opened == 6
        site.gateway.wait_for("upstream chat: .* is left alone for 300 s after 2 failures in a row")


def test_when_no_server_lives_clients_are_told_when_to_try_again(tmp_path: Path) -> None:
    dead = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    with socket_site(tmp_path, "chat", SEVERAL.format(dead=dead[0], living=dead[1])) as site:
        token, answers = site.token(), []
        for _ in range(3):
            with pytest.raises(InvalidStatus) as caught:
                opened(site, token)
            answers.append(caught.value.response)
        assert [answer.status_code for answer in answers] == [502, 502, 503]
        assert 290 <= int(answers[-1].headers["retry-after"]) <= 300
        assert answers[-1].headers["x-clerk-auth-reason"] == "upstream-unavailable"
