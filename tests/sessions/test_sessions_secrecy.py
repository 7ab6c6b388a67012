"""The secret key is in no text, and in no local variable of the frames that an exception carries along."""

import socket
import traceback
from types import TracebackType

import httpx
import pytest

from gateway.errors import SessionsApiError
from gateway.sessions import Backoff, SessionsClient
from tests.sessions.sessions_kit import (
    KEY,
    SESSION_ID,
    Tape,
    client_of,
    error_body,
    http_bytes,
    json_answer,
    raw,
    serving,
)

ONCE = Backoff(attempts=1)


def frames_of(error: BaseException) -> list[TracebackType]:
    """All frames behind an exception, those of its causes and contexts too, whether they are shown or not."""
    found: list[TracebackType] = []
    link: BaseException | None = error
    while link is not None:
        step = link.__traceback__
        while step is not None:
            found.append(step)
            step = step.tb_next
        link = link.__cause__ or link.__context__
    return found


def assert_secret(error: SessionsApiError) -> None:
    shown = traceback.format_exception(error)
    # This file's own frames hold the key because the tests do.
    of_the_package = [step for step in frames_of(error) if step.tb_frame.f_code.co_filename != __file__]
    locals_of = [repr(value) for step in of_the_package for value in step.tb_frame.f_locals.values()]
    assert of_the_package
    assert KEY not in "".join(locals_of)
    assert KEY not in "".join(shown)
    assert KEY not in repr(error) + str(error) + repr(vars(error))


async def breaking(api_url: str) -> SessionsApiError:
    async with SessionsClient(KEY, api_url=api_url, timeout_s=0.5, backoff=ONCE) as client:
        with pytest.raises(SessionsApiError) as caught:
            await client.get(SESSION_ID)
    return caught.value


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        http_bytes(b"{"),
        http_bytes(b"x" * (1024 * 1024 + 1)),
        http_bytes(b"{}", status="307 Temporary Redirect"),
        http_bytes(b'{"object": "client"}'),
    ],
)
async def test_no_frame_of_a_broken_answer_shows_the_key(answer):
    async with serving(raw(answer)) as api_url:
        assert_secret(await breaking(api_url))


async def test_no_frame_of_a_silent_service_shows_the_key():
    async def silence(reader, writer):
        await reader.read()

    async with serving(silence) as api_url:
        assert_secret(await breaking(api_url))


async def test_no_frame_of_a_refused_connection_shows_the_key():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert_secret(await breaking(f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    "failure",
    [
        httpx.LocalProtocolError(f"Illegal header value b'Bearer {KEY}'"),
        httpx.ConnectError(f"Bearer {KEY}"),
        httpx.ReadTimeout(f"Bearer {KEY}"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_the_words_of_the_transport_are_not_passed_on(failure):
    with pytest.raises(SessionsApiError) as caught:
        await client_of(Tape(failure), backoff=ONCE).get(SESSION_ID)
    assert_secret(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_a_refusal_shows_no_key_either():
    with pytest.raises(SessionsApiError) as caught:
        await client_of(Tape(json_answer(error_body("clerk_key_invalid"), 401))).get(SESSION_ID)
    assert_secret(caught.value)
