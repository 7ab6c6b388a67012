"""Where an upstream is: ``http://host:port``, ``https://host`` or ``unix:/path/to.sock``."""

import ssl
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from gateway.core.settings_model import RouteSettings

# A route that says nothing: each default is written once, in the settings.
_UNSAID = RouteSettings()


@dataclass(frozen=True, slots=True)
class Origin:
    """The address of an upstream.

    Attributes:
        text: as configured, for logs.
        host, port: empty and 0 for a Unix socket.
        path: of the Unix socket; empty otherwise.
        is_tls: speak TLS.
        name: that its certificate must bear; empty for the host.
        is_http2: it is spoken to in HTTP/2.
    """

    text: str
    host: str = ""
    port: int = 0
    path: str = ""
    is_tls: bool = False
    name: str = ""
    is_http2: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address that :func:`gateway.core.settings.parse` has judged.

        Raises:
            ValueError: when it is neither http, https nor unix.
        """
        if text.startswith("unix:"):
            return cls(text, path=text.removeprefix("unix:"))
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("an upstream is http://host:port, https://host or unix:/path")
        is_tls = parts.scheme == "https"
        return cls(text, parts.hostname, parts.port or (443 if is_tls else 80), is_tls=is_tls)

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the context for TLS, or None for plain text."""
        return ssl.create_default_context() if self.is_tls else None


@dataclass(frozen=True, slots=True)
class Limits:
    """What an upstream may take.

    Attributes:
        connect_s: seconds to connect, TLS included.
        first_byte_s: seconds from the request's last byte to the answer's headers.
        idle_s: seconds without a byte within a body, either way.
        total_s: seconds that an exchange may take from its begin to its end; 0 for any.
        keep_alive_s: seconds that an idle connection is kept; shorter than most servers keep it.
        connections: open at once; more requests than that are refused.
        header_bytes: size of an answer's headers.
        window_bytes: of an answer's body held for a slow client before reading stops.
        ping_s: seconds of silence, with exchanges in hand, after which an upstream in HTTP/2 is asked for a sign of
            life; after as long again without one it gets no new requests on this connection.
    """

    connect_s: float = _UNSAID.connect_timeout_s
    first_byte_s: float = _UNSAID.first_byte_timeout_s
    idle_s: float = _UNSAID.idle_timeout_s
    total_s: float = _UNSAID.total_timeout_s
    keep_alive_s: float = _UNSAID.keep_alive_s
    connections: int = _UNSAID.max_connections
    header_bytes: int = 65_536
    window_bytes: int = 65_536
    ping_s: float = 10.0

    @classmethod
    def of(cls, route: RouteSettings) -> Self:
        """Return what a route's settings say."""
        return cls(
            connect_s=route.connect_timeout_s,
            first_byte_s=route.first_byte_timeout_s,
            idle_s=route.idle_timeout_s,
            total_s=route.total_timeout_s,
            keep_alive_s=route.keep_alive_s,
            connections=route.max_connections,
        )
