"""What the tests of ``gateway sessions`` share."""

from collections.abc import Iterator

import pytest

from tests.cli.sessions_api import Api, answering


@pytest.fixture
def api() -> Iterator[Api]:
    with answering() as opened:
        yield opened
