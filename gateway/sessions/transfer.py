"""Sends one request and takes in the whole answer, within a time and a size; here httpx's exceptions become ours.

It speaks to the transport and not to ``httpx.AsyncClient``: without the client there is no cookie jar to carry one
caller's cookies to another, no redirect to take the secret key elsewhere, and no proxy or credentials taken from the
environment.

Our exceptions have no cause and no context: in the frames behind httpx's lies the request with its key, and whatever
prints or reports local variables would show it.
"""

import asyncio
import socket
import ssl

import httpx

from gateway.errors import ApiFailed, ApiUnreachable
from gateway.sessions.answers import Answer

MAX_BODY_BYTES = 1024 * 1024
"""The largest answer, a page of 500 sessions, is about 400 KiB."""


async def exchange(transport: httpx.AsyncBaseTransport, request: httpx.Request, name: str, timeout_s: float) -> Answer:
    """Send a request and read the answer.

    Args:
        transport: what carries it.
        request: complete, with its key.
        name: the operation, for the texts of errors.
        timeout_s: seconds for all of it: name, connection, request and the answer's last byte.

    Raises:
        ApiUnreachable: there is no whole answer.
        ApiFailed: the answer is larger than MAX_BODY_BYTES, or compressed although nobody asked for it.
    """
    outcome = await _outcome(transport, request, name, timeout_s)
    if isinstance(outcome, Answer):
        return outcome
    raise outcome


async def _outcome(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, name: str, timeout_s: float
) -> Answer | ApiUnreachable | ApiFailed:
    """Return what httpx and the event loop raise as ours, without their texts: one quotes headers."""
    try:
        # One time-out over everything: httpx's own bound single reads, and a dripping server never exceeds them.
        async with asyncio.timeout(timeout_s):
            return await _answer(transport, request)
    except ApiFailed as failed:
        return failed.with_traceback(None)
    except (TimeoutError, httpx.TimeoutException):
        return ApiUnreachable("timeout", f"{name}: no whole answer within {timeout_s:g} s")
    except httpx.ConnectError as error:
        cause, detail = _connect_cause(error)
        return ApiUnreachable(cause, f"{name}: {detail}")
    except httpx.RequestError as error:
        return ApiUnreachable("protocol", f"{name}: the transfer broke off ({type(error).__name__})")


async def _answer(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> Answer:
    response = await transport.handle_async_request(request)
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise TypeError("the transport must answer with an asynchronous stream")
    try:
        body = await _read_body(response, response.stream)
    finally:
        await response.aclose()
    return Answer(response.status_code, {key.lower(): value for key, value in response.headers.items()}, body)


async def _read_body(response: httpx.Response, stream: httpx.AsyncByteStream) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiFailed(response.status_code, "the answer is compressed, which was not asked for")
    body = bytearray()
    async for chunk in stream:
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiFailed(response.status_code, f"the answer is larger than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _connect_cause(error: BaseException) -> tuple[str, str]:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, socket.gaierror):
            return "dns", "the API's host name cannot be resolved"
        if isinstance(link, ssl.SSLCertVerificationError):
            return "tls", f"the API's certificate is not accepted ({getattr(link, 'verify_message', 'unknown reason')})"
        if isinstance(link, ssl.SSLError):
            return "tls", f"no TLS connection to the API ({getattr(link, 'reason', 'unknown reason')})"
        link = link.__cause__ or link.__context__
    return "connect", "no connection to the API"
