"""The sign-in where somebody checks: a form for email address and password that names nobody.

It posts ``identifier``, ``password`` and ``redirect_url`` to ``/sign-in``. The page decides nothing.
"""

from gateway.pages.rendering import render_page


def render(*, redirect_url: str, message: str = "", identifier: str = "") -> str:
    """The page as HTML text.

    Args:
        redirect_url: where the sign-in returns to; goes through the form unchanged.
        message: what went wrong at the last attempt, if anything.
        identifier: what was typed at the last attempt; never the password.
    """
    return render_page(
        "sign_in_form.html", {"redirect_url": redirect_url, "message": message, "identifier": identifier}
    )
