"""What is said to somebody whose test asks for what is not there."""

from collections.abc import Iterable

from gateway.errors import GatewayError


class WrongUse(GatewayError):
    """A test asks for what the world does not have or cannot do; the text names what there is."""


def unknown(what: str, name: str, known: Iterable[str], fix: str) -> WrongUse:
    """Return the exception for a name that nothing has.

    Args:
        what: kind of thing, as a noun.
        name: that was asked for.
        known: names that exist.
        fix: how to make one.
    """
    return WrongUse(f"there is no {what} {name!r}; there are: {', '.join(known) or 'none'}. {fix}")
