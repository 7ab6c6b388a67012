"""Which addresses a page may link to: http, https, or a path on the same origin."""

import re

# Browsers drop tabs and line breaks from addresses and read "\" as "/" (WHATWG URL, "basic URL parser"), so neither
# may appear: "/\t/host" and "/\host" both leave the origin.
_LINK = re.compile(r"(?:https?://[^/\\]|/(?![/\\]))[^\x00-\x20\x7f\\]*\Z", re.IGNORECASE)


def is_link(href: str) -> bool:
    """Whether a page may link to this address; others are left out of the page."""
    return href == "/" or _LINK.match(href) is not None
