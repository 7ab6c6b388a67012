"""What was looked at on the way to a decision, step by step, for people who ask why.

Nothing secret can get into a step: a note is a fixed text with places for values, and a value is shown by its kind. A
:class:`~gateway.core.secret.Secret` becomes the first characters of its SHA-256 and its length; a text is cut and
escaped, and what the request itself carried as a secret is masked in it. Requests are decided with :data:`NO_TRACE`,
whose notes do nothing; a note that has to work for its values asks :attr:`Trace.is_on` first.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gateway.core.secret import Secret

MAX_SHOWN = 120
"""Characters of a text that are shown."""

MIN_MASKED = 8
"""Characters from which on a text is masked; a shorter one, such as a count, would mask half of what is told."""

MASK = "(hidden)"


class Mark(StrEnum):
    """What became of a step."""

    OK = "ok"
    """It holds."""
    NO = "no"
    """It does not hold."""
    CHOSEN = "chosen"
    """It decides what comes next."""
    ASKED = "asked"
    """Somebody outside was asked, or would have been."""
    SKIPPED = "skipped"
    """It does not apply."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at.

    Attributes:
        what: in a word or two, e.g. ``signature``.
        mark: what became of it.
        detail: what was seen; holds no secret.
    """

    what: str
    mark: Mark
    detail: str = ""


Value = str | int | float | Secret


class Trace:
    """Takes notes and keeps none: what every request is decided with.

    Attributes:
        is_on: whether notes are kept.
    """

    __slots__ = ()
    is_on: ClassVar[bool] = False

    def note(self, what: str, mark: Mark, detail: str = "", *values: Value) -> None:
        """Note a step.

        Args:
            what: in a word or two.
            mark: what became of it.
            detail: a fixed text with ``{}`` for each value (:meth:`str.format`).
            values: shown by their kind; a token is given as a Secret.
        """

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these texts in whatever is noted from now on."""


NO_TRACE = Trace()


class Recording(Trace):
    """Takes notes and keeps them."""

    __slots__ = ("_hidden", "_steps")
    is_on: ClassVar[bool] = True

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._hidden: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """What was noted so far, in order."""
        return tuple(self._steps)

    def note(self, what: str, mark: Mark, detail: str = "", *values: Value) -> None:
        """Note a step."""
        text = detail.format(*map(self.show, values)) if values else detail
        self._steps.append(Step(what, mark, self._masked(text)))

    def show(self, value: Value, limit: int = MAX_SHOWN) -> str | int | float:
        """Return a value as it may be printed, a text with at most so many characters."""
        if isinstance(value, Secret):
            return fingerprint(value)
        return shown(self._masked(value), limit) if isinstance(value, str) else value

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these texts, the longest first: one may hold another."""
        kept = {*self._hidden, *(text for text in secrets if len(text) >= MIN_MASKED)}
        self._hidden = tuple(sorted(kept, key=len, reverse=True))

    def _masked(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, MASK)
        return text


def fingerprint(secret: Secret) -> str:
    """Return what tells two secrets apart and gives neither away: 24 bits of a hash, and the length."""
    text = secret.reveal()
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"#{digest[:6]} ({len(text)} characters)"


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Return a text from outside as it may be printed: no control characters, and not too long."""
    head = text[:limit]
    if not (head.isascii() and head.isprintable()):
        head = head.encode("unicode_escape").decode("ascii")[:limit]
    return head if len(text) <= limit else f"{head}..."


def bare_url(url: str) -> str:
    """Return a URL with the values of its query left out: tokens travel there."""
    address, mark, query = url.partition("?")
    names = (name if equals else "" for name, equals, _ in (pair.partition("=") for pair in query.split("&")))
    return address + mark + "&".join(f"{name}=..." if name else "..." for name in names) if query else address
