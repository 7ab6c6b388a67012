"""The corpus through the gateway and, side by side, through nginx: each difference is explained, and none in vain."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.corpus import REQUESTS, request
from tests.attacks.corpus_answers import ANSWERS
from tests.attacks.corpus_kit import NGINX, Door, Fate, answered, gateway_door, nginx_door
from tests.attacks.nginx_differences import ANSWER_DIFFERENCES, REQUEST_DIFFERENCES, Difference

pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, Door]]:
    folder = tmp_path_factory.mktemp
    with gateway_door(folder("gateway")) as gateway, nginx_door(folder("nginx")) as nginx:
        yield gateway, nginx


def sent(doors: tuple[Door, Door]) -> dict[str, str]:
    """What differs, by row, for requests."""
    rows = [row.raw for row in REQUESTS]
    gateway, nginx = (door.send(rows) for door in doors)
    found = {row.name: _difference(*fates) for row, *fates in zip(REQUESTS, gateway, nginx, strict=True)}
    return {name: difference for name, difference in found.items() if difference}


def _difference(gateway: Fate, nginx: Fate) -> str:
    words = [f"{'passed' if fate.arrived else 'refused'} {fate.statuses}" for fate in (gateway, nginx)]
    if words[0] != words[1]:
        return " / ".join(words)
    names = ("line", "headers", "body")
    pairs = list(zip(gateway.arrived, nginx.arrived, strict=False))
    differing = [name for name in names if any(getattr(one, name) != getattr(other, name) for one, other in pairs)]
    return ", ".join(differing)


def returned(doors: tuple[Door, Door]) -> dict[str, str]:
    """What differs, by row, for answers."""
    rows = [request(method=row.method.encode()) for row in ANSWERS]
    fates: list[list[Fate]] = []
    for door in doors:
        door.upstream.answers = {number: row.raw for number, row in enumerate(ANSWERS)}
        fates.append(door.send(rows))
        door.upstream.answers = {}
    found = {row.name: _answer_difference(*pair) for row, *pair in zip(ANSWERS, *fates, strict=True)}
    return {name: difference for name, difference in found.items() if difference}


def _answer_difference(gateway: Fate, nginx: Fate) -> str:
    if gateway.statuses != nginx.statuses:
        return f"{gateway.statuses} / {nginx.statuses}"
    if gateway.statuses in {"502", "504", "closed"}:
        return ""
    names = ("headers", "body", "whole")
    pairs = zip(names, answered(gateway.answer), answered(nginx.answer), strict=True)
    return ", ".join(name for name, one, other in pairs if one != other)


def judge(found: dict[str, str], explained: tuple[Difference, ...]) -> None:
    expected = {row: difference.what for difference in explained for row in difference.rows}
    assert [row for row, count in Counter(row for one in explained for row in one.rows).items() if count > 1] == []
    assert {row: what for row, what in found.items() if expected.get(row) != what} == {}, "unexplained"
    assert {row: what for row, what in expected.items() if row not in found} == {}, "no longer so"


def test_each_row_has_a_name_of_its_own() -> None:
    for rows in (REQUESTS, ANSWERS):
        assert [name for name, count in Counter(row.name for row in rows).items() if count > 1] == []


def test_requests_go_on_as_through_nginx_or_it_is_explained(doors: tuple[Door, Door]) -> None:
    judge(sent(doors), REQUEST_DIFFERENCES)
    for door in doors:
        assert door.upstream.unclaimed == []  # no request hid in another


def test_answers_come_back_as_through_nginx_or_it_is_explained(doors: tuple[Door, Door]) -> None:
    judge(returned(doors), ANSWER_DIFFERENCES)
