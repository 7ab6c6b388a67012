"""The rules of bad behaviour that are in force: which one meets a request, how often it did, when it is used up."""

import itertools
import random
import threading
from dataclasses import dataclass

from gateway.authority.control.rules import Rule


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule that is in force, or was when this was read.

    Attributes:
        id: to take it away by.
        rule: what it says.
        hits: how many requests it has met.
    """

    id: int
    rule: Rule
    hits: int

    @property
    def is_used_up(self) -> bool:
        """Whether it has met as many requests as it was to meet."""
        return self.rule.times is not None and self.hits >= self.rule.times


class Faults:
    """The rules, in the order in which they were added: the first that fits a request and wins its dice meets it.

    Any thread may use it. Rules that are used up stay listed, so a test can count their hits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._placed: dict[int, PlacedRule] = {}
        self._dice: dict[int, random.Random] = {}

    def add(self, rule: Rule) -> PlacedRule:
        """Put a rule in force, after those that are."""
        with self._lock:
            placed = PlacedRule(next(self._ids), rule, 0)
            self._placed[placed.id] = placed
            self._dice[placed.id] = random.Random(rule.seed)  # noqa: S311 - dice that can be thrown again
            return placed

    def rules(self) -> tuple[PlacedRule, ...]:
        """All rules that were added and not taken away, and their hits."""
        with self._lock:
            return tuple(self._placed.values())

    def rule(self, rule_id: int) -> PlacedRule | None:
        """One rule, and its hits."""
        with self._lock:
            return self._placed.get(rule_id)

    def remove(self, rule_id: int) -> bool:
        """Take one away; says whether it was there."""
        with self._lock:
            self._dice.pop(rule_id, None)
            return self._placed.pop(rule_id, None) is not None

    def clear(self) -> int:
        """Take all away; says how many there were."""
        with self._lock:
            number = len(self._placed)
            self._placed.clear()
            self._dice.clear()
            return number

    def meet(self, operation: str, method: str, path: str) -> Rule | None:
        """The rule that meets this request, if one does; it counts as a hit."""
        with self._lock:
            for placed in self._placed.values():
                if placed.is_used_up or not placed.rule.fits(operation, method, path):
                    continue
                if self._dice[placed.id].random() < placed.rule.probability:
                    self._placed[placed.id] = PlacedRule(placed.id, placed.rule, placed.hits + 1)
                    return placed.rule
        return None
