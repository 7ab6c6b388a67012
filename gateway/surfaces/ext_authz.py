"""Envoy's ``ext_authz`` as gRPC has it: its question as ours, our answer as its own.

The messages are ``envoy.service.auth.v3``, of the package xds-protos. Envoy mends what is no UTF-8 in the fields that
have names of their own, and would forward another path than was judged; so only the headers are read, which it sends as
they came (``encode_raw_headers``), with those that HTTP/2 writes with a colon among them.
"""

from functools import lru_cache

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from gateway.core.original import Front, Original, OriginalError, original
from gateway.core.reasons import Reason
from gateway.core.request import Header
from gateway.surfaces.answers import Answer

_PERMISSION_DENIED = 7  # google.rpc.Code; Envoy lets pass what is 0 and nothing else
_PSEUDO = (b":method", b":path", b":authority")


def question(message: bytes) -> Original:
    """Return the request that is asked about.

    Args:
        message: a ``CheckRequest``.

    Raises:
        OriginalError: it is not named well enough.
    """
    try:
        request = CheckRequest.FromString(message)
    except DecodeError:
        raise OriginalError(Reason.ORIGINAL_REQUEST_INVALID, "the question is no CheckRequest") from None
    said: dict[bytes, bytes] = {}
    headers: list[Header] = []
    for header in request.attributes.request.http.header_map.headers:
        name = header.key.lower().encode()
        if not name.startswith(b":"):
            headers.append((name, header.raw_value))
        elif name in said:
            raise OriginalError(Reason.ORIGINAL_REQUEST_CONTRADICTORY, f"{name.decode()} is there twice")
        else:
            said[name] = header.raw_value
    for name in _PSEUDO:
        if not said.get(name):
            detail = f"{name.decode()} is missing: Envoy needs encode_raw_headers, and allowed_headers must have it"
            raise OriginalError(Reason.ORIGINAL_REQUEST_MISSING, detail)
    headers.append((b"host", said[b":authority"]))
    return original(Front.ENVOY, said[b":method"].decode("latin-1"), said[b":path"], headers)


def allowed(identity: tuple[Header, ...], cookies: tuple[Header, ...]) -> bytes:
    """Return the answer that lets a request pass, a ``CheckResponse``.

    Args:
        identity: for the application, in the place of what the client sent.
        cookies: ``Set-Cookie`` lines for the browser, beside the application's.
    """
    return _made(identity, cookies) if cookies else _remembered(identity)


@lru_cache(maxsize=1024)
def _remembered(identity: tuple[Header, ...]) -> bytes:
    """To make it costs more than to decide, and the same people come again and again."""
    return _made(identity, ())


def _made(identity: tuple[Header, ...], cookies: tuple[Header, ...]) -> bytes:
    response = CheckResponse(
        status=Status(code=0),
        ok_response=OkHttpResponse(
            headers=[_option(header, HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD) for header in identity],
            response_headers_to_add=[_option(header, HeaderValueOption.APPEND_IF_EXISTS_OR_ADD) for header in cookies],
        ),
    )
    return response.SerializeToString()  # type: ignore[no-any-return]


def refused(answer: Answer) -> bytes:
    """Return the answer that the client gets, a ``CheckResponse``; its length is Envoy's to say."""
    headers = [
        _option(
            header,
            HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
            if header[0] == b"set-cookie"
            else HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for header in answer.headers
        if header[0] != b"content-length"
    ]
    response = CheckResponse(
        status=Status(code=_PERMISSION_DENIED),
        denied_response=DeniedHttpResponse(
            status=HttpStatus(code=answer.status), headers=headers, body=answer.body.decode("utf-8", "replace")
        ),
    )
    return response.SerializeToString()  # type: ignore[no-any-return]


def _option(header: Header, action: int) -> HeaderValueOption:
    name, value = header
    return HeaderValueOption(
        header=HeaderValue(key=name.decode("latin-1"), value=value.decode("latin-1")),
        append_action=action,
        keep_empty_value=True,
    )
