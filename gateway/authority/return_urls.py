"""Addresses that a browser may be sent back to, and what is added to them on the way.

Browsers and parsers disagree about odd addresses (``https:evil``, ``/\\evil``, tabs, user info), so only the plain form
passes: http or https, a host, ASCII without blanks, quotes or backslashes. Anything else is refused, not repaired.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from gateway.core.trust import with_port

_MAX_LENGTH = 8192
_PLAIN = re.compile(r"(?i:https?)://[!#-;=?-\[\]-~]+\Z")
_HOST = re.compile(r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])\Z")
# never carried through: they would make the receiver start over, or resolve what is not its own
_TRANSIENT = ("__clerk_db_jwt", "__clerk_handshake", "__clerk_handshake_nonce", "__dev_session", "__clerk_help")


@dataclass(frozen=True, slots=True)
class ReturnUrl:
    """An address that may be returned to.

    Attributes:
        text: the address, without fragment and without the parameters of an earlier handshake.
        origin: scheme, host and port (left out when default), in lower case: the ``azp`` of tokens made for it.
        hostname: host in lower case, without port.
    """

    text: str
    origin: str
    hostname: str

    def plus(self, name: str, value: str) -> str:
        """The address with one more query parameter."""
        separator = "&" if "?" in self.text else "?"
        return f"{self.text}{separator}{name}={quote(value, safe='')}"


def parse_return_url(text: str) -> ReturnUrl | None:
    """Read an absolute http(s) address; None for anything else, however a browser might read it."""
    if len(text) > _MAX_LENGTH or not _PLAIN.match(text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    host = parts.netloc.lower().removesuffix(f":{port}" if port is not None else "")
    if not _HOST.match(host):
        return None
    place = with_port(parts.scheme, host, port)
    kept = "&".join(pair for pair in parts.query.split("&") if pair.partition("=")[0] not in _TRANSIENT)
    plain = urlunsplit((parts.scheme, place, parts.path or "/", kept, ""))
    return ReturnUrl(plain, f"{parts.scheme}://{place}", host)


def origin_of(text: str) -> str | None:
    """The origin in its one canonical form, when the text is an origin and nothing more; else None."""
    url = parse_return_url(text)
    is_bare = url is not None and text.removesuffix("/").count("/") == 2 and not set("?#") & set(text)
    return url.origin if url is not None and is_bare else None
