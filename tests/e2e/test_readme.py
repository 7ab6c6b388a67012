"""The README's two commands, run as a newcomer would: in a fresh copy of the repository, with nothing installed."""

import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import clean_environment, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "*_cache", "__pycache__", ".coverage*", "node_modules", "*.egg-info"
)


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("fresh") / "repository", ignore=NOT_COPIED)


def test_exactly_two_commands_do_all_the_set_up() -> None:
    first, tests = blocks()
    assert first.count("\n") == tests.count("\n") == 1
    assert first.rstrip().endswith("gateway dev")
    assert tests.rstrip().endswith("pytest")
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) < 200
    assert readme.index("## Tests") < readme.index(tests)


def test_the_first_command_runs_the_product_and_the_second_its_tests(copy: Path) -> None:
    first, tests = blocks()
    port = free_port()
    started = subprocess.Popen(
        ["sh", "-c", f"{first.strip()} --port {port}"],
        cwd=copy,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    watchdog = threading.Timer(300, os.killpg, (started.pid, signal.SIGKILL))
    watchdog.start()
    try:
        assert started.stdout is not None
        seen = []
        for line in started.stdout:
            seen.append(line)
            if "Ctrl-C" in line:
                break
        assert "Ctrl-C" in seen[-1], "".join(seen)
        assert httpx.get(f"http://127.0.0.1:{port}", trust_env=False).status_code == 401
    finally:
        watchdog.cancel()
        os.killpg(started.pid, signal.SIGINT)
        started.communicate(timeout=30)
    some = clean_environment(PYTEST_ADDOPTS="-k test_public_names -p no:cacheprovider")
    done = subprocess.run(["sh", "-c", tests], cwd=copy, env=some, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)
