"""How the tests are shared out among the processes of pytest-xdist, and that none is judged by its time."""

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Over the profile that hypothesis took by itself, which is another one in CI.
settings.register_profile("without a deadline", settings.default, deadline=None)
settings.load_profile("without a deadline")

# What starts programs once for all its tests; in several processes it would start them in each. A mark xdist_group says
# the same, and has no effect with pytest 9.2 and pytest-xdist 3.8 (pytest-dev/pytest-xdist#1386).
TOGETHER = (
    "tests/attacks/test_corpus.py",
    "tests/attacks/test_decisions.py",
    "tests/attacks/test_dev.py",
    "tests/attacks/test_limits.py",
    "tests/attacks/test_middleware.py",
    "tests/attacks/test_routes.py",
    "tests/attacks/test_websockets.py",
    "tests/cli/test_authority_control.py",
    "tests/conformance/test_authorization.py",
    "tests/conformance/test_conformance.py",
    "tests/conformance/test_machine_conformance.py",
    "tests/e2e/test_close_codes.py",
    "tests/e2e/test_sessions_story.py",
    "tests/fronts/",
    "tests/sdks/test_request_story.py",
    "tests/sdks/test_sdks.py",
)


class Scheduling(LoadScopeScheduling):
    """Tests that share a world are one unit of work; every other test is its own."""

    def _split_scope(self, nodeid: str) -> str:
        return next((world for world in TOGETHER if nodeid.startswith(world)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)
