"""Writes the files of deploy/ into docs/behind-your-proxy.md: what is read there is what is tested.

python -m tests.docs.deployed        writes them into the page
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = ROOT / "docs" / "behind-your-proxy.md"
_MARKED = re.compile(r"(<!-- file: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
_LANGUAGES = {".conf": "nginx", ".lua": "lua", ".yaml": "yaml", ".yml": "yaml"}


def shown() -> list[str]:
    """The names of the files that the page shows."""
    return [match["name"] for match in _MARKED.finditer(PAGE.read_text("utf-8"))]


def with_files(page: str) -> str:
    """Return the page with each marked file as it is now."""

    def block(match: re.Match[str]) -> str:
        path = DEPLOY / match["name"]
        fence = f"```{_LANGUAGES.get(path.suffix, '')}"
        return f"{match[1]}`deploy/{match['name']}`\n\n{fence}\n{path.read_text('utf-8').rstrip()}\n```\n{match[3]}"

    return _MARKED.sub(block, page)


if __name__ == "__main__":
    PAGE.write_text(with_files(PAGE.read_text("utf-8")), "utf-8")
