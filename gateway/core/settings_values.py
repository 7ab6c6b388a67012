"""Reading one plain value of the settings, and lists of them; how a value is shown.

Each reader takes what the document holds and gives the typed value. What cannot be used raises :class:`BadValueError`
with the problem and the fix; :mod:`gateway.core.settings` adds the key and what was seen.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import NamedTuple, TypeVar, cast

from gateway.core.instance import PublishableKey
from gateway.core.secret import Secret
from gateway.core.settings_model import Address

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class BadValueError(ValueError):
    """A value that cannot be used.

    Attributes:
        problem: what is wrong with it.
        fix: what to write instead.
    """

    def __init__(self, problem: str, fix: str) -> None:
        self.problem = problem
        self.fix = fix
        super().__init__(problem)


class BadEntry(NamedTuple):
    """One wrong entry of a table.

    Attributes:
        key: dotted where the table has tables.
        seen: its value as it may be shown.
        problem, fix: as in :class:`BadValueError`.
    """

    key: str
    seen: str
    problem: str
    fix: str


class BadTableError(ValueError):
    """A table that cannot be used.

    Attributes:
        entries: everything that is wrong in it.
    """

    def __init__(self, entries: Sequence[BadEntry]) -> None:
        self.entries = tuple(entries)
        super().__init__("; ".join(f"{entry.key}: {entry.problem}" for entry in entries))


def text(value: object) -> str:
    """Read a text that is not empty."""
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, PublishableKey):
        value = value.value
    if isinstance(value, Address):
        value = str(value)
    if not isinstance(value, str):
        raise BadValueError("it is not a text", "put it in quotes")
    if not value.strip():
        raise BadValueError("it is empty", "give it a value or leave the key out")
    return value.strip()


def boolean(value: object) -> bool:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    raise BadValueError("it is neither true nor false", "write true or false, without quotes")


def integer(low: int, high: int) -> Callable[[object], int]:
    """Make a reader of whole numbers from low to high."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadValueError(
                "it is not a whole number in range", f"write a number from {low} to {high}, without quotes"
            )
        return value

    return read


def number(low: float, high: float) -> Callable[[object], float]:
    """Make a reader of numbers from low to high."""

    def read(value: object) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(cast("float", value)) or not low <= cast("float", value) <= high:
            raise BadValueError(
                "it is not a number in range", f"write a number from {low:g} to {high:g}, without quotes"
            )
        return float(cast("float", value))

    return read


def one_of(enum: type[E]) -> Callable[[object], E]:
    """Make a reader of one of the values of an enum."""
    read = word(*enum)
    return lambda value: enum(read(value))


def word(*allowed: str) -> Callable[[object], str]:
    """Make a reader of one of these words."""
    listed = ", ".join(f'"{each}"' for each in allowed)

    def read(value: object) -> str:
        if value not in allowed:
            raise BadValueError("it is not one of the known values", f"write one of {listed}")
        return str(value)

    return read


def list_of(read: Callable[[object], T], *, at_least: int = 0) -> Callable[[object], tuple[T, ...]]:
    """Make a reader of lists; the problem names the element that is wrong, and a repeated one is a problem."""

    def read_list(value: object) -> tuple[T, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise BadValueError("it is not a list", "put the values between [ and ], each in quotes")
        found: list[T] = []
        for position, element in enumerate(value):
            try:
                item = read(element)
            except BadValueError as bad:
                raise BadValueError(f"element {position + 1}: {bad.problem}", bad.fix) from None
            if item in found:
                raise BadValueError(f"element {position + 1} repeats an earlier one", "write it once")
            found.append(item)
        if len(found) < at_least:
            raise BadValueError("the list is empty", "give it a value or leave the key out")
        return tuple(found)

    return read_list


def did_you_mean(key: str, known: Sequence[str]) -> str:
    """Return what to write in the place of a key that nobody knows."""
    near = get_close_matches(key, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"the known keys are {', '.join(known)}"


def show(value: object) -> str:
    """Return a value as it may be shown: short, on one line, without the password of a URL."""
    if isinstance(value, Mapping):
        return "a table"
    try:
        shown = json.dumps(value, ensure_ascii=False)
    except TypeError:
        return type(value).__name__
    shown = re.sub(r"(?<=://)[^/@\s\"]*@", "…@", shown)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
