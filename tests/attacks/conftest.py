"""One gateway for all attacks of a test process."""

from collections.abc import Iterator

import pytest

from tests.attacks.attack_kit import Authority, Target, Upstream, config_of
from tests.e2e.processes import Command, free_port


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    authority, upstream, port = Authority(), Upstream(), free_port()
    config = tmp_path_factory.mktemp("attacks") / "config.toml"
    config.write_text(config_of(authority, upstream.url, port))
    config.chmod(0o600)
    with Command("serve", "--config", str(config)) as gateway:
        gateway.wait_for("listens on")
        yield Target(port, upstream, authority, gateway)
    for server in (authority, upstream):
        server.shutdown()
        server.server_close()
