"""docs/testing.md shows the example as it is, and the example's tests hold where a user would run them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gateway.testing
from tests.docs.examples import FOLDER, PAGE, filled, shown
from tests.e2e.conftest import chromium
from tests.e2e.processes import clean_environment

TEXT = PAGE.read_text(encoding="utf-8")
# Not of the users' projects: theirs may or may not have it, and it warns where it is not set up.
OPTIONS = ("-p", "no:asyncio")


def environment() -> dict[str, str]:
    """What a user's shell has: nothing of the run that this is part of."""
    return {name: value for name, value in clean_environment().items() if not name.startswith(("PYTEST_", "COV_"))}


def run(folder: Path, *arguments: str, options: tuple[str, ...] = OPTIONS) -> str:
    """Run pytest in a project of its own, with the package as it is installed."""
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return shutil.copytree(FOLDER, tmp_path / "project", ignore=shutil.ignore_patterns("__pycache__"))


def test_the_page_shows_every_file_of_the_example_as_it_is() -> None:
    assert filled(TEXT) == TEXT, "run: python -m tests.docs.examples"
    assert sorted(shown(TEXT)) == sorted(path.name for path in FOLDER.glob("*.py"))


def test_the_examples_tests_hold_without_a_browser(project: Path) -> None:
    assert " passed" in run(project, "--ignore", "test_browser.py")


@pytest.mark.e2e
def test_the_examples_tests_hold_in_a_browser(project: Path) -> None:
    chromium()
    assert "1 passed" in run(project, "test_browser.py")


def test_the_page_names_everything_that_is_public() -> None:
    assert [name for name in gateway.testing.__all__ if f"`{name}" not in TEXT] == []


def test_everything_public_is_there() -> None:
    assert all(getattr(gateway.testing, name).__name__ == name for name in gateway.testing.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = gateway.testing.nothing


def test_the_plugin_costs_next_to_nothing_until_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n\n"
        "def test_nothing_is_loaded():\n"
        "    assert 'gateway.testing.plugin' in sys.modules\n"
        "    loaded = [name for name in sys.modules if name.startswith('gateway')]\n"
        "    assert len(loaded) == 4, loaded\n"
        "    assert not {'httpx', 'starlette', 'jwt', 'cryptography'} & set(sys.modules)\n"
    )
    # Other plugins load what they like: this one alone is asked for.
    assert "1 passed" in run(tmp_path, "--disable-plugin-autoload", "-p", "session-gateway", options=())


def test_the_helpers_need_no_pytest(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['pytest'] = None\n"
        "from gateway.testing import World\n"
        "with World.open() as world:\n"
        "    print(world.token(world.user('ada@example.com')).count('.'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("2\n", "")
