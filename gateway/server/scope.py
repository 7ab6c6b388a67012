"""A connection and its requests as ASGI tells of them (ASGI HTTP and WebSocket specification 2.5)."""

import asyncio
from typing import Final
from urllib.parse import unquote

from starlette.types import Scope

from gateway.server.head import Head

_ASGI: Final = {"version": "3.0", "spec_version": "2.5"}


def connection_scope(transport: asyncio.Transport) -> Scope:
    """Return what is the same for all requests of a connection; no addresses where it has none, as on a Unix socket."""
    client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return {
        "type": "http",
        "asgi": _ASGI,
        "scheme": "http",
        "root_path": "",
        "client": client[:2] if isinstance(client, tuple) else None,
        "server": server[:2] if isinstance(server, tuple) else None,
    }


def request_scope(connection: Scope, head: Head) -> Scope:
    """Return the scope of one request.

    Args:
        connection: of :func:`connection_scope`.
        head: of the request.
    """
    raw_path, _, query = head.target.partition(b"?")
    path = raw_path.decode("latin-1")
    return {
        **connection,
        "http_version": head.version,
        "method": head.method,
        "path": unquote(path) if "%" in path else path,
        "raw_path": raw_path,
        "query_string": query,
        "headers": head.headers,
    }
