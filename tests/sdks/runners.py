"""The official SDKs, each in a process of its own that takes a question and gives an answer, a line each."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.conformance import engines

PYTHON_7, PYTHON_2, JAVASCRIPT = "python-7", "python-2", "javascript"
SDKS = (PYTHON_7, PYTHON_2, JAVASCRIPT)

HERE = Path(__file__).parent
OLD_PYTHON = HERE / ".venv" / "bin" / "python"
NODE_PACKAGES = HERE.parent / "conformance" / "package.json"
COMMANDS: Mapping[str, list[str]] = {
    PYTHON_7: [sys.executable, str(HERE / "runner.py")],
    PYTHON_2: [str(OLD_PYTHON), str(HERE / "runner.py")],
    JAVASCRIPT: ["node", str(HERE / "runner.mjs"), str(NODE_PACKAGES)],
}
MISSING: Mapping[str, str] = {
    PYTHON_7: "",
    PYTHON_2: "" if OLD_PYTHON.exists() else "clerk-backend-api 2.2.0 is not installed: see CONTRIBUTING.md",
    JAVASCRIPT: engines.missing(),
}


class Runner:
    """An SDK in a process of its own."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=20)

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
