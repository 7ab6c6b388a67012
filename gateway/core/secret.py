"""A text that must not be printed: keys, signing secrets, refresh tokens."""

import re
from dataclasses import dataclass

_KIND = re.compile(r"(?:sk_|pk_)?(?:test|live)_|whsec_")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Holds a secret so that ``repr``, ``str``, logs and tracebacks show its kind and not its value.

    Only :meth:`reveal` gives the text, so ``grep reveal`` finds every place where a secret leaves.
    """

    _text: str

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text

    def hint(self) -> str:
        """Return what may be shown: the public prefix such as ``sk_test_`` and an ellipsis."""
        kind = _KIND.match(self._text)
        return f"{kind[0] if kind else ''}…"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return f"Secret({self.hint()})"

    def __str__(self) -> str:
        return self.hint()


NO_SECRET = Secret("")
"""Stands for a secret that is not there."""
