"""The one question of ``GET /sign-out``: a form, because only a POST may sign out."""

from markupsafe import Markup

from gateway.pages.rendering import stylesheet

_PAGE = Markup(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
    "<title>Sign out</title><style>{style}</style></head>"
    '<body><main class="narrow"><div class="lead"><h1>Sign out?</h1><p class="big" dir="auto">{text}</p>'
    '<form method="post" action="/sign-out"><input type="hidden" name="redirect_url" value="{redirect_url}">'
    '<p class="actions"><button class="button main" type="submit">Sign out</button></p></form>'
    "</div></main></body></html>\n"
)


def render(*, name: str, redirect_url: str) -> str:
    """The page as HTML text.

    Args:
        name: who is signed in; empty when nobody is.
        redirect_url: where the form returns to; may be empty.
    """
    text = f"You are signed in as {name}." if name else "Nobody is signed in in this browser."
    style = Markup(stylesheet())  # noqa: S704 - our own file
    return str(_PAGE.format(style=style, text=text, redirect_url=redirect_url))
