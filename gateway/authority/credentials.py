"""What somebody says to sign in, and what judges it: the port that a deployment may fill with a check of its own."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from gateway.core.secret import Secret

PASSWORD: Final = "password"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was typed into the sign-in form.

    Attributes:
        identifier: whom it claims to be; for the built-in check the email address. Not checked in any way.
        password: what proves it; may be empty.
        address: IP address of the browser, as far as the trusted proxies tell; empty where it is not known.
    """

    identifier: str
    password: Secret
    address: str = ""


class SignInCheck(Protocol):
    """Says who somebody is.

    It is called for attempts that are within the limits only. It must take as long for people that it does not know as
    for those that it does, and never log the password. An exception is told as a fault of the server, and signs nobody
    in.
    """

    async def __call__(self, credentials: Credentials, /) -> str | None:
        """Return the id of the user, who must exist in the authority, or None."""
        ...


SignIn = SignInCheck | Literal["password"] | None
"""How people sign in: a check, ``"password"`` for the built-in one, or None for the page where anybody is picked."""
