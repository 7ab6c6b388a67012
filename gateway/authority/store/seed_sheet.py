"""How the tables of a seed file are read: whatever is wrong is noted, and reading goes on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.settings_values import BadValueError, did_you_mean, list_of, show, text
from gateway.errors import Fault

_Read = Callable[[object], object]
_NO_TEXT = ""


@dataclass(slots=True)
class Sheet:
    """Collects what is wrong while rows are read; a value at fault is replaced by its default."""

    faults: list[Fault] = field(default_factory=list)

    def rows(self, table: Mapping[str, object], key: str, prefix: str = "") -> list[tuple[str, Mapping[str, object]]]:
        """The tables of an array of tables, each with its name for faults."""
        found = table.get(key, [])
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            # not shown, nor what stands under an unknown key: there may be a password in it
            self.faults.append(Fault(f"{prefix}{key}", "", "it is not a list of tables", f"write [[{key}]] above each"))
            return []
        return [(f"{prefix}{key}[{position + 1}]", row) for position, row in enumerate(found)]

    def known(self, name: str, row: Mapping[str, object], keys: Sequence[str]) -> None:
        """Complain about keys that nobody knows."""
        for key in row:
            if key not in keys:
                fix = did_you_mean(key, keys)
                self.faults.append(Fault(f"{name}.{key}".lstrip("."), "", "it is not a known key", fix))

    def value(self, name: str, row: Mapping[str, object], key: str, read: _Read, default: object = None) -> object:
        """One value; without a default it must be there."""
        if key not in row:
            if default is None:
                self.faults.append(Fault(f"{name}.{key}", "", "it is missing", "give it a value"))
            return default if default is not None else _NO_TEXT
        try:
            return read(row[key])
        except BadValueError as bad:
            self.faults.append(Fault(f"{name}.{key}", _shown(key, row[key]), bad.problem, bad.fix))
            return default if default is not None else _NO_TEXT

    def word(self, name: str, row: Mapping[str, object], key: str, default: str | None = None) -> str:
        """One text."""
        return str(self.value(name, row, key, text, default))

    def words(self, name: str, row: Mapping[str, object], key: str) -> tuple[str, ...]:
        """A list of texts, by default empty."""
        found = self.value(name, row, key, list_of(text), ())
        return found if isinstance(found, tuple) else ()

    def table(self, name: str, row: Mapping[str, object], key: str) -> Mapping[str, object]:
        """A table of anything that JSON can say, by default empty."""
        found = self.value(name, row, key, _json_table, {})
        return found if isinstance(found, dict) else {}

    def once(self, table: str, key: str, values: Sequence[str]) -> None:
        """Complain about a value that an earlier row has."""
        for position, value in enumerate(values):
            if value and value in values[:position]:
                name = f"{table}[{position + 1}].{key}"
                self.fault(name, value, f"{table}[{values.index(value) + 1}] has the same", "give each its own")

    def fault(self, name: str, seen: object, problem: str, fix: str) -> None:
        """Note one thing that is wrong."""
        self.faults.append(Fault(name, _shown(name.rpartition(".")[2], seen), problem, fix))


def _json_table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise BadValueError("it is not a table", "write { name = value, … }")
    if not _is_json(value):
        raise BadValueError("it holds a date or a number that JSON does not know", "write it as a text")
    return value


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, str | int) or (isinstance(value, float) and value - value == 0)


def _shown(key: str, value: object) -> str:
    return "…" if key == "password" else show(value)
