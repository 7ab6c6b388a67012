"""Connecting to an upstream, and what to call it when that fails."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from gateway.core.reasons import Reason
from gateway.errors import UpstreamError
from gateway.upstream.origin import Origin

_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


async def dial(
    origin: Origin, tls: ssl.SSLContext | None, connect_s: float, make: Callable[[], _Protocol]
) -> _Protocol:
    """Open a connection.

    Args:
        origin: where to.
        tls: None for plain text.
        connect_s: seconds that it may take, TLS included.
        make: makes the protocol.

    Raises:
        UpstreamError: when there is none.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(connect_s):
            if origin.path:
                _, protocol = await loop.create_unix_connection(make, origin.path)
            else:
                name = (origin.name or origin.host) if tls is not None else None
                _, protocol = await loop.create_connection(
                    make, origin.host, origin.port, ssl=tls, server_hostname=name
                )
            return protocol
    except TimeoutError as error:
        detail = f"no connection to {origin.text} within {connect_s:g} s"
        raise UpstreamError(Reason.UPSTREAM_CONNECT_TIMEOUT, detail) from error
    except ssl.SSLError as error:
        raise UpstreamError(Reason.UPSTREAM_TLS, f"no TLS with {origin.text} ({error.reason})") from error
    except socket.gaierror as error:
        raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, f"the name of {origin.text} does not resolve") from error
    except OSError as error:
        detail = f"no connection to {origin.text} ({type(error).__name__})"
        raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, detail) from error
