"""docs/behind-your-proxy.md shows the very files that are tested."""

import pytest

from gateway.core.original import Front
from gateway.core.reasons import Reason
from tests.docs.deployed import DEPLOY, PAGE, shown, with_files

TEXT = PAGE.read_text("utf-8")


def test_the_page_shows_the_files_as_they_are() -> None:
    assert with_files(TEXT) == TEXT, "run python -m tests.docs.deployed"


@pytest.mark.parametrize("front", Front)
def test_every_front_is_shown(front: Front) -> None:
    files = {f"{front}/{path.name}" for path in (DEPLOY / front).iterdir()} - {"traefik/traefik.yml"}
    assert files <= set(shown())


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.startswith(("original-", "decision-"))])
def test_every_reason_is_named(reason: Reason) -> None:
    assert f"`{reason}`" in TEXT
