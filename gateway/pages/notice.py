"""A small page that says one thing: signed out, or an address that cannot be returned to."""

from gateway.pages.links import is_link
from gateway.pages.rendering import render_page


def render(*, title: str, heading: str, text: str, action_label: str = "", action_href: str = "") -> str:
    """The page as HTML text.

    Args:
        title: title of the window.
        heading: what happened.
        text: what it means, in a sentence or two; blank lines separate paragraphs.
        action_label: text of the one link, or empty.
        action_href: its address, http(s) or a path; the link is left out when it is anything else.
    """
    action = (action_label, action_href) if action_label and is_link(action_href) else None
    return render_page("notice.html", {"title": title, "heading": heading, "text": text, "action": action})
