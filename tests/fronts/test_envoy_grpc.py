"""What is special where Envoy asks by gRPC: what it overwrites, and paths that it could have mended."""

import re
from pathlib import Path

import pytest

from tests.attacks.attack_kit import Target, token
from tests.e2e.processes import free_port
from tests.fronts.fronts_kit import ENVOY_GRPC, Ports, Process, Site, binary

pytestmark = pytest.mark.e2e


def door_of(fronts: Site) -> Target:
    if ENVOY_GRPC not in fronts.doors:
        assert binary(ENVOY_GRPC) is None
        pytest.skip("envoy is not installed: see CONTRIBUTING.md")
    return fronts.doors[ENVOY_GRPC]


def test_every_identity_header_is_overwritten_even_where_nothing_takes_away_a_clients(
    fronts: Site, tmp_path: Path
) -> None:
    door = door_of(fronts)
    port = free_port()

    class Careless(Process):
        """An Envoy whose operator has left out what takes away forged headers."""

        def prepare(self, folder: Path) -> None:
            file = folder / "envoy-grpc.yaml"
            text = file.read_text("utf-8")
            text = re.sub(r"(?s) +- name: envoy.filters.http.header_mutation.*?(?= +- name: envoy)", "", text)
            assert "x[^a-z0-9]session" not in text
            file.write_text(text)

    app_port = int(fronts.upstream.server_address[1])
    careless = Careless(ENVOY_GRPC, tmp_path, Ports(port, fronts.gateway.port, app_port))
    try:
        careless.wait_until_it_listens()
        before = door.count
        forged = [(f"X-Session-{name}", "forged") for name in ("User-Id", "Org-Id", "Org-Role", "Actor", "Status")]
        reply = Target(port, door.upstream, door.authority, door.log).get("/page", *forged, bearer=token())
        assert reply.status == 200
        (arrived,) = door.arrived(before)
        assert arrived.values("x-session-user-id") == ["user_1"]
        assert arrived.values("x-session-org-id") == [""]
        assert "forged" not in str(arrived.headers)
    finally:
        careless.end()


@pytest.mark.parametrize("path", [b"/health/\xff", b"/health\xc3\xa9", b"/health?a=\xff", b"/health/\xe2\x82"])
def test_path_that_is_not_ascii_is_judged_as_it_is_forwarded(path: bytes, fronts: Site) -> None:
    door = door_of(fronts)
    before = door.count
    answer = door.raw(b"GET " + path + b" HTTP/1.1\r\nHost: app.example.test\r\nConnection: close\r\n\r\n")
    arrived = door.arrived(before)
    if answer.startswith(b"HTTP/1.1 200"):
        assert b"?" in path
        assert [request.line.encode("latin-1") for request in arrived] == [b"GET " + path + b" HTTP/1.1"]
    else:
        assert answer.startswith(b"HTTP/1.1 400")
        assert arrived == []
