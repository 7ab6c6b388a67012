"""docs/authentication.md says what the code does."""

import re

import pytest

from gateway.core.cookie_rows import COOKIE_ROWS
from gateway.core.reasons import Reason
from tests.conformance.differences import DIFFERENCES
from tests.conformance.machine_differences import MACHINE_DIFFERENCES, READINGS
from tests.conformance.stated import STATED
from tests.docs.tables import PAGE, TABLES, filled


def test_the_tables_are_those_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    assert text == filled(text), "run: python -m tests.docs.tables"


def test_each_table_is_on_the_page_once():
    marked = re.findall(r"<!-- table: ([a-z-]+) -->", PAGE.read_text(encoding="utf-8"))
    assert sorted(marked) == sorted(TABLES)


def test_no_row_reason_or_difference_is_left_out():
    text = PAGE.read_text(encoding="utf-8")
    named = [*(row.when for row in COOKIE_ROWS), *map(str, Reason), *(each.name for each in DIFFERENCES)]
    named += [each.name for each in (*MACHINE_DIFFERENCES, *READINGS, *STATED)]
    assert [name for name in named if name not in text.replace("`", "")] == []


@pytest.mark.parametrize("stated", STATED, ids=lambda stated: stated.name)
def test_what_is_stated_is_held_by_a_test(stated):
    path, _, name = stated.proof.partition("::")
    assert re.search(rf"^(?:async )?def {name}\(", (PAGE.parents[1] / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_files_that_the_page_names_exist():
    named = re.findall(r"`((?:core|tests)/[a-z_/]+(?:\.py)?)`", PAGE.read_text(encoding="utf-8"))
    root = PAGE.parents[1]
    assert named
    assert [name for name in named if not (root / name).exists() and not (root / "gateway" / name).exists()] == []
