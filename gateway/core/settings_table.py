"""What a key and a section of the settings are."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from gateway.core import settings_values as values

Kind = Literal["text", "list", "integer", "number", "boolean", "table", "file"]


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        name: as written in the file.
        kind: what it holds; tells how an environment variable's text is split. A ``file`` is the path of a file that
            holds another key's value; such keys are resolved before parsing.
        read: turns what the document holds into the typed value; raises :class:`values.BadValueError`.
        meaning: one sentence.
        unit: of a number, else empty.
        hazard: what goes wrong when it is set carelessly, else empty.
        redact: how the value is shown in a fault.
    """

    name: str
    kind: Kind
    read: Callable[[object], object]
    meaning: str
    unit: str = ""
    hazard: str = ""
    redact: Callable[[object], str] = values.show


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file and the record that it becomes."""

    name: str
    model: Any
    keys: Mapping[str, Key]

    def default(self, key: str) -> object:
        """Return a key's default as the record holds it, or None where it has none."""
        for each in fields(self.model):
            if each.name == key and each.default is not MISSING:
                return each.default
        return None


def section(name: str, record: type, *keys: Key) -> Section:
    """Make a section of its keys."""
    return Section(name, record, {key.name: key for key in keys})
