"""The development sign-in of the embedded authority: pick a seeded user and an account; there is no password.

Each button posts ``user_id``, ``organization_id`` ("" is the personal account) and ``redirect_url`` to ``/sign-in``.
The page decides nothing: whether the address may be returned to, and who may sign in, is the authority's matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.pages.rendering import render_page

MOST_SHOWN = 50
_TONES = 6


@dataclass(frozen=True, slots=True)
class SignInOrganization:
    """An organization that a user belongs to.

    Attributes:
        id: what the form sends.
        name: for people.
        slug: for people who know the address better than the name.
        role: the role key; the prefix ``org:`` is not shown.
    """

    id: str
    name: str
    slug: str
    role: str

    @property
    def role_name(self) -> str:
        """The role as shown: ``org:admin`` is ``admin``."""
        return self.role.removeprefix("org:")


@dataclass(frozen=True, slots=True)
class SignInUser:
    """A seeded user with the organizations to choose from."""

    id: str
    name: str
    email: str
    organizations: Sequence[SignInOrganization]

    @property
    def display_name(self) -> str:
        """The name, or what comes closest to one."""
        return self.name.strip() or self.email.strip() or self.id

    @property
    def initials(self) -> str:
        """One or two letters for the badge; empty when the name has no letter."""
        words = [word for word in self.display_name.split() if word[0].isalnum()]
        return "".join(word[0] for word in words[:1] + words[1:][-1:]).upper()

    @property
    def tone(self) -> int:
        """A colour of the palette that stays with the user."""
        return sum(self.id.encode("utf-8", "replace")) % _TONES


@dataclass(frozen=True, slots=True)
class Search:
    """What was looked for among the users.

    Attributes:
        query: the words; empty shows everybody.
        count: how many there are in all, of whom a page shows :data:`MOST_SHOWN`.
    """

    query: str
    count: int


def render(
    *, title: str, users: Sequence[SignInUser], redirect_url: str, message: str = "", search: Search | None = None
) -> str:
    """The page as HTML text.

    Args:
        title: title of the window and the page, e.g. the name of the application.
        users: who may be picked, in the order to show.
        redirect_url: where the sign-in returns to; goes through the form unchanged.
        message: what went wrong at the last attempt, if anything.
        search: None where all users stand on the page.
    """
    values: dict[str, object] = {
        "title": title,
        "users": users,
        "redirect_url": redirect_url,
        "message": message,
        "search": search,
    }
    return render_page("sign_in.html", values)
