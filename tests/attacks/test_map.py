"""The map of attacks says what is there: each test that it names, and each class of the catalogue."""

import re
from pathlib import Path

HERE = Path(__file__).parent
MAP = (HERE / "README.md").read_text("utf-8")
CLASSES = 73


def rows() -> list[tuple[str, str]]:
    found = re.findall(r"(?m)^\| (.+?) \| (.+) \|$", MAP)
    return [(name, tests) for name, tests in found if not name.startswith(("---", "what", "class"))]


def test_every_test_that_is_named_is_there() -> None:
    missing = []
    for name, tests in rows():
        text = ""
        for word in re.findall(r"`([^`]+)`", tests):
            if word.endswith(".py"):
                text = (HERE / word).read_text("utf-8")
            elif f"def {word}(" not in text:
                missing.append(f"{name}: {word}")
    assert missing == []


def test_every_row_names_a_test_and_every_class_has_its_row() -> None:
    assert [name for name, tests in rows() if "test_" not in tests] == []
    numbers: set[int] = set()
    for name, _ in rows():
        for first, last in re.findall(r"(?:^|, )(\d+)(?:–(\d+))?", name):
            numbers.update(range(int(first), int(last or first) + 1))
    assert numbers == set(range(1, CLASSES + 1))
