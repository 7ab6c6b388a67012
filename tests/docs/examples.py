"""The files that docs/testing.md shows, put there anew: ``python -m tests.docs.examples``."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"
FOLDER = ROOT / "docs" / "examples" / "testing"
_MARKED = re.compile(r"(<!-- file: (?P<name>[\w./]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """Return the page with its files as they are."""
    return _MARKED.sub(lambda mark: f"{mark[1]}```python\n{(FOLDER / mark['name']).read_text()}```\n{mark[3]}", text)


def shown(text: str) -> list[str]:
    """Return the names of the files that the page shows."""
    return [mark["name"] for mark in _MARKED.finditer(text)]


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
