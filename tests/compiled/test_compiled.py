"""The gateway whose way of a request is compiled: it is compiled, and does what the tests of the sources ask of it."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import gateway

ROOT = Path(__file__).parents[2]
BIN = Path(__file__).parent / ".venv" / "bin"
STORIES = (
    "tests/attacks/test_corpus.py",
    "tests/attacks/test_decisions.py",
    "tests/attacks/test_framing.py",
    "tests/attacks/test_hygiene.py",
    "tests/attacks/test_identity.py",
    "tests/attacks/test_limits.py",
    "tests/attacks/test_paths.py",
    "tests/attacks/test_responses.py",
    "tests/attacks/test_websockets.py",
    "tests/e2e/test_serve.py",
    "tests/e2e/test_websockets.py",
    "tests/faults/test_upstream_under_fault.py",
)

UNITS = (
    "tests/authenticator/test_driver.py",
    "tests/authenticator/test_verified.py",
    "tests/core/test_claims.py",
    "tests/core/test_decision.py",
    "tests/core/test_decision_properties.py",
    "tests/core/test_evidence.py",
    "tests/core/test_family.py",
    "tests/core/test_forged_signatures.py",
    "tests/core/test_no_evidence_lost.py",
    "tests/core/test_policy.py",
    "tests/core/test_token_class.py",
    "tests/core/test_tokens.py",
)
"""Tests of the sources that hand the compiled modules nothing but what their annotations say."""

WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
LISTED: list[str] = WHEEL["hooks"]["custom"]["modules"]

needs_wheel = pytest.mark.skipif(
    not BIN.exists() and "CI" not in os.environ, reason="the compiled wheel is not installed: see CONTRIBUTING.md"
)


def run(*command: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("module", LISTED)
def test_nothing_is_awaited_where_an_exception_is_handled(module: str) -> None:
    """The exception would count as being handled by whatever else runs meanwhile, and may stay so for good."""
    handling: list[ast.AST] = []
    for node in ast.walk(ast.parse((ROOT / module).read_text("utf-8"))):
        if isinstance(node, ast.Try):
            handling += [*node.handlers, *node.finalbody]
    found = [each for part in handling for each in ast.walk(part)]
    waiting = ast.Await | ast.AsyncFor | ast.AsyncWith | ast.Yield | ast.YieldFrom
    assert [each.lineno for each in found if isinstance(each, waiting)] == []


@needs_wheel
def test_the_command_says_that_it_is_compiled() -> None:
    assert run(str(BIN / "gateway"), "--version") == f"gateway, version {gateway.__version__} (compiled)\n"


def installed() -> Path:
    """Where the compiled package lies."""
    return Path(run(str(BIN / "python"), "-I", "-c", "import gateway; print(gateway.__path__[0])").strip())


@needs_wheel
def test_every_module_that_is_listed_is_compiled_and_its_source_lies_beside_it() -> None:
    package = installed()
    assert len(LISTED) > 20
    for module in LISTED:
        source = package.parent / module
        assert source.exists(), module
        assert list(source.parent.glob(f"{source.stem}.*.so")), module


@needs_wheel
@pytest.mark.e2e
@pytest.mark.timeout(300)
@pytest.mark.parametrize("story", STORIES)
def test_the_story_of_the_sources_is_that_of_the_compiled_gateway(story: str) -> None:
    told = run(
        *(sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", story),
        TESTED_GATEWAY=str(BIN / "gateway"),
    )
    assert "skipped" not in told, told


@needs_wheel
@pytest.mark.timeout(300)
def test_every_way_of_a_decision_is_taken_as_in_the_sources() -> None:
    """Refreshed, sent to the handshake, waiting for keys: a compiled generator is no generator of Python's."""
    path = os.pathsep.join((str(installed().parent), str(ROOT)))
    script = "import gateway.core.decision as decision; print(decision.__file__)"
    # Without "safe path" the sources in the working directory come first.
    assert ".so" in run(sys.executable, "-P", "-c", script, PYTHONPATH=path)
    told = run(sys.executable, "-P", "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *UNITS, PYTHONPATH=path)
    assert "skipped" not in told, told
