"""How long a request's body is, where ASGI says nothing of it (RFC 9112 section 6.3)."""

from collections.abc import Sequence

from starlette.types import Scope

from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.errors import UpstreamError

_MAX_LENGTH_DIGITS = 18
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})


def body_length(scope: Scope, headers: Sequence[Header]) -> int | None:
    """Return how long the request's body is said to be: None where only its end will tell, 0 for none.

    Raises:
        UpstreamError: when it is said twice, or not in a way that all servers read alike.
    """
    lengths = {value for name, value in headers if name == b"content-length"}
    encodings = [value for name, value in headers if name == b"transfer-encoding"]
    if encodings:
        if lengths or len(encodings) > 1 or encodings[0].lower() != b"chunked":
            raise UpstreamError(Reason.REQUEST_FRAMING_INVALID, "its transfer-encoding is not chunked alone")
        return None
    if not lengths:
        # HTTP/2 frames its bodies itself (RFC 9113 section 8.1.1); GET and the like have none worth asking for.
        is_framed = scope.get("http_version", "1.1").startswith("2") and scope["method"] not in _BODILESS
        return None if is_framed else 0
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise UpstreamError(Reason.REQUEST_FRAMING_INVALID, "its content-length is not one number")
    return int(length)
