"""Breaking the connection that a request came by.

ASGI has no message for it: servers answer an application that gives up with 500, and close a connection in good order.
So the server of this package offers an extension in the scope; with another server the request fails, and says so.
"""

from collections.abc import Mapping
from typing import Any, Protocol

_EXTENSION = "gateway.connection"


class _Connection(Protocol):
    def abort(self) -> None: ...

    def close(self) -> None: ...


def reset(scope: Mapping[str, Any]) -> None:
    """Have the connection torn down: the peer gets RST, as from a process that died or a firewall.

    Args:
        scope: of the request (ASGI).

    Raises:
        ConnectionResetError: the server offers no way to, as where a test calls the application itself.
    """
    _connection(scope).abort()


def close(scope: Mapping[str, Any]) -> None:
    """Have the connection closed in good order: the peer gets FIN, after what was sent.

    Args:
        scope: of the request (ASGI).

    Raises:
        ConnectionResetError: the server offers no way to.
    """
    _connection(scope).close()


def _connection(scope: Mapping[str, Any]) -> _Connection:
    try:
        connection: _Connection = scope["extensions"][_EXTENSION]
    except KeyError:
        problem = f'the server offers no extension "{_EXTENSION}" to break the connection by; gateway authority does'
        raise ConnectionResetError(f"a rule of the control port broke off this request: {problem}") from None
    return connection
