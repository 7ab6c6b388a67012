"""Who opens a WebSocket."""

import pytest

from gateway.core.sockets import opens_websocket


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"upgrade", b"websocket", True),
        (b"upgrade", b"h2c, WebSocket", True),
        (b"sec-websocket-key", b"", True),
        (b"sec-websocket-version", b"13", True),
        (b"upgrade", b"h2c", False),
        (b"connection", b"websocket", False),
        (b"sec-websocket-protocol", b"chat", False),
    ],
)
def test_a_websocket_is_known_by_what_no_proxy_takes_away(name: bytes, value: bytes, expected: bool) -> None:
    assert opens_websocket([(b"host", b"a"), (name, value)]) is expected
