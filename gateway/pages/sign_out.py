"""The one question before signing out: a form, because only a POST may sign out (RFC 9110, section 9.2.1)."""

from gateway.pages.rendering import render_page


def render(*, name: str, redirect_url: str, is_development: bool = True) -> str:
    """The page as HTML text; its form posts ``redirect_url`` to ``/sign-out``.

    Args:
        name: who is signed in; empty when nobody is.
        redirect_url: where the form returns to; goes through it unchanged and may be empty.
        is_development: whether the page says so in its head.
    """
    context = "development" if is_development else ""
    return render_page("sign_out.html", {"name": name, "redirect_url": redirect_url, "context": context})
